/* lists: what stands in the tables. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/lists.h"

static void printed(int (*list)(const snapshot *, unsigned, unsigned), char *to, size_t size)
{
    int pipe_fds[2], old = dup(1);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    fflush(stdout);
    assert_true(dup2(pipe_fds[1], 1) == 1);
    close(pipe_fds[1]);
    int r = list(&books, 0, 0);
    fflush(stdout);
    dup2(old, 1);
    close(old);
    assert_int_equal(r, 0);
    ssize_t n = read(pipe_fds[0], to, size - 1);
    to[n > 0 ? n : 0] = '\0';
    close(pipe_fds[0]);
}

static void shows_who_holds(void **state)
{
    (void)state;
    char text[2048];
    printed(lists_allocations, text, sizeof text);
    assert_string_equal(text, "ID  LABEL   USER     PID  CHUNK  HAS  WANT  FIRM  MEMORY  USED  PEAK   AGE  HOSTS\n"
                              " 7  thumbs  4000000  100   700M    2     4     1   1400M  600M  650M  2.5s  one:2\n");
    assert_int_equal(lists_live_count(&books), 1);
}

static int queue(const snapshot *s, unsigned indent, unsigned width)
{
    (void)width;
    return lists_queue(s, indent);
}

static void shows_who_waits(void **state)
{
    (void)state;
    char text[2048];
    waiter.expected_known = true;
    waiter.expected_ms = 9000;
    printed(queue, text, sizeof text);
    assert_string_equal(text, "PLACE  ID  LABEL  USER     ASKS FOR  WAITING  WHY\n"
                              "    1   8  big    4000000  1 x 2.0G     1.5s  a recall for it is under way; 888M is "
                              "missing; expected in 9s\n");
}

static void shows_claims_and_recalls(void **state)
{
    (void)state;
    char text[2048];
    printed(lists_claims, text, sizeof text);
    assert_string_equal(text, "CLAIM  ALLOCATION  HOST  STATE  CHUNKS  USED  PEAK  PIDS  COMMAND\n"
                              "    5           7  one   open        1  600M  650M  200   xz -9\n");
    printed(lists_recalls, text, sizeof text);
    assert_string_equal(text, "RECALL  FROM  FOR  WHY     ASKED  RELEASED  WITHDRAWN  REVOKED  DUE\n"
                              "     3     7    8  waiter      1         0          0        0  in 1m\n");
}

static void an_answered_recall_asks_no_more(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(lists_open_recalls(&books), 1);
    recall.released = 1;
    assert_int_equal(lists_recall_open(&recall), 0);
    assert_int_equal(lists_open_recalls(&books), 0);
    printed(lists_recalls, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(shows_who_holds, fixture_setup),
        cmocka_unit_test_setup(shows_who_waits, fixture_setup),
        cmocka_unit_test_setup(shows_claims_and_recalls, fixture_setup),
        cmocka_unit_test_setup(an_answered_recall_asks_no_more, fixture_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
