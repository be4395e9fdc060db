/*
 * record.h - journal records: facts, never events.
 *
 * A record is the new durable value of one noun, or its end. Putting the same record twice
 * changes nothing, so a snapshot is a list of records too, in the canonical order of
 * core_export(). The encoding is pure, and there is one for each record: the same record is the same
 * bytes on every machine (I7). Foreign memory, use, peaks, offers and preferences are soft and
 * have no records.
 */
#ifndef GRANARY_CORE_RECORD_H
#define GRANARY_CORE_RECORD_H

#include <stddef.h>

#include "base/units.h"
#include "core/limits.h"

typedef enum {
    RECORD_COUNTERS = 1, /* highest numbers ever issued */
    RECORD_HOST,         /* a host that the books know */
    RECORD_SESSION,      /* a session and its lease terms */
    RECORD_SESSION_END,
    RECORD_ALLOCATION,       /* the terms; written once, and on transfer */
    RECORD_ALLOCATION_STATE, /* what changes: want, version, state, deadlines */
    RECORD_ALLOCATION_END,
    RECORD_HOLDING, /* chunks of an allocation on a host; all zero = gone */
    RECORD_CLAIM,
    RECORD_CLAIM_END,
    RECORD_RECALL,
    RECORD_RECALL_END, /* kept as outcome counts until the session acknowledges it */
    RECORD_ANSWER,     /* the answer to a numbered request (I12) */
    RECORD_KINDS,
} record_kind;

/* Terms of a request; bits of allocation_terms.flags. Numbers are durable. */
enum {
    TERM_CONTIGUOUS = 1u << 0,     /* all on one host if any host can */
    TERM_ONE_HOST = 1u << 1,       /* all on one host or not at all */
    TERM_CORE_DEPENDENT = 1u << 2, /* prefers hosts with more cores */
    TERM_LONG_RUNNING = 1u << 3,   /* avoids home hosts, prefers permanent ones */
    TERM_SHRINKABLE = 1u << 4,     /* a grant of fewer chunks, at least min, is fine */
    TERM_GROWABLE = 1u << 5,       /* send more, up to want */
    TERM_RECALLABLE = 1u << 6,     /* chunks above min may be asked back */
    TERM_REVOCABLE = 1u << 7,      /* may be killed after the notice */
    TERM_NO_WAIT = 1u << 8,        /* fail at once rather than queue */
    TERM_KEEP = 1u << 9,           /* of requests, never in the books: GROWABLE without RECALLABLE */
    TERM_STAY = 1u << 10, /* without an owner it lives as long as its claims, with the chunks that they claim */
    TERM_ALL = ((1u << 9) - 1) | TERM_STAY,
};

typedef struct {
    char label[LABEL_MAX];
    char filter[FILTER_MAX]; /* "" = any host; see place.h for the grammar */
    bytes_t chunk_size;
    chunks_t want;
    chunks_t min;
    uint32_t flags;
    int32_t priority; /* higher goes first; only the operator may ask above 0 */
    ms_t notice_ms;   /* how long a recall may take before it is overdue or revoked */
    ms_t wait_ms;     /* how long to queue; MS_NEVER = for ever */
} allocation_terms;

typedef enum { ALLOCATION_WAITING = 1, ALLOCATION_LIVE, ALLOCATION_ENDING } allocation_state;
typedef enum { SESSION_ATTACHED = 1, SESSION_DETACHED } session_state;
typedef enum { CLAIM_OPENING = 1, CLAIM_OPEN, CLAIM_CLOSING, CLAIM_QUARANTINED } claim_state;
typedef enum {
    RECALL_FOR_WAITER = 1, /* `beneficiary` waits for it */
    RECALL_FOR_DRAIN,      /* the host is to be emptied */
    RECALL_FOR_OVERDRAFT,  /* foreign memory rose after the grant */
    RECALL_FOR_FAIRNESS,   /* `beneficiary` is below its share */
    RECALL_FOR_OPERATOR,   /* granary release by somebody else than the owner */
} recall_reason;

typedef struct {
    uint64_t allocation, session, recall, generation, host; /* highest issued */
} record_counters;

typedef struct {
    host_id id;
    char name[NAME_MAX_HOST];
    char boot_id[40];
    bytes_t total;
    bool draining;
} record_host;

typedef struct {
    session_id id;
    uint8_t token[16]; /* proves a reattaching client; never logged */
    user_id user;
    int32_t pid;        /* a hint for people; the lease is the connection */
    uint64_t pid_start; /* start time of pid in clock ticks: tells a reused pid */
    session_state state;
    ms_t grace_until; /* armed while DETACHED, else MS_NEVER */
    request_no acked;
} record_session;

typedef struct {
    allocation_id id;
    session_id owner;
    user_id user;
    allocation_terms terms;
    ms_t since;
} record_allocation;

typedef struct {
    allocation_id id;
    allocation_state state;
    uint64_t version;
    chunks_t want;               /* now; lowered by releases that the client started */
    ms_t wait_until;             /* armed while WAITING, else MS_NEVER */
    allocation_id no_growth_for; /* gave to this one; grows again when that is over */
} record_allocation_state;

typedef struct {
    allocation_id allocation;
    host_id host;
    chunks_t held;        /* granted, counted in the host's granted column */
    chunks_t returning;   /* released, not yet seen empty: the debt of this holding */
    ms_t returning_until; /* looked at again then, else MS_NEVER */
} record_holding;

/*
 * A program that ran before its claim took it in carries no name of it: where membership goes by names, its agent
 * knows it by this. Within one boot of the host no two processes have the same.
 */
typedef struct {
    int32_t pid;    /* 0 = none */
    uint64_t start; /* in clock ticks since boot */
} claim_root;

typedef struct {
    generation gen;
    allocation_id allocation;
    host_id host;
    chunks_t chunks;
    claim_state state;
    ms_t closing_until; /* armed while CLOSING or QUARANTINED, else MS_NEVER */
    bool kill;          /* its processes are to die: no agent may be told less */
    session_id opener;  /* whose request made it: a repeated request finds it (I12) */
    request_no opened_by;
    char command[COMMAND_MAX];
    claim_root root; /* absent in most records, and in those of older journals */
} record_claim;

typedef struct {
    recall_id id;
    allocation_id allocation;
    recall_reason reason;
    allocation_id beneficiary; /* none but for WAITER and FAIRNESS */
    host_id host;              /* the only accepted host, or HOST_NONE = any in the beneficiary's filter */
    chunks_t asked, released, withdrawn, revoked;
    ms_t deadline;
    bool overdue;
} record_recall;

typedef struct {
    session_id session;
    request_no number;
    int32_t status;
    allocation_id allocation;
    generation claim;
    recall_id recall;
    chunks_t chunks;
} record_answer;

typedef struct {
    record_kind kind;
    union {
        record_counters counters;
        record_host host;
        record_session session;
        session_id session_end;
        record_allocation allocation;
        record_allocation_state allocation_state;
        allocation_id allocation_end;
        record_holding holding;
        record_claim claim;
        generation claim_end;
        record_recall recall;
        recall_id recall_end;
        record_answer answer;
    };
} core_record;

/* An upper bound of one encoded record, length prefix included. */
#define RECORD_BYTES_MAX 640u

/*
 * Appends the encoding of `record` to the `size` bytes at `to`.
 * Returns the bytes written, or 0 when they would not fit.
 */
size_t record_encode(const core_record *record, uint8_t *to, size_t size);

/*
 * Reads one record from the `size` bytes at `from` into `*ret`, and the bytes used into
 * `*ret_used`. Returns 0, or STATUS_CORRUPT for an unknown kind, a short buffer, trailing bytes
 * inside a record, a text without its end or an enum out of range; outputs untouched then.
 */
int record_decode(const uint8_t *from, size_t size, core_record *ret, size_t *ret_used);

#endif
