/* test_claim.c - the end of a claim: debt, quarantine, what a later life of the broker knows. */
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
    host_id h;
    session_id s;
    generation g = world_open_claimed(&w, 2, 0, 1, &h, &s, NULL);
    world_close_claim(&w, s, g, true);
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
    world_close_claim(&w, s, polite, false);
    world_close_claim(&w, s, killed, true);
    world_restart(&w, true);
    world_hello(&w, "a", "boot-1", GIB(4));
    assert_int_equal(world_order(&w, ORDER_EXPECT, 0)->gen.v, polite.v);
    assert_true(world_order(&w, ORDER_EXPECT, 0)->ending);
    assert_false(world_order(&w, ORDER_EXPECT, 0)->kill);
    assert_int_equal(world_order(&w, ORDER_EXPECT, 1)->gen.v, killed.v);
    assert_true(world_order(&w, ORDER_EXPECT, 1)->kill);
    world_close(&w);
}

/* Until its agent has told, nobody knows whether processes are left: not a reason for quarantine. */
static void test_unknown_is_not_empty(void **state)
{
    (void)state;
    world w;
    host_id h;
    session_id s;
    generation g = world_open_claimed(&w, 1, 0, 1, &h, &s, NULL);
    world_close_claim(&w, s, g, false);
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

/* A program that lives on in a claim that is told to end: looked at again and again, with one record. */
static void test_a_long_end_is_one_record(void **state)
{
    (void)state;
    world w;
    host_id h;
    session_id s;
    generation g = world_open_claimed(&w, 1, 0, 1, &h, &s, NULL);
    world_close_claim(&w, s, g, false);
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_debt_is_paid_first),
                                       cmocka_unit_test(test_quarantine),
                                       cmocka_unit_test(test_kill_survives),
                                       cmocka_unit_test(test_unknown_is_not_empty),
                                       cmocka_unit_test(test_a_long_end_is_one_record),
                                       cmocka_unit_test(test_root_is_given_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
