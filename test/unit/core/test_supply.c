/* test_supply.c - a long queue: who is behind many is granted as soon as what became free is enough. */
#include "world.h"

enum { MANY = 200 };

static void queue_up(world *w, session_id s, bytes_t size, chunks_t n, uint32_t flags, const char *filter, int many,
                     allocation_id *ret_last)
{
    for (int i = 0; i < many; i++) {
        allocation_terms t = world_terms(size, n, n, flags);
        strcpy(t.filter, filter);
        assert_int_equal(world_allocate(w, s, t, ret_last), STATUS_WAITING);
    }
}

static const core_limits limits = {4, 4, 4, 2048, 2048, 64, 64, 256};

static void test_the_small_one_behind_large_ones(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, limits);
    host_id a = world_host(&w, "a", GIB(4)), b = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id on_a, on_b, large, spread, small, only_b;
    world_allocate(&w, s, world_terms(GIB(1), 4, 4, 0), &on_a);
    world_allocate(&w, s, world_terms(GIB(1), 4, 4, 0), &on_b);
    queue_up(&w, s, GIB(3), 1, 0, "", MANY, &large);
    queue_up(&w, s, GIB(1), 3, 0, "", MANY, &spread);
    queue_up(&w, s, GIB(1), 1, 0, "b", MANY, &only_b);
    queue_up(&w, s, GIB(1), 1, 0, "", 1, &small);
    assert_int_equal(world_release(&w, s, on_a, (recall_id){0}, a, 1), 0);
    assert_int_equal(world_allocation(&w, small).state, ALLOCATION_LIVE); /* behind six hundred */
    assert_int_equal(world_view(&w, a).free, 0);
    uint32_t cursor = 0;
    waiter_view first;
    assert_true(view_waiter(w.core, w.now, &cursor, &first));
    assert_int_equal(world_release(&w, s, on_b, (recall_id){0}, b, 1), 0);
    allocation_view v;
    int granted = 0;
    for (cursor = 0; view_allocation(w.core, &cursor, &v);)
        granted += v.terms->filter[0] == 'b' && v.state == ALLOCATION_LIVE;
    assert_int_equal(granted, 1);
    assert_int_equal(world_allocation(&w, only_b).state, ALLOCATION_WAITING); /* the first of them, not the last */
    world_close(&w);
}

/* Two pieces on two hosts, freed one after the other, are enough together. */
static void test_pieces_add_up(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, limits);
    host_id a = world_host(&w, "a", GIB(4)), b = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id on_a, on_b, large, pair;
    world_allocate(&w, s, world_terms(GIB(1), 4, 4, 0), &on_a);
    world_allocate(&w, s, world_terms(GIB(1), 4, 4, 0), &on_b);
    queue_up(&w, s, GIB(3), 1, 0, "", MANY, &large);
    queue_up(&w, s, GIB(1), 2, 0, "", 1, &pair);
    assert_int_equal(world_release(&w, s, on_a, (recall_id){0}, a, 1), 0);
    assert_int_equal(world_allocation(&w, pair).state, ALLOCATION_WAITING);
    assert_int_equal(world_release(&w, s, on_b, (recall_id){0}, b, 1), 0);
    assert_int_equal(world_allocation(&w, pair).state, ALLOCATION_LIVE);
    assert_int_equal(world_allocation(&w, pair).chunks, 2);
    world_close(&w);
}

/* Behind many, too, a waiter asks for what may be asked back. */
static void test_asks_from_behind(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, limits);
    world_host(&w, "a", GIB(4));
    world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id on_a, pool, other, waiter;
    world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &on_a);
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &pool);
    queue_up(&w, s, GIB(4), 1, 0, "a", MANY, &other);
    queue_up(&w, s, GIB(3), 1, 0, "b", 1, &waiter);
    world_tick(&w, w.timers.ask_ms);
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, (recall_id){1}, &v), 0);
    assert_int_equal(v.record.beneficiary.v, waiter.v);
    assert_int_equal(v.record.asked, 3);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_small_one_behind_large_ones),
                                       cmocka_unit_test(test_pieces_add_up), cmocka_unit_test(test_asks_from_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
