/*
 * allocation.c - the life of an allocation. What is asked of it is allocation_request.c, giving back is release.c.
 */
#include "core/allocation.h"

#include <assert.h>

#include "core/claim.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/plan.h"
#include "core/queue.h"
#include "core/recall.h"

allocation *allocation_find(const core *c, allocation_id id)
{
    return id.v ? table_get(&c->allocation_ids, id.v) : NULL;
}

static bool allocation_less(const allocation *a, const allocation *b)
{
    return a->id.v < b->id.v;
}

allocation *allocation_create(core *c, allocation_id id, session *owner, user *u, const allocation_terms *terms)
{
    allocation *a = pool_take(&c->allocations);
    if (!a)
        return NULL;
    a->id = id;
    a->owner = owner;
    a->user = u;
    a->terms = *terms;
    a->want = terms->want;
    a->wait_until = MS_NEVER;
    a->target = HOST_NONE;
    heap_node_init(&a->due, DUE_WAIT);
    heap_node_init(&a->look, DUE_LOOK);
    mark_init(&a->mark);
    list_node *nodes[] = {&a->owner_node, &a->queue_node, &a->hungry_node, &a->recallable_node,
                          &a->sweep_node, &a->push_node,  &a->supply_node, &a->plan_node,
                          &a->holdings,   &a->claims,     &a->recalls,     &a->recalls_for};
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        list_init(nodes[i]);
    list_insert_sorted(&c->allocation_list, a, allocation, node, allocation_less);
    if (owner) {
        a->owner_id = owner->id;
        list_append(&owner->allocations, &a->owner_node);
    }
    table_put(&c->allocation_ids, id.v, a);
    return a;
}

void allocation_set_state(core *c, allocation *a, allocation_state state)
{
    assert((a->state == 0 && state != 0) || (a->state == ALLOCATION_WAITING && state == ALLOCATION_LIVE) ||
           (a->state != ALLOCATION_ENDING && state == ALLOCATION_ENDING));
    if (a->state == ALLOCATION_WAITING)
        queue_remove(c, a);
    a->state = state;
    a->wait_until = MS_NEVER;
    if (state == ALLOCATION_WAITING) {
        if (__builtin_add_overflow(c->now, a->terms.wait_ms, &a->wait_until))
            a->wait_until = MS_NEVER; /* wait_ms is MS_NEVER, or as good as that */
        queue_insert(c, a);
    }
    heap_set(&c->deadlines, &a->due, a->wait_until);
    mark_allocation(c, a);
    allocation_relist(c, a);
}

void allocation_touch(core *c, allocation *a)
{
    mark_allocation(c, a);
    if (a->touched)
        return;
    a->touched = true;
    c->n_touched++;
    a->version++;
    list_append(&c->pushes, &a->push_node);
}

bool allocation_hungrier(const allocation *a, const allocation *b)
{
    bytes_t x = chunk_bytes(a, a->held), y = chunk_bytes(b, b->held);
    return x != y ? x < y : a->id.v < b->id.v;
}

static uint8_t size_class(const allocation *a)
{
    return (uint8_t)(63 - __builtin_clzll(a->terms.chunk_size));
}

static void hungry_remove(core *c, allocation *a)
{
    if (list_empty(&a->hungry_node))
        return;
    list_remove(&a->hungry_node);
    c->n_hungry--;
    if (--c->n_hungry_of[size_class(a)] == 0)
        c->hungry_sizes &= ~(1ull << size_class(a));
}

static void hungry_insert(core *c, allocation *a)
{
    list_node *head = &a->user->hungry;
    if (!list_empty(head) && allocation_hungrier(a, container_of(head->next, allocation, hungry_node)))
        list_push(head, &a->hungry_node); /* who gave is the hungriest now */
    else
        list_insert_sorted(head, a, allocation, hungry_node, allocation_hungrier);
    c->n_hungry++;
    c->n_hungry_of[size_class(a)]++;
    c->hungry_sizes |= 1ull << size_class(a);
}

/* Is it between its neighbours still? */
static bool hungry_in_place(const allocation *a)
{
    const list_node *head = &a->user->hungry, *prev = a->hungry_node.prev, *next = a->hungry_node.next;
    return (prev == head ||
            allocation_hungrier(container_of((list_node *)(uintptr_t)prev, allocation, hungry_node), a)) &&
           (next == head ||
            allocation_hungrier(a, container_of((list_node *)(uintptr_t)next, allocation, hungry_node)));
}

void allocation_relist(core *c, allocation *a)
{
    bool live = a->state == ALLOCATION_LIVE && a->owner != NULL;
    bool hungry = live && allocation_is(a, TERM_GROWABLE) && a->held < a->want, was = !list_empty(&a->hungry_node);
    c->freed |= hungry && !was;
    if (was && !(hungry && hungry_in_place(a)))
        hungry_remove(c, a);
    if (hungry && list_empty(&a->hungry_node))
        hungry_insert(c, a);
    bool gives = live && allocation_is(a, TERM_RECALLABLE) && a->held > a->terms.min;
    if (gives == !list_empty(&a->recallable_node))
        return;
    if (gives) {
        c->supply_sequence++;
        c->freed |= c->n_waiting != 0;
        list_append(&c->recallable, &a->recallable_node);
    } else {
        list_remove(&a->recallable_node);
    }
}

void allocation_unlist(core *c, allocation *a)
{
    hungry_remove(c, a);
    list_remove(&a->recallable_node);
}

void allocation_flush(core *c)
{
    while (!list_empty(&c->pushes)) {
        allocation *a = container_of(c->pushes.next, allocation, push_node);
        list_remove(&a->push_node);
        a->touched = false;
        c->n_touched--;
        if (!a->is_new && !a->end_told)
            emit_push(c, PUSH_CHANGED, a);
        a->is_new = false;
    }
}

static void tell_end(core *c, allocation *a, int status)
{
    effect_push *p = a->end_told ? NULL : emit_push(c, PUSH_ENDED, a);
    if (!p)
        return;
    p->status = status;
    if (status == STATUS_NEVER || status == STATUS_QUOTA)
        allocation_never(c, a->user, &a->terms, &p->most);
    a->end_told = true;
}

void allocation_end(core *c, allocation *a, int status)
{
    if (a->state == ALLOCATION_WAITING)
        queue_remove(c, a);
    holding_unreserve_all(c, a);
    recall_drop_all(c, a);
    assert(a->held == 0 && a->returning == 0 && a->n_claims == 0 && list_empty(&a->holdings));
    tell_end(c, a, status);
    bool timed_out = status == STATUS_TIMEOUT && !a->end_status;
    emit_note_of(c, timed_out ? NOTE_TIMED_OUT : NOTE_ENDED, a, NULL, 0)->status = status;
    allocation_unlist(c, a);
    if (a->touched)
        c->n_touched--;
    list_node *nodes[] = {&a->owner_node, &a->sweep_node, &a->push_node, &a->node};
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        list_remove(nodes[i]);
    plan_offered(c, a);
    heap_set(&c->deadlines, &a->due, MS_NEVER);
    heap_set(&c->deadlines, &a->look, MS_NEVER);
    if (mark_drop(c, &a->mark))
        emit_record(c, RECORD_ALLOCATION_END)->allocation_end = a->id;
    else
        c->counters_dirty = true;
    table_remove(&c->allocation_ids, a->id.v);
    pool_give(&c->allocations, a);
    c->changed = true;
}

/* What goes of a holding whose owner is gone: all, or what no claim stands for. */
static chunks_t orphan_gives(const allocation *a, const holding *x)
{
    chunks_t idle = holding_idle(x);
    return allocation_is(a, TERM_STAY) && idle < x->held ? idle : x->held;
}

/* A claim of an orphan that stayed has ended: its chunks go with the next sweep. */
static void orphan_look(core *c, allocation *a)
{
    if (a->owner || a->state != ALLOCATION_LIVE || !list_empty(&a->sweep_node))
        return;
    list_each(x, &a->holdings, holding, node)
    {
        if (orphan_gives(a, x)) {
            list_append(&c->sweep, &a->sweep_node);
            return;
        }
    }
}

void allocation_give_up(core *c, allocation *a, int status)
{
    assert(a->state == ALLOCATION_WAITING);
    if (a->n_claims == 0) {
        allocation_end(c, a, status);
        return;
    }
    holding_unreserve_all(c, a);
    recall_withdraw_for(c, a);
    tell_end(c, a, status);
    a->end_status = status;
    if (status == STATUS_TIMEOUT)
        emit_note_of(c, NOTE_TIMED_OUT, a, NULL, 0)->status = status;
    allocation_set_state(c, a, ALLOCATION_ENDING);
    claim_end_gated(c, a);
}

void allocation_settle(core *c, allocation *a)
{
    orphan_look(c, a);
    bool grows = allocation_is(a, TERM_GROWABLE) && a->want > 0 && (a->owner || !allocation_is(a, TERM_STAY));
    if (a->state == ALLOCATION_LIVE && a->held == 0 && !grows) {
        recall_withdraw_all(c, a);
        recall_withdraw_for(c, a);
        holding_unreserve_all(c, a);
        allocation_set_state(c, a, ALLOCATION_ENDING);
        allocation_touch(c, a);
    }
    if (a->state == ALLOCATION_ENDING)
        claim_end_gated(c, a);
    if (a->state == ALLOCATION_ENDING && a->held == 0 && a->returning == 0 && a->n_claims == 0)
        allocation_end(c, a, a->end_status ? a->end_status : STATUS_ENDED);
}

void allocation_orphan(core *c, allocation *a)
{
    list_remove(&a->owner_node);
    a->owner = NULL;
    plan_offered(c, a);
    allocation_relist(c, a);
    if (list_empty(&a->sweep_node))
        list_append(&c->sweep, &a->sweep_node);
}

/* One orphan; false when there was not room for all of it. */
static bool sweep_one(core *c, allocation *a)
{
    bool stays = allocation_is(a, TERM_STAY);
    if (a->state == ALLOCATION_WAITING) {
        list_remove(&a->sweep_node);
        if (!stays)
            a->want = 0;
        allocation_give_up(c, a, STATUS_LOST);
        return true;
    }
    if (!stays)
        recall_withdraw_all(c, a);
    list_each_safe(k, &a->claims, claim, allocation_node)
    {
        if (k->state != CLAIM_OPENING && k->state != CLAIM_OPEN)
            continue;
        if (emit_room(c) < ROOM_FOR_DECISION)
            return false;
        claim_order_end(c, k, k->chunks == 0);
    }
    list_each_safe(x, &a->holdings, holding, node)
    {
        chunks_t n = orphan_gives(a, x);
        if (n == 0)
            continue;
        if (emit_room(c) < ROOM_FOR_DECISION)
            return false;
        if (stays)
            allocation_give(c, a, x, n, NULL, false);
        else
            holding_release(c, x, n, (allocation_id){0});
    }
    recall_withdraw_for(c, a);
    holding_unreserve_all(c, a);
    recall_clamp(c, a);
    if (a->want != 0 && !stays) {
        a->want = 0;
        mark_allocation(c, a);
    }
    list_remove(&a->sweep_node);
    allocation_relist(c, a);
    allocation_settle(c, a);
    return true;
}

void allocation_sweep(core *c)
{
    while (!list_empty(&c->sweep) && !c->more)
        c->more =
            emit_room(c) < ROOM_FOR_DECISION || !sweep_one(c, container_of(c->sweep.next, allocation, sweep_node));
}

void allocation_give(core *c, allocation *a, holding *x, chunks_t n, recall *r, bool own)
{
    allocation_id whom = r ? r->r.beneficiary : (allocation_id){0}; /* also when it is withdrawn */
    for (chunks_t left = n, k; left; left -= k) {
        k = recall_answer(c, a, x->host, left, r, &whom);
        r = NULL; /* it may be over */
        if (whom.v)
            a->no_growth_for = whom;
        emit_note_of(c, NOTE_GIVEN, a, x->host, k)->beneficiary = whom;
        recall_clamp_host(c, x, x->held - k);
        holding_release(c, x, k, whom);
    }
    if (own)
        a->want = a->want > n ? a->want - n : 0;
    allocation_relist(c, a);
    allocation_touch(c, a);
}

bool allocation_owned(const allocation *a, const session *s)
{
    return a->owner == s;
}

bool allocation_allowed(const allocation *a, const session *s)
{
    return a->owner == s || a->user == s->user || s->operator_;
}

void allocation_due(core *c, allocation *a)
{
    allocation_give_up(c, a, STATUS_TIMEOUT);
}
