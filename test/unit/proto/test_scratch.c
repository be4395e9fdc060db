/* scratch: memory for one message at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/scratch.h"

static void test_take_aligns_and_fills(void **state)
{
    (void)state;
    scratch s;
    assert_int_equal(scratch_init(&s, 4096), 0);
    uint8_t *a = scratch_take(&s, 1), *b = scratch_take(&s, 17);
    assert_non_null(a);
    assert_int_equal(b - a, 16);
    assert_int_equal(s.used, 48);
    assert_false(s.full);
    assert_null(scratch_take(&s, 4096));
    assert_true(s.full);
    assert_int_equal(s.used, 48);
    scratch_return(&s, 16);
    assert_false(s.full);
    assert_ptr_equal(scratch_take(&s, 8), b);
    scratch_reset(&s);
    assert_int_equal(s.used, 0);
    assert_ptr_equal(scratch_take(&s, 8), a);
    scratch_finish(&s);
    assert_null(s.base);
}

static void test_a_hostile_size_does_not_wrap(void **state)
{
    (void)state;
    scratch s;
    assert_int_equal(scratch_init(&s, 4096), 0);
    assert_null(scratch_take(&s, SIZE_MAX));
    assert_null(scratch_take(&s, SIZE_MAX - 8));
    assert_string_equal(scratch_text(&s, "fits"), "fits");
    scratch_take(&s, 4000);
    assert_string_equal(scratch_text(&s, "a text that is longer than what is left of the room, so that it cannot fit"),
                        "");
    assert_true(s.full);
    scratch_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_aligns_and_fills),
        cmocka_unit_test(test_a_hostile_size_does_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
