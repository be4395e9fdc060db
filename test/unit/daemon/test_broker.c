/* The turn of the loop: nothing leaves before its commit, and a broker that cannot commit ends without a word. */
#include "bench.h"

#include <signal.h>

static void test_replies_leave_after_the_commit(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_agent(&t, true);
    bench_join(&t, &c);
    uint64_t commits = t.b.driver.commits, bytes = store_journal_bytes(t.store);
    assert_int_equal(bench_allocate(&t, &c, "x", GIB(1), 1, 0)->status, 0);
    assert_int_equal(t.b.driver.commits, commits + 1);
    assert_true(store_journal_bytes(t.store) > bytes);
    assert_false(driver_dirty(&t.b.driver));
    bench_leave(&c);
    bench_close(&t);
}

static void test_many_requests_of_a_turn_share_a_commit(void **state)
{
    (void)state;
    bench t;
    bench_client c[4];
    Granary__Allocate m = GRANARY__ALLOCATE__INIT;
    Granary__Terms terms = GRANARY__TERMS__INIT;
    terms.chunk_size = MIB(1);
    terms.want = 1;
    m.terms = &terms;
    bench_open(&t, "");
    bench_agent(&t, true);
    for (size_t i = 0; i < 4; i++)
        bench_join(&t, &c[i]);
    bench_turns(&t);
    uint64_t commits = t.b.driver.commits;
    for (size_t i = 0; i < 4; i++)
        bench_send(c[i].channel, TYPE(ALLOCATE), 1, &m.base);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(bench_reply(&t, &c[i])->status, 0);
    assert_int_equal(t.b.driver.commits, commits + 1);
    for (size_t i = 0; i < 4; i++)
        bench_leave(&c[i]);
    bench_close(&t);
}

static void test_a_failed_commit_lets_nothing_leave(void **state)
{
    (void)state;
    bench t;
    bench_client c, other;
    bench_open(&t, "");
    bench_agent(&t, true);
    bench_join(&t, &c);
    bench_join(&t, &other);
    assert_int_equal(bench_allocate(&t, &c, "x", GIB(1), 1, 0)->status, 0);
    store_memory_fail_after(t.store, 0);
    Granary__Claim claim = GRANARY__CLAIM__INIT; /* would be an order to the agent */
    claim.allocation = 1;
    claim.host = t.b.link.host.v;
    claim.chunks = 1;
    Granary__Query query = GRANARY__QUERY__INIT; /* changes nothing, but its answer would show the claim */
    bench_send(c.channel, TYPE(CLAIM), 2, &claim.base);
    bench_send(other.channel, TYPE(QUERY), 1, &query.base);
    bench_turns(&t);
    bench_silent(&t, c.channel);
    bench_silent(&t, other.channel);
    bench_silent(&t, t.agent);
    assert_true(t.b.ending && t.b.failed);
    assert_int_equal(t.b.exit_code, EXIT_STORE);
    assert_true(bench_logged(&t, "status=SYSTEM the journal cannot be written, what was not committed is dropped: the "
                                 "store was told to fail here"));

    broker_end(&t.b, EXIT_ORDERLY); /* the first reason stays */
    assert_int_equal(t.b.exit_code, EXIT_STORE);
    uint64_t steps = t.b.driver.steps;
    core_event event = {.kind = EVENT_TICK};
    broker_step(&t.b, &event); /* and nothing is decided any more */
    assert_int_equal(t.b.driver.steps, steps);
    bench_leave(&c);
    bench_leave(&other);
    bench_close(&t);
}

static void test_a_failed_reservation_of_numbers_lets_no_session_be_told(void **state)
{
    (void)state;
    bench t;
    bench_client c = {0};
    Granary__Hello m = GRANARY__HELLO__INIT;
    m.version = PROTOCOL_VERSION;
    bench_open(&t, "");
    store_memory_fail_after(t.store, 0);
    bench_connect(&t, &c);
    bench_send(c.channel, TYPE(HELLO), 0, &m.base);
    bench_silent(&t, c.channel);
    assert_int_equal(t.b.exit_code, EXIT_STORE);
    bench_leave(&c);
    bench_close(&t);
}

static void test_the_supervisor_asks_it_to_end(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    control_send(t.control[1], CONTROL_QUIT);
    assert_int_equal(broker_run(&t.b), EXIT_ORDERLY);
    assert_true(t.b.ending);
    assert_false(t.b.failed);
    bench_close(&t);
}

static void test_it_ends_with_its_supervisor(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    close(t.control[1]);
    assert_int_equal(broker_run(&t.b), EXIT_ORDERLY);
    t.control[1] = -1;
    assert_true(bench_logged(&t, "the supervisor is gone: the broker ends"));
    bench_close(&t);
}

static void test_a_signal_ends_it(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(broker_run(&t.b), EXIT_ORDERLY);
    bench_close(&t);
}

static void test_an_answer_leaves_before_an_orderly_end(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    Granary__Cancel m = GRANARY__CANCEL__INIT;
    bench_open(&t, "");
    bench_join(&t, &c);
    bench_send(c.channel, TYPE(CANCEL), 1, &m.base);
    control_send(t.control[1], CONTROL_QUIT);
    assert_int_equal(broker_run(&t.b), EXIT_ORDERLY);
    assert_int_equal(channel_receive(c.channel), 0);
    frame f;
    assert_int_equal(channel_next(c.channel, &f), 1);
    assert_int_equal(f.header.type, TYPE(REPLY));
    assert_int_equal(t.b.driver.blob_used, 0);
    bench_leave(&c);
    bench_close(&t);
}

static void test_it_is_ready_once_its_host_was_measured(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    bench_turns(&t);
    assert_int_equal(bench_control(&t), 0);
    bench_agent(&t, true);
    assert_int_equal(bench_control(&t), CONTROL_READY);
    bench_agent_sample(&t, 0);
    assert_int_equal(bench_control(&t), 0); /* told once */
    char line[256];
    snprintf(line, sizeof line, "host=%s ready: clients are served at %s", t.b.local_host, t.socket);
    assert_true(bench_logged(&t, line));
    bench_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_leave_after_the_commit),
        cmocka_unit_test(test_many_requests_of_a_turn_share_a_commit),
        cmocka_unit_test(test_a_failed_commit_lets_nothing_leave),
        cmocka_unit_test(test_a_failed_reservation_of_numbers_lets_no_session_be_told),
        cmocka_unit_test(test_the_supervisor_asks_it_to_end),
        cmocka_unit_test(test_it_ends_with_its_supervisor),
        cmocka_unit_test(test_a_signal_ends_it),
        cmocka_unit_test(test_an_answer_leaves_before_an_orderly_end),
        cmocka_unit_test(test_it_is_ready_once_its_host_was_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
