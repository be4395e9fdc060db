/*
 * test_study_workload.c - what is thrown has the distribution that the study tells, by number and not by time of
 * asking.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "study.h"

enum { THROWS = 20000 };

static double throws(const shape *s, double part)
{
    static double values[THROWS];
    rng dice = rng_named(1, "shape", 0);
    for (int i = 0; i < THROWS; i++)
        values[i] = (double)shape_throw(s, &dice);
    return percentile(values, THROWS, part);
}

static double mean_of(const shape *s)
{
    rng dice = rng_named(2, "shape", 0);
    double sum = 0;
    for (int i = 0; i < THROWS; i++)
        sum += (double)shape_throw(s, &dice);
    return sum / THROWS;
}

#define NEAR(value, wanted, part) assert_true(fabs((value) - (wanted)) <= (wanted) * (part))

static void test_shapes(void **state)
{
    shape equal = {SHAPE_EQUAL, 20, 0, 0}, exponential = {SHAPE_EXPONENTIAL, 20, 0, 0};
    shape pareto = {SHAPE_PARETO, 20, 1.5, 0}, lognormal = {SHAPE_LOGNORMAL, 31, 1.5, 0},
          cut = {SHAPE_PARETO, 20, 1.5, 30};
    (void)state;
    assert_true(throws(&equal, 0.01) == 20000 && throws(&equal, 0.99) == 20000);
    NEAR(mean_of(&exponential), 20000, 0.03);
    NEAR(throws(&exponential, 0.5), 20000 * log(2), 0.03);
    /* least = 20 s / 3; the q-quantile is least * (1 - q)^(-1/1.5) */
    NEAR(throws(&pareto, 0), 20000.0 / 3, 0.01);
    NEAR(throws(&pareto, 0.5), 20000.0 / 3 * pow(0.5, -1 / 1.5), 0.03);
    NEAR(throws(&pareto, 0.99), 20000.0 / 3 * pow(0.01, -1 / 1.5), 0.15);
    NEAR(throws(&lognormal, 0.5), 31000, 0.05);
    NEAR(throws(&lognormal, 0.99), 1003000, 0.15); /* as published */
    assert_true(throws(&cut, 1) == 30000);
}

static void test_by_number(void **state)
{
    const workload *w = workload_find("heavy-tail");
    (void)state;
    assert_non_null(w);
    ms_t fifth = workload_task(w, 1, 3, 5);
    workload_task(w, 1, 3, 6);
    assert_int_equal(workload_task(w, 1, 3, 5), fifth);
    assert_int_not_equal(workload_task(w, 1, 4, 5), fifth);
    assert_int_not_equal(workload_task(w, 2, 3, 5), fifth);
}

static void test_firm_load(void **state)
{
    (void)state;
    for (size_t i = 0; i < workload_count(); i++) {
        const workload *w = workload_at(i);
        double held = 0;
        ms_t at = 0;
        for (uint64_t k = 0; k < THROWS; k++) {
            firm_request r = workload_firm(w, 1, 10, k, at);
            assert_true(r.at >= at && r.chunks >= 1 && r.chunk_size * r.chunks <= HOST_BYTES);
            at = r.at;
            held += (double)r.chunk_size * r.chunks * (double)r.hold;
        }
        /* their part of all memory, on average; long holds are cut, so it is a little less than told */
        double load = held / (double)at / (10.0 * (double)HOST_BYTES);
        assert_true(load > w->firm_load * 0.93 && load < w->firm_load * 1.03);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_null(workload_find("nothing"));
    assert_int_equal(way_find("nothing"), WAYS);
    for (unsigned i = 0; i < WAYS; i++)
        assert_int_equal(way_find(way_name((study_way)i)), i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_by_number),
        cmocka_unit_test(test_firm_load),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
