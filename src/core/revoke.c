/*
 * revoke.c - past the notice: chunks are taken by force where the terms allow it, else the recall is overdue.
 *
 * The ladder of what goes first:
 *   1. idle chunks, and those whose claims are being killed already: nothing is destroyed;
 *   2. the claim with least work destroyed: its bytes times the time since its task entered;
 *   3. the newest claim.
 * Never below min, but for what a person asked: other open recalls ask for no more than is above it (I6).
 */
#include "core/claim.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/allocation.h"
#include "core/recall.h"
#include "core/trouble.h"

static uint64_t work_of(const core *c, const claim *k)
{
    uint64_t work, ms = c->now > k->since ? c->now - k->since : 0;
    return __builtin_mul_overflow(chunk_bytes(k->allocation, k->chunks), ms, &work) ? UINT64_MAX : work;
}

static void take(core *c, recall *r, holding *x, chunks_t n, uint64_t work, generation gen)
{
    allocation *a = r->allocation;
    allocation_id whom = r->r.beneficiary;
    effect_note *note = emit_note_of(c, NOTE_REVOKED, a, x->host, n);
    note->recall = r->r.id;
    note->amount = work;
    note->claim = gen;
    recall_count(c, r, &r->r.revoked, n);
    recall_clamp_host(c, x, x->held - n);
    if (whom.v)
        a->no_growth_for = whom;
    holding_release(c, x, n, whom);
    allocation_touch(c, a);
}

static claim *cheapest(const core *c, const recall *r)
{
    claim *best = NULL;
    uint64_t best_work = 0;
    list_each(k, &r->allocation->claims, claim, allocation_node)
    {
        if (k->kill || k->state == CLAIM_QUARANTINED || k->chunks == 0 || k->holding->held == 0 ||
            !recall_accepts(r, k->host))
            continue;
        uint64_t work = work_of(c, k);
        if (!best || work <= best_work) {
            best = k;
            best_work = work;
        }
    }
    return best;
}

/* Chunks of claims that are being killed, beyond the debt that their end pays. */
static chunks_t dying(const holding *x)
{
    chunks_t n = 0;
    if (x->claims)
        list_each(k, &x->allocation->claims, claim,
                  allocation_node) if (k->holding == x && k->kill && k->state == CLAIM_CLOSING) n += k->chunks;
    return n > x->returning ? n - x->returning : 0;
}

/* Takes what it can. */
static void revoke(core *c, recall *r)
{
    allocation *a = r->allocation;
    list_each_safe(x, &a->holdings, holding, node)
    {
        chunks_t n = holding_idle(x) + dying(x), left = recall_left(r);
        n = n < x->held ? n : x->held;
        n = n < left ? n : left;
        if (n && recall_accepts(r, x->host))
            take(c, r, x, n, 0, (generation){0});
        if (recall_left(r) == 0)
            return;
    }
    for (claim *k; (k = cheapest(c, r)) && emit_room(c) >= ROOM_FOR_DECISION;) {
        chunks_t left = recall_left(r), n = k->chunks < left ? k->chunks : left;
        n = n < k->holding->held ? n : k->holding->held;
        claim_order_end(c, k, true);
        take(c, r, k->holding, n, work_of(c, k), k->gen);
        if (n == left)
            return;
    }
}

void recall_due(core *c, recall *r)
{
    allocation *a = r->allocation;
    recall_id id = r->r.id;
    bool revocable = allocation_is(a, TERM_REVOCABLE);
    if (revocable) {
        revoke(c, r);
        recall_clamp(c, a);
        r = recall_find(c, id);
    }
    if (!r || recall_left(r) == 0) {
        allocation_settle(c, a);
        return;
    }
    if (revocable && emit_room(c) < ROOM_FOR_DECISION) {
        c->more = true; /* its deadline has passed: the next tick goes on */
        return;
    }
    r->r.overdue = true;
    a->n_overdue++;
    heap_set(&c->deadlines, &r->due, MS_NEVER);
    mark_recall(c, r);
    emit_note_of(c, NOTE_OVERDUE, a, r->host, recall_left(r))->recall = id;
    if (r->host && r->host->overdraft)
        trouble_mark(c, r->host); /* others there are asked for what it owes */
    c->freed = true;
}
