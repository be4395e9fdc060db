/*
 * cast.c - small worlds, unlike each other: what is rare on a real machine is common here.
 */
#include "cast.h"

#include <stdio.h>

#include "agent.h"
#include "client.h"
#include "machine.h"

#define PER_CENT 10000u /* of a million */

static ms_t seconds(rng *dice, ms_t least, ms_t most)
{
    return rng_between(dice, least * 1000, most * 1000);
}

void cast_broker(sim *s, broker_options *ret)
{
    rng dice = rng_named(s->plan.seed, "broker options", 0);
    bool small = rng_chance(&dice, 5 * PER_CENT); /* full tables are met */
    uint32_t many = small ? 6 : 256;
    *ret = (broker_options){
        .limits = {.hosts = SIM_HOSTS + 4,
                   .users = 16,
                   .sessions = small ? 12 : 512,
                   .allocations = many,
                   .holdings = 8 * many,
                   .claims = 16 * many,
                   .recalls = small ? 8 : 512,
                   .answers = 64 * many},
        .timers = {.suspect_ms = seconds(&dice, 2, 8),
                   .grace_ms = seconds(&dice, 1, 6),
                   .age_guard_ms = seconds(&dice, 1, 5),
                   .notice_ms = seconds(&dice, 1, 4),
                   .ask_ms = 20,
                   .returning_ms = seconds(&dice, 1, 4),
                   .quarantine_ms = seconds(&dice, 1, 4)},
        .power = rng_chance(&dice, 50 * PER_CENT),
        .check = true,
    };
}

void cast_hosts(sim *s)
{
    rng dice = rng_named(s->plan.seed, "hosts", 0);
    uint32_t n = s->plan.hosts ? s->plan.hosts : (uint32_t)rng_between(&dice, 1, 5);
    s->n_hosts = n < SIM_HOSTS ? n : SIM_HOSTS;
    for (uint32_t i = 0; i < s->n_hosts; i++) {
        s->machines[i] = machine_create(s, i, GIB(rng_between(&dice, 2, 32)));
        s->agents[i] = agent_create(s, s->machines[i]);
    }
}

/* ---- clients ---- */

static client_kind kind_of(const sim *s, rng *dice)
{
    uint64_t n = rng_below(dice, 100);
    if (s->plan.liars && n < 20)
        return (client_kind)rng_between(dice, CLIENT_SILENT, CLIENT_KINDS - 1);
    if (n < 60)
        return CLIENT_POOL;
    if (n < 85)
        return CLIENT_RUN;
    if (n < 97)
        return (client_kind)rng_between(dice, CLIENT_WAY_1, CLIENT_WAY_2A);
    return CLIENT_OPERATOR;
}

static uint32_t flags_of(client_kind kind, rng *dice)
{
    uint32_t flags = 0;
    if (kind == CLIENT_RUN)
        flags = rng_chance(dice, 70 * PER_CENT) ? TERM_ONE_HOST : 0;
    else
        flags = TERM_GROWABLE | TERM_RECALLABLE | (rng_chance(dice, 80 * PER_CENT) ? TERM_SHRINKABLE : 0);
    if (rng_chance(dice, 10 * PER_CENT))
        flags |= TERM_CONTIGUOUS;
    if (rng_chance(dice, 10 * PER_CENT))
        flags |= TERM_CORE_DEPENDENT;
    if (rng_chance(dice, 10 * PER_CENT))
        flags |= TERM_LONG_RUNNING;
    if (kind != CLIENT_RUN && rng_chance(dice, 15 * PER_CENT))
        flags |= TERM_REVOCABLE;
    if (rng_chance(dice, 5 * PER_CENT))
        flags |= TERM_NO_WAIT;
    return flags;
}

static allocation_terms terms_of(const sim *s, client_kind kind, rng *dice)
{
    static const uint32_t sizes_mib[] = {64, 128, 256, 300, 500, 700, 1024, 1500, 2048, 4096};
    bool firm = kind == CLIENT_RUN;
    allocation_terms t = {.chunk_size = MIB(sizes_mib[rng_below(dice, firm ? 10 : 8)])};
    t.want = (chunks_t)(firm ? rng_between(dice, 1, 4) : rng_between(dice, 1, 24));
    t.flags = flags_of(kind, dice);
    t.min = firm ? t.want : (chunks_t)rng_between(dice, 1, t.want < 3 ? t.want : 3);
    t.priority = rng_chance(dice, 5 * PER_CENT) ? -(int32_t)rng_between(dice, 1, 3) : 0;
    t.notice_ms = rng_chance(dice, 30 * PER_CENT) ? seconds(dice, 1, 3) : 0;
    t.wait_ms = rng_chance(dice, 20 * PER_CENT) ? seconds(dice, 1, 10) : MS_NEVER;
    snprintf(t.label, sizeof t.label, "work%u", (unsigned)rng_below(dice, 3));
    if (rng_chance(dice, 8 * PER_CENT))
        snprintf(t.filter, sizeof t.filter, "%s", machine_name(s->machines[rng_below(dice, s->n_hosts)]));
    return t;
}

static client_plan plan_of(const sim *s, rng *dice)
{
    client_plan p = {.kind = kind_of(s, dice)};
    p.start = rng_below(dice, s->plan.busy * 3 / 4);
    p.uid = 1000 + (uint32_t)rng_below(dice, 3);
    p.home = (uint32_t)rng_below(dice, s->n_hosts);
    p.local_only = rng_chance(dice, 25 * PER_CENT);
    p.terms = terms_of(s, p.kind, dice);
    p.tasks = p.kind == CLIENT_RUN              ? 1
              : rng_chance(dice, 60 * PER_CENT) ? (uint32_t)rng_between(dice, 1, 80)
                                                : UINT32_MAX;
    p.task_least = US_OF_MS(rng_between(dice, 5, 200));
    p.task_most = p.task_least * rng_between(dice, 1, 30);
    if (p.kind == CLIENT_SILENT)
        p.task_least = p.task_most = US_OF_MS(3600000);
    p.leave_shared = rng_chance(dice, 10 * PER_CENT) ? 20 * PER_CENT : 0;
    p.stubborn = rng_chance(dice, 10 * PER_CENT) ? 5 * PER_CENT : 0;
    p.children = rng_chance(dice, 20 * PER_CENT) ? 20 * PER_CENT : 0;
    p.over_limit = rng_chance(dice, 10 * PER_CENT) ? 10 * PER_CENT : 0;
    return p;
}

void cast_clients(sim *s)
{
    rng dice = rng_named(s->plan.seed, "clients", 0);
    uint32_t n = s->plan.clients ? s->plan.clients : (uint32_t)rng_between(&dice, 3, 14);
    s->n_clients = n < SIM_CLIENTS ? n : SIM_CLIENTS;
    for (uint32_t i = 0; i < s->n_clients; i++) {
        client_plan plan = plan_of(s, &dice);
        s->clients[i] = client_create(s, i, &plan);
    }
}
