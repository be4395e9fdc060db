/*
 * supply.c - see supply.h.
 */
#include "core/supply.h"

#include <string.h>

#include "core/holding.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/queue.h"

enum { ON_ONE_HOST, SPREAD };

static uint8_t log2_of(bytes_t bytes)
{
    return (uint8_t)(63 - __builtin_clzll(bytes));
}

static bytes_t least_piece(const allocation *a)
{
    chunks_t need = allocation_need(a);
    return chunk_bytes(a, need && allocation_is(a, TERM_ONE_HOST) ? need : 1);
}

void supply_init(core *c)
{
    for (int i = 0; i < SUPPLY_KINDS; i++)
        for (int j = 0; j < SUPPLY_SIZES; j++)
            list_init(&c->supply.by_size[i][j]);
    c->supply.news.all = true;
}

static bool knows(const supply_news *n, const host *h)
{
    for (uint32_t i = 0; i < n->n; i++)
        if (n->risen[i] == h)
            return true;
    return false;
}

static void tell(supply_news *n, host *h)
{
    if (n->all || knows(n, h))
        return;
    if (n->n == RISEN_MAX)
        n->all = true;
    else
        n->risen[n->n++] = h;
}

void supply_rose(core *c, host *h)
{
    c->supply_sequence++;
    c->freed = true;
    if (!c->supply.hushed)
        tell(&c->supply.news, h);
}

void supply_all(core *c)
{
    c->supply_sequence++;
    c->freed = true;
    c->supply.news.all = true;
}

void supply_insert(core *c, allocation *a)
{
    chunks_t need = allocation_need(a);
    bytes_t whole = chunk_bytes(a, need ? need : 1);
    a->supply_kind = allocation_is(a, TERM_ONE_HOST) || need <= 1 ? ON_ONE_HOST : SPREAD;
    a->supply_size = log2_of(whole);
    list_insert_sorted(&c->supply.by_size[a->supply_kind][a->supply_size], a, allocation, supply_node, queue_before);
    c->supply.sizes[a->supply_kind] |= 1ull << a->supply_size;
}

void supply_remove(core *c, allocation *a)
{
    list_remove(&a->supply_node);
    if (list_empty(&c->supply.by_size[a->supply_kind][a->supply_size]))
        c->supply.sizes[a->supply_kind] &= ~(1ull << a->supply_size);
}

void supply_look(core *c)
{
    c->supply.now = c->supply.news;
    c->supply.news.n = 0;
    c->supply.news.all = false;
    memset(c->supply.next, 0, sizeof(c->supply.next));
}

void supply_look_again(core *c)
{
    c->supply.news.all |= c->supply.now.all;
    for (uint32_t i = 0; i < c->supply.now.n; i++)
        tell(&c->supply.news, c->supply.now.risen[i]);
}

static bool is_for(const core *c, const allocation *a, bytes_t least)
{
    const supply_news *news = &c->supply.now;
    if (news->all)
        return true;
    for (uint32_t i = 0; i < news->n; i++) {
        const host *h = news->risen[i];
        const holding *x = a->n_holdings ? holding_find(c, a, h) : NULL;
        if (h->free + (x ? x->reserved : 0) >= least && ledger_placeable(h) && place_accepts(a->terms.filter, h))
            return true;
    }
    return false;
}

bool supply_helps(const core *c, const allocation *a)
{
    return is_for(c, a, least_piece(a));
}

bool supply_frees(const core *c, const allocation *a)
{
    return is_for(c, a, 1);
}

/* The first of one list that this look has not come to, or NULL. */
static allocation *first_of(core *c, int kind, int size)
{
    list_node *head = &c->supply.by_size[kind][size], **next = &c->supply.next[kind][size];
    if (!*next)
        *next = head->next;
    while (*next != head) {
        allocation *a = container_of(*next, allocation, supply_node);
        if (a->queue_look != c->queue_looks)
            return a;
        *next = a->supply_node.next;
    }
    return NULL;
}

/* The first in turn of all lists that are small enough for what is free, or NULL. */
static allocation *first_small_enough(core *c)
{
    bytes_t limits[SUPPLY_KINDS] = {ledger_largest(c), c->supply.free};
    allocation *first = NULL;
    for (int kind = 0; kind < SUPPLY_KINDS; kind++) {
        if (limits[kind] == 0)
            continue;
        uint64_t sizes = c->supply.sizes[kind] & ((2ull << log2_of(limits[kind])) - 1);
        for (; sizes; sizes &= sizes - 1) {
            allocation *a = first_of(c, kind, __builtin_ctzll(sizes));
            if (a && (!first || queue_before(a, first)))
                first = a;
        }
    }
    return first;
}

allocation *supply_next(core *c)
{
    for (allocation *a; (a = first_small_enough(c));) {
        a->queue_look = c->queue_looks;
        c->supply.next[a->supply_kind][a->supply_size] = a->supply_node.next;
        if (least_piece(a) <= ledger_largest(c) && supply_helps(c, a))
            return a;
    }
    return NULL;
}

void supply_hush(core *c)
{
    c->supply.hushed = true;
    c->supply.sequence_before = c->supply_sequence;
    c->supply.freed_before = c->freed;
}

void supply_unhush(core *c)
{
    c->supply.hushed = false;
    c->supply_sequence = c->supply.sequence_before;
    c->freed = c->supply.freed_before;
}
