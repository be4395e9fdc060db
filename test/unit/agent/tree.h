/* A temporary folder that stands for /proc or for a tree of control groups. */
#ifndef TEST_AGENT_TREE_H
#define TEST_AGENT_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char root[64];
} tree;

static inline void tree_make(tree *t)
{
    snprintf(t->root, sizeof t->root, "/tmp/granary-unit-XXXXXX");
    assert_non_null(mkdtemp(t->root));
}

/* Writes a file below the root, and the folders above it. */
static inline void tree_write(const tree *t, const char *path, const char *text, size_t length)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", t->root, path);
    for (char *slash = strchr(full + strlen(t->root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    close(fd);
}

static inline void tree_text(const tree *t, const char *path, const char *text)
{
    tree_write(t, path, text, strlen(text));
}

static inline void tree_read(const tree *t, const char *path, char *to, size_t size)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", t->root, path);
    int fd = open(full, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = read(fd, to, size - 1);
    assert_true(got >= 0);
    to[got] = 0;
    close(fd);
}

static inline void tree_remove(const tree *t)
{
    char command[128];
    assert_int_equal(strncmp(t->root, "/tmp/granary-unit-", 18), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", t->root);
    assert_int_equal(system(command), 0);
}

#endif
