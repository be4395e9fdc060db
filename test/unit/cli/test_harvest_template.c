#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/status.h"
#include "cli/harvest/input.h"
#include "cli/harvest/template.h"

/* The line of one word with this input. */
static void expect_word(const char *word, const char *input, const char *expected)
{
    char *words[] = {"cmd", (char *)word};
    const harvest_fill fill = {.input = input, .seq = 7, .host = "barn"};
    harvest_template template;
    char **argv;

    assert_int_equal(harvest_template_parse(words, 2, false, &template), 0);
    assert_int_equal(harvest_template_fill(&template, &fill, &argv), 0);
    assert_string_equal(argv[0], "cmd");
    assert_string_equal(argv[1], expected);
    assert_null(argv[2]);
    free(argv);
    harvest_template_finish(&template);
}

static void test_each_replacement(void **state)
{
    (void)state;
    expect_word("{}", "a/b.tar.gz", "a/b.tar.gz");
    expect_word("{.}", "a/b.tar.gz", "a/b.tar");
    expect_word("{/}", "a/b.tar.gz", "b.tar.gz");
    expect_word("{//}", "a/b.tar.gz", "a");
    expect_word("{/.}", "a/b.tar.gz", "b.tar");
    expect_word("{#}", "a", "7");
    expect_word("{host}", "a", "barn");
    expect_word("x{}y{}z", "-", "x-y-z");
    expect_word("{{}}", "a", "{a}");
    expect_word("{}{#}", "", "7");
    expect_word("{}", "{}", "{}");
    expect_word("{//}/{/.}.xz", "d/e.txt", "d/e.xz");
}

static void test_paths_with_corners(void **state)
{
    (void)state;
    expect_word("{.}", "a.b/c", "a.b/c");
    expect_word("{.}", ".profile", ".profile");
    expect_word("{.}", "d/.profile", "d/.profile");
    expect_word("{.}", "x.", "x");
    expect_word("{.}", "", "");
    expect_word("{.}", ".", ".");
    expect_word("{/}", "a/b/", "b");
    expect_word("{/}", "/", "/");
    expect_word("{/}", "///", "/");
    expect_word("{/}", "", "");
    expect_word("{//}", "name", ".");
    expect_word("{//}", "", ".");
    expect_word("{//}", "/name", "/");
    expect_word("{//}", "//name", "/");
    expect_word("{//}", "a//b", "a");
    expect_word("{//}", "/", "/");
    expect_word("{/.}", "d.e/f", "f");
    expect_word("{}", "new\nline 'and' \"quotes\" $x \xff", "new\nline 'and' \"quotes\" $x \xff");
}

static void test_input_is_appended(void **state)
{
    char *words[] = {"cmd", "{x}", "{"};
    const harvest_fill fill = {.input = "in put", .seq = 1, .host = "barn"};
    harvest_template template;
    char **argv, *line;

    (void)state;
    assert_int_equal(harvest_template_parse(words, 3, false, &template), 0);
    assert_int_equal(harvest_template_fill(&template, &fill, &argv), 0);
    assert_string_equal(argv[1], "{x}");
    assert_string_equal(argv[2], "{");
    assert_string_equal(argv[3], "in put");
    assert_null(argv[4]);
    assert_int_equal(harvest_template_line(&template, argv, &line), 0);
    assert_string_equal(line, "cmd '{x}' '{' 'in put'");
    free(line);
    free(argv);
    harvest_template_finish(&template);
}

static void test_empty_words_stay(void **state)
{
    char *words[] = {"cmd", "", "{}", ""};
    const harvest_fill fill = {.input = "", .seq = 1, .host = ""};
    harvest_template template;
    char **argv, *line;

    (void)state;
    assert_int_equal(harvest_template_parse(words, 4, false, &template), 0);
    assert_int_equal(harvest_template_fill(&template, &fill, &argv), 0);
    for (int i = 1; i <= 3; i++)
        assert_string_equal(argv[i], "");
    assert_null(argv[4]);
    assert_int_equal(harvest_template_line(&template, argv, &line), 0);
    assert_string_equal(line, "cmd '' '' ''");
    free(line);
    free(argv);
    harvest_template_finish(&template);
}

static void test_shell_quotes_inputs_only(void **state)
{
    char *words[] = {"xz <{}", ">{.}.xz"};
    const harvest_fill fill = {.input = "it's $(rm).txt", .seq = 3, .host = "barn"};
    harvest_template template;
    char **argv, *line;

    (void)state;
    assert_int_equal(harvest_template_parse(words, 2, true, &template), 0);
    assert_int_equal(harvest_template_fill(&template, &fill, &argv), 0);
    assert_string_equal(argv[0], "/bin/sh");
    assert_string_equal(argv[1], "-c");
    assert_string_equal(argv[2], "xz <'it'\\''s $(rm).txt' >'it'\\''s $(rm)'.xz");
    assert_null(argv[3]);
    assert_int_equal(harvest_template_line(&template, argv, &line), 0);
    assert_string_equal(line, argv[2]);
    free(line);
    free(argv);
    harvest_template_finish(&template);
}

/* What the shell makes of a quoted input is the input, whatever its bytes. */
static void test_shell_sees_what_was_given(void **state)
{
    char input[256], *words[] = {"printf %s {}"}, read_back[256];
    const harvest_fill fill = {.input = input, .seq = 1, .host = "barn"};
    harvest_template template;
    char **argv;
    FILE *pipe;
    size_t n;

    (void)state;
    for (int i = 1; i < 256; i++)
        input[i - 1] = (char)i;
    input[255] = '\0';
    assert_int_equal(harvest_template_parse(words, 1, true, &template), 0);
    assert_int_equal(harvest_template_fill(&template, &fill, &argv), 0);
    pipe = popen(argv[2], "r");
    assert_non_null(pipe);
    n = fread(read_back, 1, sizeof read_back, pipe);
    assert_int_equal(pclose(pipe), 0);
    assert_int_equal(n, 255);
    assert_memory_equal(read_back, input, 255);
    free(argv);
    harvest_template_finish(&template);
}

static void test_too_long(void **state)
{
    char *input = malloc(HARVEST_INPUT_MAX + 1), *words[] = {"cmd", "{}{}"}, *whole[] = {"cmd"};
    const harvest_fill fill = {.input = input, .seq = 1, .host = "barn"};
    harvest_template template;
    char **argv = NULL;

    (void)state;
    memset(input, 'a', HARVEST_INPUT_MAX);
    input[HARVEST_INPUT_MAX] = '\0';
    assert_int_equal(harvest_template_parse(words, 2, false, &template), 0);
    assert_int_equal(harvest_template_fill(&template, &fill, &argv), STATUS_LIMIT);
    assert_null(argv);
    harvest_template_finish(&template);
    assert_int_equal(harvest_template_parse(whole, 1, false, &template), 0);
    assert_int_equal(harvest_template_fill(&template, &fill, &argv), 0);
    assert_int_equal(strlen(argv[1]), HARVEST_INPUT_MAX);
    free(argv);
    harvest_template_finish(&template);
    free(input);
}

static void test_no_command(void **state)
{
    char *words[] = {""};
    harvest_template template;

    (void)state;
    assert_int_equal(harvest_template_parse(words, 0, false, &template), STATUS_INVALID);
    assert_int_equal(harvest_template_parse(words, 1, false, &template), STATUS_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_replacement),
        cmocka_unit_test(test_paths_with_corners),
        cmocka_unit_test(test_input_is_appended),
        cmocka_unit_test(test_empty_words_stay),
        cmocka_unit_test(test_shell_quotes_inputs_only),
        cmocka_unit_test(test_shell_sees_what_was_given),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_no_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
