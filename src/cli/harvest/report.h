/*
 * report.h - what a person sees on standard error: a bar on a terminal, a line now and then elsewhere, and
 * the sum at the end.
 *
 * The bar is drawn over itself, fits the terminal's width at each moment, is never in a line with anything else, and is
 * gone before something else is written. It is not drawn while the harvest is in the background, while the
 * terminal takes nothing (Ctrl-S), or while output of a task is half written. The cursor stays at its beginning: where
 * a terminal that got narrower has broken it into several lines, they are all below, and go with it. A terminal that
 * cannot write over itself (TERM=dumb) is treated as none.
 *
 * Elsewhere a line comes when a recall has been answered and every HARVEST_REPORT_EVERY_MS, never for each task.
 */
#ifndef GRANARY_CLI_HARVEST_REPORT_H
#define GRANARY_CLI_HARVEST_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "granary.h"
#include "cli/harvest/peaks.h"

#define HARVEST_REPORT_EVERY_MS 10000u
#define HARVEST_REPORT_BAR_MS   200u
#define HARVEST_REPORT_SOON_MS  50u /* after something else was written */

typedef struct {
    uint64_t done, failed, oom, retried, stopped, skipped; /* tasks; oom: of `failed`; retried: attempts */
    uint64_t died, died_with;  /* attempts that died of their limit; the largest such limit, in bytes */
    uint64_t above;            /* attempts that used more than their chunks: no limit is in force */
    uint64_t running, waiting; /* waiting: UINT64_MAX = more than can be known */
    bool stopping;             /* what waits will not be started */
} harvest_counts;

typedef struct {
    FILE *to; /* borrowed */
    bool terminal, colours, quiet;
    uint64_t chunk_size;
    uint32_t jobs;
    uint64_t start_ms, next_ms;
    bool bar_shown;
    bool printing; /* output of a task is half written */
    int open_line; /* what was written last to this descriptor did not end its line; -1 = nothing did so */
    harvest_peaks peaks;
    uint32_t most_held; /* chunks, at any moment */
    uint64_t given_back, recalls;
    uint64_t wanted_since; /* 0 = nothing is wanted back */
    uint64_t longest_wait_ms;
    bool recall_news;
    uint64_t seen_ms;          /* up to when `busy_ms` is counted */
    uint64_t seen_running;     /* since then */
    unsigned __int128 busy_ms; /* the times of all tasks so far, together */
} harvest_report;

/* `to` is standard error. */
void harvest_report_init(harvest_report *report, FILE *to, uint64_t chunk_size, uint32_t jobs, bool quiet,
                         uint64_t now_ms);

/* Notes what the pool says. Call after each dispatch. */
void harvest_report_note(harvest_report *report, const granary_pool_stats *stats, uint64_t now_ms);

/* Time left, from what a task took on average and how many run now; UINT64_MAX = unknown. */
uint64_t harvest_report_left(const harvest_report *report, const harvest_counts *counts);

/* Shows where things are, if it is time. Call in every round. */
void harvest_report_tick(harvest_report *report, const granary_pool_stats *stats, const harvest_counts *counts,
                         uint64_t now_ms);

/* The terminal got another width. */
void harvest_report_resized(harvest_report *report);

/* Takes the bar off the terminal, before something else is written there. */
void harvest_report_clear(harvest_report *report);

/* The sum. */
void harvest_report_end(harvest_report *report, const harvest_counts *counts, uint64_t now_ms);

#endif
