/* The broker node: turns, I9, crashes, lost tails, sessions whose processes die. */
#include "script.h"

#include <string.h>

#include "broker_node.h"

static void what_is_granted_is_told_after_its_commit(void **state)
{
    (void)state;
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    assert_int_equal(c.welcome->welcome.status, 0);
    assert_false(c.welcome->welcome.reattached);
    uint64_t commits = ears.commits;
    const message *m = script_ask(&t, &c, script_allocate(4, 0));
    assert_int_equal(m->reply.reply.status, STATUS_OK);
    assert_int_equal(m->reply.set.n_extents, 1);
    assert_int_equal(m->reply.set.extents[0].host.v, 0);
    assert_int_equal(m->reply.set.extents[0].chunks, 4);
    assert_int_equal(ears.commits, commits + 1);
    assert_int_equal(script_granted(&t), 4);
    m = script_ask(&t, &c, script_release(m->reply.reply.allocation, 1));
    assert_int_equal(m->reply.reply.status, STATUS_OK);
    assert_int_equal(m->reply.set.extents[0].chunks, 3);
    assert_int_equal(script_granted(&t), 3);
    assert_true(ears.samples > 0 && ears.steps > 0 && ears.sent > 0);
    script_replays(&t);
    script_client_finish(&c);
    script_close(&t);
}

/* The terms are read as the wire's: min 0 of a firm request is all of it, and nonsense does not reach the core. */
static void requests_are_looked_at(void **state)
{
    (void)state;
    script t;
    script_client c;
    allocation_view a;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    const message *m = script_ask(&t, &c, script_allocate(2, 0));
    assert_int_equal(view_allocation_by_id(broker_core(t.sim.broker), m->reply.reply.allocation, &a), 0);
    assert_int_equal(a.terms->min, 2);
    assert_int_equal(a.terms->notice_ms, core_timers_default.notice_ms);
    assert_true(a.terms->wait_ms == MS_NEVER);
    assert_int_equal(script_ask(&t, &c, script_allocate(0, 0))->reply.reply.status, STATUS_INVALID);
    assert_int_equal(script_ask(&t, &c, script_release(a.id, 0))->reply.reply.status, STATUS_INVALID);
    assert_int_equal(script_ask(&t, &c, (core_event){.kind = EVENT_SHRINK})->reply.reply.status, STATUS_INVALID);
    script_client_finish(&c);
    script_close(&t);
}

static void what_is_anothers_is_not_told(void **state)
{
    (void)state;
    script t;
    script_client c, other;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_client_init(&t, &other, "thief 1", 1001);
    script_connect(&t, &c);
    script_connect(&t, &other);
    allocation_id id = script_ask(&t, &c, script_allocate(2, 0))->reply.reply.allocation;
    const message *m = script_ask(&t, &other, script_release(id, 1));
    assert_int_equal(m->reply.reply.status, STATUS_DENIED);
    assert_int_equal(m->reply.reply.number.v, 1);
    assert_int_equal(m->reply.reply.allocation.v, 0);
    assert_int_equal(m->reply.set.id.v, 0);
    assert_int_equal(script_granted(&t), 2);
    script_client_finish(&c);
    script_client_finish(&other);
    script_close(&t);
}

/* A handle goes with the order, and what the agent answers becomes the reply. */
static void a_claim_is_ordered_and_answered(void **state)
{
    (void)state;
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    allocation_id id = script_ask(&t, &c, script_allocate(2, 0))->reply.reply.allocation;
    core_event e = {.kind = EVENT_CLAIM, .claim = {.id = id, .host = {0}, .chunks = 2, .handle = 77}};
    generation gen = script_ask(&t, &c, e)->reply.reply.claim;
    assert_int_equal(c.reply->reply.reply.status, STATUS_OK);
    assert_int_equal(t.agent.open.gen.v, gen.v);
    assert_int_equal(t.agent.open.handle, 77);
    assert_int_equal(t.agent.n_groups, 1);
    e = (core_event){.kind = EVENT_ENTER, .enter = {.gen = gen, .handle = 78, .fresh = true}};
    assert_int_equal(script_ask(&t, &c, e)->reply.reply.status, STATUS_OK);
    assert_int_equal(t.agent.enter.handle, 78);
    e = (core_event){.kind = EVENT_CLOSE, .close = {.gen = gen}};
    assert_int_equal(script_ask(&t, &c, e)->reply.reply.status, STATUS_OK);
    assert_int_equal(t.agent.n_groups, 0);
    script_client_finish(&c);
    script_close(&t);
}

/* Asks for 3 chunks while the broker is killed at `when`, comes back, and asks again with the same number. */
static void ask_through_a_crash(crash_when when, chunks_t granted_after)
{
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    uint64_t session = c.session;
    broker_crash(t.sim.broker, when, US_OF_MS(100));
    assert_int_equal(script_granted(&t), 0);
    (void)script_ask(&t, &c, script_allocate(3, 0));
    assert_true(c.broken);
    assert_null(broker_core(t.sim.broker));
    script_run(&t, 200);
    assert_int_equal(ears.restarts, 1);
    assert_int_equal(script_granted(&t), granted_after);
    script_connect(&t, &c);
    assert_true(c.welcome->welcome.reattached);
    assert_int_equal(c.session, session);
    assert_int_equal(c.welcome->welcome.n_sets, granted_after ? 1 : 0);
    assert_int_equal(c.welcome->welcome.acked.v, granted_after ? 1 : 0);
    script_run(&t, 1000);
    script_send(&c, script_allocate(3, 0));
    script_run(&t, 5);
    assert_int_equal(c.reply->reply.reply.status, STATUS_OK);
    assert_int_equal(c.reply->reply.reply.number.v, 1);
    assert_int_equal(c.reply->reply.set.extents[0].chunks, 3);
    if (granted_after)
        assert_int_equal(c.reply->reply.set.id.v, c.welcome->welcome.sets[0].id.v);
    assert_int_equal(script_granted(&t), 3);
    script_replays(&t);
    script_client_finish(&c);
    script_close(&t);
}

static void a_crash_before_the_commit_undoes_the_turn(void **state)
{
    (void)state;
    ask_through_a_crash(CRASH_BEFORE_COMMIT, 0);
}

static void a_crash_after_the_commit_keeps_the_turn(void **state)
{
    (void)state;
    ask_through_a_crash(CRASH_AFTER_COMMIT, 3);
}

static void a_crash_between_turns_keeps_everything(void **state)
{
    (void)state;
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    (void)script_ask(&t, &c, script_allocate(3, 0));
    broker_crash(t.sim.broker, CRASH_BETWEEN_TURNS, US_OF_MS(100));
    script_run(&t, 5);
    assert_true(c.broken);
    assert_null(net_connect(t.sim.net, "run 0", &(net_end){0})); /* nobody listens */
    script_run(&t, 200);
    script_connect(&t, &c);
    assert_int_equal(c.welcome->welcome.n_sets, 1);
    assert_int_equal(c.welcome->welcome.sets[0].extents[0].chunks, 3);
    script_client_finish(&c);
    script_close(&t);
}

static void a_failed_commit_ends_the_broker(void **state)
{
    (void)state;
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    broker_fail_commit(t.sim.broker);
    assert_null(script_ask(&t, &c, script_allocate(3, 0)));
    assert_true(c.broken);
    script_run(&t, 2000);
    assert_int_equal(script_granted(&t), 0);
    script_connect(&t, &c);
    script_run(&t, 1000);
    assert_int_equal(script_ask(&t, &c, script_allocate(3, 0))->reply.reply.status, STATUS_OK);
    script_client_finish(&c);
    script_close(&t);
}

static void lose_power(bool power)
{
    script t;
    script_client c;
    script_open(&t, power);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    uint64_t session = c.session;
    (void)script_ask(&t, &c, script_allocate(3, 0));
    ms_t before = broker_now(t.sim.broker);
    broker_power_loss(t.sim.broker, US_OF_MS(100), 100);
    script_run(&t, 600);
    assert_true(broker_now(t.sim.broker) < before); /* another boot: its clock began anew */
    assert_true(power ? ears.lost == 0 : ears.lost > 0);
    assert_int_equal(script_granted(&t), power ? 3 : 0);
    script_connect(&t, &c);
    assert_int_equal(c.welcome->welcome.reattached, power);
    assert_true(power ? c.session == session : c.session > session); /* no number is ever given twice */
    script_replays(&t);
    script_client_finish(&c);
    script_close(&t);
}

static void a_lost_tail_repeats_no_number(void **state)
{
    (void)state;
    lose_power(false);
}

static void with_power_nothing_is_lost(void **state)
{
    (void)state;
    lose_power(true);
}

/* Of a broken connection the process decides: alive, it may come back; dead, its session is over. */
static void a_dead_process_ends_its_session(void **state)
{
    (void)state;
    script t;
    script_client c;
    totals_view totals;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    (void)script_ask(&t, &c, script_allocate(3, 0));
    net_break(c.connection);
    script_run(&t, 100);
    assert_int_equal(script_granted(&t), 3);
    view_totals(broker_core(t.sim.broker), &totals);
    assert_int_equal(totals.attached, 0);
    machine_kill(t.sim.machines[0], c.pid, "test");
    script_run(&t, 100);
    assert_int_equal(script_granted(&t), 0);
    view_totals(broker_core(t.sim.broker), &totals);
    assert_int_equal(totals.sessions, 0);
    script_client_finish(&c);
    script_close(&t);
}

static void who_died_meanwhile_is_found_at_the_start(void **state)
{
    (void)state;
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    (void)script_ask(&t, &c, script_allocate(3, 0));
    broker_crash(t.sim.broker, CRASH_BETWEEN_TURNS, US_OF_MS(100));
    script_run(&t, 10);
    machine_kill(t.sim.machines[0], c.pid, "test");
    script_run(&t, 100);
    assert_int_equal(script_granted(&t), 0);
    script_client_finish(&c);
    script_close(&t);
}

static void an_older_connection_of_a_session_is_dropped(void **state)
{
    (void)state;
    script t;
    script_client c, again;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    (void)script_ask(&t, &c, script_allocate(3, 0));
    script_client_init(&t, &again, "run 0", 1000);
    again.session = c.session;
    memcpy(again.token, c.token, sizeof again.token);
    script_connect(&t, &again);
    assert_true(again.welcome->welcome.reattached);
    assert_int_equal(again.welcome->welcome.n_sets, 1);
    assert_true(c.broken);
    assert_int_equal(script_granted(&t), 3);
    script_client_finish(&c);
    script_client_finish(&again);
    script_close(&t);
}

/* A group that only the books know is made again: the connection of its agent is renewed. */
static void books_and_agent_are_compared(void **state)
{
    (void)state;
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "run 0", 1000);
    script_connect(&t, &c);
    allocation_id id = script_ask(&t, &c, script_allocate(2, 0))->reply.reply.allocation;
    (void)script_ask(&t, &c, (core_event){.kind = EVENT_CLAIM, .claim = {.id = id, .chunks = 2, .handle = 77}});
    assert_int_equal(t.agent.hellos, 1);
    script_run(&t, 12000);
    assert_int_equal(t.agent.hellos, 1);
    t.agent.n_groups = 0;
    script_run(&t, 12000);
    assert_int_equal(t.agent.hellos, 2);
    assert_int_equal(t.agent.n_groups, 1);
    script_client_finish(&c);
    script_close(&t);
}

static void a_reload_counts_now_and_after_a_restart(void **state)
{
    (void)state;
    script t;
    host_view h;
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "a", .total = GIB(8), .set_aside = 0}};
    script_open(&t, false);
    assert_int_equal(view_host_by_id(broker_core(t.sim.broker), (host_id){0}, &h), 0);
    assert_true(h.total == GIB(16));
    broker_reload(t.sim.broker, &e, 1);
    script_run(&t, 10);
    assert_int_equal(view_host_by_id(broker_core(t.sim.broker), (host_id){0}, &h), 0);
    assert_true(h.total == GIB(8) && h.set_aside == 0);
    broker_crash(t.sim.broker, CRASH_BETWEEN_TURNS, US_OF_MS(100));
    script_run(&t, 1200);
    assert_int_equal(view_host_by_id(broker_core(t.sim.broker), (host_id){0}, &h), 0);
    assert_true(h.total == GIB(8) && h.set_aside == 0);
    script_close(&t);
}

/* Thousands of commits: the journal became a snapshot on the way, and still replays. */
static void snapshots_replay(void **state)
{
    (void)state;
    script t;
    script_client c;
    script_open(&t, false);
    script_client_init(&t, &c, "way 2", 1000);
    script_connect(&t, &c);
    allocation_id id = script_ask(&t, &c, script_allocate(1, TERM_GROWABLE))->reply.reply.allocation;
    for (uint32_t i = 0; i < 1500; i++)
        assert_int_equal(
            script_ask(&t, &c, (core_event){.kind = EVENT_WANT, .want = {id, 1 + i % 2}})->reply.reply.status,
            STATUS_OK);
    assert_true(t.sim.broker->compactions > 0);
    assert_true(t.sim.broker->replays >= 2);
    broker_crash(t.sim.broker, CRASH_BETWEEN_TURNS, US_OF_MS(10));
    script_run(&t, 100);
    script_connect(&t, &c);
    assert_int_equal(c.welcome->welcome.sets[0].want, 2);
    script_replays(&t);
    script_client_finish(&c);
    script_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_granted_is_told_after_its_commit),
        cmocka_unit_test(requests_are_looked_at),
        cmocka_unit_test(what_is_anothers_is_not_told),
        cmocka_unit_test(a_claim_is_ordered_and_answered),
        cmocka_unit_test(a_crash_before_the_commit_undoes_the_turn),
        cmocka_unit_test(a_crash_after_the_commit_keeps_the_turn),
        cmocka_unit_test(a_crash_between_turns_keeps_everything),
        cmocka_unit_test(a_failed_commit_ends_the_broker),
        cmocka_unit_test(a_lost_tail_repeats_no_number),
        cmocka_unit_test(with_power_nothing_is_lost),
        cmocka_unit_test(a_dead_process_ends_its_session),
        cmocka_unit_test(who_died_meanwhile_is_found_at_the_start),
        cmocka_unit_test(an_older_connection_of_a_session_is_dropped),
        cmocka_unit_test(books_and_agent_are_compared),
        cmocka_unit_test(a_reload_counts_now_and_after_a_restart),
        cmocka_unit_test(snapshots_replay),
    };
    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
