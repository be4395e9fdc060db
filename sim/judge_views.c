/*
 * judge_views.c - what the core shows of its books, beside the judges'.
 *
 *   bytes  I2, I8: columns add up to the total; granted, returning and quarantine are the sums of what the journal says
 *   lease  what the journal says is what the core has, after every step and after every restart
 */
#include "judge_inner.h"

/* ---- hosts ---- */

typedef struct {
    bytes_t granted[JUDGE_HOSTS], returning[JUDGE_HOSTS], quarantine[JUDGE_HOSTS];
} columns;

static void sum(const judges *j, columns *c)
{
    for (uint32_t i = 0; i < j->now.holdings.n; i++) {
        const record_holding *x = &j->now.holdings.items[i];
        const book_allocation *a = books_allocation(&j->now, x->allocation);
        if (a && x->host.v < JUDGE_HOSTS) {
            c->granted[x->host.v] += a->terms.terms.chunk_size * x->held;
            c->returning[x->host.v] += a->terms.terms.chunk_size * x->returning;
        }
    }
    for (uint32_t i = 0; i < j->now.claims.n; i++) {
        const record_claim *k = &j->now.claims.items[i];
        const book_allocation *a = books_allocation(&j->now, k->allocation);
        if (a && k->host.v < JUDGE_HOSTS && k->state == CLAIM_QUARANTINED)
            c->quarantine[k->host.v] += a->terms.terms.chunk_size * k->chunks;
    }
}

static void judge_owner(judges *j, const host_view *v)
{
    if (!j->hosts[v->id.v].told)
        return;
    if (v->total != hosts_total(j, v->id) || v->set_aside != hosts_aside(j, v->id))
        WRONG(j,
              "bytes: %s has a total of %" PRIu64 " and %" PRIu64 " set aside; by what was told it is %" PRIu64
              " and %" PRIu64,
              v->name, v->total, v->set_aside, hosts_total(j, v->id), hosts_aside(j, v->id));
    bytes_t least = hosts_foreign_least(j, v->id), most = hosts_foreign_most(j, v->id);
    if (v->foreign < least || v->foreign > most)
        WRONG(j, "bytes: %s has %" PRIu64 " foreign bytes; by its samples it is %" PRIu64 " to %" PRIu64, v->name,
              v->foreign, least, most);
}

static void judge_host(judges *j, const host_view *v, const columns *c)
{
    uint32_t h = v->id.v;
    if (v->granted != c->granted[h] || v->returning != c->returning[h] || v->quarantine != c->quarantine[h])
        WRONG(j,
              "bytes: %s shows %" PRIu64 " granted, %" PRIu64 " returning, %" PRIu64
              " quarantined; by the journal it is %" PRIu64 ", %" PRIu64 ", %" PRIu64,
              v->name, v->granted, v->returning, v->quarantine, c->granted[h], c->returning[h], c->quarantine[h]);
    bytes_t spent = v->set_aside + v->foreign + v->granted + v->returning + v->held + v->quarantine;
    if (spent + v->free != v->total + v->overdraft || (v->free && v->overdraft))
        WRONG(j,
              "bytes: the columns of %s do not add up: %" PRIu64 " spent + %" PRIu64 " free, total %" PRIu64
              " + overdraft %" PRIu64,
              v->name, spent, v->free, v->total, v->overdraft);
    judge_owner(j, v);
}

/* ---- allocations ---- */

static void judge_holdings(judges *j, const core *c, const allocation_view *v)
{
    chunks_t held = 0, returning = 0;
    holding_view x;
    for (uint32_t cursor = 0; view_holding(c, v->id, &cursor, &x);) {
        const record_holding *mine = books_holding(&j->now, v->id, x.host);
        chunks_t my_held = mine ? mine->held : 0, my_returning = mine ? mine->returning : 0;
        if (x.held != my_held || x.returning != my_returning)
            WRONG(j,
                  "lease: A%" PRIu64 " holds %" PRIu32 " and returns %" PRIu32
                  " chunks on %s; by the journal it is %" PRIu32 " and %" PRIu32,
                  v->id.v, x.held, x.returning, judge_host_name(j, x.host), my_held, my_returning);
        held += x.held;
        returning += x.returning;
    }
    if (v->chunks != held || v->returning != returning || books_held(&j->now, v->id) != held)
        WRONG(j,
              "bytes: A%" PRIu64 " counts %" PRIu32 " chunks and %" PRIu32 " returning; its holdings are %" PRIu32
              " and %" PRIu32 ", by the journal %" PRIu32,
              v->id.v, v->chunks, v->returning, held, returning, books_held(&j->now, v->id));
}

static void judge_allocations(judges *j, const core *c)
{
    uint32_t n = 0;
    allocation_view v;
    for (uint32_t cursor = 0; view_allocation(c, &cursor, &v); n++) {
        const book_allocation *a = books_allocation(&j->now, v.id);
        if (!a) {
            WRONG(j, "lease: A%" PRIu64 " is in no record of the journal", v.id.v);
            return;
        }
        if (a->now.state != v.state || a->now.version != v.version || a->now.want != v.want)
            WRONG(j,
                  "lease: A%" PRIu64 " is in state %d, version %" PRIu64 ", wants %" PRIu32
                  "; by the journal %d, %" PRIu64 ", %" PRIu32,
                  v.id.v, (int)v.state, v.version, v.want, (int)a->now.state, a->now.version, a->now.want);
        if (v.owner.v && v.owner.v != a->terms.owner.v)
            WRONG(j, "lease: A%" PRIu64 " belongs to session %" PRIu64 "; by the journal to %" PRIu64, v.id.v,
                  v.owner.v, a->terms.owner.v);
        judge_holdings(j, c, &v);
    }
    for (uint32_t i = 0; n < j->now.allocations.n && i < j->now.allocations.n; i++) {
        const book_allocation *a = &j->now.allocations.items[i];
        if (view_allocation_by_id(c, a->terms.id, &v) < 0)
            WRONG(j, "lease: A%" PRIu64 " with %" PRIu32 " chunks is gone, and no record says so", a->terms.id.v,
                  books_held(&j->now, a->terms.id));
    }
}

/* ---- the rest ---- */

static void judge_claims(judges *j, const core *c)
{
    uint32_t n = 0;
    claim_view v;
    for (uint32_t cursor = 0; view_claim(c, &cursor, &v); n++) {
        const record_claim *k = books_claim(&j->now, v.gen);
        if (!k || k->chunks != v.chunks || k->state != v.state || k->host.v != v.host.v ||
            k->allocation.v != v.allocation.v)
            WRONG(j,
                  "lease: claim %" PRIu64 " of A%" PRIu64 " has %" PRIu32 " chunks in state %d; by the journal %" PRIu32
                  " in %d",
                  v.gen.v, v.allocation.v, v.chunks, (int)v.state, k ? k->chunks : 0, k ? (int)k->state : 0);
    }
    if (n != j->now.claims.n)
        WRONG(j, "lease: the core has %" PRIu32 " claims; by the journal %" PRIu32, n, j->now.claims.n);
}

static void judge_recalls(judges *j, const core *c)
{
    uint32_t n = 0;
    recall_view v;
    for (uint32_t cursor = 0; view_recall(c, &cursor, &v); n++) {
        const record_recall *r = books_recall(&j->now, v.record.id);
        if (!r || r->released != v.record.released || r->withdrawn != v.record.withdrawn ||
            r->revoked != v.record.revoked || r->overdue != v.record.overdue)
            WRONG(j,
                  "outcomes: recall %" PRIu64 " counts %" PRIu32 " released, %" PRIu32 " withdrawn, %" PRIu32
                  " revoked; by the journal %" PRIu32 ", %" PRIu32 ", %" PRIu32,
                  v.record.id.v, v.record.released, v.record.withdrawn, v.record.revoked, r ? r->released : 0,
                  r ? r->withdrawn : 0, r ? r->revoked : 0);
    }
    if (n != j->now.recalls.n)
        WRONG(j, "outcomes: the core has %" PRIu32 " recalls; by the journal %" PRIu32, n, j->now.recalls.n);
}

void views_judge(judges *j, const core *c)
{
    columns sums = {0};
    host_view h;
    totals_view totals;
    sum(j, &sums);
    for (uint32_t cursor = 0; view_host(c, &cursor, &h);)
        if (h.id.v < JUDGE_HOSTS)
            judge_host(j, &h, &sums);
    judge_allocations(j, c);
    judge_claims(j, c);
    judge_recalls(j, c);
    view_totals(c, &totals);
    if (totals.sessions != j->now.sessions.n)
        WRONG(j, "lease: the core has %" PRIu32 " sessions; by the journal %" PRIu32, totals.sessions,
              j->now.sessions.n);
}
