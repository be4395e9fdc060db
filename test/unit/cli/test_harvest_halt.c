#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/status.h"
#include "cli/harvest/halt.h"

static harvest_halt parse(const char *text)
{
    harvest_halt halt = {0};
    const char *why = NULL;

    assert_int_equal(harvest_halt_parse(text, &halt, &why), 0);
    return halt;
}

static void test_good_rules(void **state)
{
    harvest_halt halt;

    (void)state;
    assert_int_equal(parse("never").when, HALT_NEVER);
    halt = parse("now,fail=1");
    assert_true(halt.when == HALT_NOW && halt.what == HALT_FAIL && halt.limit == 1 && !halt.percent);
    halt = parse("soon,fail=20%");
    assert_true(halt.when == HALT_SOON && halt.what == HALT_FAIL && halt.limit == 20 && halt.percent);
    halt = parse("soon,success=4294967295");
    assert_true(halt.what == HALT_SUCCESS && halt.limit == UINT32_MAX);
    assert_int_equal(parse("now,done=100%").what, HALT_DONE);
}

static void test_bad_rules(void **state)
{
    static const char *const bad[] = {
        "",
        "now",
        "soon,",
        "now,fail",
        "now,fail=",
        "now,fail=0",
        "now,fail=-1",
        "now,fail=1x",
        "now,fail=101%",
        "now,fail=0%",
        "now,fail=%",
        "now,fail=5%%",
        "later,fail=1",
        "never,fail=1",
        "now,fail=4294967296",
        "now,fail=99999999999999999999",
        " now,fail=1",
        "NOW,fail=1",
    };
    harvest_halt halt = {.limit = 77};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *why = NULL;
        assert_int_equal(harvest_halt_parse(bad[i], &halt, &why), STATUS_INVALID);
        assert_non_null(why);
        assert_int_equal(halt.limit, 77);
    }
}

static void test_when_it_is_due(void **state)
{
    const harvest_halt never = parse("never"), two = parse("soon,fail=2"), percent = parse("soon,fail=20%");
    const harvest_halt success = parse("now,success=1"), done = parse("now,done=3");

    (void)state;
    assert_false(harvest_halt_due(&never, 1000, 1000));
    assert_false(harvest_halt_due(&two, 1000, 1));
    assert_true(harvest_halt_due(&two, 2, 2));
    assert_false(harvest_halt_due(&percent, 2, 2)); /* too few to speak of percent */
    assert_true(harvest_halt_due(&percent, 3, 1));
    assert_false(harvest_halt_due(&percent, 6, 1));
    assert_true(harvest_halt_due(&percent, 5, 1));
    assert_false(harvest_halt_due(&percent, 0, 0));
    assert_false(harvest_halt_due(&success, 5, 5));
    assert_true(harvest_halt_due(&success, 5, 4));
    assert_false(harvest_halt_due(&done, 2, 0));
    assert_true(harvest_halt_due(&done, 3, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_rules),
        cmocka_unit_test(test_bad_rules),
        cmocka_unit_test(test_when_it_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
