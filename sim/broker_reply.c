/*
 * broker_reply.c - what the core wants told, as the wire would tell it (daemon/replies.c, info.c, session.c): a message
 * is made in the step, with the sets of that moment, and leaves after the commit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "broker_node.h"

/* What is left of a deadline, as it travels. */
static ms_t left(const broker_node *b, ms_t deadline)
{
    ms_t now = broker_now(b);
    return deadline != MS_NEVER && deadline > now ? deadline - now : 0;
}

/* ---- replies ---- */

void reply_send(broker_node *b, const effect_reply *reply)
{
    peer *p = peers_find(b, reply->link);
    if (!p)
        return;
    if (p->greeting) { /* broker_peer.c sends the welcome */
        p->greeting_status = reply->status;
        p->session = reply->status == 0 ? reply->session : (session_id){0};
        return;
    }
    if (reply->status == STATUS_DENIED) /* what is another's is not told */
        reply_refuse(p, reply->number, STATUS_DENIED);
    else
        letter_add(p, message_of_reply(reply, b->driver.core));
}

void reply_refuse(peer *p, request_no number, int status)
{
    effect_reply r = {.link = p->link, .session = p->session, .number = number, .status = status};
    r.expected_ms = MS_NEVER;
    letter_add(p, message_of_reply(&r, p->broker->driver.core));
}

/* ---- pushes ---- */

/* The core tells one extent at a time; the client gets them in one message. */
static void push_prefer(broker_node *b, peer *p, const effect_push *push)
{
    if (push->preferred.chunks > 0 && b->n_preferred < EXTENTS_MAX)
        b->preferred[b->n_preferred++] = push->preferred;
    if (!push->last)
        return;
    message m = {.kind = MESSAGE_PUSH, .push = {.push = *push}};
    m.push.set.extents = b->preferred;
    m.push.set.n_extents = b->n_preferred;
    b->n_preferred = 0;
    if (p)
        letter_add(p, message_copy(&m));
}

void push_send(broker_node *b, const effect_push *push)
{
    peer *p = peers_find(b, push->link);
    if (push->kind == PUSH_PREFER) {
        push_prefer(b, p, push); /* gathers, whoever is there */
        return;
    }
    if (!p)
        return;
    if (push->kind == PUSH_CHANGED || push->kind == PUSH_ENDED) {
        letter_add(p, message_of_push(push, b->driver.core));
        return;
    }
    message m = {.kind = MESSAGE_PUSH, .push = {.push = *push}};
    if (push->kind == PUSH_RECALL)
        m.push.push.deadline = left(b, push->deadline);
    letter_add(p, message_copy(&m));
}

/* ---- welcome ---- */

static bool owned(const core *c, allocation_id id, session_id session)
{
    allocation_view a;
    return view_allocation_by_id(c, id, &a) == 0 && a.owner.v == session.v;
}

static message_set set_of(const core *c, allocation_id id)
{
    set_view v;
    if (view_set(c, id, &v) < 0)
        return (message_set){.id = id};
    message_set s = {.id = id, .version = v.version, .state = v.state, .want = v.want, .n_extents = v.n_extents};
    s.extents = sim_alloc(v.n_extents * sizeof *s.extents);
    memcpy(s.extents, v.extents, v.n_extents * sizeof *s.extents);
    return s;
}

static void welcome_holdings(const broker_node *b, session_id session, message *w)
{
    const core *c = b->driver.core;
    totals_view totals;
    view_totals(c, &totals);
    w->welcome.sets = sim_alloc(totals.allocations * sizeof *w->welcome.sets);
    w->welcome.recalls = sim_alloc(totals.recalls * sizeof *w->welcome.recalls);
    w->welcome.claims = sim_alloc(totals.claims * sizeof *w->welcome.claims);
    allocation_view a;
    for (uint32_t cursor = 0; view_allocation(c, &cursor, &a);)
        if (a.owner.v == session.v)
            w->welcome.sets[w->welcome.n_sets++] = set_of(c, a.id);
    recall_view r;
    for (uint32_t cursor = 0; view_recall(c, &cursor, &r);)
        if (owned(c, r.record.allocation, session)) {
            r.record.deadline = left(b, r.record.deadline);
            w->welcome.recalls[w->welcome.n_recalls++] = r.record;
        }
    claim_view k;
    for (uint32_t cursor = 0; view_claim(c, &cursor, &k);)
        if (owned(c, k.allocation, session)) {
            uint32_t n = w->welcome.n_claims++;
            w->welcome.claims[n].gen = k.gen;
            w->welcome.claims[n].allocation = k.allocation;
            w->welcome.claims[n].host = k.host;
            w->welcome.claims[n].chunks = k.chunks;
        }
}

void welcome_send(peer *p, const uint8_t token[16], bool reattached)
{
    message *w = message_create(MESSAGE_WELCOME);
    w->welcome.session = p->session.v;
    memcpy(w->welcome.token, token, 16);
    w->welcome.reattached = reattached;
    if (reattached) {
        w->welcome.acked = view_session_seen(p->broker->driver.core, p->session);
        welcome_holdings(p->broker, p->session, w);
    }
    letter_add(p, w);
}

void welcome_refuse(peer *p, int status)
{
    message *w = message_create(MESSAGE_WELCOME);
    w->welcome.status = status;
    letter_add(p, w);
}
