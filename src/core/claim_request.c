/*
 * claim_request.c - what clients ask about claims. Each request is answered when the agent has answered.
 */
#include "core/claim.h"

#include <string.h>

#include "core/allocation.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/request.h"

static bool reachable(const host *h)
{
    return h->connected && h->ready;
}

/* A claim of an earlier broker life that this request made (I12), or NULL. */
static claim *claim_repeated(const allocation *a, const session *s, request_no number)
{
    list_each(k, &a->claims, claim, allocation_node) if (k->opener.v == s->id.v && k->opened_by.v == number.v) return k;
    return NULL;
}

/*
 * A claim that this session asked for, and was then told that the host is silent: the agent may have made the group,
 * and even moved the process there. The session's next request for as much takes it.
 */
static claim *claim_orphaned(const allocation *a, const session *s, const core_event *e)
{
    list_each(k, &a->claims, claim, allocation_node)
    {
        bool alive = k->state == CLAIM_OPENING || k->state == CLAIM_OPEN;
        if (alive && k->opener.v == s->id.v && k->opened_by.v == 0 && k->host->id.v == e->claim.host.v &&
            k->chunks == e->claim.chunks && reachable(k->host))
            return k;
    }
    return NULL;
}

/* The request came again after a restart, with its descriptor. */
static void claim_again(core *c, session *s, const core_event *e, claim *k)
{
    uint64_t handle = e->claim.handle;
    outcome o = {.allocation = k->allocation->id, .claim = k->gen, .chunks = k->chunks};
    bool closing = k->state == CLAIM_CLOSING || k->state == CLAIM_QUARANTINED;
    if (closing || !reachable(k->host)) {
        o.status = closing ? STATUS_ENDED : STATUS_SILENT;
        if (!closing)
            claim_orphan(c, k);
        request_reply(c, s, e->request.number, o);
        return;
    }
    bool open = k->state == CLAIM_OPEN;
    if (open && handle == 0) {
        request_reply(c, s, e->request.number, o);
        return;
    }
    pending *p = &k->pendings[open ? PENDING_ENTER : PENDING_OPEN];
    if (pending_used(p)) {
        o.status = STATUS_BUSY;
        request_reply(c, s, e->request.number, o);
        return;
    }
    uint64_t tag = pending_open(c, p, s, e->request.number);
    effect_order *order = emit_order(c, open ? ORDER_ENTER : ORDER_OPEN, k);
    order->handle = handle;
    order->tag = tag;
    order->by_operator = s->operator_;
}

/* Of 0 chunks, for the process that waits for the grant. */
static int claim_check_waiting(const allocation *a, const session *s, const host *h, const core_event *e)
{
    if (!allocation_owned(a, s))
        return STATUS_DENIED;
    if (e->claim.chunks != 0 || a->n_claims)
        return STATUS_STATE;
    if (e->claim.handle == 0)
        return STATUS_INVALID;
    return reachable(h) ? STATUS_OK : STATUS_SILENT;
}

static int claim_check(const core *c, const allocation *a, const session *s, const core_event *e)
{
    if (!a || e->claim.host.v >= c->n_hosts)
        return STATUS_NOT_FOUND;
    if (!allocation_allowed(a, s))
        return STATUS_DENIED;
    host *h = &c->hosts[e->claim.host.v];
    if (a->state == ALLOCATION_WAITING)
        return claim_check_waiting(a, s, h, e);
    if (a->state != ALLOCATION_LIVE || !a->owner)
        return STATUS_ENDED;
    if (e->claim.chunks == 0)
        return STATUS_STATE; /* it waits no more: claim what was granted */
    holding *x = holding_find(c, a, h);
    if (!x || !holding_claimable(x, e->claim.chunks))
        return STATUS_STATE;
    return reachable(h) ? STATUS_OK : STATUS_SILENT;
}

void claim_on_claim(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->claim.id);
    claim *k = a ? claim_repeated(a, s, e->request.number) : NULL;
    if (!k && a && (k = claim_orphaned(a, s, e))) {
        k->opened_by = e->request.number;
        mark_claim(c, k);
    }
    if (k) {
        claim_again(c, s, e, k);
        return;
    }
    outcome o = {.allocation = e->claim.id, .status = claim_check(c, a, s, e)};
    if (o.status == STATUS_OK) {
        k = claim_create(c, (generation){c->counters.generation + 1}, a, &c->hosts[e->claim.host.v], e->claim.chunks);
        if (!k)
            o.status = STATUS_LIMIT;
    }
    if (o.status != STATUS_OK) {
        request_reply(c, s, e->request.number, o);
        return;
    }
    c->counters.generation++;
    k->opener = s->id;
    k->opened_by = e->request.number;
    memcpy(k->command, e->claim.command, COMMAND_MAX - 1); /* cut, never refused */
    holding_claim(k->holding, k->chunks);
    claim_set_state(c, k, CLAIM_OPENING);
    uint64_t tag = pending_open(c, &k->pendings[PENDING_OPEN], s, e->request.number);
    effect_order *order = emit_order(c, ORDER_OPEN, k);
    order->handle = e->claim.handle;
    order->tag = tag;
    order->by_operator = s->operator_;
}

/* Finds the claim of a request about an open one, or answers it. */
static claim *claim_for(core *c, session *s, request_no number, generation gen, int kind)
{
    claim *k = claim_find(c, gen);
    bool ends = kind == PENDING_CLOSE || kind == PENDING_KILL;
    outcome o = {.claim = gen};
    if (!k)
        o.status = gen.v && gen.v <= c->counters.generation ? STATUS_ENDED : STATUS_NOT_FOUND;
    else if (!allocation_allowed(k->allocation, s))
        o.status = STATUS_DENIED;
    else if (!ends && k->state != CLAIM_OPEN)
        o.status = k->state == CLAIM_OPENING ? STATUS_STATE : STATUS_ENDED;
    else if (!ends && !reachable(k->host))
        o.status = STATUS_SILENT;
    else if (pending_used(&k->pendings[kind]) || (kind == PENDING_SHRINK && k->pendings[kind].tag != 0))
        o.status = STATUS_BUSY;
    if (o.status == STATUS_OK)
        return k;
    if (k && o.status != STATUS_DENIED)
        o.allocation = k->allocation->id;
    request_reply(c, s, number, o);
    return NULL;
}

void claim_on_enter(core *c, session *s, const core_event *e)
{
    claim *k = claim_for(c, s, e->request.number, e->enter.gen, PENDING_ENTER);
    if (!k)
        return;
    if (e->enter.handle == 0) {
        request_reply(c, s, e->request.number,
                      (outcome){.status = STATUS_INVALID, .allocation = k->allocation->id, .claim = k->gen});
        return;
    }
    uint64_t tag = pending_open(c, &k->pendings[PENDING_ENTER], s, e->request.number);
    k->since = c->now; /* the task's work begins */
    k->over = k->over && !e->enter.fresh;
    effect_order *order = emit_order(c, ORDER_ENTER, k);
    order->handle = e->enter.handle;
    order->fresh = e->enter.fresh;
    order->by_operator = s->operator_;
    order->tag = tag;
}

void claim_on_empty(core *c, session *s, const core_event *e)
{
    claim *k = claim_for(c, s, e->request.number, e->empty.gen, PENDING_EMPTY);
    if (!k)
        return;
    uint64_t tag = pending_open(c, &k->pendings[PENDING_EMPTY], s, e->request.number);
    k->over = false;
    emit_order(c, ORDER_EMPTY, k)->tag = tag;
}

void claim_on_shrink(core *c, session *s, const core_event *e)
{
    claim *k = claim_for(c, s, e->request.number, e->shrink.gen, PENDING_SHRINK);
    if (!k)
        return;
    chunks_t n = e->shrink.chunks, before = k->chunks;
    bool grows = n > before && k->allocation->state == ALLOCATION_LIVE && holding_claimable(k->holding, n - before);
    if (n == 0 || (n > before && !grows)) { /* the present size is ordered again: its answer may have been lost */
        request_reply(
            c, s, e->request.number,
            (outcome){.status = STATUS_STATE, .allocation = k->allocation->id, .claim = k->gen, .chunks = before});
        return;
    }
    uint64_t tag = pending_open(c, &k->pendings[PENDING_SHRINK], s, e->request.number);
    k->pendings[PENDING_SHRINK].chunks = n;
    k->pendings[PENDING_SHRINK].before = before;
    if (grows) { /* in the books first: the limit never stands for chunks that another claim could take */
        holding_claim(k->holding, n - before);
        claim_set_chunks(k, n);
        mark_claim(c, k);
    }
    effect_order *order = emit_order(c, ORDER_LIMIT, k);
    order->bytes = claim_bytes(k, n);
    order->tag = tag;
}

/* While a polite close waits, another one that kills may come: each is answered when the claim ends. */
void claim_on_close(core *c, session *s, const core_event *e)
{
    claim *k = claim_find(c, e->close.gen);
    int kind = k && e->close.kill && pending_used(&k->pendings[PENDING_CLOSE]) ? PENDING_KILL : PENDING_CLOSE;
    k = claim_for(c, s, e->request.number, e->close.gen, kind);
    if (!k)
        return;
    outcome o = {.allocation = k->allocation->id, .claim = k->gen};
    if (k->state == CLAIM_QUARANTINED)
        o.status = STATUS_AGENT;
    else if (!reachable(k->host))
        o.status = STATUS_SILENT; /* it is told to end when it is back */
    if (o.status == STATUS_OK)
        pending_open(c, &k->pendings[kind], s, e->request.number);
    else
        request_reply(c, s, e->request.number, o);
    if (k->state != CLAIM_QUARANTINED)
        claim_order_end(c, k, e->close.kill);
}
