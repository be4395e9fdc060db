/* clients.c - sessions that break, clients that confirm too early, claim what is not theirs, ask twice. */
#include "walk.h"

#include <stdio.h>

void client_opens(sim *s, uint32_t i)
{
    core_event e = {.kind = EVENT_SESSION_OPEN,
                    .session = {.user = {1000 + i % 3}, .pid = (int32_t)i, .operator_ = i == 0, .link = i + 1}};
    walk_step(s, &e);
    const effect_reply *r = world_reply(&s->w);
    if (!r || r->status)
        return;
    s->sessions[i] = r->session;
    s->attached[i] = true;
}

void client_event(sim *s, uint32_t i, event_kind kind)
{
    core_event e = {.kind = kind,
                    .session = {.session = s->sessions[i], .user = {1000 + i % 3}, .operator_ = i == 0, .link = i + 1}};
    s->attached[i] = false;
    world_step(&s->w, &e);
    walk_absorb(s);
    if (kind == EVENT_SESSION_REATTACH && world_reply(&s->w) && world_reply(&s->w)->status == 0)
        s->attached[i] = true;
    else if (kind != EVENT_SESSION_BROKEN)
        s->sessions[i].v = 0;
}

/* Any allocation or claim at random: mostly one that the session may use. */
static bool some_allocation(sim *s, session_id owner, allocation_view *ret)
{
    totals_view t;
    view_totals(s->w.core, &t);
    if (!t.allocations)
        return false;
    uint32_t cursor = 0, skip = walk_below(s, t.allocations), seen = 0;
    bool found = false;
    for (allocation_view v; view_allocation(s->w.core, &cursor, &v);) {
        if (v.owner.v != owner.v && walk_below(s, 30))
            continue;
        *ret = v;
        found = true;
        if (seen++ >= skip)
            break;
    }
    return found;
}

static bool some_claim(sim *s, claim_view *ret)
{
    totals_view t;
    view_totals(s->w.core, &t);
    if (!t.claims)
        return false;
    uint32_t cursor = walk_below(s, t.claims);
    return view_claim(s->w.core, &cursor, ret);
}

static recall_id some_recall(sim *s, allocation_id a)
{
    uint32_t cursor = 0;
    recall_id id = {0};
    for (recall_view v; view_recall(s->w.core, &cursor, &v);)
        if (v.record.allocation.v == a.v && (id.v == 0 || walk_below(s, 2)))
            id = v.record.id;
    return walk_below(s, 3) ? id : (recall_id){0};
}

static void allocate(sim *s, core_event *e)
{
    static const uint32_t kinds[] = {0,
                                     TERM_GROWABLE | TERM_RECALLABLE,
                                     TERM_GROWABLE | TERM_RECALLABLE | TERM_REVOCABLE,
                                     TERM_SHRINKABLE,
                                     TERM_CONTIGUOUS,
                                     TERM_ONE_HOST | TERM_SHRINKABLE,
                                     TERM_ONE_HOST | TERM_GROWABLE | TERM_RECALLABLE,
                                     TERM_NO_WAIT,
                                     TERM_STAY,
                                     TERM_STAY | TERM_GROWABLE | TERM_RECALLABLE | TERM_REVOCABLE,
                                     TERM_SHRINKABLE | TERM_RECALLABLE | TERM_LONG_RUNNING};
    uint32_t flags = kinds[walk_below(s, sizeof(kinds) / sizeof(kinds[0]))];
    chunks_t want = 1 + walk_below(s, 12), min = flags & TERM_GROWABLE ? walk_below(s, want) : 1 + walk_below(s, want);
    e->kind = EVENT_ALLOCATE;
    e->allocate.terms = world_terms(MIB(64) * (1 + walk_below(s, 24)), want, min, flags);
    e->allocate.terms.notice_ms = 50 + walk_below(s, 2000);
    e->allocate.terms.wait_ms = walk_below(s, 2) ? MS_NEVER : 1 + walk_below(s, 20000);
    e->allocate.terms.priority = (int32_t)walk_below(s, 3) - 1;
    e->allocate.dry_run = walk_below(s, 12) == 0;
    if (walk_below(s, 12) == 0)
        snprintf(e->allocate.terms.filter, FILTER_MAX, "%sgpu", walk_below(s, 2) ? "!" : "");
    else if (walk_below(s, 10) == 0)
        snprintf(e->allocate.terms.filter, FILTER_MAX, "%shost%u", walk_below(s, 2) ? "!" : "", walk_below(s, HOSTS));
}

static void claim(sim *s, core_event *e, const allocation_view *a, const holding_view *h, uint32_t what)
{
    e->kind = EVENT_CLAIM;
    e->claim.id = a->id;
    e->claim.host = h->host;
    e->claim.chunks = 1 + walk_below(s, 2);
    e->claim.handle = walk_below(s, 2) ? 5 : 0;
    if (a->state == ALLOCATION_WAITING && walk_below(s, 4)) { /* its process waits under its limit */
        e->claim.host.v = walk_below(s, HOSTS);
        e->claim.chunks = 0;
        e->claim.handle = 5;
    }
    snprintf(e->claim.command, COMMAND_MAX, "task %u", what);
}

/* What an event of giving back points to, until it was stepped. */
typedef struct {
    extent extents[2];
    offer_item items[16];
} pointed;

static void release(sim *s, core_event *e, const allocation_view *a, const holding_view *h, pointed *to)
{
    e->kind = EVENT_RELEASE;
    e->release.id = a->id;
    e->release.recall = some_recall(s, a->id);
    to->extents[0] = (extent){h->host, 1 + walk_below(s, h->held + 1)};
    to->extents[1] = (extent){{walk_below(s, HOSTS)}, walk_below(s, 2)};
    e->release.extents = to->extents;
    e->release.n = walk_below(s, 8) ? 1 : walk_below(s, 3);
}

static void release_n(sim *s, core_event *e, const allocation_view *a, const holding_view *h, pointed *to)
{
    e->kind = EVENT_RELEASE_N;
    e->release_n.id = a->id;
    e->release_n.count = 1 + walk_below(s, 4);
    e->release_n.recall = some_recall(s, a->id);
    to->extents[0] = (extent){h->host, walk_below(s, 3)};
    e->release_n.busy = to->extents;
    e->release_n.n = walk_below(s, 2);
}

static void offer(sim *s, core_event *e, const allocation_view *a, const holding_view *h, pointed *to)
{
    e->kind = EVENT_OFFER;
    e->offer.id = a->id;
    e->offer.recall = some_recall(s, a->id);
    e->offer.n = walk_below(s, 16);
    for (uint32_t k = 0; k < e->offer.n; k++)
        to->items[k] = (offer_item){walk_below(s, 2) ? h->host : (host_id){walk_below(s, HOSTS)},
                                    walk_below(s, 3) ? walk_below(s, 5000) : MS_NEVER};
    e->offer.items = to->items;
    s->n_offers++;
}

static void use_claim(sim *s, core_event *e, const claim_view *c)
{
    static const event_kind kinds[] = {EVENT_ENTER, EVENT_EMPTY, EVENT_SHRINK, EVENT_CLOSE, EVENT_CLOSE};
    e->kind = kinds[walk_below(s, 5)];
    if (e->kind == EVENT_ENTER) {
        e->enter.gen = c->gen;
        e->enter.handle = 9;
        e->enter.fresh = walk_below(s, 2);
    } else if (e->kind == EVENT_SHRINK) {
        e->shrink.gen = c->gen;
        e->shrink.chunks = walk_below(s, c->chunks + (c->chunks == 0) + 1);
    } else if (e->kind == EVENT_CLOSE) {
        e->close.gen = c->gen;
        e->close.kill = walk_below(s, 2);
    } else {
        e->empty.gen = c->gen;
    }
}

static void anything_else(sim *s, core_event *e, const allocation_view *a)
{
    static const event_kind kinds[] = {EVENT_WANT,  EVENT_CANCEL,  EVENT_TRANSFER,      EVENT_RELEASE_FOREIGN,
                                       EVENT_DRAIN, EVENT_UNDRAIN, EVENT_RECALL_OUTCOME};
    e->kind = kinds[walk_below(s, 7)];
    if (e->kind == EVENT_WANT) {
        e->want.id = a->id;
        e->want.want = walk_below(s, 14);
    } else if (e->kind == EVENT_CANCEL) {
        e->cancel.id = a->id;
    } else if (e->kind == EVENT_TRANSFER) {
        e->transfer.id = a->id;
        e->transfer.to = s->sessions[walk_below(s, SESSIONS)];
    } else if (e->kind == EVENT_RELEASE_FOREIGN) {
        e->release_foreign.id = a->id;
        e->release_foreign.count = walk_below(s, 3);
    } else if (e->kind == EVENT_RECALL_OUTCOME) {
        e->outcome.id = some_recall(s, a->id);
    } else {
        e->drain.host.v = walk_below(s, HOSTS);
    }
}

void client_asks(sim *s, uint32_t i)
{
    pointed to;
    allocation_view a;
    claim_view c;
    core_event e = world_request(&s->w, s->sessions[i], EVENT_ALLOCATE);
    e.request.acked.v = e.request.number.v > 3 ? e.request.number.v - 3 : 0;
    if (walk_below(s, 15) == 0 && e.request.number.v > 2)
        e.request.number.v -= 1 + walk_below(s, 2); /* repeated */
    uint32_t what = walk_below(s, 20);
    bool have = some_allocation(s, s->sessions[i], &a);
    holding_view h = {0};
    uint32_t cursor = 0;
    for (holding_view v; have && view_holding(s->w.core, a.id, &cursor, &v);)
        if (cursor == 1 || walk_below(s, 2))
            h = v;
    if (what < 4 || !have)
        allocate(s, &e);
    else if (what < 9)
        claim(s, &e, &a, &h, what);
    else if (what < 12)
        release(s, &e, &a, &h, &to);
    else if (what == 12)
        release_n(s, &e, &a, &h, &to);
    else if (what == 13)
        offer(s, &e, &a, &h, &to);
    else if (what < 18 && some_claim(s, &c))
        use_claim(s, &e, &c);
    else
        anything_else(s, &e, &a);
    walk_step(s, &e);
}
