#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/harvest/peaks.h"

static void test_none(void **state)
{
    const harvest_peaks peaks = {0};

    (void)state;
    assert_int_equal(harvest_peaks_at(&peaks, 50), 0);
    assert_int_equal(harvest_peaks_chunk(&peaks), 0);
}

static void test_small_values_are_exact(void **state)
{
    harvest_peaks peaks = {0};

    (void)state;
    for (uint64_t i = 1; i <= 31; i++)
        harvest_peaks_add(&peaks, i);
    assert_int_equal(harvest_peaks_at(&peaks, 1), 1);
    assert_int_equal(harvest_peaks_at(&peaks, 50), 16);
    assert_int_equal(harvest_peaks_at(&peaks, 99), 31);
    assert_int_equal(harvest_peaks_at(&peaks, 100), 31);
}

static void test_close_above_and_never_over_the_most(void **state)
{
    harvest_peaks peaks = {0};

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++)
        harvest_peaks_add(&peaks, i * 1000003);
    for (unsigned percent = 1; percent <= 100; percent++) {
        const uint64_t exact = percent * 10 * 1000003ull, got = harvest_peaks_at(&peaks, percent);
        assert_true(got >= exact);
        assert_true(got <= exact + exact / 32);
    }
    assert_int_equal(harvest_peaks_at(&peaks, 100), 1000003000);
}

static void test_ends_of_the_range(void **state)
{
    harvest_peaks peaks = {0};

    (void)state;
    harvest_peaks_add(&peaks, 0);
    assert_int_equal(harvest_peaks_at(&peaks, 100), 0);
    harvest_peaks_add(&peaks, UINT64_MAX);
    assert_int_equal(harvest_peaks_at(&peaks, 100), UINT64_MAX);
    assert_int_equal(harvest_peaks_at(&peaks, 50), 0);
    assert_true(harvest_peaks_chunk(&peaks) == UINT64_MAX);
}

static uint64_t chunk_for(uint64_t peak)
{
    harvest_peaks peaks = {0};

    harvest_peaks_add(&peaks, peak);
    return harvest_peaks_chunk(&peaks);
}

static void test_chunk(void **state)
{
    const uint64_t mib = 1 << 20, gib = 1 << 30;

    (void)state;
    assert_int_equal(chunk_for(1), 10 * mib);
    assert_int_equal(chunk_for(9 * mib), 10 * mib);
    assert_int_equal(chunk_for(10 * mib), 11 * mib);
    assert_int_equal(chunk_for(10 * mib + 1), 12 * mib);
    assert_int_equal(chunk_for(90 * mib), 99 * mib);
    assert_int_equal(chunk_for(90 * mib + 10), 100 * mib);
    assert_int_equal(chunk_for(674 * mib), 750 * mib);
    assert_int_equal(chunk_for(900 * mib), 990 * mib);
    assert_int_equal(chunk_for(901 * mib), gib);
    assert_int_equal(chunk_for(gib), 11 * gib / 10);
    assert_int_equal(chunk_for(9 * gib), 99 * gib / 10);
    assert_int_equal(chunk_for(10 * gib), 11 * gib);
    assert_int_equal(chunk_for(100 * gib), 110 * gib);
    assert_int_equal(chunk_for(UINT64_MAX / 2), 9227470ull << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_close_above_and_never_over_the_most),
        cmocka_unit_test(test_ends_of_the_range),
        cmocka_unit_test(test_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
