/* test_claim_gated.c - claims of 0 chunks, for processes that wait. */
#include "world.h"

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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gated), cmocka_unit_test(test_gated_stands_for_nothing),
                                       cmocka_unit_test(test_gated_in_vain), cmocka_unit_test(test_gated_loads_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
