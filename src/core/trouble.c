/*
 * trouble.c - recalls for draining and overdrawn hosts.
 *
 * A draining host asks for every chunk that may be asked for. An overdrawn one asks for what is missing beyond
 * what is returning or asked back there already and not late, from the holding of one who is not late with most bytes
 * to give, then the lowest allocation id. The ledger marks a host whose overdraft changed, in whatever way.
 *
 * What is asked back or held on a host for one whom it cannot serve any more, by its settings or because it is drained,
 * is withdrawn, so that others are asked.
 */
#include "core/trouble.h"

#include "core/emit.h"
#include "core/queue.h"
#include "core/recall.h"

void trouble_mark(core *c, host *h)
{
    if (list_empty(&h->trouble_node))
        list_append(&c->trouble, &h->trouble_node);
}

static bool is_drain(const recall *r)
{
    return r->r.reason == RECALL_FOR_DRAIN;
}

static bool is_overdraft(const recall *r)
{
    return r->r.reason == RECALL_FOR_OVERDRAFT;
}

static bool is_in_vain(const recall *r)
{
    return r->beneficiary && !queue_serves(r->beneficiary, r->host);
}

static recall *find_open(const holding *x, bool (*is)(const recall *r))
{
    list_each(r, &x->allocation->recalls, recall,
              allocation_node) if (r->host == x->host && recall_left(r) && is(r)) return r;
    return NULL;
}

/* Withdraws such open recalls there. False: stopped for lack of room. */
static bool withdraw(core *c, host *h, bool (*is)(const recall *r))
{
    list_each(x, &h->holdings, holding, host_node)
    {
        recall *r;
        while (x->asked && (r = find_open(x, is))) {
            if (emit_room(c) < ROOM_FOR_DECISION)
                return false;
            recall_withdraw(c, r);
        }
    }
    return true;
}

static bool settle_drain(core *c, host *h)
{
    list_each(x, &h->holdings, holding, host_node)
    {
        chunks_t n = recall_possible_at(x);
        if (n == 0)
            continue;
        if (emit_room(c) < ROOM_FOR_DECISION)
            return false;
        if (!recall_create(c, x->allocation, RECALL_FOR_DRAIN, NULL, h, n))
            return true; /* the table is full: tried again when one is done */
    }
    if (!h->drained_told && h->granted == 0 && h->returning == 0 && h->quarantine == 0) {
        h->drained_told = true;
        emit_note(c, NOTE_HOST_DRAINED)->host = h->id;
    }
    return true;
}

/* What will come by itself: not what is late, neither asked back nor returning. Others are asked for that. */
static bytes_t coming_to(const host *h)
{
    bytes_t bytes = 0;
    list_each(x, &h->holdings, holding, host_node)
    {
        const allocation *a = x->allocation;
        chunks_t late = 0;
        if (a->n_overdue)
            list_each(r, &a->recalls, recall, allocation_node) if (r->r.overdue && r->host == h) late += recall_left(r);
        bytes += chunk_bytes(a, x->asked - late) + chunk_bytes(a, x->late ? 0 : x->returning);
    }
    return bytes;
}

static chunks_t willing_at(const holding *x)
{
    return recall_willing(x->allocation) ? recall_possible_at(x) : 0;
}

static bool settle_overdraft(core *c, host *h)
{
    if (!h->overdraft_told) {
        h->overdraft_told = true;
        effect_note *n = emit_note(c, NOTE_OVERDRAFT);
        n->host = h->id;
        n->amount = h->overdraft;
    }
    for (;;) {
        bytes_t coming = coming_to(h);
        if (coming >= h->overdraft)
            return true;
        bytes_t missing = h->overdraft - coming, best_bytes = 0;
        holding *best = NULL;
        list_each(x, &h->holdings, holding, host_node)
        {
            bytes_t bytes = chunk_bytes(x->allocation, willing_at(x));
            if (bytes > best_bytes || (best && bytes == best_bytes && x->allocation->id.v < best->allocation->id.v)) {
                best = x;
                best_bytes = bytes;
            }
        }
        if (!best)
            return true;
        if (emit_room(c) < ROOM_FOR_DECISION)
            return false;
        bytes_t size = best->allocation->terms.chunk_size, n = missing / size + (missing % size != 0);
        chunks_t possible = willing_at(best);
        if (!recall_create(c, best->allocation, RECALL_FOR_OVERDRAFT, NULL, h, n < possible ? (chunks_t)n : possible))
            return true;
    }
}

static bool settle_host(core *c, host *h)
{
    if (h->fresh || h->draining) { /* else its settings may not be applied yet */
        queue_let_go(c, h);
        if (!withdraw(c, h, is_in_vain))
            return false;
    }
    if (h->draining) {
        if (!settle_drain(c, h))
            return false;
    } else if (!withdraw(c, h, is_drain)) {
        return false;
    }
    if (!h->fresh)
        return true; /* its columns are old, and its settings may not be applied yet: the first sample comes here */
    if (h->overdraft)
        return settle_overdraft(c, h);
    h->overdraft_told = false;
    return withdraw(c, h, is_overdraft);
}

bool trouble_settle(core *c)
{
    list_node later;
    list_init(&later);
    list_splice(&later, &c->trouble); /* what is marked meanwhile is looked at in the next step */
    while (!list_empty(&later)) {
        host *h = container_of(later.next, host, trouble_node);
        list_remove(&h->trouble_node);
        if (!settle_host(c, h)) {
            trouble_mark(c, h);
            list_splice(&c->trouble, &later);
            return false;
        }
    }
    return true;
}
