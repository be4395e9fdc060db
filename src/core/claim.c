/*
 * claim.c - the life of a claim and what its agent answers; requests about claims are claim_request.c.
 */
#include "core/claim.h"

#include <assert.h>

#include "core/allocation.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/recall.h"
#include "core/request.h"
#include "core/session.h"
#include "core/trouble.h"

claim *claim_find(const core *c, generation gen)
{
    return gen.v ? table_get(&c->claim_gens, gen.v) : NULL;
}

static bool claim_less(const claim *a, const claim *b)
{
    return a->gen.v < b->gen.v;
}

claim *claim_create(core *c, generation gen, allocation *a, host *h, chunks_t chunks)
{
    if (pool_left(&c->claims) == 0)
        return NULL;
    holding *x = holding_get(c, a, h);
    if (!x)
        return NULL;
    claim *k = pool_take(&c->claims);
    k->gen = gen;
    k->allocation = a;
    k->holding = x;
    k->host = h;
    claim_set_chunks(k, chunks);
    k->closing_until = k->look_at = MS_NEVER;
    k->since = c->now;
    heap_node_init(&k->due, DUE_CLAIM);
    mark_init(&k->mark);
    for (int i = 0; i < PENDINGS; i++)
        list_init(&k->pendings[i].node);
    list_insert_sorted(&c->claim_list, k, claim, node, claim_less);
    list_insert_sorted(&a->claims, k, claim, allocation_node, claim_less);
    list_insert_sorted(&h->claims, k, claim, host_node, claim_less);
    table_put(&c->claim_gens, gen.v, k);
    x->claims++;
    a->n_claims++;
    return k;
}

void claim_set_chunks(claim *k, chunks_t chunks)
{
    allocation *a = k->allocation;
    if (a->gated == k)
        a->gated = NULL;
    k->chunks = chunks;
    assert(chunks || !a->gated);
    if (chunks == 0)
        a->gated = k;
}

void claim_deadline(core *c, claim *k, ms_t until)
{
    k->closing_until = k->look_at = until;
    heap_set(&c->deadlines, &k->due, until);
}

void claim_set_state(core *c, claim *k, claim_state state)
{
    switch (state) {
    case CLAIM_OPENING:
        assert(k->state == 0);
        break;
    case CLAIM_OPEN:
        assert(k->state == CLAIM_OPENING);
        break;
    case CLAIM_CLOSING:
        assert(k->state == CLAIM_OPENING || k->state == CLAIM_OPEN);
        break;
    case CLAIM_QUARANTINED:
        assert(k->state == CLAIM_CLOSING);
        break;
    }
    k->state = state;
    bool armed = state == CLAIM_CLOSING || state == CLAIM_QUARANTINED;
    claim_deadline(c, k, armed ? c->now + c->timers.quarantine_ms : MS_NEVER);
    mark_claim(c, k);
}

static void fail_pending(core *c, claim *k, int kind, int status)
{
    k->pendings[kind].tag = pending_used(&k->pendings[kind]) ? k->pendings[kind].tag : 0;
    if (pending_used(&k->pendings[kind]))
        pending_reply(c, &k->pendings[kind],
                      (outcome){.status = status, .allocation = k->allocation->id, .claim = k->gen});
}

/*
 * Before READY its agent takes EXPECT only: a claim that it was told of as a living one is told again, as one that
 * ends; one that it was not told of yet will be told so.
 */
static void order_end(core *c, claim *k)
{
    const host *h = k->host;
    if (h->ready) {
        emit_order(c, ORDER_END, k)->kill = k->kill;
        return;
    }
    bool past = h->sync == SYNC_EXPECT && (!h->expect_next || k->gen.v < h->expect_next->gen.v);
    if (!h->connected || !(past || h->sync == SYNC_READY))
        return;
    effect_order *o = emit_order(c, ORDER_EXPECT, k);
    o->ending = true;
    o->kill = k->kill;
}

void claim_order_end(core *c, claim *k, bool kill)
{
    bool more = kill && !k->kill;
    k->kill |= kill;
    if (k->state == CLAIM_OPENING || k->state == CLAIM_OPEN) {
        claim_set_state(c, k, CLAIM_CLOSING);
        more = true;
        fail_pending(c, k, PENDING_OPEN, STATUS_ENDED);
        fail_pending(c, k, PENDING_ENTER, STATUS_ENDED);
        fail_pending(c, k, PENDING_SHRINK, STATUS_ENDED);
        if (list_empty(&k->allocation->push_node))
            allocation_touch(c, k->allocation);
    } else if (more && k->state == CLAIM_CLOSING) {
        claim_deadline(c, k, c->now + c->timers.quarantine_ms);
        mark_claim(c, k);
    }
    if (more)
        order_end(c, k);
}

void claim_end_gated(core *c, allocation *a)
{
    if (a->gated && a->gated->state != CLAIM_QUARANTINED)
        claim_order_end(c, a->gated, true);
}

/* Tells its owner, and who opened it. */
static void tell(core *c, push_kind kind, const claim *k, claim_cause cause, bytes_t peak)
{
    const session *owner = k->allocation->owner, *opener = session_find(c, k->opener);
    for (int i = 0; i < 2; i++) {
        const session *s = i == 0 ? owner : opener;
        if (i == 1 && opener == owner)
            return;
        effect_push *p = emit_push_to(c, kind, k->allocation, s);
        if (!p)
            continue;
        p->claim = k->gen;
        p->cause = cause;
        p->peak = peak;
        p->bytes = chunk_bytes(k->allocation, k->chunks);
        p->host = k->host->id;
    }
}

static void end(core *c, claim *k, claim_cause cause, bool order, bool told)
{
    allocation *a = k->allocation;
    host *h = k->host;
    holding *x = k->holding;
    for (int i = 0; i < PENDINGS; i++) {
        if (!pending_used(&k->pendings[i]))
            continue;
        bool done = i == PENDING_CLOSE || i == PENDING_KILL || i == PENDING_EMPTY;
        effect_reply *r =
            pending_reply(c, &k->pendings[i],
                          (outcome){.status = done ? STATUS_OK : STATUS_ENDED, .allocation = a->id, .claim = k->gen});
        r->cause = cause;
        r->peak = k->peak;
    }
    if (mark_drop(c, &k->mark))
        emit_record(c, RECORD_CLAIM_END)->claim_end = k->gen;
    else
        c->counters_dirty = true;
    if (order && h->connected)
        emit_order(c, ORDER_CLOSE, k);
    if (told)
        tell(c, PUSH_CLAIM_ENDED, k, cause, k->peak);
    effect_note *n =
        emit_note_of(c, k->state == CLAIM_QUARANTINED ? NOTE_UNQUARANTINED : NOTE_CLAIM_ENDED, a, h, k->chunks);
    n->claim = k->gen;
    n->amount = k->peak;
    heap_set(&c->deadlines, &k->due, MS_NEVER);
    table_remove(&c->claim_gens, k->gen.v);
    if (h->expect_next == k)
        h->expect_next = k->host_node.next == &h->claims ? NULL : container_of(k->host_node.next, claim, host_node);
    list_remove(&k->node);
    list_remove(&k->allocation_node);
    list_remove(&k->host_node);
    h->used -= k->used;
    x->claims--;
    a->n_claims--;
    bool quarantined = k->state == CLAIM_QUARANTINED;
    chunks_t chunks = k->chunks;
    if (a->gated == k)
        a->gated = NULL;
    pool_give(&c->claims, k);
    if (quarantined)
        holding_unquarantine(c, x, chunks);
    else
        holding_drained(c, x, chunks);
    if (h->draining)
        trouble_mark(c, h);
    allocation_settle(c, a);
}

void claim_end(core *c, claim *k, claim_cause cause, bool order)
{
    end(c, k, cause, order, true);
}

void claim_orphan(core *c, claim *k)
{
    k->opened_by = (request_no){0};
    mark_claim(c, k);
}

void claim_host_gone(core *c, claim *k)
{
    const pending *open = &k->pendings[PENDING_OPEN], *enter = &k->pendings[PENDING_ENTER];
    if (pending_used(open) || (pending_used(enter) && enter->number.v == k->opened_by.v))
        claim_orphan(c, k);
    for (int i = 0; i < PENDINGS; i++)
        fail_pending(c, k, i, STATUS_SILENT);
}

void claim_cover_debt(core *c, holding *x)
{
    chunks_t covered = 0;
    list_each(k, &x->allocation->claims, claim, allocation_node) if (k->holding == x && k->state == CLAIM_CLOSING)
        covered += k->chunks;
    for (list_node *n = x->allocation->claims.prev; n != &x->allocation->claims && covered < x->returning;
         n = n->prev) {
        claim *k = container_of(n, claim, allocation_node);
        if (k->holding != x || k->chunks == 0 || (k->state != CLAIM_OPEN && k->state != CLAIM_OPENING))
            continue;
        if (emit_room(c) < ROOM_FOR_DECISION)
            break; /* the holding's deadline is armed again: the rest follows then */
        covered += k->chunks;
        claim_order_end(c, k, false);
    }
    holding_arm(c, x, c->now + c->timers.returning_ms);
    if (x->late)
        return;
    x->late = true; /* who counted on it may ask others: waiters, and an overdrawn host */
    if (x->host->overdraft)
        trouble_mark(c, x->host);
    c->supply_sequence++;
    c->freed = true;
}

static void quarantine(core *c, claim *k)
{
    allocation *a = k->allocation;
    fail_pending(c, k, PENDING_CLOSE, STATUS_AGENT);
    fail_pending(c, k, PENDING_KILL, STATUS_AGENT);
    chunks_t debt = k->chunks < k->holding->returning ? k->chunks : k->holding->returning;
    recall_clamp_host(c, k->holding, k->holding->held - (k->chunks - debt));
    holding_quarantine(c, k->holding, k->chunks);
    claim_set_state(c, k, CLAIM_QUARANTINED);
    effect_note *n = emit_note_of(c, NOTE_QUARANTINED, a, k->host, k->chunks);
    n->claim = k->gen;
    n->amount = k->used;
    allocation_touch(c, a);
    recall_clamp(c, a);
    allocation_settle(c, a);
}

void claim_due(core *c, claim *k)
{
    bool known = k->host->connected && k->host->ready;
    if (k->state == CLAIM_CLOSING && known && (k->kill || (k->told && k->processes == 0))) {
        quarantine(c, k);
    } else {
        /* It may live for days: that its time has passed is in the journal, and that it is looked at again needs no
         * record. */
        k->look_at = c->now + c->timers.quarantine_ms;
        heap_set(&c->deadlines, &k->due, k->look_at);
    }
    if (k->state == CLAIM_QUARANTINED && known)
        emit_order(c, ORDER_END, k)->kill = true; /* looked at again */
}

/* ---- answers of the agent ---- */

/* The claim, if it is on the host that speaks, else NULL. */
static claim *claim_there(const core *c, generation gen, host_id speaker)
{
    claim *k = claim_find(c, gen);
    return k && k->host->id.v == speaker.v ? k : NULL;
}

/* The request that this answers, or NULL: the order was not for a request, or of an older connection. */
static pending *answered(claim *k, int kind, uint64_t tag)
{
    pending *p = &k->pendings[kind];
    return pending_used(p) && p->tag == tag ? p : NULL;
}

static int agent_status(int status)
{
    return status < 0 ? status : STATUS_AGENT;
}

static outcome outcome_of(const claim *k, const event_claim_answer *e, int status)
{
    return (outcome){.status = status,
                     .allocation = k->allocation->id,
                     .claim = status == STATUS_CLAIMED ? e->other : k->gen,
                     .chunks = k->chunks};
}

static void fill_end(effect_reply *r, const event_claim_answer *e)
{
    r->cause = e->cause;
    r->peak = e->peak;
}

static void reply_end(core *c, pending *p, const claim *k, const event_claim_answer *e, int status)
{
    fill_end(pending_reply(c, p, outcome_of(k, e, status)), e);
}

static void root_keep(core *c, claim *k, claim_root root)
{
    if (root.pid <= 0 || (root.pid == k->root.pid && root.start == k->root.start))
        return;
    k->root = root;
    mark_claim(c, k);
}

void claim_on_opened(core *c, const event_claim_answer *e)
{
    claim *k = claim_there(c, e->gen, e->host);
    if (!k || (k->state != CLAIM_OPENING && (k->state != CLAIM_CLOSING || e->status == 0)))
        return;
    pending *p = answered(k, PENDING_OPEN, e->tag);
    if (!p && e->tag && pending_used(&k->pendings[PENDING_OPEN]))
        return; /* of an order that was never given: the one that was still waits for its own */
    if (e->status != 0) {
        /* Nothing runs in it; told to end meanwhile, it is over all the same. */
        if (p)
            pending_reply(c, p,
                          (outcome){.status = agent_status(e->status),
                                    .allocation = k->allocation->id,
                                    .claim = e->status == STATUS_CLAIMED ? e->other : (generation){0}});
        end(c, k, CAUSE_EXIT, true, false); /* its reply said so: there never was a claim that could end */
        return;
    }
    root_keep(c, k, e->root);
    claim_set_state(c, k, CLAIM_OPEN);
    if (p)
        pending_reply(c, p, (outcome){.allocation = k->allocation->id, .claim = k->gen, .chunks = k->chunks});
    emit_note_of(c, NOTE_CLAIMED, k->allocation, k->host, k->chunks)->claim = k->gen;
}

void claim_on_entered(core *c, const event_claim_answer *e)
{
    claim *k = claim_there(c, e->gen, e->host);
    pending *p = k ? answered(k, PENDING_ENTER, e->tag) : NULL;
    if (!p)
        return;
    if (e->status != 0) {
        reply_end(c, p, k, e, agent_status(e->status));
        return;
    }
    root_keep(c, k, e->root);
    outcome o = outcome_of(k, e, STATUS_OK);
    bool claims = p->session->id.v == k->opener.v && p->number.v == k->opened_by.v; /* again, after a restart */
    /* Not journaled, task after task: asked again, the agent finds the process inside, and tells the same end again. */
    fill_end(claims ? pending_reply(c, p, o) : pending_tell(c, p, o), e);
}

void claim_on_emptied(core *c, const event_claim_answer *e)
{
    claim *k = claim_there(c, e->gen, e->host);
    pending *p = k ? answered(k, PENDING_EMPTY, e->tag) : NULL;
    if (p)
        reply_end(c, p, k, e, e->status ? agent_status(e->status) : STATUS_OK);
}

void claim_on_limited(core *c, const event_claim_answer *e)
{
    claim *k = claim_there(c, e->gen, e->host);
    pending *p = k ? &k->pendings[PENDING_SHRINK] : NULL;
    if (!p || p->tag == 0 || p->tag != e->tag)
        return;
    p->tag = 0; /* also when the session that asked is gone: the limit is what it is */
    /* Fewer chunks count from now on; more of them have counted since the order. */
    chunks_t now = e->status == 0 ? p->chunks : p->before;
    allocation *a = k->allocation;
    if (now < k->chunks) {
        chunks_t less = k->chunks - now;
        claim_set_chunks(k, now);
        mark_claim(c, k);
        holding_drained(c, k->holding, less); /* seen free, or never used */
    }
    if (pending_used(p))
        reply_end(c, p, k, e, e->status == 0 ? STATUS_OK : agent_status(e->status));
    allocation_settle(c, a);
}

/*
 * Where nothing is limited, what a claim uses beyond its size counts as foreign: its owner should know. Not of one
 * whose process waits at its gate: it is as large as a fork of its parent is.
 */
static void tell_over(core *c, claim *k)
{
    if (k->host->limited || k->over || k->chunks == 0 || k->used <= chunk_bytes(k->allocation, k->chunks))
        return;
    k->over = true;
    tell(c, PUSH_CLAIM_OVER, k, CAUSE_EXIT, k->used);
    effect_note *n = emit_note_of(c, NOTE_CLAIM_OVER, k->allocation, k->host, k->chunks);
    n->claim = k->gen;
    n->amount = k->used;
}

void claim_on_use(core *c, const event_claim_use *e)
{
    claim *k = claim_there(c, e->gen, e->host);
    if (!k)
        return;
    k->host->used = k->host->used - k->used + e->used;
    k->used = e->used;
    if (e->peak > k->peak)
        k->peak = e->peak;
    k->processes = e->processes;
    k->told = true;
    tell_over(c, k);
    c->changed = true;
}

void claim_on_drained(core *c, const event_claim_use *e)
{
    claim *k = claim_there(c, e->gen, e->host);
    if (!k) {
        /* It ended in the books already: the agent missed that it may remove the group. */
        if (e->host.v < c->n_hosts && c->hosts[e->host.v].connected && e->gen.v && e->gen.v <= c->counters.generation &&
            !claim_find(c, e->gen))
            emit_order_host(c, ORDER_CLOSE, &c->hosts[e->host.v], e->gen);
        return;
    }
    if (k->state != CLAIM_CLOSING && k->state != CLAIM_QUARANTINED)
        return; /* a slot between two tasks: an open claim outlives them */
    if (e->peak > k->peak)
        k->peak = e->peak;
    claim_end(c, k, e->cause, true);
}
