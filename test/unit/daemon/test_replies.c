/* From effects to frames: each field, each sentence, and what is not told. */
#include "bench.h"

#include "daemon/replies.h"

static bench t;
static bench_client client;
static uint64_t link_name;

static int set_up(void **state)
{
    (void)state;
    bench_open(&t, "");
    bench_agent(&t, true);
    bench_join(&t, &client);
    assert_int_equal(bench_allocate(&t, &client, "mine", MIB(1), 3, 0)->allocation->id, 1);
    link_name = peers_find_session(&t.b, (session_id){client.session}, NULL)->link;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bench_leave(&client);
    bench_close(&t);
    return 0;
}

static void test_every_failure_has_a_sentence(void **state)
{
    (void)state;
    static const struct {
        int status;
        bytes_t most;
        const char *text;
    } rows[] = {
        {STATUS_OK, 0, ""},
        {STATUS_WAITING, 0, ""},
        {STATUS_INVALID, 0, "an argument is malformed or out of range"},
        {STATUS_LIMIT, 0,
         "a table of the broker is full: try again when others have ended, or raise the max_ settings in granary.conf"},
        {STATUS_NEVER, 0,
         "no host could ever serve this: none with memory to lease has the names or labels asked for; `granary hosts` "
         "lists them"},
        {STATUS_NEVER, GIB(4),
         "larger than could ever be granted here: the most is 4.0G; ask for smaller or fewer chunks, or for other "
         "hosts"},
        {STATUS_QUOTA, MIB(3), "over the user's quota: 3.0M more can be granted; release something, or ask for less"},
        {STATUS_NOT_NOW, 0,
         "not free now, and the request said not to wait: wait for it (leave out --now), or ask for less"},
        {STATUS_TIMEOUT, 0, "the time given has passed: wait longer, or ask for less"},
        {STATUS_DENIED, 0, "only the owner or the operator may do this"},
        {STATUS_NOT_FOUND, 0,
         "there is no such allocation, claim, recall or host: it may have ended; `granary status` shows what there is"},
        {STATUS_STATE, 0,
         "not possible now: more than is held, claimed or asked: `granary allocations` shows what is held"},
        {STATUS_STALE, 0, "this answers something that is already over: nothing is to be done"},
        {STATUS_AGENT, 0, "the host's agent could not carry it out: `granary log` tells what the agent met"},
        {STATUS_SILENT, 0,
         "the host is not connected: wait until its agent is connected again; `granary hosts` shows it"},
        {STATUS_DEAD, 0, "the process is dead, or is not the one that was meant: start it again"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        assert_string_equal(reply_text(rows[i].status, rows[i].most, text, sizeof text), rows[i].text);
    }
}

static void test_a_reply_carries_the_whole_set(void **state)
{
    (void)state;
    extent extents[] = {{{0}, 2}};
    planned_ask asks[] = {{{9}, {0}, 4, 250}, {{8}, {0}, 1, MS_NEVER}};
    effect_reply e = {.link = link_name,
                      .number = {77},
                      .allocation = {1},
                      .claim = {5},
                      .chunks = 2,
                      .most = 6,
                      .expected_ms = 1500,
                      .cause = CAUSE_OOM,
                      .peak = MIB(9),
                      .extents = extents,
                      .n_extents = 1,
                      .asks = asks,
                      .n_asks = 2,
                      .reason = WAIT_FRESH};
    reply_send(&t.b, &e);
    const Granary__Reply *r = bench_reply(&t, &client);
    assert_int_equal(t.number, 77);
    assert_int_equal(r->status, 0);
    assert_string_equal(r->text, "");
    assert_int_equal(r->allocation->id, 1);
    assert_int_equal(r->allocation->state, ALLOCATION_LIVE);
    assert_int_equal(r->allocation->want, 3);
    assert_int_equal(r->allocation->n_extents, 1);
    assert_int_equal(r->allocation->extents[0]->chunks, 3);
    assert_int_equal(r->claim, 5);
    assert_int_equal(r->chunks, 2);
    assert_int_equal(r->most, 6);
    assert_true(r->expected_known);
    assert_int_equal(r->expected_ms, 1500);
    assert_int_equal(r->cause, CAUSE_OOM);
    assert_int_equal(r->peak, MIB(9));
    assert_int_equal(r->n_extents, 1);
    assert_int_equal(r->extents[0]->chunks, 2);
    assert_int_equal(r->n_asks, 2);
    assert_int_equal(r->asks[0]->allocation, 9);
    assert_true(r->asks[0]->expected_known);
    assert_int_equal(r->asks[0]->expected_ms, 250);
    assert_false(r->asks[1]->expected_known);
    assert_int_equal(r->asks[1]->expected_ms, 0);
    assert_string_equal(r->reason, "its hosts have not been measured yet");
}

static void test_what_is_anothers_is_not_told(void **state)
{
    (void)state;
    effect_reply e = {.link = link_name,
                      .number = {78},
                      .status = STATUS_DENIED,
                      .allocation = {1},
                      .claim = {5},
                      .recall = {6},
                      .chunks = 7,
                      .most = 8,
                      .peak = 9};
    reply_send(&t.b, &e);
    const Granary__Reply *r = bench_reply(&t, &client);
    assert_int_equal(r->status, STATUS_DENIED);
    assert_null(r->allocation);
    assert_int_equal(r->claim + r->recall + r->chunks + r->most + r->peak, 0);
}

static void test_nobody_gets_the_reply_of_a_connection_that_is_gone(void **state)
{
    (void)state;
    effect_reply e = {.link = link_name + (1u << 20), .number = {79}}; /* the same slot, a later connection's name */
    effect_push p = {.kind = PUSH_CHANGED, .link = e.link, .allocation = {1}};
    reply_send(&t.b, &e);
    push_send(&t.b, &p);
    e.link = p.link = 0; /* a session that is detached */
    reply_send(&t.b, &e);
    push_send(&t.b, &p);
    bench_silent(&t, client.channel);
}

static void test_the_agents_own_words(void **state)
{
    (void)state;
    effect_reply e = {.link = link_name, .number = {80}, .status = STATUS_DENIED, .tag = 44};
    t.b.link.refusal.tag = 44;
    t.b.link.refusal.text = "the process is of uid 7\n";
    reply_send(&t.b, &e);
    assert_string_equal(bench_reply(&t, &client)->text, "the process is of uid 7\\n");
    e.status = STATUS_AGENT;
    reply_send(&t.b, &e);
    assert_string_equal(bench_reply(&t, &client)->text,
                        "the host's agent could not carry it out: the process is of uid 7\\n");
    e.tag = 45; /* of another order */
    reply_send(&t.b, &e);
    assert_string_equal(bench_reply(&t, &client)->text,
                        "the host's agent could not carry it out: `granary log` tells what the agent met");
    t.b.link.refusal.tag = 0;
    t.b.link.refusal.text = NULL;
}

static void test_pushes_are_numbered(void **state)
{
    (void)state;
    effect_push p = {.kind = PUSH_CHANGED, .link = link_name, .allocation = {1}};
    push_send(&t.b, &p);
    const Granary__AllocationState *m =
        bench_get(&t, client.channel, TYPE(CHANGED), &granary__allocation_state__descriptor);
    uint64_t number = t.number;
    assert_int_equal(m->id, 1);
    assert_int_equal(m->extents[0]->chunks, 3);
    p = (effect_push){.kind = PUSH_WITHDRAW, .link = link_name, .allocation = {1}, .recall = {6}};
    push_send(&t.b, &p);
    const Granary__Withdraw *w = bench_get(&t, client.channel, TYPE(WITHDRAW), &granary__withdraw__descriptor);
    assert_int_equal(t.number, number + 1);
    assert_int_equal(w->recall, 6);
    assert_int_equal(w->allocation, 1);
}

static void test_recalls_and_asks(void **state)
{
    (void)state;
    effect_push p = {.kind = PUSH_RECALL,
                     .link = link_name,
                     .allocation = {1},
                     .recall = {6},
                     .reason = RECALL_FOR_DRAIN,
                     .count = 2,
                     .host = HOST_NONE,
                     .deadline = 1}; /* long ago */
    push_send(&t.b, &p);
    const Granary__Recall *r = bench_get(&t, client.channel, TYPE(RECALL), &granary__recall__descriptor);
    assert_int_equal(r->recall, 6);
    assert_int_equal(r->reason, RECALL_FOR_DRAIN);
    assert_int_equal(r->count, 2);
    assert_true(r->any_host);
    assert_int_equal(r->host, 0);
    assert_int_equal(r->notice_ms, 0);
    p.kind = PUSH_ASK;
    p.host = (host_id){3};
    push_send(&t.b, &p);
    const Granary__Ask *a = bench_get(&t, client.channel, TYPE(ASK), &granary__ask__descriptor);
    assert_false(a->any_host);
    assert_int_equal(a->host, 3);
    assert_int_equal(a->count, 2);
}

static void test_a_preference_is_told_whole(void **state)
{
    (void)state;
    effect_push p = {.kind = PUSH_PREFER, .link = link_name, .allocation = {1}, .recall = {6}, .preferred = {{2}, 5}};
    push_send(&t.b, &p);
    bench_silent(&t, client.channel);
    p.preferred = (extent){{4}, 1};
    p.last = true;
    push_send(&t.b, &p);
    const Granary__Prefer *m = bench_get(&t, client.channel, TYPE(PREFER), &granary__prefer__descriptor);
    assert_int_equal(m->n_extents, 2);
    assert_int_equal(m->extents[0]->host, 2);
    assert_int_equal(m->extents[0]->chunks, 5);
    assert_int_equal(m->extents[1]->host, 4);
    p.link = 0; /* one for nobody leaves nothing behind for the next */
    push_send(&t.b, &p);
    p.link = link_name;
    p.preferred.chunks = 0;
    push_send(&t.b, &p);
    m = bench_get(&t, client.channel, TYPE(PREFER), &granary__prefer__descriptor);
    assert_int_equal(m->n_extents, 0);
}

static void test_ends(void **state)
{
    (void)state;
    effect_push p = {.kind = PUSH_ENDED, .link = link_name, .allocation = {99}, .status = STATUS_NEVER, .most = GIB(4)};
    push_send(&t.b, &p);
    const Granary__AllocationEnded *m =
        bench_get(&t, client.channel, TYPE(ENDED), &granary__allocation_ended__descriptor);
    assert_int_equal(m->status, STATUS_NEVER);
    assert_int_equal(m->most, GIB(4));
    assert_string_equal(m->text, "larger than could ever be granted here: the most is 4.0G; ask for smaller or fewer "
                                 "chunks, or for other hosts");
    assert_int_equal(m->allocation->id, 99);
    assert_int_equal(m->allocation->state, 0); /* it is gone */
    p.status = STATUS_TIMEOUT;
    push_send(&t.b, &p);
    m = bench_get(&t, client.channel, TYPE(ENDED), &granary__allocation_ended__descriptor);
    assert_string_equal(m->text, "the time given has passed");

    p = (effect_push){.kind = PUSH_CLAIM_ENDED, .link = link_name, .claim = {5}, .cause = CAUSE_OOM, .peak = 7};
    push_send(&t.b, &p);
    const Granary__ClaimEnded *k = bench_get(&t, client.channel, TYPE(CLAIM_ENDED), &granary__claim_ended__descriptor);
    assert_int_equal(k->claim, 5);
    assert_int_equal(k->cause, CAUSE_OOM);
    assert_int_equal(k->peak, 7);
    p = (effect_push){.kind = PUSH_CLAIM_OVER, .link = link_name, .claim = {5}, .bytes = 10, .peak = 17};
    push_send(&t.b, &p);
    const Granary__ClaimOver *o = bench_get(&t, client.channel, TYPE(CLAIM_OVER), &granary__claim_over__descriptor);
    assert_int_equal(o->used, 17);
    assert_int_equal(o->bytes, 10);
}

static void test_an_answer_without_room_ends_the_connection(void **state)
{
    (void)state;
    effect_reply e = {.link = link_name, .number = {90}, .allocation = {1}};
    t.b.scratch.used = t.b.scratch.size;
    reply_send(&t.b, &e);
    scratch_reset(&t.b.scratch);
    bench_refused(&t, client.channel, STATUS_NO_MEMORY, "the broker has no room for this answer: connect again later");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failure_has_a_sentence),
        cmocka_unit_test(test_a_reply_carries_the_whole_set),
        cmocka_unit_test(test_what_is_anothers_is_not_told),
        cmocka_unit_test(test_nobody_gets_the_reply_of_a_connection_that_is_gone),
        cmocka_unit_test(test_the_agents_own_words),
        cmocka_unit_test(test_pushes_are_numbered),
        cmocka_unit_test(test_recalls_and_asks),
        cmocka_unit_test(test_a_preference_is_told_whole),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_an_answer_without_room_ends_the_connection), /* the last: it needs the connection */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
