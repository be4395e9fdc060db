/*
 * judge.c - every column, holding and claim of the core against the model's.
 *
 * Grants are what the core holds more than the model: each must have been possible.
 */
#include "judge.h"

#include <inttypes.h>

#include "base/status.h"
#include "settings.h"

static bytes_t least(bytes_t a, bytes_t b)
{
    return a < b ? a : b;
}

static bytes_t above(bytes_t a, bytes_t b)
{
    return a > b ? a - b : 0;
}

void judge_sample(model *m, const core *c, const event_host_sample *e)
{
    model_host *h = &m->hosts[e->host.v];
    host_view view;
    if (!h->connected || view_host_by_id(c, e->host, &view) < 0)
        return;
    bytes_t raw = above(e->in_use, e->claims_used);
    bytes_t cover = h->aside + (h->physical - h->total);
    bytes_t now = above(raw, cover), both = above(least(raw, h->last_raw), cover);
    if (!h->fresh && view.foreign != now)
        model_wrong(m, "foreign is %" PRIu64 " after a first sample of %" PRIu64, view.foreign, now);
    if (h->fresh && view.foreign > (h->foreign > both ? h->foreign : both))
        model_wrong(m, "foreign rose to %" PRIu64 " after one sample", view.foreign);
    if (h->fresh && view.foreign < least(h->foreign, now))
        model_wrong(m, "foreign fell to %" PRIu64 ", under the sample", view.foreign);
    if (h->fresh && h->last_raw >= raw && raw == now + cover && now > h->foreign && view.foreign < now)
        model_wrong(m, "foreign ignores two samples of %" PRIu64, now);
    h->last_raw = raw;
    h->foreign = view.foreign;
    h->cover = cover;
    h->fresh = true;
}

static bool placeable(const model_host *h)
{
    return h->connected && h->fresh && !h->draining;
}

static chunks_t held_by(const model_allocation *a)
{
    chunks_t n = 0;
    for (uint32_t h = 0; h < MODEL_HOSTS; h++)
        n += a->held[h];
    return n;
}

/* A request that was granted in this step: is it what was asked for? */
static void judge_grant(model *m, const model_allocation *a)
{
    chunks_t n = held_by(a), least_chunks = a->flags & (TERM_SHRINKABLE | TERM_GROWABLE) ? a->min : a->first_want;
    unsigned hosts = 0;
    for (uint32_t h = 0; h < MODEL_HOSTS; h++)
        hosts += a->held[h] > 0;
    if (n < least_chunks || n > a->first_want)
        model_wrong(m, "allocation %" PRIu64 " was granted %u of %u to %u", a->id, n, least_chunks, a->first_want);
    if ((a->flags & TERM_ONE_HOST) && hosts > 1)
        model_wrong(m, "allocation %" PRIu64 " is on %u hosts", a->id, hosts);
}

static void compare_holding(model *m, model_allocation *a, uint32_t h, const holding_view *x, bool granted_now)
{
    if (x->held > a->held[h]) {
        a->grew = true;
        if (!settings_accept(&m->hosts[h], a->filter))
            model_wrong(m, "a grant to %" PRIu64 " on host %u, which it does not accept", a->id, h);
        if (!placeable(&m->hosts[h]))
            model_wrong(m, "a grant to %" PRIu64 " on host %u, where nothing may go", a->id, h);
        if (!granted_now && !(a->flags & TERM_GROWABLE))
            model_wrong(m, "allocation %" PRIu64 " grew, though it is not growable", a->id);
        host_view host;
        if (view_host_by_id(m->core, (host_id){h}, &host) == 0 && host.overdraft > 0)
            model_wrong(m, "a grant on host %u, which is overdrawn", h);
        a->held[h] = x->held;
    }
    if (x->held != a->held[h] || x->returning != a->returning[h] || x->claimed != model_claimed(m, a, h))
        model_wrong(m, "allocation %" PRIu64 " on host %u: the core says %u+%u claimed %u, the model %u+%u claimed %u",
                    a->id, h, x->held, x->returning, x->claimed, a->held[h], a->returning[h], model_claimed(m, a, h));
}

static void compare_allocation(model *m, const allocation_view *v)
{
    model_allocation *a = model_allocation_find(m, v->id.v);
    if (!a) {
        model_wrong(m, "allocation %" PRIu64 " is unknown to the model", v->id.v);
        return;
    }
    bool granted_now = a->waiting && v->state == ALLOCATION_LIVE, seen[MODEL_HOSTS] = {false};
    holding_view x;
    for (uint32_t cursor = 0; view_holding(m->core, v->id, &cursor, &x);) {
        seen[x.host.v] = true;
        compare_holding(m, a, x.host.v, &x, granted_now);
    }
    for (uint32_t h = 0; h < MODEL_HOSTS; h++)
        if (!seen[h] && (a->held[h] || a->returning[h]))
            model_wrong(m, "allocation %" PRIu64 " has nothing on host %u, the model says %u+%u", a->id, h, a->held[h],
                        a->returning[h]);
    if (granted_now)
        judge_grant(m, a);
    a->waiting = v->state == ALLOCATION_WAITING;
    a->ending = v->state == ALLOCATION_ENDING;
    if (v->want != a->want)
        model_wrong(m, "allocation %" PRIu64 " wants %u, the model says %u", a->id, v->want, a->want);
    if (v->chunks != held_by(a))
        model_wrong(m, "allocation %" PRIu64 " counts %u, the model %u", a->id, v->chunks, held_by(a));
    if ((a->flags & TERM_GROWABLE) == 0 && held_by(a) > a->first_want)
        model_wrong(m, "allocation %" PRIu64 " has more than it asked for", a->id);
    if (v->owner.v != a->owner)
        model_wrong(m, "allocation %" PRIu64 " belongs to %" PRIu64 ", the model says %" PRIu64, a->id, v->owner.v,
                    a->owner);
}

static void compare_claims(model *m)
{
    unsigned seen = 0, there = 0;
    claim_view v;
    for (uint32_t cursor = 0; view_claim(m->core, &cursor, &v); seen++) {
        model_claim *k = model_claim_find(m, v.gen.v);
        if (!k) {
            model_wrong(m, "claim %" PRIu64 " is unknown to the model", v.gen.v);
            return;
        }
        if (k->state < v.state && v.state == CLAIM_CLOSING)
            k->state = v.state, k->resize = 0; /* when a claim is ended is the core's decision */
        if (k->state != v.state || k->chunks != v.chunks)
            model_wrong(m, "claim %" PRIu64 " has %u chunks in state %d, the model says %u in %d", v.gen.v, v.chunks,
                        (int)v.state, k->chunks, (int)k->state);
    }
    for (unsigned i = 0; i < m->n_claims; i++)
        there += m->claims[i].gen != 0;
    if (seen != there)
        model_wrong(m, "the core has %u claims, the model %u", seen, there);
}

static void compare_host(model *m, const host_view *v, bool somebody_waits)
{
    model_host *h = &m->hosts[v->id.v];
    bytes_t granted = 0, returning = 0, quarantine = 0;
    for (unsigned i = 0; i < m->n_allocations; i++) {
        const model_allocation *a = &m->allocations[i];
        granted += a->id ? a->chunk * a->held[v->id.v] : 0;
        returning += a->id ? a->chunk * a->returning[v->id.v] : 0;
    }
    for (unsigned i = 0; i < m->n_claims; i++) {
        const model_claim *k = &m->claims[i];
        if (k->gen && k->host == v->id.v && k->state == CLAIM_QUARANTINED)
            quarantine += model_allocation_find(m, k->allocation)->chunk * k->chunks;
    }
    if (v->granted != granted || v->returning != returning || v->quarantine != quarantine)
        model_wrong(m,
                    "host %s: granted %" PRIu64 " returning %" PRIu64 " quarantine %" PRIu64 ", the model says %" PRIu64
                    " %" PRIu64 " %" PRIu64,
                    v->name, v->granted, v->returning, v->quarantine, granted, returning, quarantine);
    if (v->total != h->total || v->set_aside != h->aside)
        model_wrong(m, "host %s: total %" PRIu64 " set aside %" PRIu64, v->name, v->total, v->set_aside);
    if (h->fresh && v->foreign != h->foreign)
        model_wrong(m, "host %s: foreign changed without a sample", v->name);
    bytes_t sold = granted + returning + quarantine + v->held + v->set_aside + v->foreign;
    if (v->free != above(v->total, sold) || v->overdraft != above(sold, v->total))
        model_wrong(m, "host %s: free %" PRIu64 " overdraft %" PRIu64 " do not add up", v->name, v->free, v->overdraft);
    if (v->held > 0 && !somebody_waits)
        model_wrong(m, "host %s: memory is held, and nobody waits for it", v->name);
}

static chunks_t need_of(const model_allocation *a)
{
    chunks_t need = a->flags & (TERM_SHRINKABLE | TERM_GROWABLE) ? a->min : a->first_want;
    return need ? need : 1;
}

bool judge_never(const model *m, const model_allocation *a)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < MODEL_HOSTS; i++) {
        uint64_t n = settings_hope(&m->hosts[i]) / a->chunk;
        if (!settings_accept(&m->hosts[i], a->filter))
            continue;
        most = !(a->flags & TERM_ONE_HOST) && n < UINT32_MAX ? most + n : n > most ? n : most;
    }
    return most < need_of(a);
}

/* Nobody waits for what all hosts together cannot give, or for more than his quota. */
static void judge_hope(model *m)
{
    for (unsigned i = 0; i < m->n_allocations; i++) {
        const model_allocation *a = &m->allocations[i];
        if (a->id && a->waiting && (judge_never(m, a) || a->chunk * need_of(a) > settings_quota(m, a->user)))
            model_wrong(m, "allocation %" PRIu64 " waits for what can never be", a->id);
    }
}

/* Who grew is within his quota. */
static void judge_quotas(model *m)
{
    for (unsigned i = 0; i < m->n_allocations; i++) {
        model_allocation *a = &m->allocations[i];
        bytes_t granted = 0;
        for (unsigned j = 0; a->id && a->grew && j < m->n_allocations; j++)
            if (m->allocations[j].id && m->allocations[j].user == a->user)
                granted += m->allocations[j].chunk * held_by(&m->allocations[j]);
        if (granted > settings_quota(m, a->user))
            model_wrong(m, "allocation %" PRIu64 " grew over the quota of its user", a->id);
        a->grew = false;
    }
}

/* A claim of no chunks is for one process of a request that waits, or has just been granted; else it is being ended. */
static void judge_gated(model *m)
{
    for (unsigned i = 0; i < m->n_claims; i++) {
        const model_claim *k = &m->claims[i];
        allocation_view v;
        if (k->gen == 0 || k->chunks || view_allocation_by_id(m->core, (allocation_id){k->allocation}, &v) < 0)
            continue;
        for (unsigned j = 0; j < i; j++)
            if (m->claims[j].gen && m->claims[j].allocation == k->allocation && m->claims[j].chunks == 0)
                model_wrong(m, "allocation %" PRIu64 " has two claims of no chunks", k->allocation);
        if (v.state == ALLOCATION_ENDING && k->state <= CLAIM_OPEN)
            model_wrong(m, "claim %" PRIu64 " of no chunks outlives its request", k->gen);
    }
}

/* What the queue left free although it fits: a waiter that does not fit must not block one that does. */
static void judge_queue(model *m)
{
    for (unsigned i = 0; i < m->n_allocations; i++) {
        const model_allocation *a = &m->allocations[i];
        host_view v;
        if (a->id == 0 || !a->waiting || m->tight || settings_room(m, a->user) < a->chunk * need_of(a))
            continue;
        for (uint32_t cursor = 0; view_host(m->core, &cursor, &v);)
            if (placeable(&m->hosts[v.id.v]) && v.free / a->chunk >= need_of(a) &&
                settings_accept(&m->hosts[v.id.v], a->filter))
                model_wrong(m, "allocation %" PRIu64 " waits for %u chunks that are free on host %s", a->id, need_of(a),
                            v.name);
    }
}

/* Once settled, nothing is asked back for one whom the host can be of no use to. */
static void judge_vain(model *m)
{
    recall_view v;
    for (uint32_t cursor = 0; view_recall(m->core, &cursor, &v);) {
        const model_allocation *a = model_allocation_find(m, v.record.beneficiary.v);
        uint32_t host = v.record.host.v;
        if (v.record.released + v.record.withdrawn + v.record.revoked == v.record.asked || !a || host >= MODEL_HOSTS)
            continue;
        const model_host *h = &m->hosts[host];
        bytes_t whole = a->chunk * (a->waiting && (a->flags & TERM_ONE_HOST) ? need_of(a) : 1);
        if (h->draining || (h->fresh && (!settings_accept(h, a->filter) ||
                                         above(h->total, h->aside) < least(whole, a->chunk * need_of(a)))))
            model_wrong(m, "recall %" PRIu64 " asks for what is of no use to %" PRIu64, v.record.id.v, a->id);
    }
}

/* I5, I6, I11. Returns whether a recall is open. */
static bool judge_recalls(model *m)
{
    chunks_t asked[MODEL_ALLOCATIONS] = {0};
    bool open = false;
    recall_view v;
    for (uint32_t cursor = 0; view_recall(m->core, &cursor, &v);) {
        uint32_t done = v.record.released + v.record.withdrawn + v.record.revoked;
        model_allocation *a = model_allocation_find(m, v.record.allocation.v);
        if (!a || done > v.record.asked) {
            model_wrong(m, "recall %" PRIu64 " is answered %u of %u", v.record.id.v, done, v.record.asked);
            return open;
        }
        open |= done < v.record.asked;
        if (v.record.reason != RECALL_FOR_OPERATOR)
            asked[a - m->allocations] += v.record.asked - done;
        if (done < v.record.asked && v.record.reason != RECALL_FOR_OPERATOR && !(a->flags & TERM_RECALLABLE))
            model_wrong(m, "a recall of %" PRIu64 ", which is firm", a->id);
    }
    for (unsigned i = 0; i < m->n_allocations; i++) {
        const model_allocation *a = &m->allocations[i];
        if (a->id && asked[i] > above(held_by(a), a->min))
            model_wrong(m, "recalls ask allocation %" PRIu64 " for %u of %u with min %u", a->id, asked[i], held_by(a),
                        a->min);
    }
    return open;
}

/* I5: something must stand behind an allocation; and one that is over must be gone. */
static void judge_owners(model *m)
{
    for (unsigned i = 0; i < m->n_allocations; i++) {
        const model_allocation *a = &m->allocations[i];
        unsigned claims = 0;
        for (unsigned k = 0; k < m->n_claims; k++)
            claims += m->claims[k].gen && m->claims[k].allocation == a->id;
        if (a->id && !claims && !model_session_find(m, a->owner))
            model_wrong(m, "allocation %" PRIu64 " has neither owner nor claim", a->id);
        if (a->id && !claims && !a->waiting && held_by(a) == 0 && (!(a->flags & TERM_GROWABLE) || a->want == 0))
            model_wrong(m, "allocation %" PRIu64 " is over, and still there", a->id);
    }
}

void model_compare(model *m, const core *c, bool settled)
{
    unsigned seen = 0, there = 0, waiting = 0;
    allocation_view allocation;
    host_view host;
    m->core = c;
    compare_claims(m);
    for (uint32_t cursor = 0; view_allocation(c, &cursor, &allocation); seen++)
        compare_allocation(m, &allocation);
    for (unsigned i = 0; i < m->n_allocations; i++) {
        there += m->allocations[i].id != 0;
        waiting += m->allocations[i].id != 0 && m->allocations[i].waiting;
    }
    if (seen != there)
        model_wrong(m, "the core has %u allocations, the model %u", seen, there);
    bool open = judge_recalls(m);
    for (uint32_t cursor = 0; view_host(c, &cursor, &host);)
        compare_host(m, &host, waiting > 0 || open);
    judge_quotas(m);
    judge_owners(m);
    judge_gated(m);
    if (settled) {
        judge_queue(m);
        judge_hope(m);
        judge_vain(m);
    }
}
