/* test_recall.c - revoking, overdue, withdrawal, draining, overdraft, fairness, other people's releases. */
#include "world.h"

#define GIVING (TERM_GROWABLE | TERM_RECALLABLE)

static void test_overdue_and_withdrawn(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, b;
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, GIVING), &a);
    assert_int_equal(world_allocate(&w, t, world_terms(GIB(2), 1, 1, 0), &b), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms); /* nobody answers: fewest bytes */
    recall_id q = world_push(&w, PUSH_RECALL, 0)->recall;
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->count, 2);
    world_tick(&w, 1000);
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, q, &v), 0);
    assert_true(v.record.overdue);
    assert_int_equal(world_view(&w, h).granted, GIB(4)); /* nothing was taken */
    core_event e = world_request(&w, t, EVENT_CANCEL);
    e.cancel.id = b;
    world_step(&w, &e);
    assert_int_equal(world_push(&w, PUSH_WITHDRAW, 0)->recall.v, q.v);
    assert_int_equal(view_recall_by_id(w.core, q, &v), 0);
    assert_int_equal(v.record.withdrawn, 2);
    assert_int_equal(world_release(&w, s, a, q, h, 1), STATUS_OK); /* by a withdrawn id: want stays, it grows again */
    assert_int_equal(world_allocation(&w, a).want, 4);
    assert_int_equal(world_allocation(&w, a).chunks, 4);
    world_replay(&w);
    world_close(&w);
}

static void test_revoke_takes_the_least_work(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(3));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, b;
    generation g[3];
    world_allocate(&w, s, world_terms(GIB(1), 3, 1, GIVING | TERM_REVOCABLE), &a);
    for (int i = 0; i < 3; i++) {
        world_claim(&w, s, a, h, 1, &g[i]);
        world_tick(&w, 100);
    }
    world_allocate(&w, t, world_terms(GIB(1), 1, 1, 0), &b);
    world_tick(&w, w.timers.ask_ms);
    assert_non_null(world_push(&w, PUSH_RECALL, 0));
    world_tick(&w, 1000);
    assert_int_equal(world_order(&w, ORDER_END, 0)->gen.v, g[2].v);
    assert_true(world_order(&w, ORDER_END, 0)->kill);
    assert_non_null(world_note(&w, NOTE_REVOKED));
    world_drained(&w, h, g[2]);
    assert_int_equal(world_allocation(&w, b).state, ALLOCATION_LIVE);
    world_replay(&w);
    world_close(&w);
}

static void test_drain_and_overdraft(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), op = world_session(&w, 0, true);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, GIVING), &a);
    world_sample(&w, h, GIB(2), 0);
    assert_int_equal(world_view(&w, h).overdraft, 0); /* a rise counts after two samples */
    world_sample(&w, h, GIB(2), 0);
    assert_int_equal(world_view(&w, h).overdraft, GIB(2));
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->reason, RECALL_FOR_OVERDRAFT);
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->count, 2);
    core_event e = world_request(&w, s, EVENT_DRAIN);
    e.drain.host = h;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    e = world_request(&w, op, EVENT_DRAIN);
    e.drain.host = h;
    world_step(&w, &e);
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->reason, RECALL_FOR_DRAIN);
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->count, 1); /* what is above min and not asked yet */
    assert_int_equal(world_view(&w, h).state, HOST_DRAINING);
    e = world_request(&w, op, EVENT_UNDRAIN);
    e.drain.host = h;
    world_step(&w, &e);
    assert_int_equal(world_push(&w, PUSH_WITHDRAW, 0)->reason, RECALL_FOR_DRAIN);
    world_replay(&w);
    world_close(&w);
}

static void test_fairness(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, b;
    world_allocate(&w, s, world_terms(GIB(1), 4, 0, GIVING), &a);
    assert_int_equal(world_allocate(&w, t, world_terms(GIB(1), 4, 0, GIVING), &b), STATUS_OK);
    const effect_push *p = world_push(&w, PUSH_RECALL, 0);
    assert_non_null(p);
    assert_int_equal(p->reason, RECALL_FOR_FAIRNESS);
    assert_int_equal(p->count, 2);
    assert_int_equal(world_release(&w, s, a, p->recall, h, 2), STATUS_OK);
    assert_int_equal(world_allocation(&w, a).chunks, 2);
    assert_int_equal(world_allocation(&w, b).chunks, 2);
    assert_null(world_push(&w, PUSH_RECALL, 0)); /* even: nobody is asked again */
    world_replay(&w);
    world_close(&w);
}

/* Who is late is not waited for: another is asked, and when that one gave the first is asked for what is still unfair
 * only. */
static void test_fairness_asks_others_when_overdue(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false),
               u = world_session(&w, 1002, false);
    allocation_id a, b, d;
    world_allocate(&w, s, world_terms(GIB(1), 4, 0, GIVING), &a);
    world_allocate(&w, t, world_terms(GIB(1), 4, 0, GIVING), &b);
    assert_int_equal(world_allocate(&w, u, world_terms(GIB(1), 4, 0, GIVING), &d), STATUS_OK);
    const effect_push *p = world_push(&w, PUSH_RECALL, 0);
    assert_non_null(p);
    assert_int_equal(p->allocation.v, b.v);
    assert_int_equal(p->count, 2);
    recall_id late = p->recall;
    world_tick(&w, 1000);
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, late, &v), 0);
    assert_true(v.record.overdue);
    p = world_push(&w, PUSH_RECALL, 0);
    assert_non_null(p);
    assert_int_equal(p->allocation.v, a.v);
    assert_int_equal(p->reason, RECALL_FOR_FAIRNESS);
    assert_int_equal(p->count, 2);
    assert_int_equal(world_release(&w, s, a, p->recall, h, 2), STATUS_OK);
    assert_int_equal(world_allocation(&w, d).chunks, 2);
    assert_int_equal(view_recall_by_id(w.core, late, &v), 0);
    assert_int_equal(v.record.withdrawn, 2);
    assert_int_equal(world_allocation(&w, b).recalled, 1); /* 2 4 2 is not even yet */
    world_replay(&w);
    world_close(&w);
}

static void test_release_by_others(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), same = world_session(&w, 1000, false),
               other = world_session(&w, 1001, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    assert_int_equal(world_release(&w, same, a, (recall_id){0}, h, 1), STATUS_DENIED);
    core_event e = world_request(&w, other, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = a;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    e = world_request(&w, same, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = a;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_OK);
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->reason, RECALL_FOR_OPERATOR);
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->count, 2);
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overdue_and_withdrawn),
        cmocka_unit_test(test_revoke_takes_the_least_work),
        cmocka_unit_test(test_drain_and_overdraft),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_fairness_asks_others_when_overdue),
        cmocka_unit_test(test_release_by_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
