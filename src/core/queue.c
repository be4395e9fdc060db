/*
 * queue.c - the waiting requests, in turn.
 */
#include "core/queue.h"

#include <assert.h>

#include "core/allocation.h"
#include "core/choose.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/recall.h"
#include "core/user.h"

static bool before(const allocation *a, const allocation *b)
{
    if (a->terms.priority != b->terms.priority)
        return a->terms.priority > b->terms.priority;
    return a->id.v < b->id.v;
}

void queue_insert(core *c, allocation *a)
{
    list_insert_sorted(&c->queue, a, allocation, queue_node, before);
    c->n_waiting++;
    c->freed = true;
    heap_set(&c->deadlines, &a->look, a->since + c->timers.age_guard_ms);
}

void queue_remove(core *c, allocation *a)
{
    list_remove(&a->queue_node);
    c->n_waiting--;
    heap_set(&c->deadlines, &a->look, MS_NEVER);
    a->ask = ASK_NONE;
    a->target = HOST_NONE;
    c->freed = true;
}

bool queue_aged(const core *c, const allocation *a)
{
    return c->now >= a->since && c->now - a->since >= c->timers.age_guard_ms;
}

static bool try_place(core *c, allocation *a)
{
    if (list_empty(&a->holdings))
        return place_find(c, &a->terms, a->user);
    holding_lend(c, a);
    bool fits = place_find(c, &a->terms, a->user);
    holding_unlend(c, a);
    return fits;
}

static bool grant(core *c, allocation *a)
{
    if (!holding_plan_fits(c, a))
        return false;
    holding_grant_plan(c, a);
    allocation_set_state(c, a, ALLOCATION_LIVE);
    recall_withdraw_for(c, a);
    allocation_touch(c, a);
    emit_note_of(c, NOTE_GRANTED, a, NULL, a->held)->amount = c->now - a->since;
    return true;
}

/* Where memory is gathered for an old waiter: the accepted host with most free that is large enough. */
static host *gather_at(core *c, allocation *a)
{
    if (a->target.v < c->n_hosts && ledger_placeable(&c->hosts[a->target.v]))
        return &c->hosts[a->target.v];
    chunks_t need = allocation_need(a);
    bytes_t least = chunk_bytes(a, allocation_is(a, TERM_ONE_HOST) ? need : 1);
    host *best = NULL;
    for (uint32_t i = 0; i < c->n_hosts; i++) {
        host *h = &c->hosts[i];
        if (!ledger_placeable(h) || !place_accepts(a->terms.filter, h) || ledger_potential(h) < least)
            continue;
        if (!best || h->free > best->free)
            best = h;
    }
    if (best)
        a->target = best->id;
    return best;
}

/* Takes what younger waiters hold there: two of them must not wait for each other. */
static void take_over(core *c, allocation *a, host *h)
{
    list_each_safe(x, &h->holdings, holding, host_node) if (x->reserved && x->allocation != a &&
                                                            x->allocation->state == ALLOCATION_WAITING &&
                                                            before(a, x->allocation)) holding_unreserve(c, x);
}

static void hold_for(core *c, allocation *a)
{
    bytes_t before_bytes = 0, after = 0;
    list_each(x, &a->holdings, holding, node) before_bytes += x->reserved;
    if (!allocation_is(a, TERM_ONE_HOST) && place_chunks(c, &a->terms, 0, allocation_need(a), NULL))
        for (uint32_t i = 0; i < c->n_plan; i++)
            holding_reserve(c, a, &c->hosts[c->plan[i].host.v], chunk_bytes(a, c->plan[i].chunks));
    host *h = gather_at(c, a);
    if (h) {
        take_over(c, a, h);
        holding_reserve(c, a, h, UINT64_MAX);
    }
    list_each(x, &a->holdings, holding, node) after += x->reserved;
    if (after > before_bytes)
        emit_note_of(c, NOTE_HELD, a, h, 0)->amount = after;
}

bool queue_settle(core *c)
{
    for (list_node *n = c->queue.next, *next; n != &c->queue; n = next) {
        allocation *a = container_of(n, allocation, queue_node);
        next = n->next;
        if (emit_room(c) < ROOM_FOR_DECISION)
            return false;
        if (try_place(c, a) && grant(c, a))
            continue;
        if (user_room(a->user) / a->terms.chunk_size < allocation_need(a))
            continue; /* memory is not what it lacks */
        choose_start(c, a);
        if (queue_aged(c, a))
            hold_for(c, a);
    }
    return true;
}

void queue_look(core *c, allocation *a)
{
    if (a->ask == ASK_OPEN)
        choose_now(c, a);
    if (a->state == ALLOCATION_WAITING && !queue_aged(c, a))
        heap_set(&c->deadlines, &a->look, a->since + c->timers.age_guard_ms);
    else
        heap_set(&c->deadlines, &a->look, MS_NEVER);
    c->freed = true;
}
