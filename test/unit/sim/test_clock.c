/* Jobs come in the order of their times, and of their making; cancelled ones not at all; machines' clocks differ. */
#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "rng.h"

#define JOBS 5000u

static struct {
    sim_clock *clock;
    us_t due[JOBS];
    clock_job jobs[JOBS];
    bool done[JOBS], cancelled[JOBS];
    us_t last_time;
    uint64_t last, count;
} seen;

static void on_job(void *context, uint64_t i)
{
    assert_ptr_equal(context, &seen);
    assert_int_equal(clock_now(seen.clock), seen.due[i]);
    assert_false(seen.cancelled[i] || seen.done[i]);
    assert_true(seen.due[i] > seen.last_time || (seen.due[i] == seen.last_time && i > seen.last) || seen.count == 0);
    seen.done[i] = true;
    seen.last_time = seen.due[i];
    seen.last = i;
    seen.count++;
}

static void random_jobs_in_order(void **state)
{
    (void)state;
    rng dice = rng_named(3, "jobs", 0);
    seen.clock = clock_create();
    for (uint64_t i = 0; i < JOBS; i++) {
        seen.due[i] = rng_below(&dice, 700); /* many at one time */
        seen.jobs[i] = clock_at(seen.clock, seen.due[i], on_job, &seen, i);
        uint64_t other = rng_below(&dice, i + 1);
        if (rng_chance(&dice, 300000) && !seen.cancelled[other]) {
            seen.cancelled[other] = true;
            clock_cancel(seen.clock, &seen.jobs[other]);
            assert_int_equal(seen.jobs[other], 0);
        }
    }
    while (clock_turn(seen.clock))
        ;
    for (uint64_t i = 0; i < JOBS; i++)
        assert_true(seen.done[i] != seen.cancelled[i]);
    assert_int_equal(clock_turns(seen.clock), seen.count);
    clock_job late = seen.jobs[JOBS - 1];
    clock_cancel(seen.clock, &late); /* done long ago */
    clock_destroy(seen.clock);
}

static ms_t kernel_ms(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &t), 0);
    return (ms_t)t.tv_sec * 1000 + (ms_t)t.tv_nsec / 1000000;
}

static void nothing(void *context, uint64_t argument)
{
    (void)context;
    (void)argument;
}

static void machines_clocks(void **state)
{
    (void)state;
    sim_clock *c = clock_create();
    machine_clock on_time = {0}, ahead = {US_OF_MS(5000)};
    clock_at(c, US_OF_MS(250), nothing, NULL, 0);
    clock_turn(c);
    clock_enter(c, &on_time);
    assert_int_equal(kernel_ms(), CLOCK_EPOCH_MS + 250);
    clock_enter(c, &ahead);
    assert_int_equal(kernel_ms(), CLOCK_EPOCH_MS + 5250);
    assert_int_equal(clock_when(c, &ahead, CLOCK_EPOCH_MS + 6000), US_OF_MS(1000));
    assert_int_equal(clock_when(c, &ahead, CLOCK_EPOCH_MS + 1), US_OF_MS(250)); /* passed: now */
    assert_int_equal(clock_when(c, &ahead, MS_NEVER), US_NEVER);
    clock_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_jobs_in_order),
        cmocka_unit_test(machines_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
