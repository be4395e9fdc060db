/*
 * study_world.h - what the parts of one run of the study share.
 *
 * One queue of jobs in the order of their time, then of their making. A party talks to the broker by party_ask(): the
 * request arrives MESSAGE_MS later, its answer comes back by party_answered(). Pools and firm requests are parties'.
 */
#ifndef GRANARY_SIM_STUDY_WORLD_H
#define GRANARY_SIM_STUDY_WORLD_H

#include "client/pool_state.h"
#include "core/core.h"
#include "core/view.h"
#include "study.h"

typedef struct world world;

typedef enum {
    JOB_ASK = 1, /* a party's request arrives at the broker */
    JOB_OPENED,  /* agents' answers arrive at the broker */
    JOB_ENTERED,
    JOB_DRAINED,
    JOB_ANSWER, /* the broker's messages arrive at a party */
    JOB_PUSH,
    JOB_TASK_END, /* what happens by itself */
    JOB_POOL_LOOK,
    JOB_FIRM_COMES,
    JOB_FIRM_ENDS,
    JOB_DRAIN,
    JOB_UNDRAIN,
    JOB_BURST,
    JOB_MEASURE_HOST,
    JOB_SAMPLE,
} job_kind;

/* What is held, as a message tells it. Made with one allocation, freed by its reader. */
typedef struct {
    chunks_t want;
    bool live;
    uint32_t n;
    extent extents[];
} told_set;

typedef struct {
    ms_t at;
    uint64_t order;
    job_kind kind;
    int status;
    uint32_t who;    /* party, task or host, as the kind says */
    uint32_t number; /* JOB_ANSWER: of the request; else a stamp */
    uint64_t a, b;
    void *data; /* owned */
} job;

/* A request as it waits for its answer. */
typedef struct {
    event_kind kind;
    bool open;
    uint32_t number;
    uint64_t allocation, recall, claim;
    uint32_t n; /* CLAIM, ENTER: the task; ALLOCATE: which firm request; OFFER, RELEASE_N: how many items go with it */
    host_id host;
    chunks_t chunks;
} asked;

typedef struct {
    session_id session;
    uint32_t next, acked; /* numbers */
    asked *ring;          /* unanswered, by number modulo room */
    uint32_t room;
} party;

typedef enum { TASK_NONE, TASK_CLAIMING, TASK_ENTERING, TASK_RUNNING, TASK_OVER, TASK_CLOSING } task_state;

/* A slot's claim and the task in it. */
typedef struct {
    task_state state;
    bool drain_told, ending; /* ending: the agent is to report it drained when the task is over */
    uint32_t pool;
    uint32_t stamp; /* a JOB_TASK_END of another stamp is about an earlier task */
    host_id host;
    uint64_t gen, slot; /* slot: the library's */
    uint64_t index;     /* which of the pool's tasks */
    ms_t since, end;
} task;

typedef struct {
    uint64_t id;
    host_id host; /* HOST_NONE: any */
    chunks_t left;
} pool_debt; /* an open recall, as ways 1 and 2 keep it */

typedef struct {
    host_id host;
    chunks_t held, leaving, busy;
} pool_place;

#define DEBTS_MAX 256u
typedef struct {
    uint32_t party;
    uint64_t allocation;
    bytes_t chunk_size;
    chunks_t want;
    uint64_t next_task;
    uint64_t *again; /* tasks that were killed, to be done again */
    uint32_t n_again, again_room;
    pool_place *places;
    uint32_t n_places, places_room;
    pool_debt debts[DEBTS_MAX];
    uint32_t n_debts;
    uint32_t *tasks; /* alive, in no order */
    uint32_t n_tasks, tasks_room;
    pool_state *lib; /* way 3 */
    ms_t look_at;    /* a JOB_POOL_LOOK is under way for then */
} pool;

typedef struct {
    firm_request request;
    uint64_t allocation;
    ms_t granted, asked;
    ms_t bound;
    bool counts, held, over;
} firm;

typedef struct {
    ms_t burst_until, drain_since;
    bytes_t foreign;
    bool measured; /* a JOB_MEASURE_HOST is under way */
} study_host;

/* An allocation's holder: a pool, or a firm request. */
typedef struct {
    bool is_firm;
    uint32_t index;
} holder;

typedef struct {
    double *values;
    size_t n, room;
} series;
void series_add(series *s, double value);

typedef struct {
    double granted, in_tasks, leasable, largest, stranded[STRANDED_REASONS];
    uint64_t samples;
    uint64_t killed, done, recalls, recall_messages, journal_bytes, steps, cpu_ns, refused;
    double lost, work; /* byte ms */
    series drains;
    series kinds[EVENT_KINDS]; /* of each step, ns */
} tally;

struct world {
    run_plan plan;
    ms_t now, end;
    core *core;
    void *arena;
    size_t arena_bytes;
    core_effects effects;
    job *jobs; /* a heap */
    size_t n_jobs, jobs_room;
    uint64_t order;
    party *parties;
    uint32_t n_parties;
    pool *pools;
    uint32_t n_pools;
    task *tasks;
    uint32_t n_tasks, tasks_room, *task_spare, n_spare, spare_room;
    uint32_t *by_gen; /* task + 1; gens are given in turn */
    uint64_t by_gen_room;
    holder *holders; /* by allocation */
    uint64_t holders_room;
    firm *firms;
    uint32_t n_firms, firms_room, firm_parties, first_firm_party;
    uint32_t firms_waiting;
    uint32_t operator_party;
    study_host *hosts;
    bytes_t running; /* in tasks and firm allocations */
    tally sum;
};

#define MEASURED(w) ((w)->now >= START_MS + (w)->plan.warm && (w)->now < START_MS + (w)->plan.warm + (w)->plan.span)

/* ---- study_world.c ---- */
void *study_alloc(size_t size); /* cleared; the program ends when there is none */
void *study_grow(void *old, size_t size);
void world_job(world *w, job j);
void world_step(world *w, const core_event *e);
/* Sends a request of the party: numbered, it arrives at the broker in a while. `data` goes with it, owned. */
void party_ask(world *w, uint32_t who, asked what, void *data);
void world_hold(world *w, uint64_t allocation, bool is_firm, uint32_t index);
void world_trace(const world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- study_broker.c: arrivals at the broker, and what it sends ---- */
void broker_asked(world *w, job *j);
void broker_effects(world *w);

/* ---- study_task.c ---- */
uint32_t task_new(world *w, uint32_t pool, host_id host);
void task_free(world *w, uint32_t t);
task *task_of_gen(world *w, uint64_t gen);
void task_name(world *w, uint32_t t, uint64_t gen);
/* The claim is made, or the process entered: it runs. */
void task_run(world *w, uint32_t t);
void task_ended(world *w, const job *j);
/* What the agent is told of the claim. */
void task_order(world *w, const effect_order *o);
/* Starts the pool's next task in a new claim, or in this one. */
void task_begin(world *w, uint32_t pool, host_id host, uint32_t t);
/* Its claim is closed by the client, with what runs in it: then that is lost, and done again. */
void task_close(world *w, uint32_t t);
/* It could not be started: another one will do its work. */
void task_fail(world *w, uint32_t t);

/* ---- study_pool.c: a pool, and ways 1, 2, kill, static ---- */
void pools_open(world *w);
void pool_answered(world *w, uint32_t p, const asked *what, const job *j);
void pool_told(world *w, uint32_t p, const told_set *set);
void pool_pushed(world *w, uint32_t p, const effect_push *push);
void pool_task_over(world *w, uint32_t p, uint32_t t);
/* Uses what is idle. */
void pool_fill(world *w, uint32_t p);
void pool_looks(world *w, uint32_t p);
pool_place *pool_place_of(pool *p, host_id host, bool make);
void pool_look_later(world *w, uint32_t p, ms_t after);

/* ---- study_library.c: way 3 ---- */
void library_open(world *w, pool *p);
void library_close(pool *p);
void library_answered(world *w, uint32_t p, const asked *what, const job *j);
void library_told(world *w, uint32_t p, const told_set *set);
void library_pushed(world *w, uint32_t p, const effect_push *push);
void library_task_over(world *w, uint32_t p, uint32_t t);
void library_task_failed(world *w, uint32_t p, uint32_t t);
void library_task_runs(world *w, uint32_t p, uint32_t t);
void library_step(world *w, uint32_t p);

/* ---- study_firm.c: firm requests, drains, bursts ---- */
void firms_open(world *w);
void firm_comes(world *w, const job *j);
void firm_arrived(world *w, uint32_t f);
void firm_answered(world *w, uint32_t f, const job *j);
void firm_told(world *w, uint32_t f, const told_set *set);
void firm_ends(world *w, uint32_t f);
void troubles_open(world *w);
void drain_begins(world *w);
void drain_ends(world *w, host_id host);
void drain_undo(world *w, host_id host);
void burst_begins(world *w);
void host_measured(world *w, host_id host);

/* ---- study_measure.c ---- */
void world_sample(world *w);
run_result world_result(world *w);

/* ---- study_scale.c ---- */
void scale_tell(world *w, uint32_t hosts);

#endif
