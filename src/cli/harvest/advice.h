/*
 * advice.h - what a better -m would bring, in one line at the end of a harvest, or nothing.
 *
 * The first that applies:
 *   1. tasks failed for want of memory: allow them more (--mem-max, twice what they died with);
 *   2. tasks died of their limit and were run again in more chunks: the -m that holds them all;
 *   3. tasks used more than their chunk where nothing is limited: the same;
 *   4. a task came within HARVEST_ADVICE_NEAR percent of its limit: a -m with room;
 *   5. with a smaller -m more tasks would have run at once in the memory that was held.
 * So many would run at once as that memory holds, as -j allows, and as there are tasks. Pure.
 */
#ifndef GRANARY_CLI_HARVEST_ADVICE_H
#define GRANARY_CLI_HARVEST_ADVICE_H

#include <stdint.h>

#include "cli/harvest/peaks.h"

#define HARVEST_ADVICE_MAX  192u /* any line, and its end */
#define HARVEST_ADVICE_NEAR 5u   /* percent */

typedef struct {
    const harvest_peaks *peaks;
    uint64_t chunk_size;
    uint32_t most_held, jobs; /* chunks at any moment; -j, or the cores */
    uint64_t tasks;           /* that ran */
    uint64_t failed;          /* for want of memory, at the last attempt */
    uint64_t died, died_with; /* attempts that died of their limit; the largest such limit, in bytes */
    uint64_t above;           /* attempts that used more than their chunks and went on */
} harvest_seen;

/* The line, without its end; "" = all is well. Returns `to`. */
char *harvest_advice(const harvest_seen *seen, char to[HARVEST_ADVICE_MAX]);

#endif
