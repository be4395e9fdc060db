/*
 * release.c - the ways of giving chunks back; all end in allocation_give().
 *
 * Way 1, release_n: the broker picks, by a ladder that ends in the host's number.
 * Way 2 and 3, release: the client says which.
 * Asked by somebody else than the owner's session: a recall, or the end of a waiting request.
 */
#include "core/allocation.h"

#include <assert.h>
#include <string.h>

#include "core/emit.h"
#include "core/holding.h"
#include "core/recall.h"
#include "core/request.h"

/* Sums extents into holdings. STATUS_NOT_FOUND / STATUS_STATE; the sums stay until scratch_clear(). */
static int scratch_sum(core *c, allocation *a, const extent *extents, uint32_t n, bool must_hold)
{
    for (uint32_t i = 0; i < n; i++) {
        if (extents[i].host.v >= c->n_hosts)
            return STATUS_NOT_FOUND;
        holding *x = holding_find(c, a, &c->hosts[extents[i].host.v]);
        if (!x) {
            if (must_hold)
                return STATUS_STATE;
            continue;
        }
        bool over = __builtin_add_overflow(x->scratch, extents[i].chunks, &x->scratch);
        if (over || x->scratch > x->held) {
            if (must_hold)
                return STATUS_STATE;
            x->scratch = x->held;
        }
    }
    return STATUS_OK;
}

static void scratch_clear(core *c, allocation *a, const extent *extents, uint32_t n)
{
    for (uint32_t i = 0; i < n && extents[i].host.v < c->n_hosts; i++) {
        holding *x = holding_find(c, a, &c->hosts[extents[i].host.v]);
        if (x)
            x->scratch = 0;
    }
}

static int release_check(const allocation *a, const session *s, uint32_t n)
{
    if (!a)
        return STATUS_NOT_FOUND;
    if (!allocation_owned(a, s))
        return STATUS_DENIED;
    if (a->state != ALLOCATION_LIVE)
        return STATUS_STATE;
    return n > EXTENTS_MAX ? STATUS_INVALID : STATUS_OK;
}

/* What remains of it may be asked less, may grow, may be over. */
static void release_after(core *c, allocation *a)
{
    recall_clamp(c, a);
    allocation_settle(c, a);
}

void release_on_release(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->release.id);
    const extent *extents = e->release.extents;
    uint32_t n = e->release.n;
    outcome o = {.allocation = e->release.id, .recall = e->release.recall};
    o.status = release_check(a, s, n);
    if (o.status == STATUS_OK) {
        o.status = scratch_sum(c, a, extents, n, true);
        if (o.status != STATUS_OK)
            scratch_clear(c, a, extents, n);
    }
    if (o.status != STATUS_OK) {
        request_reply(c, s, e->request.number, o);
        return;
    }
    recall *r = recall_find(c, e->release.recall);
    if (r && r->allocation != a)
        r = NULL;
    bool own = e->release.recall.v == 0;
    chunks_t sum = 0, before = a->held;
    if (n == 0) {
        list_each_safe(x, &a->holdings, holding, node) if (x->held) allocation_give(c, a, x, x->held, r, own);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (extents[i].chunks == 0)
            continue;
        holding *x = holding_find(c, a, &c->hosts[extents[i].host.v]);
        x->scratch = 0; /* the holding may be freed by the release */
        allocation_give(c, a, x, extents[i].chunks, r, own);
    }
    sum = before - a->held;
    o.chunks = sum;
    request_reply(c, s, e->request.number, o);
    release_after(c, a);
}

/*
 * Which of two holdings gives first:
 *   1. a host that needs memory: draining, overdrawn, or where memory is gathered for a waiter;
 *   2. idle chunks, which are free at once, before claimed ones;
 *   3. the host where the allocation holds fewest chunks, so that hosts are left whole;
 *   4. the lowest host number.
 */
static bool gives_first(const holding *x, const holding *y)
{
    bool need_x = x->host->draining || x->host->overdraft || x->host->held;
    bool need_y = y->host->draining || y->host->overdraft || y->host->held;
    if (need_x != need_y)
        return need_x;
    bool idle_x = holding_idle(x) > 0, idle_y = holding_idle(y) > 0;
    if (idle_x != idle_y)
        return idle_x;
    if (x->held != y->held)
        return x->held < y->held;
    return x->host->id.v < y->host->id.v;
}

/* Fills the plan with what is given; the recall limits the host. */
static chunks_t pick_extents(core *c, allocation *a, chunks_t count, const recall *r)
{
    c->n_plan = 0;
    chunks_t left = count;
    while (left && c->n_plan < EXTENTS_MAX) {
        holding *best = NULL;
        list_each(x, &a->holdings, holding, node)
        {
            if (x->scratch >= x->held || (r && r->host && r->host != x->host))
                continue;
            if (!best || gives_first(x, best))
                best = x;
        }
        if (!best)
            break;
        chunks_t n = best->held - best->scratch, idle = holding_idle(best);
        if (idle > 0 && idle < n)
            n = idle;
        if (n > left)
            n = left;
        c->plan[c->n_plan++] = (extent){best->host->id, n};
        left -= n;
        best->scratch = best->held; /* one turn for each host */
    }
    return count - left;
}

void release_on_release_n(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->release_n.id);
    outcome o = {.allocation = e->release_n.id, .recall = e->release_n.recall};
    o.status = release_check(a, s, e->release_n.n);
    if (o.status == STATUS_OK && e->release_n.count == 0)
        o.status = STATUS_INVALID;
    if (o.status != STATUS_OK) {
        request_reply(c, s, e->request.number, o);
        return;
    }
    recall *r = recall_find(c, e->release_n.recall);
    if (r && r->allocation != a)
        r = NULL;
    o.status = scratch_sum(c, a, e->release_n.busy, e->release_n.n, false);
    if (o.status == STATUS_OK) {
        o.chunks = pick_extents(c, a, e->release_n.count, r);
        if (o.chunks == 0)
            o.status = STATUS_STATE;
    }
    list_each(x, &a->holdings, holding, node) x->scratch = 0;
    uint32_t n = o.status == STATUS_OK ? c->n_plan : 0;
    effect_reply *reply = request_reply(c, s, e->request.number, o);
    memcpy(c->lent, c->plan, n * sizeof(extent));
    reply->extents = c->lent;
    reply->n_extents = n;
    for (uint32_t i = 0; i < n; i++) {
        holding *x = holding_find(c, a, &c->hosts[c->plan[i].host.v]);
        allocation_give(c, a, x, c->plan[i].chunks, r, e->release_n.recall.v == 0);
    }
    if (n)
        release_after(c, a);
}

void release_on_foreign(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->release_foreign.id);
    outcome o = {.allocation = e->release_foreign.id};
    if (!a)
        o.status = STATUS_NOT_FOUND;
    else if (!allocation_allowed(a, s))
        o.status = STATUS_DENIED;
    else if (a->state == ALLOCATION_ENDING || (a->state == ALLOCATION_LIVE && a->held == 0))
        o.status = STATUS_STATE;
    if (o.status != STATUS_OK || a->state == ALLOCATION_WAITING) {
        request_reply(c, s, e->request.number, o);
        if (o.status == STATUS_OK)
            allocation_give_up(c, a, STATUS_ENDED);
        return;
    }
    chunks_t count = e->release_foreign.count;
    chunks_t asked = recall_asked_by_operator(a);
    chunks_t most = a->held > asked + a->asked ? a->held - asked - a->asked : 0;
    if (count == 0 || count > most)
        count = most;
    recall *r = count ? recall_create(c, a, RECALL_FOR_OPERATOR, NULL, NULL, count) : NULL;
    if (r) {
        o.recall = r->r.id;
        o.chunks = count;
    } else {
        o.status = count ? STATUS_LIMIT : STATUS_STATE;
    }
    request_reply(c, s, e->request.number, o);
}
