#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/harvest/report.h"

#define CHUNK (700ull << 20)

/* A report on a pseudo terminal. */
typedef struct {
    FILE *to;
    int master, slave;
    harvest_report report;
} fixture;

static fixture on_terminal(unsigned short columns)
{
    const struct winsize size = {.ws_row = 24, .ws_col = columns};
    fixture f = {0};

    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    assert_int_equal(openpty(&f.master, &f.slave, NULL, NULL, &size), 0);
    f.to = fdopen(dup(f.slave), "w");
    assert_non_null(f.to);
    harvest_report_init(&f.report, f.to, CHUNK, 4, false, 1000);
    return f;
}

static void finish(fixture *f)
{
    fclose(f->to);
    close(f->master);
    close(f->slave);
}

/* What has been written since the last look. Something must have been. */
static const char *drawn(fixture *f)
{
    static char text[4096];
    const ssize_t n = read(f->master, text, sizeof text - 1);

    assert_true(n > 0);
    text[n] = '\0';
    return text;
}

static bool silent(fixture *f)
{
    int n = -1;

    assert_int_equal(ioctl(f->master, FIONREAD, &n), 0);
    return n == 0;
}

static void test_draws_over_itself_and_follows_the_width(void **state)
{
    const granary_pool_stats stats = {.held = 2, .want = 4};
    const harvest_counts counts = {.done = 5, .running = 2, .waiting = 3};
    struct winsize size = {.ws_row = 24, .ws_col = 40};
    fixture f = on_terminal(80);

    (void)state;
    harvest_report_tick(&f.report, &stats, &counts, 1199);
    assert_true(silent(&f));
    harvest_report_tick(&f.report, &stats, &counts, 1200);
    assert_string_equal(drawn(&f), "\r\033[J[######>>    ]  50% 5 done, 2 running, 3 waiting, "
                                   "2/4 chunks (1400M), 1s left\r");
    harvest_report_tick(&f.report, &stats, &counts, 1399);
    assert_true(silent(&f));
    assert_int_equal(ioctl(f.slave, TIOCSWINSZ, &size), 0);
    harvest_report_resized(&f.report);
    harvest_report_tick(&f.report, &stats, &counts, 1399);
    assert_string_equal(drawn(&f), "\r\033[J[######>>    ]  50% 5 done, 2 run, 1s\r");
    harvest_report_clear(&f.report);
    assert_string_equal(drawn(&f), "\r\033[J");
    harvest_report_clear(&f.report);
    assert_true(silent(&f));
    harvest_report_tick(&f.report, &stats, &counts, 1449); /* soon again, after what came between */
    assert_string_equal(drawn(&f), "\r\033[J[######>>    ]  50% 5 done, 2 run, 1s\r");
    finish(&f);
}

static void test_never_in_a_line_with_output(void **state)
{
    const granary_pool_stats stats = {.held = 1, .want = 1};
    const harvest_counts counts = {.running = 1, .waiting = 3};
    fixture f = on_terminal(60);

    (void)state;
    f.report.printing = true;
    harvest_report_tick(&f.report, &stats, &counts, 1200);
    assert_true(silent(&f));
    assert_int_equal(f.report.next_ms, 1400); /* nobody is woken for it before */
    f.report.printing = false;
    f.report.open_line = f.slave;
    harvest_report_tick(&f.report, &stats, &counts, 1400);
    assert_string_equal(drawn(&f), "\r\n\r\033[J[>>>         ]   0% 0 done, 1 run, 3 wait, 1/1 chunk (700M)\r");
    harvest_report_tick(&f.report, &stats, &counts, 1600);
    assert_string_equal(drawn(&f), "\r\033[J[>>>         ]   0% 0 done, 1 run, 3 wait, 1/1 chunk (700M)\r");
    finish(&f);
}

static void test_a_terminal_that_cannot_is_none(void **state)
{
    fixture f = on_terminal(80);

    (void)state;
    assert_true(f.report.terminal);
    assert_false(f.report.colours);
    unsetenv("NO_COLOR");
    harvest_report_init(&f.report, f.to, CHUNK, 4, false, 1000);
    assert_true(f.report.terminal && f.report.colours);
    setenv("TERM", "dumb", 1);
    harvest_report_init(&f.report, f.to, CHUNK, 4, false, 1000);
    assert_false(f.report.terminal || f.report.colours);
    unsetenv("TERM");
    harvest_report_init(&f.report, f.to, CHUNK, 4, false, 1000);
    assert_false(f.report.terminal || f.report.colours);
    finish(&f);
}

static void test_time_left(void **state)
{
    const granary_pool_stats stats = {0};
    harvest_counts counts = {.running = 4, .waiting = 8};
    fixture f = on_terminal(80);

    (void)state;
    f.report.quiet = true;
    harvest_report_tick(&f.report, &stats, &(harvest_counts){.waiting = 12}, 1000);
    harvest_report_tick(&f.report, &stats, &counts, 601000); /* ten minutes in the queue are no task's */
    harvest_report_tick(&f.report, &stats, &counts, 611000);
    assert_true(harvest_report_left(&f.report, &counts) == UINT64_MAX);
    counts.done = 4;
    counts.waiting = 4;
    assert_true(f.report.busy_ms == 40000);
    assert_int_equal(harvest_report_left(&f.report, &counts), 10000); /* 6 tasks' work is done, 6 tasks' is left */
    counts.running = 2;                                               /* half of the memory went: twice as long */
    counts.waiting = 5;
    counts.done = 4;
    assert_int_equal(harvest_report_left(&f.report, &counts), 24000);
    counts.waiting = UINT64_MAX;
    assert_true(harvest_report_left(&f.report, &counts) == UINT64_MAX);
    counts.waiting = 5;
    counts.running = 0;
    assert_true(harvest_report_left(&f.report, &counts) == UINT64_MAX);
    finish(&f);
}

/* What the end of this harvest says, elsewhere than on a terminal. */
static void says_at_end(const harvest_counts *counts, const granary_pool_stats *stats, uint64_t peak,
                        const char *expected)
{
    harvest_report report;
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    assert_non_null(to);
    harvest_report_init(&report, to, CHUNK, 4, false, 1000);
    harvest_report_note(&report, stats, 1000);
    if (peak > 0)
        harvest_peaks_add(&report.peaks, peak);
    harvest_report_end(&report, counts, 3500);
    fclose(to);
    assert_string_equal(text, expected);
    free(text);
}

static void test_the_sum(void **state)
{
    (void)state;
    says_at_end(&(harvest_counts){0}, &(granary_pool_stats){0}, 0,
                "granary harvest: 0 done, 0 failed (0 out of memory), 0 run again, 2.5s\n");
    says_at_end(&(harvest_counts){.done = 9, .skipped = 1, .stopped = 1},
                &(granary_pool_stats){.held = 2, .recalls = 1, .given_back = 1}, 100 << 20,
                "granary harvest: 9 done, 0 failed (0 out of memory), 0 run again, 2.5s\n"
                "  1 was done by an earlier run\n"
                "  1 was stopped\n"
                "  memory needed by a task: half at most 100M, 99 % at most 100M, the largest 100M\n"
                "  with -m 110M 4 tasks would run at once in that memory, instead of 2\n"
                "  1 recall: 1 chunk given back, the longest wait 0ms\n");
    says_at_end(&(harvest_counts){.done = 9, .skipped = 2, .stopped = 2},
                &(granary_pool_stats){.held = 4, .recalls = 2, .given_back = 3}, 100 << 20,
                "granary harvest: 9 done, 0 failed (0 out of memory), 0 run again, 2.5s\n"
                "  2 were done by an earlier run\n"
                "  2 were stopped\n"
                "  memory needed by a task: half at most 100M, 99 % at most 100M, the largest 100M\n"
                "  2 recalls: 3 chunks given back, the longest wait 0ms\n");
}

static void test_lines_elsewhere(void **state)
{
    const harvest_counts counts = {.done = 1, .running = 1, .waiting = 3};
    harvest_report report;
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    (void)state;
    assert_non_null(to);
    harvest_report_init(&report, to, CHUNK, 4, false, 1000);
    harvest_report_tick(&report, &(granary_pool_stats){.held = 1, .want = 4}, &counts, 10999);
    fflush(to);
    assert_string_equal(text, "");
    harvest_report_tick(&report, &(granary_pool_stats){.held = 1, .want = 4}, &counts, 11000);
    harvest_report_note(&report, &(granary_pool_stats){.held = 1, .given_back = 1, .recalls = 1}, 11500);
    harvest_report_tick(&report, &(granary_pool_stats){.held = 1, .want = 4}, &counts, 11500);
    fclose(to);
    assert_string_equal(
        text, "granary harvest: 1 done, 1 running, 3 waiting, 1 of 4 chunks (700M), 1s left\n"
              "granary harvest: gave back 1 chunk so far; 1 done, 1 running, 3 waiting, 1 of 4 chunks (700M), "
              "2s left\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_over_itself_and_follows_the_width),
        cmocka_unit_test(test_never_in_a_line_with_output),
        cmocka_unit_test(test_a_terminal_that_cannot_is_none),
        cmocka_unit_test(test_time_left),
        cmocka_unit_test(test_the_sum),
        cmocka_unit_test(test_lines_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
