/*
 * judge_inner.h - what the files of the judges share; nobody else includes this.
 *
 *   judge.c         who is told of what, and who looks when
 *   judge_books.c   the judges' own books, from journal records; what a step changed; a crash and a lost tail
 *   judge_hosts.c   what the owner of each host and its agent told: total, set aside, foreign at least
 *   judge_step.c    a step's changes: grants, what is given back, recalls, claims
 *   judge_views.c   what the core shows, beside the judges' books
 *   judge_wire.c    what leaves the broker and what clients are told
 *   judge_truth.c   groups and processes as they are, beside the books
 *   judge_end.c     what waits too long; what must be true when all is over
 */
#ifndef GRANARY_SIM_JUDGE_INNER_H
#define GRANARY_SIM_JUDGE_INNER_H

#include <inttypes.h>

#include "broker.h"
#include "judge.h"
#include "machine.h"

#define JUDGE_HOSTS (SIM_HOSTS + 4u)

#define VECTOR(type)                                                                                                   \
    struct {                                                                                                           \
        type *items;                                                                                                   \
        uint32_t n, capacity;                                                                                          \
    }

/* One more at the end of a vector, not zeroed. */
#define VECTOR_ADD(v)                                                                                                  \
    ((v)->n == (v)->capacity ? ((v)->capacity = (v)->capacity ? 2 * (v)->capacity : 16,                                \
                                (v)->items = sim_grow((v)->items, (v)->capacity * sizeof *(v)->items), (void)0)        \
                             : (void)0,                                                                                \
     &(v)->items[(v)->n++])
/* The last one takes its place. */
#define VECTOR_REMOVE(v, item) (*(item) = (v)->items[--(v)->n])

/* ---- books ---- */

typedef struct {
    record_allocation terms;
    record_allocation_state now;
} book_allocation;

typedef struct {
    record_counters counters;
    VECTOR(record_host) hosts;
    VECTOR(record_session) sessions;
    VECTOR(book_allocation) allocations;
    VECTOR(record_holding) holdings;
    VECTOR(record_claim) claims;
    VECTOR(record_recall) recalls;
} books;

/* What one step did to a noun: before it, after it. */
typedef struct {
    record_holding before, after;
} change_holding;
typedef struct {
    record_claim before, after;
    bool was, is;
} change_claim;
typedef struct {
    record_recall before, after;
    bool was, is;
} change_recall;

/* Of a recall that is over at once there is no record but of its end: the log tells its counts. */
typedef struct {
    uint64_t recall;
    note_kind kind;
    chunks_t chunks;
} recall_note;

typedef struct {
    VECTOR(recall_note) notes;
    VECTOR(change_holding) holdings;
    VECTOR(change_claim) claims;
    VECTOR(change_recall) recalls;
    VECTOR(book_allocation) ended; /* allocations */
    VECTOR(record_session) left;   /* sessions */
    VECTOR(book_allocation) begun; /* allocations */
} changes;

/* Whose numbers never come again. */
typedef struct {
    uint64_t gen;
    host_id host;
    bool ended;      /* in the books */
    bool lost;       /* the journal lost it with its tail */
    bool kill_sent;  /* an agent was told to end it by force */
    bool empty_sent; /* an agent was told to end what a task left in it */
    bool may_kill;   /* its owner asked to close it by force */
    bool resized;    /* somebody asked for another size */
} claim_facts;

/* Since when it can be taken by force: by the time that the broker lived through. */
typedef struct {
    uint64_t recall;
    ms_t since;
} recall_facts;

typedef struct {
    bool connected, sampled, draining_told;
    bool told;            /* hello in this life of the broker */
    bytes_t physical;     /* as it was told */
    bytes_t told_total;   /* the agent's */
    bytes_t config_total; /* 0 = what the agent says */
    bytes_t config_aside; /* UINT64_MAX = the default rule */
    bool configured;
    bytes_t raw, last_raw; /* the last two samples without what claims use */
    bytes_t most;          /* what foreign memory may be smoothed to at most, before it is covered */
} host_facts;

/* A request that came to the core. */
typedef struct {
    uint64_t session, number;
    event_kind kind;
    bool dry_run;
    bool muddled; /* something else was asked under its number */
    bool answered;
    int status;
    uint64_t allocation, claim, recall;
    chunks_t chunks;
} request_facts;

/* Something that ought to pass: since when it has been so. */
typedef struct {
    int kind;
    uint64_t id;
    us_t since;
    uint64_t look; /* the last one that saw it */
} worry;

struct judges {
    sim *sim;
    books now;  /* with what is not committed yet */
    books base; /* a commit of the past; `tail` leads from there to the last commit */
    VECTOR(core_record) tail;
    VECTOR(uint32_t) commits;              /* ends of the commits in the tail */
    uint32_t uncommitted;                  /* records at the end of the tail that are in no commit */
    bool lost_tail;                        /* ever */
    uint64_t highest_gen, highest_session; /* ever issued, also what was lost */
    uint64_t safe_gen, safe_session;       /* by the last commit */

    changes step;
    core_event event; /* of the step that is going on; its lists are not for use after it */
    bool first_sight; /* its request is no repetition */
    bool stepping;
    bool grew;         /* somebody got chunks in it */
    ms_t clock, lived; /* of the broker: at the last step; sum of what passed in its lives */
    bool restarted;    /* no step since */

    host_facts hosts[JUDGE_HOSTS];
    host_facts host_default;    /* of the configuration's "*" */
    VECTOR(claim_facts) claims; /* by number */
    VECTOR(recall_facts) recalls;
    VECTOR(request_facts) requests;
    VECTOR(event_config_user) users;
    VECTOR(worry) worries;
    us_t limit_reached; /* a table was full then; 0 = never */
    uint64_t looks;
};

/* A sentence with ids and numbers; the first is kept. */
#define WRONG(j, ...) sim_wrong((j)->sim, __VA_ARGS__)

const char *judge_host_name(const judges *j, host_id h);

/* ---- judge_books.c ---- */
book_allocation *books_allocation(const books *b, allocation_id id); /* each: NULL = there is none */
record_session *books_session(const books *b, session_id id);
record_holding *books_holding(const books *b, allocation_id a, host_id h);
record_claim *books_claim(const books *b, generation gen);
record_recall *books_recall(const books *b, recall_id id);
record_host *books_host(const books *b, host_id id);
chunks_t books_held(const books *b, allocation_id a);
/* Chunks of its claims on a host but the quarantined. */
uint64_t books_claimed(const books *b, allocation_id a, host_id h);
void books_put(judges *j, const core_record *r); /* into `now`, and what it changed into `step` */
void books_commit(judges *j);
void books_lose(judges *j, uint64_t commits); /* of those that were thought safe; 0 = only what was not committed */
void books_finish(judges *j);
void changes_clear(changes *c);
claim_facts *facts_claim(judges *j, uint64_t gen); /* NULL: never heard of */
ms_t facts_recall(const judges *j, uint64_t recall);

/* ---- judge_hosts.c ---- */
void hosts_event(judges *j, const core_event *e);
void hosts_restart(judges *j);
bytes_t hosts_total(const judges *j, host_id h);
bytes_t hosts_aside(const judges *j, host_id h);
bytes_t hosts_foreign_least(const judges *j, host_id h); /* columns, as covered by what the owner keeps */
bytes_t hosts_foreign_most(const judges *j, host_id h);
bytes_t hosts_quota(const judges *j, user_id u); /* UINT64_MAX = none */

/* ---- judge_step.c ---- */
void step_judge(judges *j);

/* ---- judge_recalls.c ---- */
void recalls_note(judges *j, const effect_note *n);
void recalls_judge(judges *j);

/* ---- judge_claims.c ---- */
void claims_judge(judges *j);

/* ---- judge_views.c ---- */
void views_judge(judges *j, const core *c);

/* ---- judge_wire.c ---- */
void wire_event(judges *j, const core_event *e); /* sets first_sight */
void wire_sent(judges *j, const char *to, const message *m);
void wire_restart(judges *j);

/* ---- judge_truth.c ---- */
/* What is really there of a claim. */
typedef struct {
    bool found;
    group_view group;
} truth_group;
truth_group truth_of(const judges *j, host_id h, uint64_t gen);
bool truth_empty(const group_view *g, bytes_t chunk_size);
void truth_look(judges *j);
void truth_killed(judges *j, const machine *m, uint64_t gen, int32_t pid, const char *by);

/* ---- judge_end.c ---- */
void worries_look(judges *j);
void end_judge(judges *j);

#endif
