/*
 * offer.c - what clients say about when their chunks will be free. Soft: lost without harm.
 *
 * An offer replaces the earlier one of its allocation. One that names a recall is answered by which of it are
 * preferred:
 *   1. on the recall's host, or on any host that its beneficiary accepts;
 *   2. where memory is gathered for the beneficiary, or the host needs memory;
 *   3. the soonest to be free;
 *   4. the host where the allocation holds fewest chunks, so that hosts are left whole;
 *   5. the lowest host id.
 */
#include "core/recall.h"

#include "core/allocation.h"
#include "core/choose.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/plan.h"
#include "core/request.h"

static void estimate_add(core *c, holding *x, ms_t at)
{
    estimate *e = pool_take(&c->estimates);
    if (!e)
        return; /* soft: it counts as unknown */
    e->at = at;
    estimate **where = &x->estimates;
    while (*where && (*where)->at <= at)
        where = &(*where)->next;
    e->next = *where;
    *where = e;
}

static void take_offer(core *c, allocation *a, const offer_item *items, uint32_t n)
{
    list_each(x, &a->holdings, holding, node)
    {
        holding_forget_offer(c, x);
        x->offered = true; /* of a whole offer: what it does not name is unknown */
    }
    for (uint32_t i = 0; i < n; i++) {
        holding *x = items[i].host.v < c->n_hosts ? holding_find(c, a, &c->hosts[items[i].host.v]) : NULL;
        ms_t at;
        if (x && items[i].free_in != MS_NEVER && !__builtin_add_overflow(c->now, items[i].free_in, &at))
            estimate_add(c, x, at);
    }
}

static ms_t soonest(const holding *x)
{
    return x->estimates ? x->estimates->at : MS_NEVER;
}

static bool preferred_first(const recall *r, const holding *x, const holding *y)
{
    bool at_x =
        x->host->draining || x->host->overdraft || (r->beneficiary && r->beneficiary->target.v == x->host->id.v);
    bool at_y =
        y->host->draining || y->host->overdraft || (r->beneficiary && r->beneficiary->target.v == y->host->id.v);
    if (at_x != at_y)
        return at_x;
    if (soonest(x) != soonest(y))
        return soonest(x) < soonest(y);
    if (x->held != y->held)
        return x->held < y->held;
    return x->host->id.v < y->host->id.v;
}

/* scratch: how many of the holding were offered. */
static void prefer(core *c, recall *r)
{
    chunks_t left = recall_left(r);
    r->preferred = 0;
    while (left && emit_room(c) >= ROOM_FOR_ONE) {
        holding *best = NULL, *other = NULL;
        list_each(x, &r->allocation->holdings, holding, node)
        {
            if (x->scratch == 0 || !recall_accepts(r, x->host))
                continue;
            if (!best || preferred_first(r, x, best))
                best = x;
            else
                other = x;
        }
        if (!best)
            return;
        chunks_t n = best->scratch < left ? best->scratch : left;
        left -= n;
        r->preferred += n;
        bool more = left && other;
        best->scratch = 0;
        effect_push *p = emit_push(c, PUSH_PREFER, r->allocation);
        if (p) {
            p->recall = r->r.id;
            p->preferred = (extent){best->host->id, n};
            p->last = !more;
        }
        emit_note_of(c, NOTE_PREFERRED, r->allocation, best->host, n)->recall = r->r.id;
        if (!more)
            return;
    }
}

static void answer_recall(core *c, recall *r, const offer_item *items, uint32_t n)
{
    allocation *a = r->allocation;
    r->offered = 0;
    for (uint32_t i = 0; i < n; i++) {
        holding *x = items[i].host.v < c->n_hosts ? holding_find(c, a, &c->hosts[items[i].host.v]) : NULL;
        if (!x || x->scratch >= x->held)
            continue;
        x->scratch++;
        r->offered++;
    }
    emit_note_of(c, NOTE_OFFERED, a, r->host, r->offered)->recall = r->r.id;
    prefer(c, r);
    list_each(x, &a->holdings, holding, node) x->scratch = 0;
}

/* The waiter whose question this answers may have all its answers now. */
static void answer_question(core *c, allocation *a)
{
    allocation *w = allocation_find(c, a->asked_for);
    a->asked_for = (allocation_id){0};
    if (!w || w->ask != ASK_OPEN || w->ask_left == 0)
        return;
    if (--w->ask_left == 0)
        heap_set(&c->deadlines, &w->look, c->now); /* the settling of this step chooses */
}

void recall_on_offer(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->offer.id);
    outcome o = {.allocation = e->offer.id, .recall = e->offer.recall};
    if (!a)
        o.status = STATUS_NOT_FOUND;
    else if (!allocation_owned(a, s))
        o.status = STATUS_DENIED;
    else if (a->state != ALLOCATION_LIVE)
        o.status = STATUS_STATE;
    else if (e->offer.n > OFFER_MAX)
        o.status = STATUS_INVALID;
    recall *r = o.status == STATUS_OK ? recall_find(c, e->offer.recall) : NULL;
    bool wanted = r && r->allocation == a && recall_left(r) > 0;
    if (o.status == STATUS_OK && e->offer.recall.v && !wanted)
        o.status = STATUS_OFFER_NONE;
    request_reply(c, s, e->request.number, o);
    if (o.status != STATUS_OK)
        return;
    take_offer(c, a, e->offer.items, e->offer.n);
    c->changed = true;
    if (wanted)
        answer_recall(c, r, e->offer.items, e->offer.n);
    else if (a->asked_for.v && e->offer.n > 0) /* a recall that follows prefers of these */
        emit_note_of(c, NOTE_OFFERED, a, NULL, e->offer.n)->beneficiary = a->asked_for;
    if (a->asked_for.v)
        answer_question(c, a);
    plan_offered(c, a);
}
