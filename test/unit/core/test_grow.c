/* test_grow.c - growth is max-min fair over users by weight, then over their allocations; who gave waits. */
#include "world.h"

#define GROWS (TERM_GROWABLE | TERM_RECALLABLE)

static void test_one_users_allocations_are_evened_out(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(1));
    session_id s = world_session(&w, 1000, false);
    allocation_id block, a, b;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &block);
    world_allocate(&w, s, world_terms(MIB(128), 8, 0, GROWS), &a);
    world_allocate(&w, s, world_terms(MIB(128), 8, 0, GROWS), &b);
    assert_int_equal(world_release(&w, s, block, (recall_id){0}, h, 1), 0);
    assert_int_equal(world_allocation(&w, a).chunks, 4);
    assert_int_equal(world_allocation(&w, b).chunks, 4);
    assert_int_equal(world_note(&w, NOTE_GREW)->chunks, 1); /* turn by turn */
    world_close(&w);
}

static void test_users_share_by_weight(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    core_event e = {.kind = EVENT_CONFIG_USER, .config_user = {{1001}, 3, 0}};
    world_step(&w, &e);
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false), o = world_session(&w, 9, false);
    allocation_id block, a, b;
    world_allocate(&w, o, world_terms(GIB(4), 1, 1, 0), &block);
    world_allocate(&w, s, world_terms(GIB(1), 8, 0, TERM_GROWABLE), &a);
    world_allocate(&w, t, world_terms(GIB(1), 8, 0, TERM_GROWABLE), &b);
    assert_int_equal(world_release(&w, o, block, (recall_id){0}, h, 1), 0);
    assert_int_equal(world_allocation(&w, a).chunks, 1);
    assert_int_equal(world_allocation(&w, b).chunks, 3);
    world_close(&w);
}

static void test_quota_ends_growth(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(4));
    core_event e = {.kind = EVENT_CONFIG_USER, .config_user = {{1000}, 1, GIB(2) + 1}};
    world_step(&w, &e);
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 8, 0, TERM_GROWABLE), &a);
    assert_int_equal(world_allocation(&w, a).chunks, 2);
    e.config_user.quota = 0;
    world_step(&w, &e);
    assert_int_equal(world_allocation(&w, a).chunks, 4);
    world_close(&w);
}

/* Who gave chunks for a waiter does not take them back before that one is over. */
static void test_no_growth_for_who_gave(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, waiter;
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, GROWS), &a);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), &waiter), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    recall_id r = world_push(&w, PUSH_RECALL, 0)->recall;
    assert_int_equal(world_release(&w, s, a, r, h, 1), 0);
    world_settle(&w);
    assert_int_equal(world_allocation(&w, a).chunks, 3);
    assert_int_equal(world_view(&w, h).held, GIB(1));
    core_event e = world_request(&w, s, EVENT_CANCEL);
    e.cancel.id = waiter;
    world_step(&w, &e);
    world_settle(&w);
    assert_int_equal(world_allocation(&w, a).chunks, 4); /* its want was not lowered by what it gave */
    world_close(&w);
}

/* A growable allocation below its share is helped by one that stays above its own after giving. */
static void test_fairness(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, b;
    world_allocate(&w, s, world_terms(GIB(1), 4, 0, GROWS), &a);
    world_allocate(&w, t, world_terms(GIB(1), 4, 0, GROWS), &b);
    world_settle(&w);
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, (recall_id){1}, &v), 0);
    assert_int_equal(v.record.reason, RECALL_FOR_FAIRNESS);
    assert_int_equal(v.record.asked, 2);
    assert_int_equal(v.record.beneficiary.v, b.v);
    assert_int_equal(world_release(&w, s, a, v.record.id, h, 2), 0);
    world_settle(&w);
    assert_int_equal(world_allocation(&w, a).chunks, 2);
    assert_int_equal(world_allocation(&w, b).chunks, 2);
    totals_view totals;
    view_totals(w.core, &totals);
    assert_int_equal(totals.recalls, 1); /* even: no more are asked */
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_users_allocations_are_evened_out),
                                       cmocka_unit_test(test_users_share_by_weight),
                                       cmocka_unit_test(test_quota_ends_growth),
                                       cmocka_unit_test(test_no_growth_for_who_gave), cmocka_unit_test(test_fairness)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
