/* test_place.c - the ladder and the filter, seen through plans. */
#include "world.h"

static uint32_t planned(world *w, session_id s, allocation_terms t)
{
    core_event e = world_request(w, s, EVENT_ALLOCATE);
    e.allocate.terms = t;
    e.allocate.dry_run = true;
    world_step(w, &e);
    const effect_reply *r = world_reply(w);
    return r->status == STATUS_OK ? r->extents[0].host.v : 100 + (uint32_t)-r->status;
}

static void settings(world *w, const char *name, const char *labels, bool home, bool permanent, uint32_t cores)
{
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.home = home, .permanent = permanent, .cores = cores}};
    strcpy(e.config_host.name, name);
    strcpy(e.config_host.labels, labels);
    world_step(w, &e);
}

static void test_ladder(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(2));
    world_host(&w, "b", GIB(4));
    world_host(&w, "c", GIB(8));
    world_host(&w, "d", GIB(8));
    settings(&w, "a", "", true, false, 4);
    settings(&w, "c", "gpu,rack=7", false, true, 4);
    settings(&w, "d", "rack=7", false, false, 64);
    session_id s = world_session(&w, 1000, false);
    allocation_terms t = world_terms(GIB(1), 1, 1, 0);
    assert_int_equal(planned(&w, s, t), 1); /* not home, not permanent, few cores */
    t.flags = TERM_LONG_RUNNING;
    assert_int_equal(planned(&w, s, t), 2);
    t.flags = TERM_CORE_DEPENDENT;
    assert_int_equal(planned(&w, s, t), 3);
    t = world_terms(GIB(1), 5, 5, TERM_ONE_HOST);
    assert_int_equal(planned(&w, s, t), 3); /* permanent hosts are spared before those with many cores */
    t = world_terms(GIB(1), 1, 1, 0);
    strcpy(t.filter, "rack=7");
    assert_int_equal(planned(&w, s, t), 3);
    strcpy(t.filter, "rack=7,gpu");
    assert_int_equal(planned(&w, s, t), 2);
    strcpy(t.filter, "!b,!rack=7");
    assert_int_equal(planned(&w, s, t), 0);
    strcpy(t.filter, "nowhere");
    assert_int_equal(planned(&w, s, t), 100 + 3); /* NEVER */
    strcpy(t.filter, "a,,b");
    assert_int_equal(planned(&w, s, t), 100 + 1); /* INVALID */
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ladder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
