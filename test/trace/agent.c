/* agent.c - see agent.h. */
#include "agent.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

static agent_group *find(agent *a, uint64_t gen)
{
    for (unsigned i = 0; i < a->n_groups; i++)
        if (a->groups[i].gen == gen)
            return &a->groups[i];
    return NULL;
}

static agent_group *make(agent *a, uint64_t gen)
{
    agent_group *g = find(a, gen);
    if (g)
        return g;
    if (a->n_groups == AGENT_GROUPS) {
        a->why = "the agent has no room for a group";
        return NULL;
    }
    g = &a->groups[a->n_groups++];
    *g = (agent_group){.gen = gen};
    return g;
}

static void drop(agent *a, uint64_t gen)
{
    agent_group *g = find(a, gen);
    if (g)
        *g = a->groups[--a->n_groups];
}

static void owe(agent *a, event_kind kind, const effect_order *order)
{
    for (unsigned i = 0; kind == EVENT_CLAIM_DRAINED && i < a->n_debts; i++)
        if (a->debts[i].kind == kind && a->debts[i].gen == order->gen.v)
            return;
    if (a->n_debts == AGENT_DEBTS) {
        a->why = "the agent owes too many answers";
        return;
    }
    a->debts[a->n_debts++] = (agent_debt){.kind = kind, .gen = order->gen.v, .tag = order->tag};
}

void agent_order(agent *a, const effect_order *order)
{
    agent_group *g = find(a, order->gen.v);
    if (!a->connected) {
        a->why = "an order to a host that is not connected";
        return;
    }
    switch (order->kind) {
    case ORDER_WELCOME:
    case ORDER_READY:
        return;
    case ORDER_EXPECT:
        make(a, order->gen.v);
        if (order->ending)
            owe(a, EVENT_CLAIM_DRAINED, order);
        return;
    case ORDER_OPEN:
        owe(a, EVENT_CLAIM_OPENED, order);
        return;
    case ORDER_ENTER:
        owe(a, EVENT_CLAIM_ENTERED, order);
        return;
    case ORDER_LIMIT:
        owe(a, EVENT_CLAIM_LIMITED, order);
        return;
    case ORDER_EMPTY:
        owe(a, EVENT_CLAIM_EMPTIED, order);
        return;
    case ORDER_END:
        owe(a, EVENT_CLAIM_DRAINED, order);
        return;
    case ORDER_CLOSE:
        if (g && !g->drained)
            a->why = "a group is removed that was not seen drained";
        drop(a, order->gen.v);
        return;
    }
    a->why = "an unknown order";
}

core_event agent_answer(agent *a, host_id host, unsigned i, uint32_t random)
{
    agent_debt debt = a->debts[i];
    a->debts[i] = a->debts[--a->n_debts];
    bool well = random % 10 != 0;
    core_event e = {.kind = debt.kind};
    if (debt.kind == EVENT_CLAIM_DRAINED) {
        agent_group *g = find(a, debt.gen);
        if (g)
            g->drained = true;
        e.use = (event_claim_use){.host = host, .gen = {debt.gen}, .peak = MIB(random % 1000)};
        return e;
    }
    e.answer =
        (event_claim_answer){.host = host, .gen = {debt.gen}, .tag = debt.tag, .status = well ? 0 : STATUS_AGENT};
    if (debt.kind == EVENT_CLAIM_OPENED && well)
        make(a, debt.gen);
    return e;
}

void agent_gone(agent *a, bool reboot)
{
    a->connected = false;
    a->n_debts = 0;
    if (reboot) {
        a->n_groups = 0;
        a->boots++;
    }
}

core_event agent_hello(agent *a, const char *name, bytes_t memory, generation groups[AGENT_GROUPS])
{
    core_event e = {.kind = EVENT_HOST_HELLO};
    a->connected = true;
    a->n_debts = 0;
    snprintf(e.hello.name, sizeof e.hello.name, "%s", name);
    snprintf(e.hello.boot_id, sizeof e.hello.boot_id, "boot-%u", a->boots);
    e.hello.physical = e.hello.total = memory;
    e.hello.cores = 4;
    e.hello.limited = true;
    for (unsigned i = 0; i < a->n_groups; i++)
        groups[i].v = a->groups[i].gen;
    e.hello.groups = groups;
    e.hello.n_groups = a->n_groups;
    return e;
}
