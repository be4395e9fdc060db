/* test_plan.c - requests without effect: who would be asked for what, and when; and when a waiter may start. */
#include "world.h"

#define GIVING (TERM_GROWABLE | TERM_RECALLABLE)

static void offer(world *w, session_id s, allocation_id a, recall_id r, const offer_item *items, uint32_t n)
{
    core_event e = world_request(w, s, EVENT_OFFER);
    e.offer.id = a;
    e.offer.recall = r;
    e.offer.items = items;
    e.offer.n = n;
    world_step(w, &e);
}

static void plan(world *w, session_id s, allocation_terms t)
{
    core_event e = world_request(w, s, EVENT_ALLOCATE);
    e.allocate.terms = t;
    e.allocate.dry_run = true;
    world_step(w, &e);
}

/* The reply of the last step to this session, or NULL. */
static const effect_reply *reply_to(const world *w, session_id s)
{
    for (uint32_t i = 0; i < w->effects.count; i++)
        if (w->effects.items[i].kind == EFFECT_REPLY && w->effects.items[i].reply.session.v == s.v)
            return &w->effects.items[i].reply;
    return NULL;
}

static uint32_t records(const world *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->effects.count; i++)
        n += w->effects.items[i].kind == EFFECT_RECORD && w->effects.items[i].record.kind != RECORD_ANSWER;
    return n;
}

typedef struct {
    world w;
    host_id h;
    session_id s, t;
    allocation_id a;
    generation g[4];
} full; /* a host whose 4 GiB one recallable allocation holds, each chunk claimed */

static void full_open(full *f)
{
    world_open(&f->w);
    f->h = world_host(&f->w, "a", GIB(4));
    f->s = world_session(&f->w, 1000, false);
    f->t = world_session(&f->w, 1001, false);
    assert_int_equal(world_allocate(&f->w, f->s, world_terms(GIB(1), 4, 1, GIVING), &f->a), STATUS_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(world_claim(&f->w, f->s, f->a, f->h, 1, &f->g[i]), STATUS_OK);
}

/* The task of a claim has ended, and its group is closed. */
static void task_ends(full *f, int i)
{
    core_event e = world_request(&f->w, f->s, EVENT_CLOSE);
    e.close.gen = f->g[i];
    world_step(&f->w, &e);
    world_drained(&f->w, f->h, f->g[i]);
}

static void test_tells_who_would_be_asked_and_when(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0));
    assert_null(reply_to(&f.w, f.t)); /* who could give is asked first */
    const effect_push *p = world_push(&f.w, PUSH_ASK, 0);
    assert_non_null(p);
    assert_int_equal(p->allocation.v, f.a.v);
    assert_int_equal(p->count, 3);
    assert_int_equal(records(&f.w), 0);
    offer_item items[] = {{f.h, 7000}, {f.h, 500}, {f.h, 1900}};
    offer(&f.w, f.s, f.a, (recall_id){0}, items, 3);
    const effect_reply *r = reply_to(&f.w, f.t);
    assert_non_null(r);
    assert_int_equal(r->status, STATUS_WAITING);
    assert_int_equal(r->expected_ms, 1900);
    assert_int_equal(r->n_asks, 1);
    assert_int_equal(r->asks[0].allocation.v, f.a.v);
    assert_int_equal(r->asks[0].host.v, f.h.v);
    assert_int_equal(r->asks[0].chunks, 2);
    assert_int_equal(r->asks[0].expected_ms, 1900);
    assert_null(world_push(&f.w, PUSH_RECALL, 0));
    assert_int_equal(records(&f.w), 0);
    totals_view v;
    view_totals(f.w.core, &v);
    assert_int_equal(v.waiting, 0);
    assert_int_equal(v.recalls, 0);
    world_replay(&f.w);
    world_close(&f.w);
}

static void test_is_answered_in_time_without_offers(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0));
    assert_int_equal(core_next_deadline(f.w.core), f.w.now + f.w.timers.ask_ms);
    world_tick(&f.w, f.w.timers.ask_ms);
    const effect_reply *r = reply_to(&f.w, f.t);
    assert_non_null(r);
    assert_int_equal(r->status, STATUS_WAITING);
    assert_int_equal(r->expected_ms, MS_NEVER);
    assert_int_equal(r->n_asks, 1);
    assert_int_equal(r->asks[0].chunks, 2);
    assert_int_equal(r->asks[0].expected_ms, MS_NEVER);
    world_tick(&f.w, 1000);
    assert_null(reply_to(&f.w, f.t)); /* once */
    world_close(&f.w);
}

static void test_asks_nobody_when_that_does_not_help(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    plan(&f.w, f.t, world_terms(GIB(4), 1, 1, 0)); /* one chunk is firm */
    const effect_reply *r = reply_to(&f.w, f.t);
    assert_non_null(r);
    assert_int_equal(r->status, STATUS_WAITING);
    assert_int_equal(r->n_asks, 0);
    assert_int_equal(r->expected_ms, MS_NEVER);
    assert_null(world_push(&f.w, PUSH_ASK, 0));
    core_event quota = {.kind = EVENT_CONFIG_USER, .config_user = {.user = {1001}, .weight = 1, .quota = GIB(2)}};
    world_step(&f.w, &quota);
    allocation_id b;
    task_ends(&f, 0);
    assert_int_equal(world_release(&f.w, f.s, f.a, (recall_id){0}, f.h, 1), STATUS_OK);
    assert_int_equal(world_allocate(&f.w, f.t, world_terms(GIB(1), 1, 1, 0), &b), STATUS_OK);
    plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0)); /* memory is not what it lacks */
    assert_non_null(reply_to(&f.w, f.t));
    assert_int_equal(reply_to(&f.w, f.t)->reason, WAIT_QUOTA);
    assert_int_equal(reply_to(&f.w, f.t)->n_asks, 0);
    assert_null(world_push(&f.w, PUSH_ASK, 0));
    world_close(&f.w);
}

static void test_what_returns_is_enough(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    assert_int_equal(world_release(&f.w, f.s, f.a, (recall_id){0}, f.h, 2), STATUS_OK); /* their tasks still run */
    plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0));
    assert_non_null(reply_to(&f.w, f.t));
    assert_int_equal(reply_to(&f.w, f.t)->status, STATUS_WAITING);
    assert_int_equal(reply_to(&f.w, f.t)->n_asks, 0);
    assert_int_equal(reply_to(&f.w, f.t)->reason, WAIT_RETURNING);
    assert_null(world_push(&f.w, PUSH_ASK, 0));
    world_close(&f.w);
}

/* Two plans and one answer: each step lends its lists to one reply. A plan that is repeated meanwhile is told once. */
static void test_many_at_once(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    session_id u = world_session(&f.w, 1002, false);
    plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0));
    core_event e = world_request(&f.w, u, EVENT_ALLOCATE);
    e.allocate.terms = world_terms(GIB(1), 3, 3, 0);
    e.allocate.dry_run = true;
    world_step(&f.w, &e);
    assert_null(world_push(&f.w, PUSH_ASK, 0)); /* it is asked already */
    world_step(&f.w, &e);
    assert_null(reply_to(&f.w, u));
    offer_item items[] = {{f.h, 10}, {f.h, 20}, {f.h, 30}};
    offer(&f.w, f.s, f.a, (recall_id){0}, items, 3);
    int told = 0, steps = 0;
    for (;; steps++) {
        const effect_reply *r = reply_to(&f.w, f.t), *q = reply_to(&f.w, u);
        assert_true(!r || !q);
        if (r)
            assert_int_equal(r->asks[0].chunks, 2);
        if (q)
            assert_int_equal(q->asks[0].chunks, 3);
        told += (r != NULL) + (q != NULL);
        if (core_next_deadline(f.w.core) != 0)
            break;
        world_tick(&f.w, 0);
    }
    assert_int_equal(told, 2);
    assert_int_equal(steps, 1);
    world_close(&f.w);
}

/* More than wait at once: told from what is known, and the others in their time. */
static void test_too_many_at_once(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    for (int i = 0; i < 16; i++) {
        plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0));
        assert_null(reply_to(&f.w, f.t));
    }
    plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0));
    assert_non_null(reply_to(&f.w, f.t));
    assert_int_equal(reply_to(&f.w, f.t)->asks[0].chunks, 2);
    assert_int_equal(reply_to(&f.w, f.t)->expected_ms, MS_NEVER);
    int told = 0;
    for (world_tick(&f.w, f.w.timers.ask_ms); reply_to(&f.w, f.t); world_tick(&f.w, 0))
        told++;
    assert_int_equal(told, 16);
    world_close(&f.w);
}

/* Who is asked ends, who asks ends: nothing is left that waits. */
static void test_both_sides_may_end(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    plan(&f.w, f.t, world_terms(GIB(2), 1, 1, 0));
    core_event e = {.kind = EVENT_SESSION_END, .session = {.session = f.t}};
    world_step(&f.w, &e);
    world_tick(&f.w, f.w.timers.ask_ms);
    assert_null(reply_to(&f.w, f.t));
    session_id u = world_session(&f.w, 1002, false);
    plan(&f.w, u, world_terms(GIB(2), 1, 1, 0));
    assert_non_null(world_push(&f.w, PUSH_ASK, 0)); /* asked anew */
    e.session.session = f.s;
    world_step(&f.w, &e);
    assert_non_null(reply_to(&f.w, u)); /* at once: nobody is left who could offer */
    assert_int_equal(reply_to(&f.w, u)->status, STATUS_WAITING);
    assert_int_equal(reply_to(&f.w, u)->n_asks, 0);
    world_close(&f.w);
}

static ms_t expected(const full *f, allocation_id b)
{
    waiter_view v;
    assert_int_equal(view_waiter_by_id(f->w.core, f->w.now, b, &v), 0);
    return v.expected_ms;
}

static wait_reason reason(const full *f, allocation_id b)
{
    waiter_view v;
    assert_int_equal(view_waiter_by_id(f->w.core, f->w.now, b, &v), 0);
    return v.reason;
}

static void test_a_waiter_knows_when_it_starts(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    allocation_id b;
    assert_int_equal(world_allocate(&f.w, f.t, world_terms(GIB(2), 1, 1, 0), &b), STATUS_WAITING);
    assert_int_equal(expected(&f, b), MS_NEVER); /* it asks */
    offer_item items[] = {{f.h, 7000}, {f.h, 500}, {f.h, 1900}};
    offer(&f.w, f.s, f.a, (recall_id){0}, items, 3);
    recall_id q = world_push(&f.w, PUSH_RECALL, 0)->recall;
    assert_int_equal(expected(&f, b), 1900);
    world_tick(&f.w, 500);
    assert_int_equal(expected(&f, b), 1400);
    task_ends(&f, 1);
    assert_int_equal(world_release(&f.w, f.s, f.a, q, f.h, 1), STATUS_OK);
    assert_int_equal(expected(&f, b), 1400); /* the soonest went; the other stays */
    world_tick(&f.w, 1401);
    assert_int_equal(expected(&f, b), MS_NEVER); /* it is late: nobody knows */
    assert_int_equal(reason(&f, b), WAIT_RECALL);
    assert_int_equal(world_release(&f.w, f.s, f.a, q, f.h, 1), STATUS_OK); /* its task still runs */
    assert_int_equal(reason(&f, b), WAIT_RETURNING);
    assert_int_equal(expected(&f, b), MS_NEVER);
    task_ends(&f, 0);
    assert_int_equal(world_allocation(&f.w, b).state, ALLOCATION_LIVE);
    world_replay(&f.w);
    world_close(&f.w);
}

static void test_an_unknown_end_is_not_guessed(void **state)
{
    (void)state;
    full f;
    full_open(&f);
    allocation_id b;
    world_allocate(&f.w, f.t, world_terms(GIB(2), 1, 1, 0), &b);
    offer_item items[] = {{f.h, 500}, {f.h, MS_NEVER}, {f.h, MS_NEVER}};
    offer(&f.w, f.s, f.a, (recall_id){0}, items, 3);
    assert_non_null(world_push(&f.w, PUSH_RECALL, 0));
    assert_int_equal(expected(&f, b), MS_NEVER);
    world_close(&f.w);
}

static const effect_reply *plan_on(world *w, session_id s, chunks_t n, const char *filter)
{
    allocation_terms t = world_terms(GIB(1), n, n, TERM_ONE_HOST);
    strcpy(t.filter, filter);
    plan(w, s, t);
    return reply_to(w, s);
}

/* What is free elsewhere is nothing to a request that names its hosts. */
static void test_of_certain_hosts(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    host_id a = world_host(&w, "a", GIB(8)), b = world_host(&w, "b", GIB(8)), d = world_host(&w, "d", GIB(8));
    session_id s = world_session(&w, 1000, true);
    allocation_id on_a, on_b;
    allocation_terms t = world_terms(GIB(1), 6, 6, 0);
    strcpy(t.filter, "a");
    world_allocate(&w, s, t, &on_a);
    t.want = t.min = 4;
    strcpy(t.filter, "b");
    world_allocate(&w, s, t, &on_b);
    core_event drain = world_request(&w, s, EVENT_DRAIN);
    drain.drain.host = d;
    world_step(&w, &drain);
    assert_int_equal(world_view(&w, a).free, GIB(2));

    const effect_reply *r = plan_on(&w, s, 2, "a");
    assert_int_equal(r->status, STATUS_OK);
    assert_int_equal(r->n_extents, 1);
    assert_int_equal(r->extents[0].host.v, a.v);
    r = plan_on(&w, s, 3, "a");
    assert_int_equal(r->status, STATUS_WAITING);
    assert_int_equal(r->most, GIB(2));
    assert_int_equal(r->reason, 0);
    r = plan_on(&w, s, 5, "");
    assert_int_equal(r->status, STATUS_WAITING);
    assert_int_equal(r->most, GIB(4));
    r = plan_on(&w, s, 3, "!a");
    assert_int_equal(r->status, STATUS_OK);
    assert_int_equal(r->extents[0].host.v, b.v);
    r = plan_on(&w, s, 1, "d"); /* being emptied */
    assert_int_equal(r->status, STATUS_WAITING);
    assert_int_equal(r->most, 0);
    assert_int_equal(r->reason, WAIT_NO_HOST);
    core_event gone = {.kind = EVENT_HOST_GONE, .gone = a};
    world_step(&w, &gone);
    assert_int_equal(plan_on(&w, s, 1, "a")->reason, WAIT_NO_HOST);
    world_hello(&w, "a", "boot-1", GIB(8)); /* not measured yet */
    assert_int_equal(plan_on(&w, s, 1, "a")->reason, WAIT_FRESH);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells_who_would_be_asked_and_when),
        cmocka_unit_test(test_is_answered_in_time_without_offers),
        cmocka_unit_test(test_asks_nobody_when_that_does_not_help),
        cmocka_unit_test(test_what_returns_is_enough),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_too_many_at_once),
        cmocka_unit_test(test_both_sides_may_end),
        cmocka_unit_test(test_a_waiter_knows_when_it_starts),
        cmocka_unit_test(test_an_unknown_end_is_not_guessed),
        cmocka_unit_test(test_of_certain_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
