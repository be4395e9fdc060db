/* test_strangers.c - which files of a state directory are not ours. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "daemon/strangers.h"

static char folder[64];

static void touch(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void drop(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static void test_ours_and_others(void **state)
{
    (void)state;
    static const char *const ours[] = {"lock",           "ballast",      "journal.db",   "journal.db-wal",
                                       "journal.db-shm", "journal.lock", "granaryd.log", "lost+found"};
    char name[32] = "as before";
    bool journal = true;
    strcpy(folder, "/tmp/granary-strangers-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_false(strangers_find("/tmp/granary-there-is-none", name, sizeof name, &journal));
    assert_false(strangers_find(folder, name, sizeof name, &journal));
    touch("thesis.tex");
    touch("lock");
    assert_true(strangers_find(folder, name, sizeof name, &journal));
    assert_string_equal(name, "thesis.tex");
    assert_false(journal);
    touch("a\nb");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        touch(ours[i]);
    assert_true(strangers_find(folder, name, sizeof name, &journal));
    assert_string_equal(name, "a\\nb");
    assert_true(journal);
    drop("a\nb");
    drop("thesis.tex");
    strcpy(name, "as before");
    assert_false(strangers_find(folder, name, sizeof name, &journal));
    assert_string_equal(name, "as before");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        drop(ours[i]);
    assert_int_equal(rmdir(folder), 0);
}

/* A log that was put beside the books, before they were made, by who started us. */
static void test_our_own_log(void **state)
{
    (void)state;
    char path[512], name[32];
    bool journal;
    strcpy(folder, "/tmp/granary-strangers-XXXXXX");
    assert_non_null(mkdtemp(folder));
    touch("my.log");
    assert_true(strangers_find(folder, name, sizeof name, &journal));
    snprintf(path, sizeof path, "%s/my.log", folder);
    int kept = dup(STDERR_FILENO), log = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(kept >= 0 && log >= 0 && dup2(log, STDERR_FILENO) == STDERR_FILENO);
    bool found = strangers_find(folder, name, sizeof name, &journal);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    close(kept);
    close(log);
    assert_false(found);
    drop("my.log");
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ours_and_others), cmocka_unit_test(test_our_own_log)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
