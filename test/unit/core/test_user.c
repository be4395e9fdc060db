/* test_user.c - settings of users, and what a quota refuses. */
#include "world.h"

static void configure(world *w, uint32_t user, uint32_t weight, bytes_t quota)
{
    core_event e = {.kind = EVENT_CONFIG_USER, .config_user = {{user}, weight, quota}};
    world_step(w, &e);
}

static void test_quota(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(8));
    configure(&w, UINT32_MAX, 1, GIB(2)); /* everybody */
    configure(&w, 1001, 1, GIB(4));       /* but one */
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a;
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(3), 1, 1, 0), NULL), STATUS_QUOTA);
    assert_int_equal(world_reply(&w)->most, GIB(2));
    assert_int_equal(world_allocate(&w, t, world_terms(GIB(3), 1, 1, 0), NULL), 0);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), &a), 0);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), NULL), STATUS_WAITING);
    waiter_view v;
    uint32_t cursor = 0;
    assert_true(view_waiter(w.core, w.now, &cursor, &v));
    assert_int_equal(v.reason, WAIT_QUOTA);
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 1), 0);
    assert_int_equal(world_view(&w, h).granted, GIB(4)); /* the waiter has its chunk */
    world_close(&w);
}

static void test_a_larger_quota_lets_waiters_go(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(8));
    configure(&w, 1000, 1, GIB(1));
    session_id s = world_session(&w, 1000, false);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), NULL), 0);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), NULL), STATUS_WAITING);
    configure(&w, 1000, 1, GIB(2));
    assert_int_equal(world_view(&w, h).granted, GIB(2));
    world_close(&w);
}

static void test_settings_that_are_over(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    configure(&w, 1000, 1, GIB(4));
    configure(&w, UINT32_MAX, 1, GIB(2));
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(5), 1, 1, 0), NULL), STATUS_QUOTA);
    assert_int_equal(world_reply(&w)->most, GIB(4));
    configure(&w, 1000, 0, 0); /* the default ones count, */
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(5), 1, 1, 0), NULL), STATUS_QUOTA);
    assert_int_equal(world_reply(&w)->most, GIB(2));
    configure(&w, UINT32_MAX, 1, GIB(3)); /* and their changes */
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(5), 1, 1, 0), NULL), STATUS_QUOTA);
    assert_int_equal(world_reply(&w)->most, GIB(3));
    world_close(&w);
}

static void test_full_table(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, (core_limits){1, 1, 4, 4, 4, 4, 4, 64});
    world_session(&w, 1000, false);
    core_event e = {.kind = EVENT_SESSION_OPEN, .session = {.user = {1001}, .link = 9}};
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_LIMIT);
    assert_int_equal(world_reply(&w)->link, 9);
    world_session(&w, 1000, false);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota), cmocka_unit_test(test_a_larger_quota_lets_waiters_go),
        cmocka_unit_test(test_settings_that_are_over), cmocka_unit_test(test_full_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
