/*
 * judge_claims.c - what a step did to claims.
 *
 *   generations  a number is given once, and stays with its host and allocation
 *   one user     a new claim stands for chunks that are held, not for those that return; one request makes one claim
 *   drained      I4: a claim ends, or gets smaller, when its group really is empty, or small enough
 *   kills        a claim is to be killed when its owner said so, is gone, or after its notice by its terms
 */
#include "judge_inner.h"

static bool ended(const judges *j, allocation_id a)
{
    for (uint32_t i = 0; i < j->step.ended.n; i++)
        if (j->step.ended.items[i].terms.id.v == a.v)
            return true;
    return false;
}

static bytes_t chunk_size(const judges *j, allocation_id id)
{
    const book_allocation *a = books_allocation(&j->now, id);
    for (uint32_t i = 0; !a && i < j->step.ended.n; i++)
        if (j->step.ended.items[i].terms.id.v == id.v)
            a = &j->step.ended.items[i];
    return a ? a->terms.terms.chunk_size : 0;
}

/* ---- drained ---- */

static void judge_over(judges *j, const change_claim *x)
{
    const record_claim *k = &x->after;
    truth_group t = truth_of(j, k->host, k->gen.v);
    if (t.found && !truth_empty(&t.group, chunk_size(j, k->allocation)))
        WRONG(j,
              "drained: claim %" PRIu64 " of A%" PRIu64 " (%" PRIu32
              " chunks) is over, and its group on %s has %" PRIu32 " processes and %" PRIu64 " bytes",
              k->gen.v, k->allocation.v, x->before.chunks, judge_host_name(j, k->host), t.group.processes,
              t.group.charged);
}

static void judge_smaller(judges *j, const change_claim *x)
{
    bytes_t size = chunk_size(j, x->after.allocation) * x->after.chunks;
    truth_group t = truth_of(j, x->after.host, x->after.gen.v);
    if (t.found && t.group.limit != UINT64_MAX && t.group.limit > size)
        WRONG(j,
              "drained: claim %" PRIu64 " of A%" PRIu64 " on %s got smaller, to %" PRIu64
              " bytes, and its group may still use %" PRIu64,
              x->after.gen.v, x->after.allocation.v, judge_host_name(j, x->after.host), size, t.group.limit);
}

/* ---- new ---- */

static void judge_room(judges *j, const change_claim *x)
{
    const record_claim *k = &x->after;
    const record_holding *h = books_holding(&j->now, k->allocation, k->host);
    uint64_t claimed = books_claimed(&j->now, k->allocation, k->host);
    if (claimed > (h ? h->held : 0))
        WRONG(j,
              "one user: claim %" PRIu64 " of A%" PRIu64 " on %s got %" PRIu32 " chunks; with it %" PRIu64
              " are in use and %" PRIu32 " held (%" PRIu32 " return)",
              k->gen.v, k->allocation.v, judge_host_name(j, k->host), k->chunks, claimed, h ? h->held : 0,
              h ? h->returning : 0);
}

static void judge_opener(judges *j, const record_claim *k)
{
    for (uint32_t i = 0; k->opened_by.v && i < j->now.claims.n; i++) {
        const record_claim *y = &j->now.claims.items[i];
        if (y->gen.v != k->gen.v && y->opener.v == k->opener.v && y->opened_by.v == k->opened_by.v)
            WRONG(j, "answers: request %" PRIu64 " of session %" PRIu64 " made two claims, %" PRIu64 " and %" PRIu64,
                  k->opened_by.v, k->opener.v, y->gen.v, k->gen.v);
    }
}

/* ---- kills ---- */

static bool forced(const judges *j, allocation_id a)
{
    for (uint32_t i = 0; i < j->step.recalls.n; i++) {
        const change_recall *r = &j->step.recalls.items[i];
        if (r->after.allocation.v == a.v && r->after.revoked > (r->was ? r->before.revoked : 0))
            return true;
    }
    return false;
}

static void judge_kill(judges *j, const change_claim *x)
{
    const record_claim *k = &x->after;
    const book_allocation *a = books_allocation(&j->now, k->allocation);
    const claim_facts *f = facts_claim(j, k->gen.v);
    bool asked = f && f->may_kill, gate = k->chunks == 0;
    if (!a || asked || gate || a->now.state == ALLOCATION_ENDING || !books_session(&j->now, a->terms.owner))
        return;
    if (!forced(j, k->allocation))
        WRONG(j,
              "kills: claim %" PRIu64 " of A%" PRIu64 " on %s is to be killed: its owner, session %" PRIu64
              ", did not ask for it, and nothing was taken by force",
              k->gen.v, k->allocation.v, judge_host_name(j, k->host), a->terms.owner.v);
}

static void judge_same(judges *j, const change_claim *x)
{
    const record_claim *a = &x->before, *b = &x->after;
    if (a->allocation.v != b->allocation.v || a->host.v != b->host.v)
        WRONG(j, "generations: claim %" PRIu64 " of A%" PRIu64 " on %s was one of A%" PRIu64 " on %s", b->gen.v,
              b->allocation.v, judge_host_name(j, b->host), a->allocation.v, judge_host_name(j, a->host));
    if (b->state < a->state)
        WRONG(j, "generations: claim %" PRIu64 " went back from state %d to %d", b->gen.v, (int)a->state,
              (int)b->state);
    if (a->kill && !b->kill)
        WRONG(j, "kills: claim %" PRIu64 " was to be killed, and is not any more", b->gen.v);
}

static void judge_claim(judges *j, const change_claim *x)
{
    if (!x->is) {
        judge_over(j, x);
        return;
    }
    chunks_t before = x->was ? x->before.chunks : 0;
    if (x->was)
        judge_same(j, x);
    else
        judge_opener(j, &x->after);
    if (x->after.chunks > before && x->after.state != CLAIM_QUARANTINED)
        judge_room(j, x);
    if (x->after.chunks < before && !ended(j, x->after.allocation))
        judge_smaller(j, x);
    if (x->after.kill && !(x->was && x->before.kill))
        judge_kill(j, x);
}

void claims_judge(judges *j)
{
    for (uint32_t i = 0; i < j->step.claims.n; i++)
        judge_claim(j, &j->step.claims.items[i]);
}
