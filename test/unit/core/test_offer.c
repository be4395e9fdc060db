/* test_offer.c - offers: soft, whole, answered by what is preferred or by OFFER_NONE. */
#include "world.h"

static core_event offer(world *w, session_id s, allocation_id a, recall_id r, const offer_item *items, uint32_t n)
{
    core_event e = world_request(w, s, EVENT_OFFER);
    e.offer.id = a;
    e.offer.recall = r;
    e.offer.items = items;
    e.offer.n = n;
    return e;
}

/* An open recall on any host, of three chunks: of what is offered the soonest, then the host with fewest. */
static void test_preferences(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id a = world_host(&w, "a", GIB(4)), b = world_host(&w, "b", GIB(2)), c = world_host(&w, "c", GIB(3));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1000, false);
    allocation_id x;
    world_allocate(&w, s, world_terms(GIB(1), 9, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &x);
    core_event e = world_request(&w, t, EVENT_RELEASE_FOREIGN);
    e.release_foreign.id = x;
    e.release_foreign.count = 3;
    world_step(&w, &e);
    recall_id r = world_push(&w, PUSH_RECALL, 0)->recall;
    assert_int_equal(world_push(&w, PUSH_RECALL, 0)->host.v, HOST_NONE.v);
    const offer_item items[] = {{a, 500}, {b, 700}, {c, 700}, {a, 900}};
    e = offer(&w, s, x, r, items, 4);
    world_step(&w, &e);
    const effect_push *p = world_push(&w, PUSH_PREFER, 0);
    assert_int_equal(p->preferred.host.v, a.v); /* 500 */
    assert_int_equal(p->preferred.chunks, 2);
    assert_false(p->last);
    p = world_push(&w, PUSH_PREFER, 1);
    assert_int_equal(p->preferred.host.v, b.v); /* as soon as c, but with fewer chunks: c stays whole */
    assert_int_equal(p->preferred.chunks, 1);
    assert_true(p->last);
    recall_view v;
    assert_int_equal(view_recall_by_id(w.core, r, &v), 0);
    assert_int_equal(v.offered, 4);
    assert_int_equal(v.preferred, 3);
    world_close(&w);
}

static void test_refused(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id h = world_host(&w, "a", GIB(4));
    session_id s = world_session(&w, 1000, false), t = world_session(&w, 1000, false);
    allocation_id x;
    world_allocate(&w, s, world_terms(GIB(1), 4, 1, TERM_SHRINKABLE | TERM_RECALLABLE), &x);
    static offer_item many[OFFER_MAX + 1];
    core_event e = offer(&w, s, x, (recall_id){0}, many, OFFER_MAX + 1);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_INVALID);
    e = offer(&w, t, x, (recall_id){0}, many, 1);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_DENIED);
    e = offer(&w, s, x, (recall_id){5}, many, 1); /* over, or never was */
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, STATUS_OFFER_NONE);
    const offer_item odd[] = {{{99}, 5}, {h, MS_NEVER}, {h, MS_NEVER - 1}}; /* unknown host, unknown end, overflow */
    e = offer(&w, s, x, (recall_id){0}, odd, 3);
    world_step(&w, &e);
    assert_int_equal(world_reply(&w)->status, 0);
    assert_int_equal(world_view(&w, h).granted, GIB(4));
    world_replay(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_preferences), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
