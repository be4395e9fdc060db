/* differences: only what is found again counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/differences.h"

static void keeps_what_is_found_again(void **state)
{
    (void)state;
    differences first = {0}, second = {0};
    assert_int_equal(differences_add(&first, "a", 1, "first %d", 1), 0);
    assert_int_equal(differences_add(&first, "b", 2, "gone"), 0);
    assert_int_equal(differences_add(&second, "c", 1, "new"), 0);
    assert_int_equal(differences_add(&second, "a", 1, "other number %d", 2), 0);
    differences_keep(&second, &first);
    assert_int_equal(second.n, 1);
    assert_int_equal(second.total, 1);
    assert_string_equal(second.items[0].key, "a 1");
    assert_string_equal(second.items[0].text, "other number 2");
    differences_finish(&first);
    differences_finish(&second);
    assert_null(second.items);
}

static void counts_beyond_its_limit(void **state)
{
    (void)state;
    differences d = {0};
    for (uint64_t i = 0; i < DIFFERENCES_MAX + 5; i++)
        assert_int_equal(differences_add(&d, "x", i, "x"), 0);
    assert_int_equal(d.n, DIFFERENCES_MAX);
    assert_int_equal(d.total, DIFFERENCES_MAX + 5);
    differences_finish(&d);
}

static void is_safe_for_the_terminal(void **state)
{
    (void)state;
    differences d = {0};
    assert_int_equal(differences_add(&d, "x", 1, "host %s", "\033[2J"), 0);
    assert_string_equal(d.items[0].text, "host \\x1b[2J");
    differences_finish(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_what_is_found_again),
                                       cmocka_unit_test(counts_beyond_its_limit),
                                       cmocka_unit_test(is_safe_for_the_terminal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
