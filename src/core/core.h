/*
 * core.h - the door to the broker's decisions.
 *
 * The core owns the books of all hosts: what is granted, held, returning, recalled. It does no
 * I/O, reads no clock, no environment, no randomness, does not log, and allocates nothing after
 * core_init(): same events in, same effects out. Not thread-safe; one caller (the daemon's
 * driver, the simulator, a test).
 *
 * Life: core_arena_size -> core_init -> core_load* (records of the journal) -> core_recover ->
 * core_step* . There is no finish: the arena is the caller's.
 */
#ifndef GRANARY_CORE_CORE_H
#define GRANARY_CORE_CORE_H

#include <stddef.h>

#include "base/units.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/limits.h"
#include "core/record.h"

typedef struct core core;

/* Every span of time that decides something. core_init() refuses a set that breaks the order. */
typedef struct {
    ms_t suspect_ms;    /* a host without connection is suspect at once, lost after this */
    ms_t grace_ms;      /* a broken session whose process lives may come back within this */
    ms_t age_guard_ms;  /* a waiter this old has freed memory held for it */
    ms_t notice_ms;     /* default notice of a recall */
    ms_t ask_ms;        /* how long offers are waited for before the recall is chosen */
    ms_t returning_ms;  /* released chunks are looked at again after this */
    ms_t quarantine_ms; /* a killed or empty claim that stays charged is quarantined after this */
} core_timers;

extern const core_timers core_timers_default;

/* Bytes of arena that core_init() needs for these limits; 0 when they overflow. */
size_t core_arena_size(const core_limits *limits);

/*
 * Builds an empty core inside `arena` (aligned to 64, at least core_arena_size() bytes, borrowed
 * for the core's life). Errors: STATUS_INVALID for limits of 0, a small or unaligned arena,
 * timers out of order (ask < notice, grace < suspect is fine, none 0).
 */
int core_init(core **ret, const core_limits *limits, const core_timers *timers, void *arena, size_t size);

/*
 * Applies one record of the journal, in order, before core_recover(). Errors: STATUS_CORRUPT when
 * it contradicts the books (a holding of an unknown allocation, ...), STATUS_LIMIT.
 */
int core_load(core *core, const core_record *record);

/*
 * Ends loading. `same_boot`: the deadlines in the records are of this boot of the broker's
 * machine; else each is armed anew with its whole span. Sessions become detached with a grace;
 * every host is suspect until its agent says hello. Errors: STATUS_INVALID; STATUS_CORRUPT when the
 * records together make no books: the core is good for nothing then.
 */
int core_recover(core *core, ms_t now, bool same_boot, core_effects *effects);

/*
 * The one door. Appends to `effects` (count is set to 0 first). Returns 0; a request's failure is
 * its reply's status, never this. Negative only for a call that breaks the contract
 * (STATUS_INVALID), with no effect and no change.
 */
int core_step(core *core, ms_t now, const core_event *event, core_effects *effects);

/* When the next EVENT_TICK is due; 0 = work was cut short, at once; MS_NEVER = nothing armed. */
ms_t core_next_deadline(const core *core);

/*
 * Counts all columns and links again from scratch and compares (I1-I6, I8, I10). Returns 0, or
 * STATUS_CORRUPT with a sentence in `why`. Slow: O(everything). Changes nothing.
 */
int core_check(const core *core, char *why, size_t why_size);

/* Calls `put` for every durable fact in canonical order: a snapshot, and the proof of I7. */
int core_export(const core *core, int (*put)(void *userdata, const core_record *record), void *userdata);

/* Bumped by every step that changed anything a view shows. */
uint64_t core_sequence(const core *core);

#endif
