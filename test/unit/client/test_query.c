/* query: asking a broker that the test plays itself, over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/status.h"
#include "client/query.h"
#include "proto/channel.h"

#define TYPE(t) GRANARY__MESSAGE_TYPE__TYPE_##t

static char folder[64], path[96];
static int listener;

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/granary-unit-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    memcpy(address.sun_path, path, strlen(path) + 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(listener);
    unlink(path);
    return rmdir(folder);
}

/* ---- the broker's side, in a child: every surprise ends it with 1 ---- */

static channel *peer;

#define MUST(x)                                                                                                        \
    do {                                                                                                               \
        if (!(x))                                                                                                      \
            _exit(1);                                                                                                  \
    } while (0)

static void put(uint16_t type, uint64_t number, const void *message)
{
    MUST(channel_send(peer, type, number, 0, message, -1) == 0 && channel_flush(peer) == 0);
}

static frame take(uint16_t type)
{
    frame f;
    int r;
    while ((r = channel_next(peer, &f)) == 0) {
        struct timeval limit = {.tv_sec = 5};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(channel_fd(peer), &set);
        MUST(select(channel_fd(peer) + 1, &set, NULL, NULL, &limit) == 1 && channel_receive(peer) == 0);
    }
    MUST(r == 1 && f.header.type == type);
    return f;
}

static void greet(void)
{
    Granary__Welcome welcome = GRANARY__WELCOME__INIT;
    int fd = accept(listener, NULL, NULL);
    MUST(fd >= 0 && channel_create(&peer, fd, PEER_CLIENT_NEW) == 0);
    frame f = take(TYPE(HELLO));
    Granary__Hello *hello = granary__hello__unpack(NULL, f.header.length, f.body);
    MUST(hello && hello->version == PROTOCOL_VERSION && hello->session == 0 && f.header.number == 0);
    channel_set_state(peer, PEER_CLIENT);
    welcome.version = PROTOCOL_VERSION;
    welcome.session = 9;
    welcome.local_host = (char *)"here";
    put(TYPE(WELCOME), 0, &welcome);
}

static void bye(void)
{
    take(TYPE(GOODBYE));
}

static pid_t play(void (*broker)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        broker();
        _exit(0);
    }
    return pid;
}

static void played(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static query *opened(void)
{
    char why[QUERY_WHY_MAX] = "";
    query *q = NULL;
    assert_int_equal(query_open(&q, path, why), 0);
    return q;
}

/* ---- the tests ---- */

static void answer_in_parts(void)
{
    Granary__HostInfo one = GRANARY__HOST_INFO__INIT, two = GRANARY__HOST_INFO__INIT;
    Granary__HostInfo *first[] = {&one}, *second[] = {&two};
    Granary__QueryReply part = GRANARY__QUERY_REPLY__INIT;
    Granary__AllocationState pushed = GRANARY__ALLOCATION_STATE__INIT;
    greet();
    frame f = take(TYPE(QUERY));
    one.name = (char *)"one";
    two.name = (char *)"two";
    part.sequence = 5;
    part.broker = (char *)"pid 1";
    part.sessions = 3;
    part.n_hosts = 1;
    part.hosts = first;
    part.more = true;
    put(TYPE(QUERY_REPLY), f.header.number, &part);
    put(TYPE(CHANGED), 1, &pushed);                     /* of no interest */
    put(TYPE(QUERY_REPLY), f.header.number + 7, &part); /* another question's */
    part.hosts = second;
    part.more = false;
    part.sequence = 6;
    put(TYPE(QUERY_REPLY), f.header.number, &part);
    bye();
}

static void joins_the_parts_of_a_snapshot(void **state)
{
    (void)state;
    pid_t broker = play(answer_in_parts);
    query *q = opened();
    snapshot *s = NULL;
    assert_string_equal(query_welcome(q)->local_host, "here");
    assert_int_equal(query_snapshot(q, &s), 0);
    assert_int_equal(s->n_hosts, 2);
    assert_string_equal(s->hosts[0]->name, "one");
    assert_string_equal(s->hosts[1]->name, "two");
    assert_int_equal(s->sequence, 6);
    assert_int_equal(s->sessions, 3);
    assert_string_equal(s->broker, "pid 1");
    assert_int_equal(s->n_claims + s->n_allocations + s->n_queue + s->n_recalls, 0);
    snapshot_destroy(s);
    query_close(q);
    played(broker);
}

static void answer_requests(void)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    greet();
    frame f = take(TYPE(DRAIN));
    MUST(f.header.number == 1);
    reply.status = STATUS_NOT_FOUND;
    reply.text = (char *)"there is no host x";
    put(TYPE(REPLY), 1, &reply);
    f = take(TYPE(RELEASE_FOREIGN));
    Granary__ReleaseForeign *asked = granary__release_foreign__unpack(NULL, f.header.length, f.body);
    MUST(f.header.number == 2 && asked->allocation == 12 && asked->chunks == 3);
    reply = (Granary__Reply)GRANARY__REPLY__INIT;
    reply.recall = 77;
    reply.chunks = 3;
    put(TYPE(REPLY), 2, &reply);
    f = take(TYPE(PLAN));
    Granary__Allocate *plan = granary__allocate__unpack(NULL, f.header.length, f.body);
    MUST(plan->terms->want == 4 && plan->terms->min == 0 && plan->terms->chunk_size == 100 &&
         plan->terms->wait_ms == 0);
    reply = (Granary__Reply)GRANARY__REPLY__INIT;
    reply.status = STATUS_WAITING;
    reply.place = 2;
    put(TYPE(REPLY), 3, &reply);
    bye();
}

static void makes_numbered_requests(void **state)
{
    (void)state;
    pid_t broker = play(answer_requests);
    query *q = opened();
    const Granary__Reply *reply = NULL;
    assert_int_equal(query_drain(q, "x", false, NULL), STATUS_NOT_FOUND);
    assert_string_equal(query_why(q), "there is no host x");
    assert_int_equal(query_release(q, 12, 3, &reply), 0);
    assert_string_equal(query_why(q), "");
    assert_int_equal(reply->recall, 77);
    const granary_request wish = {.chunk_size = 100, .want = 4, .flags = GRANARY_GROWABLE};
    assert_int_equal(query_plan(q, &wish, &reply), STATUS_WAITING);
    assert_int_equal(reply->place, 2);
    query_close(q);
    played(broker);
}

static void answer_with_an_error(void)
{
    Granary__Error error = GRANARY__ERROR__INIT;
    greet();
    take(TYPE(QUERY));
    error.status = STATUS_BUSY;
    error.text = (char *)"come back later";
    put(TYPE(ERROR), 0, &error);
}

static void tells_the_brokers_error_and_its_end(void **state)
{
    (void)state;
    pid_t broker = play(answer_with_an_error);
    query *q = opened();
    snapshot *s = NULL;
    assert_int_equal(query_snapshot(q, &s), STATUS_BUSY);
    assert_string_equal(query_why(q), "come back later");
    played(broker);
    assert_int_equal(query_snapshot(q, &s), STATUS_LOST);
    assert_null(s);
    query_close(q);
}

static int gathered;

static int gather(void *userdata, const Granary__LogLine *line)
{
    (void)userdata;
    assert_string_equal(line->text, gathered == 0 ? "a" : gathered == 1 ? "b" : "c");
    return ++gathered == 3 ? 123 : 0;
}

static void answer_log(void)
{
    Granary__LogLine a = GRANARY__LOG_LINE__INIT, b = GRANARY__LOG_LINE__INIT, c = GRANARY__LOG_LINE__INIT;
    Granary__LogLine *both[] = {&a, &b}, *last[] = {&c};
    Granary__QueryReply part = GRANARY__QUERY_REPLY__INIT;
    greet();
    frame f = take(TYPE(QUERY));
    Granary__Query *asked = granary__query__unpack(NULL, f.header.length, f.body);
    MUST(asked->what == GRANARY__QUERY__WHAT__LOG && asked->log_lines == 2 && asked->follow);
    a.text = (char *)"a";
    b.text = (char *)"b";
    c.text = (char *)"c";
    part.n_log = 2;
    part.log = both;
    put(TYPE(QUERY_REPLY), f.header.number, &part);
    part.n_log = 1;
    part.log = last;
    put(TYPE(QUERY_REPLY), f.header.number, &part);
    bye();
}

static void follows_the_log_until_told_to_stop(void **state)
{
    (void)state;
    pid_t broker = play(answer_log);
    query *q = opened();
    gathered = 0;
    assert_int_equal(query_log(q, 2, true, gather, NULL), 123);
    assert_int_equal(gathered, 3);
    query_close(q);
    played(broker);
}

static void says_where_nobody_listens(void **state)
{
    (void)state;
    char why[QUERY_WHY_MAX] = "", longer[300];
    query *q = NULL;
    assert_int_equal(query_open(&q, "/nonexistent/socket", why), STATUS_LOST);
    assert_string_equal(
        why, "no broker answers at /nonexistent/socket: start one with `granary up --socket /nonexistent/socket`");
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(query_open(&q, longer, why), STATUS_INVALID);
    assert_null(q);
    query_close(NULL);
    snapshot_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(joins_the_parts_of_a_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(makes_numbered_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_the_brokers_error_and_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(follows_the_log_until_told_to_stop, setup, teardown),
        cmocka_unit_test(says_where_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
