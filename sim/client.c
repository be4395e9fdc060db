/*
 * client.c - a client's process and its connection.
 */
#include "client_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "judge.h"

#define PAUSE_FIRST US_OF_MS(20)
#define PAUSE_MOST  US_OF_MS(1000)

static const program *const programs[CLIENT_KINDS] = {
    [CLIENT_POOL] = &program_pool,    [CLIENT_RUN] = &program_run,     [CLIENT_WAY_1] = &program_ways,
    [CLIENT_WAY_2] = &program_ways,   [CLIENT_WAY_2A] = &program_ways, [CLIENT_OPERATOR] = &program_operator,
    [CLIENT_SILENT] = &program_liar,  [CLIENT_TWICE] = &program_liar,  [CLIENT_THIEF] = &program_liar,
    [CLIENT_BOASTER] = &program_liar, [CLIENT_EARLY] = &program_liar,  [CLIENT_REPEATER] = &program_liar,
};

static const char *const kind_names[CLIENT_KINDS] = {
    [CLIENT_POOL] = "pool",       [CLIENT_RUN] = "run",      [CLIENT_WAY_1] = "way1",
    [CLIENT_WAY_2] = "way2",      [CLIENT_WAY_2A] = "way2a", [CLIENT_OPERATOR] = "operator",
    [CLIENT_SILENT] = "silent",   [CLIENT_TWICE] = "twice",  [CLIENT_THIEF] = "thief",
    [CLIENT_BOASTER] = "boaster", [CLIENT_EARLY] = "early",  [CLIENT_REPEATER] = "repeater",
};

static void connect_now(void *context, uint64_t argument);

us_t client_clock(const client_node *c)
{
    return clock_now(c->sim->clock);
}

ms_t client_ms(const client_node *c)
{
    return clock_ms(c->sim->clock, machine_time(client_machine(c)));
}

machine *client_machine(const client_node *c)
{
    return c->sim->machines[c->plan.home];
}

const char *client_name(const client_node *c)
{
    return c->name;
}

bool client_deaf(const client_node *c)
{
    return client_clock(c) < c->stalled_until;
}

bool client_is_over(const client_node *c)
{
    return c->over;
}

chunks_t client_held(const client_node *c, host_id host)
{
    for (uint32_t i = 0; i < c->set.n_extents; i++)
        if (c->set.extents[i].host.v == host.v)
            return c->set.extents[i].chunks;
    return 0;
}

chunks_t client_holds(const client_node *c)
{
    chunks_t sum = 0;
    for (uint32_t i = 0; i < c->set.n_extents; i++)
        sum += c->set.extents[i].chunks;
    return sum;
}

/* ---- what arrives ---- */

/* Sets that crossed each other: only what is not older counts. */
static void take_set(client_node *c, const message_set *s)
{
    if (s->id.v == 0 || c->set.id.v != s->id.v || s->version < c->set.version || c->ended)
        return;
    extent *old = c->set.extents;
    c->set = *s;
    c->set.extents = NULL;
    if (s->n_extents)
        c->set.extents =
            memcpy(sim_alloc(s->n_extents * sizeof *s->extents), s->extents, s->n_extents * sizeof *s->extents);
    free(old);
    c->granted |= s->state == ALLOCATION_LIVE;
    if (c->program->changed)
        c->program->changed(c);
}

static void end_allocation(client_node *c)
{
    if (c->ended)
        return;
    c->ended = true;
    c->set.n_extents = 0;
    if (c->program->ended)
        c->program->ended(c);
}

static void on_push(client_node *c, const message *m)
{
    const effect_push *p = &m->push.push;
    if (p->kind == PUSH_CLAIM_ENDED || p->kind == PUSH_CLAIM_OVER) {
        if (p->kind == PUSH_CLAIM_ENDED && c->program->claim_ended)
            c->program->claim_ended(c, p);
        return;
    }
    if (p->kind == PUSH_CHANGED)
        take_set(c, &m->push.set);
    if (p->allocation.v != c->set.id.v || c->set.id.v == 0 || c->ended)
        return;
    if (p->kind == PUSH_ENDED)
        end_allocation(c);
    else if (p->kind == PUSH_ASK && c->program->ask)
        c->program->ask(c, p);
    else if (p->kind == PUSH_RECALL && c->program->recall)
        c->program->recall(c, p);
    else if (p->kind == PUSH_PREFER && c->program->prefer)
        c->program->prefer(c, p->recall.v, m->push.set.extents, m->push.set.n_extents);
    else if (p->kind == PUSH_WITHDRAW && c->program->withdraw)
        c->program->withdraw(c, p->recall.v);
}

/* The whole truth, whatever was heard before. */
static void attached_again(client_node *c, const message *m)
{
    const message_set *mine = NULL;
    for (uint32_t i = 0; i < m->welcome.n_sets; i++)
        if (m->welcome.sets[i].id.v == c->set.id.v)
            mine = &m->welcome.sets[i];
    if (c->set.id.v == 0 || c->ended)
        return;
    if (!mine) {
        end_allocation(c);
        return;
    }
    c->set.version = 0;
    take_set(c, mine);
    if (c->program->attached && !c->over)
        c->program->attached(c, m);
}

static void on_welcome(client_node *c, const message *m)
{
    c->pause = PAUSE_FIRST;
    if (m->welcome.status < 0 || (c->welcomed && !m->welcome.reattached)) {
        client_session_over(c);
        return;
    }
    bool first = !c->welcomed;
    c->welcomed = true;
    c->give_up_at = 0;
    c->session = m->welcome.session;
    memcpy(c->token, m->welcome.token, sizeof c->token);
    if (first)
        c->program->start(c);
    else
        attached_again(c, m);
    if (!c->over)
        requests_send(c);
}

static void handle(client_node *c, const message *m)
{
    judge_told(c->sim->judges, c->number, m);
    if (c->over)
        return;
    clock_enter(c->sim->clock, machine_time(client_machine(c)));
    if (m->kind == MESSAGE_WELCOME)
        on_welcome(c, m);
    else if (m->kind == MESSAGE_REPLY) {
        take_set(c, &m->reply.set);
        if (!c->over)
            requests_reply(c, m);
    } else if (m->kind == MESSAGE_PUSH)
        on_push(c, m);
}

static void on_arrived(void *context, connection *from, const message *m)
{
    client_node *c = context;
    (void)from;
    if (!client_deaf(c)) {
        handle(c, m);
        return;
    }
    if (c->unread.n == c->unread.capacity) {
        c->unread.capacity = c->unread.capacity ? c->unread.capacity * 2 : 16;
        c->unread.items = sim_grow(c->unread.items, c->unread.capacity * sizeof *c->unread.items);
    }
    c->unread.items[c->unread.n++] = message_copy(m);
}

static void drop_unread(client_node *c)
{
    for (uint32_t i = 0; i < c->unread.n; i++)
        message_destroy(c->unread.items[i]);
    c->unread.n = 0;
}

/* ---- the connection ---- */

static void connect_later(client_node *c)
{
    us_t now = client_clock(c), at = now + c->pause;
    c->pause = c->pause * 2 > PAUSE_MOST ? PAUSE_MOST : c->pause * 2;
    c->give_up_at = c->give_up_at ? c->give_up_at : now + LINK_PATIENCE;
    c->reconnect = clock_at(c->sim->clock, at > c->stalled_until ? at : c->stalled_until, connect_now, c, 0);
}

static void on_broken(void *context, connection *from)
{
    client_node *c = context;
    (void)from;
    sim_say(c->sim, c->name, "the connection is broken");
    c->connection = NULL;
    requests_unsend(c);
    if (!c->over)
        connect_later(c);
}

static void connect_now(void *context, uint64_t argument)
{
    client_node *c = context;
    (void)argument;
    c->reconnect = 0;
    if (client_deaf(c)) {
        c->reconnect = clock_at(c->sim->clock, c->stalled_until, connect_now, c, 0);
        return;
    }
    if (c->give_up_at && client_clock(c) >= c->give_up_at) {
        client_session_over(c);
        return;
    }
    net_end end = {c, on_arrived, on_broken};
    c->connection = net_connect(c->sim->net, c->name, &end);
    if (!c->connection) {
        connect_later(c);
        return;
    }
    message *hello = message_create(MESSAGE_CLIENT_HELLO);
    hello->hello.session = c->session;
    memcpy(hello->hello.token, c->token, sizeof c->token);
    hello->hello.user.v = c->plan.uid;
    hello->hello.pid = c->pid;
    hello->hello.operator_ = c->plan.kind == CLIENT_OPERATOR;
    net_send(c->connection, true, hello);
}

static void on_process_gone(void *context, int32_t pid, bool oom, bool killed)
{
    client_node *c = context;
    (void)pid;
    (void)oom;
    (void)killed;
    if (!c->over)
        client_crash(c, true); /* its machine died */
}

static void on_start(void *context, uint64_t argument)
{
    client_node *c = context;
    (void)argument;
    c->wake = 0;
    if (c->sim->settling) {
        c->over = true;
        return;
    }
    c->started = true;
    c->pid = machine_start(client_machine(c), c->plan.uid, &(process_plan){.life = US_NEVER}, on_process_gone, c);
    machine_go(client_machine(c), c->pid);
    connect_now(c, 0);
}

client_node *client_create(sim *s, uint32_t number, const client_plan *plan)
{
    const program *p = programs[plan->kind];
    client_node *c = sim_alloc(sizeof *c);
    *c = (client_node){.sim = s,
                       .number = number,
                       .plan = *plan,
                       .dice = rng_named(s->plan.seed, "client", number),
                       .program = p,
                       .state = memset(sim_alloc(p->room), 0, p->room),
                       .pause = PAUSE_FIRST,
                       .next_number = 1};
    snprintf(c->name, sizeof c->name, "%s %u", kind_names[plan->kind], number);
    c->wake = clock_at(s->clock, plan->start, on_start, c, 0);
    return c;
}

/* Nothing is heard or done any more. */
static void still(client_node *c)
{
    c->over = true;
    clock_cancel(c->sim->clock, &c->reconnect);
    clock_cancel(c->sim->clock, &c->wake);
    drop_unread(c);
    requests_drop(c);
}

void client_destroy(client_node *c)
{
    if (!c)
        return;
    still(c);
    tasks_free(c);
    if (c->program->finish)
        c->program->finish(c);
    free(c->unread.items);
    free(c->set.extents);
    free(c->state);
    free(c);
}

static void leave(client_node *c, bool polite)
{
    connection *open = c->connection;
    c->connection = NULL;
    if (open && polite)
        net_send(open, true, message_create(MESSAGE_GOODBYE));
    if (open)
        net_close(open, true, polite);
    if (c->started)
        machine_kill(client_machine(c), c->pid, "client");
}

void client_finish(client_node *c)
{
    if (c->over)
        return;
    sim_say(c->sim, c->name, "ends");
    still(c);
    tasks_drop(c, true);
    leave(c, true);
}

void client_session_over(client_node *c)
{
    if (c->over)
        return;
    sim_say(c->sim, c->name, "its session is over: it ends");
    c->over = true; /* whoever hears that its request failed asks for nothing else */
    requests_fail(c);
    still(c);
    tasks_drop(c, true);
    leave(c, false);
}

/* ---- faults ---- */

void client_crash(client_node *c, bool tasks_too)
{
    if (c->over)
        return;
    sim_say(c->sim, c->name, "is killed%s", tasks_too ? " with its tasks" : "");
    still(c);
    tasks_drop(c, tasks_too);
    leave(c, false);
}

static void on_wake(void *context, uint64_t argument)
{
    client_node *c = context;
    (void)argument;
    c->wake = 0;
    uint32_t n = c->unread.n;
    message **items = c->unread.items;
    c->unread.n = c->unread.capacity = 0;
    c->unread.items = NULL;
    for (uint32_t i = 0; i < n; i++) {
        handle(c, items[i]);
        message_destroy(items[i]);
    }
    free(items);
    if (!c->over && c->program->changed)
        c->program->changed(c); /* what it put off */
    if (!c->over)
        requests_send(c);
}

void client_stall(client_node *c, us_t span)
{
    if (c->over || !c->started || client_deaf(c))
        return;
    sim_say(c->sim, c->name, "stops for %llu ms", (unsigned long long)(span / 1000));
    c->stalled_until = client_clock(c) + span;
    c->wake = clock_at(c->sim->clock, c->stalled_until, on_wake, c, 0);
}

void client_settle(client_node *c)
{
    if (c->over)
        return;
    if (!c->started)
        still(c);
    else if (c->plan.kind >= CLIENT_SILENT)
        client_crash(c, true); /* somebody has had enough of it */
    else
        c->program->settle(c);
}

/* ---- for judges ---- */

void client_see(const client_node *c, client_view *ret)
{
    uint32_t unanswered = 0;
    for (const pending *p = c->first; p; p = p->next)
        unanswered++;
    *ret = (client_view){.allocation = c->set.id,
                         .min = c->plan.terms.min,
                         .chunk_size = c->plan.terms.chunk_size,
                         .granted = c->granted,
                         .ended = c->ended,
                         .waiting = !c->over && c->asked && !c->granted && !c->ended,
                         .unanswered = c->over ? 0 : unanswered,
                         .killed_by_recall = c->killed_by_recall,
                         .liar = c->plan.kind >= CLIENT_SILENT};
}

bool client_check(const client_node *c, char *why, size_t size)
{
    return c->over || !c->program->check || c->program->check(c, why, size);
}
