#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "faults.h"
#include "judge.h"

#define CHUNK GIB(1)

script_ears ears;

/* ---- the judges: ears only ---- */

void judge_record(judges *j, const core_record *r)
{
    (void)j;
    (void)r;
    ears.records++;
    ears.unsafe++;
}

void judge_committed(judges *j)
{
    (void)j;
    ears.commits++;
    ears.unsafe = 0;
}

void judge_lost_tail(judges *j, uint64_t commits)
{
    (void)j;
    ears.lost += commits;
}

void judge_note(judges *j, const effect_note *n)
{
    (void)j;
    (void)n;
}

void judge_event(judges *j, const core_event *e, ms_t now)
{
    (void)j;
    assert_true(now >= CLOCK_EPOCH_MS);
    if (e->kind != EVENT_HOST_SAMPLE)
        return;
    assert_int_equal(e->sample.host.v, 0);
    assert_true(e->sample.in_use >= e->sample.claims_used);
    ears.samples++;
}

void judge_stepped(judges *j)
{
    (void)j;
    ears.steps++;
}

void judge_sent(judges *j, const char *to, const message *m)
{
    (void)j;
    (void)m;
    assert_true(*to);
    ears.sent++;
    ears.too_early += ears.unsafe > 0;
}

void judge_restarted(judges *j)
{
    (void)j;
    ears.restarts++;
    ears.unsafe = 0;
}

void judge_killed(judges *j, const struct machine *m, uint64_t gen, int32_t pid, const char *by)
{
    (void)j;
    (void)m;
    (void)gen;
    (void)pid;
    (void)by;
}

void faults_moment(faults *f, const char *what)
{
    (void)f;
    (void)what;
}

/* ---- the agent ---- */

static void agent_connect(void *context, uint64_t argument);

static void agent_answer(script_agent *a, event_kind kind, const effect_order *o)
{
    core_event e = {.kind = kind, .answer = {.gen = o->gen, .tag = o->tag}};
    if (!a->quiet)
        net_send(a->connection, true, message_of_agent(MESSAGE_ANSWER, &e));
}

static void agent_drained(script_agent *a, uint64_t gen)
{
    core_event e = {.kind = EVENT_CLAIM_DRAINED, .use = {.gen = {gen}}};
    net_send(a->connection, true, message_of_agent(MESSAGE_DRAINED, &e));
}

static void agent_put(script_agent *a, uint64_t gen)
{
    for (uint32_t i = 0; i < a->n_groups; i++)
        if (a->groups[i] == gen)
            return;
    assert_true(a->n_groups < SCRIPT_GROUPS);
    a->groups[a->n_groups++] = gen;
}

static void agent_sample(script_agent *a)
{
    for (uint32_t i = 0; i < a->n_groups && !a->quiet; i++) {
        core_event use = {.kind = EVENT_CLAIM_USE, .use = {.gen = {a->groups[i]}, .processes = 1}};
        net_send(a->connection, true, message_of_agent(MESSAGE_USE, &use));
    }
    core_event e = {.kind = EVENT_HOST_SAMPLE, .sample = {.in_use = MIB(100)}};
    net_send(a->connection, true, message_of_agent(MESSAGE_SAMPLE, &e));
}

static void agent_ordered(void *context, connection *c, const message *m)
{
    script_agent *a = &((script *)context)->agent;
    const effect_order *o = &m->order;
    (void)c;
    assert_int_equal(m->kind, MESSAGE_ORDER);
    switch (o->kind) {
    case ORDER_OPEN:
        a->open = *o;
        agent_put(a, o->gen.v);
        agent_answer(a, EVENT_CLAIM_OPENED, o);
        break;
    case ORDER_ENTER:
        a->enter = *o;
        agent_answer(a, EVENT_CLAIM_ENTERED, o);
        break;
    case ORDER_EXPECT:
        agent_put(a, o->gen.v);
        if (o->ending)
            a->ending[a->n_ending++] = o->gen.v;
        break;
    case ORDER_READY:
        agent_sample(a);
        for (uint32_t i = 0; i < a->n_ending; i++)
            agent_drained(a, a->ending[i]);
        a->n_ending = 0;
        break;
    case ORDER_END:
        agent_drained(a, o->gen.v);
        break;
    case ORDER_CLOSE:
        for (uint32_t i = 0; i < a->n_groups; i++)
            if (a->groups[i] == o->gen.v)
                a->groups[i] = a->groups[--a->n_groups];
        break;
    default:
        break;
    }
}

static void agent_broken(void *context, connection *c)
{
    script *t = context;
    (void)c;
    t->agent.connection = NULL;
    clock_at(t->sim.clock, clock_now(t->sim.clock) + US_OF_MS(10), agent_connect, t, 0);
}

static void agent_connect(void *context, uint64_t argument)
{
    script *t = context;
    script_agent *a = &t->agent;
    net_end end = {t, agent_ordered, agent_broken};
    generation groups[SCRIPT_GROUPS];
    (void)argument;
    a->connection = net_connect(t->sim.net, "agent a", &end);
    if (!a->connection) {
        clock_at(t->sim.clock, clock_now(t->sim.clock) + US_OF_MS(10), agent_connect, t, 0);
        return;
    }
    a->hellos++;
    a->n_ending = 0;
    for (uint32_t i = 0; i < a->n_groups; i++)
        groups[i].v = a->groups[i];
    core_event e = {.kind = EVENT_HOST_HELLO};
    e.hello =
        (event_host_hello){.name = "a", .boot_id = "boot", .physical = GIB(16), .total = GIB(16), .limited = true};
    e.hello.cores = 4;
    e.hello.groups = groups;
    e.hello.n_groups = a->n_groups;
    net_send(a->connection, true, message_of_agent(MESSAGE_AGENT_HELLO, &e));
}

static void agent_beat(void *context, uint64_t argument)
{
    script *t = context;
    (void)argument;
    if (t->agent.connection)
        agent_sample(&t->agent);
    clock_at(t->sim.clock, clock_now(t->sim.clock) + US_OF_MS(500), agent_beat, t, 0);
}

/* ---- the world ---- */

void script_open(script *t, bool power)
{
    script_open_seed(t, power, 7);
}

void script_open_seed(script *t, bool power, uint64_t seed)
{
    ears = (script_ears){0};
    *t = (script){.sim = {.plan = {.seed = seed}, .clock = clock_create(), .n_hosts = 1}};
    t->sim.net = net_create(&t->sim);
    t->sim.machines[0] = machine_create(&t->sim, 0, GIB(16));
    broker_options o = {
        .limits = {4, 4, 16, 16, 64, 64, 16, 256}, .timers = core_timers_default, .power = power, .check = true};
    o.timers.suspect_ms = 2000;
    o.timers.grace_ms = 3000;
    t->sim.broker = broker_create(&t->sim, &o);
    clock_at(t->sim.clock, 1000, agent_connect, t, 0);
    clock_at(t->sim.clock, 2000, agent_beat, t, 0);
    script_run(t, 1100);
}

void script_close(script *t)
{
    assert_string_equal(t->sim.wrong, "");
    assert_int_equal(ears.too_early, 0);
    broker_destroy(t->sim.broker);
    machine_destroy(t->sim.machines[0]);
    net_destroy(t->sim.net);
    clock_destroy(t->sim.clock);
}

void script_run(script *t, ms_t ms)
{
    us_t end = clock_now(t->sim.clock) + US_OF_MS(ms);
    while (clock_next(t->sim.clock) <= end)
        clock_turn(t->sim.clock);
}

/* ---- the client ---- */

static void keep(message **to, const message *m)
{
    message_destroy(*to);
    *to = message_copy(m);
}

static void client_arrived(void *context, connection *from, const message *m)
{
    script_client *c = context;
    (void)from;
    if (m->kind == MESSAGE_WELCOME) {
        keep(&c->welcome, m);
        c->session = m->welcome.session;
        memcpy(c->token, m->welcome.token, sizeof c->token);
    } else if (m->kind == MESSAGE_REPLY) {
        keep(&c->reply, m);
        c->replies++;
    } else {
        keep(&c->push, m);
    }
}

static void client_broken(void *context, connection *from)
{
    script_client *c = context;
    (void)from;
    c->connection = NULL;
    c->broken = true;
}

void script_client_init(script *t, script_client *c, const char *name, uint32_t uid)
{
    *c = (script_client){.uid = uid};
    strcpy(c->name, name);
    c->pid = machine_start(t->sim.machines[0], uid, &(process_plan){.life = US_NEVER}, NULL, NULL);
    machine_go(t->sim.machines[0], c->pid);
}

void script_client_finish(script_client *c)
{
    message_destroy(c->welcome);
    message_destroy(c->reply);
    message_destroy(c->push);
}

void script_connect(script *t, script_client *c)
{
    script_try(t, c);
    assert_non_null(c->welcome);
}

void script_try(script *t, script_client *c)
{
    c->connection = net_connect(t->sim.net, c->name, &(net_end){c, client_arrived, client_broken});
    c->broken = false;
    assert_non_null(c->connection);
    message *m = message_create(MESSAGE_CLIENT_HELLO);
    m->hello.session = c->session;
    memcpy(m->hello.token, c->token, sizeof c->token);
    m->hello.user.v = c->uid;
    m->hello.pid = c->pid;
    message_destroy(c->welcome);
    c->welcome = NULL;
    net_send(c->connection, true, m);
    script_run(t, 5);
}

void script_send(script_client *c, core_event e)
{
    e.request.number = c->number;
    net_send(c->connection, true, message_of_request(&e));
}

const message *script_ask(script *t, script_client *c, core_event e)
{
    uint64_t before = c->replies;
    c->number.v++;
    script_send(c, e);
    script_run(t, 5);
    return c->replies > before ? c->reply : NULL;
}

core_event script_allocate(chunks_t want, uint32_t flags)
{
    core_event e = {.kind = EVENT_ALLOCATE};
    e.allocate.terms = (allocation_terms){.label = "test", .chunk_size = CHUNK, .want = want, .flags = flags};
    return e;
}

core_event script_release(allocation_id id, chunks_t n)
{
    static extent one;
    one = (extent){.host = {0}, .chunks = n};
    return (core_event){.kind = EVENT_RELEASE, .release = {.id = id, .extents = &one, .n = 1}};
}

uint32_t script_granted(const script *t)
{
    const core *c = broker_core(t->sim.broker);
    allocation_view a;
    uint32_t n = 0;
    for (uint32_t cursor = 0; c && view_allocation(c, &cursor, &a);)
        n += a.chunks;
    return c ? n : UINT32_MAX;
}

void script_replays(const script *t)
{
    char why[256] = "";
    if (!broker_replays(t->sim.broker, why, sizeof why))
        fail_msg("%s", why);
}
