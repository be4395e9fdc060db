/* model.c - what follows from events and effects; the comparison is judge.c. */
#include "model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "judge.h"
#include "settings.h"

void model_wrong(model *m, const char *format, ...)
{
    va_list args;
    if (m->why[0])
        return;
    va_start(args, format);
    vsnprintf(m->why, sizeof m->why, format, args);
    va_end(args);
}

/* ---- the rules of the ledger ---- */

/* Unclaimed chunks go at once; the rest is owed until claims drain. */
static void release(model *m, model_allocation *a, uint32_t host, chunks_t n)
{
    if (n > a->held[host]) {
        model_wrong(m, "allocation %" PRIu64 " gives %u of %u on host %u", a->id, n, a->held[host], host);
        return;
    }
    chunks_t idle = a->held[host] + a->returning[host] - model_claimed(m, a, host);
    chunks_t at_once = n < idle ? n : idle;
    a->held[host] -= n;
    a->returning[host] += n - at_once;
}

static void pay(model_allocation *a, uint32_t host, chunks_t n)
{
    a->returning[host] -= n < a->returning[host] ? n : a->returning[host];
}

/* Nobody owns it, and it lives as long as its claims: what they do not stand for goes. */
static void stray_gives(model *m, model_allocation *a)
{
    if (a->owner || a->waiting || !(a->flags & TERM_STAY))
        return;
    for (uint32_t h = 0; h < MODEL_HOSTS; h++) {
        chunks_t idle = a->held[h] + a->returning[h] - model_claimed(m, a, h);
        release(m, a, h, idle < a->held[h] ? idle : a->held[h]);
    }
}

static void claim_over(model *m, model_claim *k)
{
    model_allocation *a = model_allocation_find(m, k->allocation);
    if (k->state != CLAIM_QUARANTINED)
        pay(a, k->host, k->chunks);
    k->gen = 0;
    stray_gives(m, a);
}

static void claim_quarantined(model *m, uint64_t gen)
{
    model_claim *k = model_claim_find(m, gen);
    if (!k || k->state == CLAIM_QUARANTINED) {
        model_wrong(m, "claim %" PRIu64 " is quarantined out of nothing", gen);
        return;
    }
    model_allocation *a = model_allocation_find(m, k->allocation);
    chunks_t debt = k->chunks < a->returning[k->host] ? k->chunks : a->returning[k->host];
    a->returning[k->host] -= debt;
    a->held[k->host] -= k->chunks - debt;
    k->state = CLAIM_QUARANTINED;
}

static void session_over(model *m, uint64_t id)
{
    model_session *s = model_session_find(m, id);
    if (!s) {
        model_wrong(m, "session %" PRIu64 " is lost, but there was none", id);
        return;
    }
    s->alive = s->attached = false;
    for (unsigned i = 0; i < m->n_allocations; i++) {
        model_allocation *a = &m->allocations[i];
        if (a->id == 0 || a->owner != id)
            continue;
        a->owner = 0;
        a->orphaned = true;
        if (a->flags & TERM_STAY) {
            stray_gives(m, a);
            continue;
        }
        a->want = 0;
        for (uint32_t h = 0; h < MODEL_HOSTS; h++)
            release(m, a, h, a->held[h]);
    }
}

static void allocation_over(model *m, uint64_t id)
{
    model_allocation *a = model_allocation_find(m, id);
    if (!a) {
        model_wrong(m, "allocation %" PRIu64 " ends, but there was none", id);
        return;
    }
    for (uint32_t h = 0; h < MODEL_HOSTS; h++)
        if (a->held[h] || a->returning[h])
            model_wrong(m, "allocation %" PRIu64 " ends with %u+%u on host %u", id, a->held[h], a->returning[h], h);
    for (unsigned i = 0; i < m->n_claims; i++)
        if (m->claims[i].gen && m->claims[i].allocation == id)
            model_wrong(m, "allocation %" PRIu64 " ends with claim %" PRIu64, id, m->claims[i].gen);
    a->id = 0;
}

/* ---- events ---- */

static const effect_reply *reply_to(const core_event *e, const core_effects *fx)
{
    for (uint32_t i = 0; i < fx->count; i++) {
        const effect_reply *r = &fx->items[i].reply;
        if (fx->items[i].kind == EFFECT_REPLY && r->session.v == e->request.session.v &&
            r->number.v == e->request.number.v)
            return r;
    }
    return NULL;
}

static const effect_order *order_of(const core_effects *fx, order_kind kind)
{
    for (uint32_t i = 0; i < fx->count; i++)
        if (fx->items[i].kind == EFFECT_ORDER && fx->items[i].order.kind == kind)
            return &fx->items[i].order;
    return NULL;
}

static bool owned(model *m, const model_allocation *a, const core_event *e)
{
    return a && a->owner == e->request.session.v && model_session_find(m, a->owner);
}

static bool allowed(model *m, const model_allocation *a, const core_event *e)
{
    const model_session *s = model_session_find(m, e->request.session.v);
    return a && s && (a->user == s->user || s->operator_);
}

static void on_allocate(model *m, const core_event *e, const effect_reply *r)
{
    const allocation_terms *t = &e->allocate.terms;
    if (e->allocate.dry_run || !r || r->status < 0)
        return;
    if (m->n_allocations == MODEL_ALLOCATIONS) {
        model_wrong(m, "the model is full");
        return;
    }
    const model_session *s = model_session_find(m, e->request.session.v);
    m->allocations[m->n_allocations++] = (model_allocation){
        .id = r->allocation.v,
        .owner = e->request.session.v,
        .user = s->user,
        .flags = t->flags,
        .chunk = t->chunk_size,
        .want = t->want,
        .first_want = t->want,
        .min = t->min,
        .waiting = true,
    };
    strcpy(m->allocations[m->n_allocations - 1].filter, t->filter);
    if (t->priority > 0 && !s->operator_)
        model_wrong(m, "a user goes before all others");
}

static void on_release(model *m, const core_event *e, const effect_reply *r)
{
    model_allocation *a = model_allocation_find(m, e->release.id.v);
    chunks_t sums[MODEL_HOSTS] = {0};
    bool fits = owned(m, a, e) && !a->waiting;
    for (uint32_t i = 0; fits && i < e->release.n; i++) {
        const extent *x = &e->release.extents[i];
        fits = x->host.v < MODEL_HOSTS && (sums[x->host.v] += x->chunks) <= a->held[x->host.v];
    }
    chunks_t all = 0;
    for (uint32_t h = 0; a && h < MODEL_HOSTS; h++)
        all += a->held[h];
    if (fits && all == 0 && r && r->status == STATUS_STATE)
        return; /* it is ending: there is nothing to release */
    if (!r || (r->status == STATUS_OK) != fits) {
        model_wrong(m, "a release of %" PRIu64 " is answered %s", e->release.id.v,
                    r ? status_name(r->status) : "not at all");
        return;
    }
    if (!fits)
        return;
    chunks_t n = 0;
    for (uint32_t h = 0; h < MODEL_HOSTS; h++) {
        chunks_t k = e->release.n == 0 ? a->held[h] : sums[h];
        release(m, a, h, k);
        n += k;
    }
    if (e->release.recall.v == 0)
        a->want -= n < a->want ? n : a->want;
    if (r->chunks != n)
        model_wrong(m, "a release of %u chunks is answered with %u", n, r->chunks);
}

static void on_release_n(model *m, const core_event *e, const effect_reply *r)
{
    model_allocation *a = model_allocation_find(m, e->release_n.id.v);
    chunks_t n = 0;
    if (!r || r->status != STATUS_OK)
        return;
    if (!owned(m, a, e) || a->waiting) {
        model_wrong(m, "a stranger released chunks");
        return;
    }
    for (uint32_t i = 0; i < r->n_extents; i++) {
        uint32_t h = r->extents[i].host.v;
        chunks_t busy = 0;
        for (uint32_t j = 0; j < e->release_n.n; j++)
            busy += e->release_n.busy[j].host.v == h ? e->release_n.busy[j].chunks : 0;
        busy = busy < a->held[h] ? busy : a->held[h];
        if (r->extents[i].chunks > a->held[h] - busy)
            model_wrong(m, "release_n took busy chunks");
        release(m, a, h, r->extents[i].chunks);
        n += r->extents[i].chunks;
    }
    if (n > e->release_n.count || n != r->chunks)
        model_wrong(m, "release_n of %u took %u and says %u", e->release_n.count, n, r->chunks);
    if (e->release_n.recall.v == 0)
        a->want -= n < a->want ? n : a->want;
}

static bool has_claims(const model *m, uint64_t allocation)
{
    for (unsigned i = 0; i < m->n_claims; i++)
        if (m->claims[i].gen && m->claims[i].allocation == allocation)
            return true;
    return false;
}

/* May 0 chunks be claimed, for a process that waits? By the owner, for one process. */
static bool waits_gated(model *m, const model_allocation *a, const core_event *e)
{
    return owned(m, a, e) && a->waiting && e->claim.chunks == 0 && e->claim.handle && !has_claims(m, a->id) &&
           e->claim.host.v < MODEL_HOSTS;
}

static void on_claim(model *m, const core_event *e, const core_effects *fx)
{
    const effect_order *o = order_of(fx, ORDER_OPEN);
    model_allocation *a = model_allocation_find(m, e->claim.id.v);
    uint32_t h = e->claim.host.v;
    bool fits = allowed(m, a, e) && !a->waiting && h < MODEL_HOSTS && e->claim.chunks > 0 &&
                (uint64_t)model_claimed(m, a, h) + e->claim.chunks <= a->held[h];
    fits |= waits_gated(m, a, e);
    if (!o)
        return;
    if (fits && o->bytes != (e->claim.chunks ? a->chunk * e->claim.chunks : drain_tolerance(a->chunk)))
        model_wrong(m, "a claim of %u chunks gets a limit of %" PRIu64, e->claim.chunks, o->bytes);
    if (!fits || !m->hosts[h].connected) {
        model_wrong(m, "a claim of %u on host %u was opened for nothing", e->claim.chunks, h);
        return;
    }
    if (m->n_claims == MODEL_CLAIMS) {
        model_wrong(m, "the model is full");
        return;
    }
    m->claims[m->n_claims++] = (model_claim){
        .gen = o->gen.v, .allocation = a->id, .host = h, .chunks = e->claim.chunks, .state = CLAIM_OPENING};
}

static void on_opened(model *m, const event_claim_answer *e)
{
    model_claim *k = model_claim_find(m, e->gen.v);
    if (!k || k->host != e->host.v)
        return;
    if (e->status == 0)
        k->state = k->state == CLAIM_OPENING ? CLAIM_OPEN : k->state;
    else if (k->state == CLAIM_OPENING || k->state == CLAIM_CLOSING)
        claim_over(m, k); /* nothing ever ran in it */
}

static void on_shrink(model *m, const core_event *e, const core_effects *fx)
{
    model_claim *k = model_claim_find(m, e->shrink.gen.v);
    const effect_order *o = order_of(fx, ORDER_LIMIT);
    if (!o)
        return;
    if (!k || k->state != CLAIM_OPEN || k->resize) {
        model_wrong(m, "claim %" PRIu64 " is resized in the wrong state", e->shrink.gen.v);
        return;
    }
    model_allocation *a = model_allocation_find(m, k->allocation);
    if (e->shrink.chunks > k->chunks &&
        (uint64_t)model_claimed(m, a, k->host) + e->shrink.chunks - k->chunks > a->held[k->host])
        model_wrong(m, "claim %" PRIu64 " grows over what is held", k->gen);
    k->before = k->chunks;
    k->resize = e->shrink.chunks;
    if (k->resize > k->chunks)
        k->chunks = k->resize; /* taken at once, so that nobody else claims them */
}

static void on_limited(model *m, const event_claim_answer *e)
{
    model_claim *k = model_claim_find(m, e->gen.v);
    if (!k || k->host != e->host.v || !k->resize)
        return;
    chunks_t now = e->status == 0 ? k->resize : k->before;
    if (now < k->chunks) {
        pay(model_allocation_find(m, k->allocation), k->host, k->chunks - now);
        k->chunks = now;
        stray_gives(m, model_allocation_find(m, k->allocation));
    }
    k->resize = 0;
}

static void on_hello(model *m, const core *c, const event_host_hello *e)
{
    host_view view;
    if (view_host_by_name(c, e->name, &view) < 0 || view.id.v >= MODEL_HOSTS)
        return;
    model_host *h = &m->hosts[view.id.v];
    bool rebooted = h->there && strcmp(h->boot, e->boot_id) != 0;
    for (unsigned i = 0; i < m->n_claims; i++) {
        model_claim *k = &m->claims[i];
        if (k->gen == 0 || k->host != view.id.v)
            continue;
        k->resize = 0;
        if (rebooted)
            claim_over(m, k);
        else if (k->state == CLAIM_OPENING)
            k->state = CLAIM_OPEN; /* expected there: its group is made */
    }
    h->there = h->connected = h->heard = true;
    h->fresh = false;
    h->physical = e->physical;
    h->told = e->total;
    settings_new_host(m, view.id.v, e->name);
    settings_count(h);
    strcpy(h->boot, e->boot_id);
}

static void on_gone(model *m, uint32_t host)
{
    m->hosts[host].connected = m->hosts[host].fresh = false;
    for (unsigned i = 0; i < m->n_claims; i++) {
        if (m->claims[i].gen == 0 || m->claims[i].host != host)
            continue;
        m->claims[i].resize = 0; /* one that was being opened is expected there when the host is back */
    }
}

static void on_drained(model *m, const event_claim_use *e)
{
    model_claim *k = model_claim_find(m, e->gen.v);
    if (k && k->host == e->host.v && (k->state == CLAIM_CLOSING || k->state == CLAIM_QUARANTINED))
        claim_over(m, k);
}

static void on_session_open(model *m, const core_event *e, const core_effects *fx)
{
    for (uint32_t i = 0; i < fx->count; i++)
        if (fx->items[i].kind == EFFECT_REPLY && fx->items[i].reply.status == STATUS_OK &&
            m->n_sessions < MODEL_SESSIONS)
            m->sessions[m->n_sessions++] = (model_session){.id = fx->items[i].reply.session.v,
                                                           .alive = true,
                                                           .attached = true,
                                                           .operator_ = e->session.operator_,
                                                           .user = e->session.user.v};
}

static void on_event(model *m, const core *c, const core_event *e, const core_effects *fx)
{
    const effect_reply *r = reply_to(e, fx);
    model_allocation *a;
    switch (e->kind) {
    case EVENT_ALLOCATE:
        on_allocate(m, e, r);
        return;
    case EVENT_WANT:
        a = model_allocation_find(m, e->want.id.v);
        if (r && r->status == STATUS_OK)
            a->want = e->want.want;
        return;
    case EVENT_RELEASE:
        on_release(m, e, r);
        return;
    case EVENT_RELEASE_N:
        on_release_n(m, e, r);
        return;
    case EVENT_CLAIM:
        on_claim(m, e, fx);
        return;
    case EVENT_SHRINK:
        on_shrink(m, e, fx);
        return;
    case EVENT_TRANSFER:
        if (r && r->status == STATUS_OK)
            model_allocation_find(m, e->transfer.id.v)->owner = e->transfer.to.v;
        return;
    case EVENT_DRAIN:
    case EVENT_UNDRAIN:
        if (r && r->status == STATUS_OK)
            m->hosts[e->drain.host.v].draining = e->kind == EVENT_DRAIN;
        return;
    case EVENT_CLAIM_OPENED:
        on_opened(m, &e->answer);
        return;
    case EVENT_CLAIM_LIMITED:
        on_limited(m, &e->answer);
        return;
    case EVENT_CLAIM_DRAINED:
        on_drained(m, &e->use);
        return;
    case EVENT_HOST_HELLO:
        on_hello(m, c, &e->hello);
        return;
    case EVENT_HOST_GONE:
        on_gone(m, e->gone.v);
        return;
    case EVENT_HOST_SAMPLE:
        judge_sample(m, c, &e->sample);
        return;
    case EVENT_CONFIG_HOST:
        settings_host(m, c, &e->config_host);
        return;
    case EVENT_CONFIG_USER:
        settings_user(m, &e->config_user);
        return;
    case EVENT_SESSION_OPEN:
        on_session_open(m, e, fx);
        return;
    case EVENT_SESSION_END:
        if (model_session_find(m, e->session.session.v))
            session_over(m, e->session.session.v);
        return;
    default:
        return;
    }
}

void model_step(model *m, const core *c, const core_event *e, const core_effects *fx)
{
    host_view host;
    for (unsigned i = 0; i < m->n_allocations; i++)
        m->allocations[i].orphaned = false;
    on_event(m, c, e, fx);
    for (uint32_t cursor = 0; view_host(c, &cursor, &host);)
        m->hosts[host.id.v].lost |= host.state == HOST_LOST;
    for (uint32_t i = 0; i < fx->count; i++) {
        const effect_note *n = &fx->items[i].note;
        if (fx->items[i].kind != EFFECT_NOTE)
            continue;
        model_allocation *a = model_allocation_find(m, n->allocation.v);
        if (n->kind == NOTE_SESSION_LOST)
            session_over(m, n->amount);
        else if (n->kind == NOTE_QUARANTINED)
            claim_quarantined(m, n->claim.v);
        else if (n->kind == NOTE_REVOKED && a && a->orphaned && (n->claim.v == 0 || !(a->flags & TERM_STAY)))
            continue; /* all of it, or all that is idle, is released already */
        else if (n->kind == NOTE_REVOKED && a && (a->flags & TERM_REVOCABLE))
            release(m, a, n->host.v, n->chunks);
        else if (n->kind == NOTE_REVOKED)
            model_wrong(m, "revoked what may not be revoked");
        else if (n->kind == NOTE_ENDED || (n->kind == NOTE_TIMED_OUT && !has_claims(m, n->allocation.v))) {
            if (a && n->status == STATUS_NEVER && !a->ending && !judge_never(m, a))
                model_wrong(m, "allocation %" PRIu64 " is ended as impossible, and fits", a->id);
            allocation_over(m, n->allocation.v); /* one that has a claim goes with it */
        }
    }
}

void model_start(model *m, bool tight)
{
    *m = (model){.tight = tight};
    settings_forget(m);
}

void model_restart(model *m)
{
    settings_forget(m);
    for (unsigned i = 0; i < MODEL_HOSTS; i++)
        m->hosts[i].connected = m->hosts[i].fresh = m->hosts[i].heard = m->hosts[i].lost = false;
    for (unsigned i = 0; i < m->n_claims; i++)
        m->claims[i].resize = 0;
    for (unsigned i = 0; i < m->n_sessions; i++)
        m->sessions[i].attached = false;
}
