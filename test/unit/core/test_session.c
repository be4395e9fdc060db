/* test_session.c - reattach, grace, the end of an owner, and answers that are given once. */
#include "world.h"

static core_event about(session_id s, event_kind kind, uint32_t uid)
{
    return (core_event){.kind = kind, .session = {.session = s, .token = {1, 2, 3}, .user = {uid}, .link = 7}};
}

static void test_reattach_and_grace(void **state)
{
    (void)state;
    world w;
    host_id h;
    session_id s;
    allocation_id a;
    generation g = world_open_claimed(&w, 2, 0, 1, &h, &s, &a);
    world_restart(&w, true);
    core_event e = about(s, EVENT_SESSION_REATTACH, 1001);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STALE);
    e = about(s, EVENT_SESSION_REATTACH, 1000);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_OK);
    e = about(s, EVENT_SESSION_BROKEN, 1000);
    world_step(&w, &e);
    assert_int_equal(core_next_deadline(w.core) <= w.now + w.timers.grace_ms, true);
    world_hello(&w, "a", "boot-1", GIB(4));
    world_sample(&w, h, 0, 0);
    world_tick(&w, w.timers.grace_ms);
    assert_int_equal(world_order(&w, ORDER_END, 0)->gen.v, g.v);
    assert_int_equal(world_view(&w, h).free, GIB(3));
    assert_int_equal(world_view(&w, h).returning, GIB(1));
    assert_int_equal(world_allocation(&w, a).state, ALLOCATION_ENDING);
    world_drained(&w, h, g);
    assert_int_equal(world_view(&w, h).free, GIB(4));
    allocation_view v;
    assert_int_equal(view_allocation_by_id(w.core, a, &v), STATUS_NOT_FOUND);
    world_replay(&w);
    world_close(&w);
}

static void test_same_answer(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    core_event e = world_request(&w, s, EVENT_ALLOCATE);
    e.allocate.terms = world_terms(GIB(1), 1, 1, 0);
    world_step(&w, &e);
    allocation_id a = world_reply(&w)->allocation;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->allocation.v, a.v);
    assert_int_equal(world_view(&w, h).granted, GIB(1)); /* no second effect */
    for (int i = 0; i < 100; i++) {
        core_event q = world_request(&w, s, EVENT_CANCEL);
        q.request.acked.v = q.request.number.v - 1;
        q.cancel.id.v = 99;
        world_step(&w, &q);
        assert_int_equal(world_reply(&w)->status, STATUS_NOT_FOUND);
    }
    world_step(&w, &e); /* long acknowledged */
    assert_int_equal(world_reply(&w)->status, STATUS_STALE);
    world_replay(&w);
    world_close(&w);
}

static void test_what_stays(void **state)
{
    (void)state;
    world w;
    host_id h;
    session_id s;
    allocation_id a;
    generation g = world_open_claimed(&w, 3, TERM_STAY, 2, &h, &s, &a);
    core_event e = about(s, EVENT_SESSION_END, 1000);
    world_step(&w, &e);
    assert_int_equal(world_order(&w, ORDER_END, 0)->kill, false);
    assert_int_equal(world_view(&w, h).granted, GIB(2));
    assert_int_equal(world_view(&w, h).free, GIB(2));
    assert_int_equal(world_view(&w, h).returning, 0);
    assert_int_equal(world_allocation(&w, a).state, ALLOCATION_LIVE);
    world_replay(&w);
    world_restart(&w, true);
    world_hello(&w, "a", "boot-1", GIB(4));
    world_sample(&w, h, 0, 0);
    world_tick(&w, 10 * w.timers.grace_ms);
    assert_int_equal(world_view(&w, h).granted, GIB(2));
    assert_int_equal(world_allocation(&w, a).chunks, 2);
    world_drained(&w, h, g);
    assert_int_equal(world_view(&w, h).free, GIB(4));
    allocation_view v;
    assert_int_equal(view_allocation_by_id(w.core, a, &v), STATUS_NOT_FOUND);
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reattach_and_grace), cmocka_unit_test(test_same_answer),
                                       cmocka_unit_test(test_what_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
