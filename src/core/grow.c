/*
 * grow.c - max-min fair growth.
 */
#include "core/grow.h"

#include <assert.h>

#include "core/allocation.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/queue.h"
#include "core/recall.h"
#include "core/user.h"

/* Most chunks that one fairness recall evens out: the next step sees how that went. */
#define FAIRNESS_MAX     64u
#define FAIRNESS_AT_ONCE 256u /* allocations; with more it is looked at every FAIRNESS_MS */
#define FAIRNESS_MS      100u
#define FAIRNESS_TRIES   8u /* so many are looked at in a step, when nobody can give for the hungriest */

bool grow_allowed(core *c, allocation *a)
{
    if (a->no_growth_for.v == 0)
        return true;
    const allocation *to = allocation_find(c, a->no_growth_for);
    if (to && (to->state == ALLOCATION_WAITING || !list_empty(&to->recalls_for)))
        return false;
    a->no_growth_for = (allocation_id){0};
    mark_allocation(c, a);
    return true;
}

/* Is x by its weight below y by its? */
static bool share_below(bytes_t x, uint32_t wx, bytes_t y, uint32_t wy)
{
    return (unsigned __int128)x * wy < (unsigned __int128)y * wx;
}

static bool goes_first(const allocation *a, const allocation *b)
{
    const user *u = a->user, *v = b->user;
    if (u != v) {
        if (share_below(u->granted, u->weight, v->granted, v->weight))
            return true;
        if (share_below(v->granted, v->weight, u->granted, u->weight))
            return false;
        return u->id.v < v->id.v;
    }
    return allocation_hungrier(a, b);
}

static bool may_grow(core *c, allocation *a, bytes_t largest)
{
    return (a->terms.chunk_size <= largest || !list_empty(&a->recalls_for)) && a->grow_round != c->grow_round &&
           user_room(a->user) >= a->terms.chunk_size && grow_allowed(c, a);
}

/* Is the largest free piece, or what is held for one of them, enough for any? */
static bool any_may_grow(const core *c, bytes_t largest)
{
    uint64_t small_enough = largest ? (2ull << (63 - __builtin_clzll(largest))) - 1 : 0;
    return c->n_fairness || (c->hungry_sizes & small_enough);
}

/* Who grows next; `ret_alone`: nobody else could. Each user's are in turn already: two are looked for at most. */
static allocation *next_to_grow(core *c, bool *ret_alone)
{
    allocation *best = NULL;
    bytes_t largest = ledger_largest(c);
    *ret_alone = true;
    if (!any_may_grow(c, largest))
        return NULL;
    list_each(u, &c->user_list, user, node)
    {
        bool first = true;
        list_each(a, &u->hungry, allocation, hungry_node)
        {
            if (!may_grow(c, a, largest))
                continue;
            if (best)
                *ret_alone = false;
            if (first && (!best || goes_first(a, best)))
                best = a;
            first = false;
            if (!*ret_alone)
                break;
        }
    }
    return best;
}

/* A holding without any byte is a claim's of 0 chunks, or of quarantined ones: it binds to no host. */
static const host *only_host(const allocation *a)
{
    if (!allocation_is(a, TERM_ONE_HOST))
        return NULL;
    list_each(x, &a->holdings, holding, node) if (x->held || x->returning || x->reserved) return x->host;
    return NULL;
}

static chunks_t grow_one(core *c, allocation *a, chunks_t most)
{
    bytes_t room = user_room(a->user) / a->terms.chunk_size;
    if (room < most)
        most = (chunks_t)room;
    holding_lend(c, a);
    bool fits = place_chunks(c, &a->terms, 1, most, only_host(a));
    holding_unlend(c, a);
    chunks_t grown = fits ? holding_grant_plan(c, a) : 0;
    if (grown)
        allocation_touch(c, a);
    if (grown && c->n_waiting && recall_willing(a)) { /* on all its hosts more may be asked back now */
        c->supply_sequence++;
        c->freed = true;
    }
    if (grown && a->held >= a->want)
        recall_withdraw_for(c, a); /* it has all that it wants: nobody need give for it */
    return grown;
}

bool grow_settle(core *c)
{
    c->grow_round++;
    allocation *last = NULL;
    chunks_t grown = 0;
    bool done = true;
    while (c->n_hungry) {
        bool alone;
        if (emit_room(c) < ROOM_FOR_DECISION) {
            done = false;
            break;
        }
        allocation *a = next_to_grow(c, &alone);
        if (!a)
            break;
        chunks_t n = grow_one(c, a, alone ? a->want - a->held : 1);
        if (n == 0) {
            a->grow_round = c->grow_round; /* not again in this round */
            if (list_empty(&a->recalls_for))
                holding_unreserve_all(c, a);
            continue;
        }
        if (last && last != a) {
            emit_note_of(c, NOTE_GREW, last, NULL, grown);
            grown = 0;
        }
        last = a;
        grown += n;
    }
    if (last)
        emit_note_of(c, NOTE_GREW, last, NULL, grown);
    return done;
}

/* ---- fairness ---- */

/* Does the donor stay at or above what the other has after both moved? */
static bool stays_above(const allocation *d, bytes_t gives, const allocation *a, bytes_t gets)
{
    if (d->user == a->user) {
        bytes_t x = chunk_bytes(d, d->held), y = chunk_bytes(a, a->held);
        return x >= gives && x - gives >= y + gets;
    }
    const user *u = d->user, *v = a->user;
    return u->granted >= gives && !share_below(u->granted - gives, u->weight, v->granted + gets, v->weight);
}

/* Chunks of the donor on this host that make room for one chunk of `a`; 0 = not possible. */
static chunks_t price(const holding *x, const allocation *a)
{
    assert(x->host);
    bytes_t need = a->terms.chunk_size + ledger_lacks(x->host),
            missing = need > x->host->free ? need - x->host->free : 0;
    bytes_t size = x->allocation->terms.chunk_size, n = missing / size + (missing % size != 0);
    if (n == 0 || n > recall_possible_at(x))
        return 0;
    return stays_above(x->allocation, size * n, a, a->terms.chunk_size) ? (chunks_t)n : 0;
}

static holding *donor_for(core *c, allocation *a)
{
    holding *best = NULL;
    list_each(d, &c->recallable, allocation, recallable_node)
    {
        if (d == a || recall_willing(d) == 0)
            continue;
        list_each(x, &d->holdings, holding, node)
        {
            if (only_host(a) && only_host(a) != x->host)
                continue;
            if (!ledger_placeable(x->host) || !queue_serves(a, x->host) || price(x, a) == 0)
                continue;
            if (!best || (best->allocation != d && goes_first(best->allocation, d)))
                best = x;
        }
    }
    return best;
}

/* Among many, looking for who could give costs a walk over all: not at every release. */
static bool at_leisure(core *c)
{
    if (c->allocations.used <= FAIRNESS_AT_ONCE)
        return true;
    if (c->now < c->fairness_at) {
        heap_set(&c->deadlines, &c->fairness_due, c->fairness_at);
        return false;
    }
    c->fairness_at = c->now + FAIRNESS_MS;
    return true;
}

/* The hungriest that may grow, but those for whom nobody could give since anything changed. */
static allocation *hungriest(core *c)
{
    allocation *best = NULL;
    list_each(u, &c->user_list, user, node)
    {
        list_each(a, &u->hungry, allocation, hungry_node)
        {
            if (a->hopeless == c->supply_sequence || user_room(u) < a->terms.chunk_size || !grow_allowed(c, a))
                continue;
            if (!best || goes_first(a, best))
                best = a;
            break; /* the others come after it */
        }
    }
    return best;
}

/* Asks the donor for as much as keeps it above `a`. */
static void even_out(core *c, holding *x, allocation *a)
{
    chunks_t n = price(x, a), times = 1, possible = recall_possible_at(x), lacks = a->want - a->held;
    bytes_t gives = chunk_bytes(x->allocation, n);
    while (times < FAIRNESS_MAX && times < lacks && (uint64_t)n * (times + 1) <= possible &&
           stays_above(x->allocation, gives * (times + 1), a, chunk_bytes(a, times + 1)))
        times++;
    recall_create(c, x->allocation, RECALL_FOR_FAIRNESS, a, x->host, n * times);
}

void fairness_settle(core *c)
{
    if (c->n_waiting || !at_leisure(c))
        return;
    for (uint32_t i = 0; i < FAIRNESS_TRIES && emit_room(c) >= ROOM_FOR_DECISION; i++) {
        allocation *a = hungriest(c);
        if (!a || recall_under_way(a) || a->n_for >= RECALLS_OPEN)
            return;
        holding *x = donor_for(c, a);
        if (x) {
            even_out(c, x, a);
            return;
        }
        a->hopeless = c->supply_sequence;
    }
}
