/* waiting: quiet without a terminal unless asked, each change once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/waiting.h"

/* What goes to standard error while `body` is told twice the same and once another place. */
static void tell(bool verbose, char *to, size_t size)
{
    int pipe_fds[2], old = dup(2);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    assert_true(dup2(pipe_fds[1], 2) == 2);
    close(pipe_fds[1]);
    waiting w;
    waiting_init(&w, verbose);
    granary_wait_info info = {.place = 2, .expected_ms = -1, .reason = "others wait\nbefore it"};
    waiting_progress(&info, &w);
    waiting_progress(&info, &w);
    info.place = 1;
    info.expected_ms = 5000;
    waiting_progress(&info, &w);
    info.expected_ms = 4000; /* a clock that runs down is no news for lines */
    waiting_progress(&info, &w);
    info.expected_ms = -1;
    waiting_progress(&info, &w);
    waiting_clear(&w);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    ssize_t n = read(pipe_fds[0], to, size - 1);
    to[n > 0 ? n : 0] = '\0';
    close(pipe_fds[0]);
}

static void says_each_change_once(void **state)
{
    (void)state;
    char text[512];
    tell(true, text, sizeof text);
    assert_string_equal(text, "granary: waiting, place 2: others wait\\nbefore it\n"
                              "granary: waiting, place 1: others wait\\nbefore it; expected in 5s\n"
                              "granary: waiting, place 1: others wait\\nbefore it\n");
}

static void is_quiet_in_scripts(void **state)
{
    (void)state;
    char text[512];
    tell(false, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_each_change_once), cmocka_unit_test(is_quiet_in_scripts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
