/* test_pick.c - which chunks of a host are asked back: sizes that fit, the one with most above its min, the lowest id.
 */
#include "core/books.h"
#include "core/holding.h"
#include "core/pick.h"
#include "world.h"

static allocation_id donor(world *w, session_id s, bytes_t size, chunks_t want, chunks_t min)
{
    allocation_id id;
    assert_int_equal(world_allocate(w, s, world_terms(size, want, min, TERM_GROWABLE | TERM_RECALLABLE), &id), 0);
    return id;
}

static void test_most_above_min_first(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    allocation_id low = donor(&w, s, GIB(1), 3, 1), high = donor(&w, s, GIB(1), 4, 0);
    core *c = w.core;
    const host *at = &c->hosts[h.v];
    assert_int_equal(pick_cost(c, NULL, at, MIB(4500), MS_NEVER), GIB(5));
    assert_int_equal(c->choice.n_picks, 0);
    assert_int_equal(pick_on(c, NULL, at, MIB(2500), MS_NEVER),
                     GIB(3)); /* 4 and 2 above: two of it, then the lowest id */
    assert_int_equal(c->choice.n_picks, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(c->choice.picks[i].n, c->choice.picks[i].id.v == high.v ? 2 : 1);
    assert_int_equal(pick_cost(c, NULL, at, GIB(4), MS_NEVER), 0); /* three are left */
    assert_int_equal(pick_cost(c, NULL, at, GIB(3), MS_NEVER), GIB(3));
    uint32_t mark = c->choice.n_picks;
    assert_int_equal(pick_on(c, NULL, at, GIB(3), MS_NEVER), GIB(3));
    pick_join(c, mark);
    assert_int_equal(c->choice.n_picks, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(c->choice.picks[i].n, c->choice.picks[i].id.v == low.v ? 2 : 4);
    pick_undo_to(c, 0);
    STEP_CHECKED(&w); /* nothing is left behind */
    world_close(&w);
}

static void test_sizes(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(16));
    session_id s = world_session(&w, 1000, false);
    allocation_id small = donor(&w, s, MIB(512), 2, 0), large = donor(&w, s, GIB(4), 2, 0);
    core *c = w.core;
    const host *at = &c->hosts[h.v];
    assert_int_equal(pick_cost(c, NULL, at, MIB(700), MS_NEVER), GIB(1));
    /* 512 MiB, 512 MiB more, and still too little: the large one, and what it made needless is left alone. */
    assert_int_equal(pick_on(c, NULL, at, GIB(2), MS_NEVER), GIB(4));
    assert_int_equal(c->choice.n_picks, 1);
    assert_int_equal(c->choice.picks[0].id.v, large.v);
    pick_undo(c, 0, 1);
    assert_int_equal(c->choice.picks[0].n, 0);
    pick_undo_to(c, 0);
    const allocation *but = table_get(&c->allocation_ids, large.v);
    assert_int_equal(pick_cost(c, but, at, GIB(2), MS_NEVER), 0);
    assert_int_equal(pick_on(c, but, at, GIB(1), c->now), GIB(1)); /* idle: free now */
    assert_int_equal(c->choice.picks[0].id.v, small.v);
    pick_undo_to(c, 0);
    STEP_CHECKED(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_most_above_min_first), cmocka_unit_test(test_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
