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
#include "core/supply.h"
#include "core/user.h"

bool queue_before(const allocation *a, const allocation *b)
{
    if (a->terms.priority != b->terms.priority)
        return a->terms.priority > b->terms.priority;
    return a->id.v < b->id.v;
}

/* Only so many are asked and held for at a time. */
#define QUEUE_HEAD     64u
#define QUEUE_WHOLE_MS 1000u

static bool queue_is_long(const core *c)
{
    return c->n_waiting > QUEUE_HEAD;
}

void queue_insert(core *c, allocation *a)
{
    list_insert_sorted(&c->queue, a, allocation, queue_node, queue_before);
    supply_insert(c, a);
    c->n_waiting++;
    c->freed = true;
    bool behind = c->recovered && queue_is_long(c); /* no look comes to it by itself */
    heap_set(&c->deadlines, &a->look, behind ? c->now : a->since + c->timers.age_guard_ms);
}

void queue_remove(core *c, allocation *a)
{
    list_remove(&a->queue_node);
    supply_remove(c, a);
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
    if (!holding_plan_fits(c, a)) {
        c->holdings_full = true;
        return false;
    }
    holding_grant_plan(c, a);
    allocation_set_state(c, a, ALLOCATION_LIVE);
    recall_withdraw_for(c, a);
    allocation_touch(c, a);
    emit_note_of(c, NOTE_GRANTED, a, NULL, a->held)->amount = c->now - a->since;
    return true;
}

bool queue_serves(const allocation *a, const host *h)
{
    bool whole = a->state == ALLOCATION_WAITING && allocation_is(a, TERM_ONE_HOST);
    bytes_t least = chunk_bytes(a, whole ? allocation_need(a) : 1);
    return !h->draining && place_accepts(a->terms.filter, h) && ledger_potential(h) >= least;
}

static bool suits(const allocation *a, const host *h)
{
    return ledger_placeable(h) && queue_serves(a, h);
}

void queue_let_go(core *c, host *h)
{
    list_each_safe(x, &h->holdings, holding, host_node) if (x->reserved && !queue_serves(x->allocation, h))
        holding_unreserve(c, x);
}

/* Where memory is gathered for an old waiter: the accepted host with most free that is large enough. */
static host *gather_at(core *c, allocation *a)
{
    if (a->target.v < c->n_hosts && suits(a, &c->hosts[a->target.v]))
        return &c->hosts[a->target.v];
    host *best = NULL;
    for (uint32_t i = 0; i < c->n_hosts; i++) {
        host *h = &c->hosts[i];
        if (suits(a, h) && (!best || h->free > best->free))
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
                                                            queue_before(a, x->allocation)) holding_unreserve(c, x);
}

static chunks_t lacks(const allocation *a)
{
    uint64_t have = 0, need = allocation_need(a);
    list_each(x, &a->holdings, holding, node) have += x->reserved / a->terms.chunk_size;
    return have < need ? (chunks_t)(need - have) : 0;
}

/*
 * The same on all its hosts, for one that is spread: each taking makes a chunk more, and who is later in turn never
 * takes it back.
 */
static void take_over_all(core *c, allocation *a)
{
    bytes_t size = a->terms.chunk_size;
    for (list_node *n = a->queue_node.next; n != &c->queue && lacks(a); n = n->next) {
        allocation *b = container_of(n, allocation, queue_node);
        list_each_safe(x, &b->holdings, holding, node)
        {
            host *h = x->host;
            const holding *own = holding_find(c, a, h);
            bytes_t have = own ? own->reserved : 0;
            if (!x->reserved || !suits(a, h) || (have + h->free + x->reserved) / size == have / size)
                continue;
            holding_unreserve(c, x);
            holding_reserve(c, a, h, chunk_bytes(a, lacks(a)));
        }
    }
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
    if (!allocation_is(a, TERM_ONE_HOST) && c->queue_held != c->queue_looks)
        take_over_all(c, a);
    c->queue_held = c->queue_looks;
    list_each(x, &a->holdings, holding, node) after += x->reserved;
    if (after > before_bytes)
        emit_note_of(c, NOTE_HELD, a, h, 0)->amount = after;
}

static bool lacks_quota(const allocation *a)
{
    return user_room(a->user) / a->terms.chunk_size < allocation_need(a);
}

/* Grants, or asks and holds for it. False: memory is not what it lacks. */
static bool look_at(core *c, allocation *a)
{
    a->queue_look = c->queue_looks;
    bool news = supply_helps(c, a);
    if (news && try_place(c, a) && grant(c, a))
        return true;
    if (lacks_quota(a))
        return false;
    choose_start(c, a);
    if (queue_aged(c, a) && supply_frees(c, a))
        hold_for(c, a);
    return true;
}

/*
 * The first QUEUE_HEAD in turn are asked and held for; of those behind them, only such are looked at as what became
 * free could help. Now and then a long queue is looked at from end to end, for who stands behind hopeless ones: after
 * a look that was not, also when nothing becomes free any more.
 */
bool queue_settle(core *c)
{
    bool whole = !queue_is_long(c) || c->now >= c->queue_whole_at;
    uint32_t left = QUEUE_HEAD;
    c->queue_looks++;
    supply_look(c);
    for (list_node *n = c->queue.next, *next; n != &c->queue && (whole || left); n = next) {
        allocation *a = container_of(n, allocation, queue_node);
        next = n->next;
        if (emit_room(c) < ROOM_FOR_DECISION) {
            supply_look_again(c);
            return false;
        }
        if (look_at(c, a) && left)
            left--;
    }
    if (whole && queue_is_long(c))
        c->queue_whole_at = c->now + QUEUE_WHOLE_MS;
    heap_set(&c->deadlines, &c->queue_due, whole ? MS_NEVER : c->queue_whole_at);
    for (allocation *a; !whole && (a = supply_next(c));) {
        if (emit_room(c) < ROOM_FOR_DECISION) {
            supply_look_again(c);
            return false;
        }
        if (try_place(c, a))
            grant(c, a);
    }
    return true;
}

/* False: there was not room for its end. */
static bool end_if_never(core *c, allocation *a)
{
    bytes_t most;
    if (a->doubt_look == c->doubts)
        return true;
    int status = allocation_never(c, a->user, &a->terms, &most);
    if (status && emit_room(c) < ROOM_FOR_DECISION)
        return false;
    a->doubt_look = c->doubts;
    if (status && a->state == ALLOCATION_WAITING)
        allocation_give_up(c, a, status);
    else if (status)
        allocation_end(c, a, status);
    return true;
}

bool queue_doubt(core *c)
{
    if (c->doubt)
        c->doubts++;
    c->doubt = false;
    list_each_safe(a, &c->queue, allocation, queue_node) if (!end_if_never(c, a)) return false;
    list_each(u, &c->user_list, user, node)
    {
        list_each_safe(a, &u->hungry, allocation, hungry_node)
        {
            if (a->held > 0)
                break; /* the hungriest are first */
            if (a->returning == 0 && a->n_claims == 0 && !end_if_never(c, a))
                return false;
        }
    }
    c->doubts_done = c->doubts;
    return true;
}

void queue_look(core *c, allocation *a)
{
    if (a->ask == ASK_OPEN)
        choose_now(c, a);
    else if (queue_is_long(c) && !lacks_quota(a))
        choose_start(c, a);
    if (a->ask != ASK_OPEN)
        heap_set(&c->deadlines, &a->look, queue_aged(c, a) ? MS_NEVER : a->since + c->timers.age_guard_ms);
    c->freed = true;
    if (queue_aged(c, a))
        supply_all(c); /* from now on memory is held for it */
}
