/* test_holding.c - debt, what is kept for a waiter, and I3: how many chunks may be claimed. */
#include "world.h"

static holding_view only(world *w, allocation_id a)
{
    uint32_t cursor = 0;
    holding_view v;
    assert_true(view_holding(w->core, a, &cursor, &v));
    return v;
}

/* Released while claimed, then grown again: the debt is still open, so no more may be claimed than is held. */
static void test_claims_of_a_holding_with_debt(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g[4];
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, TERM_GROWABLE | TERM_RECALLABLE), &a);
    for (int i = 0; i < 4; i++)
        world_claim(&w, s, a, h, 1, &g[i]);
    core_event e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = g[0];
    e.close.kill = true;
    world_step(&w, &e);
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 1), 0);
    e = world_request(&w, s, EVENT_WANT);
    e.want.id = a;
    e.want.want = 4;
    world_step(&w, &e);
    holding_view v = only(&w, a);
    assert_int_equal(v.held, 4);
    assert_int_equal(v.returning, 1);
    assert_int_equal(v.claimed, 4);
    assert_int_equal(world_claim(&w, s, a, h, 1, NULL), STATUS_STATE); /* as a pool counts: its slot is still closing */
    world_drained(&w, h, g[0]);
    assert_int_equal(only(&w, a).returning, 0);
    assert_int_equal(world_claim(&w, s, a, h, 1, NULL), 0);
    assert_int_equal(world_view(&w, h).free, GIB(4));
    world_close(&w);
}

/* What a recall frees is never free for others: at once for idle chunks, when the claim drained for the others. */
static void test_freed_for_a_waiter(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, waiter;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, TERM_GROWABLE | TERM_RECALLABLE), &a);
    world_claim(&w, s, a, h, 3, &g);
    assert_int_equal(world_allocate(&w, t, world_terms(GIB(3), 1, 1, 0), &waiter), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    recall_id r = world_push(&w, PUSH_RECALL, 0)->recall;
    assert_int_equal(world_release(&w, s, a, r, h, 2), 0);
    host_view v = world_view(&w, h);
    assert_int_equal(v.held, GIB(1));
    assert_int_equal(v.returning, GIB(1));
    assert_int_equal(v.free, 0);
    assert_int_equal(world_allocate(&w, s, world_terms(MIB(1), 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    assert_int_equal(world_release(&w, s, a, r, h, 1), 0);
    core_event e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = g;
    world_step(&w, &e);
    world_drained(&w, h, g); /* three claimed chunks: two of debt, one that is held still */
    assert_int_equal(world_allocation(&w, waiter).state, ALLOCATION_LIVE);
    v = world_view(&w, h);
    assert_int_equal(v.granted, GIB(4));
    assert_int_equal(v.returning + v.held + v.free, 0);
    world_replay(&w);
    world_close(&w);
}

static void test_more_than_is_held(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4)), other = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    assert_int_equal(world_claim(&w, s, a, h, 3, NULL), STATUS_STATE);
    assert_int_equal(world_claim(&w, s, a, other, 1, NULL), STATUS_STATE);
    assert_int_equal(world_claim(&w, s, a, h, UINT32_MAX, NULL), STATUS_STATE);
    assert_int_equal(world_claim(&w, s, a, h, 0, NULL), STATUS_STATE); /* it does not wait */
    assert_int_equal(world_claim(&w, s, a, (host_id){9}, 1, NULL), STATUS_NOT_FOUND);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_claims_of_a_holding_with_debt),
                                       cmocka_unit_test(test_freed_for_a_waiter),
                                       cmocka_unit_test(test_more_than_is_held)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
