/* commands: names are found, near ones offered, exit codes kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"
#include "cli/exits.h"

static void finds(void **state)
{
    (void)state;
    assert_string_equal(command_find("run")->name, "run");
    assert_null(command_find("ru"));
    assert_string_equal(command_nearest("statsu"), "status");
    assert_null(command_nearest("frobnicate"));
    for (size_t i = 0; i < commands_count; i++) {
        assert_ptr_equal(command_find(commands[i].name), &commands[i]);
        assert_int_equal(strncmp(commands[i].usage, commands[i].name, strlen(commands[i].name)), 0);
    }
}

static int granary(char **words)
{
    int n = 0;
    while (words[n])
        n++;
    return command_main(n, words);
}
#define GRANARY(...) granary((char *[]){"granary", __VA_ARGS__, NULL})

static void refuses_nonsense(void **state)
{
    (void)state;
    assert_int_equal(granary((char *[]){"granary", NULL}), EXIT_USAGE);
    assert_int_equal(GRANARY("nosuch"), EXIT_USAGE);
    assert_int_equal(GRANARY("--nosuch"), EXIT_USAGE);
    assert_int_equal(GRANARY("--json", "version"), EXIT_USAGE);
    assert_int_equal(GRANARY("status", "more"), EXIT_USAGE);
    assert_int_equal(GRANARY("drain"), EXIT_USAGE);
    assert_int_equal(GRANARY("release", "x"), EXIT_USAGE);
    assert_int_equal(GRANARY("release", "0"), EXIT_USAGE);
    assert_int_equal(GRANARY("run", "-m", "1G"), EXIT_USAGE);
    assert_int_equal(GRANARY("run", "-m", "0", "true"), EXIT_USAGE);
    assert_int_equal(GRANARY("claim", "-m", "1G"), EXIT_USAGE);
    assert_int_equal(GRANARY("claim", "--pid", "4294967295"), EXIT_USAGE);
    assert_int_equal(GRANARY("plan", "-n", "3", "-j", "2"), EXIT_USAGE);
    assert_int_equal(GRANARY("up", "--memory", "0"), EXIT_USAGE);
    assert_int_equal(GRANARY("up", "--log", "/x"), EXIT_USAGE);
    assert_int_equal(GRANARY("help", "nosuch"), EXIT_USAGE);
}

static void helps_with_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < commands_count; i++)
        assert_int_equal(GRANARY("help", (char *)commands[i].name), EXIT_DONE);
    assert_int_equal(GRANARY("--help"), EXIT_DONE);
    assert_int_equal(GRANARY("--version"), EXIT_DONE);
    assert_int_equal(GRANARY("version"), EXIT_DONE);
}

static void says_that_there_is_no_broker(void **state)
{
    (void)state;
    static const char *const names[] = {"status", "hosts", "allocations", "queue", "log", "snapshot", "check"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(GRANARY("--socket", "/nonexistent/socket", (char *)names[i]), EXIT_NO_BROKER);
    assert_int_equal(GRANARY("--socket", "/nonexistent/socket", "drain", "h"), EXIT_NO_BROKER);
    assert_int_equal(GRANARY("--socket", "/nonexistent/socket", "release", "1"), EXIT_NO_BROKER);
    assert_int_equal(GRANARY("--socket", "/nonexistent/socket", "plan", "-m", "1G"), EXIT_NO_BROKER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds), cmocka_unit_test(refuses_nonsense),
                                       cmocka_unit_test(helps_with_each),
                                       cmocka_unit_test(says_that_there_is_no_broker)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
