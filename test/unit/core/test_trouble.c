/* test_trouble.c - draining and overdrawn hosts ask back what may be asked back, and withdraw it when it is over. */
#include "world.h"

static void drain(world *w, session_id s, host_id h, bool on)
{
    core_event e = world_request(w, s, on ? EVENT_DRAIN : EVENT_UNDRAIN);
    e.drain.host = h;
    world_step(w, &e);
    assert_int_equal(world_reply(w)->status, 0);
}

static void test_drain(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, true);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 3, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &a);
    drain(&w, s, h, true);
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, (recall_id){1}, &v), 0);
    assert_int_equal(v.record.reason, RECALL_FOR_DRAIN);
    assert_int_equal(v.record.asked, 2); /* never below min */
    assert_int_equal(v.record.host.v, h.v);
    assert_int_equal(world_allocate(&w, s, world_terms(1, 1, 1, TERM_NO_WAIT), NULL), STATUS_NOT_NOW);
    assert_int_equal(world_release(&w, s, a, v.record.id, h, 2), 0);
    assert_null(world_note(&w, NOTE_HOST_DRAINED));
    assert_int_equal(world_release(&w, s, a, (recall_id){0}, h, 1), 0);
    world_settle(&w);
    assert_int_equal(world_view(&w, h).granted, 0);
    drain(&w, s, h, false);
    assert_int_equal(world_allocate(&w, s, world_terms(1, 1, 1, TERM_NO_WAIT), NULL), 0);
    world_close(&w);
}

static void test_undrain_withdraws(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, true);
    allocation_id a;
    world_allocate(&w, s, world_terms(GIB(1), 3, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &a);
    drain(&w, s, h, true);
    drain(&w, s, h, false);
    assert_int_equal(world_push(&w, PUSH_WITHDRAW, 0)->count, 2);
    world_replay(&w);
    world_close(&w);
}

/* An overdraft asks for what is missing, from who has most to give; and not again for what is asked already. */
static void test_overdraft(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, b;
    world_allocate(&w, s, world_terms(GIB(1), 2, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &a);
    world_allocate(&w, s, world_terms(GIB(1), 5, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &b);
    world_sample(&w, h, MIB(3500), 0);
    world_sample(&w, h, MIB(3500), 0); /* 7 GiB are granted: 2.4 GiB are missing */
    const effect_push *p = world_push(&w, PUSH_RECALL, 0);
    assert_int_equal(p->allocation.v, b.v);
    assert_int_equal(p->reason, RECALL_FOR_OVERDRAFT);
    assert_int_equal(p->count, 3);
    assert_null(world_push(&w, PUSH_RECALL, 1));
    world_sample(&w, h, MIB(3600), 0);
    assert_null(world_push(&w, PUSH_RECALL, 0)); /* three GiB are on their way */
    for (int i = 0; i < 40; i++)
        world_sample(&w, h, 0, 0);
    totals_view t;
    view_totals(w.core, &t);
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, (recall_id){1}, &v), 0);
    assert_int_equal(v.record.withdrawn, 3);
    world_replay(&w);
    world_close(&w);
}

/* One who is late is not waited for, nor asked for more: others are asked for what it owes. */
static void test_overdraft_asks_others(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(8));
    session_id s = world_session(&w, 1000, false);
    allocation_id a, b;
    allocation_terms t = world_terms(GIB(1), 2, 1, TERM_SHRINKABLE | TERM_RECALLABLE);
    world_allocate(&w, s, t, &a);
    t = world_terms(GIB(1), 5, 1, TERM_SHRINKABLE | TERM_RECALLABLE);
    t.notice_ms = 1000;
    world_allocate(&w, s, t, &b);
    world_sample(&w, h, MIB(3500), 0);
    world_sample(&w, h, MIB(3500), 0);
    const effect_push *p = world_push(&w, PUSH_RECALL, 0);
    assert_int_equal(p->allocation.v, b.v);
    assert_int_equal(p->count, 3);
    world_tick(&w, 1000);
    assert_non_null(world_note(&w, NOTE_OVERDUE));
    p = world_push(&w, PUSH_RECALL, 0);
    assert_non_null(p);
    assert_int_equal(p->allocation.v, a.v);
    assert_int_equal(p->reason, RECALL_FOR_OVERDRAFT);
    assert_int_equal(p->count, 1); /* all that it may be asked for */
    assert_null(world_push(&w, PUSH_RECALL, 1));
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_drain), cmocka_unit_test(test_undrain_withdraws),
                                       cmocka_unit_test(test_overdraft), cmocka_unit_test(test_overdraft_asks_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
