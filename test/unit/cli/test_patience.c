/* A word while an answer does not come, and none when it does. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/patience.h"

/* What is said to standard error, within so long. */
static void heard(patience *p, int wait_ms, long after_ms, char *to, size_t size)
{
    const command_call call = {.command = "run"};
    int ends[2], saved = dup(STDERR_FILENO);
    ssize_t n = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    patience_begin(p, &call, "no answer", after_ms);
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    while (wait_ms > 0 && poll(&ready, 1, wait_ms) < 0)
        ; /* interrupted by the word itself */
    patience_end(p);
    n = read(ends[0], to, size - 1);
    to[n > 0 ? n : 0] = '\0';
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

static void speaks_once_when_it_takes_long(void **state)
{
    (void)state;
    patience p;
    char text[100];
    heard(&p, 10000, 10, text, sizeof text);
    assert_string_equal(text, "granary run: no answer\n");
}

static void says_nothing_about_what_is_quick(void **state)
{
    (void)state;
    patience p;
    char text[100];
    struct sigaction now;
    heard(&p, 0, 60000, text, sizeof text);
    assert_string_equal(text, "");
    assert_false(p.armed);
    assert_int_equal(sigaction(SIGRTMIN + 1, NULL, &now), 0);
    assert_ptr_equal(now.sa_handler, SIG_DFL);
    patience_end(&p); /* again: nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speaks_once_when_it_takes_long),
        cmocka_unit_test(says_nothing_about_what_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
