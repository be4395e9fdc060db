#include "cmocka_all.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/status.h"
#include "daemon/process.h"

/* A child that lives until it is killed. */
static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void test_a_reused_pid_is_another_process(void **state)
{
    (void)state;
    pid_t pid = sleeper();
    uint64_t start = 0;
    int fd = -1;
    assert_int_equal(process_start(pid, &start), 0);
    assert_true(start > 0);
    assert_int_equal(process_open(pid, start + 1, &fd), STATUS_DEAD);
    assert_int_equal(fd, -1);
    assert_int_equal(process_open(pid, start, &fd), 0);
    assert_true(process_alive(fd));
    kill(pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(process_alive(fd));
    int again = -1;
    assert_int_equal(process_open(pid, start, &again), STATUS_DEAD); /* not yet reaped */
    waitpid(pid, NULL, 0);
    assert_int_equal(process_open(pid, start, &again), STATUS_DEAD);
    assert_int_equal(process_start(pid, &start), STATUS_DEAD);
    assert_int_equal(process_open(0, 0, &again), STATUS_DEAD);
    close(fd);
}

static void test_the_peer_of_a_socket(void **state)
{
    (void)state;
    int pair[2];
    uint64_t start;
    process_peer peer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(process_of_socket(pair[0], &peer), 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(process_start(getpid(), &start), 0);
    assert_int_equal(peer.start, start);
    assert_true(process_alive(peer.pidfd));
    close(peer.pidfd);
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(process_of_socket(0x7ffffff, &peer), STATUS_SYSTEM);
}

static void test_boot_id(void **state)
{
    (void)state;
    char id[40] = "";
    assert_int_equal(process_boot_id(id), 0);
    assert_int_equal(strlen(id), 36);
    assert_int_equal(id[8], '-');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reused_pid_is_another_process),
        cmocka_unit_test(test_the_peer_of_a_socket),
        cmocka_unit_test(test_boot_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
