/*
 * patience.h - a word to people while an answer that usually comes at once does not.
 *
 * By a timer that interrupts: the calls that wait belong to the library. One at a time.
 */
#ifndef GRANARY_CLI_PATIENCE_H
#define GRANARY_CLI_PATIENCE_H

#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "cli/options.h"

#define PATIENCE_MS 5000 /* answers take milliseconds; an agent that is started again is there by then */

typedef struct {
    bool armed; /* false: nothing could be armed, and nothing will be said */
    timer_t timer;
    struct sigaction before;
} patience;

/* After `after_ms` "granary COMMAND: TEXT" goes to standard error, once, unless patience_end() comes first. */
void patience_begin(patience *ret, const command_call *call, const char *text, long after_ms);
void patience_end(patience *p);

#endif
