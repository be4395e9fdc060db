/*
 * harvest_report.h - what a person sees on standard error: a bar on a terminal, a line now and then elsewhere, and
 * the sum at the end.
 *
 * Elsewhere a line comes when a recall has been answered and every HARVEST_REPORT_EVERY_MS, never for each task.
 */
#ifndef GRANARY_CLI_HARVEST_REPORT_H
#define GRANARY_CLI_HARVEST_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "granary.h"
#include "cli/harvest_peaks.h"

#define HARVEST_REPORT_EVERY_MS 10000u
#define HARVEST_REPORT_BAR_MS   200u

typedef struct {
    uint64_t done, failed, oom, retried, stopped, skipped; /* tasks; oom: of `failed`; retried: attempts */
    uint64_t above;            /* attempts that used more than their chunks: no limit is in force */
    uint64_t running, waiting; /* waiting: UINT64_MAX = more than can be known */
} harvest_counts;

typedef struct {
    bool terminal, quiet;
    uint64_t chunk_size;
    uint64_t start_ms, next_ms;
    bool bar_shown;
    harvest_peaks peaks;
    uint32_t most_held; /* chunks, at any moment */
    uint64_t given_back, recalls;
    uint64_t wanted_since; /* 0 = nothing is wanted back */
    uint64_t longest_wait_ms;
    bool recall_news;
} harvest_report;

void harvest_report_init(harvest_report *report, uint64_t chunk_size, bool quiet, uint64_t now_ms);

/* Notes what the pool says. Call after each dispatch. */
void harvest_report_note(harvest_report *report, const granary_pool_stats *stats, uint64_t now_ms);

/* Shows where things are, if it is time. */
void harvest_report_tick(harvest_report *report, const granary_pool_stats *stats, const harvest_counts *counts,
                         uint64_t now_ms);

/* Takes the bar off the terminal, before something else is written there. */
void harvest_report_clear(harvest_report *report);

/* The sum. */
void harvest_report_end(harvest_report *report, const harvest_counts *counts, uint64_t now_ms);

#endif
