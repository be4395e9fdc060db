/*
 * bar.h - how far a harvest is, in one line: with a bar for a terminal of some width, or as plain words.
 *
 *     [##########x>>>          ]  45% 8 done, 1 failed, 3 running, 8 waiting, 3 of 4 chunks (2100M), 47s left
 *
 * In the bar # is done, x failed, > running. When the terminal is narrow, words get shorter and then the least
 * important ones go; the bar takes what the words leave. While more inputs may come there is no total: then no bar and
 * no share of the whole is shown, but how fast it goes and for how long it has. Pure; everything is ASCII.
 */
#ifndef GRANARY_CLI_HARVEST_BAR_H
#define GRANARY_CLI_HARVEST_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARVEST_BAR_LINE_MAX 1024u /* any line, its colours and its end */

typedef struct {
    uint64_t done, skipped, failed, running; /* tasks; skipped: done by an earlier run */
    uint64_t waiting;                        /* UINT64_MAX = more may come: the total is unknown */
    bool stopping;                           /* what waits will not be started */
    uint32_t held, want, wanted_back, place; /* chunks; place in the queue while none is held, 0 = not queued */
    uint64_t memory;                         /* bytes of the chunks held */
    uint64_t elapsed_ms, left_ms;            /* left_ms: UINT64_MAX = unknown */
} harvest_bar;

/* The line for a terminal, at most `width` columns. `colour`: with colours. Returns `to`. */
char *harvest_bar_line(const harvest_bar *bar, unsigned width, bool colour, char to[HARVEST_BAR_LINE_MAX]);

/* The same in words alone, in full. Returns `to`. */
char *harvest_bar_words(const harvest_bar *bar, char to[HARVEST_BAR_LINE_MAX]);

#endif
