/* Which deaths of its children granaryd mends, and which it ends with. How long it waits: test_child.c. */
#include "cmocka_all.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/reserve.h"
#include "daemon/supervisor.h"

#define EXITED(code)   __W_EXITCODE(code, 0)
#define KILLED(signal) __W_EXITCODE(0, signal)

static void test_what_no_restart_mends(void **state)
{
    (void)state;
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_ORDERLY)), EXIT_ORDERLY); /* it was idle */
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_WRONG_USAGE)), EXIT_WRONG_USAGE);
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_RUNNING)), EXIT_RUNNING);
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_STATE)), EXIT_STATE);
}

static void test_what_is_started_again(void **state)
{
    (void)state;
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_OTHER)), -1);
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_STORE)), -1); /* the disk may have room again */
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_NO_MEMORY)), -1);
    assert_int_equal(supervisor_verdict(true, EXITED(126)), -1);
    assert_int_equal(supervisor_verdict(true, EXITED(255)), -1);
    assert_int_equal(supervisor_verdict(true, KILLED(SIGKILL)), -1);
    assert_int_equal(supervisor_verdict(true, KILLED(SIGABRT)), -1);
}

static void test_an_agent_is_always_started_again(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++)
        assert_int_equal(supervisor_verdict(false, EXITED(code)), -1);
    assert_int_equal(supervisor_verdict(false, KILLED(SIGSEGV)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_no_restart_mends),
        cmocka_unit_test(test_what_is_started_again),
        cmocka_unit_test(test_an_agent_is_always_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
