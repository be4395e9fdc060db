/*
 * driver.h - the only caller of core_step().
 *
 * A step's effects are performed in order: records are encoded into one blob, everything else goes to the
 * sink, which may build what it sends but must not let it leave. At the end of a loop's turn
 * driver_commit() makes the blob durable; only after that may frames leave (I9). Numbers of sessions and
 * claims are reserved ahead in the store before any of them is committed, so a lost tail never repeats one.
 */
#ifndef GRANARY_DAEMON_DRIVER_H
#define GRANARY_DAEMON_DRIVER_H

#include "core/core.h"
#include "store/store.h"

/* Receives a step's effects. None may call driver_step(). */
typedef struct {
    void (*reply)(void *userdata, const effect_reply *reply);
    void (*push)(void *userdata, const effect_push *push);
    void (*order)(void *userdata, const effect_order *order);
    void (*note)(void *userdata, const effect_note *note);
    void (*session_over)(void *userdata, session_id session); /* its record is gone; may be NULL */
    void *userdata;
} driver_sink;

typedef struct {
    core *core;
    store *store; /* borrowed */
    driver_sink sink;

    void *arena;
    size_t arena_size;
    core_effects effects;
    ms_t now; /* of this turn; 0 = not read yet */

    uint8_t *blob; /* records since the last commit */
    size_t blob_used, blob_size;
    uint64_t highest;        /* session or generation number in a record, ever */
    uint64_t snapshot_bytes; /* of the last compaction */
    uint64_t steps, commits; /* for the log */
    int failed;              /* STATUS_NO_MEMORY: a record could not be kept; the next commit fails */
    bool stepping;
} driver;

/* An empty core in an arena of its own. STATUS_INVALID (limits, timers), STATUS_NO_MEMORY. */
int driver_init(driver *d, const core_limits *limits, const core_timers *timers, store *s, const driver_sink *sink);
void driver_finish(driver *d); /* a zeroed one is fine */

/* CLOCK_BOOTTIME in milliseconds. */
ms_t driver_now(void);

/* One step, at the time of the turn: the clock is read by the first step after a commit. A request's failure is its
 * reply; this fails only where core_step() does, or with STATUS_NO_MEMORY. */
int driver_step(driver *d, const core_event *event);

/* Performs effects that something else than driver_step() made (core_recover). */
void driver_perform(driver *d, const core_effects *effects);

/* Puts one record into the next commit by hand. */
void driver_record(driver *d, const core_record *record);

/* Whether records wait for a commit. */
bool driver_dirty(const driver *d);

/*
 * Makes what waits durable, and compacts the journal when it has grown. STATUS_SYSTEM, STATUS_NO_MEMORY,
 * STATUS_CORRUPT: the broker must end, and nothing unsent may leave.
 */
int driver_commit(driver *d);

/* Milliseconds until a tick is due; -1 = none. */
int64_t driver_wait(const driver *d);

#endif
