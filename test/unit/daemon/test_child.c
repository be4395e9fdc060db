#include "cmocka_all.h"

#include "base/status.h"
#include "daemon/child.h"

static void test_pauses_grow_and_end(void **state)
{
    (void)state;
    child c = {.control = -1};
    assert_int_equal(child_pause(&c, 0, false), 20);
    assert_int_equal(child_pause(&c, 0, false), 40);
    assert_int_equal(child_pause(&c, 0, false), 80);
    assert_int_equal(child_pause(&c, 0, false), 160);
    assert_int_equal(child_pause(&c, 0, false), 320);
    assert_int_equal(child_pause(&c, 0, false), -1);
}

static void test_a_child_that_was_ready_is_never_given_up(void **state)
{
    (void)state;
    child c = {.control = -1, .ready = true, .started = 1000};
    for (unsigned i = 0; i < 20; i++)
        assert_true(child_pause(&c, 1100, false) > 0);
    assert_int_equal(child_pause(&c, 1100, false), 5000);
    assert_int_equal(child_pause(&c, 6000, false), 20); /* it had been stable */
}

static void test_a_shortage_of_memory_is_waited_for(void **state)
{
    (void)state;
    child c = {.control = -1};
    for (unsigned i = 0; i < 20; i++)
        assert_true(child_pause(&c, 0, true) > 0);
    assert_int_equal(child_pause(&c, 0, true), 5000);
    assert_int_equal(child_pause(&c, 0, false), -1);
}

static void test_programs_are_found_beside_us_only(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_int_equal(child_program("no-such-program-of-granary", path), STATUS_NOT_FOUND);
    assert_int_equal(child_program("test_daemon_child", path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_grow_and_end),
        cmocka_unit_test(test_a_child_that_was_ready_is_never_given_up),
        cmocka_unit_test(test_a_shortage_of_memory_is_waited_for),
        cmocka_unit_test(test_programs_are_found_beside_us_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
