/*
 * study_world.c - one run of the study: the queue of jobs, the core in its arena, hosts that never fail.
 */
#include "study_world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *study_grow(void *old, size_t size)
{
    void *p = realloc(old, size);
    if (!p) {
        fprintf(stderr, "granary-sim: no memory for a run of this size\n");
        exit(1);
    }
    return p;
}

void *study_alloc(size_t size)
{
    return memset(study_grow(NULL, size ? size : 1), 0, size);
}

void series_add(series *s, double value)
{
    if (s->n == s->room) {
        s->room = s->room * 2 + 64;
        s->values = study_grow(s->values, s->room * sizeof *s->values);
    }
    s->values[s->n++] = value;
}

void world_trace(const world *w, const char *format, ...)
{
    va_list args;
    if (!w->plan.trace)
        return;
    fprintf(w->plan.trace, "%9.3f ", (double)w->now / 1000);
    va_start(args, format);
    vfprintf(w->plan.trace, format, args);
    va_end(args);
    fputc('\n', w->plan.trace);
}

/* ---- the queue ---- */

static bool job_before(const job *a, const job *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void world_job(world *w, job j)
{
    j.order = w->order++;
    if (w->n_jobs == w->jobs_room) {
        w->jobs_room = w->jobs_room * 2 + 1024;
        w->jobs = study_grow(w->jobs, w->jobs_room * sizeof *w->jobs);
    }
    size_t i = w->n_jobs++;
    for (; i > 0 && job_before(&j, &w->jobs[(i - 1) / 2]); i = (i - 1) / 2)
        w->jobs[i] = w->jobs[(i - 1) / 2];
    w->jobs[i] = j;
}

static job job_take(world *w)
{
    job first = w->jobs[0], last = w->jobs[--w->n_jobs];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->n_jobs; i = child) {
        if (child + 1 < w->n_jobs && job_before(&w->jobs[child + 1], &w->jobs[child]))
            child++;
        if (!job_before(&w->jobs[child], &last))
            break;
        w->jobs[i] = w->jobs[child];
    }
    w->jobs[i] = last;
    return first;
}

/* ---- the core ---- */

/* Time of this thread on a processor; past what stands in for the clock in the simulator's programs. */
static uint64_t cpu_ns(void)
{
    struct timespec t = {0};
    syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void world_step(world *w, const core_event *e)
{
    uint64_t start = cpu_ns();
    int status = core_step(w->core, w->now, e, &w->effects);
    uint64_t took = cpu_ns() - start;
    if (status != 0) {
        fprintf(stderr, "granary-sim: the core refused an event of kind %d: %d\n", (int)e->kind, status);
        abort();
    }
    if (MEASURED(w)) {
        w->sum.steps++;
        w->sum.cpu_ns += took;
        if (w->plan.time)
            series_add(&w->sum.kinds[e->kind], (double)took);
    }
    broker_effects(w);
}

/* Room for twice as many unanswered requests. */
static void ring_grow(party *p)
{
    uint32_t room = p->room ? p->room * 2 : 64;
    asked *ring = study_alloc(room * sizeof *ring);
    for (uint32_t n = p->acked + 1; p->room && n < p->next; n++)
        ring[n % room] = p->ring[n % p->room];
    free(p->ring);
    p->ring = ring;
    p->room = room;
}

void party_ask(world *w, uint32_t who, asked what, void *data)
{
    party *p = &w->parties[who];
    what.number = p->next++;
    what.open = true;
    if (what.number - p->acked >= p->room)
        ring_grow(p);
    p->ring[what.number % p->room] = what;
    world_job(w, (job){.at = w->now + MESSAGE_MS, .kind = JOB_ASK, .who = who, .number = what.number, .data = data});
}

void world_hold(world *w, uint64_t allocation, bool is_firm, uint32_t index)
{
    if (allocation >= w->holders_room) {
        uint64_t room = allocation * 2 + 64;
        w->holders = study_grow(w->holders, room * sizeof *w->holders);
        memset(w->holders + w->holders_room, 0, (room - w->holders_room) * sizeof *w->holders);
        w->holders_room = room;
    }
    w->holders[allocation] = (holder){is_firm, index + 1};
}

static core_limits limits_of(const world *w)
{
    uint64_t chunks = (uint64_t)w->plan.hosts * (HOST_BYTES / GIB(1));
    const workload *work = w->plan.work;
    bytes_t least = GIB(64);
    for (int i = 0; i < SIZES_MAX && work->chunks[i]; i++)
        least = work->chunks[i] < least ? work->chunks[i] : least;
    chunks = chunks * GIB(1) / least;
    return (core_limits){
        .hosts = w->plan.hosts,
        .users = 32,
        .sessions = w->n_parties + 8,
        .allocations = w->n_pools + w->plan.hosts * 2 + 4096,
        .holdings = (uint32_t)(chunks + chunks / 4) + 8192,
        .claims = (uint32_t)(chunks + chunks / 4) + 1024,
        .recalls = w->plan.hosts * 2 + 16384,
        .answers = (w->n_parties + 8) * 16 + 1024,
    };
}

static void core_open(world *w)
{
    core_limits limits = limits_of(w);
    w->arena_bytes = core_arena_size(&limits);
    w->arena = aligned_alloc(64, (w->arena_bytes + 63) / 64 * 64);
    w->effects = (core_effects){.items = study_alloc(EFFECTS_MAX * sizeof(core_effect)), .capacity = EFFECTS_MAX};
    if (!w->arena || core_init(&w->core, &limits, &core_timers_default, w->arena, w->arena_bytes) != 0 ||
        core_recover(w->core, w->now, true, &w->effects) != 0) {
        fprintf(stderr, "granary-sim: no memory for the books of %u hosts\n", w->plan.hosts);
        exit(1);
    }
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "*"}}; /* nothing is set aside */
    world_step(w, &e);
}

static void hosts_open(world *w)
{
    for (uint32_t i = 0; i < w->plan.hosts; i++) {
        core_event hello = {
            .kind = EVENT_HOST_HELLO,
            .hello = {.boot_id = "boot", .physical = HOST_BYTES, .total = HOST_BYTES, .cores = 8, .limited = true}};
        snprintf(hello.hello.name, sizeof hello.hello.name, "host%u", i);
        world_step(w, &hello);
        core_event sample = {.kind = EVENT_HOST_SAMPLE, .sample = {.host = {i}}};
        world_step(w, &sample);
    }
}

static void parties_open(world *w)
{
    for (uint32_t i = 0; i < w->n_parties; i++) {
        party *p = &w->parties[i];
        bool is_pool = i < w->n_pools, is_operator = i == w->operator_party;
        core_event e = {.kind = EVENT_SESSION_OPEN,
                        .session = {.user = {is_pool ? 1000 + i % 16 : 2000},
                                    .pid = (int32_t)i + 2,
                                    .operator_ = is_operator,
                                    .link = i + 1}};
        memcpy(e.session.token, &i, sizeof i);
        world_step(w, &e);
        for (uint32_t k = 0; k < w->effects.count; k++)
            if (w->effects.items[k].kind == EFFECT_REPLY)
                p->session = w->effects.items[k].reply.session;
        p->next = 1;
    }
}

/* ---- jobs ---- */

static void answered(world *w, job *j)
{
    party *p = &w->parties[j->who];
    asked *place = &p->ring[j->number % p->room], what = *place;
    if (!place->open || place->number != j->number)
        return;
    place->open = false;
    while (p->acked + 1 < p->next && !p->ring[(p->acked + 1) % p->room].open)
        p->acked++;
    if (j->who < w->n_pools) {
        if (j->data)
            pool_told(w, j->who, j->data);
        pool_answered(w, j->who, &what, j);
    } else if (what.kind == EVENT_ALLOCATE) {
        firm_answered(w, what.n, j);
    }
}

static void pushed(world *w, const job *j)
{
    holder h = j->a < w->holders_room ? w->holders[j->a] : (holder){0};
    if (!h.index)
        return;
    if (j->b) {
        const told_set *set = j->data;
        if (h.is_firm)
            firm_told(w, h.index - 1, set);
        else {
            pool_told(w, h.index - 1, set);
            pool_fill(w, h.index - 1);
        }
    } else if (!h.is_firm) {
        pool_pushed(w, h.index - 1, j->data);
    }
}

static void job_do(world *w, job *j)
{
    switch (j->kind) {
    case JOB_ASK:
    case JOB_OPENED:
    case JOB_ENTERED:
    case JOB_DRAINED:
        broker_asked(w, j);
        break;
    case JOB_ANSWER:
        answered(w, j);
        break;
    case JOB_PUSH:
        pushed(w, j);
        break;
    case JOB_TASK_END:
        task_ended(w, j);
        break;
    case JOB_POOL_LOOK:
        pool_looks(w, j->who);
        break;
    case JOB_FIRM_COMES:
        firm_comes(w, j);
        break;
    case JOB_FIRM_ENDS:
        firm_ends(w, j->who);
        break;
    case JOB_DRAIN:
        drain_begins(w);
        break;
    case JOB_UNDRAIN:
        drain_undo(w, (host_id){j->who});
        break;
    case JOB_BURST:
        burst_begins(w);
        break;
    case JOB_MEASURE_HOST:
        host_measured(w, (host_id){j->who});
        break;
    case JOB_SAMPLE:
        world_sample(w);
        break;
    }
    free(j->data);
}

/* ---- the run ---- */

static uint32_t pools_for(uint32_t hosts)
{
    uint64_t share = GIB(256), all = (uint64_t)hosts * HOST_BYTES;
    return all / share < 8 ? 8 : (uint32_t)(all / share);
}

static void world_open(world *w)
{
    const run_plan *plan = &w->plan;
    w->now = START_MS;
    w->end = START_MS + plan->warm + plan->span + plan->tail;
    w->n_pools = pools_for(plan->hosts);
    w->firm_parties = plan->hosts < 64 ? 8 : 64;
    w->first_firm_party = w->n_pools;
    w->operator_party = w->n_pools + w->firm_parties;
    w->n_parties = w->operator_party + 1;
    w->parties = study_alloc(w->n_parties * sizeof *w->parties);
    w->pools = study_alloc(w->n_pools * sizeof *w->pools);
    w->hosts = study_alloc(plan->hosts * sizeof *w->hosts);
    core_open(w);
    hosts_open(w);
    parties_open(w);
    pools_open(w);
    firms_open(w);
    troubles_open(w);
    world_job(w, (job){.at = START_MS + plan->warm, .kind = JOB_SAMPLE});
}

static void world_close(world *w)
{
    for (size_t i = 0; i < w->n_jobs; i++)
        free(w->jobs[i].data);
    for (uint32_t i = 0; i < w->n_parties; i++)
        free(w->parties[i].ring);
    for (uint32_t i = 0; i < w->n_pools; i++) {
        library_close(&w->pools[i]);
        free(w->pools[i].again);
        free(w->pools[i].places);
        free(w->pools[i].tasks);
    }
    free(w->sum.drains.values);
    for (int i = 0; i < EVENT_KINDS; i++)
        free(w->sum.kinds[i].values);
    free(w->jobs);
    free(w->parties);
    free(w->pools);
    free(w->tasks);
    free(w->task_spare);
    free(w->by_gen);
    free(w->holders);
    free(w->firms);
    free(w->hosts);
    free(w->arena);
    free(w->effects.items);
}

/* Over when its time is, or when all firm requests that count are served. */
static bool is_over(const world *w)
{
    ms_t measured = START_MS + w->plan.warm + w->plan.span;
    return w->now >= w->end || (w->now >= measured && w->firms_waiting == 0);
}

run_result study_run(const run_plan *plan)
{
    world *w = study_alloc(sizeof *w);
    w->plan = *plan;
    world_open(w);
    while (!is_over(w)) {
        ms_t due = core_next_deadline(w->core);
        ms_t next = w->n_jobs ? w->jobs[0].at : MS_NEVER;
        if (due <= w->now || due < next) {
            w->now = due > w->now ? due : w->now;
            core_event tick = {.kind = EVENT_TICK};
            world_step(w, &tick);
            continue;
        }
        job j = job_take(w);
        w->now = j.at > w->now ? j.at : w->now;
        job_do(w, &j);
    }
    run_result r = world_result(w);
    if (plan->time)
        scale_tell(w, plan->hosts);
    world_close(w);
    free(w);
    return r;
}
