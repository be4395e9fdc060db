#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/harvest/advice.h"

#define MIB(n) ((uint64_t)(n) << 20)

/* What is said when 20 tasks ran in so many chunks of 700M, the largest task with this peak. */
static const char *said(harvest_seen seen, uint64_t peak)
{
    static char text[HARVEST_ADVICE_MAX];
    harvest_peaks peaks = {0};

    harvest_peaks_add(&peaks, peak);
    seen.peaks = &peaks;
    seen.chunk_size = MIB(700);
    seen.tasks = seen.tasks ? seen.tasks : 20;
    return harvest_advice(&seen, text);
}

static void test_smaller_chunks_only_when_more_would_run(void **state)
{
    (void)state;
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 8}, MIB(150)),
                        "with -m 170M 8 tasks would run at once in that memory, instead of 4");
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 100}, MIB(150)),
                        "with -m 170M 16 tasks would run at once in that memory, instead of 4");
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 100, .tasks = 6}, MIB(150)),
                        "with -m 170M 6 tasks would run at once in that memory, instead of 4");
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 6}, 4096),
                        "with -m 10M 6 tasks would run at once in that memory, instead of 4");
    assert_string_equal(said((harvest_seen){.most_held = 1, .jobs = 8}, MIB(300)),
                        "with -m 330M 2 tasks would run at once in that memory, instead of 1");
}

static void test_silent_where_nothing_is_gained(void **state)
{
    (void)state;
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 4}, 4096), "");             /* -j is the limit */
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 8, .tasks = 4}, 4096), ""); /* so few tasks */
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 8}, MIB(520)), "");         /* 580M: still 4 */
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 8}, MIB(630)), "");         /* 700M it is */
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 8}, MIB(664)), "");         /* below 95 % */
    assert_string_equal(said((harvest_seen){.most_held = 0, .jobs = 8}, MIB(1)), "");
}

static void test_nothing_was_measured(void **state)
{
    const harvest_peaks none = {0};
    const harvest_seen seen = {.peaks = &none, .chunk_size = MIB(700), .most_held = 4, .jobs = 8, .tasks = 20};
    char text[HARVEST_ADVICE_MAX];

    (void)state;
    assert_string_equal(harvest_advice(&seen, text), "");
}

static void test_close_to_the_limit(void **state)
{
    (void)state;
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 8}, MIB(665)),
                        "the largest came within 5 % of its limit: -m 740M leaves room");
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 4}, MIB(700)),
                        "the largest came within 5 % of its limit: -m 770M leaves room");
}

static void test_died_of_the_limit(void **state)
{
    (void)state;
    assert_string_equal(said((harvest_seen){.most_held = 8, .jobs = 8, .died = 1, .died_with = MIB(700)}, MIB(1200)),
                        "1 attempt died of the limit and ran again with more: -m 1.3G would hold all, 4 at once");
    assert_string_equal(said((harvest_seen){.most_held = 1, .jobs = 8, .died = 2, .died_with = MIB(700)}, MIB(1200)),
                        "2 attempts died of the limit and ran again with more: -m 1.3G would hold all, 1 at once");
    assert_string_equal(
        said((harvest_seen){.most_held = 8, .jobs = 8, .died = 3, .failed = 1, .died_with = MIB(2800)}, MIB(2800)),
        "1 task ran out of memory with 2800M: try --mem-max 5600M");
    assert_string_equal(
        said((harvest_seen){.most_held = 8, .jobs = 8, .died = 3, .failed = 3, .died_with = MIB(700)}, MIB(700)),
        "3 tasks ran out of memory with 700M: try --mem-max 1400M");
}

static void test_more_than_was_leased_where_nothing_is_limited(void **state)
{
    (void)state;
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 4, .above = 1}, MIB(800)),
                        "1 task used more than was leased, which is only measured here: lease it with -m 880M");
    assert_string_equal(said((harvest_seen){.most_held = 4, .jobs = 4, .above = 2}, MIB(800)),
                        "2 tasks used more than was leased, which is only measured here: lease it with -m 880M");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smaller_chunks_only_when_more_would_run),
        cmocka_unit_test(test_silent_where_nothing_is_gained),
        cmocka_unit_test(test_nothing_was_measured),
        cmocka_unit_test(test_close_to_the_limit),
        cmocka_unit_test(test_died_of_the_limit),
        cmocka_unit_test(test_more_than_was_leased_where_nothing_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
