/* test_view.c - what people are shown: why a request waits, what is stranded, totals, words. */
#include "world.h"

static waiter_view waiter(world *w, allocation_id id)
{
    waiter_view v;
    assert_int_equal(view_waiter_by_id(w->core, w->now, id, &v), 0);
    return v;
}

static void test_why_it_waits(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id a = world_host(&w, "a", GIB(4)), b = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id first, behind, pieces, nowhere;
    world_allocate(&w, s, world_terms(GIB(3), 2, 2, 0), NULL);
    allocation_terms t = world_terms(GIB(4), 1, 1, 0);
    world_allocate(&w, s, t, &first);
    world_allocate(&w, s, world_terms(GIB(3), 1, 1, 0), &behind);
    world_allocate(&w, s, world_terms(GIB(2), 1, 1, 0), &pieces);
    core_event gone = {.kind = EVENT_HOST_GONE, .gone = b};
    strcpy(t.filter, "b");
    world_allocate(&w, s, t, &nowhere);
    w.now += 70;
    assert_int_equal(waiter(&w, first).reason, WAIT_FIRST);
    assert_int_equal(waiter(&w, first).place, 1);
    assert_int_equal(waiter(&w, first).waiting_ms, 70);
    assert_int_equal(waiter(&w, behind).reason, WAIT_BEHIND);
    assert_int_equal(waiter(&w, behind).place, 2);
    assert_int_equal(waiter(&w, pieces).reason, WAIT_PIECES); /* 1 GiB on each host */
    world_step(&w, &gone);
    assert_int_equal(waiter(&w, nowhere).reason, WAIT_NO_HOST);
    world_hello(&w, "b", "boot-1", GIB(4));
    assert_int_equal(waiter(&w, nowhere).reason, WAIT_FRESH);
    waiter_view v;
    assert_int_equal(view_waiter_by_id(w.core, w.now, (allocation_id){1}, &v), STATUS_NOT_FOUND);
    uint32_t cursor = 0, n = 0;
    while (view_waiter(w.core, w.now, &cursor, &v))
        assert_int_equal(v.place, ++n);
    assert_int_equal(n, 4);
    (void)a;
    world_close(&w);
}

static void test_stranded(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id a = world_host(&w, "a", GIB(4)), b = world_host(&w, "b", GIB(4));
    session_id s = world_session(&w, 1000, true);
    world_allocate(&w, s, world_terms(GIB(3), 2, 2, 0), NULL);
    stranded_reason why = 0;
    assert_int_equal(view_stranded(w.core, a, &why), 0); /* nobody waits */
    allocation_terms t = world_terms(GIB(2), 1, 1, 0);
    strcpy(t.filter, "a");
    world_allocate(&w, s, t, NULL);
    assert_int_equal(view_stranded(w.core, a, &why), GIB(1));
    assert_int_equal(why, STRANDED_PIECE);
    assert_int_equal(view_stranded(w.core, b, &why), GIB(1));
    assert_int_equal(why, STRANDED_EXCLUDED);
    core_event e = world_request(&w, s, EVENT_DRAIN);
    e.drain.host = a;
    world_step(&w, &e);
    assert_int_equal(view_stranded(w.core, a, &why), GIB(1));
    assert_int_equal(why, STRANDED_DRAINING);
    e = (core_event){.kind = EVENT_HOST_GONE, .gone = b};
    world_step(&w, &e);
    assert_int_equal(view_stranded(w.core, b, &why), GIB(1));
    assert_int_equal(why, STRANDED_SILENT);
    world_close(&w);
}

static void test_totals_and_lists(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    generation g;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    world_claim(&w, s, a, h, 1, &g);
    world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), NULL);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.hosts, 1);
    assert_int_equal(t.sessions, 1);
    assert_int_equal(t.attached, 1);
    assert_int_equal(t.allocations, 2);
    assert_int_equal(t.waiting, 1);
    assert_int_equal(t.claims, 1);
    assert_int_equal(t.recalls, 0);
    core_event e = {.kind = EVENT_CLAIM_USE, .use = {.host = h, .gen = g, .used = 5, .peak = 7, .processes = 2}};
    world_step(&w, &e);
    claim_view k;
    assert_int_equal(view_claim_by_gen(w.core, g, &k), 0);
    assert_int_equal(k.used, 5);
    assert_int_equal(k.peak, 7);
    assert_int_equal(k.processes, 2);
    assert_int_equal(world_view(&w, h).used, 5);
    uint64_t sequence = core_sequence(w.core);
    world_tick(&w, 1);
    assert_int_equal(core_sequence(w.core), sequence); /* nothing changed */
    host_view v;
    assert_int_equal(view_host_by_name(w.core, "b", &v), STATUS_NOT_FOUND);
    assert_int_equal(view_session_seen(w.core, s).v, 3);
    assert_int_equal(view_session_seen(w.core, (session_id){77}).v, 0);
    assert_string_equal(host_view_state_name(HOST_DRAINING), "draining");
    assert_string_equal(host_view_state_name(99), "?");
    assert_string_equal(recall_reason_name(RECALL_FOR_FAIRNESS), "fairness");
    assert_string_equal(stranded_reason_name(STRANDED_PIECE), "too small a piece");
    assert_string_equal(wait_reason_text(WAIT_QUOTA), "its user is at the quota");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_why_it_waits), cmocka_unit_test(test_stranded),
                                       cmocka_unit_test(test_totals_and_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
