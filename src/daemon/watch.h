/*
 * watch.h - processes whose sessions have lost their connection: when one dies, its session ends.
 */
#ifndef GRANARY_DAEMON_WATCH_H
#define GRANARY_DAEMON_WATCH_H

#include <uv.h>

#include "base/units.h"

struct broker;
typedef struct watch watch;

typedef struct {
    watch *first;
    uint32_t n;
} watches;

/*
 * Watches the process behind `pidfd` (taken over) for the detached session. A process that is dead already is told in
 * the next turn of the loop. When memory is short the session is left to its grace.
 */
void watch_start(struct broker *b, session_id session, int pidfd);

/* The session is attached again, or over: its process is not watched any more. */
void watch_stop(struct broker *b, session_id session);
/* Ends the sessions of watched processes that died unseen. */
void watch_collect(struct broker *b);
void watch_stop_all(struct broker *b);

#endif
