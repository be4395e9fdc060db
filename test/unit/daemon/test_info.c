/* What is shown of each noun, from views made by hand. */
#include "bench.h"

#include "daemon/info.h"

static bench t;

static int set_up(void **state)
{
    (void)state;
    bench_open(&t, "");
    bench_agent(&t, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bench_close(&t);
    return 0;
}

static void test_a_host(void **state)
{
    (void)state;
    host_view v = {.id = t.b.link.host,
                   .name = "n",
                   .labels = "gpu",
                   .state = HOST_DRAINING,
                   .cores = 3,
                   .total = 10,
                   .set_aside = 1,
                   .foreign = 2,
                   .granted = 3,
                   .returning = 4,
                   .held = 5,
                   .quarantine = 6,
                   .free = 7,
                   .overdraft = 8,
                   .used = 9};
    const Granary__HostInfo *m = info_host(&t.b, &v);
    assert_string_equal(m->name, "n");
    assert_string_equal(m->labels, "gpu");
    assert_string_equal(m->state, "draining");
    assert_string_equal(m->enforcement, "cgroup v2");
    assert_int_equal(m->cores, 3);
    assert_int_equal(m->total, 10);
    assert_int_equal(m->set_aside, 1);
    assert_int_equal(m->foreign, 2);
    assert_int_equal(m->granted, 3);
    assert_int_equal(m->returning, 4);
    assert_int_equal(m->held, 5);
    assert_int_equal(m->quarantine, 6);
    assert_int_equal(m->free, 7);
    assert_int_equal(m->overdraft, 8);
    assert_int_equal(m->used, 9);
    assert_int_equal(m->stranded, 0);
    assert_string_equal(m->stranded_reason, "");
    v.id.v++; /* not the one that the link is of */
    v.name = NULL;
    m = info_host(&t.b, &v);
    assert_string_equal(m->enforcement, "");
    assert_string_equal(m->name, "");
}

static void test_a_recall(void **state)
{
    (void)state;
    recall_view v = {.record = {.id = {1},
                                .allocation = {2},
                                .reason = RECALL_FOR_OPERATOR,
                                .host = {3},
                                .asked = 9,
                                .released = 4,
                                .withdrawn = 3,
                                .revoked = 2,
                                .deadline = 1,
                                .overdue = true},
                     .offered = 5,
                     .preferred = 6};
    const Granary__RecallInfo *m = info_recall(&t.b, &v);
    assert_string_equal(m->reason, "operator");
    assert_int_equal(m->asked, 9);
    assert_int_equal(m->released, 4);
    assert_int_equal(m->withdrawn, 3);
    assert_int_equal(m->revoked, 2);
    assert_int_equal(m->offered, 5);
    assert_int_equal(m->preferred, 6);
    assert_true(m->overdue);
    assert_int_equal(m->deadline_ms, 0); /* past */
    assert_false(m->any_host);
    assert_int_equal(m->host, 3);
    v.record.deadline = MS_NEVER;
    v.record.host = HOST_NONE;
    m = info_recall(&t.b, &v);
    assert_int_equal(m->deadline_ms, 0);
    assert_true(m->any_host);
    assert_int_equal(m->host, 0);
    v.record.deadline = driver_now() + 100000;
    m = info_recall(&t.b, &v);
    assert_true(m->deadline_ms > 0 && m->deadline_ms <= 100000);
}

static void test_a_claims_state(void **state)
{
    (void)state;
    static const char *const names[] = {[CLAIM_OPENING] = "opening",
                                        [CLAIM_OPEN] = "open",
                                        [CLAIM_CLOSING] = "closing",
                                        [CLAIM_QUARANTINED] = "quarantined"};
    for (claim_state s = CLAIM_OPENING; s <= CLAIM_QUARANTINED; s++) {
        claim_view v = {.gen = {5}, .chunks = 2, .state = s, .used = 7, .peak = 8, .command = "xz -9"};
        const Granary__ClaimInfo *m = info_claim(&t.b, &v);
        assert_string_equal(m->state, names[s]);
        assert_string_equal(m->command, "xz -9");
        assert_int_equal(m->used, 7);
        assert_int_equal(m->peak, 8);
        assert_int_equal(m->n_pids, 0);
    }
}

/* Under the terms STAY a claim that only waits for its processes is open to people. */
static void test_a_claim_that_stays(void **state)
{
    (void)state;
    bench_client c;
    claim_view v;
    bench_join(&t, &c);
    uint64_t id = bench_allocate(&t, &c, "stays", GIB(1), 1, TERM_STAY)->allocation->id;
    const Granary__AgentClaim *o = bench_claim_opened(&t, &c, id, 1);
    Granary__Goodbye m = GRANARY__GOODBYE__INIT;
    bench_send(c.channel, TYPE(GOODBYE), ++c.number, &m.base);
    bench_closed(&t, c.channel);
    assert_int_equal(view_claim_by_gen(t.b.driver.core, (generation){o->claim}, &v), 0);
    assert_int_equal(v.state, CLAIM_CLOSING);
    assert_string_equal(info_claim(&t.b, &v)->state, "open");
    bench_leave(&c);
}

static void test_an_allocation_that_is_gone_has_its_id_alone(void **state)
{
    (void)state;
    const Granary__AllocationState *m = info_state(&t.b, (allocation_id){12345});
    assert_int_equal(m->id, 12345);
    assert_int_equal(m->version + m->state + m->want + m->n_extents, 0);
}

static void test_without_room_there_is_nothing(void **state)
{
    (void)state;
    host_view h = {.name = "n", .labels = ""};
    recall_view r = {0};
    claim_view k = {.command = ""};
    t.b.scratch.used = t.b.scratch.size;
    assert_null(info_host(&t.b, &h));
    assert_null(info_recall(&t.b, &r));
    assert_null(info_claim(&t.b, &k));
    assert_null(info_state(&t.b, (allocation_id){1}));
    assert_null(info_extents(&t.b, NULL, 0));
    assert_true(t.b.scratch.full);
    scratch_reset(&t.b.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_host),
        cmocka_unit_test(test_a_recall),
        cmocka_unit_test(test_a_claims_state),
        cmocka_unit_test(test_a_claim_that_stays),
        cmocka_unit_test(test_an_allocation_that_is_gone_has_its_id_alone),
        cmocka_unit_test(test_without_room_there_is_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
