/*
 * steps.c - a sequence of events into the core, with names that are mostly of things that exist.
 *
 * Unlike the events of the property test these may be wrong: other users' allocations, claims of other hosts, numbers
 * that were used, agents that answer what nobody asked and measure what cannot be, clocks that jump. What the daemon
 * would refuse from the wire (no chunks, texts that do not end) is not made. Judged by core_check() after every step,
 * and by the journal.
 */
#include "books.h"
#include "fuzz.h"

#include "base/status.h"
#include "base/text.h"
#include "core/view.h"

#define SESSIONS 8u
#define ORDERS   32u /* the last ones, for agents to answer */
#define EXTENTS  8u
#define STEPS    400u

typedef struct {
    books books, spare;
    fuzz_input in;
    ms_t now;
    struct {
        session_id id;
        uint8_t token;
        uint64_t link, number;
        user_id user;
    } sessions[SESSIONS];
    uint64_t links;
    effect_order orders[ORDERS];
    unsigned n_orders; /* ever */
    extent extents[EXTENTS];
    offer_item items[EXTENTS];
    generation groups[EXTENTS];
} walk;

static walk w;

/* One name in sixteen is any number at all. */
static bool wrong(void)
{
    return fuzz_byte(&w.in) >= 0xf0;
}

/* ---- names of what exists ---- */

static allocation_id some_allocation(void)
{
    allocation_view v = {0};
    uint32_t cursor = 0;
    if (wrong())
        return (allocation_id){fuzz_count(&w.in)};
    for (uint32_t n = fuzz_below(&w.in, 10) + 1; n > 0 && view_allocation(w.books.core, &cursor, &v);)
        n--;
    return v.id;
}

static generation some_claim(void)
{
    claim_view v = {0};
    uint32_t cursor = 0;
    if (wrong())
        return (generation){fuzz_count(&w.in)};
    for (uint32_t n = fuzz_below(&w.in, 16) + 1; n > 0 && view_claim(w.books.core, &cursor, &v);)
        n--;
    return v.gen;
}

static recall_id some_recall(void)
{
    recall_view v = {0};
    uint32_t cursor = 0;
    if (fuzz_byte(&w.in) < 0x40)
        return (recall_id){0};
    if (wrong())
        return (recall_id){fuzz_count(&w.in)};
    for (uint32_t n = fuzz_below(&w.in, 12) + 1; n > 0 && view_recall(w.books.core, &cursor, &v);)
        n--;
    return v.record.id;
}

static host_id some_host(void)
{
    return (host_id){wrong() ? (uint32_t)fuzz_count(&w.in) : fuzz_below(&w.in, 4)};
}

/* Of the owner, when the allocation has one here. */
static unsigned session_of(allocation_id id)
{
    allocation_view v;
    unsigned i = fuzz_below(&w.in, SESSIONS * 4);
    if (i < SESSIONS)
        return i;
    if (view_allocation_by_id(w.books.core, id, &v) == 0)
        for (unsigned k = 0; k < SESSIONS; k++)
            if (w.sessions[k].id.v == v.owner.v)
                return k;
    return i % SESSIONS;
}

static chunks_t some_chunks(void)
{
    return wrong() ? (chunks_t)fuzz_count(&w.in) : fuzz_below(&w.in, 8);
}

static uint32_t some_extents(allocation_id id)
{
    uint32_t n = 0, cursor = 0;
    uint64_t sum = 0;
    holding_view v;
    while (n < EXTENTS && view_holding(w.books.core, id, &cursor, &v)) {
        uint8_t how = fuzz_byte(&w.in);
        chunks_t chunks = how & 1 ? v.held : how & 2 ? 1 : how & 4 ? some_chunks() : 0;
        if (chunks > 0)
            w.extents[n++] = (extent){v.host, chunks};
    }
    if (wrong() && n < EXTENTS)
        w.extents[n++] = (extent){some_host(), 1 + fuzz_below(&w.in, 4)};
    for (uint32_t i = 0; i < n; i++)
        sum += w.extents[i].chunks;
    return sum > UINT32_MAX ? 0 : n;
}

/* ---- steps ---- */

static void step(const core_event *e)
{
    books_step(&w.books, w.now, e);
    for (uint32_t i = 0; i < w.books.effects.count; i++) {
        const core_effect *x = &w.books.effects.items[i];
        if (x->kind == EFFECT_ORDER)
            w.orders[w.n_orders++ % ORDERS] = x->order;
    }
}

static void request(unsigned session, core_event *e)
{
    bool again = fuzz_byte(&w.in) >= 0xf0;
    uint64_t number = again ? fuzz_count(&w.in) : ++w.sessions[session].number;
    e->request.session = w.sessions[session].id;
    e->request.number.v = number;
    e->request.acked.v = fuzz_byte(&w.in) < 0xe0 ? (number > 4 ? number - 4 : 0) : fuzz_count(&w.in);
    step(e);
    unsigned answers = 0;
    for (uint32_t i = 0; i < w.books.effects.count; i++) {
        const core_effect *x = &w.books.effects.items[i];
        answers += x->kind == EFFECT_REPLY && x->reply.session.v == e->request.session.v && x->reply.number.v == number;
    }
    assert(answers <= 1);
}

/* ---- what may happen ---- */

static void do_session(void)
{
    unsigned i = fuzz_below(&w.in, SESSIONS);
    core_event e = {.kind = EVENT_SESSION_OPEN + fuzz_below(&w.in, 4)};
    if (w.sessions[i].id.v == 0)
        e.kind = EVENT_SESSION_OPEN;
    e.session.session = wrong() ? (session_id){fuzz_count(&w.in)} : w.sessions[i].id;
    e.session.user.v = e.kind == EVENT_SESSION_OPEN ? fuzz_below(&w.in, 5) : w.sessions[i].user.v;
    e.session.token[0] = e.kind == EVENT_SESSION_OPEN ? fuzz_byte(&w.in) : w.sessions[i].token;
    e.session.operator_ = fuzz_byte(&w.in) & 1;
    e.session.pid = (int32_t)fuzz_below(&w.in, 5);
    e.session.link = e.kind == EVENT_SESSION_BROKEN || e.kind == EVENT_SESSION_END ? w.sessions[i].link : ++w.links;
    step(&e);
    for (uint32_t k = 0; k < w.books.effects.count; k++) {
        const core_effect *x = &w.books.effects.items[k];
        if (x->kind != EFFECT_REPLY || x->reply.status != 0 || x->reply.link != e.session.link)
            continue;
        if (e.kind == EVENT_SESSION_OPEN)
            w.sessions[i].number = 0;
        w.sessions[i].id = x->reply.session;
        w.sessions[i].user = e.session.user;
        w.sessions[i].token = e.session.token[0];
        w.sessions[i].link = e.session.link;
    }
}

static void do_allocate(void)
{
    static const char *const filters[] = {"", "", "", "a", "!a", "a,b", "gpu", "!gpu,b", "rack=7"};
    core_event e = {.kind = EVENT_ALLOCATE};
    allocation_terms *t = &e.allocate.terms;
    uint64_t all;
    t->label[0] = (char)('a' + fuzz_below(&w.in, 3));
    const char *filter = filters[fuzz_below(&w.in, 9)];
    memcpy(t->filter, filter, strlen(filter) + 1);
    if (wrong())
        fuzz_text(&w.in, t->filter, sizeof t->filter);
    if (!text_printable(t->filter))
        t->filter[0] = '\0';
    t->chunk_size = wrong() ? fuzz_count(&w.in) : MIB(64) * (1 + fuzz_below(&w.in, 24));
    t->want = 1 + some_chunks();
    if (t->want == 0 || t->chunk_size == 0 || __builtin_mul_overflow(t->chunk_size, (uint64_t)t->want, &all) ||
        all > INT64_MAX)
        return;
    t->flags = (uint32_t)fuzz_number(&w.in, 2) & TERM_ALL;
    t->min = fuzz_byte(&w.in) % (t->want < 255 ? t->want + 1 : 255);
    if (t->min == 0 && !(t->flags & TERM_GROWABLE))
        t->min = t->want;
    t->priority = fuzz_below(&w.in, 4) ? 0 : (int8_t)fuzz_byte(&w.in);
    t->notice_ms = wrong() ? fuzz_count(&w.in) : 10u * (1 + fuzz_below(&w.in, 255));
    t->wait_ms = fuzz_byte(&w.in) & 1 ? MS_NEVER : 1 + fuzz_count(&w.in) / 2;
    e.allocate.dry_run = fuzz_below(&w.in, 8) == 0;
    request(fuzz_below(&w.in, SESSIONS), &e);
}

static void do_give(void)
{
    core_event e = {.kind = EVENT_WANT + fuzz_below(&w.in, 4)};
    allocation_id id = some_allocation();
    switch (e.kind) {
    case EVENT_WANT:
        e.want.id = id;
        e.want.want = some_chunks();
        break;
    case EVENT_RELEASE:
        e.release.id = id;
        e.release.recall = some_recall();
        e.release.extents = w.extents;
        e.release.n = some_extents(id);
        break;
    case EVENT_RELEASE_N:
        e.release_n.id = id;
        e.release_n.recall = some_recall();
        e.release_n.count = some_chunks();
        e.release_n.busy = w.extents;
        e.release_n.n = some_extents(id);
        break;
    default:
        e.offer.id = id;
        e.offer.recall = some_recall();
        e.offer.items = w.items;
        for (uint32_t n = fuzz_below(&w.in, EXTENTS + 1); e.offer.n < n; e.offer.n++)
            w.items[e.offer.n] = (offer_item){some_host(), fuzz_byte(&w.in) & 1 ? MS_NEVER : fuzz_count(&w.in)};
    }
    request(session_of(id), &e);
}

static void do_claim(void)
{
    core_event e = {.kind = EVENT_CLAIM + fuzz_below(&w.in, 5)};
    claim_view v = {0};
    allocation_id id = some_allocation();
    generation gen = some_claim();
    if (e.kind != EVENT_CLAIM && view_claim_by_gen(w.books.core, gen, &v) == 0)
        id = v.allocation;
    switch (e.kind) {
    case EVENT_CLAIM:
        e.claim.id = id;
        e.claim.host = some_host();
        e.claim.chunks = some_chunks();
        e.claim.handle = fuzz_below(&w.in, 2);
        e.claim.command[0] = 'x';
        break;
    case EVENT_ENTER:
        e.enter.gen = gen;
        e.enter.handle = fuzz_below(&w.in, 4) > 0;
        e.enter.fresh = fuzz_byte(&w.in) & 1;
        break;
    case EVENT_SHRINK:
        e.shrink.gen = gen;
        e.shrink.chunks = some_chunks();
        if (e.shrink.chunks == 0)
            return;
        break;
    case EVENT_EMPTY:
        e.empty.gen = gen;
        break;
    default:
        e.close.gen = gen;
        e.close.kill = fuzz_byte(&w.in) & 1;
    }
    request(session_of(id), &e);
}

static void do_other(void)
{
    static const event_kind kinds[] = {EVENT_CANCEL,          EVENT_TRANSFER, EVENT_RECALL_OUTCOME,
                                       EVENT_RELEASE_FOREIGN, EVENT_DRAIN,    EVENT_UNDRAIN};
    core_event e = {.kind = kinds[fuzz_below(&w.in, 6)]};
    allocation_id id = some_allocation();
    switch (e.kind) {
    case EVENT_CANCEL:
        e.cancel.id = id;
        break;
    case EVENT_TRANSFER:
        e.transfer.id = id;
        e.transfer.to = wrong() ? (session_id){fuzz_count(&w.in)} : w.sessions[fuzz_below(&w.in, SESSIONS)].id;
        break;
    case EVENT_RECALL_OUTCOME:
        e.outcome.id = some_recall();
        break;
    case EVENT_RELEASE_FOREIGN:
        e.release_foreign.id = id;
        e.release_foreign.count = some_chunks();
        break;
    default:
        e.drain.host.v = fuzz_below(&w.in, 5);
        host_view v;
        if (view_host_by_id(w.books.core, e.drain.host, &v) < 0)
            return;
    }
    request(session_of(id), &e);
}

static void do_hello(void)
{
    core_event e = {.kind = EVENT_HOST_HELLO};
    e.hello.name[0] = (char)('a' + fuzz_below(&w.in, 5));
    e.hello.boot_id[0] = (char)('1' + (fuzz_byte(&w.in) >= 0xe0));
    e.hello.physical = wrong() ? fuzz_count(&w.in) : GIB(1 + fuzz_below(&w.in, 4));
    e.hello.total = wrong() ? fuzz_count(&w.in) : e.hello.physical;
    e.hello.cores = fuzz_below(&w.in, 8);
    e.hello.limited = fuzz_byte(&w.in) < 0xc0;
    e.hello.groups = w.groups;
    for (uint32_t n = fuzz_below(&w.in, EXTENTS); e.hello.n_groups < n; e.hello.n_groups++)
        w.groups[e.hello.n_groups] = some_claim();
    step(&e);
}

static void do_answer(void)
{
    static const event_kind answers[] = {
        [ORDER_EXPECT] = EVENT_CLAIM_DRAINED, [ORDER_OPEN] = EVENT_CLAIM_OPENED,   [ORDER_ENTER] = EVENT_CLAIM_ENTERED,
        [ORDER_LIMIT] = EVENT_CLAIM_LIMITED,  [ORDER_EMPTY] = EVENT_CLAIM_EMPTIED, [ORDER_END] = EVENT_CLAIM_DRAINED,
        [ORDER_CLOSE] = EVENT_CLAIM_DRAINED};
    unsigned n = w.n_orders < ORDERS ? w.n_orders : ORDERS;
    if (n == 0)
        return;
    effect_order o = w.orders[(w.n_orders - 1 - fuzz_below(&w.in, ORDERS) % n) % ORDERS];
    core_event e = {.kind = answers[o.kind]};
    if (wrong())
        e.kind = EVENT_CLAIM_OPENED + fuzz_below(&w.in, 6);
    if (e.kind == 0)
        return;
    host_id host = wrong() ? some_host() : o.host;
    generation gen = wrong() ? some_claim() : o.gen;
    if (e.kind == EVENT_CLAIM_DRAINED || e.kind == EVENT_CLAIM_USE) {
        e.use = (event_claim_use){.host = host, .gen = gen, .peak = fuzz_count(&w.in)};
        e.use.used = wrong() ? fuzz_count(&w.in) : MIB(fuzz_byte(&w.in));
        e.use.processes = fuzz_below(&w.in, 3);
        e.use.cause = fuzz_below(&w.in, 3);
    } else {
        e.answer = (event_claim_answer){.host = host, .gen = gen, .tag = wrong() ? fuzz_count(&w.in) : o.tag};
        e.answer.status = wrong() ? (int8_t)fuzz_byte(&w.in) : 0;
        e.answer.other = wrong() ? some_claim() : (generation){0};
        e.answer.root = (claim_root){(int32_t)fuzz_below(&w.in, 3), 7};
        e.answer.cause = fuzz_below(&w.in, 3);
    }
    step(&e);
}

static void do_host(void)
{
    core_event e = {.kind = EVENT_HOST_SAMPLE};
    uint8_t how = fuzz_byte(&w.in);
    if (how < 0x10) {
        e = (core_event){.kind = EVENT_HOST_GONE, .gone = some_host()};
    } else if (how < 0x30) {
        e = (core_event){.kind = EVENT_CONFIG_HOST};
        e.config_host.name[0] = how < 0x18 ? '*' : (char)('a' + how % 5);
        e.config_host.total = fuzz_below(&w.in, 3) ? 0 : GIB(1 + fuzz_below(&w.in, 3));
        e.config_host.set_aside = fuzz_below(&w.in, 3) ? UINT64_MAX : MIB(fuzz_byte(&w.in));
        e.config_host.home = how & 1;
        e.config_host.permanent = how & 2;
        memcpy(e.config_host.labels, "gpu,rack=7", how & 4 ? 11 : 4);
        e.config_host.labels[how & 4 ? 10 : 3] = '\0';
    } else if (how < 0x40) {
        e = (core_event){.kind = EVENT_CONFIG_USER};
        e.config_user.user.v = how < 0x34 ? UINT32_MAX : how % 4;
        e.config_user.weight = fuzz_below(&w.in, 4);
        e.config_user.quota = fuzz_below(&w.in, 3) ? 0 : MIB(64) * (1 + fuzz_below(&w.in, 64));
    } else {
        e.sample.host = some_host();
        e.sample.claims_used = wrong() ? fuzz_count(&w.in) : MIB(fuzz_byte(&w.in));
        e.sample.in_use = wrong() ? fuzz_count(&w.in) : e.sample.claims_used + MIB(8) * fuzz_byte(&w.in);
    }
    step(&e);
}

static void do_time(void)
{
    static const uint32_t spans[] = {1, 20, 200, 1000, 5000, 30000, 100000};
    uint8_t how = fuzz_byte(&w.in);
    ms_t span = how < 0xfc ? 1 + spans[how % 7] * (ms_t)(1 + how / 64) : (ms_t)1 << (8 * (how - 0xfb));
    w.now += span;
    books_settle(&w.books, w.now);
}

/* What the screens ask. */
static void do_look(void)
{
    waiter_view waiter;
    set_view set;
    stranded_reason reason;
    totals_view totals;
    uint32_t n = 0;
    for (uint32_t cursor = 0; view_waiter(w.books.core, w.now, &cursor, &waiter); n++)
        assert(waiter.place == n + 1);
    view_totals(w.books.core, &totals);
    assert(n == totals.waiting);
    view_set(w.books.core, some_allocation(), &set);
    host_view host;
    for (uint32_t cursor = 0; view_host(w.books.core, &cursor, &host);)
        assert(view_stranded(w.books.core, host.id, &reason) <= host.free);
}

/* The broker dies and comes back. */
static void do_restart(void)
{
    books_prove_replay(&w.books, &w.spare);
    books other = w.spare; /* its core is loaded */
    w.spare = w.books;
    w.books = other;
    books_bytes journal = w.books.journal;
    w.books.journal = w.spare.journal;
    w.spare.journal = journal;
    bool same_boot = fuzz_byte(&w.in) & 1;
    w.now = same_boot ? w.now : 1;
    int r = core_recover(w.books.core, w.now, same_boot, &w.books.effects);
    assert(r == 0);
    books_keep(&w.books);
    books_check(&w.books);
    w.n_orders = 0;
}

static void act(void)
{
    uint8_t what = fuzz_byte(&w.in);
    if (what < 0x1c)
        do_session();
    else if (what < 0x48)
        do_allocate();
    else if (what < 0x70)
        do_give();
    else if (what < 0x98)
        do_claim();
    else if (what < 0xa4)
        do_other();
    else if (what < 0xac)
        do_hello();
    else if (what < 0xd0)
        do_answer();
    else if (what < 0xe4)
        do_host();
    else if (what < 0xf8)
        do_time();
    else if (what < 0xfc)
        do_look();
    else
        do_restart();
}

/* Two hosts that are up and a session: what nearly every step needs. */
static void begin(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        core_event hello = {.kind = EVENT_HOST_HELLO};
        hello.hello.name[0] = (char)('a' + i);
        hello.hello.boot_id[0] = '1';
        hello.hello.physical = hello.hello.total = GIB(2) << i;
        hello.hello.cores = 4;
        hello.hello.limited = true;
        step(&hello);
        step(&(core_event){.kind = EVENT_HOST_SAMPLE, .sample = {.host = {i}}});
    }
    core_event open = {.kind = EVENT_SESSION_OPEN, .session = {.user = {1}, .link = ++w.links}};
    step(&open);
    w.sessions[0].id.v = 1;
    w.sessions[0].user.v = 1;
    w.sessions[0].link = w.links;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    books kept = w.books, spare = w.spare;
    w = (walk){.in = {.at = data, .left = size}, .now = 1000, .books = kept, .spare = spare};
    books_start(&w.books);
    int r = core_recover(w.books.core, w.now, false, &w.books.effects);
    assert(r == 0);
    books_keep(&w.books);
    begin();
    for (unsigned i = 0; i < STEPS && w.in.left > 0; i++)
        act();
    books_prove_replay(&w.books, &w.spare);
    return 0;
}
