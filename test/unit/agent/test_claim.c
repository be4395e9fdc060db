/* claim: one claim's states, over a backend in memory and real children. */
#include "fake.h"

static fake_group *opened(world *w, uint64_t gen)
{
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = gen});
    assert_int_equal(last_answer(w)->status, 0);
    return fake_find(&w->fake, gen);
}

static pid_t entered(world *w, uint64_t gen, bool fresh)
{
    int pidfd;
    pid_t pid = world_child(w, &pidfd);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_ENTER, .generation = gen, .fresh = fresh, .pidfd = pidfd});
    return pid;
}

static void the_first_fresh_entry_has_nothing_to_end(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    pid_t pid = entered(w, 1, true);
    assert_int_equal(w->n_answers, 2);
    assert_int_equal(last_answer(w)->kind, CLAIM_ORDER_ENTER);
    assert_int_equal(last_answer(w)->status, 0);
    assert_int_equal(last_answer(w)->peak, 0);
    assert_int_equal(g->count, 1);
    assert_int_equal(g->pids[0], pid);
    assert_int_equal(g->begins, 1);
}

static void fresh_ends_the_task_before_and_tells_its_peak(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    pid_t first = entered(w, 1, true);
    g->ceiling = MIB(10);
    g->charged = MIB(7); /* page cache: 7 - 0 */
    entered(w, 1, true);
    assert_int_equal(w->n_answers, 2); /* the first task lives: it is being killed */
    world_until(w, &w->n_answers, 3);
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)first, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(info.si_status, SIGKILL);
    assert_int_equal(last_answer(w)->status, 0);
    assert_int_equal(last_answer(w)->cause, CAUSE_EXIT);
    assert_int_equal(last_answer(w)->peak, MIB(3));
    assert_int_equal(g->begins, 2);
}

static void out_of_memory_is_told_once_with_the_limit_as_peak(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    entered(w, 1, true);
    g->oom = true;
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    world_until(w, &w->n_answers, 3);
    assert_int_equal(last_answer(w)->cause, CAUSE_OOM);
    assert_int_equal(last_answer(w)->peak, MIB(64));
    /* repeated, by a broker that lost the answer: the same again */
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    assert_int_equal(w->n_answers, 4);
    assert_int_equal(last_answer(w)->cause, CAUSE_OOM);
    entered(w, 1, false);
    assert_int_equal(last_answer(w)->cause, CAUSE_EXIT);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    world_until(w, &w->n_answers, 6);
    assert_int_equal(last_answer(w)->cause, CAUSE_EXIT);
}

static void orders_wait_in_line_while_a_group_is_emptied(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    entered(w, 1, true);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1, .tag = 5});
    pid_t second = entered(w, 1, false);
    assert_int_equal(w->n_answers, 2);
    world_until(w, &w->n_answers, 4);
    assert_int_equal(w->answers[2].tag, 5);
    assert_int_equal(w->answers[3].kind, CLAIM_ORDER_ENTER);
    assert_int_equal(g->pids[1], second);
    assert_int_equal(kill(second, 0), 0);
}

static void the_line_has_an_end(void **state)
{
    world *w = *state;
    opened(w, 1);
    entered(w, 1, true);
    for (uint32_t i = 0; i < ORDERS_WAITING_MAX; i++)
        world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    assert_int_equal(w->n_answers, 2);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    assert_int_equal(w->n_answers, 3);
    assert_int_equal(last_answer(w)->status, STATUS_BUSY);
    world_until(w, &w->n_answers, 3 + ORDERS_WAITING_MAX);
}

static void end_waits_for_processes_and_refuses_others(void **state)
{
    world *w = *state;
    opened(w, 1);
    pid_t pid = entered(w, 1, true);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1});
    entered(w, 1, false);
    assert_int_equal(last_answer(w)->status, STATUS_ENDED);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_LIMIT, .generation = 1});
    assert_int_equal(last_answer(w)->status, STATUS_ENDED);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->n_drains, 0);
    kill(pid, SIGTERM);
    world_until(w, &w->n_drains, 1);
    assert_int_equal(w->drains[0].cause, CAUSE_EXIT);
    assert_int_equal(w->drains[0].generation, 1);
}

static int no_kill(group *g)
{
    (void)g;
    return STATUS_NOT_FOUND;
}

/* Version 2 before Linux 5.14 has no file that kills a whole group. */
static void without_a_kill_for_the_group_members_are_killed(void **state)
{
    world *w = *state;
    backend_ops ops = fake_ops;
    ops.kill = no_kill;
    w->fake.base.ops = &ops;
    opened(w, 1);
    pid_t pid = entered(w, 1, true);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    world_until(w, &w->n_answers, 3);
    assert_int_equal(last_answer(w)->kind, CLAIM_ORDER_EMPTY);
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(info.si_status, SIGKILL);
    w->fake.base.ops = &fake_ops;
}

static void end_with_kill_says_so(void **state)
{
    world *w = *state;
    opened(w, 1);
    entered(w, 1, true);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1, .kill = true});
    world_until(w, &w->n_drains, 1);
    assert_int_equal(w->drains[0].cause, CAUSE_KILLED);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1}); /* again: reported again */
    assert_int_equal(w->n_drains, 2);
    assert_int_equal(w->drains[1].cause, CAUSE_KILLED);
}

static void memory_that_stays_withholds_drained(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    g->used = MIB(2);
    g->charged = MIB(9);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1});
    assert_int_equal(w->n_drains, 0);
    world_turn_until(w, g->reclaims > 0);
    assert_true(g->reclaims >= 1);
    assert_int_equal(w->n_drains, 0);
    g->used = MIB(1); /* just the threshold; the rest is page cache */
    world_until(w, &w->n_drains, 1);
    assert_int_equal(w->drains[0].used, MIB(1));
}

static void large_chunks_leave_more(void **state)
{
    world *w = *state;
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1, .bytes = GIB(2), .chunk_size = GIB(1)});
    fake_group *g = fake_find(&w->fake, 1);
    g->used = g->charged = MIB(4);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1});
    assert_int_equal(w->n_drains, 1);
}

static void close_only_after_drained(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_CLOSE, .generation = 1});
    assert_int_equal(w->n_notices, 1);
    assert_true(g->exists);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1});
    assert_int_equal(w->n_drains, 1);
    g->busy_removes = 2;
    world_order(w, (claim_order){.kind = CLAIM_ORDER_CLOSE, .generation = 1});
    assert_true(g->exists);
    world_turn_until(w, !g->exists);
    assert_false(g->exists);
    assert_int_equal(claims_count(w->claims), 0);
    assert_int_equal(w->n_notices, 1);
}

/* Its removal is put off; an agent that ends before does it then. */
static void a_closed_group_goes_with_its_agent(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_END, .generation = 1});
    world_order(w, (claim_order){.kind = CLAIM_ORDER_CLOSE, .generation = 1});
    assert_true(g->exists);
    claims_stop(w->claims);
    assert_false(g->exists);
    assert_int_equal(w->n_notices, 0);
}

static void a_limit_waits_until_use_is_below(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    g->used = MIB(40);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_LIMIT, .generation = 1, .bytes = MIB(32), .tag = 1});
    assert_int_equal(w->n_answers, 1);
    assert_int_equal(g->limit, MIB(64));
    world_order(w, (claim_order){.kind = CLAIM_ORDER_LIMIT, .generation = 1, .bytes = MIB(16), .tag = 2});
    assert_int_equal(last_answer(w)->tag, 1);
    assert_int_equal(last_answer(w)->status, STATUS_STALE);
    g->used = MIB(16);
    world_until(w, &w->n_answers, 3);
    assert_int_equal(last_answer(w)->tag, 2);
    assert_int_equal(last_answer(w)->status, 0);
    assert_int_equal(g->limit, MIB(16));
    g->used = MIB(60); /* raising needs no room */
    world_order(w, (claim_order){.kind = CLAIM_ORDER_LIMIT, .generation = 1, .bytes = MIB(32), .tag = 3});
    assert_int_equal(last_answer(w)->status, 0);
    assert_int_equal(g->limit, MIB(32));
}

static void orders_in_line_are_dropped_with_the_link_and_the_task_is_not_forgotten(void **state)
{
    world *w = *state;
    fake_group *g = opened(w, 1);
    entered(w, 1, true);
    g->oom = true;
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    claims_unlink(w->claims);
    for (int i = 0; i < 20; i++)
        uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->n_answers, 2);
    assert_int_equal(claims_books(w->claims, "books", 0), 0);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EXPECT, .generation = 1});
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    world_until(w, &w->n_answers, 3);
    assert_int_equal(last_answer(w)->cause, CAUSE_OOM);
}

static uint32_t looks;

static int use_counted(group *g, bytes_t *ret)
{
    looks++;
    return fake_use(g, ret);
}

/* Its timer would be armed for ever, at spans that double until they are none at all. */
static void a_claim_without_a_task_is_not_looked_at_again_and_again(void **state)
{
    world *w = *state;
    backend_ops ops = fake_ops;
    ops.use = use_counted;
    w->fake.base.ops = &ops;
    looks = 0;
    opened(w, 1);
    entered(w, 1, true);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_EMPTY, .generation = 1});
    world_until(w, &w->n_answers, 3);
    while (uv_backend_timeout(&w->loop) >= 0 && looks < 8)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(uv_backend_timeout(&w->loop), -1);
    assert_true(looks < 8);
    w->fake.base.ops = &fake_ops;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_fresh_entry_has_nothing_to_end),
        TEST(fresh_ends_the_task_before_and_tells_its_peak),
        TEST(out_of_memory_is_told_once_with_the_limit_as_peak),
        TEST(orders_wait_in_line_while_a_group_is_emptied),
        TEST(the_line_has_an_end),
        TEST(end_waits_for_processes_and_refuses_others),
        TEST(without_a_kill_for_the_group_members_are_killed),
        TEST(end_with_kill_says_so),
        TEST(a_claim_without_a_task_is_not_looked_at_again_and_again),
        TEST(memory_that_stays_withholds_drained),
        TEST(large_chunks_leave_more),
        TEST(close_only_after_drained),
        TEST(a_closed_group_goes_with_its_agent),
        TEST(a_limit_waits_until_use_is_below),
        TEST(orders_in_line_are_dropped_with_the_link_and_the_task_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
