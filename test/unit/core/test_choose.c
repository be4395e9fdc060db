/* test_choose.c - which chunks are asked back for a waiter: soonest for the whole, fewest bytes, lowest host. */
#include <stdio.h>

#include "world.h"

#define GIVES (TERM_SHRINKABLE | TERM_RECALLABLE)

static void on(allocation_terms *t, const char *host)
{
    strcpy(t->filter, host);
}

static allocation_id donor(world *w, session_id s, const char *host, bytes_t size, chunks_t n)
{
    allocation_id a;
    allocation_terms t = world_terms(size, n, 1, GIVES);
    on(&t, host);
    assert_int_equal(world_allocate(w, s, t, &a), 0);
    return a;
}

static void offer(world *w, session_id s, allocation_id a, host_id h, const ms_t *free_in, uint32_t n)
{
    offer_item items[8];
    for (uint32_t i = 0; i < n; i++)
        items[i] = (offer_item){h, free_in[i]};
    core_event e = world_request(w, s, EVENT_OFFER);
    e.offer.id = a;
    e.offer.items = items;
    e.offer.n = n;
    world_step(w, &e);
}

/* The nearest end on host b decides against the lower host a; the recall comes when all have answered. */
static void test_soonest_for_the_whole(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id a = world_host(&w, "a", GIB(4)), b = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1000, false);
    allocation_id x = donor(&w, s, "a", GIB(1), 4), y = donor(&w, t, "b", GIB(1), 4);
    for (int i = 0; i < 4; i++) {
        world_claim(&w, s, x, a, 1, NULL);
        world_claim(&w, t, y, b, 1, NULL);
    }
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), NULL), STATUS_WAITING);
    assert_non_null(world_push(&w, PUSH_ASK, 1));
    offer(&w, s, x, a, (const ms_t[]){100, 9000, MS_NEVER}, 3);
    assert_null(world_push(&w, PUSH_RECALL, 0));
    offer(&w, t, y, b, (const ms_t[]){5000, 6000}, 2); /* the second one of two counts */
    const effect_push *p = world_push(&w, PUSH_RECALL, 0);
    if (!p) {
        world_settle(&w);
        p = world_push(&w, PUSH_RECALL, 0);
    }
    assert_non_null(p);
    assert_int_equal(p->host.v, b.v);
    assert_int_equal(p->count, 2);
    world_close(&w);
}

/* Without any offer: idle chunks first; fewest bytes; then the lowest host. */
static void test_fewest_bytes_then_lowest_host(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(6));
    host_id b = world_host(&w, "b", GIB(6)), c = world_host(&w, "c", GIB(6));
    session_id s = world_session(&w, 1000, false);
    donor(&w, s, "a", GIB(3), 2);
    donor(&w, s, "b", GIB(2), 3);
    donor(&w, s, "c", GIB(2), 3);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), NULL), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    const effect_push *p = world_push(&w, PUSH_RECALL, 0);
    assert_int_equal(p->host.v, b.v);
    assert_int_equal(p->count, 1);
    assert_null(world_push(&w, PUSH_RECALL, 1));
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), NULL), STATUS_WAITING); /* side by side */
    world_tick(&w, w.timers.ask_ms);
    p = world_push(&w, PUSH_RECALL, 0);
    assert_int_equal(p->count, 1);
    assert_true(p->host.v == b.v || p->host.v == c.v);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.recalls, 2);
    world_close(&w);
}

/* Hundreds of small chunks for one large request: one recall for each donor, levelled between them. */
static void test_many_small_chunks(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", MIB(1000));
    session_id s = world_session(&w, 1000, false);
    allocation_id x = donor(&w, s, "a", MIB(1), 600), y = donor(&w, s, "a", MIB(1), 400);
    assert_int_equal(world_allocate(&w, s, world_terms(MIB(800), 1, 1, 0), NULL), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    recall_view v;
    chunks_t of_x = 0, of_y = 0;
    uint32_t cursor = 0;
    while (view_recall(w.core, &cursor, &v)) {
        of_x += v.record.allocation.v == x.v ? v.record.asked : 0;
        of_y += v.record.allocation.v == y.v ? v.record.asked : 0;
    }
    assert_int_equal(cursor, 2);
    assert_int_equal(of_x, 500); /* both keep a hundred */
    assert_int_equal(of_y, 300);
    assert_int_equal(world_view(&w, h).granted, MIB(1000));
    world_close(&w);
}

static void test_never_below_min(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    donor(&w, s, "a", GIB(1), 4);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), NULL),
                     STATUS_WAITING); /* min 1 is in the way */
    assert_null(world_push(&w, PUSH_ASK, 0));
    world_tick(&w, w.timers.ask_ms);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.recalls, 0);
    world_close(&w);
}

/* Hundreds of hosts that cannot give enough do not hide the one that can. */
static void test_the_last_of_many_hosts(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, (core_limits){300, 8, 8, 512, 512, 8, 64, 64});
    w.quiet = true;
    session_id s = world_session(&w, 1000, false);
    const uint32_t flags = TERM_GROWABLE | TERM_RECALLABLE | TERM_ONE_HOST;
    host_id last = {0};
    for (uint32_t i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%u", i);
        last = world_host(&w, name, GIB(4));
        assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 4, i == 299 ? 0 : 3, flags), NULL), 0);
    }
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), NULL), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    const effect_push *p = world_push(&w, PUSH_RECALL, 0);
    assert_non_null(p);
    assert_int_equal(p->host.v, last.v);
    assert_int_equal(p->count, 4);
    STEP_CHECKED(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_of_many_hosts), cmocka_unit_test(test_soonest_for_the_whole),
        cmocka_unit_test(test_fewest_bytes_then_lowest_host), cmocka_unit_test(test_many_small_chunks),
        cmocka_unit_test(test_never_below_min)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
