/*
 * faults.c - the plan of what goes wrong, and its carrying out.
 */
#include "faults.h"

#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "broker.h"
#include "client.h"
#include "machine.h"
#include "net.h"

#define FAULTS_MOST 24u

typedef enum {
    FAULT_STORM = 1, /* soft messages are lost, come twice, late; all are slow */
    FAULT_BREAK,     /* a connection breaks */
    FAULT_PARTITION, /* a connection is silent for a while, then broken */
    FAULT_BROKER_CRASH,
    FAULT_POWER_LOSS, /* of the broker's machine: with its tasks, agent and clients */
    FAULT_DISK,       /* a commit fails */
    FAULT_AGENT_CRASH,
    FAULT_REBOOT, /* of a machine */
    FAULT_CLIENT_CRASH,
    FAULT_CLIENT_STALL,
    FAULT_LEAP,       /* a machine's clock leaps: it was suspended */
    FAULT_FOREIGN,    /* others on a machine use much */
    FAULT_CONFIG,     /* granary.conf is changed */
    FAULT_GROUP_LOST, /* somebody removes an empty group */
    FAULT_KINDS,
} fault_kind;

static const char *const moments[] = {"recall",    "given",  "grant", "claim",   "closing",
                                      "overdraft", "revoke", "host",  "detached"};
#define MOMENTS (sizeof moments / sizeof *moments)

typedef struct {
    fault_kind kind;
    us_t at;
    uint32_t moment; /* 1 + which it waits for after `at`; 0: strikes at once */
    uint64_t which;  /* host, client, connection: by remainder */
    us_t span;
    bool due, done;
} fault;

struct faults {
    sim *sim;
    rng dice;
    fault plan[FAULTS_MOST];
    uint32_t n;
};

/* ---- striking ---- */

typedef struct {
    uint64_t which, n;
    connection *chosen;
} choosing;

static void count_connection(void *context, connection *c, const char *name)
{
    choosing *ch = context;
    (void)name;
    if (ch->n++ == ch->which)
        ch->chosen = c;
}

static connection *some_connection(sim *s, uint64_t which)
{
    choosing ch = {.which = UINT64_MAX};
    net_each(s->net, count_connection, &ch);
    if (ch.n == 0)
        return NULL;
    ch = (choosing){.which = which % ch.n};
    net_each(s->net, count_connection, &ch);
    return ch.chosen;
}

static void calm(void *context, uint64_t argument)
{
    faults *f = context;
    (void)argument;
    sim_say(f->sim, "fault", "the storm is over");
    net_set_weather(f->sim->net, &(net_weather){.delay_least = 20, .delay_most = 500});
}

static void storm(faults *f, const fault *x)
{
    sim_say(f->sim, "fault", "a storm for %llu ms", (unsigned long long)(x->span / 1000));
    net_set_weather(f->sim->net, &(net_weather){.delay_least = 50,
                                                .delay_most = rng_between(&f->dice, 1000, 200000),
                                                .lose = (uint32_t)rng_below(&f->dice, 500000),
                                                .repeat = (uint32_t)rng_below(&f->dice, 500000),
                                                .overtake = (uint32_t)rng_below(&f->dice, 500000),
                                                .overtake_most = rng_between(&f->dice, 1000, 2000000)});
    clock_at(f->sim->clock, clock_now(f->sim->clock) + x->span, calm, f, 0);
}

static void disturb_connection(faults *f, const fault *x)
{
    connection *c = some_connection(f->sim, x->which);
    if (!c)
        return;
    if (x->kind == FAULT_PARTITION)
        net_stall(c, x->span);
    if (x->kind == FAULT_BREAK || rng_chance(&f->dice, 500000))
        net_break(c);
}

static void foreign_back(void *context, uint64_t host)
{
    faults *f = context;
    machine_set_foreign(f->sim->machines[host], 0);
}

static void foreign(faults *f, const fault *x, uint32_t host)
{
    machine *m = f->sim->machines[host];
    bytes_t most = machine_physical(m), bytes = most / 100 * rng_between(&f->dice, 5, 80);
    sim_say(f->sim, "fault", "others on %s use %llu MiB", machine_name(m), (unsigned long long)(bytes >> 20));
    machine_set_foreign(m, bytes);
    clock_at(f->sim->clock, clock_now(f->sim->clock) + x->span, foreign_back, f, host);
}

static void reload(faults *f, uint32_t host)
{
    sim *s = f->sim;
    core_event e[2] = {{.kind = EVENT_CONFIG_HOST}, {.kind = EVENT_CONFIG_USER}};
    bytes_t physical = machine_physical(s->machines[host]);
    event_config_host *h = &e[0].config_host;
    snprintf(h->name, sizeof h->name, "%s", machine_name(s->machines[host]));
    h->total = rng_chance(&f->dice, 300000) ? physical / 100 * rng_between(&f->dice, 30, 100) : 0;
    h->set_aside = rng_chance(&f->dice, 500000) ? physical / 100 * rng_between(&f->dice, 0, 40) : UINT64_MAX;
    h->home = rng_chance(&f->dice, 200000);
    e[1].config_user =
        (event_config_user){.user = {1000 + (uint32_t)rng_below(&f->dice, 3)},
                            .weight = (uint32_t)rng_between(&f->dice, 1, 4),
                            .quota = rng_chance(&f->dice, 300000) ? GIB(rng_between(&f->dice, 1, 20)) : 0};
    sim_say(s, "fault", "granary.conf is changed");
    broker_reload(s->broker, e, 2);
}

static void reboot(faults *f, const fault *x, uint32_t host)
{
    sim *s = f->sim;
    sim_say(s, "fault", "%s starts again", machine_name(s->machines[host]));
    machine_reboot(s->machines[host]);
    agent_machine_rebooted(s->agents[host], x->span);
}

static void leap(faults *f, const fault *x, uint32_t host)
{
    sim *s = f->sim;
    bool broker = rng_chance(&f->dice, 500000);
    machine_clock *time = broker ? broker_time(s->broker) : machine_time(s->machines[host]);
    sim_say(s, "fault", "the clock of %s leaps by %llu ms", broker ? "the broker" : machine_name(s->machines[host]),
            (unsigned long long)(x->span / 1000));
    time->ahead += x->span;
}

static void strike(faults *f, fault *x)
{
    sim *s = f->sim;
    uint32_t host = (uint32_t)(x->which % s->n_hosts);
    client_node *c = s->clients[x->which % s->n_clients];
    x->done = true;
    switch (x->kind) {
    case FAULT_STORM:
        storm(f, x);
        break;
    case FAULT_BREAK:
    case FAULT_PARTITION:
        disturb_connection(f, x);
        break;
    case FAULT_BROKER_CRASH:
        broker_crash(s->broker, (crash_when)(1 + x->which % 3), x->span);
        break;
    case FAULT_POWER_LOSS:
        broker_power_loss(s->broker, x->span, (uint32_t)(x->which % 6));
        break;
    case FAULT_DISK:
        broker_fail_commit(s->broker);
        break;
    case FAULT_AGENT_CRASH:
        agent_crash(s->agents[host], x->span);
        break;
    case FAULT_REBOOT:
        reboot(f, x, host);
        break;
    case FAULT_CLIENT_CRASH:
        client_crash(c, x->which & 1);
        break;
    case FAULT_CLIENT_STALL:
        client_stall(c, x->span);
        break;
    case FAULT_LEAP:
        leap(f, x, host);
        break;
    case FAULT_FOREIGN:
        foreign(f, x, host);
        break;
    case FAULT_CONFIG:
        reload(f, host);
        break;
    case FAULT_GROUP_LOST:
        machine_lose_group(s->machines[host]);
        break;
    case FAULT_KINDS:
        break;
    }
}

/* ---- the plan ---- */

static void on_due(void *context, uint64_t number)
{
    faults *f = context;
    fault *x = &f->plan[number];
    if (x->moment)
        x->due = true;
    else
        strike(f, x);
}

static void on_moment(void *context, uint64_t number)
{
    faults *f = context;
    if (!f->plan[number].done && !f->sim->settling)
        strike(f, &f->plan[number]);
}

void faults_moment(faults *f, const char *what)
{
    for (uint32_t i = 0; f && i < f->n; i++) {
        fault *x = &f->plan[i];
        if (!x->due || x->done || strcmp(moments[x->moment - 1], what) != 0)
            continue;
        x->due = false;
        /* Not inside what is under way: a little later, while it lasts. */
        clock_at(f->sim->clock, clock_now(f->sim->clock) + rng_below(&f->dice, 3000), on_moment, f, i);
    }
}

static void throw_one(faults *f, us_t around, us_t width)
{
    rng *d = &f->dice;
    us_t busy = f->sim->plan.busy, at = around + rng_below(d, width);
    fault x = {.kind = (fault_kind)rng_between(d, 1, FAULT_KINDS - 1),
               .at = at < busy ? at : busy - 1,
               .moment = rng_chance(d, 500000) ? 1 + (uint32_t)rng_below(d, MOMENTS) : 0,
               .which = rng_next(d) >> 8,
               .span = US_OF_MS(rng_between(d, 5, rng_chance(d, 300000) ? 8000 : 500))};
    f->plan[f->n] = x;
    clock_at(f->sim->clock, x.at, on_due, f, f->n++);
}

/* A few clusters of one to four each. */
static void throw_plan(faults *f)
{
    us_t busy = f->sim->plan.busy;
    uint64_t clusters = rng_between(&f->dice, 0, 6);
    for (uint64_t i = 0; i < clusters; i++) {
        us_t around = rng_below(&f->dice, busy), width = US_OF_MS(rng_between(&f->dice, 1, 2000));
        uint64_t many = rng_between(&f->dice, 1, 4);
        for (uint64_t j = 0; j < many && f->n < FAULTS_MOST; j++)
            throw_one(f, around, width);
    }
}

faults *faults_create(sim *s)
{
    faults *f = sim_alloc(sizeof *f);
    *f = (faults){.sim = s, .dice = rng_named(s->plan.seed, "faults", 0)};
    if (s->plan.faults)
        throw_plan(f);
    return f;
}

void faults_destroy(faults *f)
{
    free(f);
}
