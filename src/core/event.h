/*
 * event.h - everything that can happen to the core.
 *
 * The daemon (and the simulator) builds one of these, stamps nothing: time is the `now` of
 * core_step(). Pointers inside an event are borrowed for the length of the step.
 */
#ifndef GRANARY_CORE_EVENT_H
#define GRANARY_CORE_EVENT_H

#include "base/units.h"
#include "core/limits.h"
#include "core/record.h"

typedef enum {
    EVENT_TICK = 1, /* time passed; every due deadline is handled */

    /* configuration, by name; applied again on reload */
    EVENT_CONFIG_HOST,
    EVENT_CONFIG_USER,

    /* agents */
    EVENT_HOST_HELLO, /* an agent connected and told its host; before anything else of it */
    EVENT_HOST_GONE,  /* its connection broke */
    EVENT_HOST_SAMPLE,
    EVENT_CLAIM_OPENED,  /* the answer to ORDER_OPEN; status tells */
    EVENT_CLAIM_ENTERED, /* the answer to ORDER_ENTER */
    EVENT_CLAIM_LIMITED, /* the answer to ORDER_LIMIT: use is below and the limit is set */
    EVENT_CLAIM_EMPTIED, /* the answer to ORDER_EMPTY */
    EVENT_CLAIM_USE,     /* soft: use, peak, number of processes, charge left behind */
    EVENT_CLAIM_DRAINED, /* no process and (nearly) nothing charged; the proof of I4 */

    /* sessions */
    EVENT_SESSION_OPEN,     /* hello of a new client */
    EVENT_SESSION_REATTACH, /* hello with the token of an old session */
    EVENT_SESSION_BROKEN,   /* its connection broke, its process may live */
    EVENT_SESSION_END,      /* said goodbye, or its process is seen dead */

    /* requests of a session: answered by exactly one EFFECT_REPLY each */
    EVENT_ALLOCATE,
    EVENT_CANCEL, /* take a waiting request out of the queue */
    EVENT_WANT,   /* set `want` of a growable allocation */
    EVENT_RELEASE,
    EVENT_RELEASE_N,
    EVENT_OFFER,
    EVENT_CLAIM,
    EVENT_ENTER,
    EVENT_SHRINK, /* resize a claim: fewer chunks once use is below; or more, of those held there and unclaimed */
    EVENT_EMPTY,  /* a task ended: end what it left, tell cause and peak; the claim stays */
    EVENT_CLOSE,  /* end a claim, killing what is left in it if asked */
    EVENT_TRANSFER,
    EVENT_RECALL_OUTCOME, /* I11: its client can ask */
    EVENT_DRAIN,          /* of a host; operator only */
    EVENT_UNDRAIN,
    EVENT_RELEASE_FOREIGN, /* `granary release` by the same user or the operator: a recall */
    EVENT_KINDS,
} event_kind;

/* Settings of a host by name; "*" gives the defaults. */
typedef struct {
    char name[NAME_MAX_HOST];
    bytes_t total;     /* 0 = what the agent measures */
    bytes_t set_aside; /* UINT64_MAX = the default rule */
    uint32_t cores;    /* 0 = what the agent measures */
    bool home, permanent;
    char labels[LABELS_MAX];
} event_config_host;

typedef struct {
    user_id user;    /* UINT32_MAX = every user without settings of its own */
    uint32_t weight; /* at least 1; 0 = it has no settings of its own (any more) */
    bytes_t quota;   /* 0 = none */
} event_config_user;

typedef struct {
    char name[NAME_MAX_HOST];
    char boot_id[40]; /* another one than before: its claims are over */
    bytes_t physical; /* what the kernel calls MemTotal */
    bytes_t total;    /* the least of physical, the agent's own groups' limits */
    uint32_t cores;
    bool limited;             /* false: watch mode */
    const generation *groups; /* claims whose group or processes exist there */
    uint32_t n_groups;
} event_host_hello;

typedef struct {
    host_id host;
    bytes_t in_use;      /* total in use on the machine */
    bytes_t claims_used; /* of it, what claims and quarantined groups use */
} event_host_sample;

typedef enum { CAUSE_EXIT = 0, CAUSE_OOM, CAUSE_KILLED } claim_cause;

typedef struct {
    host_id host;
    generation gen;
    int status;        /* 0, or a negative status */
    uint64_t tag;      /* of the order that this answers */
    claim_cause cause; /* of the task that ended: ENTERED after fresh, EMPTIED */
    bytes_t peak;
    generation other; /* status CLAIMED: the claim that has the process */
    claim_root root;  /* of a process that ran before: to be given back in ORDER_EXPECT */
} event_claim_answer;

typedef struct {
    host_id host;
    generation gen;
    bytes_t used, peak;
    uint32_t processes;
    claim_cause cause; /* for DRAINED: why the last of it ended */
} event_claim_use;

typedef struct {
    session_id session; /* for REATTACH, BROKEN, END */
    uint8_t token[16];  /* OPEN: the new one, random; REATTACH: as told by the client */
    user_id user;
    int32_t pid;
    uint64_t pid_start;
    bool operator_; /* root or the broker's own user */
    uint64_t link;  /* the daemon's name for the connection; echoed in effects */
} event_session;

/* What every request carries. */
typedef struct {
    session_id session;
    request_no number;
    request_no acked; /* answers up to here may be forgotten */
} event_request;

typedef struct {
    host_id host;
    ms_t free_in; /* from now until the chunk's task ends; 0 = idle, MS_NEVER = unknown */
} offer_item;

typedef struct {
    event_kind kind;
    event_request request; /* for requests only */
    union {
        event_config_host config_host;
        event_config_user config_user;
        event_host_hello hello;
        host_id gone;
        event_host_sample sample;
        event_claim_answer answer;
        event_claim_use use;
        event_session session;
        struct {
            allocation_terms terms;
            bool dry_run;
        } allocate; /* dry_run: plan */
        struct {
            allocation_id id;
        } cancel;
        struct {
            allocation_id id;
            chunks_t want;
        } want;
        struct {
            allocation_id id;
            recall_id recall;
            const extent *extents;
            uint32_t n;
        } release;
        struct {
            allocation_id id;
            recall_id recall;
            chunks_t count;
            const extent *busy;
            uint32_t n;
        } release_n;
        struct {
            allocation_id id;
            recall_id recall;
            const offer_item *items;
            uint32_t n;
        } offer;
        struct {
            allocation_id id;
            host_id host;
            chunks_t chunks;
            uint64_t handle;
            char command[COMMAND_MAX];
        } claim;
        struct {
            generation gen;
            uint64_t handle;
            bool fresh;
        } enter; /* handle: the daemon's name for a pidfd; used in the same step or dropped */
        struct {
            generation gen;
        } empty;
        struct {
            generation gen;
            chunks_t chunks;
        } shrink;
        struct {
            generation gen;
            bool kill;
        } close;
        struct {
            allocation_id id;
            session_id to;
        } transfer;
        struct {
            recall_id id;
        } outcome;
        struct {
            host_id host;
        } drain; /* DRAIN and UNDRAIN */
        struct {
            allocation_id id;
            chunks_t count;
        } release_foreign; /* count 0 = all */
    };
} core_event;

#endif
