/* options: typed values in, clear refusals out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "cli/exits.h"
#include "cli/options.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

typedef struct {
    bool flag, other;
    const char *text;
    uint64_t size, time;
    uint32_t count;
    int32_t integer;
} values;

/* Parses `words` (ended by NULL); returns what options_parse() does. */
static int parse(values *v, command_call *call, char **words, unsigned flags)
{
    const option table[] = {
        {'f', "flag", OPTION_FLAG, &v->flag, NULL, "f"},
        {'g', "other", OPTION_FLAG, &v->other, NULL, "g"},
        {'t', "text", OPTION_TEXT, &v->text, "TEXT", "t"},
        {'m', "memory", OPTION_SIZE, &v->size, "SIZE", "m"},
        {'w', "wait", OPTION_TIME, &v->time, "TIME", "w"},
        {'n', "count", OPTION_COUNT, &v->count, "COUNT", "n"},
        {'p', "priority", OPTION_INTEGER, &v->integer, "NUMBER", "p"},
    };
    int n = 0;
    while (words[n])
        n++;
    *v = (values){0};
    *call = (command_call){.command = "test", .usage = "test", .argc = n, .argv = words, .reads = true};
    return options_parse(call, table, COUNT_OF(table), flags);
}

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

static void reads_every_form(void **state)
{
    (void)state;
    values v;
    command_call call;
    assert_int_equal(
        parse(&v, &call,
              WORDS("-fg", "-m700M", "--wait=1.5s", "-n", "3", "--priority", "-4", "-t", "--x", "a", "--json", "b"), 0),
        0);
    assert_true(v.flag && v.other && call.json);
    assert_int_equal(v.size, 700ull << 20);
    assert_int_equal(v.time, 1500);
    assert_int_equal(v.count, 3);
    assert_int_equal(v.integer, -4);
    assert_string_equal(v.text, "--x");
    assert_int_equal(call.argc, 2);
    assert_string_equal(call.argv[0], "a");
    assert_string_equal(call.argv[1], "b");
}

static void leaves_a_command_line_alone(void **state)
{
    (void)state;
    values v;
    command_call call;
    assert_int_equal(parse(&v, &call, WORDS("-f", "ls", "-g", "--text"), OPTIONS_STOP), 0);
    assert_true(v.flag && !v.other);
    assert_int_equal(call.argc, 3);
    assert_string_equal(call.argv[1], "-g");
    assert_int_equal(parse(&v, &call, WORDS("-f", "--", "-g"), OPTIONS_STOP), 0);
    assert_int_equal(call.argc, 1);
    assert_string_equal(call.argv[0], "-g");
    assert_null(call.argv[1]);
    assert_int_equal(parse(&v, &call, WORDS("a", "--", "-g"), 0), 0);
    assert_int_equal(call.argc, 2);
    assert_false(v.other);
    assert_int_equal(parse(&v, &call, WORDS("-"), 0), 0);
    assert_string_equal(call.argv[0], "-");
}

static void takes_the_socket_everywhere(void **state)
{
    (void)state;
    values v;
    command_call call;
    assert_int_equal(parse(&v, &call, WORDS("x", "--socket", "/s"), 0), 0);
    assert_string_equal(call.socket, "/s");
}

static void refuses(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"--nosuch"},
        {"-x"},
        {"--memory"},
        {"-m"},
        {"-m", "0"},
        {"-m", "-1"},
        {"-m", "x"},
        {"-m", "99999999999T"},
        {"-n", "0"},
        {"-n", "-3"},
        {"-n", "1.5"},
        {"-n", "4294967296"},
        {"-w", "0"},
        {"-w", "soon"},
        {"--flag=1"},
        {"-p", "1x"},
        {"-p", ""},
        {"--mem"},
        {"-m", "700"},
        {"-m", "3K"},
        {"-m", "--"},
        {"--count", "--", "3"},
        {"-p", "99999999999"},
    };
    values v;
    command_call call;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *words[4] = {(char *)rows[i][0], (char *)rows[i][1], (char *)rows[i][2], NULL};
        assert_int_equal(parse(&v, &call, words, 0), EXIT_USAGE + 1);
        assert_int_equal(v.size + v.count + v.time, 0);
    }
}

static void helps(void **state)
{
    (void)state;
    values v;
    command_call call;
    assert_int_equal(parse(&v, &call, WORDS("-h"), 0), EXIT_DONE + 1);
}

static void reads_counts(void **state)
{
    (void)state;
    char why[128];
    uint32_t n = 77;
    assert_int_equal(options_count_parse("4294967295", UINT32_MAX, &n, why, sizeof why), 0);
    assert_int_equal(n, UINT32_MAX);
    n = 77;
    assert_int_equal(options_count_parse("4294967296", UINT32_MAX, &n, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why, "'4294967296' is too large: the most is 4294967295");
    assert_int_equal(options_count_parse("4097", 4096, &n, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why, "'4097' is too large: the most is 4096");
    assert_int_equal(options_count_parse("99999999999999999999", 4096, &n, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why, "'99999999999999999999' is too large: the most is 4096");
    assert_int_equal(options_count_parse("-1", UINT32_MAX, &n, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why, "'-1' is negative");
    assert_int_equal(options_count_parse("", UINT32_MAX, &n, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why, "'' is not a whole number");
    assert_int_equal(n, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(leaves_a_command_line_alone),
        cmocka_unit_test(takes_the_socket_everywhere),
        cmocka_unit_test(refuses),
        cmocka_unit_test(helps),
        cmocka_unit_test(reads_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
