/* options: the agent's argument vector, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/options.h"
#include "base/status.h"

#define PARSE(o, why, ...)                                                                                             \
    agent_options_parse(o, (int)(sizeof((char *[]){"granary-agent", __VA_ARGS__}) / sizeof(char *)),                   \
                        (char *[]){"granary-agent", __VA_ARGS__, NULL}, why)

static void everything_has_a_default(void **state)
{
    (void)state;
    agent_options o = {0};
    const char *why;
    char *argv[] = {"granary-agent", NULL};
    assert_int_equal(agent_options_parse(&o, 1, argv, &why), 0);
    assert_string_equal(o.proc_root, "/proc");
    assert_string_equal(o.cgroup_root, "");
    assert_string_equal(o.books, "");
    assert_int_equal(o.link_fd, -1);
    assert_int_equal(o.memory, 0);
    assert_false(o.watch);
    assert_true(o.host[0] != 0);
}

static void everything_can_be_given(void **state)
{
    (void)state;
    agent_options o = {0};
    const char *why;
    assert_int_equal(PARSE(&o, &why, "--host", "n1", "--memory", "3221225472", "--proc-root", "/p", "--cgroup-root",
                           "/c", "--watch", "--sample-ms", "50", "--link-fd", "9", "--books", "abc"),
                     0);
    assert_string_equal(o.host, "n1");
    assert_int_equal(o.memory, 3221225472);
    assert_string_equal(o.proc_root, "/p");
    assert_string_equal(o.cgroup_root, "/c");
    assert_true(o.watch);
    assert_int_equal(o.sample_ms, 50);
    assert_int_equal(o.link_fd, 9);
    assert_string_equal(o.books, "abc");
}

static void refused(const char *about, const char *option, const char *value)
{
    agent_options o = {.link_fd = 77};
    const char *why = "";
    assert_int_equal(PARSE(&o, &why, (char *)option, (char *)value), STATUS_INVALID);
    assert_non_null(strstr(why, about));
    assert_int_equal(o.link_fd, 77);
}

static void bad_values_are_named(void **state)
{
    (void)state;
    refused("--memory", "--memory", "3G");
    refused("--memory", "--memory", "-1");
    refused("--memory", "--memory", "18446744073709551616");
    refused("--sample-ms", "--sample-ms", "9");
    refused("--sample-ms", "--sample-ms", "60001");
    refused("--link-fd", "--link-fd", "");
    refused("--books", "--books", "../x");
    refused("--host", "--host", "");
    refused("--host", "--host", "0123456789012345678901234567890123456789012345678901234567890123");
    refused("--help", "--unknown", "1");
    refused("options only", "--watch", "extra");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_has_a_default),
        cmocka_unit_test(everything_can_be_given),
        cmocka_unit_test(bad_values_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
