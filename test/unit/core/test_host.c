/* test_host.c - names, hello in its order, silence, another boot. */
#include "world.h"

static void test_hello_in_order(void **state)
{
    (void)state;
    world w;
    host_id h;
    session_id s;
    allocation_id a;
    generation g = world_open_claimed(&w, 2, 0, 2, &h, &s, &a);
    world_hello(&w, "a", "boot-1", GIB(4));
    effect_order all[3];
    uint32_t n = 0;
    for (uint32_t i = 0; i < w.effects.count; i++)
        if (w.effects.items[i].kind == EFFECT_ORDER && n < 3)
            all[n++] = w.effects.items[i].order;
    assert_int_equal(n, 3);
    assert_int_equal(all[0].kind, ORDER_WELCOME);
    assert_int_equal(all[0].gen.v, g.v); /* the highest ever issued */
    assert_int_equal(all[1].kind, ORDER_EXPECT);
    assert_int_equal(all[1].bytes, GIB(2));
    assert_int_equal(all[2].kind, ORDER_READY);
    assert_int_equal(world_view(&w, h).state, HOST_UNKNOWN); /* no fresh sample yet */
    assert_int_equal(world_allocate(&w, s, world_terms(1, 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    world_sample(&w, h, 0, 0);
    assert_int_equal(world_view(&w, h).state, HOST_UP);
    world_close(&w);
}

static void test_silence(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), NULL), 0);
    core_event gone = {.kind = EVENT_HOST_GONE, .gone = h};
    world_step(&w, &gone);
    assert_int_equal(world_view(&w, h).state, HOST_SUSPECT);
    assert_int_equal(world_view(&w, h).granted, GIB(1));
    assert_int_equal(core_next_deadline(w.core), w.now + w.timers.suspect_ms);
    assert_int_equal(world_allocate(&w, s, world_terms(1, 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    world_tick(&w, w.timers.suspect_ms);
    assert_int_equal(world_view(&w, h).state, HOST_LOST);
    assert_int_equal(world_view(&w, h).granted, GIB(1)); /* that memory exists only there */
    world_step(&w, &gone);
    assert_int_equal(world_view(&w, h).state, HOST_LOST);
    world_close(&w);
}

static void test_another_boot_ends_claims(void **state)
{
    (void)state;
    world w;
    host_id h;
    session_id s;
    allocation_id a;
    generation g = world_open_claimed(&w, 2, 0, 1, &h, &s, &a);
    world_release(&w, s, a, (recall_id){0}, h, 2);
    assert_int_equal(world_view(&w, h).returning, GIB(1));
    world_hello(&w, "a", "boot-2", GIB(4));
    assert_int_equal(world_push(&w, PUSH_CLAIM_ENDED, 0)->cause, CAUSE_KILLED);
    assert_int_equal(world_push(&w, PUSH_CLAIM_ENDED, 0)->claim.v, g.v);
    assert_non_null(world_note(&w, NOTE_HOST_REBOOTED));
    assert_null(world_order(&w, ORDER_EXPECT, 0));
    assert_int_equal(world_view(&w, h).returning, 0);
    world_replay(&w);
    world_close(&w);
}

static void test_full_table_and_bad_names(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, (core_limits){1, 1, 1, 1, 1, 1, 1, 1});
    world_host(&w, "a", GIB(4));
    world_hello(&w, "b", "boot-1", GIB(4));
    assert_non_null(world_note(&w, NOTE_LIMIT_REACHED));
    world_hello(&w, "", "boot-1", GIB(4));
    core_event e = {.kind = EVENT_HOST_HELLO};
    memset(e.hello.name, 'x', sizeof(e.hello.name)); /* without its end */
    world_step(&w, &e);
    assert_int_equal(w.effects.count, 0);
    core_event sample = {.kind = EVENT_HOST_SAMPLE, .sample = {{77}, 0, 0}};
    world_step(&w, &sample);
    assert_int_equal(w.effects.count, 0);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.hosts, 1);
    world_close(&w);
}

/* An agent that tells nonsense may not stop the broker: its numbers are bounded before they are added. */
static void test_numbers_without_measure(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a), 0);
    world_sample(&w, h, UINT64_MAX, 0);
    world_sample(&w, h, UINT64_MAX, 0); /* a rise counts after two */
    assert_int_equal(world_view(&w, h).free, 0);
    assert_int_equal(world_view(&w, h).foreign, HOST_BYTES_MAX);
    generation groups[] = {{UINT64_MAX}, {NUMBER_MAX}, {NUMBER_MAX - 1000}};
    core_event e = {.kind = EVENT_HOST_HELLO, .hello = {.name = "a", .boot_id = "boot-1", .limited = true}};
    e.hello.physical = e.hello.total = UINT64_MAX;
    e.hello.groups = groups;
    e.hello.n_groups = 3;
    world_step(&w, &e);
    world_sample(&w, h, 0, 0);
    assert_int_equal(world_view(&w, h).total, HOST_BYTES_MAX);
    world_claim(&w, s, a, h, 1, &g);
    assert_int_equal(g.v, NUMBER_MAX - 999); /* above what may have been issued; what never was does not count */
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hello_in_order), cmocka_unit_test(test_silence),
                                       cmocka_unit_test(test_another_boot_ends_claims),
                                       cmocka_unit_test(test_full_table_and_bad_names),
                                       cmocka_unit_test(test_numbers_without_measure)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
