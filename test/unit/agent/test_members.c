/* members: a pid counts only if its process was in the group before and after a pidfd held it. */
#include "fake.h"

#include "agent/members.h"

static fake_group *made(world *w)
{
    group *g = NULL;
    bool is_new;
    assert_int_equal(fake_open(&w->fake.base, 1, MIB(1), true, &g, &is_new), 0);
    return (fake_group *)g;
}

static void held_and_killed(void **state)
{
    world *w = *state;
    fake_group *g = made(w);
    members m;
    int fd;
    assert_int_equal(members_open(&g->base, 8, &m), 0);
    assert_int_equal(m.total, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_attach(&g->base, world_child(w, &fd)), 0);
        close(fd);
    }
    assert_int_equal(members_open(&g->base, 1, &m), 0);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.total, 3);
    members_close(&m);
    assert_int_equal(m.count, 0);
    assert_int_equal(members_open(&g->base, 8, &m), 0);
    assert_int_equal(m.count, 3);
    assert_int_equal(members_kill(&m), 0);
    members_close(&m);
    for (int i = 0; i < 3; i++) {
        siginfo_t info;
        assert_int_equal(waitid(P_PID, (id_t)g->pids[i], &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(info.si_status, SIGKILL);
    }
}

static int looks;

/* The process leaves (and its pid passes to a stranger) between the two looks. */
static int leaves_after_one_look(group *base, pids *to)
{
    return looks++ == 0 ? fake_processes(base, to) : 0;
}

static void a_pid_that_passed_to_a_stranger_is_not_held(void **state)
{
    world *w = *state;
    fake_group *g = made(w);
    backend_ops ops = fake_ops;
    members m;
    int fd;
    ops.processes = leaves_after_one_look;
    w->fake.base.ops = &ops;
    pid_t stranger = world_child(w, &fd);
    close(fd);
    assert_int_equal(fake_attach(&g->base, stranger), 0);
    assert_int_equal(members_open(&g->base, 8, &m), 0);
    assert_int_equal(m.count, 0);
    assert_int_equal(m.total, 1);
    w->fake.base.ops = &fake_ops;
    assert_int_equal(kill(stranger, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(held_and_killed, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_pid_that_passed_to_a_stranger_is_not_held, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
