/*
 * test_study_figure.c - percentiles by nearest rank, and the bound against an exhaustive search.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "study.h"

static void test_nearest_rank(void **state)
{
    double hundred[100], one[] = {7}, four[] = {4, 1, 3, 2};
    (void)state;
    for (int i = 0; i < 100; i++)
        hundred[i] = 100 - i;
    assert_true(percentile(hundred, 100, 0.99) == 99);
    assert_true(percentile(hundred, 100, 0.5) == 50);
    assert_true(percentile(hundred, 100, 1) == 100);
    assert_true(percentile(hundred, 100, 0) == 1);
    assert_true(percentile(one, 1, 0.99) == 7);
    assert_true(percentile(four, 4, 0.5) == 2);
    assert_true(percentile(four, 4, 0.51) == 3);
    assert_true(percentile(NULL, 0, 0.5) == 0);
}

static void test_one_host_waits_for_the_soonest_host(void **state)
{
    /* host 0: 10 free, then 20 at 5 s and 10 at 9 s; host 1: nothing free, 40 at 8 s */
    bound_use uses[] = {{0, GIB(20), 5000}, {0, GIB(10), 9000}, {1, GIB(40), 8000}};
    firm_request r = {.chunk_size = GIB(4), .chunks = 5, .one_host = true};
    (void)state;
    assert_int_equal(bound_of(uses, 3, 2, GIB(40), &r, 1000), 4000); /* 30 GiB at 5 s */
    r.chunks = 8;
    assert_int_equal(bound_of(uses, 3, 2, GIB(40), &r, 1000), 7000); /* 40 GiB of host 1 at 8 s */
    r.chunks = 2;
    assert_int_equal(bound_of(uses, 3, 2, GIB(40), &r, 1000), 0);
    r.chunks = 11;
    assert_int_equal(bound_of(uses, 3, 2, GIB(40), &r, 1000), MS_NEVER);
}

static void test_spread_counts_whole_chunks(void **state)
{
    /* 3 GiB free on each of two hosts are no chunk of 4 */
    bound_use uses[] = {{0, GIB(36), 5000}, {0, GIB(1), 2000}, {1, GIB(37), 4000}};
    firm_request r = {.chunk_size = GIB(4), .chunks = 1};
    (void)state;
    assert_int_equal(bound_of(uses, 3, 2, GIB(40), &r, 0), 2000);
    r.chunks = 2;
    assert_int_equal(bound_of(uses, 3, 2, GIB(40), &r, 0), 4000);
    r.chunks = 12;
    assert_int_equal(bound_of(uses, 3, 2, GIB(40), &r, 0), 5000);
}

static void test_overdrawn_host_pays_first(void **state)
{
    bound_use uses[] = {{0, GIB(40), 5000}, {0, GIB(8), 9000}, {0, GIB(4), 2000}};
    firm_request r = {.chunk_size = GIB(1), .chunks = 1};
    (void)state;
    assert_int_equal(bound_of(uses, 3, 1, GIB(40), &r, 0), 5000); /* at 2 s it is still 8 GiB overdrawn */
}

/* Is it possible to serve it at `at`, if every set of uses that may have ended by then is tried? */
static bool possible(const bound_use *u, unsigned n, const firm_request *r, ms_t at)
{
    for (unsigned ended = 0; ended < 1u << n; ended++) {
        int64_t room[2] = {(int64_t)GIB(40), (int64_t)GIB(40)};
        uint64_t most = 0, sum = 0;
        bool allowed = true;
        for (unsigned i = 0; i < n; i++) {
            if (!(ended >> i & 1))
                room[u[i].host] -= (int64_t)u[i].bytes;
            else if (u[i].end > at)
                allowed = false; /* it would have to be killed */
        }
        for (int h = 0; h < 2; h++) {
            uint64_t fit = room[h] > 0 ? (uint64_t)room[h] / r->chunk_size : 0;
            most = fit > most ? fit : most;
            sum += fit;
        }
        if (allowed && (r->one_host ? most : sum) >= r->chunks)
            return true;
    }
    return false;
}

static void test_against_all_sets(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        rng dice = rng_named(seed, "bound", 0);
        bound_use uses[8], copy[8];
        unsigned n = (unsigned)rng_between(&dice, 1, 8);
        firm_request r = {.chunk_size = GIB(rng_between(&dice, 1, 8)),
                          .chunks = (chunks_t)rng_between(&dice, 1, 6),
                          .one_host = rng_chance(&dice, 500000)};
        for (unsigned i = 0; i < n; i++)
            uses[i] =
                (bound_use){(uint32_t)rng_below(&dice, 2), GIB(rng_between(&dice, 4, 24)), rng_between(&dice, 1, 40)};
        memcpy(copy, uses, sizeof uses);
        ms_t found = MS_NEVER;
        for (ms_t at = 0; at <= 40 && found == MS_NEVER; at++)
            if (possible(copy, n, &r, at))
                found = at;
        assert_int_equal(bound_of(uses, n, 2, GIB(40), &r, 0), found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest_rank),
        cmocka_unit_test(test_one_host_waits_for_the_soonest_host),
        cmocka_unit_test(test_spread_counts_whole_chunks),
        cmocka_unit_test(test_overdrawn_host_pays_first),
        cmocka_unit_test(test_against_all_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
