/*
 * claim.h - one claim of this host: a state machine, driven by orders and by what its processes do.
 *
 *   OPEN ──Empty, Enter fresh──> EMPTYING ──no process──> OPEN
 *   OPEN ──out of memory (v1)──> REAPING  ──no process──> OPEN     (the rest of a group whose process was killed)
 *   any of these ──End──> ENDING ──no process, and (nearly) nothing charged──> DRAINED ──Close──> CLOSING ──> gone
 *
 * Orders that come while a claim is EMPTYING or REAPING wait in line. The answers leave through a sink, so that nothing
 * here knows of frames. Waiting for processes is by events (pidfds, event files); a timer looks again only at memory
 * that stays charged, and at processes that were killed and are not gone.
 *
 * A task is what runs between two times that the group is empty by order. Its peak is the greatest use seen; one that
 * ended before its first sample is told by the kernel's high-water mark less the page cache. An out-of-memory death is
 * told by the kernel's count of kills; its peak is the limit.
 */
#ifndef GRANARY_AGENT_CLAIM_H
#define GRANARY_AGENT_CLAIM_H

#include <uv.h>

#include "agent/backend.h"
#include "agent/watchpid.h"

#define ORDERS_WAITING_MAX 8u     /* of one claim; a client has one task in a claim at a time */
#define LOOK_FIRST_MS      1u     /* growing timers double from here */
#define LOOK_MOST_MS       1000u  /* to here */
#define SAMPLE_FIRST_MS    50u    /* after an entry */
#define SAMPLE_MOST_MS     200u   /* while use changes */
#define BROUGHT_LEAST      MIB(4) /* what a process holds at its entry is asked about only above this */
#define LIMIT_TRIES_MS     5000u  /* a limit that use stays above for so long is refused */

typedef struct claim claim;

typedef enum { CAUSE_EXIT = 0, CAUSE_OOM = 1, CAUSE_KILLED = 2 } claim_cause; /* numbers of the protocol */

typedef enum {
    CLAIM_ORDER_EXPECT = 1,
    CLAIM_ORDER_OPEN,
    CLAIM_ORDER_ENTER,
    CLAIM_ORDER_LIMIT,
    CLAIM_ORDER_EMPTY,
    CLAIM_ORDER_END,
    CLAIM_ORDER_CLOSE,
} claim_order_kind;

typedef struct {
    claim_order_kind kind;
    uint64_t generation;
    bytes_t bytes, chunk_size;
    uid_t uid;
    uint64_t tag;
    process_name root; /* EXPECT: see claim_rejoin() */
    bool by_operator, fresh, kill, ending, running;
    int pidfd; /* -1, or owned by the order */
} claim_order;

typedef struct {
    int status;
    const char *text; /* "" or a sentence */
    claim_cause cause;
    bytes_t peak;
    uint64_t other;    /* STATUS_CLAIMED: the claim that has the process */
    process_name root; /* of a process that ran already and entered */
} claim_answer;

/* What the world sees of a claim. */
typedef struct {
    uint64_t generation;
    bytes_t bytes, used, peak;
    uint32_t processes;
    claim_cause cause;
} claim_view;

typedef struct {
    void *context;
    void (*answer)(void *context, const claim_order *order, const claim_answer *answer);
    void (*drained)(void *context, const claim_view *view);
    void (*notice)(void *context, const char *level, const char *text);
} claim_sink;

/* What claims share; outlives them. */
typedef struct {
    uv_loop_t *loop;
    backend *backend;
    struct claims *all; /* the table that they are in */
    watchpid *set;
    claim_sink sink;
    uint64_t sample_ms;
} claim_world;

typedef enum { CLAIM_OPEN = 1, CLAIM_EMPTYING, CLAIM_REAPING, CLAIM_ENDING, CLAIM_DRAINED, CLAIM_CLOSING } claim_state;

struct claim {
    claim *next; /* in its bucket of the table */
    claim_world *world;
    void (*gone)(void *context, claim *c); /* after a Close: the table forgets it */
    void *gone_context;
    uint64_t generation;
    bytes_t bytes, chunk_size;
    uid_t uid;
    claim_state state;
    bool expected; /* named in the live set of this link */
    bool kill;     /* ENDING: do not wait for its processes */
    group *group;

    /* waiting */
    watch *events[GROUP_EVENTS];
    watch **watches; /* of members */
    uint32_t n_watches;
    uv_timer_t timer;                              /* the earliest of the four */
    uint64_t sample_at, look_at, limit_at, oom_at; /* loop time; 0 = not armed */
    uint64_t sample_step, look_step, oom_step;
    uv_work_t reclaim; /* a job in the thread pool; it holds this claim while `reclaiming` */
    int reclaim_fd;
    bytes_t reclaim_most;
    bool reclaiming;
    bool released, handle_closed; /* both, and not reclaiming: it is freed */

    /* orders in line; the first is being carried out while EMPTYING */
    claim_order orders[ORDERS_WAITING_MAX];
    uint32_t n_orders;
    claim_order limit_order; /* kind 0 = none */
    uint64_t limit_until;

    /* the task */
    bool entered; /* something ran since the last task ended */
    bool oom, killed;
    bool brought;        /* its processes may hold memory that they used before they entered */
    uint64_t entered_at; /* loop time of its first process */
    uint32_t samples;
    bytes_t used, peak;
    uint32_t processes; /* at the last look */
    pid_t entered_pid;  /* the last that entered */
    claim_answer last;  /* of the task before: for an order that is repeated */
};

/*
 * Makes or finds the group. `make` as backend open(). On failure, as for want of memory, nothing is left behind. The
 * claim is OPEN; an adopted one counts as entered.
 */
int claim_create(claim **ret, claim_world *world, const claim_order *order, bool make);
/* Lets go: watches and descriptors. Its group stays, unless it has drained. Orders in line are dropped. Memory goes
 * with the loop's next turns. */
void claim_release(claim *c);

/*
 * Where membership goes by names: takes up the program that an earlier agent took in, if it is that one still. It was
 * let in then, and is not asked for its user again. STATUS_NO_MEMORY; else what cannot be found has ended.
 */
int claim_rejoin(claim *c, process_name root);
void claim_enter(claim *c, claim_order *order); /* these three take the order's pidfd, and answer */
void claim_empty(claim *c, claim_order *order);
void claim_limit(claim *c, claim_order *order);
void claim_end(claim *c, bool kill); /* again: reports again if it drained */
void claim_close(claim *c);          /* only after it drained, else a notice */
void claim_undo(claim *c);           /* an open that failed: removes the group, and the table forgets it */
void claim_unlink(claim *c);

/* Periodic: finds what no event told. A vanished group is made again. */
void claim_collect(claim *c);

/* Measures now. STATUS_NOT_FOUND when the group vanished. `processes` may be NULL. */
int claim_measure(claim *c, pids *processes);
claim_view claim_see(const claim *c);

void order_drop(claim_order *order); /* closes its pidfd */

#endif
