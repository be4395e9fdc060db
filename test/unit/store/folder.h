/*
 * folder.h - a fresh directory for one test, and blobs gathered from a store.
 */
#ifndef GRANARY_TEST_STORE_FOLDER_H
#define GRANARY_TEST_STORE_FOLDER_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/status.h"
#include "store/store.h"

typedef struct {
    char path[64];
} folder;

static inline int folder_open(void **state)
{
    static folder f;
    strcpy(f.path, "/tmp/granary-store-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    *state = &f;
    return 0;
}

static inline const char *folder_file(const folder *f, const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", f->path, name);
    return path[turn];
}

static inline int folder_close(void **state)
{
    static const char *const names[] = {"journal.db",   "journal.db-wal", "journal.db-shm", "journal.db.new",
                                        "journal.lock", "ballast",        "filler",         "copy"};
    folder *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(folder_file(f, names[i]));
    assert_int_equal(rmdir(f->path), 0); /* nothing else was left */
    return 0;
}

static inline void folder_write(const folder *f, const char *name, const void *data, size_t size)
{
    int fd = open(folder_file(f, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static inline long folder_size(const folder *f, const char *name)
{
    struct stat st;
    return stat(folder_file(f, name), &st) == 0 ? (long)st.st_size : -1;
}

/* What a store holds, as "one,two,". */
static inline int gather_one(void *userdata, const uint8_t *data, size_t size)
{
    char *to = userdata;
    size_t n = strlen(to);
    memcpy(to + n, data, size);
    strcpy(to + n + size, ",");
    return 0;
}

static inline const char *gather(store *s)
{
    static char all[4096];
    all[0] = 0;
    assert_int_equal(store_load(s, gather_one, all), 0);
    return all;
}

static inline int put_text(store *s, const char *text)
{
    return store_commit(s, (const uint8_t *)text, strlen(text));
}

#endif
