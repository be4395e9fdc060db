/* One machine with its agent, a perfect net, and a broker that says what the test wants and notes what it hears. */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "base/status.h"
#include "judge.h"
#include "machine.h"
#include "net.h"

#define SECOND 1000000u

typedef struct {
    sim s;
    machine *m;
    agent_node *a;
    connection *link; /* NULL: none */
    core_event hello;
    generation groups[16];
    uint32_t n_hellos, n_samples, n_drains, n_answers, n_gone;
    event_host_sample sample;
    event_claim_use use, drained;
    event_kind answered;
    event_claim_answer answer;
    int32_t gone_pid;
    bool gone_oom, gone_killed;
    bool deaf; /* nobody listens */
} world;

/* No judge takes part. */
void judge_killed(judges *j, const struct machine *m, uint64_t gen, int32_t pid, const char *by)
{
    (void)j, (void)m, (void)gen, (void)pid, (void)by;
}

static inline void world_arrived(void *context, connection *c, const message *m)
{
    world *w = context;
    assert_ptr_equal(c, w->link);
    switch (m->kind) {
    case MESSAGE_AGENT_HELLO:
        w->n_hellos++;
        w->hello = m->agent;
        assert_true(m->agent.hello.n_groups <= 16);
        if (m->agent.hello.n_groups)
            memcpy(w->groups, m->agent.hello.groups, m->agent.hello.n_groups * sizeof *w->groups);
        break;
    case MESSAGE_SAMPLE:
        w->n_samples++;
        w->sample = m->agent.sample;
        break;
    case MESSAGE_USE:
        w->use = m->agent.use;
        break;
    case MESSAGE_DRAINED:
        w->n_drains++;
        w->drained = m->agent.use;
        break;
    case MESSAGE_ANSWER:
        w->n_answers++;
        w->answered = m->agent.kind;
        w->answer = m->agent.answer;
        break;
    default:
        fail_msg("a message of kind %d from an agent", m->kind);
    }
}

static inline void world_broken(void *context, connection *c)
{
    world *w = context;
    if (w->link == c)
        w->link = NULL;
}

static inline bool world_accept(void *context, connection *c, const char *name, net_end *ret)
{
    world *w = context;
    assert_string_equal(name, "agent a");
    if (w->deaf)
        return false;
    w->link = c;
    *ret = (net_end){.context = w, .arrived = world_arrived, .broken = world_broken};
    return true;
}

static inline void world_run(world *w, us_t span)
{
    us_t end = clock_now(w->s.clock) + span;
    while (clock_next(w->s.clock) <= end)
        clock_turn(w->s.clock);
    if (*w->s.wrong)
        fail_msg("%s", w->s.wrong);
}

/* At most half a minute. */
#define world_until(w, condition)                                                                                      \
    do {                                                                                                               \
        us_t end_ = clock_now((w)->s.clock) + 30 * SECOND;                                                             \
        while (!(condition) && clock_next((w)->s.clock) <= end_)                                                       \
            clock_turn((w)->s.clock);                                                                                  \
        assert_true(condition);                                                                                        \
    } while (0)

static inline world *world_create(uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    w->s.plan.seed = seed;
    w->s.plan.trace = getenv("GRANARY_TRACE") ? stderr : NULL;
    w->s.clock = clock_create();
    w->s.net = net_create(&w->s);
    net_listen(w->s.net, &(net_listener){.context = w, .accept = world_accept});
    w->m = machine_create(&w->s, 0, GIB(8));
    return w;
}

static inline void world_destroy(world *w)
{
    agent_destroy(w->a);
    assert_string_equal(w->s.wrong, "");
    machine_destroy(w->m);
    net_destroy(w->s.net);
    clock_destroy(w->s.clock);
    free(w);
}

static inline void world_say(world *w, effect_order o)
{
    assert_non_null(w->link);
    if (!o.bytes)
        o.bytes = MIB(100);
    if (!o.chunk_size)
        o.chunk_size = o.bytes;
    if (!o.user.v)
        o.user.v = 1000;
    net_send(w->link, false, message_of_order(&o));
}

/* Says it and waits for the answer. */
static inline int world_order(world *w, effect_order o)
{
    uint32_t before = w->n_answers;
    o.tag = before + 1;
    world_say(w, o);
    world_until(w, w->n_answers > before);
    assert_int_equal(w->n_answers, before + 1);
    assert_int_equal(w->answer.tag, before + 1);
    assert_int_equal(w->answer.gen.v, o.gen.v);
    return w->answer.status;
}

/* An agent with a link on which the live set is complete: `n` claims of MIB(100) from generation 1 on. */
static inline void world_link(world *w, uint64_t issued, uint32_t n)
{
    uint32_t before = w->n_hellos, samples = w->n_samples;
    world_until(w, w->n_hellos > before);
    world_say(w, (effect_order){.kind = ORDER_WELCOME, .gen = {issued}});
    for (uint32_t i = 1; i <= n; i++)
        world_say(w, (effect_order){.kind = ORDER_EXPECT, .gen = {i}});
    world_say(w, (effect_order){.kind = ORDER_READY});
    world_until(w, w->n_samples > samples);
}

static inline world *world_ready(uint64_t seed, enforcement how)
{
    world *w = world_create(seed);
    machine_set_enforcement(w->m, how);
    w->a = agent_create(&w->s, w->m);
    world_link(w, 0, 0);
    return w;
}

static inline void world_gone(void *context, int32_t pid, bool oom, bool killed)
{
    world *w = context;
    w->n_gone++;
    w->gone_pid = pid;
    w->gone_oom = oom;
    w->gone_killed = killed;
}

/* A process at its gate. */
static inline int32_t world_process(world *w, process_plan plan)
{
    if (!plan.life)
        plan.life = US_NEVER;
    return machine_start(w->m, 1000, &plan, world_gone, w);
}

static inline void world_group_see(void *context, const group_view *g)
{
    group_view *wanted = context;
    if (g->generation == wanted->generation)
        *wanted = *g;
}

/* Its generation is 0 when there is none. */
static inline group_view world_group(const world *w, uint64_t gen)
{
    group_view g = {.generation = gen, .limit = UINT64_MAX - 1};
    machine_groups(w->m, world_group_see, &g);
    return g.limit == UINT64_MAX - 1 ? (group_view){0} : g;
}

/* Opens a claim of MIB(100) and lets a process of this plan run in it. */
static inline int32_t world_claim(world *w, uint64_t gen, process_plan plan)
{
    int32_t pid = world_process(w, plan);
    assert_int_equal(
        world_order(w, (effect_order){.kind = ORDER_OPEN, .gen = {gen}, .handle = agent_handle(w->m, pid)}), STATUS_OK);
    machine_go(w->m, pid);
    return pid;
}

#endif
