#include "cli/harvest/report.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "base/text.h"
#include "cli/harvest/advice.h"
#include "cli/harvest/bar.h"
#include "cli/screen.h"

/* To the beginning of the line, and nothing from here to the end of the screen. */
#define WIPE "\r\033[J"

void harvest_report_init(harvest_report *report, FILE *to, uint64_t chunk_size, uint32_t jobs, bool quiet,
                         uint64_t now_ms)
{
    memset(report, 0, sizeof *report);
    report->to = to;
    report->terminal = screen_moves(to);
    report->colours = screen_colours(to);
    report->quiet = quiet;
    report->chunk_size = chunk_size;
    report->jobs = jobs;
    report->open_line = -1;
    report->start_ms = report->seen_ms = now_ms;
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

static void count_busy(harvest_report *report, uint64_t running, uint64_t now_ms)
{
    report->busy_ms += (unsigned __int128)report->seen_running * (now_ms - report->seen_ms);
    report->seen_ms = now_ms;
    report->seen_running = running;
}

/*
 * A running task is taken to be half done. How many run at once is what memory allows now, and may change: an average
 * over the whole time would remember hours of waiting for memory.
 */
uint64_t harvest_report_left(const harvest_report *report, const harvest_counts *counts)
{
    const double ended = (double)(counts->done + counts->failed), half = (double)counts->running / 2;

    if (ended == 0 || counts->running == 0 || counts->waiting == UINT64_MAX)
        return UINT64_MAX;
    return (uint64_t)((double)report->busy_ms / (ended + half) * ((double)counts->waiting + half) /
                      (double)counts->running);
}

static harvest_bar bar_of(const harvest_report *report, const granary_pool_stats *stats, const harvest_counts *counts,
                          uint64_t now_ms)
{
    return (harvest_bar){
        .done = counts->done,
        .skipped = counts->skipped,
        .failed = counts->failed,
        .running = counts->running,
        .waiting = counts->waiting,
        .stopping = counts->stopping,
        .held = stats->held,
        .want = stats->want,
        .wanted_back = stats->wanted_back,
        .place = stats->place,
        .memory = (uint64_t)stats->held * report->chunk_size,
        .elapsed_ms = now_ms - report->start_ms,
        .left_ms = harvest_report_left(report, counts),
    };
}

/* In one write, so that nothing of another program gets between. */
static void bar_draw(harvest_report *report, const harvest_bar *bar)
{
    char line[HARVEST_BAR_LINE_MAX], text[HARVEST_BAR_LINE_MAX + 32];
    const unsigned columns = screen_columns(report->to);
    const bool after_open_line = report->open_line >= 0 && isatty(report->open_line) == 1;
    const int n = snprintf(text, sizeof text, "%s%s%s\r", after_open_line ? "\n" : "", WIPE,
                           harvest_bar_line(bar, columns > 1 ? columns - 1 : 1, report->colours, line));

    (void)fwrite(text, 1, (size_t)n, report->to);
    (void)fflush(report->to);
    report->open_line = -1;
    report->bar_shown = true;
}

void harvest_report_tick(harvest_report *report, const granary_pool_stats *stats, const harvest_counts *counts,
                         uint64_t now_ms)
{
    const bool news = report->recall_news && !report->terminal;
    char text[HARVEST_BAR_LINE_MAX];

    count_busy(report, counts->running, now_ms);
    if (report->quiet || (now_ms < report->next_ms && !news))
        return;
    const harvest_bar bar = bar_of(report, stats, counts, now_ms);
    report->recall_news = false;
    report->next_ms = now_ms + (report->terminal ? HARVEST_REPORT_BAR_MS : HARVEST_REPORT_EVERY_MS);
    if (report->terminal) {
        if (!report->printing && screen_is_free(report->to))
            bar_draw(report, &bar);
        return;
    }
    fputs("granary harvest: ", report->to);
    if (news)
        fprintf(report->to, "gave back %" PRIu64 " %s so far; ", report->given_back,
                text_plural(report->given_back, "chunk", "chunks"));
    fprintf(report->to, "%s\n", harvest_bar_words(&bar, text));
}

void harvest_report_resized(harvest_report *report)
{
    report->next_ms = report->terminal ? 0 : report->next_ms;
}

void harvest_report_clear(harvest_report *report)
{
    if (!report->bar_shown || !screen_is_free(report->to))
        return;
    (void)fwrite(WIPE, 1, sizeof WIPE - 1, report->to);
    (void)fflush(report->to);
    report->bar_shown = false;
    if (report->next_ms > HARVEST_REPORT_BAR_MS) /* 0: it is to be drawn at once */
        report->next_ms -= HARVEST_REPORT_BAR_MS - HARVEST_REPORT_SOON_MS;
}

static void write_advice(const harvest_report *report, const harvest_counts *counts)
{
    const harvest_seen seen = {
        .peaks = &report->peaks,
        .chunk_size = report->chunk_size,
        .most_held = report->most_held,
        .jobs = report->jobs,
        .tasks = counts->done + counts->failed + counts->stopped,
        .failed = counts->oom,
        .died = counts->died,
        .died_with = counts->died_with,
        .above = counts->above,
    };
    char text[HARVEST_ADVICE_MAX];

    if (harvest_advice(&seen, text)[0])
        fprintf(report->to, "  %s\n", text);
}

void harvest_report_end(harvest_report *report, const harvest_counts *counts, uint64_t now_ms)
{
    char wall[DURATION_TEXT_MAX], wait[DURATION_TEXT_MAX];
    char p50[SIZE_TEXT_MAX], p99[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

    harvest_report_clear(report);
    if (report->quiet)
        return;
    if (report->open_line >= 0 && isatty(report->open_line) == 1 && report->terminal)
        fputc('\n', report->to);
    fprintf(report->to,
            "granary harvest: %" PRIu64 " done, %" PRIu64 " failed (%" PRIu64 " out of memory), %" PRIu64
            " run again, %s\n",
            counts->done, counts->failed, counts->oom, counts->retried,
            duration_format(now_ms - report->start_ms, wall));
    if (counts->skipped > 0)
        fprintf(report->to, "  %" PRIu64 " %s done by an earlier run\n", counts->skipped,
                text_plural(counts->skipped, "was", "were"));
    if (counts->stopped > 0)
        fprintf(report->to, "  %" PRIu64 " %s stopped\n", counts->stopped, text_plural(counts->stopped, "was", "were"));
    if (report->peaks.count > 0)
        fprintf(report->to, "  memory needed by a task: half at most %s, 99 %% at most %s, the largest %s\n",
                size_format(harvest_peaks_at(&report->peaks, 50), p50),
                size_format(harvest_peaks_at(&report->peaks, 99), p99), size_format(report->peaks.max, max));
    write_advice(report, counts);
    if (report->recalls > 0)
        fprintf(report->to, "  %" PRIu64 " %s: %" PRIu64 " %s given back, the longest wait %s\n", report->recalls,
                text_plural(report->recalls, "recall", "recalls"), report->given_back,
                text_plural(report->given_back, "chunk", "chunks"), duration_format(report->longest_wait_ms, wait));
}
