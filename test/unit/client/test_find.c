/* Where the broker is looked for, and a folder that is not ours alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "client/find.h"

static void a_named_socket_is_used_and_nothing_is_started(void **state)
{
    (void)state;
    broker_socket s;
    unsetenv("GRANARY_SOCKET");
    assert_int_equal(find_socket("/a/b", &s), 0);
    assert_string_equal(s.path, "/a/b");
    assert_false(s.may_start);
    free(s.path);
    setenv("GRANARY_SOCKET", "/c/d", 1);
    assert_int_equal(find_socket(NULL, &s), 0);
    assert_string_equal(s.path, "/c/d");
    assert_false(s.may_start);
    free(s.path);
    assert_int_equal(find_socket("/a/b", &s), 0);
    assert_string_equal(s.path, "/a/b"); /* the option is nearer than the environment */
    free(s.path);
}

static void without_a_name_it_is_our_own(void **state)
{
    (void)state;
    broker_socket s;
    char expected[64];
    unsetenv("GRANARY_SOCKET");
    unsetenv("XDG_RUNTIME_DIR");
    if (geteuid() != 0 && access(FIND_SYSTEM_SOCKET, F_OK) == 0)
        skip(); /* a system's broker is used before one's own */
    assert_int_equal(find_socket(NULL, &s), 0);
    snprintf(expected, sizeof expected, "/tmp/granary-%u/granary.sock", (unsigned)geteuid());
    assert_string_equal(s.path, geteuid() == 0 ? FIND_SYSTEM_SOCKET : expected);
    assert_true(s.may_start);
    free(s.path);
}

static void nobody_there(void **state)
{
    (void)state;
    int fd;
    char path[200];
    assert_int_equal(find_connect("/tmp/granary-nobody-is-here/s", &fd), STATUS_LOST);
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(find_connect(path, &fd), STATUS_INVALID);
}

static const char *explained(broker_socket s, int status, int error, int pid)
{
    static char why[FIND_WHY_MAX];
    errno = error;
    find_explain(&s, status, pid, why);
    return why;
}

static void what_failed_is_told_with_what_to_do(void **state)
{
    (void)state;
    const broker_socket named = {.path = (char *)"/a/b"}, system = {.path = (char *)FIND_SYSTEM_SOCKET};
    const broker_socket own = {.path = (char *)"/tmp/granary-nobody-is-here/s", .may_start = true};
    broker_socket beside = own;
    beside.shut_out = true;
    assert_string_equal(explained(named, STATUS_LOST, 0, 0),
                        "no broker answers at /a/b: start one with `granary up --socket /a/b`");
    assert_string_equal(explained(own, STATUS_LOST, 0, 0),
                        "no broker answers at /tmp/granary-nobody-is-here/s: start one with `granary up`");
    assert_string_equal(
        explained(beside, STATUS_LOST, 0, 0),
        "no broker answers at /tmp/granary-nobody-is-here/s, and the one at /run/granary/granary.sock is "
        "root's own and open to root alone: ask root to end it and run `granary up`, which "
        "serves everybody");
    assert_string_equal(
        explained(system, STATUS_DENIED, 0, 0),
        "the broker at /run/granary/granary.sock is root's own and open to root alone: ask root to end it and run "
        "`granary up`, which serves everybody");
    assert_string_equal(
        explained(named, STATUS_DENIED, 0, 0),
        "/a/b may not be opened: its broker serves its own user alone; leave --socket and GRANARY_SOCKET "
        "out to use yours");
    assert_string_equal(explained(named, STATUS_TIMEOUT, 0, 17),
                        "the broker (pid 17) at /a/b does not answer: it was stopped or is stuck; `kill -CONT` lets a "
                        "stopped one go on, else end it and start another with `granary up`");
    assert_string_equal(explained(named, STATUS_SYSTEM, EPROTOTYPE, 0),
                        "/a/b is a socket, but not a broker's: name another");
    assert_string_equal(explained(named, STATUS_SYSTEM, EMFILE, 0),
                        "cannot reach the broker at /a/b: Too many open files");
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/granary-find-XXXXXX", path[100], link_path[64], words[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sock", folder);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(find_start(path, 0), STATUS_DENIED);
    assert_int_equal(chmod(folder, 0700), 0);
    snprintf(link_path, sizeof link_path, "%s-link", folder);
    assert_int_equal(symlink(folder, link_path), 0);
    snprintf(path, sizeof path, "%s/sock", link_path);
    assert_int_equal(find_start(path, 0), STATUS_DENIED);
    find_last_words(path, words, sizeof words);
    assert_string_equal(words, "");
    unlink(link_path);
    assert_int_equal(rmdir(folder), 0); /* nothing was made in it */
}

static void a_broker_that_ends_leaves_its_last_words(void **state)
{
    (void)state;
    char folder[] = "/tmp/granary-find-XXXXXX", path[64], program[64], words[64];
    if (access("/usr/local/bin/granaryd", F_OK) == 0 || access("/usr/bin/granaryd", F_OK) == 0)
        skip(); /* an installed one is found before PATH */
    assert_non_null(mkdtemp(folder));
    snprintf(program, sizeof program, "%s/granaryd", folder);
    FILE *f = fopen(program, "w");
    assert_non_null(f);
    fputs("#!/bin/sh\necho first >&2\necho \"no, $1\" >&2\nexit 3\n", f);
    fclose(f);
    assert_int_equal(chmod(program, 0700), 0);
    setenv("PATH", folder, 1);
    snprintf(path, sizeof path, "%s/sock", folder);
    assert_int_equal(find_start(path, 5000), STATUS_LOST);
    find_last_words(path, words, sizeof words);
    assert_string_equal(words, "no, --user-instance");
    const char *made[] = {"granaryd", "start.lock", "start.log"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_socket_is_used_and_nothing_is_started),
        cmocka_unit_test(without_a_name_it_is_our_own),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(what_failed_is_told_with_what_to_do),
        cmocka_unit_test(a_folder_that_others_may_write_is_refused),
        cmocka_unit_test(a_broker_that_ends_leaves_its_last_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
