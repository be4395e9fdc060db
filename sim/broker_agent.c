/*
 * broker_agent.c - the connections of agents (daemon/link.c), and the comparison of what they have with the books
 * (daemon/collect.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "broker_node.h"

/* ---- sets of claims ---- */

void claim_set_finish(claim_set *s)
{
    free(s->items);
    *s = (claim_set){0};
}

static bool claim_set_has(const claim_set *s, uint64_t gen)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->items[i] == gen)
            return true;
    return false;
}

static void claim_set_add(claim_set *s, uint64_t gen)
{
    if (claim_set_has(s, gen))
        return;
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 16;
        s->items = sim_grow(s->items, s->capacity * sizeof *s->items);
    }
    s->items[s->n++] = gen;
}

static void claim_set_move(claim_set *to, claim_set *from)
{
    claim_set_finish(to);
    *to = *from;
    *from = (claim_set){0};
}

/* ---- what an agent says ---- */

static void host_gone(broker_node *b, host_id host)
{
    if (host.v != HOST_NONE.v)
        broker_step(b, &(core_event){.kind = EVENT_HOST_GONE, .gone = host});
}

void agent_broken(peer *p)
{
    host_gone(p->broker, p->host);
}

static void on_hello(peer *p, const message *m)
{
    broker_node *b = p->broker;
    host_view v;
    p->stage = PEER_AGENT;
    if (view_host_by_name(b->driver.core, m->agent.hello.name, &v) == 0) {
        peer *older = peers_find_host(b, v.id, p);
        if (older) {
            sim_say(b->sim, "broker", "%s came anew: its older connection is dropped", p->name);
            peer_doom(older);
        }
        p->host = v.id; /* the orders of this step come here */
    }
    broker_step(b, &m->agent);
    if (p->host.v == HOST_NONE.v && view_host_by_name(b->driver.core, m->agent.hello.name, &v) == 0)
        p->host = v.id;
}

static void on_sample(peer *p, const message *m)
{
    core_event e = m->agent;
    e.sample.host = p->host;
    p->sampled = true;
    claim_set_move(&p->told, &p->telling);
    broker_step(p->broker, &e);
}

static void on_use(peer *p, const message *m)
{
    core_event e = m->agent;
    e.use.host = p->host;
    if (m->kind == MESSAGE_USE)
        claim_set_add(&p->telling, e.use.gen.v);
    broker_step(p->broker, &e);
}

static void on_answer(peer *p, const message *m)
{
    core_event e = m->agent;
    e.answer.host = p->host;
    broker_step(p->broker, &e);
}

void agent_arrived(peer *p, const message *m)
{
    bool greeted = p->stage == PEER_AGENT;
    if (greeted == (m->kind == MESSAGE_AGENT_HELLO)) {
        peer_doom(p); /* a second hello, or none */
        return;
    }
    switch (m->kind) {
    case MESSAGE_AGENT_HELLO:
        on_hello(p, m);
        return;
    case MESSAGE_SAMPLE:
        on_sample(p, m);
        return;
    case MESSAGE_USE:
    case MESSAGE_DRAINED:
        on_use(p, m);
        return;
    case MESSAGE_ANSWER:
        on_answer(p, m);
        return;
    default:
        peer_doom(p);
    }
}

/* ---- orders ---- */

void agent_order(broker_node *b, const effect_order *order)
{
    peer *p = peers_find_host(b, order->host, NULL);
    if (p) /* else the core hears that the host is gone, and orders again after its hello */
        letter_add(p, message_of_order(order));
}

/* ---- collection ---- */

/* Claims that only one of books and agent knows. */
static claim_set difference(const peer *p)
{
    claim_set books = {0}, ret = {0};
    claim_view k;
    for (uint32_t cursor = 0; view_claim(p->broker->driver.core, &cursor, &k);)
        if (k.host.v == p->host.v)
            claim_set_add(&books, k.gen.v);
    for (uint32_t i = 0; i < books.n; i++)
        if (!claim_set_has(&p->told, books.items[i]))
            claim_set_add(&ret, books.items[i]);
    for (uint32_t i = 0; i < p->told.n; i++)
        if (!claim_set_has(&books, p->told.items[i]))
            claim_set_add(&ret, p->told.items[i]);
    claim_set_finish(&books);
    return ret;
}

/* What differs twice running is no matter of messages on their way: hello and the whole live set mend it. */
static void collect(peer *p)
{
    claim_set differs = difference(p);
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < differs.n && !wrong; i++)
        if (claim_set_has(&p->differs, differs.items[i]))
            wrong = differs.items[i];
    claim_set_move(&p->differs, &differs);
    if (!wrong)
        return;
    sim_say(p->broker->sim, "broker", "only one of the books and %s knows claim %llu: its connection is renewed",
            p->name, (unsigned long long)wrong);
    peer_doom(p);
}

void agents_collect(broker_node *b)
{
    for (peer *p = b->peers; p; p = p->next)
        if (p->stage == PEER_AGENT && p->sampled)
            collect(p);
}
