/*
 * view.c - plain structs from the present state.
 *
 * A cursor is a place in a list: nouns are walked by their numbers, which the tables find at once, so that a walk costs
 * what it shows. The waiters' cursor is a place in the queue.
 */
#include "core/view.h"

#include "core/session.h"

#include <assert.h>
#include <string.h>

#include "core/allocation.h"
#include "core/claim.h"
#include "core/choose.h"
#include "core/expect.h"
#include "core/holding.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/queue.h"
#include "core/recall.h"
#include "core/user.h"

/* ---- hosts ---- */

static host_view_state state_of(const host *h)
{
    if (!h->connected)
        return h->lost ? HOST_LOST : HOST_SUSPECT;
    if (h->draining)
        return HOST_DRAINING;
    return h->ready && h->fresh ? HOST_UP : HOST_UNKNOWN;
}

static void fill_host(const host *h, host_view *ret)
{
    *ret = (host_view){
        .id = h->id,
        .name = h->name,
        .labels = h->labels,
        .state = state_of(h),
        .limited = h->limited,
        .home = h->home,
        .permanent = h->permanent,
        .draining = h->draining,
        .cores = h->cores,
        .total = h->total,
        .set_aside = h->set_aside,
        .foreign = h->foreign,
        .granted = h->granted,
        .returning = h->returning,
        .held = h->held,
        .quarantine = h->quarantine,
        .free = h->free,
        .overdraft = h->overdraft,
        .used = h->used,
    };
}

bool view_host(const core *c, uint32_t *cursor, host_view *ret)
{
    if (*cursor >= c->n_hosts)
        return false;
    fill_host(&c->hosts[(*cursor)++], ret);
    return true;
}

int view_host_by_id(const core *c, host_id id, host_view *ret)
{
    if (id.v >= c->n_hosts)
        return STATUS_NOT_FOUND;
    fill_host(&c->hosts[id.v], ret);
    return STATUS_OK;
}

int view_host_by_name(const core *c, const char *name, host_view *ret)
{
    const host *h = host_by_name(c, name);
    if (!h)
        return STATUS_NOT_FOUND;
    fill_host(h, ret);
    return STATUS_OK;
}

/* ---- lists walked by position; the place reached last is remembered in the core ---- */

/* The node at *cursor of a list, and the cursor moved on; NULL at the end. */
static const list_node *walk(const list_node *head, uint32_t *cursor, view_place *place)
{
    const list_node *n = head->next;
    uint32_t at = 0;
    if (place->head == head && place->at == *cursor && *cursor > 0)
        n = place->node, at = place->at;
    for (; at < *cursor && n != head; at++)
        n = n->next;
    if (n == head)
        return NULL;
    ++*cursor;
    *place = (view_place){head, n->next, *cursor};
    return n;
}

/* The remembered place is no part of what a const core promises not to change. */
static view_place *place_of(const core *c, int which)
{
    return &((core *)(uintptr_t)c)->view_places[which];
}

/* ---- allocations ---- */

static void fill_allocation(const allocation *a, allocation_view *ret)
{
    *ret = (allocation_view){
        .id = a->id,
        .terms = &a->terms,
        .owner = a->owner ? a->owner->id : (session_id){0},
        .user = a->user->id,
        .pid = a->owner ? a->owner->pid : 0,
        .state = a->state,
        .version = a->version,
        .want = a->want,
        .chunks = a->held,
        .returning = a->returning,
        .recalled = a->asked + recall_asked_by_operator(a),
        .since = a->since,
        .claims = a->n_claims,
    };
}

bool view_allocation(const core *c, uint32_t *cursor, allocation_view *ret)
{
    const list_node *n = walk(&c->allocation_list, cursor, place_of(c, VIEW_ALLOCATIONS));
    if (!n)
        return false;
    fill_allocation(container_of((list_node *)(uintptr_t)n, allocation, node), ret);
    return true;
}

int view_allocation_by_id(const core *c, allocation_id id, allocation_view *ret)
{
    const allocation *a = allocation_find(c, id);
    if (!a)
        return STATUS_NOT_FOUND;
    fill_allocation(a, ret);
    return STATUS_OK;
}

const char *view_label(const core *c, allocation_id id)
{
    const allocation *a = allocation_find(c, id);
    return a ? a->terms.label : NULL;
}

int view_set(const core *c, allocation_id id, set_view *ret)
{
    const allocation *a = allocation_find(c, id);
    if (!a)
        return STATUS_NOT_FOUND;
    ret->version = a->version;
    ret->state = a->state;
    ret->want = a->want;
    ret->n_extents = 0;
    assert(a->n_holdings <= EXTENTS_MAX);
    list_each(x, &a->holdings, holding, node) if (x->held > 0) ret->extents[ret->n_extents++] =
        (extent){.host = x->host->id, .chunks = x->held};
    return STATUS_OK;
}

bool view_holding(const core *c, allocation_id id, uint32_t *cursor, holding_view *ret)
{
    const allocation *a = allocation_find(c, id);
    if (!a)
        return false;
    for (const list_node *n; (n = walk(&a->holdings, cursor, place_of(c, VIEW_HOLDINGS)));) {
        const holding *x = container_of((list_node *)(uintptr_t)n, holding, node);
        if (x->held == 0 && x->returning == 0 && x->claimed == 0)
            continue; /* memory kept for a waiter is not its yet */
        *ret = (holding_view){x->host->id, x->held, x->returning, x->claimed};
        return true;
    }
    return false;
}

/* ---- claims ---- */

static void fill_claim(const claim *k, claim_view *ret)
{
    *ret = (claim_view){
        .gen = k->gen,
        .allocation = k->allocation->id,
        .host = k->host->id,
        .chunks = k->chunks,
        .state = k->state,
        .used = k->used,
        .peak = k->peak,
        .processes = k->processes,
        .command = k->command,
    };
}

bool view_claim(const core *c, uint32_t *cursor, claim_view *ret)
{
    const list_node *n = walk(&c->claim_list, cursor, place_of(c, VIEW_CLAIMS));
    if (!n)
        return false;
    fill_claim(container_of((list_node *)(uintptr_t)n, claim, node), ret);
    return true;
}

int view_claim_by_gen(const core *c, generation gen, claim_view *ret)
{
    const claim *k = claim_find(c, gen);
    if (!k)
        return STATUS_NOT_FOUND;
    fill_claim(k, ret);
    return STATUS_OK;
}

/* ---- recalls ---- */

static void fill_recall(const recall *r, recall_view *ret)
{
    *ret = (recall_view){.record = r->r, .offered = r->offered, .preferred = r->preferred};
}

bool view_recall(const core *c, uint32_t *cursor, recall_view *ret)
{
    const list_node *n = walk(&c->recall_list, cursor, place_of(c, VIEW_RECALLS));
    if (!n)
        return false;
    fill_recall(container_of((list_node *)(uintptr_t)n, recall, node), ret);
    return true;
}

int view_recall_by_id(const core *c, recall_id id, recall_view *ret)
{
    const recall *r = recall_find(c, id);
    if (!r)
        return STATUS_NOT_FOUND;
    fill_recall(r, ret);
    return STATUS_OK;
}

/* ---- waiters ---- */

typedef struct {
    bool any_up, any_unknown;
    bool returning;       /* chunks that were given back for it are being freed */
    bytes_t free, coming; /* coming: returning, for nobody else */
    bytes_t largest;      /* on one host, with what is kept for the request there */
} usable;

static void count_returning(const allocation *a, const host *h, usable *u)
{
    list_each(x, &h->holdings, holding, host_node)
    {
        chunks_t own = holding_returning_for(x, a->id);
        u->returning |= own != 0;
        u->coming += chunk_bytes(x->allocation, own + holding_returning_for(x, (allocation_id){0}));
    }
}

static usable usable_for(const core *c, const allocation *a)
{
    usable u = {0};
    for (uint32_t i = 0; i < c->n_hosts; i++) {
        const host *h = &c->hosts[i];
        if (!place_accepts(a->terms.filter, h) || (ledger_placeable(h) && !queue_serves(a, h)))
            continue; /* memory that can never be of use to it is none */
        if (ledger_placeable(h)) {
            u.any_up = true;
            u.free += h->free;
            const holding *x = holding_find(c, a, h);
            bytes_t here = h->free + (x ? x->reserved : 0);
            u.largest = here > u.largest ? here : u.largest;
            if (h->returning)
                count_returning(a, h, &u);
        } else if (h->connected && !h->draining) {
            u.any_unknown = true;
        }
    }
    return u;
}

static wait_reason reason_of(const allocation *a, const usable *u, bytes_t reserved, bytes_t need, bool first)
{
    if (user_room(a->user) < need)
        return WAIT_QUOTA;
    if (!u->any_up)
        return u->any_unknown ? WAIT_FRESH : WAIT_NO_HOST;
    if (!list_empty(&a->recalls_for) || a->ask == ASK_OPEN)
        return WAIT_RECALL;
    if (u->returning || (first && u->free < need && u->free + reserved + u->coming >= need))
        return WAIT_RETURNING;
    if (reserved)
        return WAIT_HELD;
    if (u->free >= need)
        return WAIT_PIECES;
    return first ? WAIT_FIRST : WAIT_BEHIND;
}

static void fill_waiter(const core *c, ms_t now, const allocation *a, uint32_t place, waiter_view *ret)
{
    chunks_t need = allocation_need(a);
    bytes_t bytes = chunk_bytes(a, need ? need : 1), reserved = 0;
    list_each(x, &a->holdings, holding, node) reserved += x->reserved;
    usable u = usable_for(c, a);
    bytes_t at_hand = allocation_is(a, TERM_ONE_HOST) ? u.largest : u.free + reserved;
    *ret = (waiter_view){
        .place = place,
        .waiting_ms = now > a->since ? now - a->since : 0,
        .reason = reason_of(a, &u, reserved, bytes, place == 1),
        .expected_ms = expect_start(c, now, a),
    };
    fill_allocation(a, &ret->allocation);
    if (ret->reason == WAIT_FIRST || ret->reason == WAIT_RECALL || ret->reason == WAIT_HELD ||
        ret->reason == WAIT_RETURNING)
        ret->missing = bytes > at_hand ? bytes - at_hand : 0;
}

bool view_waiter(const core *c, ms_t now, uint32_t *cursor, waiter_view *ret)
{
    const list_node *n = walk(&c->queue, cursor, place_of(c, VIEW_WAITERS));
    if (!n)
        return false;
    fill_waiter(c, now, container_of((list_node *)(uintptr_t)n, allocation, queue_node), *cursor, ret);
    return true;
}

int view_waiter_by_id(const core *c, ms_t now, allocation_id id, waiter_view *ret)
{
    uint32_t place = 0;
    list_each(a, &c->queue, allocation, queue_node)
    {
        place++;
        if (a->id.v != id.v)
            continue;
        fill_waiter(c, now, a, place, ret);
        return STATUS_OK;
    }
    return STATUS_NOT_FOUND;
}

/* ---- the whole ---- */

request_no view_session_seen(const core *c, session_id id)
{
    const session *s = session_find(c, id);
    return s ? s->highest : (request_no){0};
}

void view_totals(const core *c, totals_view *ret)
{
    *ret = (totals_view){
        .hosts = c->n_hosts,
        .sessions = c->sessions.used,
        .attached = c->n_attached,
        .allocations = c->allocations.used,
        .waiting = c->n_waiting,
        .claims = c->claims.used,
        .recalls = c->recalls.used,
    };
}

bytes_t view_stranded(const core *c, host_id id, stranded_reason *ret_reason)
{
    if (id.v >= c->n_hosts || c->n_waiting == 0 || c->hosts[id.v].free == 0)
        return 0;
    const host *h = &c->hosts[id.v];
    stranded_reason reason = STRANDED_EXCLUDED;
    list_each(a, &c->queue, allocation, queue_node)
    {
        if (!place_accepts(a->terms.filter, h))
            continue;
        chunks_t least = allocation_is(a, TERM_ONE_HOST) && allocation_need(a) ? allocation_need(a) : 1;
        if (ledger_placeable(h) && h->free >= chunk_bytes(a, least))
            return 0;
        reason = STRANDED_PIECE;
    }
    if (!h->connected)
        reason = STRANDED_SILENT;
    else if (h->draining)
        reason = STRANDED_DRAINING;
    else if (!ledger_placeable(h))
        reason = STRANDED_FRESH;
    *ret_reason = reason;
    return h->free;
}

/* ---- words ---- */

const char *host_view_state_name(host_view_state state)
{
    static const char *const names[] = {"?", "unknown", "up", "draining", "suspect", "lost"};
    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : names[0];
}

const char *wait_reason_text(wait_reason reason)
{
    static const char *const texts[] = {
        "?",
        "no memory is free now",
        "others wait before it",
        "enough is free, but in pieces too small",
        "memory is being asked back for it",
        "no host that can serve it is up",
        "part is held for it, more must come",
        "its user is at the quota",
        "its hosts have not been measured yet",
        "what was given back is being freed",
    };
    return (unsigned)reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : texts[0];
}

const char *recall_reason_name(recall_reason reason)
{
    static const char *const names[] = {"?", "waiter", "drain", "overdraft", "fairness", "operator"};
    return (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : names[0];
}

const char *stranded_reason_name(stranded_reason reason)
{
    static const char *const names[] = {"?",      "too small a piece", "draining",
                                        "silent", "excluded",          "no fresh sample yet"};
    return (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : names[0];
}
