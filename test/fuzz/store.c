/*
 * store.c - a journal.db that was damaged: refused with a sentence, or read, and then what it holds is judged as any
 * journal is.
 *
 * The input is a list of changes to a sound file: bytes written over others, a new length. Without a change it must be
 * read.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "books.h"
#include "fuzz.h"

#include "base/status.h"
#include "base/text.h"
#include "store/sqlite.h"

#define FILE_MAX (256u << 10)

static char directory[64], path[96];
static uint8_t sound[FILE_MAX], damaged[FILE_MAX];
static size_t sound_size;
static books first, second;

static void remove_files(void)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "journal.lock", "ballast"};
    char name[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s/%s", directory, names[i]);
        unlink(name);
    }
}

static void remove_all(void)
{
    remove_files();
    rmdir(directory);
}

static store *open_store(bool must_exist, int *ret_status)
{
    store *s = NULL;
    char why[STORE_TEXT_MAX] = "";
    store_sqlite_options options = {.directory = directory, .must_exist = must_exist};
    *ret_status = store_sqlite_open(&s, &options, why, sizeof why);
    assert((*ret_status == 0) == (why[0] == '\0') && text_printable(why));
    return s;
}

/* A host, a session, an allocation: in two commits, the first of them a snapshot by now. */
static void make_sound(void)
{
    int r;
    core_event hello = {.kind = EVENT_HOST_HELLO, .hello = {.name = "a", .boot_id = "1", .limited = true, .cores = 4}};
    core_event open_it = {.kind = EVENT_SESSION_OPEN, .session = {.user = {1}, .link = 1}};
    core_event allocate = {.kind = EVENT_ALLOCATE, .request = {.session = {1}, .number = {1}}};
    hello.hello.physical = hello.hello.total = GIB(4);
    allocate.allocate.terms = (allocation_terms){
        .label = "a", .chunk_size = MIB(512), .want = 2, .min = 1, .notice_ms = 1000, .wait_ms = MS_NEVER};
    store *s = open_store(false, &r);
    assert(r == 0);
    books_start(&first);
    r = core_recover(first.core, 1000, false, &first.effects);
    assert(r == 0);
    books_step(&first, 1000, &hello);
    books_step(&first, 1000, &(core_event){.kind = EVENT_HOST_SAMPLE});
    r = store_snapshot_begin(s);
    r = r ? r : store_snapshot_put(s, first.journal.data, first.journal.size);
    r = r ? r : store_snapshot_end(s);
    assert(r == 0);
    first.journal.size = 0;
    books_step(&first, 1000, &open_it);
    books_step(&first, 1000, &allocate);
    r = store_commit(s, first.journal.data, first.journal.size);
    assert(r == 0);
    store_close(s);
}

static void prepare(void)
{
    if (sound_size > 0)
        return;
    const char *where = getenv("TMPDIR");
    struct stat shm;
    if (!where) /* in memory, where there is such a place: a file is made for each input */
        where = stat("/dev/shm", &shm) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof directory, "%.40s/granary-fuzz-XXXXXX", where);
    char *made = mkdtemp(directory);
    assert(made);
    atexit(remove_all);
    snprintf(path, sizeof path, "%s/journal.db", directory);
    make_sound();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, sound, sizeof sound);
    assert(n > 0 && (size_t)n < sizeof sound);
    sound_size = (size_t)n;
    close(fd);
}

/* Whether anything is other than it was. */
static bool damage(fuzz_input *in)
{
    size_t size = sound_size;
    memcpy(damaged, sound, sound_size);
    while (in->left > 0) {
        uint8_t how = fuzz_byte(in);
        size_t n, at = how < 0x80 ? fuzz_number(in, 2) : (size_t)(how & 0x3f) * 4096 + fuzz_byte(in);
        const uint8_t *from = fuzz_block(in, 64, &n);
        at %= sound_size;
        n = n < sound_size - at ? n : sound_size - at;
        if (n > 0)
            memcpy(damaged + at, from, n);
        if (how == 0x7f)
            size = at;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t written = fd < 0 ? -1 : write(fd, damaged, size);
    assert(written == (ssize_t)size);
    close(fd);
    return size != sound_size || memcmp(damaged, sound, size) != 0;
}

static int take_blob(void *userdata, const uint8_t *data, size_t size)
{
    (void)userdata;
    size_t used = 0;
    books_bytes blob = {.data = (uint8_t *)(uintptr_t)data, .size = size};
    int r = books_load(&first, &blob, &used);
    if (r == 0)
        books_append(&first.journal, data, size);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {.at = data, .left = size};
    int r;
    prepare();
    remove_files();
    bool changed = damage(&in);
    store *s = open_store(true, &r);
    assert(r == 0 || changed);
    if (r < 0)
        return 0;
    assert(strlen(s->meta.broker_id) < sizeof s->meta.broker_id);
    books_start(&first);
    r = store_load(s, take_blob, NULL);
    assert(r == 0 || changed);
    if (r == 0 && core_recover(first.core, 2000, true, &first.effects) == 0) {
        books_keep(&first);
        books_check(&first);
        books_prove_replay(&first, &second);
        (void)store_commit(s, first.journal.data, first.journal.size);
    }
    store_close(s);
    return 0;
}
