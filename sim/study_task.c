/*
 * study_task.c - tasks in their claims, as the client and the agent see them.
 *
 *   state     on                               becomes
 *   CLAIMING  the claim is made                RUNNING
 *   ENTERING  the next task's process is in it RUNNING
 *   RUNNING   the task ends                    OVER
 *   OVER      its client goes on in it         ENTERING
 *   any       its client closes it             CLOSING; what ran is lost
 *   any       the broker sees it drained       gone
 */
#include "study_world.h"

#include <stdlib.h>
#include <string.h>

uint32_t task_new(world *w, uint32_t p, host_id host)
{
    uint32_t t;
    pool *owner = &w->pools[p];
    if (w->n_spare) {
        t = w->task_spare[--w->n_spare];
    } else {
        if (w->n_tasks == w->tasks_room) {
            w->tasks_room = w->tasks_room * 2 + 256;
            w->tasks = study_grow(w->tasks, w->tasks_room * sizeof *w->tasks);
        }
        t = w->n_tasks++;
        w->tasks[t].stamp = 0;
    }
    w->tasks[t] = (task){.state = TASK_CLAIMING, .pool = p, .host = host, .stamp = w->tasks[t].stamp + 1};
    if (owner->n_tasks == owner->tasks_room) {
        owner->tasks_room = owner->tasks_room * 2 + 16;
        owner->tasks = study_grow(owner->tasks, owner->tasks_room * sizeof *owner->tasks);
    }
    owner->tasks[owner->n_tasks++] = t;
    pool_place_of(owner, host, true)->busy++;
    return t;
}

static void leave_place(world *w, const task *t)
{
    pool *owner = &w->pools[t->pool];
    pool_place *place = pool_place_of(owner, t->host, false);
    if (place && place->busy)
        place->busy--;
    if (place && !place->busy && !place->held && !place->leaving)
        *place = owner->places[--owner->n_places];
}

void task_free(world *w, uint32_t t)
{
    task *it = &w->tasks[t];
    pool *owner = &w->pools[it->pool];
    if (it->state != TASK_CLOSING)
        leave_place(w, it);
    if (it->gen)
        w->by_gen[it->gen] = 0;
    for (uint32_t i = 0; i < owner->n_tasks; i++) {
        if (owner->tasks[i] != t)
            continue;
        owner->tasks[i] = owner->tasks[--owner->n_tasks];
        break;
    }
    it->state = TASK_NONE;
    it->gen = 0;
    it->stamp++;
    if (w->n_spare == w->spare_room) {
        w->spare_room = w->spare_room * 2 + 256;
        w->task_spare = study_grow(w->task_spare, w->spare_room * sizeof *w->task_spare);
    }
    w->task_spare[w->n_spare++] = t;
}

task *task_of_gen(world *w, uint64_t gen)
{
    uint32_t t = gen < w->by_gen_room ? w->by_gen[gen] : 0;
    return t ? &w->tasks[t - 1] : NULL;
}

void task_name(world *w, uint32_t t, uint64_t gen)
{
    if (gen >= w->by_gen_room) {
        uint64_t room = gen * 2 + 1024;
        w->by_gen = study_grow(w->by_gen, room * sizeof *w->by_gen);
        memset(w->by_gen + w->by_gen_room, 0, (room - w->by_gen_room) * sizeof *w->by_gen);
        w->by_gen_room = room;
    }
    w->tasks[t].gen = gen;
    w->by_gen[gen] = t + 1;
}

/* The first task of each slot began before the run: only a part of it is left, so that not all end at once. */
static ms_t lasts(const world *w, uint32_t p, uint64_t k)
{
    ms_t ms = workload_task(w->plan.work, w->plan.seed, p, k);
    if (k < w->pools[p].want) {
        rng dice = rng_named(w->plan.seed, "begun", (uint64_t)p << 36 | k);
        ms = (ms_t)((double)ms * rng_unit(&dice));
    }
    return ms ? ms : 1;
}

void task_run(world *w, uint32_t t)
{
    task *it = &w->tasks[t];
    it->state = TASK_RUNNING;
    it->since = w->now;
    it->end = w->now + lasts(w, it->pool, it->index);
    it->stamp++;
    w->running += w->pools[it->pool].chunk_size;
    world_job(w, (job){.at = it->end, .kind = JOB_TASK_END, .who = t, .number = it->stamp});
}

static void stop(world *w, task *it)
{
    w->running -= w->pools[it->pool].chunk_size;
    it->state = TASK_OVER;
    it->stamp++;
}

static void again(pool *owner, uint64_t index)
{
    if (owner->n_again == owner->again_room) {
        owner->again_room = owner->again_room * 2 + 16;
        owner->again = study_grow(owner->again, owner->again_room * sizeof *owner->again);
    }
    owner->again[owner->n_again++] = index;
}

static void drained(world *w, task *it)
{
    if (it->drain_told)
        return;
    it->drain_told = true;
    world_job(w, (job){.at = w->now + AGENT_MS + MESSAGE_MS, .kind = JOB_DRAINED, .who = it->host.v, .a = it->gen});
}

void task_ended(world *w, const job *j)
{
    task *it = &w->tasks[j->who];
    if (it->stamp != j->number || it->state != TASK_RUNNING)
        return;
    if (MEASURED(w)) {
        w->sum.done++;
        w->sum.work += (double)(w->now - it->since) * (double)w->pools[it->pool].chunk_size;
    }
    stop(w, it);
    if (it->ending)
        drained(w, it);
    pool_task_over(w, it->pool, j->who);
}

void task_order(world *w, const effect_order *o)
{
    ms_t there = w->now + MESSAGE_MS + AGENT_MS;
    job answer = {.at = there + MESSAGE_MS, .who = o->host.v, .a = o->gen.v, .b = o->tag};
    task *it;
    switch (o->kind) {
    case ORDER_OPEN:
    case ORDER_ENTER:
        answer.kind = o->kind == ORDER_OPEN ? JOB_OPENED : JOB_ENTERED;
        world_job(w, answer);
        break;
    case ORDER_END:
        it = task_of_gen(w, o->gen.v);
        if (it && it->state == TASK_RUNNING) {
            it->ending = true; /* nothing that runs is killed but by task_close() */
        } else if (it) {
            drained(w, it);
        } else {
            answer.kind = JOB_DRAINED;
            world_job(w, answer);
        }
        break;
    default:
        break; /* agents here are always in step */
    }
}

void task_begin(world *w, uint32_t p, host_id host, uint32_t t)
{
    pool *owner = &w->pools[p];
    task *it = &w->tasks[t];
    it->index = owner->n_again ? owner->again[--owner->n_again] : owner->next_task++;
    it->state = it->gen ? TASK_ENTERING : TASK_CLAIMING;
    asked what = {.kind = it->gen ? EVENT_ENTER : EVENT_CLAIM,
                  .allocation = owner->allocation,
                  .claim = it->gen,
                  .n = t,
                  .host = host,
                  .chunks = 1};
    party_ask(w, owner->party, what, NULL);
}

void task_close(world *w, uint32_t t)
{
    task *it = &w->tasks[t];
    pool *owner = &w->pools[it->pool];
    if (it->state == TASK_RUNNING) {
        if (MEASURED(w)) {
            w->sum.killed++;
            w->sum.lost += (double)(w->now - it->since) * (double)owner->chunk_size;
        }
        again(owner, it->index);
        stop(w, it);
    }
    it->state = TASK_CLOSING;
    leave_place(w, it);
    party_ask(w, owner->party, (asked){.kind = EVENT_CLOSE, .claim = it->gen}, NULL);
}

void task_fail(world *w, uint32_t t)
{
    again(&w->pools[w->tasks[t].pool], w->tasks[t].index);
    task_free(w, t);
}
