/*
 * judge_step.c - what a step did to holdings: who got chunks, who lost them, and whether memory stood behind it.
 *
 *   bytes       I3: claimed <= held + returning; a debt that no claim can pay is none
 *   overbooked  I1, I4: what is granted on a host fits, there and then; a silent host grants nothing
 *   terms       a grant is what was asked for: hosts, number, quota
 *   lease       nobody loses chunks that he did not give, but by force after his notice, or to quarantine
 *   drained     I4: what returns is free only as claims end or shrink, and those are judged by what is really there
 */
#include <string.h>

#include "judge_inner.h"

static bool has(const book_allocation *a, uint32_t term)
{
    return a->terms.terms.flags & term;
}

/* It had one before the step, and has one now. */
static bool has_owner(const judges *j, const book_allocation *a)
{
    return books_session(&j->now, a->terms.owner) != NULL;
}

/* ---- grants ---- */

typedef struct {
    bytes_t granted, returning, quarantine;
} columns;

static columns sum_host(const judges *j, host_id h)
{
    columns sum = {0};
    for (uint32_t i = 0; i < j->now.holdings.n; i++) {
        const record_holding *x = &j->now.holdings.items[i];
        const book_allocation *a = x->host.v == h.v ? books_allocation(&j->now, x->allocation) : NULL;
        if (a) {
            sum.granted += a->terms.terms.chunk_size * x->held;
            sum.returning += a->terms.terms.chunk_size * x->returning;
        }
    }
    for (uint32_t i = 0; i < j->now.claims.n; i++) {
        const record_claim *k = &j->now.claims.items[i];
        const book_allocation *a = k->host.v == h.v ? books_allocation(&j->now, k->allocation) : NULL;
        if (a && k->state == CLAIM_QUARANTINED)
            sum.quarantine += a->terms.terms.chunk_size * k->chunks;
    }
    return sum;
}

static void judge_room(judges *j, const change_holding *x)
{
    host_id h = x->after.host;
    const host_facts *f = &j->hosts[h.v];
    const record_host *r = books_host(&j->now, h);
    chunks_t n = x->after.held - x->before.held;
    if (!f->connected || !f->sampled) {
        WRONG(j, "grant: A%" PRIu64 " got %" PRIu32 " chunks on %s, which is %s", x->after.allocation.v, n,
              judge_host_name(j, h), f->connected ? "without a fresh sample" : "silent");
        return;
    }
    if (r && r->draining)
        WRONG(j, "grant: A%" PRIu64 " got %" PRIu32 " chunks on %s, which is being emptied", x->after.allocation.v, n,
              judge_host_name(j, h));
    columns c = sum_host(j, h);
    bytes_t kept = hosts_aside(j, h) + hosts_foreign_least(j, h), sold = c.granted + c.returning + c.quarantine;
    if (sold + kept > hosts_total(j, h))
        WRONG(j,
              "overbooked: after %" PRIu32 " chunks for A%" PRIu64 " on %s, %" PRIu64 " granted + %" PRIu64
              " returning + %" PRIu64 " quarantined + %" PRIu64 " kept or foreign are more than its %" PRIu64 " bytes",
              n, x->after.allocation.v, judge_host_name(j, h), c.granted, c.returning, c.quarantine, kept,
              hosts_total(j, h));
}

/* The simplest of filters, the only one that is judged here. */
static bool names_host(const judges *j, const char *filter)
{
    for (uint32_t i = 0; i < j->sim->n_hosts; i++)
        if (strcmp(filter, machine_name(j->sim->machines[i])) == 0)
            return true;
    return false;
}

static void judge_terms(judges *j, const book_allocation *a, const change_holding *x)
{
    uint64_t id = a->terms.id.v;
    chunks_t held = books_held(&j->now, a->terms.id);
    uint32_t hosts = 0;
    bytes_t user = 0;
    for (uint32_t i = 0; i < j->now.holdings.n; i++) {
        const record_holding *y = &j->now.holdings.items[i];
        const book_allocation *other = books_allocation(&j->now, y->allocation);
        hosts += y->allocation.v == a->terms.id.v && y->held > 0;
        user += other && other->terms.user.v == a->terms.user.v ? other->terms.terms.chunk_size * y->held : 0;
    }
    if (held > a->now.want)
        WRONG(j, "grant: A%" PRIu64 " holds %" PRIu32 " chunks and wants %" PRIu32, id, held, a->now.want);
    if (a->now.state != ALLOCATION_LIVE)
        WRONG(j, "grant: A%" PRIu64 " got chunks on %s in state %d", id, judge_host_name(j, x->after.host),
              (int)a->now.state);
    if (held < a->terms.terms.min && !has(a, TERM_GROWABLE))
        WRONG(j, "grant: A%" PRIu64 " got %" PRIu32 " chunks, less than its least %" PRIu32, id, held,
              a->terms.terms.min);
    if (has(a, TERM_ONE_HOST) && hosts > 1)
        WRONG(j, "grant: A%" PRIu64 " is to be on one host and is on %" PRIu32, id, hosts);
    if (user > hosts_quota(j, a->terms.user))
        WRONG(j, "grant: user %" PRIu32 " holds %" PRIu64 " bytes after a grant to A%" PRIu64 ", more than the quota",
              a->terms.user.v, user, id);
    const char *filter = a->terms.terms.filter;
    if (names_host(j, filter) && strcmp(filter, judge_host_name(j, x->after.host)) != 0)
        WRONG(j, "grant: A%" PRIu64 " got chunks on %s and accepts %s only", id, judge_host_name(j, x->after.host),
              filter);
}

/* ---- what is given back ---- */

/* Chunks of the holding that went into quarantine in this step. */
static chunks_t quarantined(const judges *j, const record_holding *x)
{
    chunks_t n = 0;
    for (uint32_t i = 0; i < j->step.claims.n; i++) {
        const change_claim *k = &j->step.claims.items[i];
        bool was = k->was && k->before.state == CLAIM_QUARANTINED, is = k->is && k->after.state == CLAIM_QUARANTINED;
        if (k->after.allocation.v == x->allocation.v && k->after.host.v == x->host.v && is && !was)
            n += k->after.chunks;
    }
    return n;
}

/* Chunks that were taken by force in this step. */
static uint64_t revoked(const judges *j, allocation_id a)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < j->step.recalls.n; i++) {
        const change_recall *r = &j->step.recalls.items[i];
        if (r->after.allocation.v == a.v)
            n += r->after.revoked - (r->was ? r->before.revoked : 0);
    }
    return n;
}

/* The owner gave it, in the request of this step. */
static bool given(const judges *j, const book_allocation *a)
{
    const core_event *e = &j->event;
    if (!j->stepping || !j->first_sight)
        return false;
    bool asks = (e->kind == EVENT_RELEASE && e->release.id.v == a->terms.id.v) ||
                (e->kind == EVENT_RELEASE_N && e->release_n.id.v == a->terms.id.v);
    return asks && e->request.session.v == a->terms.owner.v;
}

static void judge_fall(judges *j, const book_allocation *a, const change_holding *x)
{
    chunks_t n = x->before.held - x->after.held, kept = quarantined(j, &x->after);
    if (n <= kept || !has_owner(j, a) || a->now.state == ALLOCATION_ENDING || given(j, a))
        return;
    if (has(a, TERM_REVOCABLE) && revoked(j, a->terms.id) >= n - kept)
        return;
    WRONG(j,
          "lease: A%" PRIu64 " lost %" PRIu32 " of %" PRIu32 " chunks on %s, and its owner, session %" PRIu64
          ", did not give them back (event %d of session %" PRIu64 ", request %" PRIu64 ")",
          a->terms.id.v, n - kept, x->before.held, judge_host_name(j, x->after.host), a->terms.owner.v,
          (int)j->event.kind, j->event.request.session.v, j->event.request.number.v);
}

/* Chunks whose claims ended, shrank or went into quarantine. */
static uint64_t drained(const judges *j, const record_holding *x)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < j->step.claims.n; i++) {
        const change_claim *k = &j->step.claims.items[i];
        if (!k->was || k->before.allocation.v != x->allocation.v || k->before.host.v != x->host.v)
            continue;
        if (!k->is || k->after.state == CLAIM_QUARANTINED)
            n += k->before.chunks;
        else if (k->after.chunks < k->before.chunks)
            n += k->before.chunks - k->after.chunks;
    }
    return n;
}

static void judge_debt(judges *j, const change_holding *x)
{
    chunks_t paid = x->before.returning > x->after.returning ? x->before.returning - x->after.returning : 0;
    if (paid > drained(j, &x->after))
        WRONG(j,
              "drained: %" PRIu32 " chunks of A%" PRIu64 " that returned on %s became free, and only %" PRIu64
              " chunks of its claims there ended",
              paid, x->after.allocation.v, judge_host_name(j, x->after.host), drained(j, &x->after));
}

/* ---- sums of a holding ---- */

static void judge_holding(judges *j, allocation_id id, host_id h)
{
    const record_holding *x = books_holding(&j->now, id, h);
    chunks_t held = x ? x->held : 0, returning = x ? x->returning : 0;
    uint64_t claimed = books_claimed(&j->now, id, h);
    if (claimed > (uint64_t)held + returning)
        WRONG(j,
              "bytes: claims of A%" PRIu64 " on %s stand for %" PRIu64 " chunks; %" PRIu32 " are held and %" PRIu32
              " returning",
              id.v, judge_host_name(j, h), claimed, held, returning);
    if (returning > claimed)
        WRONG(j, "bytes: A%" PRIu64 " returns %" PRIu32 " chunks on %s, and its claims there stand for %" PRIu64, id.v,
              returning, judge_host_name(j, h), claimed);
}

static void judge_change(judges *j, const change_holding *x)
{
    const book_allocation *a = books_allocation(&j->now, x->after.allocation);
    if (a && x->after.held > x->before.held) {
        judge_room(j, x);
        judge_terms(j, a, x);
    }
    if (a && x->after.held < x->before.held)
        judge_fall(j, a, x);
    judge_debt(j, x);
    judge_holding(j, x->after.allocation, x->after.host);
}

/* An allocation that is over has left nothing behind. */
static void judge_ended(judges *j, const book_allocation *a)
{
    uint64_t id = a->terms.id.v;
    for (uint32_t i = 0; i < j->now.holdings.n; i++)
        if (j->now.holdings.items[i].allocation.v == id)
            WRONG(j, "bytes: A%" PRIu64 " is over and holds %" PRIu32 " chunks on %s", id,
                  j->now.holdings.items[i].held, judge_host_name(j, j->now.holdings.items[i].host));
    for (uint32_t i = 0; i < j->now.claims.n; i++)
        if (j->now.claims.items[i].allocation.v == id)
            WRONG(j, "bytes: A%" PRIu64 " is over and has claim %" PRIu64, id, j->now.claims.items[i].gen.v);
}

void step_judge(judges *j)
{
    for (uint32_t i = 0; i < j->step.holdings.n; i++)
        judge_change(j, &j->step.holdings.items[i]);
    for (uint32_t i = 0; i < j->step.claims.n; i++)
        judge_holding(j, j->step.claims.items[i].after.allocation, j->step.claims.items[i].after.host);
    for (uint32_t i = 0; i < j->step.ended.n; i++)
        judge_ended(j, &j->step.ended.items[i]);
}
