/* The agent's link: what it must say first, what it is told, and answers that answer nothing. */
#include "bench.h"

#include "base/reserve.h"

#define LINKS_MOST     25u /* in a row without memory; then the broker ends */
#define NOT_UNDERSTOOD "a message of the agent is not understood"

/* ---- a shortage, of the broker's end alone ---- */

typedef enum {
    AMPLE,
    NO_CHANNEL,
    NO_RECEIVING,
    NO_SENDING,
} shortage;

static shortage want;
static const bench *starved;

int __real_channel_create(channel **ret, int fd, peer_state from);
int __wrap_channel_create(channel **ret, int fd, peer_state from);
int __real_channel_receive(channel *c);
int __wrap_channel_receive(channel *c);
int __real_channel_send(channel *c, uint16_t type, uint64_t number, uint64_t acked, const ProtobufCMessage *m, int fd);
int __wrap_channel_send(channel *c, uint16_t type, uint64_t number, uint64_t acked, const ProtobufCMessage *m, int fd);

int __wrap_channel_create(channel **ret, int fd, peer_state from)
{
    return want == NO_CHANNEL && from == PEER_AGENT_NEW ? STATUS_NO_MEMORY : __real_channel_create(ret, fd, from);
}

int __wrap_channel_receive(channel *c)
{
    return want == NO_RECEIVING && c == starved->b.link.channel ? STATUS_NO_MEMORY : __real_channel_receive(c);
}

int __wrap_channel_send(channel *c, uint16_t type, uint64_t number, uint64_t acked, const ProtobufCMessage *m, int fd)
{
    bool fails = want == NO_SENDING && c == starved->b.link.channel;
    return fails ? STATUS_NO_MEMORY : __real_channel_send(c, type, number, acked, m, fd);
}

/* The broker gave the link up, and asked for another. */
static void renewed(bench *t, const char *why)
{
    char line[256];
    bench_closed(t, t->agent);
    assert_null(t->b.link.channel);
    assert_int_equal(bench_control(t), CONTROL_LINK);
    snprintf(line, sizeof line, "host=%s the link to the agent is renewed: %s", t->b.local_host, why);
    assert_true(bench_logged(t, line));
}

static host_view local(bench *t)
{
    host_view v;
    assert_int_equal(view_host_by_name(t->b.driver.core, t->b.local_host, &v), 0);
    return v;
}

static int claim_state_of(bench *t, uint64_t gen)
{
    claim_view v;
    return view_claim_by_gen(t->b.driver.core, (generation){gen}, &v) == 0 ? (int)v.state : 0;
}

static void test_an_agent_says_hello_first_and_once(void **state)
{
    (void)state;
    bench t;
    Granary__AgentSample sample = GRANARY__AGENT_SAMPLE__INIT;
    bench_open(&t, "");
    bench_agent(&t, false);
    bench_send(t.agent, TYPE(AGENT_SAMPLE), 0, &sample.base);
    renewed(&t, "a message that this side may not send now: the hello comes first, and once");

    bench_agent(&t, false);
    bench_send(t.agent, TYPE(ALLOCATE), 0, &sample.base); /* a client's */
    renewed(&t, "a message that this side may not send now: the hello comes first, and once");

    bench_agent(&t, true);
    assert_int_equal(bench_control(&t), CONTROL_READY);
    bench_send(t.agent, TYPE(AGENT_HELLO), 0, &sample.base);
    renewed(&t, "a message that this side may not send now: the hello comes first, and once");
    assert_int_equal(local(&t).state, HOST_SUSPECT);
    bench_close(&t);
}

static void test_hellos_that_are_not_understood(void **state)
{
    (void)state;
    bench t;
    char longer[NAME_MAX_HOST + 1];
    memset(longer, 'h', sizeof longer);
    longer[NAME_MAX_HOST] = '\0';
    bench_open(&t, "");
    for (int i = 0; i < 6; i++) {
        Granary__AgentHello m = GRANARY__AGENT_HELLO__INIT;
        m.version = i == 0 ? PROTOCOL_VERSION + 1 : PROTOCOL_VERSION;
        m.host = (char *)(i == 1 ? "" : i == 2 ? longer : i == 3 ? "a\nb" : "there");
        m.boot_id = (char *)(i == 4 ? longer : BENCH_BOOT);
        m.enforcement = (char *)(i == 5 ? "\x1b[2J" : "watch");
        bench_agent(&t, false);
        bench_send(t.agent, TYPE(AGENT_HELLO), 0, &m.base);
        renewed(&t, NOT_UNDERSTOOD);
        assert_false(t.b.link.named);
    }
    bench_close(&t);
}

static void test_bodies_that_unpack_wrongly(void **state)
{
    (void)state;
    bench t;
    static const uint8_t wrong = 0xff;
    static const uint16_t types[] = {TYPE(AGENT_SAMPLE),  TYPE(AGENT_OPENED),  TYPE(AGENT_ENTERED), TYPE(AGENT_LIMITED),
                                     TYPE(AGENT_EMPTIED), TYPE(AGENT_DRAINED), TYPE(AGENT_NOTICE)};
    bench_open(&t, "");
    bench_agent(&t, true);
    assert_int_equal(bench_control(&t), CONTROL_READY);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bench_send_raw(t.agent, types[i], &wrong, 1);
        renewed(&t, NOT_UNDERSTOOD);
        bench_agent(&t, true);
        assert_int_equal(local(&t).state, HOST_UP);
    }
    bench_close(&t);
}

static void test_groups_of_other_books_are_left_alone(void **state)
{
    (void)state;
    bench t;
    uint64_t groups[] = {7, 9};
    Granary__AgentHello m = GRANARY__AGENT_HELLO__INIT;
    bench_open(&t, "");
    m.version = PROTOCOL_VERSION;
    m.host = t.b.local_host;
    m.boot_id = (char *)BENCH_BOOT;
    m.total = m.physical = GIB(2);
    m.broker_id = (char *)"ffffffffffffffffffffffffffffffff";
    m.n_groups = 2;
    m.groups = groups;
    bench_agent(&t, false);
    bench_send(t.agent, TYPE(AGENT_HELLO), 0, &m.base);
    const Granary__AgentWelcome *w = bench_get(&t, t.agent, TYPE(AGENT_WELCOME), &granary__agent_welcome__descriptor);
    assert_string_equal(w->broker_id, BENCH_BOOKS);
    assert_int_equal(w->highest, 0);
    char line[256];
    snprintf(line, sizeof line, "host=%s its groups belong to other books: they are left alone", t.b.local_host);
    assert_true(bench_logged(&t, line));
    snprintf(
        line, sizeof line,
        "host=%s 4.0G of memory were given to lease, and this machine (or the group that the agent runs in) has 2.0G: "
        "the smaller figure counts",
        t.b.local_host);
    assert_true(bench_logged(&t, line));
    assert_int_equal(local(&t).total, GIB(2));
    bench_close(&t);
}

static void test_an_order_brings_the_process_and_its_answer_is_the_reply(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open_leased(&t, &c, 2);
    const Granary__AgentClaim *o = bench_claim(&t, &c, 1, 2);
    assert_true(t.with_fd);
    assert_int_equal(o->claim, 1);
    assert_int_equal(o->bytes, GIB(2));
    assert_int_equal(o->chunk_size, GIB(1));
    assert_int_equal(o->uid, getuid());
    assert_int_equal(t.b.pidfd, -1); /* the broker keeps none */
    bench_silent(&t, c.channel);
    bench_answer(&t, TYPE(AGENT_OPENED), o->claim, o->tag, 0, "");
    const Granary__Reply *r = bench_reply(&t, &c);
    assert_int_equal(r->status, 0);
    assert_int_equal(r->claim, 1);
    assert_int_equal(claim_state_of(&t, 1), CLAIM_OPEN);

    bench_answer(&t, TYPE(AGENT_OPENED), o->claim, o->tag, 0, "");              /* twice: */
    bench_answer(&t, TYPE(AGENT_OPENED), o->claim, o->tag, STATUS_AGENT, "no"); /* not even to the contrary */
    bench_silent(&t, c.channel);
    assert_int_equal(claim_state_of(&t, 1), CLAIM_OPEN);
    bench_leave(&c);
    bench_close(&t);
}

static void test_an_answer_to_no_order_says_nothing(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open_leased(&t, &c, 2);
    const Granary__AgentClaim *o = bench_claim(&t, &c, 1, 1);
    bench_answer(&t, TYPE(AGENT_OPENED), o->claim, o->tag + 1000, 0, ""); /* a tag that no order had */
    bench_answer(&t, TYPE(AGENT_OPENED), o->claim, o->tag + 1000, STATUS_AGENT, "no");
    bench_answer(&t, TYPE(AGENT_OPENED), 777, o->tag, 0, "");       /* a claim that is in no book */
    bench_answer(&t, TYPE(AGENT_ENTERED), o->claim, o->tag, 0, ""); /* the answer to another order */
    bench_answer(&t, TYPE(AGENT_LIMITED), o->claim, o->tag, 0, "");
    bench_answer(&t, TYPE(AGENT_EMPTIED), o->claim, o->tag, 0, "");
    bench_silent(&t, c.channel);
    assert_int_equal(claim_state_of(&t, o->claim), CLAIM_OPENING);
    bench_answer(&t, TYPE(AGENT_OPENED), o->claim, o->tag, 0, ""); /* and the true one is still heard */
    assert_int_equal(bench_reply(&t, &c)->status, 0);
    bench_leave(&c);
    bench_close(&t);
}

static void test_only_an_ending_claim_drains(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open_leased(&t, &c, 2);
    const Granary__AgentClaim *o = bench_claim_opened(&t, &c, 1, 1);
    bench_drained(&t, o->claim, CAUSE_EXIT, 0); /* a slot between two tasks */
    bench_drained(&t, 777, CAUSE_EXIT, 0);      /* never issued */
    bench_silent(&t, c.channel);
    bench_silent(&t, t.agent);
    assert_int_equal(claim_state_of(&t, o->claim), CLAIM_OPEN);

    Granary__Close m = GRANARY__CLOSE__INIT;
    m.claim = o->claim;
    bench_send(c.channel, TYPE(CLOSE), ++c.number, &m.base);
    bench_order(&t, END);
    bench_drained(&t, o->claim, 99, MIB(5)); /* a cause that there is none of counts as an exit */
    assert_int_equal(bench_order(&t, CLOSE)->claim, o->claim);
    assert_int_equal(claim_state_of(&t, o->claim), 0);
    bench_drained(&t, o->claim, CAUSE_EXIT, 0); /* again: it missed that it may remove the group */
    assert_int_equal(bench_order(&t, CLOSE)->claim, o->claim);
    bench_leave(&c);
    bench_close(&t);
}

static void test_what_is_asked_of_a_silent_host(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open_leased(&t, &c, 2);
    bench_claim(&t, &c, 1, 1);
    channel_destroy(t.agent);
    t.agent = NULL;
    const Granary__Reply *r = bench_reply(&t, &c); /* who waited for its answer is not left waiting */
    assert_int_equal(r->status, STATUS_SILENT);
    assert_int_equal(local(&t).state, HOST_SUSPECT);
    assert_int_equal(local(&t).granted, GIB(2)); /* silence frees nothing */
    char line[256];
    snprintf(line, sizeof line, "host=%s the agent's link is down", t.b.local_host);
    assert_true(bench_logged(&t, line));
    assert_int_equal(t.b.link.n_orders, 0);
    bench_leave(&c);
    bench_close(&t);
}

static void test_pids_of_a_sample(void **state)
{
    (void)state;
    bench t;
    int32_t pids[20], *found = NULL;
    Granary__AgentClaimUse uses[3], *list[3];
    Granary__AgentSample m = GRANARY__AGENT_SAMPLE__INIT;
    for (int i = 0; i < 20; i++)
        pids[i] = 100 + i;
    for (size_t i = 0; i < 3; i++) {
        granary__agent_claim_use__init(&uses[i]);
        uses[i].claim = 30 - 10 * i; /* in no order */
        uses[i].pids = pids;
        uses[i].n_pids = i == 0 ? 20 : i == 1 ? 2 : 0;
        list[i] = &uses[i];
    }
    m.claims = list;
    m.n_claims = 3;
    bench_open(&t, "");
    bench_agent(&t, true);
    bench_send(t.agent, TYPE(AGENT_SAMPLE), 0, &m.base);
    bench_turns(&t);
    assert_true(t.b.link.sampled);
    assert_int_equal(link_pids(&t.b.link, (generation){30}, &found), LINK_PIDS_MAX);
    assert_int_equal(found[15], 115);
    assert_int_equal(link_pids(&t.b.link, (generation){20}, &found), 2);
    assert_int_equal(found[1], 101);
    assert_int_equal(link_pids(&t.b.link, (generation){10}, &found), 0);
    assert_int_equal(link_pids(&t.b.link, (generation){11}, &found), 0);
    bench_close(&t);
}

static void test_an_agent_that_does_not_read_is_given_up(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    bench_agent(&t, true);
    effect_order order = {.kind = ORDER_END, .host = t.b.link.host};
    for (order.gen.v = 1; order.gen.v <= 1u << 18; order.gen.v++)
        link_order_add(&t.b, &order);
    assert_int_equal(t.b.link.n_orders, 1u << 18);
    link_order_add(&t.b, &order);
    assert_int_equal(t.b.link.n_orders, 1u << 18);
    char line[256];
    snprintf(line, sizeof line, "host=%s the agent reads too slowly: its orders are dropped until its next hello",
             t.b.local_host);
    assert_string_equal(bench_log(&t, 0), line);
    bench_turns(&t);
    assert_null(t.b.link.channel);
    assert_int_equal(t.b.link.n_orders, 0);
    assert_int_equal(local(&t).state, HOST_SUSPECT);
    link_order_add(&t.b, &order); /* to nobody */
    assert_int_equal(t.b.link.n_orders, 0);
    bench_close(&t);
}

static void test_notices_are_lines_of_the_log(void **state)
{
    (void)state;
    bench t;
    Granary__AgentNotice m = GRANARY__AGENT_NOTICE__INIT;
    bench_open(&t, "");
    bench_agent(&t, true);
    m.level = (char *)"no such level";
    m.text = (char *)"a\nline\x1b[2J";
    bench_send(t.agent, TYPE(AGENT_NOTICE), 0, &m.base);
    bench_turns(&t);
    char line[256];
    snprintf(line, sizeof line, "host=%s agent: a\\x0aline\\x1b[2J", t.b.local_host);
    assert_string_equal(bench_log(&t, 0), line);
    bench_close(&t);
}

/* A link that fails for this want; what the agent says first is sent before its end is seen. */
static void starve(bench *t, shortage which)
{
    Granary__AgentHello m = GRANARY__AGENT_HELLO__INIT;
    m.version = PROTOCOL_VERSION;
    m.host = t->b.local_host;
    m.boot_id = (char *)BENCH_BOOT;
    m.physical = m.total = GIB(8);
    m.enforcement = (char *)"watch";
    starved = t;
    want = which;
    bench_agent(t, false);
    if (which != NO_CHANNEL)
        bench_send(t->agent, TYPE(AGENT_HELLO), 0, &m.base);
    bench_turns(t);
    want = AMPLE;
}

static void starve_often(bench *t, shortage which, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        starve(t, which);
        assert_null(t->b.link.channel);
    }
    assert_int_equal(t->b.link.starved, times);
    assert_false(t->b.ending);
}

static void ended_for_memory(bench *t)
{
    char line[256];
    assert_true(t->b.failed);
    assert_int_equal(t->b.exit_code, EXIT_NO_MEMORY);
    snprintf(line, sizeof line, "host=%s no memory to speak with the agent: the broker ends, and is started again",
             t->b.local_host);
    assert_string_equal(bench_log(t, 0), line);
    assert_int_equal(bench_control(t), 0); /* it never was ready */
}

static void test_a_broker_that_starves_at_its_links_ends(void **state)
{
    (void)state;
    static const struct {
        shortage which;
        const char *said;
    } cases[] = {
        {NO_CHANNEL, "no memory for the agent's link"},
        {NO_RECEIVING, "no memory for what the agent says"},
        {NO_SENDING, "no memory for an order to the agent"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench t;
        char line[256];
        bench_open(&t, "");
        starve_often(&t, cases[i].which, LINKS_MOST - 1);
        snprintf(line, sizeof line, "host=%s %s", t.b.local_host, cases[i].said);
        assert_true(bench_logged(&t, line));
        starve(&t, cases[i].which);
        ended_for_memory(&t);
        bench_close(&t);
    }
}

static void test_a_sample_ends_the_shortage(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    starve_often(&t, NO_CHANNEL, LINKS_MOST - 1);
    bench_agent(&t, true);
    bench_turns(&t);
    assert_int_equal(bench_control(&t), CONTROL_READY);
    starve_often(&t, NO_CHANNEL, LINKS_MOST - 1);
    assert_int_equal(local(&t).state, HOST_SUSPECT);
    bench_agent(&t, true);
    bench_turns(&t);
    assert_int_equal(t.b.link.starved, 0);
    assert_int_equal(local(&t).state, HOST_UP);
    bench_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_agent_says_hello_first_and_once),
        cmocka_unit_test(test_hellos_that_are_not_understood),
        cmocka_unit_test(test_bodies_that_unpack_wrongly),
        cmocka_unit_test(test_groups_of_other_books_are_left_alone),
        cmocka_unit_test(test_an_order_brings_the_process_and_its_answer_is_the_reply),
        cmocka_unit_test(test_an_answer_to_no_order_says_nothing),
        cmocka_unit_test(test_only_an_ending_claim_drains),
        cmocka_unit_test(test_what_is_asked_of_a_silent_host),
        cmocka_unit_test(test_pids_of_a_sample),
        cmocka_unit_test(test_an_agent_that_does_not_read_is_given_up),
        cmocka_unit_test(test_notices_are_lines_of_the_log),
        cmocka_unit_test(test_a_broker_that_starves_at_its_links_ends),
        cmocka_unit_test(test_a_sample_ends_the_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
