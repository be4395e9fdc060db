/* claims: which orders are admitted, and what becomes of groups that the books do not know. */
#include "fake.h"

static void nothing_is_admitted_before_the_live_set(void **state)
{
    world *w = *state;
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1});
    assert_int_equal(last_answer(w)->status, STATUS_STATE);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1});
    assert_int_equal(w->n_notices, 1);
    assert_int_equal(w->n_drains, 0);
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1});
    assert_int_equal(last_answer(w)->status, 0);
    claims_unlink(w->claims);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 2});
    assert_int_equal(last_answer(w)->status, STATUS_STATE);
}

static void a_generation_opens_once(void **state)
{
    world *w = *state;
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 5});
    assert_int_equal(last_answer(w)->status, 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 5});
    assert_int_equal(last_answer(w)->status, 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 4});
    assert_int_equal(last_answer(w)->status, STATUS_STALE);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 0});
    assert_int_equal(last_answer(w)->status, STATUS_INVALID);
    assert_int_equal(claims_count(w->claims), 1);
}

static void unknown_claims(void **state)
{
    world *w = *state;
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 9});
    assert_int_equal(last_answer(w)->status, STATUS_NOT_FOUND);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_LIMIT, .generation = 9});
    assert_int_equal(last_answer(w)->status, STATUS_NOT_FOUND);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_CLOSE, .generation = 9}); /* closed before: nothing to do */
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 9});
    assert_int_equal(w->n_drains, 1);
    assert_int_equal(w->drains[0].generation, 9);
    assert_int_equal(w->n_notices, 0);
}

static void the_live_set_is_adopted_or_made_again(void **state)
{
    world *w = *state;
    group *g;
    bool made;
    for (uint64_t gen = 1; gen <= 3; gen++)
        assert_int_equal(fake_open(&w->fake.base, gen, MIB(1), true, &g, &made), 0);
    assert_int_equal(claims_books(w->claims, "other", 0), 0); /* reads the groups */
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EXPECT, .generation = 1});
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EXPECT, .generation = 2, .ending = true});
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EXPECT, .generation = 7});
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EXPECT, .generation = 8, .ending = true});
    assert_int_equal(w->n_drains, 2);
    assert_int_equal(w->drains[0].generation, 2);
    assert_int_equal(w->drains[1].generation, 8);
    claims_ready(w->claims, 1000);
    assert_int_equal(w->n_notices, 1); /* of 3, which is left alone */
    assert_non_null(fake_find(&w->fake, 3));
    assert_non_null(fake_find(&w->fake, 7));
    assert_null(fake_find(&w->fake, 8));
    assert_int_equal(claims_count(w->claims), 3);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 6});
    assert_int_equal(last_answer(w)->status, STATUS_STALE);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 8});
    assert_int_equal(last_answer(w)->status, 0);
}

static void an_empty_group_of_a_claim_that_is_over_is_removed(void **state)
{
    world *w = *state;
    group *g;
    bool made;
    for (uint64_t gen = 1; gen <= 5; gen++)
        assert_int_equal(fake_open(&w->fake.base, gen, MIB(1), true, &g, &made), 0);
    fake_find(&w->fake, 2)->used = MIB(65); /* files in shared memory */
    fake_find(&w->fake, 3)->used = MIB(3);  /* what a drained claim of large chunks may keep */
    assert_int_equal(claims_books(w->claims, "other", 4), 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EXPECT, .generation = 1});
    claims_ready(w->claims, 1000);
    assert_non_null(fake_find(&w->fake, 1));
    assert_non_null(fake_find(&w->fake, 2)); /* still charged */
    assert_null(fake_find(&w->fake, 3));
    assert_null(fake_find(&w->fake, 4));
    assert_non_null(fake_find(&w->fake, 5)); /* these books never gave it */
    assert_int_equal(w->n_notices, 4);
}

static void a_claim_that_the_next_live_set_does_not_name_is_let_go(void **state)
{
    world *w = *state;
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1});
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 2});
    claims_unlink(w->claims);
    assert_int_equal(claims_books(w->claims, "books", 0), 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EXPECT, .generation = 2});
    claims_ready(w->claims, 1000);
    assert_int_equal(claims_count(w->claims), 1);
    assert_int_equal(w->n_notices, 1);
    assert_non_null(fake_find(&w->fake, 1));
}

static void a_process_that_runs_already_is_not_taken_from_another_claim(void **state)
{
    world *w = *state;
    int fds[4];
    pid_t pid = world_child(w, &fds[0]);
    for (int i = 1; i < 4; i++)
        assert_true((fds[i] = dup(fds[0])) > 0);
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1, .pidfd = fds[0], .running = true});
    assert_int_equal(last_answer(w)->status, 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 2, .pidfd = fds[1], .running = true});
    assert_int_equal(last_answer(w)->status, STATUS_CLAIMED);
    assert_int_equal(last_answer(w)->other, 1);
    assert_null(fake_find(&w->fake, 2));
    world_order(w, (claim_order){.kind = CLAIM_ORDER_ENTER, .generation = 1, .pidfd = fds[2], .running = true});
    assert_int_equal(last_answer(w)->status, 0); /* the same order, repeated */
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 3, .pidfd = fds[3]});
    assert_int_equal(last_answer(w)->status, 0); /* a child at its gate, born in its parent's group */
    assert_int_equal(fake_find(&w->fake, 3)->pids[0], pid);
}

static void a_process_that_may_not_enter_takes_its_new_group_along(void **state)
{
    world *w = *state;
    int ends[2];
    claims_ready(w->claims, 1000);
    assert_int_equal(pipe(ends), 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1, .pidfd = ends[0]});
    assert_int_equal(last_answer(w)->kind, CLAIM_ORDER_OPEN);
    assert_int_equal(last_answer(w)->status, STATUS_INVALID);
    assert_null(fake_find(&w->fake, 1));
    assert_int_equal(claims_count(w->claims), 0);
    close(ends[1]);
}

static void what_vanished_is_made_again_or_over(void **state)
{
    world *w = *state;
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1, .bytes = MIB(5)});
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 2});
    claims_collect(w->claims);
    assert_int_equal(w->n_notices, 0);
    fake_find(&w->fake, 1)->exists = false;
    claims_collect(w->claims);
    assert_int_equal(w->n_notices, 1);
    assert_non_null(fake_find(&w->fake, 1));
    assert_int_equal(fake_find(&w->fake, 1)->limit, MIB(5));
    assert_int_equal(claims_count(w->claims), 2);
    claims_collect(w->claims);
    assert_int_equal(w->n_notices, 1);
    fake_find(&w->fake, 2)->exists = false;
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 2});
    assert_int_equal(w->n_drains, 1); /* an ended one is not made again */
    claims_collect(w->claims);
    assert_null(fake_find(&w->fake, 2));
    assert_int_equal(w->n_notices, 1);
}

static void a_stranger_is_told_once_until_it_goes(void **state)
{
    world *w = *state;
    group *g;
    bool made;
    claims_collect(w->claims); /* not before the live set is complete: everything would be a stranger */
    assert_int_equal(fake_open(&w->fake.base, 77, MIB(1), true, &g, &made), 0);
    claims_collect(w->claims);
    assert_int_equal(w->n_notices, 0);
    claims_ready(w->claims, 1000);
    assert_int_equal(w->n_notices, 1);
    claims_collect(w->claims);
    claims_collect(w->claims);
    assert_int_equal(w->n_notices, 1);
    assert_true(fake_find(&w->fake, 77)->exists);
    fake_find(&w->fake, 77)->exists = false;
    claims_collect(w->claims);
    assert_int_equal(fake_open(&w->fake.base, 77, MIB(1), true, &g, &made), 0);
    claims_collect(w->claims);
    assert_int_equal(w->n_notices, 2);
    assert_int_equal(claims_count(w->claims), 0);
}

static void a_death_that_no_event_told_is_found(void **state)
{
    world *w = *state;
    int pidfd;
    claims_ready(w->claims, 1000);
    pid_t pid = world_child(w, &pidfd);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1, .pidfd = pidfd});
    assert_int_equal(last_answer(w)->status, 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1});
    claims_collect(w->claims);
    assert_int_equal(w->n_drains, 0); /* it lives */
    siginfo_t info;
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    claims_collect(w->claims); /* the loop did not turn: no watch has fired */
    assert_int_equal(w->n_drains, 1);
    assert_int_equal(w->drains[0].generation, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_admitted_before_the_live_set),
        TEST(a_generation_opens_once),
        TEST(unknown_claims),
        TEST(the_live_set_is_adopted_or_made_again),
        TEST(an_empty_group_of_a_claim_that_is_over_is_removed),
        TEST(a_claim_that_the_next_live_set_does_not_name_is_let_go),
        TEST(a_process_that_runs_already_is_not_taken_from_another_claim),
        TEST(a_process_that_may_not_enter_takes_its_new_group_along),
        TEST(what_vanished_is_made_again_or_over),
        TEST(a_stranger_is_told_once_until_it_goes),
        TEST(a_death_that_no_event_told_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
