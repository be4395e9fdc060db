/* test_allocation.c - requests that are wrong, that can never be met, states, want, transfer, orphans. */
#include "world.h"

static void test_wrong_terms(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), op = world_session(&w, 0, true);
    allocation_terms good = world_terms(GIB(1), 2, 1, TERM_SHRINKABLE), t;
    struct {
        bytes_t size;
        chunks_t want, min;
        uint32_t flags;
        ms_t notice;
    } bad[] = {
        {0, 2, 1, 0, 1000},          {GIB(1), 0, 0, TERM_GROWABLE, 1000}, {GIB(1), 2, 3, 0, 1000},
        {GIB(1), 2, 0, 0, 1000},     {GIB(1), 2, 1, 1u << 31, 1000},      {GIB(1), 2, 1, 0, 0},
        {GIB(1), 2, 1, 0, MS_NEVER}, {UINT64_MAX, 2, 1, 0, 1000},         {INT64_MAX, 2, 1, 0, 1000},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        t = good;
        t.chunk_size = bad[i].size;
        t.want = bad[i].want;
        t.min = bad[i].min;
        t.flags = bad[i].flags;
        t.notice_ms = bad[i].notice;
        assert_int_equal(world_allocate(&w, s, t, NULL), STATUS_INVALID);
    }
    t = good;
    strcpy(t.filter, "a,,b");
    assert_int_equal(world_allocate(&w, s, t, NULL), STATUS_INVALID);
    memset(t.filter, 0, sizeof(t.filter));
    memset(t.label, 'x', sizeof(t.label)); /* without its end */
    assert_int_equal(world_allocate(&w, s, t, NULL), STATUS_INVALID);
    t = good;
    t.priority = 1;
    assert_int_equal(world_allocate(&w, s, t, NULL), STATUS_DENIED);
    assert_int_equal(world_allocate(&w, op, t, NULL), 0);
    assert_int_equal(world_view(&w, h).granted, GIB(2));
    world_close(&w);
}

static void test_never(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(4));
    world_host(&w, "b", GIB(2));
    session_id s = world_session(&w, 1000, false);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(5), 1, 1, 0), NULL), STATUS_NEVER);
    assert_int_equal(world_reply(&w)->most, GIB(4)); /* the largest piece */
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 7, 7, 0), NULL), STATUS_NEVER);
    assert_int_equal(world_reply(&w)->most, GIB(6));
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 5, 5, TERM_ONE_HOST), NULL), STATUS_NEVER);
    assert_int_equal(world_reply(&w)->most, GIB(4));
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 7, 5, TERM_ONE_HOST | TERM_SHRINKABLE), NULL),
                     STATUS_NEVER);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(5), 1, 0, TERM_GROWABLE), NULL), STATUS_NEVER);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 7, 6, TERM_SHRINKABLE), NULL), 0);
    world_close(&w);
}

static void test_waiting_ends(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), other = world_session(&w, 1000, false);
    allocation_id a, late, cancelled, live;
    world_allocate(&w, s, world_terms(GIB(4), 1, 1, 0), &a);
    allocation_terms t = world_terms(GIB(1), 1, 1, 0);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    t.wait_ms = 100;
    assert_int_equal(world_allocate(&w, s, t, &late), STATUS_WAITING);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &cancelled), STATUS_WAITING);
    assert_int_equal(world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &live), STATUS_WAITING);
    assert_int_equal(core_next_deadline(w.core), w.now + 100);
    world_tick(&w, 100);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->allocation.v, late.v);
    assert_int_equal(world_push(&w, PUSH_ENDED, 0)->status, STATUS_TIMEOUT);
    core_event e = world_request(&w, other, EVENT_CANCEL);
    e.cancel.id = cancelled;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    e = world_request(&w, s, EVENT_CANCEL);
    e.cancel.id = cancelled;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    e = world_request(&w, s, EVENT_CANCEL);
    e.cancel.id = a;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STATE); /* not waiting */
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 1), 0);
    assert_int_equal(world_allocation(&w, live).state, ALLOCATION_LIVE);
    world_replay(&w);
    world_close(&w);
}

static void test_want(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, firm;
    world_allocate(&w, s, world_terms(GIB(1), 2, 1, TERM_GROWABLE), &a);
    world_allocate(&w, s, world_terms(GIB(1), 1, 1, 0), &firm);
    core_event e = world_request(&w, s, EVENT_WANT);
    e.want.id = a;
    e.want.want = 5;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    assert_int_equal(world_allocation(&w, a).chunks, 5);
    e = world_request(&w, s, EVENT_WANT);
    e.want.id = a;
    e.want.want = UINT32_MAX; /* times a GiB still fits */
    world_step(&w, &e);
    assert_int_equal(world_allocation(&w, a).chunks, 7);
    e = world_request(&w, s, EVENT_WANT);
    e.want.id = firm;
    e.want.want = 2;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_STATE);
    world_replay(&w);
    world_close(&w);
}

/* Who is given an allocation that is asked for chunks hears of it, as one that reattaches does; and again when it asks.
 */
static void test_transfer_tells_recalls(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, true), to = world_session(&w, 1000, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 3, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &a);
    core_event e = world_request(&w, s, EVENT_DRAIN);
    e.drain.host = h;
    world_step(&w, &e);
    recall_id r = world_push(&w, PUSH_RECALL, 0)->recall;
    assert_int_equal(world_release(&w, s, a, r, h, 1), 0);
    session_id givers[] = {s, to}; /* then to itself */
    for (int i = 0; i < 2; i++) {
        e = world_request(&w, givers[i], EVENT_TRANSFER);
        e.transfer.id = a;
        e.transfer.to = to;
        world_step(&w, &e);
        const effect_push *p = world_push(&w, PUSH_RECALL, 0);
        assert_non_null(p);
        assert_int_equal(p->session.v, to.v);
        assert_int_equal(p->recall.v, r.v);
        assert_int_equal(p->reason, RECALL_FOR_DRAIN);
        assert_int_equal(p->count, 1); /* of two, what is left */
        assert_int_equal(p->host.v, h.v);
        assert_null(world_push(&w, PUSH_RECALL, 1));
    }
    assert_int_equal(world_release(&w, to, a, r, h, 1), 0);
    e = world_request(&w, to, EVENT_TRANSFER);
    e.transfer.id = a;
    e.transfer.to = s;
    world_step(&w, &e);
    assert_null(world_push(&w, PUSH_RECALL, 0)); /* it is done */
    world_replay(&w);
    world_close(&w);
}

/* The new owner's connection is the lease; nobody of another user gets it. */
static void test_transfer(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), to = world_session(&w, 1000, false);
    session_id stranger = world_session(&w, 1001, false);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 2, 2, 0), &a);
    core_event e = world_request(&w, s, EVENT_TRANSFER);
    e.transfer.id = a;
    e.transfer.to = stranger;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    e = world_request(&w, s, EVENT_TRANSFER);
    e.transfer.id = a;
    e.transfer.to = to;
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    assert_int_equal(world_allocation(&w, a).owner.v, to.v);
    e = (core_event){.kind = EVENT_SESSION_END, .session = {.session = s}};
    world_step(&w, &e);
    assert_int_equal(world_view(&w, h).granted, GIB(2)); /* the old owner's end changes nothing */
    world_restart(&w, true);
    assert_int_equal(world_allocation(&w, a).owner.v, to.v);
    e.session.session = to;
    world_step(&w, &e);
    world_settle(&w);
    assert_int_equal(world_view(&w, h).granted, 0);
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_terms),  cmocka_unit_test(test_never),
        cmocka_unit_test(test_waiting_ends), cmocka_unit_test(test_want),
        cmocka_unit_test(test_transfer),     cmocka_unit_test(test_transfer_tells_recalls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
