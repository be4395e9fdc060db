/* test_load.c - records that contradict the books, and what a restart brings back. */
#include "world.h"

static core *fresh(world *w, void **ret_arena)
{
    core *c;
    size_t size = core_arena_size(&w->limits);
    *ret_arena = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(*ret_arena);
    assert_int_equal(core_init(&c, &w->limits, &w->timers, *ret_arena, size), 0);
    return c;
}

static void test_contradictions(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    void *arena;
    core *c = fresh(&w, &arena);
    const core_record bad[] = {
        {.kind = RECORD_KINDS},
        {.kind = RECORD_SESSION_END, .session_end = {1}},
        {.kind = RECORD_SESSION, .session = {.state = SESSION_ATTACHED}}, /* number 0 */
        {.kind = RECORD_ALLOCATION, .allocation = {.id = {1}}},           /* chunks of 0 bytes */
        {.kind = RECORD_ALLOCATION,
         .allocation = {.id = {1}, .terms = {.chunk_size = UINT64_MAX, .want = 2}}}, /* overflow */
        {.kind = RECORD_ALLOCATION_STATE, .allocation_state = {.id = {1}, .state = ALLOCATION_LIVE}},
        {.kind = RECORD_ALLOCATION_END, .allocation_end = {1}},
        {.kind = RECORD_HOLDING, .holding = {.allocation = {1}, .held = 1}},
        {.kind = RECORD_CLAIM, .claim = {.gen = {1}, .allocation = {1}, .chunks = 1, .state = CLAIM_OPEN}},
        {.kind = RECORD_CLAIM_END, .claim_end = {1}},
        {.kind = RECORD_RECALL, .recall = {.id = {1}, .allocation = {1}, .asked = 1}},
        {.kind = RECORD_RECALL_END, .recall_end = {1}},
        {.kind = RECORD_ANSWER, .answer = {.session = {1}}},
        {.kind = RECORD_HOST, .host = {.id = {1}, .name = "b"}}, /* host 0 comes first */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(core_load(c, &bad[i]), STATUS_CORRUPT);
    core_record far = {.kind = RECORD_HOST, .host = {.id = {w.limits.hosts}, .name = "z"}};
    assert_int_equal(core_load(c, &far), STATUS_LIMIT);
    assert_int_equal(core_load(NULL, &far), STATUS_INVALID);
    assert_int_equal(core_load(w.core, &far), STATUS_INVALID); /* recovered already */
    char why[128];
    assert_int_equal(core_check(c, why, sizeof(why)), 0); /* none of them left a trace */
    free(arena);
    world_close(&w);
}

/* A waiter with a recall half answered: after the restart what was freed for it is kept again at the first sample. */
static void test_gathered_again(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1001, false);
    allocation_id a, waiter, younger;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, TERM_GROWABLE | TERM_RECALLABLE), &a);
    world_claim(&w, s, a, h, 3, &g);
    world_allocate(&w, t, world_terms(GIB(3), 1, 1, 0), &waiter);
    world_tick(&w, w.timers.ask_ms);
    recall_id r = world_push(&w, PUSH_RECALL, 0)->recall;
    world_release(&w, s, a, r, h, 2); /* one idle, one a debt */
    assert_int_equal(world_allocate(&w, t, world_terms(GIB(1), 1, 1, 0), &younger), STATUS_WAITING);
    world_restart(&w, true);
    world_host(&w, "a", GIB(4));
    host_view v = world_view(&w, h);
    assert_int_equal(v.held, GIB(1));
    assert_int_equal(v.free, 0);
    assert_int_equal(world_allocation(&w, younger).state, ALLOCATION_WAITING);
    core_event e = {.kind = EVENT_SESSION_REATTACH,
                    .session = {.session = s, .user = {1000}, .link = 3, .token = {1, 2, 3}}};
    world_step(&w, &e);
    e = world_request(&w, s, EVENT_CLOSE);
    e.close.gen = g;
    world_step(&w, &e);
    world_drained(&w, h, g); /* the debt is paid to the waiter too */
    assert_int_equal(world_view(&w, h).held, GIB(2));
    assert_int_equal(world_allocation(&w, younger).state, ALLOCATION_WAITING);
    recall_view open;
    assert_int_equal(view_recall_by_id(w.core, r, &open), 0);
    assert_int_equal(open.record.asked - open.record.released, 1);
    world_close(&w);
}

static void test_another_boot_arms_anew(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_terms t = world_terms(GIB(4), 1, 1, 0);
    allocation_id a, b;
    t.wait_ms = 5000;
    world_allocate(&w, s, t, &a);
    world_allocate(&w, s, t, &b);
    w.now += 4000;
    world_restart(&w, false);
    assert_true(w.now < 1000); /* the clock began anew */
    core_event e = {.kind = EVENT_SESSION_REATTACH,
                    .session = {.session = s, .user = {1000}, .link = 3, .token = {1, 2, 3}}};
    world_step(&w, &e);
    world_host(&w, "a", GIB(4));
    world_tick(&w, 4999 - w.now);
    assert_int_equal(world_allocation(&w, b).state, ALLOCATION_WAITING);
    world_tick(&w, 10);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_TIMEOUT);
    assert_int_equal(world_view(&w, h).granted, GIB(4));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_contradictions), cmocka_unit_test(test_gathered_again),
                                       cmocka_unit_test(test_another_boot_arms_anew)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
