/*
 * client_task.c - processes that wait at the gate, run in a claim, and end.
 */
#include "client_inner.h"

#include <stdlib.h>

#include "agent.h"
#include "base/status.h"

machine *task_machine(const client_node *c, host_id host)
{
    return c->sim->machines[host.v];
}

static void task_free(task *t)
{
    task **at = &t->client->tasks;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    clock_cancel(t->client->sim->clock, &t->job);
    free(t);
}

/* Its owner is told, and forgets it. */
static void finish(task *t, int status)
{
    const task_owner *owner = t->owner;
    t->owner = NULL;
    owner->over(t->client, t, status);
    t->slot = 0;
    t->chunks = 0;
    if (t->dead)
        task_free(t);
    else
        machine_kill(task_machine(t->client, t->host), t->pid, "client"); /* on_gone() frees it */
}

static void on_dead_later(void *context, uint64_t argument)
{
    task *t = context;
    (void)argument;
    t->job = 0;
    clock_enter(t->client->sim->clock, machine_time(client_machine(t->client)));
    finish(t, 0);
}

static void on_gone(void *context, int32_t pid, bool oom, bool killed)
{
    task *t = context;
    client_node *c = t->client;
    (void)oom;
    (void)killed;
    t->dead = true;
    if (c->over || !t->owner) {
        task_free(t); /* nobody waits for it */
        return;
    }
    if (!t->running)
        return; /* the answer that is on its way tells */
    sim_say(c->sim, c->name, "task %d on %s ends", (int)pid, machine_name(task_machine(c, t->host)));
    us_t now = client_clock(c);
    t->job = clock_at(c->sim->clock, client_deaf(c) ? c->stalled_until : now, on_dead_later, t, 0);
}

/* ---- the way in ---- */

static void claim_send(task *t);

static void on_in(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    task *t = context;
    (void)asked;
    if ((status == STATUS_ENDED || status == STATUS_NOT_FOUND) && t->gen.v) {
        t->gen.v = 0;
        if (t->owner->claim_lost)
            t->owner->claim_lost(c, t);
        claim_send(t);
        return;
    }
    if (status < 0) {
        finish(t, status);
        return;
    }
    if (t->gen.v == 0)
        t->gen = reply->reply.reply.claim;
    t->running = true;
    t->since = client_clock(c);
    t->owner->claimed(c, t);
    if (t->dead)
        finish(t, 0);
    else
        machine_go(task_machine(c, t->host), t->pid);
}

static void claim_send(task *t)
{
    client_node *c = t->client;
    core_event e = {.kind = EVENT_CLAIM};
    e.claim.id = c->set.id;
    e.claim.host = t->host;
    e.claim.chunks = t->chunks;
    e.claim.handle = agent_handle(task_machine(c, t->host), t->pid);
    snprintf(e.claim.command, sizeof e.claim.command, "%s", c->name);
    request_start(c, &e, on_in, t);
}

static void enter_send(task *t)
{
    client_node *c = t->client;
    core_event e = {.kind = EVENT_ENTER};
    e.enter.gen = t->gen;
    e.enter.fresh = t->fresh;
    e.enter.handle = agent_handle(task_machine(c, t->host), t->pid);
    request_start(c, &e, on_in, t);
}

/* Uses a part of its chunks, or (few of them) more than there is. */
static process_plan plan_of(client_node *c, bytes_t room)
{
    const client_plan *p = &c->plan;
    rng *dice = &c->dice;
    bool over = rng_chance(dice, p->over_limit);
    process_plan plan = {.life = rng_between(dice, p->task_least, p->task_most),
                         .to = over ? room + room / 4 : room / 100 * rng_between(dice, 5, 97),
                         .teardown = rng_chance(dice, 300000) ? rng_below(dice, US_OF_MS(800)) : rng_below(dice, 2000)};
    plan.from = plan.to / 4;
    plan.grow = rng_below(dice, plan.life + 1);
    if (rng_chance(dice, p->leave_shared)) {
        plan.shared = room / 100 * rng_between(dice, 1, 40);
        plan.to = plan.to > room / 2 ? room / 2 : plan.to;
        plan.shared_life = US_OF_MS(rng_between(dice, 100, 6000));
    }
    plan.stubborn = rng_chance(dice, p->stubborn);
    plan.stubborn_for = US_OF_MS(rng_between(dice, 100, 5000));
    plan.leaves_child = rng_chance(dice, p->children);
    plan.child_life = US_OF_MS(rng_between(dice, 1, rng_chance(dice, 100000) ? 40000 : 3000));
    return plan;
}

task *task_start(client_node *c, const task_owner *owner, uint64_t slot, host_id host, chunks_t chunks, generation gen,
                 bool fresh)
{
    task *t = sim_alloc(sizeof *t);
    *t = (task){.next = c->tasks,
                .client = c,
                .owner = owner,
                .slot = slot,
                .host = host,
                .chunks = chunks,
                .gen = gen,
                .fresh = fresh};
    c->tasks = t;
    process_plan plan = plan_of(c, c->plan.terms.chunk_size * chunks);
    t->expected = plan.life / 1000;
    t->pid = machine_start(task_machine(c, host), c->plan.uid, &plan, on_gone, t);
    sim_say(c->sim, c->name, "task %d on %s for %llu ms", (int)t->pid, machine_name(task_machine(c, host)),
            (unsigned long long)t->expected);
    if (gen.v)
        enter_send(t);
    else
        claim_send(t);
    return t;
}

/* ---- others ---- */

void task_kill(task *t)
{
    if (!t->dead)
        machine_kill(task_machine(t->client, t->host), t->pid, "client");
}

task *task_of_slot(client_node *c, uint64_t slot)
{
    task *t = c->tasks;
    while (t && t->slot != slot)
        t = t->next;
    return t;
}

chunks_t tasks_on(const client_node *c, host_id host)
{
    chunks_t sum = 0;
    for (const task *t = c->tasks; t; t = t->next)
        sum += t->host.v == host.v ? t->chunks : 0;
    return sum;
}

void tasks_drop(client_node *c, bool kill)
{
    for (task *t = c->tasks, *next; t; t = next) {
        next = t->next;
        if (t->dead && t->owner) /* else its owner is being told, and ended the client at that: finish() frees it */
            task_free(t);
        else if (!t->dead && (kill || !t->running)) /* its end of the gate is closed */
            machine_kill(task_machine(c, t->host), t->pid, "client");
    }
}

void tasks_free(client_node *c)
{
    while (c->tasks)
        task_free(c->tasks);
}
