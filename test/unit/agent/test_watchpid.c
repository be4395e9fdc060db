/* watchpid: descriptors in one set; watches that go away inside callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/watchpid.h"
#include "base/status.h"

static watch *both[2];
static int calls;

static void destroys_both(void *context, watch *w)
{
    (void)context;
    (void)w;
    calls++;
    watch_destroy(both[0]);
    watch_destroy(both[1]);
    both[0] = both[1] = NULL;
}

static void counts(void *context, watch *w)
{
    uint64_t value;
    (*(int *)context)++;
    assert_int_equal(read(watch_fd(w), &value, sizeof value), sizeof value);
}

static void finish(uv_loop_t *loop, watchpid *set)
{
    watchpid_stop(set);
    uv_run(loop, UV_RUN_DEFAULT);
    watchpid_destroy(set);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void a_callback_may_destroy_what_is_in_the_same_batch(void **state)
{
    (void)state;
    uv_loop_t loop;
    watchpid *set;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(watchpid_create(&set, &loop), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(watch_create(&both[i], set, eventfd(1, EFD_CLOEXEC), EPOLLIN, destroys_both, NULL), 0);
    calls = 0;
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(calls, 1);
    finish(&loop, set);
}

static void an_event_file_goes_on(void **state)
{
    (void)state;
    uv_loop_t loop;
    watchpid *set;
    watch *w;
    int n = 0, fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(watchpid_create(&set, &loop), 0);
    assert_int_equal(watch_create(&w, set, fd, EPOLLIN, counts, &n), 0);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(eventfd_write(fd, 1), 0);
        uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(n, i);
    }
    watch_destroy(w);
    watch_destroy(NULL);
    finish(&loop, set);
}

static void a_descriptor_that_cannot_be_watched(void **state)
{
    (void)state;
    uv_loop_t loop;
    watchpid *set;
    watch *w = (watch *)&loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(watchpid_create(&set, &loop), 0);
    FILE *file = tmpfile(); /* an ordinary file has no events */
    assert_int_equal(watch_create(&w, set, dup(fileno(file)), EPOLLIN, counts, NULL), STATUS_SYSTEM);
    assert_ptr_equal(w, &loop);
    fclose(file);
    finish(&loop, set);
}

static void pidfds(void **state)
{
    (void)state;
    int fd;
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    assert_int_equal(pidfd_of(pid, &fd), 0);
    assert_false(pidfd_dead(fd));
    assert_int_equal(pidfd_kill(fd), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_true(pidfd_dead(fd));
    assert_int_equal(pidfd_kill(fd), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(pidfd_dead(fd));
    assert_int_equal(pidfd_kill(fd), 0);
    close(fd);
    fd = -5;
    assert_int_equal(pidfd_of(pid, &fd), STATUS_DEAD);
    assert_int_equal(fd, -5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_callback_may_destroy_what_is_in_the_same_batch),
        cmocka_unit_test(an_event_file_goes_on),
        cmocka_unit_test(a_descriptor_that_cannot_be_watched),
        cmocka_unit_test(pidfds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
