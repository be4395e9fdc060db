/*
 * agent.c - the conversation of an agent with the broker, on messages: what agent/link.c does with frames.
 *
 *   down ──start──> up, no link ──connects, hello──> linked ──WELCOME──> welcomed ──READY──> samples, collects
 *     ^─────────────── crash ───────────────┴──the link breaks: tries again and again──┘
 *
 * What it knows lives in an agent_life; a crash ends that, and the machine goes on. Two judges sit here, for they need
 * the orders: what is said to be empty is, and what is to end by force ends soon.
 */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_life.h"
#include "message.h"
#include "net.h"

#define RELINK_LEAST US_OF_MS(20)
#define RELINK_MOST  US_OF_MS(400)
#define FORCE_WITHIN US_OF_MS(2500)
#define PER_CENT     10000u /* of a million */

struct agent_node {
    sim *sim;
    machine *machine;
    char name[12];
    rng dice;
    agent_life *life; /* NULL: down */
    connection *link; /* NULL: none */
    bool welcomed;
    us_t sample_every, collect_every;
    us_t started; /* this life */
    clock_job start, relink, sample, collect;
};

static void relink_later(agent_node *a);

/* ---- what it says ---- */

static void say(agent_node *a, message_kind kind, const core_event *e)
{
    if (a->link)
        net_send(a->link, true, message_of_agent(kind, e));
}

static void on_answer(void *context, const life_answer *answer)
{
    static const event_kind kinds[] = {[LIFE_OPEN] = EVENT_CLAIM_OPENED,
                                       [LIFE_ENTER] = EVENT_CLAIM_ENTERED,
                                       [LIFE_LIMIT] = EVENT_CLAIM_LIMITED,
                                       [LIFE_EMPTY] = EVENT_CLAIM_EMPTIED,
                                       [LIFE_CLOSE] = 0};
    agent_node *a = context;
    core_event e = {.kind = kinds[answer->kind],
                    .answer = {.host = {machine_number(a->machine)},
                               .gen = {answer->gen},
                               .status = answer->status,
                               .tag = answer->tag,
                               .cause = (claim_cause)answer->cause,
                               .peak = answer->peak,
                               .other = {answer->other},
                               .root = {answer->root_pid, answer->root_start}}};
    if (answer->kind == LIFE_EMPTY && answer->status == 0 && machine_survivors(a->machine, answer->gen, US_NEVER))
        sim_wrong(a->sim, "emptied: agent %s says that claim %llu is empty, and somebody lives in it",
                  machine_name(a->machine), (unsigned long long)answer->gen);
    if (answer->status < 0)
        sim_say(a->sim, a->name, "claim %llu: %s", (unsigned long long)answer->gen, answer->text);
    say(a, MESSAGE_ANSWER, &e);
}

static core_event use_event(const agent_node *a, event_kind kind, const life_use *use)
{
    return (core_event){.kind = kind,
                        .use = {.host = {machine_number(a->machine)},
                                .gen = {use->gen},
                                .used = use->used,
                                .peak = use->peak,
                                .processes = use->processes,
                                .cause = (claim_cause)use->cause}};
}

static void on_drained(void *context, const life_use *use)
{
    agent_node *a = context;
    core_event e = use_event(a, EVENT_CLAIM_DRAINED, use);
    say(a, MESSAGE_DRAINED, &e);
}

static void on_use(void *context, const life_use *use)
{
    agent_node *a = context;
    core_event e = use_event(a, EVENT_CLAIM_USE, use);
    say(a, MESSAGE_USE, &e);
}

static void on_notice(void *context, const char *text)
{
    const agent_node *a = context;
    sim_say(a->sim, a->name, "%s", text);
}

static void on_sample(void *context, uint64_t argument)
{
    agent_node *a = context;
    core_event e = {.kind = EVENT_HOST_SAMPLE, .sample = {.host = {machine_number(a->machine)}}};
    (void)argument;
    a->sample = clock_at(a->sim->clock, clock_now(a->sim->clock) + a->sample_every, on_sample, a, 0);
    if (life_sample(a->life, &e.sample.in_use, &e.sample.claims_used) == 0)
        say(a, MESSAGE_SAMPLE, &e);
}

static void on_collect(void *context, uint64_t argument)
{
    agent_node *a = context;
    (void)argument;
    a->collect = clock_at(a->sim->clock, clock_now(a->sim->clock) + a->collect_every, on_collect, a, 0);
    life_collect(a->life);
}

/* ---- the link ---- */

static void link_forget(agent_node *a)
{
    a->link = NULL;
    a->welcomed = false;
    clock_cancel(a->sim->clock, &a->sample);
    clock_cancel(a->sim->clock, &a->collect);
    life_unlink(a->life);
    relink_later(a);
}

static void link_close(agent_node *a)
{
    net_close(a->link, true, true);
    link_forget(a);
}

static void on_broken(void *context, connection *c)
{
    agent_node *a = context;
    (void)c;
    link_forget(a);
}

static void take_ready(agent_node *a)
{
    us_t now = clock_now(a->sim->clock);
    life_ready(a->life, a->sample_every / 1000);
    clock_cancel(a->sim->clock, &a->collect);
    clock_cancel(a->sim->clock, &a->sample);
    a->collect = clock_at(a->sim->clock, now + a->collect_every, on_collect, a, 0);
    a->sample = clock_at(a->sim->clock, now, on_sample, a, 0);
}

static int32_t pid_of(const agent_node *a, uint64_t handle)
{
    process_view p;
    return handle <= INT32_MAX && machine_process(a->machine, (int32_t)handle, &p) ? p.pid : 0;
}

/* An order to end by force, FORCE_WITHIN ago. */
static void on_force_looked(void *context, uint64_t gen)
{
    const agent_node *a = context;
    us_t since = clock_now(a->sim->clock) - FORCE_WITHIN;
    if (a->life && a->started <= since && machine_survivors(a->machine, gen, since))
        sim_wrong(a->sim, "force: agent %s was told to end claim %llu by force, and somebody lives in it",
                  machine_name(a->machine), (unsigned long long)gen);
}

static int take_claim_order(agent_node *a, const effect_order *o)
{
    static const life_order_kind kinds[] = {
        [ORDER_EXPECT] = LIFE_EXPECT, [ORDER_OPEN] = LIFE_OPEN, [ORDER_ENTER] = LIFE_ENTER, [ORDER_LIMIT] = LIFE_LIMIT,
        [ORDER_EMPTY] = LIFE_EMPTY,   [ORDER_END] = LIFE_END,   [ORDER_CLOSE] = LIFE_CLOSE,
    };
    life_order order = {.kind = kinds[o->kind],
                        .gen = o->gen.v,
                        .bytes = o->bytes,
                        .chunk_size = o->chunk_size,
                        .uid = o->user.v,
                        .tag = o->tag,
                        .root_pid = o->root.pid,
                        .root_start = o->root.start,
                        .by_operator = o->by_operator,
                        .fresh = o->fresh,
                        .kill = o->kill,
                        .ending = o->ending,
                        .running = o->running,
                        .pid = pid_of(a, o->handle)};
    if (o->kill)
        clock_at(a->sim->clock, clock_now(a->sim->clock) + FORCE_WITHIN, on_force_looked, a, o->gen.v);
    return life_order_take(a->life, &order);
}

static void on_arrived(void *context, connection *c, const message *m)
{
    agent_node *a = context;
    (void)c;
    if (m->kind != MESSAGE_ORDER) {
        sim_wrong(a->sim, "the broker sends agent %s what is no order (kind %d)", machine_name(a->machine), m->kind);
        return;
    }
    const effect_order *o = &m->order;
    if (o->kind != ORDER_WELCOME && !a->welcomed) {
        sim_wrong(a->sim, "agent %s gets an order (kind %d) before its welcome", machine_name(a->machine), o->kind);
        return;
    }
    int r = 0;
    if (o->kind == ORDER_WELCOME) {
        r = life_welcome(a->life, o->gen.v);
        a->welcomed = r == 0;
    } else if (o->kind == ORDER_READY) {
        take_ready(a);
    } else {
        r = take_claim_order(a, o);
    }
    if (r < 0)
        link_close(a); /* all is said again on a new one */
}

static void say_hello(agent_node *a)
{
    uint64_t *list = NULL;
    uint32_t n = 0;
    core_event e = {.kind = EVENT_HOST_HELLO,
                    .hello = {.physical = machine_physical(a->machine),
                              .total = machine_total(a->machine),
                              .cores = machine_cores(a->machine),
                              .limited = life_limited(a->life)}};
    if (life_groups(a->life, &list, &n) < 0) {
        link_close(a);
        return;
    }
    generation *groups = sim_alloc(n * sizeof *groups);
    for (uint32_t i = 0; i < n; i++)
        groups[i].v = list[i];
    snprintf(e.hello.name, sizeof e.hello.name, "%s", machine_name(a->machine));
    snprintf(e.hello.boot_id, sizeof e.hello.boot_id, "%s", machine_boot(a->machine));
    e.hello.groups = groups;
    e.hello.n_groups = n;
    say(a, MESSAGE_AGENT_HELLO, &e);
    free(groups);
    free(list);
}

static void on_relink(void *context, uint64_t argument)
{
    agent_node *a = context;
    net_end end = {.context = a, .arrived = on_arrived, .broken = on_broken};
    (void)argument;
    a->relink = 0;
    a->link = net_connect(a->sim->net, a->name, &end);
    if (a->link)
        say_hello(a);
    else
        relink_later(a);
}

static void relink_later(agent_node *a)
{
    us_t when = clock_now(a->sim->clock) + rng_between(&a->dice, RELINK_LEAST, RELINK_MOST);
    clock_cancel(a->sim->clock, &a->relink);
    a->relink = clock_at(a->sim->clock, when, on_relink, a, 0);
}

/* ---- life ---- */

static void on_start(void *context, uint64_t argument)
{
    agent_node *a = context;
    life_sink sink = {.context = a, .answer = on_answer, .drained = on_drained, .use = on_use, .notice = on_notice};
    (void)argument;
    a->start = 0;
    a->started = clock_now(a->sim->clock);
    a->life = life_start(a->sim, a->machine, &sink);
    sim_say(a->sim, a->name, "starts (%s)", life_enforcement(a->life));
    on_relink(a, 0);
}

static void start_in(agent_node *a, us_t span)
{
    clock_cancel(a->sim->clock, &a->start);
    a->start = clock_at(a->sim->clock, clock_now(a->sim->clock) + span, on_start, a, 0);
}

agent_node *agent_create(sim *s, machine *m)
{
    agent_node *a = sim_alloc(sizeof *a);
    *a = (agent_node){.sim = s, .machine = m, .dice = rng_named(s->plan.seed, "agent link", machine_number(m))};
    snprintf(a->name, sizeof a->name, "agent %s", machine_name(m));
    a->sample_every = US_OF_MS(rng_between(&a->dice, 1, 10) * 100);
    a->collect_every = US_OF_MS(rng_between(&a->dice, 1, 10) * 1000);
    start_in(a, rng_below(&a->dice, US_OF_MS(50)));
    return a;
}

static void stop(agent_node *a, bool polite)
{
    clock_cancel(a->sim->clock, &a->relink);
    clock_cancel(a->sim->clock, &a->sample);
    clock_cancel(a->sim->clock, &a->collect);
    a->welcomed = false;
    if (a->link)
        net_close(a->link, true, polite);
    a->link = NULL;
    life_end(a->life, polite);
    a->life = NULL;
}

void agent_destroy(agent_node *a)
{
    if (!a)
        return;
    stop(a, false);
    clock_cancel(a->sim->clock, &a->start);
    free(a);
}

void agent_crash(agent_node *a, us_t down)
{
    bool polite = rng_chance(&a->dice, 25 * PER_CENT);
    if (!a->life)
        return;
    sim_say(a->sim, a->name, polite ? "is told to stop" : "crashes");
    stop(a, polite);
    start_in(a, down);
}

void agent_machine_rebooted(agent_node *a, us_t down)
{
    stop(a, false);
    start_in(a, down);
}

bool agent_is_up(const agent_node *a)
{
    return a->life != NULL;
}

uint64_t agent_handle(const machine *m, int32_t pid)
{
    process_view p;
    return machine_process(m, pid, &p) ? (uint64_t)pid : 0;
}
