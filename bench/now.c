/*
 * now.c - prints the monotonic clock in ns: tells when a program was started, or is about to end.
 *
 *   now          the clock, read first thing
 *   now BYTES    uses so much memory, then prints the clock and ends, so that the kernel has something to free
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int use(size_t bytes)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    for (size_t i = 0; i < bytes; i += 4096)
        ((volatile char *)memory)[i] = 1;
    return 0;
}

int main(int argc, char **argv)
{
    struct timespec now;
    size_t bytes = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    if (bytes > 0 && use(bytes) < 0)
        return 1;
    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        return 1;
    if (printf("%" PRId64 "\n", (int64_t)now.tv_sec * 1000000000 + now.tv_nsec) < 0 || fflush(stdout) != 0)
        return 1;
    _exit(0);
}
