/* test_bounds.c - work for more than one step is cut, goes on in the next tick, and ends. */
#include <stdio.h>

#include "world.h"

static const core_limits large = {.hosts = 8192,
                                  .users = 8,
                                  .sessions = 8,
                                  .allocations = 4096,
                                  .holdings = 16384,
                                  .claims = 8192,
                                  .recalls = 4096,
                                  .answers = 512};

/* Ticks until nothing is left over; checks the books after each, tells how many there were. */
static int finish(world *w)
{
    int ticks = 0;
    STEP_CHECKED(w);
    for (; core_next_deadline(w->core) == 0; ticks++) {
        assert_true(ticks < 100);
        world_tick(w, 0);
        STEP_CHECKED(w);
    }
    return ticks;
}

static allocation_id many_claims(world *w, session_id s, host_id h, chunks_t n)
{
    allocation_id a;
    assert_int_equal(world_allocate(w, s, world_terms(MIB(1), n, 1, TERM_GROWABLE | TERM_RECALLABLE), &a), 0);
    for (chunks_t i = 0; i < n; i++)
        assert_int_equal(world_claim(w, s, a, h, 1, NULL), 0);
    return a;
}

static void test_a_reboot_ends_thousands_of_claims(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    many_claims(&w, s, h, 5000);
    world_hello(&w, "a", "boot-2", GIB(8));
    assert_true(finish(&w) > 2);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.claims, 0);
    assert_int_equal(world_view(&w, h).granted, GIB(5000) / 1024);
    assert_int_equal(world_view(&w, h).returning, 0);
    world_sample(&w, h, 0, 0);
    assert_int_equal(world_view(&w, h).state, HOST_UP);
    world_replay(&w);
    world_close(&w);
}

static void test_a_hello_ends_thousands_of_hopeless_waiters(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    session_id s = world_session(&w, 1000, false);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(world_allocate(&w, s, world_terms(i % 3 ? GIB(5) : GIB(1), 1, 1, 0), NULL), STATUS_WAITING);
    world_hello(&w, "a", "boot-1", GIB(4));
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_NEVER);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->most, GIB(4));
    assert_true(finish(&w) > 0);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.waiting, 1000);
    world_replay(&w);
    world_close(&w);
}

static void test_a_broken_link_fails_thousands_of_requests(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(MIB(1), 3000, 3000, 0), &a);
    for (int i = 0; i < 3000; i++) { /* their answers never come */
        core_event e = world_request(&w, s, EVENT_CLAIM);
        e.claim.id = a;
        e.claim.host = h;
        e.claim.chunks = 1;
        world_step(&w, &e);
    }
    core_event gone = {.kind = EVENT_HOST_GONE, .gone = h};
    world_step(&w, &gone);
    assert_true(finish(&w) > 1);
    uint32_t cursor = 0, opening = 0;
    for (claim_view v; view_claim(w.core, &cursor, &v);)
        opening += v.state == CLAIM_OPENING;
    assert_int_equal(opening, 3000); /* the next request of the session takes one */
    world_replay(&w);
    world_close(&w);
}

static void test_a_session_ends_with_2000_claims(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    allocation_id a = many_claims(&w, s, h, 2000);
    core_event e = {.kind = EVENT_SESSION_END, .session = {.session = s}};
    world_step(&w, &e);
    assert_true(finish(&w) > 0);
    assert_int_equal(world_allocation(&w, a).state, ALLOCATION_ENDING);
    assert_int_equal(world_view(&w, h).returning, MIB(2000));
    assert_int_equal(world_view(&w, h).granted, 0);
    uint32_t cursor = 0, n = 0;
    generation all[2000];
    for (claim_view v; view_claim(w.core, &cursor, &v);) {
        assert_int_equal(v.state, CLAIM_CLOSING);
        all[n++] = v.gen;
    }
    assert_int_equal(n, 2000);
    for (uint32_t i = 0; i < n; i++)
        world_drained(&w, h, all[i]);
    finish(&w);
    assert_int_equal(world_view(&w, h).free, GIB(8));
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.allocations, 0);
    world_replay(&w);
    world_close(&w);
}

/* The order of this step that tells the agent to expect the claim, or NULL. */
static const effect_order *expected(const world *w, generation g)
{
    const effect_order *o;
    for (uint32_t i = 0; (o = world_order(w, ORDER_EXPECT, i)); i++)
        if (o->gen.v == g.v)
            return o;
    return NULL;
}

/* An END before READY is refused: what ends between two steps of a hello is expected as ending. */
static void test_a_claim_ends_in_the_middle_of_a_hello(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    many_claims(&w, s, h, 5000);
    world_hello(&w, "a", "boot-1", GIB(8));
    assert_int_equal(core_next_deadline(w.core), 0);
    assert_non_null(expected(&w, (generation){1}));
    assert_false(expected(&w, (generation){1})->ending);
    core_event first = world_request(&w, s, EVENT_CLOSE);
    first.close.gen.v = 1;
    first.close.kill = true;
    world_step(&w, &first);
    assert_null(world_order(&w, ORDER_END, 0));
    assert_non_null(expected(&w, (generation){1}));
    assert_true(expected(&w, (generation){1})->ending);
    assert_true(expected(&w, (generation){1})->kill);
    finish(&w);
    world_replay(&w);
    world_close(&w);
}

static void test_a_drain_asks_hundreds(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, true);
    for (int i = 0; i < 900; i++)
        assert_int_equal(world_allocate(&w, s, world_terms(MIB(2), 2, 1, TERM_SHRINKABLE | TERM_RECALLABLE), NULL), 0);
    core_event e = world_request(&w, s, EVENT_DRAIN);
    e.drain.host = h;
    world_step(&w, &e);
    finish(&w);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.recalls, 900);
    e = world_request(&w, s, EVENT_UNDRAIN);
    e.drain.host = h;
    world_step(&w, &e);
    assert_true(finish(&w) > 0);
    uint32_t cursor = 0;
    for (recall_view v; view_recall(w.core, &cursor, &v);)
        assert_int_equal(v.record.withdrawn, 1);
    world_replay(&w);
    world_close(&w);
}

static void test_a_reload_changes_thousands_of_hosts(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    for (int i = 0; i < 6000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%d", i);
        world_host(&w, name, GIB(2));
    }
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "*", .total = GIB(1)}};
    world_step(&w, &e);
    assert_true(finish(&w) > 0);
    assert_int_equal(world_view(&w, (host_id){5999}).total, GIB(1));
    world_replay(&w);
    world_restart(&w, true);
    assert_int_equal(world_view(&w, (host_id){5999}).total, GIB(1));
    world_close(&w);
}

/* A request over more hosts than one message names is granted as far as it goes, and given back in one step. */
static void test_a_grant_over_all_hosts(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    for (int i = 0; i < 1100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%d", i);
        world_host(&w, name, GIB(1));
    }
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1100, 1, TERM_SHRINKABLE), &a), 0);
    finish(&w);
    assert_int_equal(world_allocation(&w, a).chunks, EXTENTS_MAX);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1100, 1100, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    core_event e = world_request(&w, s, EVENT_RELEASE);
    e.release.id = a;
    world_step(&w, &e);
    finish(&w);
    assert_int_equal(world_view(&w, (host_id){0}).free, GIB(1));
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.allocations, 0);
    world_replay(&w);
    world_close(&w);
}

/* All recalls of one donor and for one waiter: no more than RECALLS_OPEN, and more when one is answered. */
static void test_open_recalls_are_bounded(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false), other = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(MIB(1), 1000, 1, TERM_GROWABLE | TERM_RECALLABLE), &a);
    for (uint32_t i = 0; i < RECALLS_OPEN; i++) {
        core_event e = world_request(&w, other, EVENT_RELEASE_FOREIGN);
        e.release_foreign.id = a;
        e.release_foreign.count = 1;
        world_step(&w, &e);
        assert_int_equal(world_reply(&w)->status, 0);
    }
    core_event e = world_request(&w, other, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = a;
    e.release_foreign.count = 1;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_LIMIT);
    STEP_CHECKED(&w);
    world_release(&w, s, a, (recall_id){1}, h, 1);
    e = world_request(&w, other, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = a;
    e.release_foreign.count = 1;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    /* The owner gives all back at once: every recall is answered or withdrawn in one step. */
    e = world_request(&w, s, EVENT_WANT);
    e.want.id = a;
    world_step(&w, &e);
    e = world_request(&w, s, EVENT_RELEASE);
    e.release.id = a;
    world_step(&w, &e);
    finish(&w);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.recalls, 0);
    assert_int_equal(t.allocations, 0);
    world_replay(&w);
    world_close(&w);
}

static void test_a_revoke_of_a_thousand_claims(void **state)
{
    (void)state;
    world w;
    world_open_with(&w, large);
    w.quiet = true;
    host_id h = world_host(&w, "a", GIB(1));
    session_id s = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(MIB(1), 1024, 1, TERM_GROWABLE | TERM_RECALLABLE | TERM_REVOCABLE), &a);
    for (int i = 0; i < 1024; i++)
        world_claim(&w, s, a, h, 1, NULL);
    assert_int_equal(world_allocate(&w, s, world_terms(MIB(1000), 1, 1, 0), NULL), STATUS_WAITING);
    world_tick(&w, w.timers.ask_ms);
    totals_view t;
    view_totals(w.core, &t);
    assert_int_equal(t.recalls, 1);
    world_tick(&w, 1000);
    assert_true(finish(&w) > 0);
    recall_view r;
    assert_int_equal(view_recall_by_id(w.core, (recall_id){1}, &r), 0);
    assert_int_equal(r.record.revoked, r.record.asked);
    assert_int_equal(world_view(&w, h).returning, MIB(r.record.asked));
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_reboot_ends_thousands_of_claims),
                                       cmocka_unit_test(test_a_hello_ends_thousands_of_hopeless_waiters),
                                       cmocka_unit_test(test_a_broken_link_fails_thousands_of_requests),
                                       cmocka_unit_test(test_a_session_ends_with_2000_claims),
                                       cmocka_unit_test(test_a_claim_ends_in_the_middle_of_a_hello),
                                       cmocka_unit_test(test_a_drain_asks_hundreds),
                                       cmocka_unit_test(test_a_reload_changes_thousands_of_hosts),
                                       cmocka_unit_test(test_a_grant_over_all_hosts),
                                       cmocka_unit_test(test_open_recalls_are_bounded),
                                       cmocka_unit_test(test_a_revoke_of_a_thousand_claims)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
