/* test_release.c - ways 1 and 2 of giving back, and what somebody else may ask for. */
#include "world.h"

static core_event release_n(world *w, session_id s, allocation_id a, chunks_t count, const extent *busy, uint32_t n)
{
    core_event e = world_request(w, s, EVENT_RELEASE_N);
    e.release_n.id = a;
    e.release_n.count = count;
    e.release_n.busy = busy;
    e.release_n.n = n;
    return e;
}

/* In this order: hosts in need, idle chunks, the host with fewest, the lowest number; never what is busy. */
static void test_the_broker_picks(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id a_host = world_host(&w, "a", GIB(2)), b_host = world_host(&w, "b", GIB(4)),
            c_host = world_host(&w, "c", GIB(3));
    session_id s = world_session(&w, 1000, true);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 9, 9, 0), &a);
    world_claim(&w, s, a, a_host, 2, &g);
    core_event e = release_n(&w, s, a, 4, &(extent){c_host, 1}, 1);
    world_step(&w, &e);
    const effect_reply *r = world_reply(&w);
    assert_int_equal(r->status, 0);
    assert_int_equal(r->chunks, 4);
    assert_int_equal(r->n_extents, 2);
    assert_int_equal(r->extents[0].host.v, c_host.v); /* a has fewest, but they are claimed */
    assert_int_equal(r->extents[0].chunks, 2);
    assert_int_equal(r->extents[1].host.v, b_host.v);
    assert_int_equal(r->extents[1].chunks, 2);
    e = world_request(&w, s, EVENT_DRAIN);
    e.drain.host = a_host;
    world_step(&w, &e);
    e = release_n(&w, s, a, 1, NULL, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->extents[0].host.v, a_host.v); /* a host in need, though its chunks are claimed */
    assert_int_equal(world_view(&w, a_host).returning, GIB(1));
    e = release_n(&w, s, a, 0, NULL, 0);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_INVALID);
    const extent all[] = {{a_host, 9}, {b_host, 9}, {c_host, 9}};
    e = release_n(&w, s, a, 1, all, 3);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STATE); /* all are busy */
    world_replay(&w);
    world_close(&w);
}

/* A release is whole or not at all, lowers `want` when it is the client's own wish, and ends what holds nothing. */
static void test_the_client_picks(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4)), other = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 6, 1, TERM_GROWABLE), &a);
    const extent x[] = {{h, 3}, {other, 1}, {h, 2}}; /* five on a, which holds four */
    core_event e = world_request(&w, s, EVENT_RELEASE);
    e.release.id = a;
    e.release.extents = x;
    e.release.n = 3;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STATE);
    assert_int_equal(world_allocation(&w, a).chunks, 6);
    assert_int_equal(world_release(&w, t, a, (recall_id){0}, h, 1), STATUS_DENIED); /* same user, another session */
    assert_int_equal(world_release(&w, s, (allocation_id){99}, (recall_id){0}, h, 1), STATUS_NOT_FOUND);
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, (host_id){9}, 1), STATUS_NOT_FOUND);
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 1), 0);
    assert_int_equal(world_allocation(&w, a).want, 5); /* not pushed back */
    assert_int_equal(world_release(&w, s, a, (recall_id){77}, h, 1), 0);
    assert_int_equal(world_allocation(&w, a).want, 5); /* answers a recall, also one that is over: it grows again */
    assert_int_equal(world_allocation(&w, a).chunks, 5);
    e = world_request(&w, s, EVENT_RELEASE);
    e.release.id = a;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->chunks, 5);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_ENDED);
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 1), STATUS_NOT_FOUND); /* twice */
    world_replay(&w);
    world_close(&w);
}

static void test_asked_by_somebody_else(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), friend = world_session(&w, 1000, false);
    session_id stranger = world_session(&w, 1001, false);
    allocation_id a, waiter;
    world_allocate(&w, s, world_terms(GIB(1), 4, 4, 0), &a);
    core_event e = world_request(&w, stranger, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = a;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    e = world_request(&w, friend, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = a;
    e.release_foreign.count = 3;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->chunks, 3); /* people may ask for firm chunks */
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->reason, RECALL_FOR_OPERATOR);
    e = world_request(&w, friend, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = a;
    e.release_foreign.count = 3;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->chunks, 1); /* three are asked for already */
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 4), 0);
    world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), NULL);
    world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &waiter);
    e = world_request(&w, friend, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = waiter;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    allocation_view v;
    assert_int_equal(view_allocation_by_id(w.core, waiter, &v), STATUS_NOT_FOUND); /* a waiter is taken out */
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_broker_picks), cmocka_unit_test(test_the_client_picks),
                                       cmocka_unit_test(test_asked_by_somebody_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
