/*
 * expect.c - when a waiting request may start, by what was offered for its recalls.
 */
#include "core/expect.h"

#include "core/holding.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/recall.h"
#include "core/user.h"

/* When the last chunk of this recall is given: those asked for earlier on that host go first. */
static ms_t recall_ends(const core *c, ms_t now, const recall *r)
{
    const holding *x = r->host ? holding_find(c, r->allocation, r->host) : NULL;
    chunks_t n = 0;
    if (!x || !x->offered || r->r.overdue)
        return MS_NEVER;
    list_each(q, &r->allocation->recalls, recall, allocation_node)
    {
        if (!q->host || q->host == r->host)
            n += recall_left(q);
        if (q == r)
            break;
    }
    return holding_expected(x, n, now);
}

static bytes_t recalled_for(const allocation *a, const host *h)
{
    bytes_t bytes = 0;
    list_each(r, &a->recalls_for, recall, for_node) if (r->host == h) bytes +=
        chunk_bytes(r->allocation, recall_left(r));
    return bytes;
}

static bytes_t at_hand(const core *c, const allocation *a, const host *h)
{
    if (!ledger_placeable(h) || !place_accepts(a->terms.filter, h))
        return 0;
    const holding *x = holding_find(c, a, h);
    return h->free + (x ? x->reserved : 0);
}

/* Is this the first recall for its beneficiary on its host? */
static bool first_there(const allocation *a, const recall *r)
{
    list_each(q, &a->recalls_for, recall, for_node) if (q->host == r->host) return q == r;
    return false;
}

/* Will there be enough once every recall for it is answered? */
static bool enough(const core *c, const allocation *a)
{
    uint64_t chunks = 0, need = allocation_need(a) ? allocation_need(a) : 1;
    bytes_t size = a->terms.chunk_size;
    for (uint32_t i = 0; i < c->n_hosts && !allocation_is(a, TERM_ONE_HOST) && chunks < need; i++)
        chunks += at_hand(c, a, &c->hosts[i]) / size;
    list_each(r, &a->recalls_for, recall, for_node)
    {
        if (!r->host || !first_there(a, r))
            continue;
        bytes_t there = at_hand(c, a, r->host), more = recalled_for(a, r->host);
        if (!allocation_is(a, TERM_ONE_HOST))
            chunks += (there + more) / size - there / size;
        else if ((there + more) / size > chunks)
            chunks = (there + more) / size;
    }
    return chunks >= need;
}

ms_t expect_start(const core *c, ms_t now, const allocation *a)
{
    ms_t last = 0;
    if (list_empty(&a->recalls_for) || !user_has_room(a->user, &a->terms))
        return MS_NEVER;
    list_each(r, &a->recalls_for, recall, for_node)
    {
        ms_t at = recall_ends(c, now, r);
        if (at == MS_NEVER)
            return MS_NEVER;
        last = at > last ? at : last;
    }
    /* All of it should have come already: the estimates were wrong. */
    return last >= now && enough(c, a) ? last - now : MS_NEVER;
}
