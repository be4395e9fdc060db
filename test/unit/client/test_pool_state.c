/* The pool's decisions about slots, with no broker at all: messages are lines of text. */
#include "pool_script.h"

static void slots_come_from_what_is_held_here(void **state)
{
    (void)state;
    script s;
    pool_slot slot;
    script_begin(&s, 0, 4);
    script_hold(&s, (pool_extent[]){{.host = 1, .chunks = 2, .usable = true}, {.host = 2, .chunks = 2}}, 2);
    assert_int_equal(pool_state_held(&s.p), 4);
    assert_int_equal(script_take(&s, 1).host, 1);
    assert_int_equal(script_take(&s, 1).host, 1);
    assert_int_equal(pool_state_acquire(&s.p, 0, 1, &slot, s.out), STATUS_WAITING);
    assert_int_equal(pool_state_acquire(&s.p, 0, 5, &slot, s.out), STATUS_NEVER);
    assert_int_equal(pool_state_acquire(&s.p, 0, 0, &slot, s.out), STATUS_NEVER);
    script_said(&s, "");
    script_end(&s);
}

static void a_full_table_asks_for_a_larger_one(void **state)
{
    (void)state;
    script s;
    pool_slot slot, larger[8];
    script_begin(&s, 0, 4);
    s.p.slots_capacity = 1;
    script_hold_here(&s, 4);
    slot = script_take(&s, 1);
    assert_int_equal(pool_state_acquire(&s.p, 0, 1, &slot, s.out), STATUS_LIMIT);
    pool_state_lend_slots(&s.p, larger, 8);
    assert_int_equal(pool_state_acquire(&s.p, 0, 1, &slot, s.out), 0);
    assert_int_equal(slot.id, 2);
    script_end(&s);
}

static void a_warm_slot_is_used_again_under_a_new_number(void **state)
{
    (void)state;
    script s;
    pool_slot other;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 1);
    pool_slot a = script_take(&s, 1);
    pool_state_claimed(&s.p, a.id, 77);
    assert_true(pool_state_release(&s.p, 5, a.id, s.out));
    assert_int_equal(pool_state_acquire(&s.p, 5, 1, &other, s.out), STATUS_WAITING); /* emptying */
    pool_state_emptied(&s.p, 77, true, s.out);
    pool_slot b = script_take(&s, 1);
    assert_int_equal(b.claim, 77);
    assert_int_not_equal(b.id, a.id);
    assert_null(pool_state_slot(&s.p, a.id));
    script_said(&s, "");
    script_end(&s);
}

static void a_claim_that_could_not_be_emptied_is_closed(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 1);
    script_hold_here(&s, 1);
    pool_slot a = script_take(&s, 1);
    pool_state_claimed(&s.p, a.id, 77);
    assert_true(pool_state_release(&s.p, 5, a.id, s.out));
    pool_state_emptied(&s.p, 77, false, s.out);
    script_said(&s, "close 77;");
    pool_slot b;
    assert_int_equal(pool_state_acquire(&s.p, 5, 1, &b, s.out), STATUS_WAITING);
    pool_state_claim_ended(&s.p, 77, 0, 0);
    assert_int_equal(script_take(&s, 1).claim, 0);
    script_end(&s);
}

static void a_claim_that_ends_under_a_task_leaves_cause_and_peak(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 1);
    script_hold_here(&s, 1);
    pool_slot a = script_take(&s, 1);
    pool_state_claimed(&s.p, a.id, 77);
    pool_state_claim_ended(&s.p, 77, 2, 123);
    const pool_slot *now = pool_state_slot(&s.p, a.id);
    assert_int_equal(now->claim, 0);
    assert_int_equal(now->cause, 2);
    assert_int_equal(now->peak, 123);
    assert_int_equal(now->state, POOL_SLOT_BUSY);
    assert_true(pool_state_release(&s.p, 5, a.id, s.out));
    assert_int_equal(s.p.n_slots, 0);
    script_end(&s);
}

static void warm_slots_make_room_for_a_larger_one(void **state)
{
    (void)state;
    script s;
    pool_slot big;
    script_begin(&s, 0, 3);
    script_hold_here(&s, 3);
    script_warm(&s, 77);
    script_warm(&s, 78);
    assert_int_equal(pool_state_acquire(&s.p, 0, 3, &big, s.out), STATUS_WAITING);
    script_said(&s, "close 77;close 78;");
    pool_state_claim_ended(&s.p, 77, 0, 0);
    assert_int_equal(pool_state_acquire(&s.p, 0, 3, &big, s.out), STATUS_WAITING);
    pool_state_claim_ended(&s.p, 78, 0, 0);
    assert_int_equal(script_take(&s, 3).chunks, 3);
    script_said(&s, "");
    script_end(&s);
}

static void what_was_taken_by_force_is_not_given_again(void **state)
{
    (void)state;
    script s;
    pool_slot other;
    script_begin(&s, 0, 2);
    script_hold_here(&s, 2);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1);
    script_hold_here(&s, 1); /* one was revoked */
    assert_true(pool_state_release(&s.p, 5, a.id, s.out));
    assert_int_equal(pool_state_acquire(&s.p, 5, 1, &other, s.out), STATUS_WAITING);
    assert_true(pool_state_release(&s.p, 5, b.id, s.out));
    assert_int_equal(script_take(&s, 1).chunks, 1);
    script_end(&s);
}

static void less_is_wanted(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 1, 4);
    script_hold_here(&s, 4);
    pool_slot a = script_take(&s, 1), b = script_take(&s, 1);
    pool_state_set_want(&s.p, 1);
    pool_state_step(&s.p, 0, s.out);
    script_said(&s, "release 0 1:2;");
    s.broker_want = 2;
    script_hold_here(&s, 2);
    pool_state_released(&s.p, 0, 1, 2, true);
    assert_true(pool_state_wanted(&s.p, 0, a.id));
    assert_false(pool_state_release(&s.p, 9, a.id, s.out));
    pool_state_step(&s.p, 9, s.out);
    script_said(&s, "release 0 1:1;");
    s.broker_want = 1;
    script_hold_here(&s, 1);
    pool_state_released(&s.p, 0, 1, 1, true);
    assert_false(pool_state_wanted(&s.p, 9, b.id));
    pool_state_step(&s.p, 9, s.out);
    script_said(&s, "");
    pool_state_set_want(&s.p, 3);
    pool_state_step(&s.p, 9, s.out);
    pool_state_step(&s.p, 9, s.out);
    script_said(&s, "want 3;");
    script_end(&s);
}

static void what_is_not_held_yet_is_wanted_less_by_word(void **state)
{
    (void)state;
    script s;
    script_begin(&s, 0, 8);
    script_hold_here(&s, 2);
    pool_state_set_want(&s.p, 4);
    pool_state_step(&s.p, 0, s.out);
    script_said(&s, "want 4;");
    pool_state_want_done(&s.p, false); /* refused: the broker's word holds */
    pool_state_step(&s.p, 0, s.out);
    script_said(&s, "");
    assert_int_equal(s.p.want, 8);
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_come_from_what_is_held_here),
        cmocka_unit_test(a_full_table_asks_for_a_larger_one),
        cmocka_unit_test(a_warm_slot_is_used_again_under_a_new_number),
        cmocka_unit_test(a_claim_that_could_not_be_emptied_is_closed),
        cmocka_unit_test(a_claim_that_ends_under_a_task_leaves_cause_and_peak),
        cmocka_unit_test(warm_slots_make_room_for_a_larger_one),
        cmocka_unit_test(what_was_taken_by_force_is_not_given_again),
        cmocka_unit_test(less_is_wanted),
        cmocka_unit_test(what_is_not_held_yet_is_wanted_less_by_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
