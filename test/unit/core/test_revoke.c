/* test_revoke.c - past the notice: idle chunks, then the claims with least work; or overdue. */
#include "world.h"

static allocation_id donor(world *w, session_id s, uint32_t flags, chunks_t n)
{
    allocation_id a;
    assert_int_equal(world_allocate(w, s, world_terms(GIB(1), n, 1, TERM_GROWABLE | TERM_RECALLABLE | flags), &a), 0);
    return a;
}

static void test_the_ladder(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a = donor(&w, s, TERM_REVOCABLE, 4), waiter;
    generation old, young, newest;
    world_claim(&w, s, a, h, 1, &old);
    world_tick(&w, 1000);
    world_claim(&w, s, a, h, 1, &young);
    world_claim(&w, s, a, h, 1, &newest);
    assert_int_equal(world_allocate(&w, t, world_terms(GIB(3), 1, 1, 0), &waiter), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    recall_id r = world_push(&w, PUSH_RECALL, 0)->recall;
    world_tick(&w, 1000);
    assert_int_equal(world_order(&w, ORDER_END, 0)->gen.v, newest.v); /* of equal work, the newest */
    assert_true(world_order(&w, ORDER_END, 0)->kill);
    assert_int_equal(world_order(&w, ORDER_END, 1)->gen.v, young.v);
    assert_null(world_order(&w, ORDER_END, 2)); /* the oldest has most work, and min is 1 */
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, r, &v), 0);
    assert_int_equal(v.record.revoked, 3);
    assert_int_equal(world_view(&w, h).held, GIB(1)); /* the idle chunk */
    world_drained(&w, h, newest);
    world_drained(&w, h, young);
    assert_int_equal(world_allocation(&w, waiter).chunks, 1);
    assert_int_equal(world_allocation(&w, a).chunks, 1);
    world_replay(&w);
    world_close(&w);
}

static void test_overdue(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a = donor(&w, s, 0, 4), waiter;
    generation g;
    world_claim(&w, s, a, h, 4, &g);
    world_allocate(&w, t, world_terms(GIB(1), 1, 1, 0), &waiter);
    world_tick(&w, w.timers.ask_ms);
    recall_id r = world_push(&w, PUSH_RECALL, 0)->recall;
    world_tick(&w, 1000);
    assert_int_equal(world_note(&w, NOTE_OVERDUE)->recall.v, r.v);
    assert_null(world_order(&w, ORDER_END, 0)); /* nothing is killed */
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, r, &v), 0);
    assert_true(v.record.overdue);
    assert_int_equal(v.record.released + v.record.withdrawn + v.record.revoked, 0);
    world_tick(&w, 100000);
    assert_null(world_note(&w, NOTE_OVERDUE));             /* told once */
    assert_int_equal(world_release(&w, s, a, r, h, 1), 0); /* late is as good */
    core_event e = world_request(&w, s, EVENT_RECALL_OUTCOME);
    e.outcome.id = r;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    assert_int_equal(world_reply(&w)->chunks, 1);
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_ladder), cmocka_unit_test(test_overdue)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
