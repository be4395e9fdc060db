/* test_claim_request.c - what is asked of claims: refusal, silence, answers that come late or twice. */
#include "world.h"

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
    host_id h;
    session_id s;
    generation g = world_open_claimed(&w, 1, 0, 1, &h, &s, NULL);
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
    world_close_claim(&w, s, g, false);
    assert_null(world_reply(&w));
    assert_false(world_order(&w, ORDER_END, 0)->kill);
    world_close_claim(&w, s, g, false);
    assert_int_equal(world_reply(&w)->status, STATUS_BUSY);
    assert_null(world_order(&w, ORDER_END, 0));
    world_close_claim(&w, stranger, g, true);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    assert_int_equal(world_reply(&w)->allocation.v, 0);
    assert_null(world_order(&w, ORDER_END, 0));
    world_tick(&w, 100);
    world_close_claim(&w, s, g, true);
    assert_null(world_reply(&w));
    assert_int_equal(world_order(&w, ORDER_END, 0)->gen.v, g.v);
    assert_true(world_order(&w, ORDER_END, 0)->kill);
    world_close_claim(&w, s, g, true);
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

/* A resize whose answer was lost: the same size once more is ordered, not taken as done. */
static void test_resize_again(void **state)
{
    (void)state;
    world w;
    host_id h;
    session_id s;
    generation g = world_open_claimed(&w, 2, 0, 1, &h, &s, NULL);
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

/* A claim that was made before a restart and asked for again after it is answered once, like any other. */
static void test_claim_across_a_restart(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 2, 0, TERM_GROWABLE), &a);
    core_event claim = world_request(&w, s, EVENT_CLAIM);
    claim.claim.id = a;
    claim.claim.host = h;
    claim.claim.chunks = 1;
    claim.claim.handle = 5;
    world_step(&w, &claim);
    generation g = world_order(&w, ORDER_OPEN, 0)->gen;
    world_restart(&w, true);
    core_event back = {.kind = EVENT_SESSION_REATTACH,
                       .session = {.session = s, .user = {1000}, .link = 3, .token = {1, 2, 3}}};
    world_step(&w, &back);
    world_host(&w, "a", GIB(4)); /* expected, so its group is made */
    world_step(&w, &claim);
    effect_order enter = *world_order(&w, ORDER_ENTER, 0);
    assert_int_equal(enter.gen.v, g.v);
    world_answer(&w, EVENT_CLAIM_ENTERED, h, g, STATUS_OK, enter.tag);
    assert_int_equal(world_reply(&w)->claim.v, g.v);
    core_event other = {.kind = EVENT_WANT, .request = claim.request, .want = {.id = a, .want = 1}};
    world_step(&w, &other); /* its number is used up */
    assert_int_equal(world_reply(&w)->claim.v, g.v);
    assert_int_equal(world_allocation(&w, a).want, 2);
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_and_silent),         cmocka_unit_test(test_entry_is_asked_again),
        cmocka_unit_test(test_kill_after_a_polite_close),  cmocka_unit_test(test_resize_again),
        cmocka_unit_test(test_resize_without_its_session), cmocka_unit_test(test_another_claim_has_the_process),
        cmocka_unit_test(test_claim_across_a_restart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
