/*
 * study_firm.c - firm requests that come and wait, hosts that are drained, foreign memory that comes and goes.
 */
#include "study_world.h"

#include <stdlib.h>
#include <string.h>

#define DRAINED_FOR_MS 30000u
#define HOUR_MS        3600000.0
#define BURST_MS       60000.0
#define MEASURE_MS     1000u /* between two samples of a host with foreign memory */

/* ---- firm requests ---- */

static ms_t last_comes(const world *w)
{
    return START_MS + w->plan.warm + w->plan.span;
}

/* Makes the next one, unless it would come too late. */
static void firm_next(world *w)
{
    ms_t before = w->n_firms ? w->firms[w->n_firms - 1].request.at : START_MS;
    firm f = {.request = workload_firm(w->plan.work, w->plan.seed, w->plan.hosts, w->n_firms, before)};
    if (f.request.at >= last_comes(w))
        return;
    f.counts = f.request.at >= START_MS + w->plan.warm;
    f.bound = MS_NEVER;
    if (w->n_firms == w->firms_room) {
        w->firms_room = w->firms_room * 2 + 256;
        w->firms = study_grow(w->firms, w->firms_room * sizeof *w->firms);
    }
    w->firms[w->n_firms] = f;
    world_job(w, (job){.at = f.request.at, .kind = JOB_FIRM_COMES, .who = w->n_firms++});
}

void firms_open(world *w)
{
    firm_next(w);
}

void firm_comes(world *w, const job *j)
{
    firm *f = &w->firms[j->who];
    uint32_t who = w->first_firm_party + j->who % w->firm_parties;
    f->asked = w->now;
    w->firms_waiting += f->counts;
    party_ask(w, who, (asked){.kind = EVENT_ALLOCATE, .n = j->who}, NULL);
    firm_next(w);
}

/* Everything in use, with its true end. */
static bound_use *uses(const world *w, size_t *ret_n)
{
    size_t n = 0;
    bound_use *u = study_alloc((w->n_tasks + w->n_firms * EXTENTS_MAX / 64 + w->plan.hosts + 16) * sizeof *u);
    size_t room = w->n_tasks + w->n_firms * EXTENTS_MAX / 64 + w->plan.hosts + 16;
    for (uint32_t i = 0; i < w->n_tasks; i++)
        if (w->tasks[i].state == TASK_RUNNING)
            u[n++] = (bound_use){w->tasks[i].host.v, w->pools[w->tasks[i].pool].chunk_size, w->tasks[i].end};
    for (uint32_t i = 0; i < w->plan.hosts; i++)
        if (w->hosts[i].burst_until > w->now)
            u[n++] = (bound_use){i, w->hosts[i].foreign, w->hosts[i].burst_until};
    for (uint32_t i = 0; i < w->n_firms; i++) {
        const firm *f = &w->firms[i];
        holding_view x;
        uint32_t cursor = 0;
        while (f->held && !f->over && n < room && view_holding(w->core, (allocation_id){f->allocation}, &cursor, &x))
            u[n++] = (bound_use){x.host.v, f->request.chunk_size * x.held, f->granted + f->request.hold};
    }
    *ret_n = n;
    return u;
}

void firm_arrived(world *w, uint32_t index)
{
    firm *f = &w->firms[index];
    size_t n;
    if (!w->plan.bound || !f->counts)
        return;
    bound_use *u = uses(w, &n);
    ms_t bound = bound_of(u, n, w->plan.hosts, HOST_BYTES, &f->request, w->now);
    f->bound = bound == MS_NEVER ? MS_NEVER : bound + 2 * MESSAGE_MS; /* asked and answered in any case */
    free(u);
}

static void granted(world *w, uint32_t index)
{
    firm *f = &w->firms[index];
    if (f->held || f->over)
        return;
    f->held = true;
    f->granted = w->now;
    w->firms_waiting -= f->counts;
    w->running += f->request.chunk_size * f->request.chunks;
    world_trace(w, "firm %u granted after %ju ms, bound %jd", index, (uintmax_t)(w->now - f->asked),
                (intmax_t)f->bound);
    world_job(w, (job){.at = w->now + f->request.hold, .kind = JOB_FIRM_ENDS, .who = index});
}

void firm_answered(world *w, uint32_t index, const job *j)
{
    firm *f = &w->firms[index];
    f->allocation = j->a;
    world_trace(w, "firm %u: %u x %ju MiB%s is allocation %ju, status %d, bound %jd", index, f->request.chunks,
                (uintmax_t)(f->request.chunk_size >> 20), f->request.one_host ? " on one host" : "", (uintmax_t)j->a,
                j->status, (intmax_t)f->bound);
    if (j->status < 0) {
        f->over = true;
        w->firms_waiting -= f->counts;
        w->sum.refused += f->counts;
    } else if (j->status == 0) {
        granted(w, index);
    }
}

void firm_told(world *w, uint32_t index, const told_set *set)
{
    if (set->live)
        granted(w, index);
}

void firm_ends(world *w, uint32_t index)
{
    firm *f = &w->firms[index];
    f->over = true;
    w->running -= f->request.chunk_size * f->request.chunks;
    party_ask(w, w->first_firm_party + index % w->firm_parties,
              (asked){.kind = EVENT_RELEASE, .allocation = f->allocation}, NULL);
}

/* ---- trouble ---- */

/* The i-th trouble of a kind comes so long after the one before. */
static ms_t trouble_after(const world *w, const char *kind, uint64_t i, double in_an_hour)
{
    rng dice = rng_named(w->plan.seed, kind, i);
    return 1 + (ms_t)rng_exponential(&dice, HOUR_MS / (in_an_hour * w->plan.hosts));
}

static void trouble_next(world *w, job_kind kind, uint64_t i)
{
    double often = kind == JOB_DRAIN ? w->plan.work->drains : w->plan.work->bursts;
    if (often <= 0)
        return;
    ms_t at = w->now + trouble_after(w, kind == JOB_DRAIN ? "drain" : "burst", i, often);
    if (at < last_comes(w))
        world_job(w, (job){.at = at, .kind = kind});
}

void troubles_open(world *w)
{
    trouble_next(w, JOB_DRAIN, 0);
    trouble_next(w, JOB_BURST, 0);
}

static uint32_t host_for(const world *w, const char *kind)
{
    rng dice = rng_named(w->plan.seed, kind, w->now);
    return (uint32_t)rng_below(&dice, w->plan.hosts);
}

static void ask_operator(world *w, event_kind kind, host_id host)
{
    party_ask(w, w->operator_party, (asked){.kind = kind, .host = host}, NULL);
}

void drain_begins(world *w)
{
    host_id host = {host_for(w, "drained host")};
    study_host *h = &w->hosts[host.v];
    trouble_next(w, JOB_DRAIN, w->now);
    if (h->drain_since)
        return;
    h->drain_since = w->now;
    world_trace(w, "drain of host %u", host.v);
    ask_operator(w, EVENT_DRAIN, host);
}

void drain_ends(world *w, host_id host)
{
    study_host *h = &w->hosts[host.v];
    if (MEASURED(w))
        series_add(&w->sum.drains, (double)(w->now - h->drain_since));
    world_job(w, (job){.at = w->now + DRAINED_FOR_MS, .kind = JOB_UNDRAIN, .who = host.v});
}

void drain_undo(world *w, host_id host)
{
    w->hosts[host.v].drain_since = 0;
    ask_operator(w, EVENT_UNDRAIN, host);
}

void burst_begins(world *w)
{
    uint32_t i = host_for(w, "burst host");
    study_host *h = &w->hosts[i];
    rng dice = rng_named(w->plan.seed, "burst size", w->now);
    trouble_next(w, JOB_BURST, w->now);
    if (h->measured)
        return; /* the one before is still felt */
    h->foreign = GIB(8 + rng_below(&dice, 9));
    h->burst_until = w->now + 1000 + (ms_t)rng_exponential(&dice, BURST_MS);
    h->measured = true;
    world_job(w, (job){.at = w->now, .kind = JOB_MEASURE_HOST, .who = i});
}

void host_measured(world *w, host_id host)
{
    study_host *h = &w->hosts[host.v];
    core_event e = {.kind = EVENT_HOST_SAMPLE,
                    .sample = {.host = host, .in_use = w->now < h->burst_until ? h->foreign : 0}};
    world_step(w, &e);
    host_view seen;
    bool forgotten =
        view_host_by_id(w->core, host, &seen) == 0 && seen.foreign == 0; /* what fell counts on for a while */
    if (w->now < h->burst_until || !forgotten)
        world_job(w, (job){.at = w->now + MEASURE_MS, .kind = JOB_MEASURE_HOST, .who = host.v});
    else
        h->measured = false;
}
