#include "cmocka_all.h"

#include "base/status.h"
#include "daemon/options.h"

static int parse(options *o, char *why, size_t size, char **words)
{
    int n = 0;
    while (words[n])
        n++;
    return options_parse(o, n, words, why, size);
}

#define PARSE(o, why, ...) parse(o, why, sizeof why, (char *[]){"granaryd", __VA_ARGS__, NULL})

static void test_all_options(void **state)
{
    (void)state;
    options o;
    char why[256] = "";
    assert_int_equal(PARSE(&o, why, "--memory", "3G", "--set-aside=1G", "--state", "/s", "--socket", "/p", "--config",
                           "/c", "--ready-fd", "7", "--user-instance"),
                     0);
    assert_int_equal(o.memory, GIB(3));
    assert_int_equal(o.set_aside, GIB(1));
    assert_string_equal(o.state, "/s");
    assert_string_equal(o.socket, "/p");
    assert_string_equal(o.config, "/c");
    assert_int_equal(o.ready_fd, 7);
    assert_true(o.user_instance);
    assert_false(o.check_config);
    assert_int_equal(PARSE(&o, why, "--check-config"), 0);
    assert_true(o.check_config);
    assert_int_equal(o.ready_fd, -1);
    assert_int_equal(o.set_aside, UINT64_MAX);
}

static void test_wrong_words(void **state)
{
    (void)state;
    options o;
    char why[256] = "";
    assert_int_equal(PARSE(&o, why, "--memory"), STATUS_INVALID);
    assert_string_equal(why, "--memory needs a value");
    assert_int_equal(PARSE(&o, why, "--memroy", "3G"), STATUS_INVALID);
    assert_string_equal(why, "--memroy is not an option of granaryd; see --help");
    assert_int_equal(PARSE(&o, why, "start"), STATUS_INVALID);
    assert_string_equal(why, "\"start\" is not understood: granaryd takes options only; see --help");
    assert_int_equal(PARSE(&o, why, "\033[2J"), STATUS_INVALID); /* quoted, and not obeyed by the terminal */
    assert_string_equal(why, "\"?[2J\" is not understood: granaryd takes options only; see --help");
    const char *streams[] = {"0", "1", "2"};
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        assert_int_equal(PARSE(&o, why, "--ready-fd", (char *)streams[i]), STATUS_INVALID);
        assert_string_equal(why + 13, " is a standard stream: give the descriptor of a pipe, 3 or above");
    }
    assert_int_equal(PARSE(&o, why, "--ready-fd", "3"), 0);
    const char *sizes[] = {"0", "-1", "1023K", "999999999999T", "3Q"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(PARSE(&o, why, "--memory", (char *)sizes[i]), STATUS_INVALID);
        assert_memory_equal(why, "--memory: ", 10);
    }
}

static void test_defaults_and_who_wins(void **state)
{
    (void)state;
    options o;
    config c;
    char why[256] = "", path[PATH_MAX];
    config_init(&c);
    assert_int_equal(PARSE(&o, why, "--memory", "2G"), 0);
    c.memory = GIB(9);
    assert_int_equal(options_apply(&o, &c, true, why, sizeof why), 0);
    assert_int_equal(c.memory, GIB(2));
    assert_string_equal(c.state, "/var/lib/granary");
    assert_string_equal(c.socket, "/run/granary/granary.sock");

    config_init(&c);
    setenv("HOME", "/home/u", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_CONFIG_HOME");
    assert_int_equal(options_apply(&o, &c, false, why, sizeof why), 0);
    assert_string_equal(c.state, "/home/u/.local/state/granary");
    assert_string_equal(c.socket, "/run/user/7/granary/granary.sock");
    assert_string_equal(options_config_path(&o, false, path, sizeof path), "");

    config_init(&c);
    strcpy(c.socket, "/of/the/file");
    assert_int_equal(PARSE(&o, why, "--state", "here"), 0);
    char expected[PATH_MAX + 8], cwd[PATH_MAX];
    assert_non_null(getcwd(cwd, sizeof cwd));
    snprintf(expected, sizeof expected, "%s/here", cwd);
    assert_int_equal(options_apply(&o, &c, false, why, sizeof why), 0);
    assert_string_equal(c.state, expected);
    assert_string_equal(c.socket, "/of/the/file");
}

static void test_nothing_left_to_lease(void **state)
{
    (void)state;
    options o;
    config c;
    char why[256] = "";
    config_init(&c);
    assert_int_equal(PARSE(&o, why, "--memory", "1M", "--set-aside", "1M"), 0);
    assert_int_equal(options_apply(&o, &c, true, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why,
                        "--set-aside 1.0M keeps all of the memory (1.0M, given by --memory): nothing would be left "
                        "to lease; give less");
    config_init(&c); /* given in the file, and more than there is */
    c.set_aside = GIB(100) * 1024;
    assert_int_equal(PARSE(&o, why, "--memory", "200T"), 0);
    assert_int_equal(options_apply(&o, &c, true, why, sizeof why), STATUS_INVALID);
    assert_non_null(strstr(why, "--set-aside 100T keeps all of the memory ("));
    assert_non_null(strstr(why, "all that this machine has"));
    config_init(&c);
    assert_int_equal(PARSE(&o, why, "--memory", "2M", "--set-aside", "1M"), 0);
    assert_int_equal(options_apply(&o, &c, true, why, sizeof why), 0);
}

static void test_no_home(void **state)
{
    (void)state;
    options o;
    config c;
    char why[256] = "";
    config_init(&c);
    unsetenv("HOME");
    unsetenv("XDG_STATE_HOME");
    assert_int_equal(PARSE(&o, why, "--memory", "2G"), 0);
    assert_int_equal(options_apply(&o, &c, false, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why, "no place for the state directory: give --state DIR, or set HOME to an absolute path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_defaults_and_who_wins),
        cmocka_unit_test(test_nothing_left_to_lease),
        cmocka_unit_test(test_no_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
