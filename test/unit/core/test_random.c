/*
 * test_random.c - a long seeded walk: five hosts, agents that answer late or refuse, sessions that break, clients that
 * confirm too early, hosts that reboot, brokers that restart.
 *
 * After every step core_check() runs; a judge of its own counts what the agents really have and compares it with what
 * the core sold; now and then the journal is replayed and compared byte for byte.
 */
#include <stdio.h>

#include "world.h"

enum { HOSTS = 5, SESSIONS = 12, GROUPS = 512, ORDERS = 4096 };

typedef struct {
    generation gen;
    bytes_t bytes;
    bool ending, running;
} group;

typedef struct {
    bool connected;
    char boot[8];
    uint32_t boots;
    host_id id;
    bytes_t total;
    bytes_t foreign;
    group groups[GROUPS];
    uint32_t n_groups;
    effect_order orders[ORDERS]; /* not yet carried out */
    uint32_t n_orders;
} machine;

typedef struct {
    world w;
    uint64_t seed;
    machine m[HOSTS];
    session_id sessions[SESSIONS];
    bool attached[SESSIONS];
    uint32_t gated, n_offers, n_restarts, grants, recalls, drained, revoked, replies, limits;
    bool tiny; /* the tables are too small: a refusal must leave no trace */
    char before[1u << 16], after[1u << 16];
} sim;

static uint64_t roll(sim *s)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed * 0x2545f4914f6cdd1du >> 11;
}

static uint32_t below(sim *s, uint32_t n)
{
    return (uint32_t)(roll(s) % n);
}

static group *group_find(machine *m, generation g)
{
    for (uint32_t i = 0; i < m->n_groups; i++)
        if (m->groups[i].gen.v == g.v)
            return &m->groups[i];
    return NULL;
}

static void group_remove(machine *m, group *g)
{
    *g = m->groups[--m->n_groups];
}

/* What the core asked for is queued at the machines; replies and pushes are counted. */
static void absorb(sim *s)
{
    for (uint32_t i = 0; i < s->w.effects.count; i++) {
        const core_effect *e = &s->w.effects.items[i];
        if (e->kind == EFFECT_REPLY)
            s->replies++;
        if (e->kind == EFFECT_NOTE && e->note.kind == NOTE_GRANTED)
            s->grants++;
        if (e->kind == EFFECT_NOTE && e->note.kind == NOTE_RECALL)
            s->recalls++;
        if (e->kind == EFFECT_NOTE && e->note.kind == NOTE_REVOKED)
            s->revoked++;
        if (e->kind != EFFECT_ORDER)
            continue;
        machine *m = &s->m[e->order.host.v];
        assert_true(m->connected);
        assert_true(m->n_orders < ORDERS);
        m->orders[m->n_orders++] = e->order;
    }
}

typedef struct {
    char *at, *end;
} picture;

/* Everything durable but the answers themselves, and how far sessions have come. */
static int paint(void *userdata, const core_record *record)
{
    picture *p = userdata;
    if (record->kind == RECORD_ANSWER || record->kind == RECORD_SESSION)
        return 0;
    size_t n = record_encode(record, (uint8_t *)p->at, (size_t)(p->end - p->at));
    assert_true(n > 0);
    p->at += n;
    return 0;
}

static size_t export_into(const sim *s, char *to, size_t size)
{
    picture p = {to, to + size};
    assert_int_equal(core_export(s->w.core, paint, &p), 0);
    return (size_t)(p.at - to);
}

static void step(sim *s, const core_event *e)
{
    size_t was = s->tiny ? export_into(s, s->before, sizeof(s->before)) : 0;
    bool quiet = s->tiny && core_next_deadline(s->w.core) > s->w.now; /* nothing else is due */
    world_step(&s->w, e);
    absorb(s);
    const effect_reply *r = world_reply(&s->w);
    if (r && r->status == STATUS_LIMIT) {
        s->limits++;
        if (quiet) {
            assert_int_equal(export_into(s, s->after, sizeof(s->after)), was);
            assert_memory_equal(s->before, s->after, was);
        }
    }
    for (int i = 0; i < 100 && core_next_deadline(s->w.core) == 0; i++) {
        world_tick(&s->w, 0);
        absorb(s);
    }
}

/* The judge: no machine is asked to hold more than was sold there, and no sum is above its total by a grant. */
static void judge(sim *s)
{
    for (int i = 0; i < HOSTS; i++) {
        host_view v = world_view(&s->w, s->m[i].id);
        bytes_t groups = 0;
        for (uint32_t k = 0; k < s->m[i].n_groups; k++) {
            claim_view c;
            if (view_claim_by_gen(s->w.core, s->m[i].groups[k].gen, &c) < 0)
                continue;
            allocation_view a = world_allocation(&s->w, c.allocation);
            if (c.chunks)
                groups += s->m[i].groups[k].bytes;
            else
                assert_int_equal(s->m[i].groups[k].bytes, drain_tolerance(a.terms->chunk_size));
            s->gated += c.chunks == 0;
        }
        assert_true(groups <= v.granted + v.returning + v.quarantine);
        if (s->m[i].foreign == 0 && v.foreign == 0)
            assert_int_equal(v.overdraft, 0);
    }
}

static void carry_out(sim *s, machine *m)
{
    if (!m->n_orders || !m->connected)
        return;
    effect_order o = m->orders[0];
    memmove(m->orders, m->orders + 1, --m->n_orders * sizeof(o));
    group *g = group_find(m, o.gen);
    bool refuse = below(s, 20) == 0;
    switch (o.kind) {
    case ORDER_OPEN:
        if (!refuse && !g && m->n_groups < GROUPS)
            m->groups[m->n_groups++] = (group){o.gen, o.bytes, false, true};
        world_answer(&s->w, EVENT_CLAIM_OPENED, o.host, o.gen, refuse ? STATUS_DEAD : 0, o.tag);
        break;
    case ORDER_ENTER:
        world_answer(&s->w, EVENT_CLAIM_ENTERED, o.host, o.gen, refuse ? STATUS_DEAD : 0, o.tag);
        break;
    case ORDER_EMPTY:
        world_answer(&s->w, EVENT_CLAIM_EMPTIED, o.host, o.gen, 0, o.tag);
        break;
    case ORDER_LIMIT:
        if (g && !refuse)
            g->bytes = o.bytes;
        world_answer(&s->w, EVENT_CLAIM_LIMITED, o.host, o.gen, refuse || !g ? STATUS_STATE : 0, o.tag);
        break;
    case ORDER_END:
        if (g) {
            g->ending = true;
            g->running = g->running && !o.kill;
        }
        return;
    case ORDER_EXPECT:
        if (!g && m->n_groups < GROUPS)
            m->groups[m->n_groups++] = (group){o.gen, o.bytes, o.ending, false};
        else if (g)
            g->ending |= o.ending;
        if (g && o.kill)
            g->running = false;
        return;
    case ORDER_CLOSE:
        if (g)
            group_remove(m, g);
        return;
    default:
        return;
    }
    absorb(s);
}

static void task_ends(sim *s, machine *m)
{
    if (!m->connected || !m->n_groups)
        return;
    group *g = &m->groups[below(s, m->n_groups)];
    for (uint32_t i = 0; i < m->n_groups && !g->ending && below(s, 4); i++)
        g = &m->groups[i];
    core_event e = {.kind = EVENT_CLAIM_USE,
                    .use = {.host = m->id, .gen = g->gen, .used = 1000, .peak = 2000, .processes = g->running}};
    g->running = false;
    step(s, &e);
    if (!g->ending || below(s, 4) == 0)
        return;
    e.kind = EVENT_CLAIM_DRAINED;
    s->drained++;
    step(s, &e);
}

static void hello(sim *s, machine *m, bool reboot)
{
    if (reboot) {
        m->n_groups = 0;
        m->boots++;
    }
    m->n_orders = 0;
    m->connected = true;
    char name[8];
    snprintf(name, sizeof(name), "host%u", (unsigned)(m - s->m) % HOSTS);
    snprintf(m->boot, sizeof(m->boot), "b%u", m->boots);
    core_event e = {.kind = EVENT_HOST_HELLO, .hello = {.physical = m->total, .total = m->total, .cores = 4}};
    memcpy(e.hello.name, name, sizeof(name));
    memcpy(e.hello.boot_id, m->boot, sizeof(m->boot));
    step(s, &e);
    host_view v;
    assert_int_equal(view_host_by_name(s->w.core, name, &v), 0);
    m->id = v.id;
    core_event sample = {.kind = EVENT_HOST_SAMPLE, .sample = {m->id, m->foreign, 0}};
    step(s, &sample);
}

static void session_opened(sim *s, uint32_t i)
{
    core_event e = {.kind = EVENT_SESSION_OPEN,
                    .session = {.user = {1000 + i % 3}, .pid = (int32_t)i, .operator_ = i == 0, .link = i + 1}};
    step(s, &e);
    const effect_reply *r = world_reply(&s->w);
    if (!r || r->status)
        return;
    s->sessions[i] = r->session;
    s->attached[i] = true;
}

static void session_event(sim *s, uint32_t i, event_kind kind)
{
    core_event e = {.kind = kind,
                    .session = {.session = s->sessions[i], .user = {1000 + i % 3}, .operator_ = i == 0, .link = i + 1}};
    s->attached[i] = false;
    world_step(&s->w, &e);
    absorb(s);
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
    uint32_t cursor = 0, skip = below(s, t.allocations), seen = 0;
    bool found = false;
    for (allocation_view v; view_allocation(s->w.core, &cursor, &v);) {
        if (v.owner.v != owner.v && below(s, 30))
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
    uint32_t cursor = below(s, t.claims);
    return view_claim(s->w.core, &cursor, ret);
}

static recall_id some_recall(sim *s, allocation_id a)
{
    uint32_t cursor = 0;
    recall_id id = {0};
    for (recall_view v; view_recall(s->w.core, &cursor, &v);)
        if (v.record.allocation.v == a.v && (id.v == 0 || below(s, 2)))
            id = v.record.id;
    return below(s, 3) ? id : (recall_id){0};
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
    uint32_t flags = kinds[below(s, sizeof(kinds) / sizeof(kinds[0]))];
    chunks_t want = 1 + below(s, 12), min = flags & TERM_GROWABLE ? below(s, want) : 1 + below(s, want);
    e->kind = EVENT_ALLOCATE;
    e->allocate.terms = world_terms(MIB(64) * (1 + below(s, 24)), want, min, flags);
    e->allocate.terms.notice_ms = 50 + below(s, 2000);
    e->allocate.terms.wait_ms = below(s, 2) ? MS_NEVER : 1 + below(s, 20000);
    e->allocate.dry_run = below(s, 12) == 0;
    if (below(s, 10) == 0)
        snprintf(e->allocate.terms.filter, FILTER_MAX, "%shost%u", below(s, 2) ? "!" : "", below(s, HOSTS));
}

static void claim(sim *s, core_event *e, const allocation_view *a, const holding_view *h, uint32_t what)
{
    e->kind = EVENT_CLAIM;
    e->claim.id = a->id;
    e->claim.host = h->host;
    e->claim.chunks = 1 + below(s, 2);
    e->claim.handle = below(s, 2) ? 5 : 0;
    if (a->state == ALLOCATION_WAITING && below(s, 4)) { /* its process waits under its limit */
        e->claim.host.v = below(s, HOSTS);
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
    to->extents[0] = (extent){h->host, 1 + below(s, h->held + 1)};
    to->extents[1] = (extent){{below(s, HOSTS)}, below(s, 2)};
    e->release.extents = to->extents;
    e->release.n = below(s, 8) ? 1 : below(s, 3);
}

static void release_n(sim *s, core_event *e, const allocation_view *a, const holding_view *h, pointed *to)
{
    e->kind = EVENT_RELEASE_N;
    e->release_n.id = a->id;
    e->release_n.count = 1 + below(s, 4);
    e->release_n.recall = some_recall(s, a->id);
    to->extents[0] = (extent){h->host, below(s, 3)};
    e->release_n.busy = to->extents;
    e->release_n.n = below(s, 2);
}

static void offer(sim *s, core_event *e, const allocation_view *a, const holding_view *h, pointed *to)
{
    e->kind = EVENT_OFFER;
    e->offer.id = a->id;
    e->offer.recall = some_recall(s, a->id);
    e->offer.n = below(s, 16);
    for (uint32_t k = 0; k < e->offer.n; k++)
        to->items[k] =
            (offer_item){below(s, 2) ? h->host : (host_id){below(s, HOSTS)}, below(s, 3) ? below(s, 5000) : MS_NEVER};
    e->offer.items = to->items;
    s->n_offers++;
}

static void use_claim(sim *s, core_event *e, const claim_view *c)
{
    static const event_kind kinds[] = {EVENT_ENTER, EVENT_EMPTY, EVENT_SHRINK, EVENT_CLOSE, EVENT_CLOSE};
    e->kind = kinds[below(s, 5)];
    if (e->kind == EVENT_ENTER) {
        e->enter.gen = c->gen;
        e->enter.handle = 9;
        e->enter.fresh = below(s, 2);
    } else if (e->kind == EVENT_SHRINK) {
        e->shrink.gen = c->gen;
        e->shrink.chunks = below(s, c->chunks + (c->chunks == 0) + 1);
    } else if (e->kind == EVENT_CLOSE) {
        e->close.gen = c->gen;
        e->close.kill = below(s, 2);
    } else {
        e->empty.gen = c->gen;
    }
}

static void anything_else(sim *s, core_event *e, const allocation_view *a)
{
    static const event_kind kinds[] = {EVENT_WANT,  EVENT_CANCEL,  EVENT_TRANSFER,      EVENT_RELEASE_FOREIGN,
                                       EVENT_DRAIN, EVENT_UNDRAIN, EVENT_RECALL_OUTCOME};
    e->kind = kinds[below(s, 7)];
    if (e->kind == EVENT_WANT) {
        e->want.id = a->id;
        e->want.want = below(s, 14);
    } else if (e->kind == EVENT_CANCEL) {
        e->cancel.id = a->id;
    } else if (e->kind == EVENT_TRANSFER) {
        e->transfer.id = a->id;
        e->transfer.to = s->sessions[below(s, SESSIONS)];
    } else if (e->kind == EVENT_RELEASE_FOREIGN) {
        e->release_foreign.id = a->id;
        e->release_foreign.count = below(s, 3);
    } else if (e->kind == EVENT_RECALL_OUTCOME) {
        e->outcome.id = some_recall(s, a->id);
    } else {
        e->drain.host.v = below(s, HOSTS);
    }
}

static void request(sim *s, uint32_t i)
{
    pointed to;
    allocation_view a;
    claim_view c;
    core_event e = world_request(&s->w, s->sessions[i], EVENT_ALLOCATE);
    e.request.acked.v = e.request.number.v > 3 ? e.request.number.v - 3 : 0;
    if (below(s, 15) == 0 && e.request.number.v > 2)
        e.request.number.v -= 1 + below(s, 2); /* repeated */
    uint32_t what = below(s, 20);
    bool have = some_allocation(s, s->sessions[i], &a);
    holding_view h = {0};
    uint32_t cursor = 0;
    for (holding_view v; have && view_holding(s->w.core, a.id, &cursor, &v);)
        if (cursor == 1 || below(s, 2))
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
    step(s, &e);
}

static void restart(sim *s)
{
    world_restart(&s->w, below(s, 4) != 0);
    s->n_restarts++;
    for (int i = 0; i < HOSTS; i++) {
        s->m[i].connected = false;
        s->m[i].n_orders = 0;
    }
    for (int i = 0; i < SESSIONS; i++)
        s->attached[i] = false;
}

static void one(sim *s)
{
    uint32_t what = below(s, 1000), i = below(s, SESSIONS);
    machine *m = &s->m[below(s, HOSTS)];
    if (what < 400) {
        if (!s->sessions[i].v)
            session_opened(s, i);
        else if (s->attached[i])
            request(s, i);
        else if (below(s, 8) == 0)
            session_event(s, i, EVENT_SESSION_REATTACH);
    } else if (what < 650) {
        carry_out(s, m);
    } else if (what < 850) {
        task_ends(s, m);
    } else if (what < 960) {
        world_tick(&s->w, below(s, 10) ? below(s, 100) : below(s, 15000));
        absorb(s);
    } else if (what < 975) {
        m->foreign = below(s, 3) ? 0 : MIB(64) * below(s, 40);
        core_event e = {.kind = EVENT_HOST_SAMPLE, .sample = {m->id, m->foreign, 0}};
        if (m->connected)
            step(s, &e);
    } else if (what < 990) {
        if (!m->connected) {
            hello(s, m, below(s, 4) == 0);
        } else if (below(s, 6) == 0) {
            core_event e = {.kind = EVENT_HOST_GONE, .gone = m->id};
            m->connected = false;
            m->n_orders = 0;
            step(s, &e);
        }
    } else if (what < 998) {
        if (s->sessions[i].v && below(s, 2))
            session_event(s, i, below(s, 2) ? EVENT_SESSION_BROKEN : EVENT_SESSION_END);
    } else if (below(s, 4) == 0) {
        restart(s);
    } else {
        world_replay(&s->w);
    }
}

/* Over all walks: what a walk that does nothing would not reach. */
static uint32_t sums[6], limits_seen;

static void walk(uint64_t seed, uint32_t steps, const core_limits *tiny)
{
    sim *s = calloc(1, sizeof(sim));
    assert_non_null(s);
    if (tiny)
        world_open_with(&s->w, *tiny);
    else
        world_open(&s->w);
    s->tiny = tiny != NULL;
    s->seed = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < HOSTS; i++) {
        s->m[i].total = GIB(2) + MIB(512) * (unsigned)i;
        hello(s, &s->m[i], true);
    }
    for (uint32_t i = 0; i < steps; i++) {
        one(s);
        if (i % 8 == 0)
            judge(s);
    }
    world_replay(&s->w);
    print_message("seed %ju: %u steps, %u grants, %u recalls, %u revoked, %u drained, %u restarts, %u limits\n",
                  (uintmax_t)seed, steps, s->grants, s->recalls, s->revoked, s->drained, s->n_restarts, s->limits);
    /* Everybody leaves; the machines carry out and drain: the books must be empty. */
    for (int i = 0; i < HOSTS; i++)
        if (!s->m[i].connected)
            hello(s, &s->m[i], false);
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (s->sessions[i].v)
            session_event(s, i, EVENT_SESSION_END);
    for (int round = 0; round < 4000; round++) {
        for (int i = 0; i < HOSTS; i++) {
            carry_out(s, &s->m[i]);
            task_ends(s, &s->m[i]);
        }
        world_tick(&s->w, 100);
        absorb(s);
    }
    totals_view t;
    view_totals(s->w.core, &t);
    assert_int_equal(t.claims, 0);
    assert_int_equal(t.allocations, 0);
    assert_int_equal(t.recalls, 0);
    for (int i = 0; i < HOSTS; i++) {
        host_view v = world_view(&s->w, s->m[i].id);
        assert_int_equal(v.granted + v.returning + v.held + v.quarantine, 0);
        assert_int_equal(s->m[i].n_groups, 0);
    }
    world_replay(&s->w);
    world_close(&s->w);
    uint32_t seen[] = {s->grants, s->recalls, s->revoked, s->drained, s->n_restarts, s->gated};
    for (int i = 0; i < 6; i++)
        sums[i] += tiny ? 0 : seen[i];
    limits_seen += s->limits;
    free(s);
}

static void test_walks(void **state)
{
    (void)state;
    const char *only = getenv("GRANARY_TEST_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only ? first : 4;
    for (uint64_t seed = first; seed <= last; seed++)
        walk(seed, 10000, NULL);
    if (!only)
        for (int i = 0; i < 6; i++)
            assert_true(sums[i] > 5);
}

/* Every table is too small, one after the other and all at once. */
static void test_tiny_tables(void **state)
{
    (void)state;
    for (uint32_t which = 0; which <= 8; which++) {
        core_limits l = {.hosts = HOSTS,
                         .users = 8,
                         .sessions = 32,
                         .allocations = 64,
                         .holdings = 256,
                         .claims = 256,
                         .recalls = 64,
                         .answers = 512};
        uint32_t *fields[] = {&l.users, &l.sessions, &l.allocations, &l.holdings, &l.claims, &l.recalls, &l.answers};
        static const uint32_t least[] = {2, 3, 4, 4, 3, 2, 3};
        for (uint32_t i = 0; i < 7; i++)
            if (which == i || which == 7)
                *fields[i] = least[i];
            else if (which == 8)
                *fields[i] = 1;
        for (uint64_t seed = 1; seed <= 2; seed++) {
            limits_seen = 0;
            walk(100 * which + seed, 3000, &l);
        }
        print_message("table %u: %u limits\n", which, limits_seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walks), cmocka_unit_test(test_tiny_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
