/*
 * effect.h - everything the core may ask the world to do.
 *
 * Effects of one step are performed in order. A record must be committed before any reply, push
 * or order of the same or a later step leaves (I9).
 */
#ifndef GRANARY_CORE_EFFECT_H
#define GRANARY_CORE_EFFECT_H

#include "base/units.h"
#include "core/event.h"
#include "core/record.h"

typedef enum {
    EFFECT_RECORD = 1, /* journal this */
    EFFECT_REPLY,      /* answer a request */
    EFFECT_PUSH,       /* tell a session something unasked */
    EFFECT_ORDER,      /* tell a host's agent */
    EFFECT_NOTE,       /* a decision, for the log; no one waits for it */
} effect_kind;

/* Why a request waits. */
typedef enum {
    WAIT_FIRST = 1, /* no memory free now; it is first in its turn */
    WAIT_BEHIND,    /* others wait before it */
    WAIT_PIECES,    /* enough is free, in pieces too small */
    WAIT_RECALL,    /* a recall for it is under way */
    WAIT_NO_HOST,   /* no host that can serve it is up */
    WAIT_HELD,      /* part is held for it, more must come */
    WAIT_QUOTA,     /* its user is at the quota */
    WAIT_FRESH,     /* its hosts have no fresh sample yet */
    WAIT_RETURNING, /* what was given back (for it, if for anybody) is being freed */
} wait_reason;

/* Of a dry run: what would be asked back. */
typedef struct {
    allocation_id allocation;
    host_id host;
    chunks_t chunks;
    ms_t expected_ms; /* from now until the last of them is free; MS_NEVER = unknown */
} planned_ask;

typedef struct {
    uint64_t link; /* of the session; 0 = detached, drop it */
    session_id session;
    request_no number;
    int status;
    uint64_t tag;             /* of the order that the request waited for; 0 = none */
    allocation_id allocation; /* the daemon adds its version and whole extents from the view */
    generation claim;
    recall_id recall;
    chunks_t chunks;   /* RELEASE_N: how many were taken; RECALL_OUTCOME and others: see protocol */
    bytes_t most;      /* NEVER, QUOTA: the most bytes that could be granted; dry run, WAITING: free on one host now */
    ms_t expected_ms;  /* dry run, WAITING: expected wait; MS_NEVER = unknown */
    claim_cause cause; /* ENTER fresh, EMPTY, CLOSE: of the task that ended */
    bytes_t peak;
    const extent *extents; /* RELEASE_N: which; dry run: where. Borrowed until the next step */
    uint32_t n_extents;
    const planned_ask *asks; /* dry run, WAITING: what would be asked back for it. Borrowed until the next step */
    uint32_t n_asks;
    wait_reason reason; /* dry run, WAITING, nothing to ask back: QUOTA, RETURNING, NO_HOST, FRESH, 0 = none of these */
} effect_reply;

typedef enum {
    PUSH_CHANGED = 1, /* the allocation's set, want or state changed; whole set by the view */
    PUSH_ENDED,       /* the allocation is over; status tells why (TIMEOUT, LOST, ENDED ...) */
    PUSH_ASK,         /* soft: how soon could you give `count` on `host`? Answer: an offer */
    PUSH_RECALL,      /* give `count` chunks back, acceptable on `host` (or any) */
    PUSH_PREFER,      /* soft: of your offer, these extents serve best */
    PUSH_WITHDRAW,    /* the recall is over for what is not yet released */
    PUSH_CLAIM_ENDED, /* a claim drained: cause and peak */
    PUSH_CLAIM_OVER,  /* a claim that is not limited uses more (`peak`) than its size (`bytes`); once for a task */
} push_kind;

typedef struct {
    push_kind kind;
    uint64_t link;
    session_id session;
    allocation_id allocation;
    int status;
    bytes_t most; /* ENDED with NEVER, QUOTA: the most bytes that could be granted */
    recall_id recall;
    recall_reason reason;
    chunks_t count;
    host_id host;
    ms_t deadline;
    generation claim;
    claim_cause cause;
    bytes_t peak, bytes;
    extent preferred; /* PREFER: one push for each extent */
    bool last;        /* PREFER: no more extents follow */
} effect_push;

typedef enum {
    ORDER_WELCOME = 1, /* highest generation issued; the live set follows as ORDER_EXPECT */
    ORDER_EXPECT,      /* this claim is in the books: make its group again if it is gone; if `ending`, as ORDER_END */
    ORDER_READY,       /* the live set is complete: admit, report unknown groups */
    ORDER_OPEN,        /* make the group with this limit; then let `handle` enter, if any */
    ORDER_ENTER,
    ORDER_LIMIT, /* lower or raise to bytes, never under what is used */
    ORDER_EMPTY, /* end what a task left running; answer with its cause and peak */
    ORDER_END,   /* nothing enters any more; report drained when it is; `kill`: do not wait for its processes */
    ORDER_CLOSE, /* it drained and that is committed: remove the group */
} order_kind;

typedef struct {
    order_kind kind;
    host_id host;
    generation gen;
    bytes_t bytes;      /* the claim's size */
    bytes_t chunk_size; /* for the drained threshold */
    user_id user;       /* whose processes may enter */
    bool by_operator;   /* ENTER: any user's process may */
    bool running;       /* OPEN, ENTER: the process runs already; refused if it is in another claim */
    bool fresh;         /* ENTER: as ORDER_EMPTY first */
    bool kill;          /* END, EXPECT */
    bool ending;        /* EXPECT */
    claim_root root;    /* EXPECT */
    uint64_t handle;    /* the daemon's name for a pidfd; 0 = none */
    uint64_t tag;       /* echoed in the answer */
} effect_order;

typedef enum {
    NOTE_HOST_UP = 1,
    NOTE_HOST_SUSPECT,
    NOTE_HOST_LOST,
    NOTE_HOST_REBOOTED,
    NOTE_HOST_DRAINING,
    NOTE_HOST_DRAINED,
    NOTE_HOST_UNDRAINED,
    NOTE_OVERDRAFT,
    NOTE_GRANTED,
    NOTE_QUEUED,
    NOTE_REFUSED, /* chunks, and amount = bytes of each, as they were asked for */
    NOTE_GREW,
    NOTE_ENDED,
    NOTE_TIMED_OUT,
    NOTE_HELD, /* memory is kept for a named waiter */
    NOTE_RECALL,
    NOTE_OFFERED,
    NOTE_PREFERRED,
    NOTE_GIVEN,
    NOTE_WITHDRAWN,
    NOTE_OVERDUE,
    NOTE_RECALL_DONE,
    NOTE_REVOKED, /* amount = byte-milliseconds of work destroyed */
    NOTE_CLAIMED,
    NOTE_CLAIM_ENDED,
    NOTE_QUARANTINED,
    NOTE_UNQUARANTINED,
    NOTE_SESSION_DETACHED,
    NOTE_SESSION_LOST,
    NOTE_LIMIT_REACHED,
    NOTE_CLAIM_OVER, /* amount = bytes that it uses */
    NOTE_KINDS,
} note_kind;

typedef struct {
    note_kind kind;
    host_id host;
    allocation_id allocation, beneficiary;
    recall_id recall;
    generation claim;
    chunks_t chunks;
    uint64_t amount; /* bytes or ms, as the kind says */
    int status;
    int32_t pid;  /* REFUSED: who asked; 0 = nobody is named */
    user_id user; /* of that process */
} effect_note;

typedef struct {
    effect_kind kind;
    union {
        core_record record;
        effect_reply reply;
        effect_push push;
        effect_order order;
        effect_note note;
    };
} core_effect;

/* Given by the caller, filled by core_step(). capacity must be EFFECTS_MAX at least. */
typedef struct {
    core_effect *items;
    uint32_t count;
    uint32_t capacity;
} core_effects;

#endif
