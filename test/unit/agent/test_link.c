/* link: hello, nothing before the welcome, the live set, samples; and what is not understood drops the link. */
#include "fake.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/link.h"
#include "granary.pb-c.h"
#include "proto/channel.h"

#define TYPE(x) GRANARY__MESSAGE_TYPE__TYPE_AGENT_##x

typedef struct {
    uv_loop_t loop;
    procfs proc;
    fake_backend fake;
    watchpid *set;
    agent_link *link;
    channel *broker; /* the other end */
    int lost;
} pair;

static void on_lost(void *context)
{
    ((pair *)context)->lost++;
}

static void connect_pair(pair *p)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(channel_create(&p->broker, ends[1], PEER_AGENT_NEW), 0);
    assert_int_equal(agent_link_up(p->link, ends[0]), 0);
}

static int pair_setup(void **state)
{
    pair *p = calloc(1, sizeof *p);
    assert_int_equal(uv_loop_init(&p->loop), 0);
    assert_int_equal(procfs_open(&p->proc, "/proc"), 0);
    p->fake.base = (backend){.ops = &fake_ops, .proc = &p->proc, .reason = "a test"};
    assert_int_equal(watchpid_create(&p->set, &p->loop), 0);
    link_options o = {.loop = &p->loop,
                      .proc = &p->proc,
                      .backend = &p->fake.base,
                      .host = "here",
                      .books = "abc",
                      .physical = GIB(2),
                      .total = GIB(1),
                      .lost = on_lost,
                      .context = p};
    assert_int_equal(agent_link_create(&p->link, &o, p->set), 0);
    assert_false(agent_link_is_up(p->link));
    connect_pair(p);
    *state = p;
    return 0;
}

static int pair_teardown(void **state)
{
    pair *p = *state;
    agent_link_stop(p->link);
    watchpid_stop(p->set);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    agent_link_destroy(p->link);
    watchpid_destroy(p->set);
    channel_destroy(p->broker);
    procfs_close(&p->proc);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    free(p);
    return 0;
}

/* One turn of the agent's loop, or what it has sent: whichever comes first. */
static void turn(pair *p)
{
    struct pollfd both[] = {{.fd = uv_backend_fd(&p->loop), .events = POLLIN},
                            {.fd = channel_fd(p->broker), .events = POLLIN}};
    uv_run(&p->loop, UV_RUN_NOWAIT);
    int until = uv_backend_timeout(&p->loop);
    assert_true(poll(both, 2, until < 0 || until > 5000 ? 5000 : until) >= 0);
}

/* The next frame of this type; others in between are passed over. The body lives until the next call. */
static frame receive(pair *p, uint16_t type)
{
    frame f = {0};
    for (int i = 0; i < 1000; i++) {
        int got;
        assert_int_equal(channel_receive(p->broker), 0);
        while ((got = channel_next(p->broker, &f)) == 1)
            if (f.header.type == type)
                return f;
        assert_int_equal(got, 0);
        turn(p);
    }
    fail_msg("no frame of type %u came", type);
    return f;
}

static void say(pair *p, uint16_t type, const ProtobufCMessage *message)
{
    assert_int_equal(channel_send(p->broker, type, 0, 0, message, -1), 0);
    assert_int_equal(channel_flush(p->broker), 0);
}

static void welcome(pair *p, const char *books)
{
    Granary__AgentWelcome w = GRANARY__AGENT_WELCOME__INIT;
    w.broker_id = (char *)(uintptr_t)books;
    (void)receive(p, TYPE(HELLO));
    channel_set_state(p->broker, PEER_AGENT);
    say(p, TYPE(WELCOME), &w.base);
}

static void hello_names_the_host_and_its_groups(void **state)
{
    pair *p = *state;
    frame f = receive(p, TYPE(HELLO));
    Granary__AgentHello *m = granary__agent_hello__unpack(NULL, f.header.length, f.body);
    assert_non_null(m);
    assert_int_equal(m->version, PROTOCOL_VERSION);
    assert_string_equal(m->host, "here");
    assert_string_equal(m->broker_id, "abc");
    assert_string_equal(m->enforcement, "fake");
    assert_string_equal(m->enforcement_reason, "a test");
    assert_true(m->limited);
    assert_true(m->physical == GIB(2) && m->total == GIB(1));
    assert_int_equal(strlen(m->boot_id), 36);
    assert_int_equal(m->n_groups, 0);
    granary__agent_hello__free_unpacked(m, NULL);
}

static void after_ready_it_measures_and_carries_out(void **state)
{
    pair *p = *state;
    Granary__AgentClaim order = GRANARY__AGENT_CLAIM__INIT;
    Granary__AgentReady ready = GRANARY__AGENT_READY__INIT;
    order.claim = 4;
    order.bytes = order.chunk_size = MIB(8);
    order.tag = 9;
    int lost = p->lost;
    ready.sample_ms = 10;
    ready.collect_ms = 10;
    welcome(p, "abc");
    say(p, TYPE(EXPECT), &order.base);
    say(p, TYPE(READY), &ready.base);
    frame f = receive(p, TYPE(SAMPLE));
    Granary__AgentSample *s = granary__agent_sample__unpack(NULL, f.header.length, f.body);
    assert_int_equal(s->n_claims, 1);
    assert_true(s->claims[0]->claim == 4);
    granary__agent_sample__free_unpacked(s, NULL);

    fake_find(&p->fake, 4)->exists = false; /* the periodic comparison tells, and makes it again */
    f = receive(p, TYPE(NOTICE));
    Granary__AgentNotice *n = granary__agent_notice__unpack(NULL, f.header.length, f.body);
    assert_string_equal(n->text, "claim 4: its group had vanished; it was made again");
    granary__agent_notice__free_unpacked(n, NULL);
    assert_int_equal(fake_find(&p->fake, 4)->limit, MIB(8));

    order.claim = 5;
    say(p, TYPE(OPEN), &order.base);
    f = receive(p, TYPE(OPENED));
    Granary__AgentAnswer *a = granary__agent_answer__unpack(NULL, f.header.length, f.body);
    assert_true(a->claim == 5 && a->tag == 9 && a->status == 0);
    granary__agent_answer__free_unpacked(a, NULL);
    assert_int_equal(p->lost, lost);
}

static void await_loss(pair *p)
{
    for (int i = 0; i < 100 && p->lost == 0; i++)
        turn(p);
    assert_int_equal(p->lost, 1);
    assert_false(agent_link_is_up(p->link));
}

static void what_it_does_not_understand_drops_the_link(void **state)
{
    pair *p = *state;
    welcome(p, "../up"); /* books that no folder may be named after */
    await_loss(p);
}

static void a_broker_that_ends_before_its_welcome_is_greeted_again(void **state)
{
    pair *p = *state;
    channel_destroy(p->broker); /* with the hello unread: the kernel reports an error */
    p->broker = NULL;
    for (int i = 0; i < 100 && p->lost == 0; i++)
        uv_run(&p->loop, UV_RUN_ONCE);
    assert_int_equal(p->lost, 1);
    assert_false(agent_link_is_up(p->link));
    connect_pair(p);
    after_ready_it_measures_and_carries_out(state);
}

/* More notices than may wait, while the live set is being completed. */
static void a_link_that_is_lost_at_ready_measures_nothing(void **state)
{
    pair *p = *state;
    Granary__AgentReady ready = GRANARY__AGENT_READY__INIT;
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC), told = dup(STDERR_FILENO);
    p->fake.strangers = 100000;
    ready.sample_ms = 10;
    welcome(p, "abc");
    say(p, TYPE(READY), &ready.base);
    dup2(quiet, STDERR_FILENO); /* every notice is a line there, too */
    await_loss(p);
    dup2(told, STDERR_FILENO);
    close(quiet);
    close(told);
    uv_run(&p->loop, UV_RUN_NOWAIT); /* the poll's handle is closed */
    assert_int_equal(uv_backend_timeout(&p->loop), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_names_the_host_and_its_groups),
        TEST(after_ready_it_measures_and_carries_out),
        TEST(what_it_does_not_understand_drops_the_link),
        TEST(a_broker_that_ends_before_its_welcome_is_greeted_again),
        TEST(a_link_that_is_lost_at_ready_measures_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
