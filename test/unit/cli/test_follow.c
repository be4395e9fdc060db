/* follow: what is handed on to the command, and how its end is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/follow.h"

static void hands_on_what_was_sent_to_us_alone(void **state)
{
    (void)state;
    int sender = (int)getppid(), self = (int)getpid();
    assert_true(follow_hands_on(SI_USER, sender, self));
    assert_false(follow_hands_on(SI_KERNEL, 0, self));    /* the terminal */
    assert_false(follow_hands_on(SI_USER, self, self));   /* the command, to its whole group */
    assert_false(follow_hands_on(SI_USER, self, sender)); /* a child of the command */
    assert_true(follow_hands_on(SI_USER, 0, self));       /* from outside our pid namespace */
}

/* Runs follow_mirror(status) in a child; returns how that ended. */
static int mirrored(int status)
{
    int end;
    pid_t pid = fork();
    if (pid == 0)
        _exit(follow_mirror(status));
    assert_int_equal(waitpid(pid, &end, 0), pid);
    return end;
}

static void ends_as_the_command_ended(void **state)
{
    (void)state;
    int end = mirrored(W_EXITCODE(42, 0));
    assert_true(WIFEXITED(end));
    assert_int_equal(WEXITSTATUS(end), 42);
    static const int signals[] = {SIGKILL, SIGTERM, SIGSEGV, SIGINT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        end = mirrored(W_EXITCODE(0, signals[i]));
        assert_true(WIFSIGNALED(end));
        assert_int_equal(WTERMSIG(end), signals[i]);
        assert_false(WCOREDUMP(end));
    }
}

static void gives_the_mask_back(void **state)
{
    (void)state;
    sigset_t before, during, after;
    follow f;
    sigprocmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(follow_begin(&f), 0);
    sigprocmask(SIG_SETMASK, NULL, &during);
    assert_true(sigismember(&during, SIGTERM));
    assert_false(sigismember(&during, SIGSEGV));
    follow_end(&f);
    sigprocmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hands_on_what_was_sent_to_us_alone),
                                       cmocka_unit_test(ends_as_the_command_ended),
                                       cmocka_unit_test(gives_the_mask_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
