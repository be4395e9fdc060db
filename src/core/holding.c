/*
 * holding.c - bytes between granted, returning, held, quarantine and free.
 */
#include "core/holding.h"

#include <assert.h>
#include <string.h>

#include "core/allocation.h"
#include "core/emit.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/supply.h"
#include "core/trouble.h"

/* Hosts are below 2^20 (core_init), allocations below 2^44. Allocations that came together are neighbours (table.c). */
static uint64_t key_of(const allocation *a, const host *h)
{
    return (uint64_t)h->id.v << 44 | a->id.v;
}

holding *holding_find(const core *c, const allocation *a, const host *h)
{
    return table_get(&c->holding_keys, key_of(a, h));
}

static bool holding_less(const holding *a, const holding *b)
{
    return a->host->id.v < b->host->id.v;
}

holding *holding_get(core *c, allocation *a, host *h)
{
    holding *x = holding_find(c, a, h);
    if (x)
        return x;
    x = a->n_holdings < EXTENTS_MAX ? pool_take(&c->holdings) : NULL;
    if (!x)
        return NULL;
    a->n_holdings++;
    x->allocation = a;
    x->host = h;
    x->returning_until = MS_NEVER;
    heap_node_init(&x->due, DUE_HOLDING);
    mark_init(&x->mark);
    list_init(&x->debt_node);
    list_insert_sorted(&a->holdings, x, holding, node, holding_less);
    list_append(&h->holdings, &x->host_node);
    table_put(&c->holding_keys, key_of(a, h), x);
    return x;
}

void holding_forget_offer(core *c, holding *x)
{
    while (x->estimates) {
        estimate *e = x->estimates;
        x->estimates = e->next;
        pool_give(&c->estimates, e);
    }
    x->offered = false;
}

void holding_tidy(core *c, holding *x)
{
    if (x->held || x->returning || x->claims || x->reserved)
        return;
    assert(x->claimed == 0 && x->asked == 0);
    holding_forget_offer(c, x);
    if (mark_drop(c, &x->mark))
        record_of_holding(x, emit_record(c, RECORD_HOLDING));
    heap_set(&c->deadlines, &x->due, MS_NEVER);
    table_remove(&c->holding_keys, key_of(x->allocation, x->host));
    list_remove(&x->node);
    list_remove(&x->host_node);
    x->allocation->n_holdings--;
    pool_give(&c->holdings, x);
    if (c->holdings_full) {
        c->holdings_full = false;
        supply_all(c);
    }
}

void holding_arm(core *c, holding *x, ms_t until)
{
    x->returning_until = until;
    heap_set(&c->deadlines, &x->due, until);
    mark_holding(c, x);
}

chunks_t holding_returning_for(const holding *x, allocation_id whom)
{
    chunks_t n = whom.v ? 0 : x->returning;
    for (int i = 0; i < FREED_MAX; i++)
        if (whom.v == 0)
            n -= x->freed[i].chunks;
        else if (x->freed[i].whom.v == whom.v)
            n += x->freed[i].chunks;
    return n;
}

void holding_owe(holding *x, allocation_id whom, chunks_t n)
{
    chunks_t most = holding_returning_for(x, (allocation_id){0});
    for (int i = 0; whom.v && i < FREED_MAX; i++) {
        if (x->freed[i].chunks && x->freed[i].whom.v != whom.v)
            continue;
        x->freed[i].whom = whom;
        x->freed[i].chunks += n < most ? n : most;
        return;
    }
}

/* Less returns than is owed: the last given is forgotten. */
static void clip_owed(holding *x)
{
    chunks_t left = x->returning;
    for (int i = 0; i < FREED_MAX; i++) {
        x->freed[i].chunks = x->freed[i].chunks < left ? x->freed[i].chunks : left;
        left -= x->freed[i].chunks;
    }
}

static void list_debt(core *c, holding *x)
{
    if ((x->returning != 0) == !list_empty(&x->debt_node))
        return;
    if (x->returning)
        list_append(&c->debts, &x->debt_node);
    else
        list_remove(&x->debt_node);
}

/* Every change of held and returning; the columns of the host are the caller's. */
static void set(core *c, holding *x, chunks_t held, chunks_t returning)
{
    allocation *a = x->allocation;
    a->held = a->held - x->held + held;
    a->returning = a->returning - x->returning + returning;
    a->user->granted = a->user->granted - chunk_bytes(a, x->held) + chunk_bytes(a, held);
    if (a->user->quota && held < x->held)
        supply_all(c); /* who lacked quota */
    chunks_t before = x->returning;
    bool had_debt = before != 0;
    x->held = held;
    x->returning = returning;
    list_debt(c, x);
    if (returning < before)
        clip_owed(x);
    if ((returning != 0) != had_debt)
        holding_arm(c, x, returning ? c->now + c->timers.returning_ms : MS_NEVER);
    else
        mark_holding(c, x);
    allocation_relist(c, a);
    if (!returning)
        x->late = false;
    /* Fewer chunks on a host in trouble: it may be over, or ask for less. */
    if (x->host->draining || x->host->overdraft)
        trouble_mark(c, x->host);
}

void holding_grant(core *c, holding *x, chunks_t n)
{
    bytes_t bytes = chunk_bytes(x->allocation, n);
    assert(n > 0 && x->host->free >= bytes);
    set(c, x, x->held + n, x->returning);
    ledger_add(c, x->host, COLUMN_GRANTED, bytes);
}

bool holding_plan_fits(const core *c, const allocation *a)
{
    uint32_t fresh = 0, have = 0;
    for (uint32_t i = 0; i < c->n_plan; i++) {
        const holding *x = a ? holding_find(c, a, &c->hosts[c->plan[i].host.v]) : NULL;
        fresh += !x;
        have += x != NULL;
    }
    uint32_t others = a ? a->n_holdings - have : 0;
    return fresh <= pool_left(&c->holdings) && others + have + fresh <= EXTENTS_MAX;
}

chunks_t holding_grant_plan(core *c, allocation *a)
{
    chunks_t before = a->held;
    holding_unreserve_all(c, a);
    for (uint32_t i = 0; i < c->n_plan; i++) {
        holding *x = holding_get(c, a, &c->hosts[c->plan[i].host.v]);
        if (x)
            holding_grant(c, x, c->plan[i].chunks);
    }
    return a->held - before;
}

static bool is_beneficiary(const allocation *a)
{
    return a->state == ALLOCATION_WAITING || (a->state == ALLOCATION_LIVE && !list_empty(&a->recalls_for));
}

void holding_keep_for(core *c, host *h, bytes_t bytes, allocation_id id)
{
    allocation *a = id.v ? table_get(&c->allocation_ids, id.v) : NULL;
    if (a && is_beneficiary(a))
        holding_reserve(c, a, h, bytes);
}

chunks_t holding_idle(const holding *x)
{
    return x->held + x->returning - x->claimed;
}

ms_t holding_expected(const holding *x, chunks_t n, ms_t now)
{
    if (!x->offered)
        return holding_idle(x) >= n ? now : MS_NEVER;
    const estimate *e = x->estimates;
    for (chunks_t i = 1; e && i < n; i++)
        e = e->next;
    return e ? e->at : MS_NEVER;
}

bool holding_claimable(const holding *x, chunks_t n)
{
    return (uint64_t)x->claimed + n <= x->held;
}

/* Chunks that went were those that were free first. */
static void forget_soonest(core *c, holding *x, chunks_t n)
{
    for (estimate *e; n && (e = x->estimates); n--) {
        x->estimates = e->next;
        pool_give(&c->estimates, e);
    }
}

void holding_release(core *c, holding *x, chunks_t n, allocation_id freed_for)
{
    assert(n > 0 && n <= x->held);
    host *h = x->host;
    chunks_t idle = holding_idle(x), at_once = n < idle ? n : idle, later = n - at_once;
    bytes_t now = chunk_bytes(x->allocation, at_once), debt = chunk_bytes(x->allocation, later);
    set(c, x, x->held - n, x->returning + later);
    if (debt) {
        ledger_move(c, h, COLUMN_GRANTED, COLUMN_RETURNING, debt);
        holding_owe(x, freed_for, later);
    }
    if (now) {
        ledger_sub(c, h, COLUMN_GRANTED, now);
        holding_keep_for(c, h, now, freed_for);
    }
    forget_soonest(c, x, n);
    holding_tidy(c, x);
}

void holding_claim(holding *x, chunks_t n)
{
    assert(holding_claimable(x, n));
    x->claimed += n;
}

/* Takes up to n chunks of the debt that are for one, the first given first. */
static chunks_t take_owed(holding *x, chunks_t n, allocation_id *ret_whom)
{
    *ret_whom = x->freed[0].chunks ? x->freed[0].whom : (allocation_id){0};
    if (x->freed[0].chunks == 0)
        return n;
    if (n < x->freed[0].chunks) {
        x->freed[0].chunks -= n;
        return n;
    }
    n = x->freed[0].chunks;
    memmove(&x->freed[0], &x->freed[1], (FREED_MAX - 1) * sizeof(x->freed[0]));
    x->freed[FREED_MAX - 1].chunks = 0;
    return n;
}

static void pay(core *c, holding *x, chunks_t n)
{
    while (n) {
        allocation_id whom;
        chunks_t k = take_owed(x, n, &whom);
        bytes_t bytes = chunk_bytes(x->allocation, k);
        set(c, x, x->held, x->returning - k);
        ledger_sub(c, x->host, COLUMN_RETURNING, bytes);
        holding_keep_for(c, x->host, bytes, whom);
        n -= k;
    }
}

void holding_drained(core *c, holding *x, chunks_t n)
{
    assert(n <= x->claimed);
    x->claimed -= n;
    chunks_t debt = n < x->returning ? n : x->returning;
    if (debt)
        pay(c, x, debt);
    holding_tidy(c, x);
}

void holding_quarantine(core *c, holding *x, chunks_t n)
{
    assert(n <= x->claimed);
    x->claimed -= n;
    chunks_t debt = n < x->returning ? n : x->returning, rest = n - debt;
    set(c, x, x->held - rest, x->returning - debt);
    if (debt)
        ledger_move(c, x->host, COLUMN_RETURNING, COLUMN_QUARANTINE, chunk_bytes(x->allocation, debt));
    if (rest)
        ledger_move(c, x->host, COLUMN_GRANTED, COLUMN_QUARANTINE, chunk_bytes(x->allocation, rest));
}

void holding_unquarantine(core *c, holding *x, chunks_t n)
{
    ledger_sub(c, x->host, COLUMN_QUARANTINE, chunk_bytes(x->allocation, n));
    holding_tidy(c, x);
}

void holding_reserve(core *c, allocation *a, host *h, bytes_t bytes)
{
    if (!ledger_placeable(h) || !place_accepts(a->terms.filter, h))
        return;
    holding *x = holding_find(c, a, h);
    chunks_t need = a->state == ALLOCATION_WAITING ? allocation_need(a) : 1;
    bytes_t most = chunk_bytes(a, need ? need : 1), have = x ? x->reserved : 0;
    if (have >= most)
        return;
    if (bytes > most - have)
        bytes = most - have;
    if (bytes > h->free)
        bytes = h->free;
    if (bytes == 0 || !(x = holding_get(c, a, h)))
        return;
    x->reserved += bytes;
    ledger_add(c, h, COLUMN_HELD, bytes);
    c->changed = true;
}

void holding_unreserve(core *c, holding *x)
{
    bytes_t bytes = x->reserved;
    if (bytes) {
        x->reserved = 0;
        ledger_sub(c, x->host, COLUMN_HELD, bytes);
    }
    holding_tidy(c, x);
}

void holding_unreserve_all(core *c, allocation *a)
{
    list_each_safe(x, &a->holdings, holding, node) if (x->reserved) holding_unreserve(c, x);
}

void holding_restore(core *c, holding *x, chunks_t held, chunks_t returning, ms_t until)
{
    allocation *a = x->allocation;
    ledger_sub(c, x->host, COLUMN_GRANTED, chunk_bytes(a, x->held));
    ledger_sub(c, x->host, COLUMN_RETURNING, chunk_bytes(a, x->returning));
    a->held = a->held - x->held + held;
    a->returning = a->returning - x->returning + returning;
    a->user->granted = a->user->granted - chunk_bytes(a, x->held) + chunk_bytes(a, held);
    x->held = held;
    x->returning = returning;
    list_debt(c, x);
    x->returning_until = until;
    heap_set(&c->deadlines, &x->due, until);
    ledger_add(c, x->host, COLUMN_GRANTED, chunk_bytes(a, held));
    ledger_add(c, x->host, COLUMN_RETURNING, chunk_bytes(a, returning));
}

void holding_lend(core *c, allocation *a)
{
    supply_hush(c);
    list_each(x, &a->holdings, holding, node)
    {
        x->scratch_bytes = x->reserved;
        x->reserved = 0;
        if (x->scratch_bytes)
            ledger_sub(c, x->host, COLUMN_HELD, x->scratch_bytes);
    }
}

void holding_unlend(core *c, allocation *a)
{
    list_each(x, &a->holdings, holding, node)
    {
        x->reserved = x->scratch_bytes;
        x->scratch_bytes = 0;
        if (x->reserved)
            ledger_add(c, x->host, COLUMN_HELD, x->reserved);
    }
    supply_unhush(c);
}
