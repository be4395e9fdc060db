/* nearest: what was meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/nearest.h"

static void counts_edits(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance("status", "status"), 0);
    assert_int_equal(nearest_distance("status", "stauts"), 1);
    assert_int_equal(nearest_distance("", "run"), 3);
    assert_int_equal(nearest_distance("run", ""), 3);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
    assert_int_equal(nearest_distance("memory", "memry"), 1);
    char longer[NEAREST_WORD_MAX + 1];
    memset(longer, 'a', sizeof longer);
    longer[NEAREST_WORD_MAX] = '\0';
    assert_int_equal(nearest_distance(longer, "a"), NEAREST_WORD_MAX);
}

static void offers_what_was_meant(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("stauts", NULL, "status"), "status");
    assert_string_equal(nearest_of("alloc", NULL, "allocations"), "allocations");
    assert_null(nearest_of("xyzzy", NULL, "status"));
    assert_null(nearest_of("a", NULL, "run"));
    assert_string_equal(nearest_of("quee", "queue", "run"), "queue");
    assert_string_equal(nearest_of("undrian", "drain", "undrain"), "undrain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_edits), cmocka_unit_test(offers_what_was_meant)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
