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
        {.kind = RECORD_HOST, .host = {.id = {0}}},              /* no name */
        {.kind = RECORD_HOST, .host = {.id = {0}, .name = "a", .total = UINT64_MAX}},
        {.kind = RECORD_COUNTERS, .counters = {.generation = UINT64_MAX}}, /* none could follow */
        {.kind = RECORD_SESSION, .session = {.id = {UINT64_MAX}, .state = SESSION_ATTACHED}},
        {.kind = RECORD_ALLOCATION, .allocation = {.id = {1}, .terms = {.chunk_size = 1, .want = 1, .min = 2}}},
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

/* Loads the records, then recovers: what one record cannot tell is seen at the end. */
static int whole(const core_record *records, size_t n)
{
    world w;
    world_open(&w);
    void *arena;
    core *c = fresh(&w, &arena);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(core_load(c, &records[i]), 0);
    int r = core_recover(c, 1000, true, &w.effects);
    char why[128];
    if (r == 0)
        assert_int_equal(core_check(c, why, sizeof(why)), 0);
    free(arena);
    world_close(&w);
    return r;
}

static void test_records_that_make_no_books(void **state)
{
    (void)state;
    const core_record host = {.kind = RECORD_HOST, .host = {.id = {0}, .name = "a", .total = GIB(8)}};
    const core_record session = {.kind = RECORD_SESSION,
                                 .session = {.id = {1}, .state = SESSION_ATTACHED, .grace_until = MS_NEVER}};
    const core_record terms = {
        .kind = RECORD_ALLOCATION,
        .allocation = {.id = {1}, .owner = {1}, .terms = {.chunk_size = GIB(1), .want = 4, .min = 1, .notice_ms = 9}}};
    const core_record live = {
        .kind = RECORD_ALLOCATION_STATE,
        .allocation_state = {.id = {1}, .state = ALLOCATION_LIVE, .want = 4, .wait_until = MS_NEVER}};
    const core_record held = {.kind = RECORD_HOLDING,
                              .holding = {.allocation = {1}, .host = {0}, .held = 2, .returning_until = MS_NEVER}};
    const core_record claim = {
        .kind = RECORD_CLAIM,
        .claim = {
            .gen = {1}, .allocation = {1}, .host = {0}, .chunks = 2, .state = CLAIM_OPEN, .closing_until = MS_NEVER}};
    const core_record recalled = {
        .kind = RECORD_RECALL,
        .recall = {
            .id = {1}, .allocation = {1}, .reason = RECALL_FOR_DRAIN, .host = {0}, .asked = 1, .deadline = 5000}};
    core_record all[] = {host, session, terms, live, held, claim, recalled};
    const size_t n = sizeof(all) / sizeof(all[0]);
    assert_int_equal(whole(all, n), 0);
    assert_int_equal(whole(all, 3), STATUS_CORRUPT); /* terms without a state */

    all[1].session.state = SESSION_DETACHED; /* without a grace */
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
    all[1] = session;
    all[3].allocation_state.wait_until = 7;
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
    all[3].allocation_state.state = ALLOCATION_WAITING; /* and holds chunks */
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
    all[3] = live;
    all[4].holding.held = 1; /* fewer than are claimed */
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
    all[4].holding.held = 2;
    all[4].holding.returning = 1; /* without a deadline */
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
    all[4] = held;
    all[5].claim.closing_until = 7; /* of one that is open */
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
    all[5].claim.closing_until = MS_NEVER;
    all[5].claim.chunks = 0; /* for one that waits no more: it is the program's to resize */
    assert_int_equal(whole(all, n), 0);
    all[5] = claim;
    all[6].recall.asked = 2; /* below the firm part */
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
    all[6].recall.asked = 1;
    all[6].recall.deadline = MS_NEVER;
    assert_int_equal(whole(all, n), STATUS_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_contradictions), cmocka_unit_test(test_gathered_again),
                                       cmocka_unit_test(test_another_boot_arms_anew),
                                       cmocka_unit_test(test_records_that_make_no_books)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
