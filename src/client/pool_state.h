/*
 * pool_state.h - every decision of a pool: which slot is handed out, which chunk goes back, what is offered.
 *
 * Pure: no I/O, no clock, no allocation of memory. Time comes with each call (`now`, any one clock's milliseconds),
 * arrays are lent by the caller, messages go to `put`. The library drives it, and so can a simulator. Not thread-safe.
 *
 * A chunk of the pool on a host is busy (in a slot that is handed out), warm (in a slot with a claim and no task),
 * emptying (its last task is being cleared), closing (its claim is ending) or plain. All but the busy ones are idle.
 * Only a slot on a usable host, with an idle warm or plain chunk, is handed out.
 *
 * What the broker wants back is soft: a recall that is lost, repeated or forgotten changes only when chunks go, never
 * whose they are. Idle chunks go at once, busy ones as their tasks end: on the hosts that the broker preferred if it
 * did, else whichever ends first. While a recall is open the offer is made anew when a task outlived its estimate, and
 * when an ended task says more about the others: the broker tells a waiter when it may start, and that must not stay as
 * it was guessed first.
 */
#ifndef GRANARY_CLIENT_POOL_STATE_H
#define GRANARY_CLIENT_POOL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"

#define POOL_RECALLS   256u /* open at once: as many as the broker makes of one allocation */
#define POOL_PREFERS   16u  /* hosts of one preference */
#define POOL_FINISHED  32u  /* recalls that are over, remembered so that a repeated one takes nothing twice */
#define POOL_DURATIONS 128u /* ended tasks that estimates are made from */
#define POOL_OFFER_MAX 256u /* estimates in one offer */
#define POOL_OFFER_MS  250u /* at least, between an offer and the next that nobody asked for */

typedef enum {
    POOL_SLOT_NONE = 0,
    POOL_SLOT_BUSY,
    POOL_SLOT_EMPTYING, /* ready when pool_state_emptied() says so */
    POOL_SLOT_WARM,
    POOL_SLOT_CLOSING, /* gone when pool_state_claim_ended() says so */
} pool_slot_state;

typedef struct {
    pool_slot_state state;
    uint64_t id;
    uint64_t claim; /* 0 = none yet, or it ended */
    uint32_t host;
    uint32_t chunks;
    ms_t since;     /* busy: start of the task */
    ms_t end;       /* busy: expected; MS_NEVER = not told */
    uint32_t cause; /* busy, and its claim has ended: how, and its peak */
    uint64_t peak;
    bool given; /* busy, and the library's own to give back: what the pool's owner looks at */
} pool_slot;

typedef struct {
    uint32_t host;
    uint32_t held;    /* as the broker last told */
    uint32_t leaving; /* released, not yet answered */
    bool usable;      /* tasks can be started there */
} pool_host;

typedef struct {
    uint64_t id;
    bool any_host;
    uint32_t host;
    uint32_t asked;
    uint32_t given;   /* answered and unanswered releases */
    uint32_t leaving; /* of these, unanswered */
    ms_t overdue_at;
    uint32_t n_prefers;
    struct {
        uint32_t host, chunks;
    } prefers[POOL_PREFERS];
} pool_recall;

typedef enum {
    POOL_RELEASE = 1, /* give `chunks` on `host` back, for `recall` (0: own wish); answered by pool_state_released() */
    POOL_OFFER,       /* `items` for `recall` (0: to an ask) */
    POOL_CLOSE,       /* end `claim` of `slot`, killing what is left; answered by pool_state_claim_ended() */
    POOL_WANT,        /* set want to `chunks`; answered by pool_state_want_done() */
} pool_message_kind;

typedef struct {
    uint32_t host;
    ms_t free_in; /* 0 = idle, MS_NEVER = unknown */
} pool_offer_item;

typedef struct {
    pool_message_kind kind;
    uint64_t recall;
    uint32_t host, chunks;
    uint64_t claim, slot;
    const pool_offer_item *items; /* borrowed for the call */
    uint32_t n_items;
} pool_message;

/* Takes a message over. False: not now; the state stays as if it had not been made, and makes it again at the next
 * step. */
typedef struct {
    bool (*put)(void *userdata, const pool_message *message);
    void *userdata;
} pool_out;

typedef struct {
    uint32_t min;
    uint32_t want;        /* the program's wish */
    uint32_t broker_want; /* as the broker last told */
    bool live;            /* not in the queue any more */
    bool want_asked;      /* a POOL_WANT is unanswered */
    uint32_t own_leaving; /* released by own wish, unanswered: lowers the broker's want */
    uint64_t next_id;

    pool_slot *slots; /* lent */
    size_t n_slots, slots_capacity;
    pool_host *hosts; /* lent */
    size_t n_hosts, hosts_capacity;
    pool_recall recalls[POOL_RECALLS];
    size_t n_recalls;
    uint64_t finished[POOL_FINISHED];
    size_t n_finished;
    ms_t durations[POOL_DURATIONS];
    size_t n_durations; /* ever; the last POOL_DURATIONS are kept */
    ms_t offer_at;      /* when the last offer is out of date */
    uint64_t given_back, recalls_seen;
} pool_state;

void pool_state_init(pool_state *p, uint32_t min, uint32_t want);

/* Larger arrays (contents are copied); the old ones are the caller's again. */
void pool_state_lend_slots(pool_state *p, pool_slot *slots, size_t capacity);
void pool_state_lend_hosts(pool_state *p, pool_host *hosts, size_t capacity);

/*
 * What the broker says is held. `usable` tells for each extent whether tasks can be started there. hosts_capacity must
 * be at least n plus the hosts with unanswered releases; pool_state_hosts_needed() counts.
 */
typedef struct {
    uint32_t host, chunks;
    bool usable;
} pool_extent;
size_t pool_state_hosts_needed(const pool_state *p, const pool_extent *extents, size_t n);
void pool_state_hold(pool_state *p, const pool_extent *extents, size_t n, uint32_t broker_want, bool live);

/* What the broker asks. A recall of 0 chunks, or one that is known, changes nothing. */
void pool_state_ask(pool_state *p, ms_t now, bool any_host, uint32_t host, pool_out out);
void pool_state_recall(pool_state *p, ms_t now, const pool_recall *recall, pool_out out);
void pool_state_prefer(pool_state *p, uint64_t recall, uint32_t host, uint32_t chunks);
void pool_state_withdraw(pool_state *p, uint64_t recall);

/* After a reattach: only these recalls are open (asked = still open, and what was released with no answer yet), only
 * these claims exist. Then step. */
void pool_state_reattach(pool_state *p, const pool_recall *recalls, size_t n_recalls, const uint64_t *claims,
                         size_t n_claims);

/*
 * Makes what is due: gives idle chunks that are wanted back, and what is above `want`, and offers anew. Call after
 * every change, and at pool_state_deadline().
 */
void pool_state_step(pool_state *p, ms_t now, pool_out out);

/* When the next step is due without any change; MS_NEVER. */
ms_t pool_state_deadline(const pool_state *p);

/*
 * Hands out a slot of `chunks`. 0; STATUS_WAITING: none now (a warm slot of another size may be closed for it);
 * STATUS_LIMIT: lend more slots first; STATUS_NEVER: more than the pool may ever hold.
 */
int pool_state_acquire(pool_state *p, ms_t now, uint32_t chunks, pool_slot *ret, pool_out out);

/* The slot of that id, or NULL. Valid until the next call that changes the state. */
const pool_slot *pool_state_slot(const pool_state *p, uint64_t id);

/* The claim that a busy slot runs in now; 0 = none any more. */
void pool_state_claimed(pool_state *p, uint64_t slot, uint64_t claim);

/* The task in a busy slot will end in about `ms`. */
void pool_state_expect(pool_state *p, ms_t now, uint64_t slot, ms_t ms);

/* Would the slot's chunks go back if its task ended now? */
bool pool_state_wanted(const pool_state *p, ms_t now, uint64_t slot);

/* One task ended and the next begins in the same slot, which must not be wanted. */
void pool_state_next(pool_state *p, ms_t now, uint64_t slot);

/*
 * The task ended. True: the slot is kept, emptying if it has a claim (else its chunks are plain); false: it is wanted
 * back, its claim is closing, and the next step gives its chunks.
 */
bool pool_state_release(pool_state *p, ms_t now, uint64_t slot, pool_out out);

/* Takes the release of an emptying slot back: nothing could be sent. */
void pool_state_keep(pool_state *p, uint64_t slot);

/* The claim of an emptying slot is ready for the next task (`ok`), or good for nothing: it is closed. */
void pool_state_emptied(pool_state *p, uint64_t claim, bool ok, pool_out out);
void pool_state_claim_ended(pool_state *p, uint64_t claim, uint32_t cause, uint64_t peak);

/* Answers to messages. A release that the broker refused for a recall ends that recall: it asks again for what it
 * wants. */
void pool_state_released(pool_state *p, uint64_t recall, uint32_t host, uint32_t chunks, bool ok);
void pool_state_want_done(pool_state *p, bool ok);

void pool_state_set_want(pool_state *p, uint32_t want);

/* Sums. */
uint32_t pool_state_held(const pool_state *p);
uint32_t pool_state_busy(const pool_state *p);
uint32_t pool_state_wanted_back(const pool_state *p);

/* Counts everything from scratch; false when something contradicts. For tests and simulators. */
bool pool_state_check(const pool_state *p);

#endif
