/* What goes back, and what is offered. */
#include "pool_script.h"

static void idle_chunks_go_at_once(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 4);
    script_hold_here(&s, 4);
    script_warm(&s, 77);
    script_warm(&s, 78);
    script_recall(&s, 100, 5, 3, 1000);
    script_said(&s, "close 77;release 5 1:3;"); /* plain ones first */
    assert_int_equal(pool_state_wanted_back(&s.p), 0);
    assert_int_equal(pool_state_held(&s.p), 1);
    script_recall(&s, 101, 5, 3, 1000); /* repeated */
    script_said(&s, "");
    script_hold_here(&s, 1);
    pool_state_released(&s.p, 5, 1, 3, true);
    assert_int_equal(s.p.given_back, 3);
    script_recall(&s, 102, 5, 3, 1000); /* repeated after its end */
    script_said(&s, "");
    assert_int_equal(s.p.recalls_seen, 1);
    script_end(&s);
}

static void busy_chunks_go_when_their_tasks_end(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 1, 3);
    script_hold_here(&s, 3);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1), c = script_take(&s, 1), other;
    pool_state_claimed(&s.p, a.id, 77);
    pool_state_expect(&s.p, 0, a.id, 500);
    pool_state_expect(&s.p, 0, b.id, 300);
    script_recall(&s, 100, 5, 1, 1000);
    script_said(&s, "offer 5 1:200 1:400;"); /* the third is firm */
    assert_true(pool_state_wanted(&s.p, 100, a.id));
    assert_true(pool_state_wanted(&s.p, 100, c.id)); /* whichever ends first */
    assert_false(pool_state_release(&s.p, 110, a.id, s.out));
    pool_state_step(&s.p, 110, s.out);
    script_said(&s, "close 77;release 5 1:1;");
    assert_false(pool_state_wanted(&s.p, 110, b.id));
    assert_int_equal(pool_state_acquire(&s.p, 110, 1, &other, s.out), STATUS_WAITING);
    script_end(&s);
}

static void several_recalls_run_side_by_side(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 3);
    script_hold_here(&s, 3);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1), c = script_take(&s, 1);
    script_recall(&s, 100, 5, 1, 1000);
    script_recall(&s, 100, 6, 2, 1000);
    script_said(&s, "offer 5 1:? 1:? 1:?;offer 6 1:? 1:?;");
    assert_int_equal(pool_state_wanted_back(&s.p), 3);
    pool_state_withdraw(&s.p, 6);
    assert_int_equal(pool_state_wanted_back(&s.p), 1);
    script_recall(&s, 100, 7, 1, 1000);
    assert_false(pool_state_release(&s.p, 110, a.id, s.out));
    pool_state_step(&s.p, 110, s.out);
    assert_false(pool_state_release(&s.p, 110, b.id, s.out));
    pool_state_step(&s.p, 110, s.out);
    assert_true(pool_state_release(&s.p, 110, c.id, s.out));
    pool_state_step(&s.p, 110, s.out);
    script_said(&s, "offer 7 1:? 1:?;release 5 1:1;release 7 1:1;");
    script_end(&s);
}

static void preferred_hosts_give_first(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 4);
    script_hold(&s, (pool_extent[]){{1, 2, true}, {2, 2, true}}, 2);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1), c = script_take(&s, 1), d = script_take(&s, 1);
    assert_int_equal(a.host, 1);
    assert_int_equal(c.host, 2);
    script_recall(&s, 100, 5, 2, 1000);
    script_said(&s, "offer 5 1:? 1:? 2:? 2:?;");
    pool_state_prefer(&s.p, 5, 2, 1);
    pool_state_prefer(&s.p, 5, 9, 1);                /* nothing is held there: it does not count */
    assert_true(pool_state_wanted(&s.p, 100, a.id)); /* one from anywhere, one from host 2 */
    assert_false(pool_state_release(&s.p, 110, a.id, s.out));
    pool_state_step(&s.p, 110, s.out);
    script_said(&s, "release 5 1:1;");
    assert_false(pool_state_wanted(&s.p, 110, b.id)); /* the last one comes from host 2 */
    assert_true(pool_state_release(&s.p, 110, b.id, s.out));
    pool_state_step(&s.p, 110, s.out);
    script_said(&s, "");
    assert_int_equal(script_take(&s, 1).host, 1);
    assert_true(pool_state_wanted(&s.p, 110, d.id));
    assert_false(pool_state_release(&s.p, 120, d.id, s.out));
    pool_state_step(&s.p, 120, s.out);
    script_said(&s, "release 5 2:1;");
    script_end(&s);
}

static void an_overdue_recall_takes_any(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 2);
    script_hold(&s, (pool_extent[]){{1, 1, true}, {2, 1, true}}, 2);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1);
    script_recall(&s, 100, 5, 1, 1000);
    pool_state_prefer(&s.p, 5, b.host, 1);
    script_said(&s, "offer 5 1:? 2:?;");
    assert_false(pool_state_wanted(&s.p, 1099, a.id));
    pool_state_step(&s.p, 1100, s.out);
    assert_true(pool_state_wanted(&s.p, 1100, a.id));
    script_end(&s);
}

static void a_recall_for_one_host_takes_no_other(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 4);
    script_hold(&s, (pool_extent[]){{1, 2, true}, {2, 2, false}}, 2);
    pool_recall r = {.id = 5, .host = 2, .asked = 3, .overdue_at = 1000};
    pool_state_recall(&s.p, 0, &r, s.out);
    script_said(&s, "release 5 2:2;offer 5;");
    assert_int_equal(script_take(&s, 1).host, 1);
    script_end(&s);
}

static void what_cannot_be_said_is_said_later(void **state)
{
    (void)state;
    script s;
    pool_slot slot;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 2);
    script_warm(&s, 77);
    s.deaf = true;
    script_recall(&s, 0, 5, 2, 1000);
    assert_int_equal(pool_state_wanted_back(&s.p), 2);
    assert_int_equal(pool_state_acquire(&s.p, 0, 1, &slot, s.out), STATUS_WAITING);
    s.deaf = false;
    pool_state_step(&s.p, 0, s.out);
    script_said(&s, "close 77;release 5 1:2;");
    script_end(&s);
}

static void a_refused_release_ends_the_recall(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 2);
    script_recall(&s, 0, 5, 1, 1000);
    script_said(&s, "release 5 1:1;");
    pool_state_released(&s.p, 5, 1, 1, false);
    pool_state_step(&s.p, 0, s.out);
    script_said(&s, "");
    assert_int_equal(pool_state_held(&s.p), 2);
    assert_int_equal(s.p.given_back, 0);
    script_end(&s);
}

static void estimates_come_from_ended_tasks(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 1);
    pool_slot a = script_take(&s, 1);
    ms_t now = 0;
    for (ms_t d = 100; d <= 500; d += 100) { /* tasks of 100, 200, 300, 400, 500 */
        now += d;
        pool_state_next(&s.p, now, a.id);
    }
    pool_state_ask(&s.p, now, true, 0, s.out);
    script_said(&s, "offer 0 1:300;"); /* a new one: the median */
    pool_state_ask(&s.p, now + 250, true, 0, s.out);
    script_said(&s, "offer 0 1:150;"); /* of 300, 400, 500 */
    pool_state_ask(&s.p, now + 450, true, 0, s.out);
    script_said(&s, "offer 0 1:50;");
    pool_state_ask(&s.p, now + 500, true, 0, s.out);
    script_said(&s, "offer 0 1:?;"); /* older than any */
    pool_state_expect(&s.p, now + 500, a.id, 20);
    pool_state_ask(&s.p, now + 501, true, 0, s.out);
    script_said(&s, "offer 0 1:19;");
    pool_state_ask(&s.p, now + 501, false, 4, s.out);
    script_said(&s, "offer 0;"); /* nothing there */
    script_end(&s);
}

static void an_offer_is_made_anew_when_a_task_outlives_its_estimate(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 2);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1);
    pool_state_next(&s.p, 1000, a.id); /* a task of 1000, and one of 6000 */
    pool_state_next(&s.p, 6000, b.id);
    assert_true(pool_state_deadline(&s.p) == MS_NEVER);
    pool_state_next(&s.p, 6500, a.id); /* 5500 */
    script_recall(&s, 7000, 5, 2, 60000);
    script_said(&s, "offer 5 1:4500 1:5000;"); /* of 1000, 5500, 6000 the middle one, at the ages of 1000 and 500 */
    assert_int_equal(pool_state_deadline(&s.p), 11501);
    pool_state_step(&s.p, 11500, s.out);
    script_said(&s, "");
    pool_state_step(&s.p, 11501, s.out);
    script_said(&s, "offer 0 1:499 1:499;"); /* b is older than 5500 */
    pool_state_step(&s.p, 12001, s.out);
    script_said(&s, "offer 0 1:499 1:?;"); /* and older than any; now a is older than 5500 */
    assert_int_equal(pool_state_deadline(&s.p), 12501);
    pool_state_step(&s.p, 12501, s.out);
    script_said(&s, "offer 0 1:? 1:?;");
    assert_true(pool_state_deadline(&s.p) == MS_NEVER); /* nothing to tell until a task ends */
    script_end(&s);
}

static void an_offer_is_made_anew_when_an_ended_task_tells_more(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 2);
    pool_slot a = script_take(&s, 1);
    script_take(&s, 1);
    script_recall(&s, 1000, 5, 2, 60000);
    script_said(&s, "offer 5 1:? 1:?;");
    assert_true(pool_state_deadline(&s.p) == MS_NEVER);
    assert_false(pool_state_release(&s.p, 5000, a.id, s.out));
    pool_state_step(&s.p, 5000, s.out);
    script_said(&s, "release 5 1:1;");
    assert_int_equal(pool_state_deadline(&s.p), 5000 + POOL_OFFER_MS);
    pool_state_step(&s.p, 5000 + POOL_OFFER_MS, s.out);
    script_said(&s, "offer 0 1:?;"); /* the other one is older than 5000 */
    pool_state_withdraw(&s.p, 5);
    assert_true(pool_state_deadline(&s.p) == MS_NEVER);
    script_end(&s);
}

static void after_a_reattach_the_brokers_word_holds(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 3);
    script_hold_here(&s, 3);
    script_warm(&s, 77);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1), c = script_take(&s, 1);
    pool_state_claimed(&s.p, b.id, 78);
    script_recall(&s, 0, 5, 2, 1000);
    script_recall(&s, 0, 6, 1, 1000);
    assert_false(pool_state_release(&s.p, 0, c.id, s.out));
    pool_state_step(&s.p, 0, s.out);
    s.said[0] = '\0';
    /* The broker has not heard our release for 5: it still asks for 2; 6 is over; claim 78 ended. */
    pool_recall open[] = {{.id = 5, .any_host = true, .asked = 2, .overdue_at = 2000}};
    pool_state_reattach(&s.p, open, 1, (uint64_t[]){77}, 1);
    pool_state_step(&s.p, 0, s.out);
    script_said(&s, "");
    assert_int_equal(pool_state_wanted_back(&s.p), 1);
    assert_int_equal(pool_state_slot(&s.p, b.id)->claim, 0);
    assert_int_equal(pool_state_slot(&s.p, a.id)->claim, 77);
    script_end(&s);
}

/* Two were asked for. The release of the first was carried out, its answer lost with the connection: one is open still,
 * and must be given. */
static void a_counted_release_whose_answer_was_lost(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 3);
    script_hold_here(&s, 3);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1), c = script_take(&s, 1);
    script_recall(&s, 0, 5, 2, 1000);
    assert_false(pool_state_release(&s.p, 0, c.id, s.out));
    pool_state_step(&s.p, 0, s.out);
    s.said[0] = '\0';
    pool_recall open[] = {{.id = 5, .any_host = true, .asked = 2, .overdue_at = 2000}};
    pool_state_reattach(&s.p, open, 1, NULL, 0);
    assert_true(pool_state_check(&s.p));
    assert_int_equal(pool_state_wanted_back(&s.p), 1);
    pool_state_released(&s.p, 5, 1, 1, true);
    pool_state_hold(&s.p, &(pool_extent){.host = 1, .chunks = 2, .usable = true}, 1, 3, true);
    assert_int_equal(pool_state_wanted_back(&s.p), 1);
    assert_true(pool_state_wanted(&s.p, 0, a.id));
    assert_true(pool_state_wanted(&s.p, 0, b.id));
    script_end(&s);
}

/* The recall is over by the time of the welcome, and a release for it is on its way again. */
static void a_recall_that_is_over_after_a_reattach(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 2);
    pool_slot a = script_take(&s, 1);
    script_take(&s, 1);
    script_recall(&s, 0, 5, 2, 1000);
    assert_false(pool_state_release(&s.p, 0, a.id, s.out));
    pool_state_step(&s.p, 0, s.out);
    s.said[0] = '\0';
    pool_recall over[] = {{.id = 5, .any_host = true, .asked = 0, .overdue_at = 2000}};
    pool_state_reattach(&s.p, over, 1, NULL, 0);
    assert_true(pool_state_check(&s.p));
    assert_int_equal(pool_state_wanted_back(&s.p), 0);
    pool_state_released(&s.p, 5, 1, 1, true);
    assert_int_equal(s.p.n_recalls, 0);
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_chunks_go_at_once),
        cmocka_unit_test(busy_chunks_go_when_their_tasks_end),
        cmocka_unit_test(several_recalls_run_side_by_side),
        cmocka_unit_test(preferred_hosts_give_first),
        cmocka_unit_test(an_overdue_recall_takes_any),
        cmocka_unit_test(a_recall_for_one_host_takes_no_other),
        cmocka_unit_test(what_cannot_be_said_is_said_later),
        cmocka_unit_test(a_refused_release_ends_the_recall),
        cmocka_unit_test(an_offer_is_made_anew_when_a_task_outlives_its_estimate),
        cmocka_unit_test(an_offer_is_made_anew_when_an_ended_task_tells_more),
        cmocka_unit_test(estimates_come_from_ended_tasks),
        cmocka_unit_test(after_a_reattach_the_brokers_word_holds),
        cmocka_unit_test(a_counted_release_whose_answer_was_lost),
        cmocka_unit_test(a_recall_that_is_over_after_a_reattach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
