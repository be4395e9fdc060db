/*
 * broker.h - the broker: the real core, driver, recovery and in-memory store; connections become events, effects
 * messages.
 *
 * A turn is all messages that have arrived by one moment; nothing leaves before the commit at its end. Written again
 * here, on messages: what daemon/session.c, requests.c, replies.c and link.c do with frames.
 *
 * Every machine has a section in its granary.conf, in the order of their numbers: the id of a host is its machine's
 * number.
 */
#ifndef GRANARY_SIM_BROKER_H
#define GRANARY_SIM_BROKER_H

#include "core/core.h"
#include "sim.h"

typedef struct broker_node broker_node;

typedef struct {
    core_limits limits;
    core_timers timers;
    bool power; /* durability = power: no commit is ever lost */
    bool check; /* core_check() after each step, and the journal replayed now and then */
} broker_options;

broker_node *broker_create(sim *s, const broker_options *o);
void broker_destroy(broker_node *b);

/* The books of now; NULL while the broker is down. For judges: only to compare. */
const core *broker_core(const broker_node *b);
ms_t broker_now(const broker_node *b);
machine_clock *broker_time(broker_node *b);
uint64_t broker_steps(const broker_node *b);

/* Faults. A crash in the middle of a turn: before the commit, or after it and before (some of) what it justified
 * leaves. */
typedef enum { CRASH_BEFORE_COMMIT = 1, CRASH_AFTER_COMMIT, CRASH_BETWEEN_TURNS } crash_when;
void broker_crash(broker_node *b, crash_when when, us_t down);
/* With the machine: without `power` the last commits (never what store_reserve() wrote) may be lost; the last kept one
 * may be torn, and is then found out and dropped by its checksum, as SQLite does. */
void broker_power_loss(broker_node *b, us_t down, uint32_t lost_commits);
/* The next commit fails, as on a broken disk: the broker ends and comes back. */
void broker_fail_commit(broker_node *b);
/* granary.conf was changed and loaded again: these (CONFIG_HOST, CONFIG_USER) replace the sections of the same name,
 * now and in later lives. */
void broker_reload(broker_node *b, const core_event *config, uint32_t n);

/* Loads the journal into a second core: must export the same bytes (I7). False: `why` tells. */
bool broker_replays(const broker_node *b, char *why, size_t size);

#endif
