/* The dice: the same for the same seed, fair, and one stream for each name. */
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void same_seed_same_dice(void **state)
{
    (void)state;
    rng a = rng_named(7, "net", 0), b = rng_named(7, "net", 0), other = rng_named(7, "net", 1),
        named = rng_named(7, "ten", 0);
    uint64_t first = rng_next(&a);
    assert_int_equal(rng_next(&b), first);
    assert_int_not_equal(rng_next(&other), first);
    assert_int_not_equal(rng_next(&named), first);
}

static void every_number_comes_as_often(void **state)
{
    (void)state;
    rng r = rng_named(1, "fair", 0);
    unsigned seen[7] = {0};
    for (unsigned i = 0; i < 70000; i++)
        seen[rng_below(&r, 7)]++;
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(seen[i], 9600, 10400); /* 4 standard deviations are 370 */
    for (unsigned i = 0; i < 1000; i++)
        assert_in_range(rng_between(&r, 5, 8), 5, 8);
}

static void means_are_as_asked(void **state)
{
    (void)state;
    rng r = rng_named(2, "means", 0);
    double sum = 0;
    unsigned below = 0;
    for (unsigned i = 0; i < 100000; i++) {
        sum += rng_exponential(&r, 50);
        below += rng_lognormal(&r, 10, 2) < 10;
    }
    assert_in_range((uint64_t)(sum / 100), 49000, 51000);
    assert_in_range(below, 49000, 51000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_dice),
        cmocka_unit_test(every_number_comes_as_often),
        cmocka_unit_test(means_are_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
