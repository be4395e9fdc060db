/* launch: found or not, gated, with the numbers in its environment, and why exec failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/exits.h"
#include "cli/launch.h"

static void looks_programs_up(void **state)
{
    (void)state;
    int error = 0;
    assert_int_equal(launch_lookup("true", &error), 0);
    assert_int_equal(launch_lookup("/bin/sh", &error), 0);
    assert_int_equal(error, 0);
    assert_int_equal(launch_lookup("no-such-program-here", &error), EXIT_NOT_FOUND);
    assert_int_equal(error, ENOENT);
    assert_int_equal(launch_lookup("", &error), EXIT_NOT_FOUND);
    assert_int_equal(launch_lookup("/etc/passwd", &error), EXIT_NOT_RUNNABLE);
    assert_int_equal(error, EACCES);
    assert_int_equal(launch_lookup("/tmp", &error), EXIT_NOT_RUNNABLE);
}

static int status_of(const launch *l)
{
    int status;
    assert_int_equal(waitpid(l->gate.pid, &status, 0), l->gate.pid);
    return status;
}

static void runs_with_its_numbers(void **state)
{
    (void)state;
    launch l;
    char *argv[] = {"sh", "-c", "test \"$GRANARY_ALLOCATION.$GRANARY_CLAIM.$GRANARY_SOCKET\" = 12.abc.34./s && exit 7",
                    NULL};
    assert_int_equal(launch_fork(&l, argv, "/s"), 0);
    assert_int_equal(waitpid(l.gate.pid, NULL, WNOHANG), 0);
    assert_int_equal(launch_open(&l, 12, "abc", 34), 0);
    int status = status_of(&l);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(launch_errno(&l), 0);
    launch_finish(&l);
    assert_null(l.page);
}

static void tells_why_exec_failed(void **state)
{
    (void)state;
    launch l;
    char *argv[] = {"/nonexistent/program", NULL};
    assert_int_equal(launch_fork(&l, argv, NULL), 0);
    assert_int_equal(launch_open(&l, 1, "abc", 1), 0);
    assert_int_equal(WEXITSTATUS(status_of(&l)), EXIT_NOT_FOUND);
    assert_int_equal(launch_errno(&l), ENOENT);
    launch_finish(&l);
}

static void never_runs_ungated(void **state)
{
    (void)state;
    launch l;
    char *argv[] = {"true", NULL};
    assert_int_equal(launch_fork(&l, argv, NULL), 0);
    pid_t pid = l.gate.pid;
    launch_finish(&l);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), EXIT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(looks_programs_up), cmocka_unit_test(runs_with_its_numbers),
                                       cmocka_unit_test(tells_why_exec_failed), cmocka_unit_test(never_runs_ungated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
