/*
 * cache.c - a program that fills memory with a cache, and frees part of it when others need memory.
 *
 *     cache [WANT_MIB [SECONDS]]
 *
 * It claims itself: what it uses is limited to its chunks. When the broker asks, shrink() is called on the library's
 * thread; the chunks go once the agent has seen that the memory is really gone.
 */
#include <granary.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ENTRY = 1 << 20, SPARE = 8 << 20 }; /* bytes of an entry; of everything in the program besides the cache */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char **entries;
static size_t n_entries;

static size_t entries_for(uint64_t bytes)
{
    return bytes > SPARE ? (size_t)((bytes - SPARE) / ENTRY) : 0;
}

static void shrink(uint64_t bytes, void *userdata)
{
    (void)userdata;
    pthread_mutex_lock(&lock);
    while (n_entries > entries_for(bytes))
        munmap(entries[--n_entries], ENTRY); /* back to the kernel, not to malloc */
    printf("shrunk to %llu MiB: %zu entries\n", (unsigned long long)(bytes >> 20), n_entries);
    pthread_mutex_unlock(&lock);
}

static void grow(uint64_t bytes, void *userdata)
{
    (void)userdata;
    printf("may use %llu MiB\n", (unsigned long long)(bytes >> 20));
}

/* Adds entries up to what may be used. */
static void fill(granary_cache *cache, size_t most)
{
    for (;;) {
        uint64_t bytes = granary_cache_bytes(cache); /* not under our lock: the library calls us under its own */
        pthread_mutex_lock(&lock);
        char *entry = MAP_FAILED;
        if (n_entries < most && n_entries < entries_for(bytes))
            entry = mmap(NULL, ENTRY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (entry != MAP_FAILED) {
            memset(entry, 1, ENTRY);
            entries[n_entries++] = entry;
        }
        pthread_mutex_unlock(&lock);
        if (entry == MAP_FAILED)
            return;
    }
}

int main(int argc, char **argv)
{
    uint32_t want = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) / 16 : 16;
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
    granary_client *client;
    granary_cache *cache;
    setvbuf(stdout, NULL, _IOLBF, 0); /* each line when it happens, also into a pipe */
    if (granary_client_open(&client, NULL) < 0)
        return fprintf(stderr, "cache: %s\n", granary_client_error(NULL)), 1;
    granary_cache_options options = {
        .label = "cache", .chunk_size = GRANARY_MIB(16), .min = 2, .want = want, .shrink = shrink, .grow = grow};
    size_t most = (size_t)want * 16;
    entries = calloc(most + 1, sizeof *entries);
    if (!entries || granary_cache_open(client, &options, &cache) < 0)
        return fprintf(stderr, "cache: %s\n", entries ? granary_client_error(client) : "no memory"), 1;
    printf("may use %llu MiB\n", (unsigned long long)(granary_cache_bytes(cache) >> 20));
    for (unsigned i = 0; i < seconds * 10; i++) {
        fill(cache, most);
        usleep(100000); /* a real cache fills as it is used */
    }
    printf("%zu entries at the end\n", n_entries);
    granary_cache_close(cache);
    granary_client_close(client);
    return 0;
}
