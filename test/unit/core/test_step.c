/* test_step.c - the main job, step by step: lease, claim, recall, give back. */
#include "world.h"

static void test_lease_and_release(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(3));
    assert_int_equal(world_view(&w, h).state, HOST_UP);
    assert_int_equal(world_view(&w, h).free, GIB(3));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a), STATUS_OK);
    assert_int_equal(world_view(&w, h).granted, GIB(2));
    generation g;
    assert_int_equal(world_claim(&w, s, a, h, 1, &g), STATUS_OK);
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 2), STATUS_OK);
    assert_int_equal(world_view(&w, h).granted, 0);
    assert_int_equal(world_view(&w, h).returning, GIB(1));
    assert_int_equal(world_view(&w, h).free, GIB(2));
    assert_int_equal(world_allocation(&w, a).state, ALLOCATION_ENDING);
    core_event e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = g;
    e.close.kill = true;
    world_step(&w, &e);
    assert_true(world_order(&w, ORDER_END, 0)->kill);
    assert_null(world_reply(&w));
    world_drained(&w, h, g);
    assert_int_equal(world_reply(&w)->status, STATUS_OK);
    assert_int_equal(world_reply(&w)->peak, 123);
    assert_non_null(world_order(&w, ORDER_CLOSE, 0));
    assert_non_null(world_push(&w, PUSH_CLAIM_ENDED, 0));
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_ENDED);
    assert_int_equal(world_view(&w, h).free, GIB(3));
    world_replay(&w);
    world_close(&w);
}

/* A growable batch fills the host; a firm request comes; the batch is asked, chosen, gives, and the request runs. */
static void test_main_job(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(3));
    session_id batch = world_session(&w, 1000, false), other = world_session(&w, 1001, false);
    allocation_id a, b;
    assert_int_equal(world_allocate(&w, batch, world_terms(MIB(700), 4, 1, TERM_GROWABLE | TERM_RECALLABLE), &a),
                     STATUS_OK);
    assert_int_equal(world_allocation(&w, a).chunks, 4);
    generation g[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(world_claim(&w, batch, a, h, 1, &g[i]), STATUS_OK);
    assert_int_equal(world_allocate(&w, other, world_terms(GIB(2), 1, 1, 0), &b), STATUS_WAITING);
    const effect_push *ask = world_push(&w, PUSH_ASK, 0);
    assert_non_null(ask);
    assert_int_equal(ask->count, 3);
    offer_item items[4] = {{h, 500}, {h, 9000}, {h, 100}, {h, MS_NEVER}};
    core_event e = world_request(&w, batch, EVENT_OFFER);
    e.offer.id = a;
    e.offer.items = items;
    e.offer.n = 4;
    world_step(&w, &e);
    const effect_push *r = world_push(&w, PUSH_RECALL, 0);
    assert_non_null(r);
    assert_int_equal(r->count, 3);
    assert_int_equal(r->reason, RECALL_FOR_WAITER);
    recall_id q = r->recall;
    assert_int_equal(world_push(&w, PUSH_PREFER, 0)->preferred.chunks, 3);
    waiter_view v;
    assert_int_equal(view_waiter_by_id(w.core, w.now, b, &v), 0);
    assert_int_equal(v.reason, WAIT_RECALL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_release(&w, batch, a, q, h, 1), STATUS_OK);
        assert_int_equal(world_view(&w, h).returning, MIB(700));
        core_event c = world_request(&w, batch, EVENT_CLOSE);
        c.close.gen = g[i];
        world_step(&w, &c);
        world_drained(&w, h, g[i]);
        assert_int_equal(world_view(&w, h).returning, 0);
    }
    assert_int_equal(world_allocation(&w, b).state, ALLOCATION_LIVE);
    assert_int_equal(world_allocation(&w, b).chunks, 1);
    assert_int_equal(world_allocation(&w, a).chunks, 1);
    assert_int_equal(world_allocation(&w, a).want, 4);
    recall_view rv;
    assert_int_equal(view_recall_by_id(w.core, q, &rv), 0);
    assert_int_equal(rv.record.released, 3);
    world_replay(&w);
    world_restart(&w, true);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_and_release),
        cmocka_unit_test(test_main_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
