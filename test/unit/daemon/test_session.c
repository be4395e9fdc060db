/* Hello, reattach, goodbye, break: whose session a connection is, and when one ends. */
#include "bench.h"

static totals_view totals(bench *t)
{
    totals_view v;
    view_totals(t->b.driver.core, &v);
    return v;
}

static void test_the_welcome_tells_the_world(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    char broker_[128];
    bench_open(&t, "");
    bench_agent(&t, true);
    const Granary__Welcome *w = bench_join(&t, &c);
    snprintf(broker_, sizeof broker_, "pid %d, state %s", (int)getppid(), t.directory);
    assert_int_equal(w->version, PROTOCOL_VERSION);
    assert_int_equal(w->session, 1);
    assert_false(w->reattached);
    assert_int_equal(w->acked, 0);
    assert_string_equal(w->broker, broker_);
    assert_string_equal(w->broker_id, BENCH_BOOKS);
    assert_string_equal(w->local_host, t.b.local_host);
    assert_int_equal(w->n_hosts, 1);
    assert_string_equal(w->hosts[0]->name, t.b.local_host);
    assert_int_equal(w->n_allocations + w->n_recalls + w->n_claims, 0);
    bench_leave(&c);
    bench_close(&t);
}

static void test_hellos_that_are_refused(void **state)
{
    (void)state;
    bench t;
    bench_client c = {0};
    Granary__Hello m = GRANARY__HELLO__INIT;
    bench_open(&t, "");
    m.version = PROTOCOL_VERSION + 1;
    bench_connect(&t, &c);
    bench_send(c.channel, TYPE(HELLO), 0, &m.base);
    bench_refused(&t, c.channel, STATUS_VERSION,
                  "this broker speaks version 1 of the protocol: use programs of the same release");
    bench_leave(&c);
    static const uint8_t wrong[][3] = {{0xff}, {0x0a, 9, 'x'}, {0x78, 1}}; /* no tag; a short string; a field unknown */
    static const size_t sizes[] = {1, 3, 2};
    for (size_t i = 0; i < 3; i++) {
        bench_connect(&t, &c);
        bench_send_raw(c.channel, TYPE(HELLO), wrong[i], sizes[i]);
        bench_refused(&t, c.channel, STATUS_PROTOCOL, "the Hello is malformed");
        bench_leave(&c);
    }
    assert_int_equal(totals(&t).sessions, 0);
    bench_close(&t);
}

static void test_a_full_table_of_sessions(void **state)
{
    (void)state;
    bench t;
    bench_client c[17] = {0};
    bench_open(&t, "");
    for (size_t i = 0; i < 16; i++)
        bench_join(&t, &c[i]);
    Granary__Hello m = GRANARY__HELLO__INIT;
    m.version = PROTOCOL_VERSION;
    bench_connect(&t, &c[16]);
    bench_send(c[16].channel, TYPE(HELLO), 0, &m.base);
    bench_refused(&t, c[16].channel, STATUS_LIMIT,
                  "the broker has as many sessions as it takes: connect again later, or raise max_sessions");
    for (size_t i = 0; i < 17; i++)
        bench_leave(&c[i]);
    bench_close(&t);
}

static void test_a_broken_session_comes_back_with_what_it_holds(void **state)
{
    (void)state;
    bench t;
    bench_client c, stranger;
    bench_open(&t, "");
    bench_agent(&t, true);
    bench_join(&t, &c);
    const Granary__Reply *r = bench_allocate(&t, &c, "mine", GIB(1), 2, 0);
    assert_int_equal(r->status, 0);
    uint64_t mine = r->allocation->id, session = c.session;
    bench_leave(&c);
    bench_turns(&t);
    assert_int_equal(totals(&t).attached, 0);
    assert_int_equal(totals(&t).sessions, 1);
    assert_int_equal(t.b.watches.n, 1); /* our process is watched while it is away */

    stranger = c;
    stranger.token[15] ^= 1;
    bench_connect(&t, &stranger);
    const Granary__Welcome *w = bench_hello(&t, &stranger);
    assert_false(w->reattached); /* another token: a session of its own, with nothing */
    assert_int_not_equal(w->session, session);
    assert_int_equal(w->n_allocations, 0);

    bench_connect(&t, &c);
    w = bench_hello(&t, &c);
    assert_true(w->reattached);
    assert_int_equal(w->session, session);
    assert_int_equal(w->acked, 1); /* the allocate's effect is known */
    assert_int_equal(w->n_allocations, 1);
    assert_int_equal(w->allocations[0]->id, mine);
    assert_int_equal(w->allocations[0]->state, ALLOCATION_LIVE);
    assert_int_equal(w->allocations[0]->n_extents, 1);
    assert_int_equal(w->allocations[0]->extents[0]->chunks, 2);
    assert_int_equal(t.b.watches.n, 0);
    bench_leave(&c);
    bench_leave(&stranger);
    bench_close(&t);
}

static void test_a_reattach_takes_the_session_from_an_older_connection(void **state)
{
    (void)state;
    bench t;
    bench_client old, fresh;
    bench_open(&t, "");
    bench_join(&t, &old);
    fresh = old;
    bench_connect(&t, &fresh);
    assert_true(bench_hello(&t, &fresh)->reattached);
    bench_closed(&t, old.channel);
    bench_silent(&t, fresh.channel);
    assert_int_equal(t.b.peers.n, 1);
    assert_int_equal(totals(&t).attached, 1); /* the end of the old one says nothing about the session */
    bench_leave(&old);
    bench_leave(&fresh);
    bench_close(&t);
}

static void test_a_goodbye_ends_it(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open_leased(&t, &c, 2);
    Granary__Goodbye m = GRANARY__GOODBYE__INIT;
    bench_send(c.channel, TYPE(GOODBYE), 2, &m.base);
    bench_closed(&t, c.channel);
    assert_int_equal(totals(&t).sessions, 0);
    assert_int_equal(totals(&t).allocations, 0);
    assert_int_equal(t.b.watches.n, 0);
    bench_leave(&c);

    bench_connect(&t, &c); /* its token is worth nothing any more */
    assert_false(bench_hello(&t, &c)->reattached);
    bench_leave(&c);
    bench_close(&t);
}

static void test_a_malformed_request_ends_the_connection_not_the_session(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    static const uint8_t wrong = 0xff;
    bench_open(&t, "");
    bench_join(&t, &c);
    bench_send_raw(c.channel, TYPE(ALLOCATE), &wrong, 1);
    bench_refused(&t, c.channel, STATUS_PROTOCOL, "the body of this ALLOCATE is malformed");
    bench_leave(&c);
    bench_connect(&t, &c);
    assert_true(bench_hello(&t, &c)->reattached);
    bench_leave(&c);
    bench_close(&t);
}

static void test_a_request_that_cannot_be_meant_is_answered(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_join(&t, &c);
    const Granary__Reply *r = bench_allocate(&t, &c, "x", 0, 1, 0);
    assert_int_equal(r->status, STATUS_INVALID);
    assert_string_equal(r->text, "0 bytes a chunk asked for: ask for at least one");
    Granary__Drain drain = GRANARY__DRAIN__INIT;
    drain.host = (char *)"nowhere";
    r = bench_request(&t, &c, TYPE(DRAIN), &drain.base);
    assert_int_equal(r->status, STATUS_NOT_FOUND);
    assert_string_equal(r->text, "there is no host \"nowhere\": `granary hosts` lists them");
    bench_silent(&t, c.channel); /* and the connection stands */
    bench_leave(&c);
    bench_close(&t);
}

static void test_a_repeated_request_has_one_effect(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_agent(&t, true);
    bench_join(&t, &c);
    uint64_t first = bench_allocate(&t, &c, "once", GIB(1), 1, 0)->allocation->id;
    c.number = 0; /* the answer was lost */
    const Granary__Reply *again = bench_allocate(&t, &c, "once", GIB(1), 1, 0);
    assert_int_equal(again->status, 0);
    assert_int_equal(again->allocation->id, first);
    assert_int_equal(totals(&t).allocations, 1);
    bench_leave(&c);
    bench_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_welcome_tells_the_world),
        cmocka_unit_test(test_hellos_that_are_refused),
        cmocka_unit_test(test_a_full_table_of_sessions),
        cmocka_unit_test(test_a_broken_session_comes_back_with_what_it_holds),
        cmocka_unit_test(test_a_reattach_takes_the_session_from_an_older_connection),
        cmocka_unit_test(test_a_goodbye_ends_it),
        cmocka_unit_test(test_a_malformed_request_ends_the_connection_not_the_session),
        cmocka_unit_test(test_a_request_that_cannot_be_meant_is_answered),
        cmocka_unit_test(test_a_repeated_request_has_one_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
