/*
 * study_pool.c - a pool with more tasks than it ever gets memory for, that gives back by ways 1, 2, 2a, by killing, or
 * not at all. What way 3 does instead is study_library.c.
 */
#include "study_world.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

#define RETRY_MS   20u
#define ZIPF_POOLS 8u /* of each so many the n-th has a share as 1/n: the largest stays within what one may hold */

static bool is_library(const world *w)
{
    return w->plan.way == WAY_3 || w->plan.way == WAY_3_TOLD;
}

/* ---- places ---- */

pool_place *pool_place_of(pool *p, host_id host, bool make)
{
    for (uint32_t i = 0; i < p->n_places; i++)
        if (p->places[i].host.v == host.v)
            return &p->places[i];
    if (!make)
        return NULL;
    if (p->n_places == p->places_room) {
        p->places_room = p->places_room * 2 + 16;
        p->places = study_grow(p->places, p->places_room * sizeof *p->places);
    }
    p->places[p->n_places] = (pool_place){.host = host};
    return &p->places[p->n_places++];
}

static chunks_t place_idle(const pool_place *x)
{
    chunks_t used = x->leaving + x->busy;
    return x->held > used ? x->held - used : 0;
}

static chunks_t place_left(const pool_place *x)
{
    return x->held > x->leaving ? x->held - x->leaving : 0;
}

void pool_told(world *w, uint32_t index, const told_set *set)
{
    pool *p = &w->pools[index];
    if (is_library(w)) {
        library_told(w, index, set);
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->n_places; i++) {
        p->places[i].held = 0;
        if (p->places[i].leaving || p->places[i].busy)
            p->places[kept++] = p->places[i];
    }
    p->n_places = kept;
    for (uint32_t i = 0; i < set->n; i++)
        pool_place_of(p, set->extents[i].host, true)->held = set->extents[i].chunks;
}

/* ---- what is asked back ---- */

static void debt_remove(pool *p, pool_debt *d)
{
    uint32_t i = (uint32_t)(d - p->debts);
    memmove(d, d + 1, (p->n_debts - i - 1) * sizeof *d); /* oldest first */
    p->n_debts--;
}

static bool fewest_here(const pool *p, host_id host)
{
    const pool_place *best = NULL;
    for (uint32_t i = 0; i < p->n_places; i++) {
        const pool_place *x = &p->places[i];
        if (place_left(x) && (!best || place_left(x) < place_left(best) ||
                              (place_left(x) == place_left(best) && x->host.v < best->host.v)))
            best = x;
    }
    return best && best->host.v == host.v;
}

/* The open recall that a chunk on this host answers, by the run's way; NULL: none. */
static pool_debt *debt_for(const world *w, pool *p, host_id host)
{
    if (p->n_debts && w->plan.way == WAY_2_ANY)
        return &p->debts[0];
    if (p->n_debts && w->plan.way == WAY_2A)
        return fewest_here(p, host) ? &p->debts[0] : NULL;
    for (uint32_t i = 0; i < p->n_debts; i++)
        if (p->debts[i].host.v == HOST_NONE.v || p->debts[i].host.v == host.v)
            return &p->debts[i];
    return NULL;
}

/* Gives one chunk of the host that no task is in. */
static void give(world *w, pool *p, pool_debt *d, host_id host)
{
    pool_place *place = pool_place_of(p, host, true);
    extent *extents = study_alloc(sizeof *extents);
    asked what = {.kind = EVENT_RELEASE, .allocation = p->allocation, .recall = d->id, .host = host, .chunks = 1};
    *extents = (extent){host, 1};
    place->leaving++;
    if (w->plan.way == WAY_1) { /* all others there are busy */
        what.kind = EVENT_RELEASE_N;
        what.n = 1;
        extents->chunks = place->held > place->leaving ? place->held - place->leaving : 0;
    }
    party_ask(w, p->party, what, extents);
    if (--d->left == 0)
        debt_remove(p, d);
}

/* Kills the newest tasks there for it. */
static void kill_for(world *w, pool *p, pool_debt *d)
{
    uint64_t id = d->id;
    host_id host = d->host;
    while (p->n_debts && d->id == id) {
        uint32_t newest = UINT32_MAX;
        for (uint32_t i = 0; i < p->n_tasks; i++) {
            const task *t = &w->tasks[p->tasks[i]];
            if (t->state == TASK_RUNNING && (host.v == HOST_NONE.v || t->host.v == host.v) &&
                (newest == UINT32_MAX || t->since > w->tasks[newest].since ||
                 (t->since == w->tasks[newest].since && p->tasks[i] > newest)))
                newest = p->tasks[i];
        }
        if (newest == UINT32_MAX)
            return; /* the rest are just being started: as they end */
        host_id there = w->tasks[newest].host;
        task_close(w, newest);
        give(w, p, d, there);
    }
}

static void recalled(world *w, pool *p, const effect_push *push)
{
    if (p->n_debts == DEBTS_MAX || push->count == 0 || w->plan.way == WAY_STATIC)
        return;
    pool_debt *d = &p->debts[p->n_debts++];
    *d = (pool_debt){push->recall.v, push->host, push->count};
    if (w->plan.way == WAY_KILL)
        kill_for(w, p, d);
}

void pool_pushed(world *w, uint32_t index, const effect_push *push)
{
    pool *p = &w->pools[index];
    if (is_library(w)) {
        library_pushed(w, index, push);
        return;
    }
    if (push->kind == PUSH_RECALL)
        recalled(w, p, push);
    for (uint32_t i = 0; push->kind == PUSH_WITHDRAW && i < p->n_debts; i++) {
        if (p->debts[i].id != push->recall.v)
            continue;
        debt_remove(p, &p->debts[i]);
        break;
    }
    pool_fill(w, index);
}

/* ---- tasks ---- */

void pool_fill(world *w, uint32_t index)
{
    pool *p = &w->pools[index];
    if (is_library(w)) {
        library_step(w, index);
        return;
    }
    for (uint32_t i = 0; i < p->n_places; i++) {
        while (place_idle(&p->places[i])) {
            host_id host = p->places[i].host;
            pool_debt *d = debt_for(w, p, host);
            if (d)
                give(w, p, d, host);
            else
                task_begin(w, index, host, task_new(w, index, host));
        }
    }
}

void pool_task_over(world *w, uint32_t index, uint32_t t)
{
    pool *p = &w->pools[index];
    if (is_library(w)) {
        library_task_over(w, index, t);
        return;
    }
    host_id host = w->tasks[t].host;
    pool_debt *d = debt_for(w, p, host);
    if (d) {
        task_close(w, t);
        give(w, p, d, host);
    } else {
        task_begin(w, index, host, t);
    }
}

void pool_look_later(world *w, uint32_t index, ms_t after)
{
    pool *p = &w->pools[index];
    ms_t at = after > MS_NEVER - 1 - w->now ? MS_NEVER : w->now + after;
    if (at == MS_NEVER || (p->look_at && p->look_at <= at))
        return;
    p->look_at = at;
    world_job(w, (job){.at = at, .kind = JOB_POOL_LOOK, .who = index});
}

void pool_looks(world *w, uint32_t index)
{
    if (w->pools[index].look_at > w->now)
        return; /* an earlier wish that was made earlier still */
    w->pools[index].look_at = 0;
    pool_fill(w, index);
}

/* ---- answers ---- */

static void task_answered(world *w, uint32_t index, const asked *what, const job *j)
{
    task *t = &w->tasks[what->n];
    bool same = what->kind == EVENT_CLAIM ? t->state == TASK_CLAIMING : t->gen == what->claim;
    if (!same || t->pool != index)
        return; /* its claim is gone: the pool was told */
    if (j->status == 0) {
        if (what->kind == EVENT_CLAIM)
            task_name(w, what->n, j->b);
        task_run(w, what->n);
        if (is_library(w))
            library_task_runs(w, index, what->n);
        return;
    }
    if (is_library(w))
        library_task_failed(w, index, what->n);
    task_fail(w, what->n);
    pool_look_later(w, index, RETRY_MS);
}

void pool_answered(world *w, uint32_t index, const asked *what, const job *j)
{
    pool *p = &w->pools[index];
    switch (what->kind) {
    case EVENT_ALLOCATE:
        p->allocation = j->a;
        break;
    case EVENT_CLAIM:
    case EVENT_ENTER:
        task_answered(w, index, what, j);
        return;
    case EVENT_RELEASE:
    case EVENT_RELEASE_N:
        if (!is_library(w)) {
            pool_place *place = pool_place_of(p, what->host, true);
            place->leaving -= place->leaving > 0;
            break;
        } /* fallthrough */
    default:
        if (is_library(w))
            library_answered(w, index, what, j);
        break;
    }
    pool_fill(w, index);
}

/* ---- opening ---- */

/* Bytes of each pool's share: together all there is, or what is not set apart for firm requests. */
static double share_of(const world *w, uint32_t index)
{
    double all = (double)w->plan.hosts * (double)HOST_BYTES, weights = 0;
    if (w->plan.way == WAY_STATIC)
        all *= 1 - 2 * w->plan.work->firm_load; /* room for twice the mean demand */
    if (!w->plan.work->zipf)
        return all / w->n_pools;
    for (uint32_t i = 1; i <= ZIPF_POOLS; i++)
        weights += 1.0 / i;
    return all / w->n_pools * ZIPF_POOLS / (index % ZIPF_POOLS + 1) / weights;
}

void pools_open(world *w)
{
    uint32_t sizes = 0;
    while (sizes < SIZES_MAX && w->plan.work->chunks[sizes])
        sizes++;
    for (uint32_t i = 0; i < w->n_pools; i++) {
        pool *p = &w->pools[i];
        p->party = i;
        p->chunk_size = w->plan.work->chunks[i % sizes];
        p->want = (chunks_t)(share_of(w, i) / (double)p->chunk_size);
        p->want = p->want ? p->want : 1;
        if (is_library(w))
            library_open(w, p);
        party_ask(w, i, (asked){.kind = EVENT_ALLOCATE}, NULL);
    }
}
