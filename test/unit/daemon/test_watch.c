/* Sessions whose connection is lost end with their process, and not before. */
#include "bench.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static uint32_t sessions(bench *t)
{
    totals_view v;
    view_totals(t->b.driver.core, &v);
    return v.sessions;
}

/* A process that waits to be killed. */
static pid_t sleeper(int *ret_pidfd)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
        pause();
        _exit(0);
    }
    *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(*ret_pidfd >= 0);
    return pid;
}

/* Its end is seen by its pidfd; it is not waited for before that. */
static void end_it(pid_t pid)
{
    siginfo_t how;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT), 0);
}

static void reap(pid_t pid)
{
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A detached session, which is watched as the process behind `pidfd`. */
static session_id detached(bench *t, int pidfd)
{
    bench_client c;
    bench_join(t, &c);
    bench_leave(&c);
    bench_turns(t);
    session_id s = {c.session};
    watch_stop(&t->b, s); /* of our own process */
    watch_start(&t->b, s, pidfd);
    return s;
}

static void test_a_death_ends_its_session_alone(void **state)
{
    (void)state;
    bench t;
    int fds[2];
    bench_open(&t, "");
    pid_t dies = sleeper(&fds[0]), lives = sleeper(&fds[1]);
    detached(&t, fds[0]);
    detached(&t, fds[1]);
    bench_turns(&t);
    assert_int_equal(sessions(&t), 2);
    assert_int_equal(t.b.watches.n, 2);
    end_it(dies);
    bench_turns(&t);
    assert_int_equal(sessions(&t), 1);
    assert_int_equal(t.b.watches.n, 1);
    assert_false(driver_dirty(&t.b.driver)); /* its end is committed */
    end_it(lives);
    bench_turns(&t);
    assert_int_equal(sessions(&t), 0);
    assert_int_equal(t.b.watches.n, 0);
    reap(dies);
    reap(lives);
    bench_close(&t);
}

static void test_a_process_that_is_dead_already_is_told(void **state)
{
    (void)state;
    bench t;
    int fd;
    bench_open(&t, "");
    pid_t pid = sleeper(&fd);
    end_it(pid);
    reap(pid);
    detached(&t, fd);
    bench_turns(&t);
    assert_int_equal(sessions(&t), 0);
    bench_close(&t);
}

static void test_a_session_that_is_not_watched_any_more(void **state)
{
    (void)state;
    bench t;
    int fd;
    bench_open(&t, "");
    pid_t pid = sleeper(&fd);
    session_id s = detached(&t, fd);
    watch_stop(&t.b, s);
    watch_stop(&t.b, s);                   /* again */
    watch_stop(&t.b, (session_id){12345}); /* one that never was */
    end_it(pid);
    reap(pid);
    bench_turns(&t);
    assert_int_equal(sessions(&t), 1);
    assert_int_equal(t.b.watches.n, 0);
    watch_start(&t.b, s, -1); /* without a pidfd it has its grace */
    assert_int_equal(t.b.watches.n, 0);
    bench_close(&t);
}

static void test_collection_finds_deaths_that_were_missed(void **state)
{
    (void)state;
    bench t;
    int fds[3];
    pid_t pids[3];
    bench_open(&t, "");
    for (size_t i = 0; i < 3; i++) {
        pids[i] = sleeper(&fds[i]);
        detached(&t, fds[i]);
    }
    for (size_t i = 0; i < 3; i++)
        if (i != 1) {
            end_it(pids[i]);
            reap(pids[i]);
        }
    watch_collect(&t.b); /* without a turn of the loop */
    assert_int_equal(sessions(&t), 1);
    assert_int_equal(t.b.watches.n, 1);
    watch_collect(&t.b);
    assert_int_equal(t.b.watches.n, 1);
    end_it(pids[1]);
    reap(pids[1]);
    bench_close(&t); /* with one still watched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_death_ends_its_session_alone),
        cmocka_unit_test(test_a_process_that_is_dead_already_is_told),
        cmocka_unit_test(test_a_session_that_is_not_watched_any_more),
        cmocka_unit_test(test_collection_finds_deaths_that_were_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
