/* A child runs after its gate was opened, and never otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "granary.h"

static int ended(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void an_open_gate_lets_the_child_go(void **state)
{
    (void)state;
    granary_gate gate;
    int pid = granary_gate_fork(&gate);
    if (pid == 0) {
        granary_gate_wait(&gate);
        _exit(gate.claim == 0x123456789abcdef0 && gate.fd == -1 ? 7 : 8);
    }
    assert_true(pid > 0);
    assert_int_equal(gate.pid, pid);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    gate.claim = 0x123456789abcdef0;
    assert_int_equal(granary_gate_open(&gate), 0);
    assert_int_equal(ended(pid), 7);
    granary_gate_finish(&gate);
    granary_gate_finish(NULL);
}

static void a_gate_that_is_closed_ends_the_child(void **state)
{
    (void)state;
    granary_gate gate;
    int pid = granary_gate_fork(&gate);
    if (pid == 0) {
        granary_gate_wait(&gate);
        _exit(7);
    }
    granary_gate_finish(&gate);
    assert_int_equal(ended(pid), 125);
    assert_int_equal(gate.fd, -1);
    assert_int_equal(gate.pidfd, -1);
}

static void a_child_whose_parent_is_killed_never_runs(void **state)
{
    (void)state;
    int told[2];
    pid_t child = 0;
    assert_int_equal(pipe(told), 0);
    pid_t parent = fork();
    if (parent == 0) {
        granary_gate gate;
        int pid = granary_gate_fork(&gate);
        if (pid == 0) {
            granary_gate_wait(&gate);
            _exit(write(told[1], "ran", 3) == 3 ? 0 : 1);
        }
        ssize_t n = write(told[1], &pid, sizeof pid);
        (void)n;
        pause();
        _exit(0);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &child, sizeof child), sizeof child);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(ended(parent), 1000 + SIGKILL);
    char word[8];
    assert_int_equal(read(told[0], word, sizeof word), 0); /* the end: the child is gone and said nothing */
    close(told[0]);
}

static void a_dead_child_is_told_without_a_signal(void **state)
{
    (void)state;
    granary_gate gate;
    int pid = granary_gate_fork(&gate);
    if (pid == 0) {
        close(gate.fd);
        _exit(3);
    }
    assert_int_equal(ended(pid), 3);
    assert_int_equal(granary_gate_open(&gate), GRANARY_E_DEAD); /* SIGPIPE would have ended this test */
    granary_gate_finish(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_gate_lets_the_child_go),
        cmocka_unit_test(a_gate_that_is_closed_ends_the_child),
        cmocka_unit_test(a_child_whose_parent_is_killed_never_runs),
        cmocka_unit_test(a_dead_child_is_told_without_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
