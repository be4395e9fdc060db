/* test_claim.c - debt, quarantine, refusal, silence. */
#include "world.h"

static void test_debt_is_paid_first(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g[3];
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 4, 4, 0), &a), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(world_claim(&w, s, a, h, 1, &g[i]), 0);
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 5), STATUS_STATE); /* more than is held */
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 2), 0);            /* one idle, one claimed */
    assert_int_equal(world_view(&w, h).free, GIB(1));
    assert_int_equal(world_view(&w, h).returning, GIB(1));
    assert_int_equal(world_claim(&w, s, a, h, 1, NULL), STATUS_STATE);
    world_drained(&w, h, g[0]); /* not told to end: an open claim outlives its tasks */
    assert_int_equal(world_view(&w, h).returning, GIB(1));
    world_tick(&w, w.timers.returning_ms); /* the newest claim is told to end */
    assert_int_equal(world_order(&w, ORDER_END, 0)->gen.v, g[2].v);
    assert_false(world_order(&w, ORDER_END, 0)->kill);
    assert_null(world_order(&w, ORDER_END, 1));
    world_drained(&w, h, g[2]);
    assert_int_equal(world_view(&w, h).returning, 0);
    assert_int_equal(world_view(&w, h).free, GIB(2));
    world_replay(&w);
    world_close(&w);
}

static void test_quarantine(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    world_claim(&w, s, a, h, 1, &g);
    core_event e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = g;
    e.close.kill = true;
    world_step(&w, &e);
    world_tick(&w, w.timers.quarantine_ms);
    assert_int_equal(world_reply(&w)->status, STATUS_AGENT);
    assert_int_equal(world_view(&w, h).quarantine, GIB(1));
    assert_int_equal(world_view(&w, h).granted, GIB(1));
    assert_int_equal(world_view(&w, h).free, GIB(2));
    world_replay(&w);
    world_tick(&w, w.timers.quarantine_ms); /* looked at again */
    assert_non_null(world_order(&w, ORDER_END, 0));
    world_drained(&w, h, g);
    assert_int_equal(world_view(&w, h).quarantine, 0);
    assert_int_equal(world_view(&w, h).free, GIB(3));
    world_replay(&w);
    world_close(&w);
}

static void test_refused_and_silent(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), stranger = world_session(&w, 1001, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    assert_int_equal(world_claim(&w, stranger, a, h, 1, NULL), STATUS_DENIED);
    core_event e = world_request(&w, s, EVENT_CLAIM);
    e.claim.id = a;
    e.claim.host = h;
    e.claim.chunks = 1;
    world_step(&w, &e);
    effect_order o = *world_order(&w, ORDER_OPEN, 0);
    world_step(&w, &e); /* repeated while it waits: no second effect */
    assert_null(world_order(&w, ORDER_OPEN, 0));
    assert_null(world_reply(&w));
    world_answer(&w, EVENT_CLAIM_OPENED, h, o.gen, STATUS_DEAD, o.tag);
    assert_int_equal(world_reply(&w)->status, STATUS_DEAD);
    world_step(&w, &e); /* repeated after: the same answer */
    assert_int_equal(world_reply(&w)->status, STATUS_DEAD);
    e = world_request(&w, s, EVENT_CLAIM);
    e.claim.id = a;
    e.claim.host = h;
    e.claim.chunks = 1;
    world_step(&w, &e);
    assert_true(world_order(&w, ORDER_OPEN, 0)->gen.v > o.gen.v);
    core_event gone = {.kind = EVENT_HOST_GONE, .gone = h};
    world_step(&w, &gone);
    assert_int_equal(world_reply(&w)->status, STATUS_SILENT);
    assert_int_equal(world_claim(&w, s, a, h, 1, NULL), STATUS_SILENT);
    world_hello(&w, "a", "boot-1", GIB(4));
    assert_non_null(world_order(&w, ORDER_WELCOME, 0));
    /* The agent may have put the process there before it fell silent: the next request for as much takes the claim. */
    o = *world_order(&w, ORDER_EXPECT, 0);
    assert_false(o.ending);
    assert_non_null(world_order(&w, ORDER_READY, 0));
    assert_int_equal(world_view(&w, h).state, HOST_UNKNOWN);
    e = world_request(&w, s, EVENT_CLAIM);
    e.claim.id = a;
    e.claim.host = h;
    e.claim.chunks = 1;
    e.claim.handle = 7;
    world_step(&w, &e);
    assert_null(world_order(&w, ORDER_OPEN, 0));
    assert_int_equal(world_order(&w, ORDER_ENTER, 0)->gen.v, o.gen.v);
    world_answer(&w, EVENT_CLAIM_ENTERED, h, o.gen, 0, world_order(&w, ORDER_ENTER, 0)->tag);
    assert_int_equal(world_reply(&w)->status, 0);
    assert_int_equal(world_reply(&w)->claim.v, o.gen.v);
    e.request.number.v++; /* one more is another claim */
    e.claim.handle = 0;
    world_step(&w, &e);
    assert_true(world_order(&w, ORDER_OPEN, 0)->gen.v > o.gen.v);
    world_replay(&w);
    world_close(&w);
}

/* An entry that went well is not journaled: asked again, the agent answers alike. What was acknowledged is stale. */
static void test_entry_is_asked_again(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    world_claim(&w, s, a, h, 1, &g);
    core_event e = world_request(&w, s, EVENT_ENTER);
    e.enter.gen = g;
    e.enter.handle = 7;
    e.enter.fresh = true;
    for (int i = 0; i < 2; i++) {
        world_step(&w, &e);
        const effect_order *o = world_order(&w, ORDER_ENTER, 0);
        assert_non_null(o);
        assert_true(o->fresh);
        core_event done = {.kind = EVENT_CLAIM_ENTERED,
                           .answer = {.host = h, .gen = g, .tag = o->tag, .cause = CAUSE_OOM, .peak = GIB(1)}};
        world_step(&w, &done);
        assert_int_equal(world_reply(&w)->status, 0);
        assert_int_equal(world_reply(&w)->number.v, e.request.number.v);
        assert_int_equal(world_reply(&w)->cause, CAUSE_OOM);
        assert_int_equal(world_reply(&w)->peak, GIB(1));
        assert_int_equal(w.effects.count, 1); /* no record */
        world_replay(&w);
    }
    core_event later = world_request(&w, s, EVENT_ENTER);
    later.enter.gen = g;
    later.request.acked = e.request.number;
    later.enter.handle = 8;
    world_step(&w, &later);
    assert_non_null(world_order(&w, ORDER_ENTER, 0));
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STALE);
    assert_null(world_order(&w, ORDER_ENTER, 0));
    world_close(&w);
}

/* Told to die, a claim is told so by every later life of the broker. */
static void test_kill_survives(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation polite, killed;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    world_claim(&w, s, a, h, 1, &polite);
    world_claim(&w, s, a, h, 1, &killed);
    core_event e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = polite;
    world_step(&w, &e);
    e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = killed;
    e.close.kill = true;
    world_step(&w, &e);
    world_restart(&w, true);
    world_hello(&w, "a", "boot-1", GIB(4));
    assert_int_equal(world_order(&w, ORDER_EXPECT, 0)->gen.v, polite.v);
    assert_true(world_order(&w, ORDER_EXPECT, 0)->ending);
    assert_false(world_order(&w, ORDER_EXPECT, 0)->kill);
    assert_int_equal(world_order(&w, ORDER_EXPECT, 1)->gen.v, killed.v);
    assert_true(world_order(&w, ORDER_EXPECT, 1)->kill);
    world_close(&w);
}

static void close_claim(world *w, session_id s, generation g, bool kill)
{
    core_event e = world_request(w, s, EVENT_CLOSE);
    e.close.gen = g;
    e.close.kill = kill;
    world_step(w, &e);
}

/* A close that kills hastens one that waits; both are answered when the claim ends. */
static void test_kill_after_a_polite_close(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), stranger = world_session(&w, 1001, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    world_claim(&w, s, a, h, 1, &g);
    close_claim(&w, s, g, false);
    assert_null(world_reply(&w));
    assert_false(world_order(&w, ORDER_END, 0)->kill);
    close_claim(&w, s, g, false);
    assert_int_equal(world_reply(&w)->status, STATUS_BUSY);
    assert_null(world_order(&w, ORDER_END, 0));
    close_claim(&w, stranger, g, true);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    assert_int_equal(world_reply(&w)->allocation.v, 0);
    assert_null(world_order(&w, ORDER_END, 0));
    world_tick(&w, 100);
    close_claim(&w, s, g, true);
    assert_null(world_reply(&w));
    assert_int_equal(world_order(&w, ORDER_END, 0)->gen.v, g.v);
    assert_true(world_order(&w, ORDER_END, 0)->kill);
    close_claim(&w, s, g, true);
    assert_int_equal(world_reply(&w)->status, STATUS_BUSY);
    world_drained(&w, h, g);
    uint64_t answered[2] = {0}, n = 0;
    for (uint32_t i = 0; i < w.effects.count; i++) {
        if (w.effects.items[i].kind != EFFECT_REPLY)
            continue;
        assert_true(n < 2);
        assert_int_equal(w.effects.items[i].reply.status, 0);
        answered[n++] = w.effects.items[i].reply.number.v;
    }
    assert_int_equal(n, 2);
    assert_int_equal(answered[1], answered[0] + 2); /* between them was the one that was BUSY */
    world_replay(&w);
    world_close(&w);
}

/* Until its agent has told, nobody knows whether processes are left: not a reason for quarantine. */
static void test_unknown_is_not_empty(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    world_claim(&w, s, a, h, 1, &g);
    core_event e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = g;
    world_step(&w, &e);
    world_restart(&w, true);
    world_host(&w, "a", GIB(4));
    world_tick(&w, w.timers.quarantine_ms);
    assert_int_equal(world_view(&w, h).quarantine, 0);
    core_event use = {.kind = EVENT_CLAIM_USE, .use = {.host = h, .gen = g, .used = 5, .processes = 0}};
    world_step(&w, &use);
    world_tick(&w, w.timers.quarantine_ms);
    assert_int_equal(world_view(&w, h).quarantine, GIB(1));
    world_close(&w);
}

/* A resize whose answer was lost: the same size once more is ordered, not taken as done. */
static void test_resize_again(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    world_claim(&w, s, a, h, 1, &g);
    core_event e = world_request(&w, s, EVENT_SHRINK);
    e.shrink.gen = g;
    e.shrink.chunks = 2;
    world_step(&w, &e);
    core_event gone = {.kind = EVENT_HOST_GONE, .gone = h};
    world_step(&w, &gone);
    assert_int_equal(world_reply(&w)->status, STATUS_SILENT);
    world_hello(&w, "a", "boot-1", GIB(4));
    e = world_request(&w, s, EVENT_SHRINK);
    e.shrink.gen = g;
    e.shrink.chunks = 2;
    world_step(&w, &e);
    const effect_order *o = world_order(&w, ORDER_LIMIT, 0);
    assert_non_null(o);
    assert_int_equal(o->bytes, GIB(2));
    world_answer(&w, EVENT_CLAIM_LIMITED, h, g, 0, o->tag);
    assert_int_equal(world_reply(&w)->status, 0);
    assert_int_equal(world_reply(&w)->chunks, 2);
    world_close(&w);
}

/* Who asked for the resize is gone when the agent answers: the books follow the limit all the same. */
static void test_resize_without_its_session(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), other = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 3, 3, 0), &a);
    world_claim(&w, s, a, h, 3, &g);
    core_event e = world_request(&w, other, EVENT_SHRINK);
    e.shrink.gen = g;
    e.shrink.chunks = 1;
    world_step(&w, &e);
    uint64_t tag = world_order(&w, ORDER_LIMIT, 0)->tag;
    e = (core_event){.kind = EVENT_SESSION_END, .session = {.session = other}};
    world_step(&w, &e);
    e = world_request(&w, s, EVENT_SHRINK);
    e.shrink.gen = g;
    e.shrink.chunks = 2;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_BUSY);
    world_answer(&w, EVENT_CLAIM_LIMITED, h, g, 0, tag);
    assert_null(world_reply(&w));
    claim_view v;
    assert_int_equal(view_claim_by_gen(w.core, g, &v), 0);
    assert_int_equal(v.chunks, 1);
    assert_int_equal(world_claim(&w, s, a, h, 2, NULL), 0);
    world_replay(&w);
    world_close(&w);
}

static void test_another_claim_has_the_process(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, b;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, TERM_STAY), &b);
    world_claim(&w, s, a, h, 1, &g);
    core_event e = world_request(&w, s, EVENT_CLAIM);
    e.claim.id = b;
    e.claim.host = h;
    e.claim.chunks = 1;
    e.claim.handle = 7;
    world_step(&w, &e);
    const effect_order *o = world_order(&w, ORDER_OPEN, 0);
    assert_true(o->running);
    e = (core_event){.kind = EVENT_CLAIM_OPENED,
                     .answer = {.host = h, .gen = o->gen, .status = STATUS_CLAIMED, .tag = o->tag, .other = g}};
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_CLAIMED);
    assert_int_equal(world_reply(&w)->claim.v, g.v);
    assert_int_equal(world_allocation(&w, b).claims, 0);
    world_replay(&w);
    world_close(&w);
}

static int claim_nothing(world *w, session_id s, allocation_id a, host_id h, generation *ret)
{
    core_event e = world_request(w, s, EVENT_CLAIM);
    e.claim.id = a;
    e.claim.host = h;
    e.claim.handle = 7;
    world_step(w, &e);
    const effect_order *o = world_order(w, ORDER_OPEN, 0);
    if (!o)
        return world_reply(w)->status;
    *ret = o->gen;
    assert_int_equal(o->bytes, drain_tolerance(o->chunk_size));
    world_answer(w, EVENT_CLAIM_OPENED, o->host, o->gen, 0, o->tag);
    return world_reply(w)->status;
}

/* A waiter's claim of nothing survives both a restart and the grant; then it takes what was granted. */
static void test_gated(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1000, false);
    allocation_id a, waiter;
    generation g, none = {0};
    world_allocate(&w, s, world_terms(GIB(1), 3, 3, 0), &a);
    assert_int_equal(world_allocate(&w, t, world_terms(MIB(1), 2048, 2048, TERM_ONE_HOST), &waiter), STATUS_WAITING);
    assert_int_equal(claim_nothing(&w, s, waiter, h, &none), STATUS_DENIED);
    assert_int_equal(claim_nothing(&w, t, waiter, (host_id){3}, &none), STATUS_NOT_FOUND);
    assert_int_equal(claim_nothing(&w, t, waiter, h, &g), 0);
    assert_int_equal(claim_nothing(&w, t, waiter, h, &none), STATUS_STATE);
    assert_int_equal(world_view(&w, h).free, GIB(1));
    world_replay(&w);
    world_restart(&w, true);
    h = world_host(&w, "a", GIB(4));
    claim_view v;
    assert_int_equal(view_claim_by_gen(w.core, g, &v), 0);
    assert_int_equal(v.state, CLAIM_OPEN);
    assert_int_equal(v.chunks, 0);
    for (int i = 0; i < 2; i++) {
        core_event e = {.kind = EVENT_SESSION_REATTACH,
                        .session = {.session = i ? t : s, .token = {1, 2, 3}, .user = {1000}, .link = 9}};
        world_step(&w, &e);
    }
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 3), 0);
    assert_int_equal(world_allocation(&w, waiter).chunks, 2048);
    core_event e = world_request(&w, t, EVENT_SHRINK);
    e.shrink.gen = g;
    e.shrink.chunks = 2048;
    world_step(&w, &e);
    assert_int_equal(world_order(&w, ORDER_LIMIT, 0)->bytes, GIB(2));
    world_answer(&w, EVENT_CLAIM_LIMITED, h, g, 0, world_order(&w, ORDER_LIMIT, 0)->tag);
    assert_int_equal(world_reply(&w)->chunks, 2048);
    world_replay(&w);
    world_close(&w);
}

/* It stands for nothing: neither a debt nor a revoke ends it, and it binds its allocation to no host. */
static void test_gated_stands_for_nothing(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(1)), other = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, b, waiter, wide;
    generation g, held;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    world_allocate(&w, s, world_terms(GIB(2), 2, 2, 0), &b);
    allocation_terms terms =
        world_terms(GIB(1), 4, 2, TERM_ONE_HOST | TERM_GROWABLE | TERM_RECALLABLE | TERM_REVOCABLE);
    assert_int_equal(world_allocate(&w, t, terms, &waiter), STATUS_WAITING);
    assert_int_equal(claim_nothing(&w, t, waiter, h, &g), 0);
    assert_int_equal(world_release(&w, s, b, (recall_id){0}, other, 1), 0);
    assert_int_equal(world_allocation(&w, waiter).chunks, 2);
    assert_int_equal(world_release(&w, s, b, (recall_id){0}, other, 1),
                     0); /* it grows there, not where it is claimed */
    assert_int_equal(world_allocation(&w, waiter).chunks, 4);
    world_claim(&w, t, waiter, other, 4, &held);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), &wide), STATUS_WAITING);
    for (int i = 0; i < 4; i++)
        world_tick(&w, w.timers.notice_ms);
    world_drained(&w, other, held);
    assert_int_equal(world_allocation(&w, wide).chunks, 1);
    assert_int_equal(world_allocation(&w, waiter).chunks, 2);
    claim_view v;
    assert_int_equal(view_claim_by_gen(w.core, g, &v), 0);
    assert_int_equal(v.state, CLAIM_OPEN);
    core_event e = world_request(&w, t, EVENT_WANT);
    e.want.id = waiter;
    world_step(&w, &e);
    assert_int_equal(world_release(&w, t, waiter, (recall_id){0}, other, 2), 0); /* wants nothing, has nothing: over */
    assert_true(world_order(&w, ORDER_END, 0)->kill);
    assert_int_equal(world_order(&w, ORDER_END, 0)->gen.v, g.v);
    world_drained(&w, h, g);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_ENDED);
    world_replay(&w);
    world_close(&w);
}

/* Its request is over while its agent is silent: the owner hears it at once, the agent when it is back. */
static void test_gated_in_vain(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, waiter;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 4, 4, 0), &a);
    allocation_terms terms = world_terms(GIB(1), 1, 1, 0);
    terms.wait_ms = 500;
    assert_int_equal(world_allocate(&w, s, terms, &waiter), STATUS_WAITING);
    assert_int_equal(claim_nothing(&w, s, waiter, h, &g), 0);
    core_event gone = {.kind = EVENT_HOST_GONE, .gone = h};
    world_step(&w, &gone);
    world_tick(&w, 500);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_TIMEOUT);
    assert_null(world_push(&w, PUSH_CHANGED, 0));
    assert_int_equal(world_note(&w, NOTE_TIMED_OUT)->allocation.v, waiter.v);
    assert_int_equal(world_allocation(&w, waiter).state, ALLOCATION_ENDING);
    world_replay(&w);
    world_hello(&w, "a", "boot-1", GIB(4));
    assert_true(world_order(&w, ORDER_EXPECT, 0)->kill);
    world_drained(&w, h, g);
    assert_null(world_push(&w, PUSH_ENDED, 0)); /* it was told */
    assert_int_equal(world_note(&w, NOTE_ENDED)->status, STATUS_TIMEOUT);
    totals_view totals;
    view_totals(w.core, &totals);
    assert_int_equal(totals.allocations, 1);
    assert_int_equal(totals.claims, 0);
    world_replay(&w);
    world_close(&w);
}

/* A program that lives on in a claim that is told to end: looked at again and again, with one record. */
static void test_a_long_end_is_one_record(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    world_claim(&w, s, a, h, 1, &g);
    core_event e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = g;
    world_step(&w, &e);
    core_event use = {.kind = EVENT_CLAIM_USE, .use = {.host = h, .gen = g, .used = MIB(9), .processes = 1}};
    world_step(&w, &use);
    size_t n = w.n_journal;
    for (int i = 0; i < 5; i++)
        world_tick(&w, w.timers.quarantine_ms);
    assert_int_equal(w.n_journal, n);
    assert_int_equal(world_view(&w, h).quarantine, 0);
    world_replay(&w);
    world_restart(&w, true);
    world_hello(&w, "a", "boot-1", GIB(4));
    world_sample(&w, h, 0, 0);
    use.use.processes = 0;
    world_step(&w, &use);
    world_tick(&w, w.timers.quarantine_ms);
    assert_int_equal(world_view(&w, h).quarantine, GIB(1));
    world_drained(&w, h, g);
    assert_int_equal(world_view(&w, h).quarantine, 0);
    world_replay(&w);
    world_close(&w);
}

/* What only its number names is given back to a new agent, also by a new broker. */
static void test_root_is_given_back(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, TERM_STAY), &a), 0);
    core_event e = world_request(&w, s, EVENT_CLAIM);
    e.claim.id = a;
    e.claim.host = h;
    e.claim.chunks = 1;
    e.claim.handle = 5;
    world_step(&w, &e);
    effect_order open = *world_order(&w, ORDER_OPEN, 0);
    assert_true(open.running);
    core_event opened = {.kind = EVENT_CLAIM_OPENED,
                         .answer = {.host = h, .gen = open.gen, .tag = open.tag, .root = {.pid = 4711, .start = 99}}};
    world_step(&w, &opened);
    world_restart(&w, true);
    world_hello(&w, "a", "boot-1", GIB(4));
    assert_non_null(world_order(&w, ORDER_EXPECT, 0));
    assert_int_equal(world_order(&w, ORDER_EXPECT, 0)->root.pid, 4711);
    assert_int_equal(world_order(&w, ORDER_EXPECT, 0)->root.start, 99);
    world_close(&w);
}

/* Two such claims in one allocation cannot be in a journal that this core wrote. */
static void test_gated_loads_once(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a), 0);
    core *c = NULL;
    void *arena = aligned_alloc(64, (core_arena_size(&w.limits) + 63) / 64 * 64);
    assert_int_equal(core_init(&c, &w.limits, &w.timers, arena, core_arena_size(&w.limits)), 0);
    for (size_t i = 0; i < w.n_journal; i++)
        assert_int_equal(core_load(c, &w.journal[i]), 0);
    core_record r = {.kind = RECORD_CLAIM,
                     .claim = {.gen = {1}, .allocation = a, .host = h, .state = CLAIM_OPEN, .closing_until = MS_NEVER}};
    assert_int_equal(core_load(c, &r), 0);
    assert_int_equal(core_load(c, &r), 0); /* put twice */
    r.claim.gen.v = 2;
    assert_int_equal(core_load(c, &r), STATUS_CORRUPT);
    r.claim.chunks = 1;
    assert_int_equal(core_load(c, &r), 0);
    free(arena);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_debt_is_paid_first),
                                       cmocka_unit_test(test_quarantine),
                                       cmocka_unit_test(test_entry_is_asked_again),
                                       cmocka_unit_test(test_kill_survives),
                                       cmocka_unit_test(test_kill_after_a_polite_close),
                                       cmocka_unit_test(test_unknown_is_not_empty),
                                       cmocka_unit_test(test_resize_again),
                                       cmocka_unit_test(test_resize_without_its_session),
                                       cmocka_unit_test(test_refused_and_silent),
                                       cmocka_unit_test(test_another_claim_has_the_process),
                                       cmocka_unit_test(test_gated),
                                       cmocka_unit_test(test_gated_stands_for_nothing),
                                       cmocka_unit_test(test_gated_in_vain),
                                       cmocka_unit_test(test_gated_loads_once),
                                       cmocka_unit_test(test_a_long_end_is_one_record),
                                       cmocka_unit_test(test_root_is_given_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
