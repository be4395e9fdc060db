/* One client's connection: who is admitted, what ends it, and that nobody makes the broker keep more than its share. */
#include "bench.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define SECONDS(n) ((ms_t)(n)*1000)

static void test_only_a_hello_opens(void **state)
{
    (void)state;
    bench t;
    bench_client c = {0};
    Granary__Query query = GRANARY__QUERY__INIT;
    bench_open(&t, "");
    bench_connect(&t, &c);
    bench_send(c.channel, TYPE(QUERY), 1, &query.base);
    bench_refused(&t, c.channel, STATUS_PROTOCOL,
                  "a message that this side may not send now: the hello comes first, and once");
    bench_leave(&c);

    const uint16_t never[] = {TYPE(WELCOME), TYPE(REPLY), TYPE(AGENT_HELLO), TYPE(AGENT_SAMPLE), TYPE(HELLO)};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) { /* of a client that has a session */
        bench_join(&t, &c);
        bench_send(c.channel, never[i], 1, NULL);
        bench_refused(&t, c.channel, STATUS_PROTOCOL,
                      "a message that this side may not send now: the hello comes first, and once");
        bench_leave(&c);
    }
    assert_int_equal(t.b.peers.n, 0);
    bench_close(&t);
}

static void test_a_body_that_is_too_long_is_never_read(void **state)
{
    (void)state;
    bench t;
    bench_client c = {0};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header header = {.length = FRAME_BODY_MAX_HELLO + 1, .type = TYPE(HELLO)};
    bench_open(&t, "");
    bench_connect(&t, &c);
    frame_header_encode(&header, bytes);
    assert_int_equal(send(channel_fd(c.channel), bytes, sizeof bytes, 0), sizeof bytes);
    bench_refused(&t, c.channel, STATUS_PROTOCOL, "the first message is longer than 4 KiB");
    bench_leave(&c);
    bench_close(&t);
}

static void test_a_hello_is_waited_for_five_seconds(void **state)
{
    (void)state;
    bench t;
    bench_client early, late = {0};
    bench_open(&t, "");
    bench_join(&t, &early);
    bench_connect(&t, &late);
    bench_turns(&t);
    assert_int_equal(t.b.peers.n_fresh, 1);
    ms_t since = t.b.peers.table[1]->since;
    assert_int_equal(peers_patience(&t.b, since), SECONDS(5));
    assert_int_equal(peers_patience(&t.b, since + SECONDS(5) - 1), 1);
    assert_int_equal(t.b.peers.n_fresh, 1);
    assert_int_equal(peers_patience(&t.b, since + SECONDS(5)), -1);
    assert_int_equal(t.b.peers.n_fresh, 0);
    bench_refused(&t, late.channel, STATUS_TIMEOUT, "no Hello came within five seconds of the connection");
    bench_silent(&t, early.channel); /* a session has no such time */
    assert_int_equal(t.b.peers.n, 1);
    bench_leave(&early);
    bench_leave(&late);
    bench_close(&t);
}

static void test_connections_are_counted_in_all(void **state)
{
    (void)state;
    bench t;
    bench_client c[3] = {0};
    bench_open(&t, "connections = 2\nconnections_per_user = 2");
    bench_join(&t, &c[0]);
    bench_join(&t, &c[1]);
    bench_connect(&t, &c[2]);
    bench_refused(&t, c[2].channel, STATUS_BUSY,
                  "the broker has as many connections as it takes: connect again later, or raise connections in "
                  "granary.conf");
    bench_leave(&c[2]);
    bench_leave(&c[0]); /* its place is free again */
    bench_turns(&t);
    bench_join(&t, &c[2]);
    assert_int_equal(t.b.peers.n, 2);
    assert_int_equal(t.b.peers.n_free, 0);
    bench_leave(&c[1]);
    bench_leave(&c[2]);
    bench_close(&t);
}

static void test_connections_are_counted_for_each_user(void **state)
{
    (void)state;
    bench t;
    bench_client c[3] = {0};
    bench_open(&t, "connections = 9\nconnections_per_user = 2");
    bench_join(&t, &c[0]);
    bench_connect(&t, &c[1]); /* counts before its hello */
    bench_connect(&t, &c[2]);
    bench_refused(&t, c[2].channel, STATUS_BUSY,
                  "this user has as many connections as one user may: close some, or raise connections_per_user in "
                  "granary.conf");
    for (size_t i = 0; i < 3; i++)
        bench_leave(&c[i]);
    bench_close(&t);
}

static void long_words(const void *data, char *to, size_t size)
{
    (void)data;
    memset(to, 'x', size - 1);
    to[size - 1] = '\0';
}

/* Makes the answer to a query of the log 900 KiB long. */
static void fill_log(bench *t)
{
    for (uint32_t i = 0; i < LOG_LINES; i++)
        assert_non_null(log_defer(t->log, LOG_INFO, 1, long_words));
}

static void ask_for_log(bench_client *c)
{
    Granary__Query m = GRANARY__QUERY__INIT;
    m.what = GRANARY__QUERY__WHAT__LOG;
    bench_send(c->channel, TYPE(QUERY), 1, &m.base);
}

static unsigned log_lines_come(bench *t, bench_client *c)
{
    unsigned lines = 0;
    for (bool more = true; more;) {
        const Granary__QueryReply *r = bench_get(t, c->channel, TYPE(QUERY_REPLY), &granary__query_reply__descriptor);
        lines += (unsigned)r->n_log;
        more = r->more;
        scratch_reset(&t->memory);
    }
    return lines;
}

static void test_a_peer_that_does_not_read_is_not_read_from(void **state)
{
    (void)state;
    bench t;
    bench_client c, other;
    bench_open(&t, "");
    bench_join(&t, &c);
    bench_join(&t, &other);
    fill_log(&t);
    ask_for_log(&c);
    ask_for_log(&c);
    bench_turns(&t);
    const peer *p = peers_find_session(&t.b, (session_id){c.session}, NULL);
    assert_int_equal(p->events, UV_WRITABLE);
    ask_for_log(&c); /* lies in the socket */
    size_t pending = channel_pending(p->channel);
    bench_turns(&t);
    assert_int_equal(channel_pending(p->channel), pending);
    assert_int_equal(bench_allocate(&t, &other, "other", GIB(1), 1, 0)->status, STATUS_WAITING); /* notices nothing */
    for (int i = 0; i < 3; i++)
        assert_true(log_lines_come(&t, &c) >= LOG_LINES - 2); /* once it reads, it gets all three */
    bench_turns(&t);
    assert_int_equal(p->events, UV_READABLE);
    bench_leave(&c);
    bench_leave(&other);
    bench_close(&t);
}

static void test_a_peer_that_asks_for_much_and_reads_gets_all(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_join(&t, &c);
    fill_log(&t);
    for (int i = 0; i < 30; i++) /* more than 16 MiB of answers, asked for in one turn */
        ask_for_log(&c);
    bench_turns(&t);
    const peer *p = peers_find_session(&t.b, (session_id){c.session}, NULL);
    assert_non_null(p);
    assert_int_equal(p->events, UV_WRITABLE);
    assert_true(channel_pending(p->channel) < (size_t)3 << 20); /* one answer above the mark */
    for (int i = 0; i < 30; i++)
        assert_true(log_lines_come(&t, &c) >= LOG_LINES - 2);
    bench_silent(&t, c.channel);
    assert_int_equal(p->events, UV_READABLE);
    bench_leave(&c);
    bench_close(&t);
}

static void test_a_peer_that_never_reads_is_dropped(void **state)
{
    (void)state;
    bench t;
    bench_client c, other;
    bench_open(&t, "");
    bench_join(&t, &c);
    bench_join(&t, &other);
    static char text[(1u << 20) - 1024]; /* a frame of almost 1 MiB */
    long_words(NULL, text, sizeof text);
    Granary__Error push = GRANARY__ERROR__INIT;
    push.text = text;
    peer *p = peers_find_session(&t.b, (session_id){c.session}, NULL);
    for (int i = 0; i < 16; i++) /* what nobody asked for */
        peer_send(p, TYPE(ERROR), PUSH_NUMBER, &push.base);
    bench_turns(&t);
    assert_int_equal(p->stage, PEER_OPEN);
    peer_send(p, TYPE(ERROR), PUSH_NUMBER, &push.base);
    bench_turns(&t);
    assert_null(peers_find_session(&t.b, (session_id){c.session}, NULL));
    char line[160];
    snprintf(line, sizeof line, "uid=%u pid=%d status=LIMIT connection dropped: its answers cannot be kept",
             (unsigned)getuid(), (int)getpid());
    assert_true(bench_logged(&t, line));
    assert_int_equal(t.b.peers.n, 1);
    bench_silent(&t, other.channel);
    totals_view totals;
    view_totals(t.b.driver.core, &totals);
    assert_int_equal(totals.sessions, 2); /* its process lives, so it may come back */
    assert_int_equal(totals.attached, 1);
    bench_leave(&c);
    bench_leave(&other);
    bench_close(&t);
}

/* Says goodbye and closes, in one turn of the broker's. */
static void leave_with_goodbye(bench *t, bench_client *c)
{
    totals_view totals;
    Granary__Goodbye m = GRANARY__GOODBYE__INIT;
    bench_send(c->channel, TYPE(GOODBYE), 0, &m.base);
    bench_leave(c);
    bench_turns(t);
    assert_int_equal(t->b.peers.n, 0);
    view_totals(t->b.driver.core, &totals);
    assert_int_equal(totals.sessions, 0);
}

static void test_a_goodbye_counts_behind_answers_that_nobody_read(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_join(&t, &c);
    ask_for_log(&c);
    bench_turns(&t);
    leave_with_goodbye(&t, &c);

    fill_log(&t); /* and when the broker waits for room */
    bench_join(&t, &c);
    for (int i = 0; i < 5; i++)
        ask_for_log(&c);
    bench_turns(&t);
    assert_int_equal(peers_find_session(&t.b, (session_id){c.session}, NULL)->events, UV_WRITABLE);
    leave_with_goodbye(&t, &c);
    bench_close(&t);
}

static void flood(bench_client *c)
{
    Granary__Cancel m = GRANARY__CANCEL__INIT;
    for (uint64_t i = 1; i <= 200; i++)
        assert_int_equal(channel_send(c->channel, TYPE(CANCEL), i, 0, &m.base, -1), 0);
    assert_int_equal(channel_flush(c->channel), 0);
}

static void test_a_goodbye_counts_behind_a_flood(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_join(&t, &c);
    flood(&c);
    leave_with_goodbye(&t, &c);
    bench_close(&t);
}

/* A connection that a process made which we are not; *ret_pid is to be killed. */
static void join_of_child(bench *t, bench_client *c, pid_t *ret_pid)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", t->socket);
    *ret_pid = fork();
    if (*ret_pid == 0) {
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
            pause();
        _exit(1);
    }
    *c = (bench_client){0};
    while (t->b.peers.n == 0)
        uv_run(&t->b.loop, UV_RUN_ONCE);
    assert_int_equal(channel_create(&c->channel, fd, PEER_BROKER_TO_CLIENT_NEW), 0);
    bench_hello(t, c);
}

static void test_a_process_that_dies_amid_its_flood(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    pid_t pid;
    bench_open(&t, "");
    join_of_child(&t, &c, &pid);
    flood(&c);
    uint64_t before = t.b.driver.steps;
    while (t.b.driver.steps == before)
        uv_run(&t.b.loop, UV_RUN_NOWAIT);
    assert_true(peers_find_session(&t.b, (session_id){c.session}, NULL)->backlog);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    peers_collect(&t.b); /* as its timer does, before the frames that are left have their turn */
    peers_work(&t.b);
    bench_turns(&t);
    assert_int_equal(t.b.peers.n, 0);
    assert_int_equal(t.b.peers.n_free, t.b.peers.capacity);
    bench_leave(&c);
    bench_close(&t);
}

static void test_a_flood_is_worked_off_in_parts(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_join(&t, &c);
    uint64_t before = t.b.driver.steps;
    flood(&c);
    while (t.b.driver.steps == before)
        uv_run(&t.b.loop, UV_RUN_NOWAIT);
    assert_int_equal(t.b.driver.steps, before + 64); /* of one peer in a turn */
    for (uint64_t i = 1; i <= 200; i++)
        assert_int_equal(bench_reply(&t, &c)->status, STATUS_NOT_FOUND);
    bench_leave(&c); /* with nothing in hand */
    bench_turns(&t);
    assert_int_equal(t.b.peers.n, 0);
    bench_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_hello_opens),
        cmocka_unit_test(test_a_body_that_is_too_long_is_never_read),
        cmocka_unit_test(test_a_hello_is_waited_for_five_seconds),
        cmocka_unit_test(test_connections_are_counted_in_all),
        cmocka_unit_test(test_connections_are_counted_for_each_user),
        cmocka_unit_test(test_a_peer_that_does_not_read_is_not_read_from),
        cmocka_unit_test(test_a_peer_that_asks_for_much_and_reads_gets_all),
        cmocka_unit_test(test_a_peer_that_never_reads_is_dropped),
        cmocka_unit_test(test_a_goodbye_counts_behind_answers_that_nobody_read),
        cmocka_unit_test(test_a_goodbye_counts_behind_a_flood),
        cmocka_unit_test(test_a_process_that_dies_amid_its_flood),
        cmocka_unit_test(test_a_flood_is_worked_off_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
