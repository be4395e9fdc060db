/* screen: bars in proportion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "cli/screen.h"

static void draws_in_proportion(void **state)
{
    (void)state;
    char to[SCREEN_BAR_MAX + 3];
    const screen_part parts[] = {{50, '#'}, {25, '='}, {0, 'x'}};
    assert_string_equal(screen_bar(to, parts, 3, 100, 8), "[####==  ]");
    assert_string_equal(screen_bar(to, parts, 3, 75, 3), "[##=]");
    assert_string_equal(screen_bar(to, parts, 3, 0, 4), "[    ]");
    assert_string_equal(screen_bar(to, parts, 3, 10, 4), "[####]");
}

static void shows_what_is_small(void **state)
{
    (void)state;
    char to[SCREEN_BAR_MAX + 3];
    const screen_part parts[] = {{1, '#'}, {1, '='}};
    assert_string_equal(screen_bar(to, parts, 2, 1000000, 5), "[#=   ]");
}

static void no_terminal_has_no_width(void **state)
{
    (void)state;
    FILE *f = fopen("/dev/null", "w");
    assert_non_null(f);
    assert_int_equal(screen_width(f), 0);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(draws_in_proportion), cmocka_unit_test(shows_what_is_small),
                                       cmocka_unit_test(no_terminal_has_no_width)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
