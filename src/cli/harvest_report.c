#include "cli/harvest_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"

void harvest_report_init(harvest_report *report, uint64_t chunk_size, bool quiet, uint64_t now_ms)
{
    memset(report, 0, sizeof *report);
    report->terminal = isatty(STDERR_FILENO) == 1;
    report->quiet = quiet;
    report->chunk_size = chunk_size;
    report->start_ms = now_ms;
    report->next_ms = now_ms + (report->terminal ? HARVEST_REPORT_BAR_MS : HARVEST_REPORT_EVERY_MS);
}

void harvest_report_note(harvest_report *report, const granary_pool_stats *stats, uint64_t now_ms)
{
    if (stats->held > report->most_held)
        report->most_held = stats->held;
    if (stats->given_back > report->given_back) {
        const uint64_t wait = report->wanted_since ? now_ms - report->wanted_since : 0;
        if (wait > report->longest_wait_ms)
            report->longest_wait_ms = wait;
        report->recall_news = true;
    }
    if (stats->wanted_back == 0)
        report->wanted_since = 0;
    else if (report->wanted_since == 0)
        report->wanted_since = now_ms;
    report->given_back = stats->given_back;
    report->recalls = stats->recalls;
}

/* Time left, when the number of tasks is known and some have ended. */
static uint64_t time_left(const harvest_report *report, const harvest_counts *counts, uint64_t now_ms)
{
    const uint64_t ended = counts->done + counts->failed;

    if (ended == 0 || counts->waiting == UINT64_MAX)
        return UINT64_MAX;
    return (uint64_t)((double)(now_ms - report->start_ms) / (double)ended *
                      (double)(counts->waiting + counts->running));
}

static int status_text(const harvest_report *report, const granary_pool_stats *stats, const harvest_counts *counts,
                       uint64_t now_ms, char *to, size_t size)
{
    char memory[SIZE_TEXT_MAX], left[DURATION_TEXT_MAX], waiting[32] = "more";
    const uint64_t left_ms = time_left(report, counts, now_ms);
    int n;

    if (counts->waiting != UINT64_MAX)
        (void)snprintf(waiting, sizeof waiting, "%" PRIu64, counts->waiting);
    n = snprintf(to, size, "%" PRIu64 " done", counts->done);
    if (counts->failed > 0)
        n += snprintf(to + n, size - (size_t)n, ", %" PRIu64 " failed", counts->failed);
    n += snprintf(to + n, size - (size_t)n, ", %" PRIu64 " running, %s waiting, %" PRIu32 " of %" PRIu32 " chunks (%s)",
                  counts->running, waiting, stats->held, stats->want,
                  size_format((uint64_t)stats->held * report->chunk_size, memory));
    if (stats->wanted_back > 0)
        n += snprintf(to + n, size - (size_t)n, ", %" PRIu32 " wanted back", stats->wanted_back);
    if (stats->held == 0 && stats->place > 0)
        n += snprintf(to + n, size - (size_t)n, ", place %" PRIu32 " in the queue", stats->place);
    if (left_ms != UINT64_MAX)
        n += snprintf(to + n, size - (size_t)n, ", %s left", duration_format(left_ms, left));
    return n;
}

void harvest_report_tick(harvest_report *report, const granary_pool_stats *stats, const harvest_counts *counts,
                         uint64_t now_ms)
{
    const bool news = report->recall_news && !report->terminal;
    char text[320];

    if (report->quiet || (now_ms < report->next_ms && !news))
        return;
    (void)status_text(report, stats, counts, now_ms, text, sizeof text);
    if (report->terminal) {
        fprintf(stderr, "\r\033[K%.*s", 200, text);
        report->bar_shown = true;
    } else if (news)
        fprintf(stderr, "granary harvest: gave back %" PRIu64 " chunks so far; %s\n", report->given_back, text);
    else
        fprintf(stderr, "granary harvest: %s\n", text);
    report->recall_news = false;
    report->next_ms = now_ms + (report->terminal ? HARVEST_REPORT_BAR_MS : HARVEST_REPORT_EVERY_MS);
}

void harvest_report_clear(harvest_report *report)
{
    if (report->bar_shown)
        fputs("\r\033[K", stderr);
    report->bar_shown = false;
}

/* What a better -m would bring: only said when it would bring something, or when tasks died for want of it. */
static void advice(const harvest_report *report, const harvest_counts *counts)
{
    const uint64_t better = harvest_peaks_chunk(&report->peaks);
    const uint64_t memory = (uint64_t)report->most_held * report->chunk_size;
    char text[SIZE_TEXT_MAX];

    if (better == 0 || report->peaks.max == 0)
        return;
    if (counts->oom > 0) {
        fprintf(stderr, "  %" PRIu64 " ran out of memory: give them more with -m or --mem-max\n", counts->oom);
        return;
    }
    if (counts->above > 0)
        fprintf(stderr,
                "  %" PRIu64 " used more than their lease, which is only measured here: lease %" PRIu64 "M with -m\n",
                counts->above, better / MIB(1));
    if (better >= report->chunk_size || memory / better <= report->most_held)
        return;
    fprintf(stderr,
            "  with -m %" PRIu64 "M the %s that were held would fit %" PRIu64 " tasks at once instead of %" PRIu32 "\n",
            better / MIB(1), size_format(memory, text), memory / better, report->most_held);
}

void harvest_report_end(harvest_report *report, const harvest_counts *counts, uint64_t now_ms)
{
    char wall[DURATION_TEXT_MAX], wait[DURATION_TEXT_MAX];
    char p50[SIZE_TEXT_MAX], p99[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

    harvest_report_clear(report);
    if (report->quiet)
        return;
    fprintf(stderr,
            "granary harvest: %" PRIu64 " done, %" PRIu64 " failed (%" PRIu64 " out of memory), %" PRIu64
            " run again, %s\n",
            counts->done, counts->failed, counts->oom, counts->retried,
            duration_format(now_ms - report->start_ms, wall));
    if (counts->skipped > 0)
        fprintf(stderr, "  %" PRIu64 " were done by an earlier run\n", counts->skipped);
    if (counts->stopped > 0)
        fprintf(stderr, "  %" PRIu64 " were stopped\n", counts->stopped);
    if (report->peaks.count > 0)
        fprintf(stderr, "  memory needed by a task: half at most %s, 99 %% at most %s, the largest %s\n",
                size_format(harvest_peaks_at(&report->peaks, 50), p50),
                size_format(harvest_peaks_at(&report->peaks, 99), p99), size_format(report->peaks.max, max));
    advice(report, counts);
    if (report->recalls > 0)
        fprintf(stderr, "  %" PRIu64 " recalls: %" PRIu64 " chunks given back, the longest wait %s\n", report->recalls,
                report->given_back, duration_format(report->longest_wait_ms, wait));
}
