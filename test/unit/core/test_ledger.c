/* test_ledger.c - columns, smoothing of foreign memory, the default of what is set aside, the index. */
#include "world.h"

static host_id host_with(world *w, const char *name, bytes_t total, bytes_t set_aside)
{
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.set_aside = set_aside}};
    strcpy(e.config_host.name, name);
    world_step(w, &e);
    return world_host(w, name, total);
}

static void test_default_set_aside(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    assert_int_equal(world_view(&w, host_with(&w, "small", GIB(1), UINT64_MAX)).set_aside, MIB(256));  /* a quarter */
    assert_int_equal(world_view(&w, host_with(&w, "middle", GIB(4), UINT64_MAX)).set_aside, MIB(512)); /* the least */
    assert_int_equal(world_view(&w, host_with(&w, "large", GIB(100), UINT64_MAX)).set_aside, GIB(5));  /* 5 % */
    assert_int_equal(world_view(&w, host_with(&w, "greedy", GIB(1), GIB(2))).set_aside, GIB(1)); /* not above total */
    assert_int_equal(world_view(&w, (host_id){3}).free, 0);
    world_close(&w);
}

static void test_foreign_rises_after_two_samples_and_falls_slowly(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    world_sample(&w, h, MIB(800), 0);
    assert_int_equal(world_view(&w, h).foreign, 0);
    world_sample(&w, h, MIB(1000), MIB(200)); /* what claims use is not foreign */
    assert_int_equal(world_view(&w, h).foreign, MIB(800));
    world_sample(&w, h, 0, 0); /* an eighth of the difference */
    assert_int_equal(world_view(&w, h).foreign, MIB(700));
    world_sample(&w, h, MIB(100), MIB(300)); /* claims use more than all: nothing is foreign */
    assert_int_equal(world_view(&w, h).foreign, MIB(700) - MIB(700) / 8);
    world_close(&w);
}

static void test_foreign_is_covered_first(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = host_with(&w, "a", GIB(4), GIB(1));
    world_sample(&w, h, GIB(3), 0);
    world_sample(&w, h, GIB(3), 0);
    host_view v = world_view(&w, h);
    assert_int_equal(v.foreign, GIB(2)); /* one GiB is what the owner kept */
    assert_int_equal(v.free, GIB(1));
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "a", .total = GIB(2), .set_aside = GIB(1)}};
    world_step(&w, &e); /* two GiB outside the total cover it too */
    v = world_view(&w, h);
    assert_int_equal(v.total, GIB(2));
    assert_int_equal(v.foreign, 0);
    assert_int_equal(v.free, GIB(1));
    assert_int_equal(v.overdraft, 0);
    world_close(&w);
}

static void test_overdraft_is_what_is_missing(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 3, 3, 0), NULL), 0);
    world_sample(&w, h, GIB(3), 0);
    world_sample(&w, h, GIB(3), 0);
    host_view v = world_view(&w, h);
    assert_int_equal(v.free, 0);
    assert_int_equal(v.overdraft, GIB(2));
    assert_int_equal(v.set_aside + v.foreign + v.granted + v.returning + v.held + v.quarantine, v.total + v.overdraft);
    assert_int_equal(world_allocate(&w, s, world_terms(1, 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    world_close(&w);
}

/* A host with many cores is in another class of the index; it is found there when its cores change. */
static void test_index_follows_the_class(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "a", .cores = 64, .home = true}};
    world_step(&w, &e);
    assert_int_equal(world_view(&w, h).cores, 64);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), NULL), 0);
    assert_int_equal(world_view(&w, h).free, 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_default_set_aside),
                                       cmocka_unit_test(test_foreign_rises_after_two_samples_and_falls_slowly),
                                       cmocka_unit_test(test_foreign_is_covered_first),
                                       cmocka_unit_test(test_overdraft_is_what_is_missing),
                                       cmocka_unit_test(test_index_follows_the_class)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
