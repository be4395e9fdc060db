/* Answers to Query: a small world in exact numbers, long answers in parts, and those who follow the log. */
#include "bench.h"

static const Granary__QueryReply *ask(bench *t, bench_client *c)
{
    Granary__Query m = GRANARY__QUERY__INIT;
    bench_send(c->channel, TYPE(QUERY), 900, &m.base);
    const Granary__QueryReply *r = bench_get(t, c->channel, TYPE(QUERY_REPLY), &granary__query_reply__descriptor);
    assert_int_equal(t->number, 900);
    return r;
}

static void test_an_empty_world(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    bench_open(&t, "");
    bench_join(&t, &c);
    const Granary__QueryReply *r = ask(&t, &c);
    assert_false(r->more);
    assert_string_equal(r->broker_id, BENCH_BOOKS);
    assert_int_equal(r->sessions, 1);
    assert_int_equal(r->n_hosts, 1); /* the local one is configured, though its agent has not come */
    assert_string_equal(r->hosts[0]->state, "suspect");
    assert_int_equal(r->hosts[0]->free, 0);
    assert_int_equal(r->n_allocations + r->n_claims + r->n_queue + r->n_recalls + r->n_log, 0);
    bench_leave(&c);
    bench_close(&t);
}

/* A pool of 4 chunks with one claim, and a request for 2 that waits for a recall. */
static void make_world(bench *t, bench_client *pool, bench_client *firm)
{
    bench_open(t, "");
    bench_agent(t, true);
    bench_join(t, pool);
    bench_join(t, firm);
    assert_int_equal(bench_allocate(t, pool, "pool", GIB(1), 4, TERM_GROWABLE)->status, 0);
    bench_claim_opened(t, pool, 1, 1);
    assert_int_equal(bench_allocate(t, firm, "firm", GIB(2), 1, 0)->status, STATUS_WAITING);
    bench_get(t, pool->channel, TYPE(ASK), &granary__ask__descriptor);
    bench_get(t, pool->channel, TYPE(RECALL), &granary__recall__descriptor); /* the ask has had its time */
}

static void test_a_small_world(void **state)
{
    (void)state;
    bench t;
    bench_client pool, firm;
    make_world(&t, &pool, &firm);
    const Granary__QueryReply *r = ask(&t, &firm);
    assert_int_equal(r->n_hosts, 1);
    const Granary__HostInfo *h = r->hosts[0];
    assert_string_equal(h->state, "up");
    assert_string_equal(h->enforcement, "cgroup v2");
    assert_int_equal(h->cores, 4);
    assert_int_equal(h->total, GIB(4));
    assert_int_equal(h->granted, GIB(4));
    assert_int_equal(h->set_aside + h->foreign + h->returning + h->held + h->quarantine + h->free + h->overdraft, 0);
    assert_int_equal(r->n_allocations, 2);
    const Granary__AllocationInfo *a = r->allocations[0];
    assert_int_equal(a->id, 1);
    assert_string_equal(a->label, "pool");
    assert_string_equal(a->state, "live");
    assert_int_equal(a->uid, getuid());
    assert_int_equal(a->pid, getpid());
    assert_int_equal(a->chunk_size, GIB(1));
    assert_int_equal(a->chunks, 4);
    assert_int_equal(a->want, 4);
    assert_int_equal(a->min, 0);
    assert_int_equal(a->flags, TERM_GROWABLE | TERM_RECALLABLE);
    assert_int_equal(a->n_holdings, 1);
    assert_int_equal(a->holdings[0]->chunks, 4);
    assert_int_equal(a->holdings[0]->claimed, 1);
    assert_int_equal(a->holdings[0]->returning, 0);
    assert_string_equal(r->allocations[1]->state, "waiting");
    assert_int_equal(r->allocations[1]->chunks, 0);
    assert_int_equal(r->n_claims, 1);
    assert_int_equal(r->claims[0]->allocation, 1);
    assert_int_equal(r->claims[0]->chunks, 1);
    assert_string_equal(r->claims[0]->state, "open");
    assert_string_equal(r->claims[0]->command, "task");
    assert_int_equal(r->n_queue, 1);
    assert_int_equal(r->queue[0]->allocation->id, 2);
    assert_int_equal(r->queue[0]->place, 1);
    assert_string_equal(r->queue[0]->reason, "memory is being asked back for it");
    assert_int_equal(r->queue[0]->missing, GIB(2));
    assert_int_equal(r->n_recalls, 1);
    assert_int_equal(r->recalls[0]->allocation, 1);
    assert_int_equal(r->recalls[0]->beneficiary, 2);
    assert_string_equal(r->recalls[0]->reason, "waiter");
    assert_int_equal(r->recalls[0]->asked, 2);
    assert_int_equal(r->recalls[0]->released + r->recalls[0]->withdrawn + r->recalls[0]->revoked, 0);
    uint64_t sequence = r->sequence;
    assert_int_equal(ask(&t, &firm)->sequence, sequence); /* looking changes nothing */
    assert_int_equal(bench_release(&t, &pool, 1, 1)->status, 0);
    assert_true(ask(&t, &firm)->sequence > sequence);
    bench_leave(&pool);
    bench_leave(&firm);
    bench_close(&t);
}

static void long_words(const void *data, char *to, size_t size)
{
    (void)data;
    memset(to, 'x', size - 1);
    to[size - 1] = '\0';
}

static void test_a_long_answer_comes_in_parts(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    Granary__Query m = GRANARY__QUERY__INIT;
    bench_open(&t, "");
    bench_join(&t, &c);
    for (uint32_t i = 0; i < LOG_LINES; i++)
        assert_non_null(log_defer(t.log, LOG_INFO, 1, long_words));
    m.what = GRANARY__QUERY__WHAT__LOG;
    bench_send(c.channel, TYPE(QUERY), 3, &m.base);
    size_t lines = 0, parts = 0;
    const Granary__QueryReply *r;
    do {
        r = bench_get(&t, c.channel, TYPE(QUERY_REPLY), &granary__query_reply__descriptor);
        assert_int_equal(t.number, 3);
        lines += r->n_log;
        parts++;
    } while (r->more);
    assert_int_equal(lines, LOG_LINES);
    assert_int_equal(parts, 4); /* some 470 bytes each, 256 KiB a part */
    bench_leave(&c);
    bench_close(&t);
}

static void test_those_who_follow_the_log(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    Granary__Query m = GRANARY__QUERY__INIT;
    bench_open(&t, "");
    bench_join(&t, &c);
    log_write(t.log, LOG_INFO, "before");
    m.what = GRANARY__QUERY__WHAT__LOG;
    m.log_lines = 1;
    m.follow = true;
    bench_send(c.channel, TYPE(QUERY), 5, &m.base);
    const Granary__QueryReply *r = bench_get(&t, c.channel, TYPE(QUERY_REPLY), &granary__query_reply__descriptor);
    assert_true(r->more);
    assert_int_equal(r->n_log, 1);
    assert_string_equal(r->log[0]->text, "before");
    log_write(t.log, LOG_WARNING, "after\n");
    r = bench_get(&t, c.channel, TYPE(QUERY_REPLY), &granary__query_reply__descriptor);
    assert_int_equal(t.number, 5);
    assert_true(r->more);
    assert_int_equal(r->n_log, 1);
    assert_string_equal(r->log[0]->text, "after\\x0a");
    assert_string_equal(r->log[0]->level, "warning");
    assert_int_equal(t.b.peers.followers, 1);
    bench_leave(&c);
    bench_turns(&t);
    assert_int_equal(t.b.peers.followers, 0);
    log_write(t.log, LOG_INFO, "nobody"); /* and the broker lives */
    bench_turns(&t);
    bench_close(&t);
}

static void test_a_malformed_query(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    static const uint8_t wrong = 0xff;
    bench_open(&t, "");
    bench_join(&t, &c);
    bench_send_raw(c.channel, TYPE(QUERY), &wrong, 1);
    bench_refused(&t, c.channel, STATUS_PROTOCOL, "the body of this QUERY is malformed");
    bench_leave(&c);
    bench_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_world),
        cmocka_unit_test(test_a_small_world),
        cmocka_unit_test(test_a_long_answer_comes_in_parts),
        cmocka_unit_test(test_those_who_follow_the_log),
        cmocka_unit_test(test_a_malformed_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
