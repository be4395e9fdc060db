/* test_queue.c - turns, age guard, refusals, time. */
#include "world.h"

static void test_smaller_passes_until_the_guard(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, b, big, small, later;
    world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), &a);
    world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), &b);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &big), STATUS_WAITING);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &small), STATUS_WAITING);
    world_release(&w, s, a, (recall_id){0}, h, 1);
    assert_int_equal(world_allocation(&w, small).state, ALLOCATION_LIVE); /* it fits, the older one does not */
    assert_int_equal(world_view(&w, h).held, 0);
    world_tick(&w, w.timers.age_guard_ms);
    assert_int_equal(world_view(&w, h).held, GIB(1));
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &later), STATUS_WAITING);
    world_release(&w, s, b, (recall_id){0}, h, 1);
    assert_int_equal(world_view(&w, h).held, GIB(3));
    waiter_view v;
    assert_int_equal(view_waiter_by_id(w.core, w.now, big, &v), 0);
    assert_int_equal(v.place, 1);
    assert_int_equal(v.reason, WAIT_HELD);
    assert_int_equal(v.missing, GIB(1));
    world_release(&w, s, small, (recall_id){0}, h, 1);
    assert_int_equal(world_allocation(&w, big).state, ALLOCATION_LIVE);
    assert_int_equal(world_view(&w, h).held, 0);
    world_replay(&w);
    world_close(&w);
}

static void test_refusals(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), op = world_session(&w, 0, true);
    allocation_id a, first;
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(5), 1, 1, 0), NULL), STATUS_NEVER);
    assert_int_equal(world_reply(&w)->most, GIB(4));
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 5, 5, 0), NULL), STATUS_NEVER);
    assert_int_equal(world_allocate(&w, s, world_terms(0, 1, 1, 0), NULL), STATUS_INVALID);
    assert_int_equal(world_allocate(&w, s, world_terms(UINT64_MAX / 2, 3, 3, 0), NULL), STATUS_INVALID);
    assert_int_equal(world_allocate(&w, s, world_terms(1, 1, 2, 0), NULL), STATUS_INVALID);
    allocation_terms t = world_terms(GIB(1), 1, 1, 0);
    t.priority = 1;
    assert_int_equal(world_allocate(&w, s, t, NULL), STATUS_DENIED);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &a), STATUS_OK);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), NULL), STATUS_WAITING);
    assert_int_equal(world_allocate(&w, op, t, &first), STATUS_WAITING);
    waiter_view v;
    assert_int_equal(view_waiter_by_id(w.core, w.now, first, &v), 0);
    assert_int_equal(v.place, 1); /* priority before age */
    t = world_terms(GIB(1), 1, 1, 0);
    t.wait_ms = 50;
    assert_int_equal(world_allocate(&w, s, t, NULL), STATUS_WAITING);
    world_tick(&w, 50);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_TIMEOUT);
    core_event quota = {.kind = EVENT_CONFIG_USER, .config_user = {{1000}, 1, GIB(2)}};
    world_step(&w, &quota);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(3), 1, 1, 0), NULL), STATUS_QUOTA);
    assert_int_equal(world_reply(&w)->most, GIB(2));
    (void)h;
    world_replay(&w);
    world_close(&w);
}

/* The broker restarts; its agent is back, and somebody new asks before the host is measured, and after. */
static void restart_and_ask(world *w, host_id h, allocation_id *ret_before, allocation_id *ret_after)
{
    world_restart(w, true);
    session_id n = world_session(w, 1009, false);
    world_hello(w, "a", "boot-1", GIB(4));
    assert_int_equal(world_allocate(w, n, world_terms(GIB(1), 1, 1, 0), ret_before), STATUS_WAITING);
    world_sample(w, h, 0, 0);
    assert_int_equal(world_allocate(w, n, world_terms(GIB(1), 1, 1, 0), ret_after), STATUS_WAITING);
    assert_int_equal(world_allocation(w, *ret_before).state, ALLOCATION_WAITING);
}

static void test_a_restart_keeps_what_recalls_freed(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, b, before, after;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, TERM_GROWABLE | TERM_RECALLABLE), &a);
    assert_int_equal(world_claim(&w, s, a, h, 2, &g), STATUS_OK);
    assert_int_equal(world_allocate(&w, t, world_terms(GIB(3), 1, 1, 0), &b), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    recall_id q = world_push(&w, PUSH_RECALL, 0)->recall;
    assert_int_equal(world_release(&w, s, a, q, h, 3), STATUS_OK); /* two are idle; the third still has its task */
    assert_int_equal(world_view(&w, h).held, GIB(2));
    assert_int_equal(world_view(&w, h).returning, GIB(1));
    restart_and_ask(&w, h, &before, &after);
    assert_int_equal(world_view(&w, h).held, GIB(2));
    core_event e = {.kind = EVENT_SESSION_END, .session = {.session = s}}; /* the claim goes with it */
    world_step(&w, &e);
    world_drained(&w, h, g);
    assert_int_equal(world_allocation(&w, b).state, ALLOCATION_LIVE);
    assert_int_equal(world_allocation(&w, b).chunks, 1);
    assert_int_equal(world_allocation(&w, before).state, ALLOCATION_LIVE); /* what is left over, in turn */
    assert_int_equal(world_allocation(&w, after).state, ALLOCATION_WAITING);
    world_replay(&w);
    world_close(&w);
}

static void test_a_restart_keeps_what_an_old_waiter_holds(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, b, big, before, after;
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    world_allocate(&w, s, world_terms(GIB(3), 1, 1, 0), &b);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &big), STATUS_WAITING);
    world_tick(&w, w.timers.age_guard_ms);
    world_release(&w, s, b, (recall_id){0}, h, 1);
    assert_int_equal(world_view(&w, h).held, GIB(3));
    restart_and_ask(&w, h, &before, &after);
    assert_int_equal(world_view(&w, h).held, GIB(3));
    assert_int_equal(world_view(&w, h).free, 0);
    world_replay(&w);
    world_close(&w);
}

/* A waiter whose labels the host lost in a reload keeps nothing there: others get it at once. */
static void test_a_reload_lets_go_what_is_held(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    core_event config = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "a", .labels = "fast"}};
    world_step(&w, &config);
    host_id h = world_host(&w, "a", GIB(4));
    strcpy(config.config_host.name, "b");
    world_step(&w, &config);
    host_id other = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, b, big;
    allocation_terms t = world_terms(GIB(4), 1, 1, 0);
    strcpy(t.filter, "fast");
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &a);
    assert_int_equal(world_allocation(&w, a).chunks, 1);
    bool on_first = world_view(&w, h).granted > 0;
    host_id where = on_first ? h : other, rest = on_first ? other : h;
    world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &b);
    assert_int_equal(world_view(&w, rest).free, 0);
    assert_int_equal(world_allocate(&w, s, t, &big), STATUS_WAITING);
    world_tick(&w, w.timers.age_guard_ms);
    assert_int_equal(world_view(&w, where).held, GIB(3));
    strcpy(config.config_host.name, on_first ? "a" : "b");
    strcpy(config.config_host.labels, "slow");
    world_step(&w, &config);
    world_settle(&w);
    assert_int_equal(world_allocation(&w, big).state, ALLOCATION_WAITING); /* the other host still is fast */
    assert_int_equal(world_view(&w, where).held, 0);
    assert_int_equal(world_view(&w, where).free, GIB(3));
    world_replay(&w);
    world_close(&w);
}

/* Behind a long head that nothing helps, who could be served by asking is looked at a second later by itself. */
static void test_a_long_queue_is_looked_at_by_itself(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), giver = world_session(&w, 1000, false);
    allocation_id a, b, last = {0};
    world_allocate(&w, s, world_terms(GIB(3), 1, 1, 0), &a);
    world_allocate(&w, giver, world_terms(MIB(256), 2, 2, 0), &b);
    for (int i = 0; i < 70; i++)
        assert_int_equal(world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &last), STATUS_WAITING);
    for (int i = 0; i < 5; i++)
        world_tick(&w, 1000);
    ms_t quiet = core_next_deadline(w.core);
    assert_true(quiet > w.now + 1000); /* nothing is left out: no ticking */
    world_release(&w, giver, b, (recall_id){0}, h, 1);
    world_settle(&w);
    assert_true(core_next_deadline(w.core) > w.now + 1000); /* the second had passed: this look was whole */
    world_release(&w, giver, b, (recall_id){0}, h, 1);
    world_settle(&w);
    assert_int_equal(core_next_deadline(w.core), w.now + 1000); /* this one was not */
    world_tick(&w, 1000);
    assert_true(core_next_deadline(w.core) > w.now + 1000);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_smaller_passes_until_the_guard),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_a_restart_keeps_what_recalls_freed),
                                       cmocka_unit_test(test_a_restart_keeps_what_an_old_waiter_holds),
                                       cmocka_unit_test(test_a_reload_lets_go_what_is_held),
                                       cmocka_unit_test(test_a_long_queue_is_looked_at_by_itself)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
