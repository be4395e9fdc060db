/* test_request.c - I12: answered once, the same answer again, at most ANSWERS_MAX kept. */
#include "world.h"

static core_event numbered(session_id s, uint64_t number, uint64_t acked)
{
    core_event e = {.kind = EVENT_ALLOCATE, .request = {s, {number}, {acked}}};
    e.allocate.terms = world_terms(MIB(1), 1, 1, 0);
    return e;
}

static void test_the_same_answer_again(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    core_event e = numbered(s, 1, 0);
    world_step(&w, &e);
    allocation_id a = world_reply(&w)->allocation;
    for (int life = 0; life < 2; life++) {
        world_step(&w, &e);
        assert_int_equal(world_reply(&w)->status, 0);
        assert_int_equal(world_reply(&w)->allocation.v, a.v);
        assert_int_equal(world_view(&w, h).granted, MIB(1)); /* no second effect */
        world_restart(&w, true);
        core_event back = {.kind = EVENT_SESSION_REATTACH,
                           .session = {.session = s, .user = {1000}, .link = 8, .token = {1, 2, 3}}};
        world_step(&w, &back);
    }
    assert_int_equal(view_session_seen(w.core, s).v, 1);
    world_close(&w);
}

static void test_acknowledged_ones_are_stale(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    core_event e = numbered(s, 0, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STALE); /* numbers begin at 1 */
    for (uint64_t i = 1; i <= ANSWERS_MAX; i++) {
        e = numbered(s, i, i - 1);
        world_step(&w, &e);
        assert_int_equal(world_reply(&w)->status, 0);
    }
    e = numbered(s, 3, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STALE); /* dropped with its batch */
    e = numbered(s, ANSWERS_MAX, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0); /* still kept */
    world_replay(&w);
    world_close(&w);
}

/* Nothing is acknowledged: the oldest answers go, one by one. */
static void test_at_most_answers_max(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    for (uint64_t i = 1; i <= ANSWERS_MAX + 5; i++) {
        core_event e = numbered(s, i, 0);
        world_step(&w, &e);
    }
    core_event e = numbered(s, 5, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STALE);
    e = numbered(s, 6, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    world_replay(&w);
    world_close(&w);
}

/* The table is full of another session's answers. */
static void test_full_table(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, (core_limits){1, 2, 4, 16, 16, 4, 4, 2});
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1000, false);
    for (uint64_t i = 1; i <= 3; i++) {
        core_event e = numbered(s, i, 0);
        world_step(&w, &e);
        assert_int_equal(world_reply(&w)->status, 0);
    }
    core_event e = numbered(t, 1, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_LIMIT);
    assert_int_equal(world_view(&w, h).granted, MIB(3));
    e = numbered(s, 4, 3); /* acknowledges all: there is room */
    world_step(&w, &e);
    e = numbered(t, 1, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_same_answer_again),
                                       cmocka_unit_test(test_acknowledged_ones_are_stale),
                                       cmocka_unit_test(test_at_most_answers_max), cmocka_unit_test(test_full_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
