#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/harvest/bar.h"

/* A batch in the middle: 13 of 30 have ended. */
static const harvest_bar middle = {
    .done = 12,
    .failed = 1,
    .running = 4,
    .waiting = 13,
    .held = 4,
    .want = 8,
    .memory = 2800ull << 20,
    .elapsed_ms = 40000,
    .left_ms = 46200,
};

static void shows(harvest_bar bar, unsigned width, const char *line)
{
    char to[HARVEST_BAR_LINE_MAX];

    assert_string_equal(harvest_bar_line(&bar, width, false, to), line);
    assert_true(strlen(to) <= width);
}

static void test_fits_each_width(void **state)
{
    (void)state;
    shows(
        middle, 199,
        "[##############################################xxxx>>>>>>>>>>>>>>>>                                           "
        "       ]  43% 12 done, 1 failed, 4 running, 13 waiting, 4 of 8 chunks (2800M), 47s left");
    shows(
        middle, 119,
        "[##############xx>>>>                ]  43% 12 done, 1 failed, 4 running, 13 waiting, 4 of 8 chunks (2800M), "
        "47s left");
    shows(middle, 90, "[#####x>     ]  43% 12 done, 1 failed, 4 running, 13 waiting, 4/8 chunks (2800M), 47s left");
    shows(middle, 79, "[#####x>     ]  43% 12 done, 1 failed, 4 run, 13 wait, 4/8 chunks (2800M), 47s");
    shows(middle, 70, "[#####x>     ]  43% 12 done, 1 failed, 4 run, 13 wait, 4/8 chunks, 47s");
    shows(middle, 59, "[#####x>     ]  43% 12 done, 1 failed, 4 run, 13 wait, 47s");
    shows(middle, 39, "[###x>   ]  43% 12 done, 1 failed, 47s");
    shows(middle, 29, "[#####x>     ]  43% 12 done");
    shows(middle, 22, "12 done, 1 failed, 47s");
    shows(middle, 21, "12 done, 1 failed");
    shows(middle, 7, "12 done");
    shows(middle, 6, "");
    shows(middle, 1, "");
}

/* Where the bar and the words always fit, and what is drawn of the bar is never more than its cells. */
static void test_never_wider_than_asked(void **state)
{
    const uint64_t figures[] = {0, 1, 999, 1000000, UINT64_MAX / 8};

    (void)state;
    for (unsigned width = 1; width <= 300; width++)
        for (unsigned i = 0; i < 5 * 5 * 5; i++) {
            const harvest_bar bar = {
                .done = figures[i % 5],
                .failed = figures[i / 5 % 5],
                .running = figures[i / 25],
                .waiting = i % 7 ? figures[4] : UINT64_MAX,
                .held = UINT32_MAX,
                .want = UINT32_MAX,
                .wanted_back = UINT32_MAX,
                .memory = UINT64_MAX,
                .elapsed_ms = UINT64_MAX / 2,
                .left_ms = figures[i % 5],
            };
            char to[HARVEST_BAR_LINE_MAX];
            assert_true(strlen(harvest_bar_line(&bar, width, false, to)) <= width);
            assert_true(strlen(harvest_bar_line(&bar, width, true, to)) < sizeof to);
        }
}

static void test_no_total_no_share(void **state)
{
    harvest_bar bar = middle;

    (void)state;
    bar.waiting = UINT64_MAX;
    shows(bar, 119, "12 done, 1 failed, 4 running, more to come, 4 of 8 chunks (2800M), 19.5/min, 40s");
    shows(bar, 79, "12 done, 1 failed, 4 running, more to come, 4/8 chunks (2800M), 19.5/min, 40s");
    shows(bar, 39, "12 done, 1 failed, 4 run, more, 40s");
    bar.done = 500;
    shows(bar, 119, "500 done, 1 failed, 4 running, more to come, 4 of 8 chunks (2800M), 12.5/s, 40s");
    bar.done = 1;
    bar.failed = 0;
    bar.elapsed_ms = 7200000;
    shows(bar, 119, "1 done, 4 running, more to come, 4 of 8 chunks (2800M), 0.5/h, 2h");
    bar.done = 0;
    bar.elapsed_ms = 999;
    shows(bar, 119, "0 done, 4 running, more to come, 4 of 8 chunks (2800M)");
}

static void test_begins_and_ends(void **state)
{
    const harvest_bar begin = {
        .running = 1, .waiting = 9, .held = 1, .want = 1, .memory = 1 << 30, .left_ms = UINT64_MAX};
    harvest_bar end = {.done = 8, .skipped = 2, .want = 1, .left_ms = 0};

    (void)state;
    shows(begin, 79, "[>>                  ]   0% 0 done, 1 running, 9 waiting, 1 of 1 chunk (1.0G)");
    shows(end, 79, "[############] 100% 10 done, 0 running, 0 waiting, 0 of 1 chunk (0), 1s left");
    end.waiting = 990;
    shows(end, 79, "[#           ]   1% 10 done, 0 running, 990 waiting, 0 of 1 chunk (0), 1s left");
}

static void test_waits_for_memory(void **state)
{
    const harvest_bar bar = {.done = 12, .waiting = 13, .want = 8, .place = 2, .left_ms = UINT64_MAX};

    (void)state;
    shows(
        bar, 119,
        "[###################                     ]  48% 12 done, 0 running, 13 waiting, waits for memory, place 2 in "
        "the queue");
    shows(bar, 79, "[########        ]  48% 12 done, 0 running, 13 waiting, place 2 in the queue");
    shows(bar, 39, "[####    ]  48% 12 done, 0 run, queued");
}

static void test_stopping_and_wanted_back(void **state)
{
    harvest_bar bar = middle;

    (void)state;
    bar.wanted_back = 1;
    shows(bar, 139,
          "[################x>>>>>>                 ]  43% 12 done, 1 failed, 4 running, 13 waiting, 4 of 8 chunks "
          "(2800M), 1 wanted back, 47s left");
    bar.stopping = true;
    shows(bar, 119, "12 done, 1 failed, 4 running, stopping, 4 of 8 chunks (2800M), 1 wanted back");
    shows(bar, 39, "12 done, 1 failed, 4 run, stopping");
}

static void test_colours(void **state)
{
    const harvest_bar bar = {.done = 2,
                             .failed = 1,
                             .running = 1,
                             .held = 1,
                             .want = 4,
                             .memory = 1 << 30,
                             .wanted_back = 1,
                             .left_ms = 2500};
    char to[HARVEST_BAR_LINE_MAX];

    (void)state;
    assert_string_equal(
        harvest_bar_line(&bar, 89, true, to),
        "[\033[32m########\033[0m\033[31mxxxx\033[0m>>>>]  75% 2 done, \033[31m1 failed\033[0m, 1 run, 0 wait, "
        "1/4 chunks (1.0G), \033[33m1 back\033[0m, 3s");
}

static void test_words(void **state)
{
    char to[HARVEST_BAR_LINE_MAX];

    (void)state;
    assert_string_equal(harvest_bar_words(&middle, to),
                        "12 done, 1 failed, 4 running, 13 waiting, 4 of 8 chunks (2800M), 47s left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits_each_width),   cmocka_unit_test(test_never_wider_than_asked),
        cmocka_unit_test(test_no_total_no_share), cmocka_unit_test(test_begins_and_ends),
        cmocka_unit_test(test_waits_for_memory),  cmocka_unit_test(test_stopping_and_wanted_back),
        cmocka_unit_test(test_colours),           cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
