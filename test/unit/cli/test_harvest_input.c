#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/status.h"
#include "cli/harvest/input.h"

/* A pipe that the test feeds; `fds[1]` is its end. */
static void open_pipe(harvest_input *input, int fds[2], char delimiter)
{
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(harvest_input_open(input, fds[0], delimiter), 0);
}

static void close_pipe(harvest_input *input, int fds[2])
{
    harvest_input_finish(input);
    close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
}

static void feed(int fds[2], const char *bytes, size_t n)
{
    assert_int_equal(write(fds[1], bytes, n), n);
}

static void feed_end(int fds[2])
{
    close(fds[1]);
    fds[1] = -1;
}

static void expect_item(harvest_input *input, const char *text)
{
    harvest_item item;

    assert_int_equal(harvest_input_next(input, &item), INPUT_ITEM);
    assert_null(item.bad);
    assert_string_equal(item.text, text);
    assert_int_equal(item.length, strlen(text));
    free(item.text);
}

static void expect_bad(harvest_input *input, const char *word)
{
    harvest_item item;

    assert_int_equal(harvest_input_next(input, &item), INPUT_ITEM);
    assert_non_null(item.bad);
    assert_non_null(strstr(item.bad, word));
    assert_string_equal(item.text, "");
    free(item.text);
}

static void expect(harvest_input *input, int answer)
{
    harvest_item item;

    assert_int_equal(harvest_input_next(input, &item), answer);
}

static void test_words(void **state)
{
    char *words[] = {"a", "", "two words\nand a line", "\xff\xfe"};
    harvest_input input;

    (void)state;
    harvest_input_words(&input, words, 4);
    assert_int_equal(harvest_input_left(&input), 4);
    assert_int_equal(harvest_input_fd(&input), -1);
    expect_item(&input, "a");
    expect_item(&input, "");
    expect_item(&input, "two words\nand a line");
    assert_int_equal(harvest_input_left(&input), 1);
    expect_item(&input, "\xff\xfe");
    expect(&input, INPUT_END);
    expect(&input, INPUT_END);
    harvest_input_finish(&input);
}

static void test_no_words(void **state)
{
    harvest_input input;
    char *none[1] = {NULL};

    (void)state;
    harvest_input_words(&input, none, 0);
    expect(&input, INPUT_END);
    harvest_input_finish(&input);
}

static void test_word_that_is_too_long(void **state)
{
    char *words[] = {malloc(HARVEST_INPUT_MAX + 2), malloc(HARVEST_INPUT_MAX + 1)};
    harvest_input input;
    harvest_item item;

    (void)state;
    memset(words[0], 'x', HARVEST_INPUT_MAX + 1);
    words[0][HARVEST_INPUT_MAX + 1] = '\0';
    memset(words[1], 'x', HARVEST_INPUT_MAX);
    words[1][HARVEST_INPUT_MAX] = '\0';
    harvest_input_words(&input, words, 2);
    expect_bad(&input, "longer than");
    assert_int_equal(harvest_input_next(&input, &item), INPUT_ITEM);
    assert_int_equal(item.length, HARVEST_INPUT_MAX);
    free(item.text);
    free(words[0]);
    free(words[1]);
}

static void test_lines_as_they_arrive(void **state)
{
    harvest_input input;
    int fds[2];

    (void)state;
    open_pipe(&input, fds, '\n');
    assert_int_equal(harvest_input_left(&input), UINT64_MAX);
    expect(&input, INPUT_AGAIN);
    assert_int_equal(harvest_input_fd(&input), fds[0]);
    feed(fds, "one\nsec", 7);
    expect_item(&input, "one");
    expect(&input, INPUT_AGAIN);
    feed(fds, "ond\n\n\nthird\r\nlast", 17);
    expect_item(&input, "second");
    expect_item(&input, "third\r");
    expect(&input, INPUT_AGAIN);
    feed_end(fds);
    expect_item(&input, "last");
    expect(&input, INPUT_END);
    assert_int_equal(harvest_input_left(&input), 0);
    assert_int_equal(harvest_input_fd(&input), -1);
    close_pipe(&input, fds);
}

static void test_nul_ended(void **state)
{
    harvest_input input;
    int fds[2];

    (void)state;
    open_pipe(&input, fds, '\0');
    feed(fds, "a\nb\0\0 c \0", 8);
    feed(fds, "\0tail", 5);
    feed_end(fds);
    expect_item(&input, "a\nb");
    expect_item(&input, "");
    expect_item(&input, " c ");
    expect_item(&input, "tail");
    expect(&input, INPUT_END);
    close_pipe(&input, fds);
}

static void test_nothing_at_all(void **state)
{
    harvest_input input;
    int fds[2];

    (void)state;
    open_pipe(&input, fds, '\n');
    feed(fds, "\n\n", 2);
    feed_end(fds);
    expect(&input, INPUT_END);
    close_pipe(&input, fds);
}

static void test_line_with_nul(void **state)
{
    harvest_input input;
    int fds[2];

    (void)state;
    open_pipe(&input, fds, '\n');
    feed(fds, "a\0b\nc\n", 6);
    feed_end(fds);
    expect_bad(&input, "NUL");
    expect_item(&input, "c");
    expect(&input, INPUT_END);
    close_pipe(&input, fds);
}

/* Lines around the most that the kernel takes, each followed by a good one. */
static void test_long_lines(void **state)
{
    const size_t sizes[] = {HARVEST_INPUT_MAX, HARVEST_INPUT_MAX + 1, HARVEST_INPUT_MAX + 2, 1000000};
    char *bytes = malloc(1000010);
    char path[] = "/var/tmp/granary-test-XXXXXX";
    const int fd = mkstemp(path);
    harvest_input input;
    harvest_item item;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    memset(bytes, 'y', 1000000);
    for (size_t i = 0; i < 4; i++) {
        memcpy(bytes + sizes[i], "\nok\n", 4);
        assert_int_equal(write(fd, bytes, sizes[i] + 4), sizes[i] + 4);
        memset(bytes + sizes[i], 'y', 4);
    }
    assert_int_equal(write(fd, bytes, 500000), 500000); /* the last has no end, and is too long, too */
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(harvest_input_open(&input, fd, '\n'), 0);
    assert_int_equal(harvest_input_left(&input), 9);
    assert_int_equal(harvest_input_next(&input, &item), INPUT_ITEM);
    assert_int_equal(harvest_input_left(&input), 8);
    assert_int_equal(item.length, HARVEST_INPUT_MAX);
    free(item.text);
    expect_item(&input, "ok");
    for (size_t i = 1; i < 4; i++) {
        expect_bad(&input, "longer than");
        expect_item(&input, "ok");
    }
    expect_bad(&input, "longer than");
    expect(&input, INPUT_END);
    harvest_input_finish(&input);
    close(fd);
    free(bytes);
}

/* What is left of a file is known before it is read: from where it stands, and without its empty lines. */
static void test_file_is_counted(void **state)
{
    const struct {
        const char *bytes;
        size_t length;
        char delimiter;
        uint64_t inputs;
    } files[] = {{"", 0, '\n', 0},       {"\n\n", 2, '\n', 0},   {"a\nb\n", 4, '\n', 2}, {"a\n\nb", 4, '\n', 2},
                 {"a\0\0b", 4, '\0', 3}, {"a\nb\0", 4, '\0', 1}, {"\0", 1, '\0', 1}};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[] = "/var/tmp/granary-test-XXXXXX";
        const int fd = mkstemp(path);
        harvest_input input;
        harvest_item item;

        assert_int_equal(unlink(path), 0);
        assert_int_equal(write(fd, "skipped", 7), 7);
        assert_int_equal(write(fd, files[i].bytes, files[i].length), files[i].length);
        assert_int_equal(lseek(fd, 7, SEEK_SET), 7);
        assert_int_equal(harvest_input_open(&input, fd, files[i].delimiter), 0);
        for (uint64_t left = files[i].inputs; left > 0; left--) {
            assert_int_equal(harvest_input_left(&input), left);
            assert_int_equal(harvest_input_next(&input, &item), INPUT_ITEM);
            free(item.text);
        }
        assert_int_equal(harvest_input_left(&input), 0);
        expect(&input, INPUT_END);
        harvest_input_finish(&input);
        close(fd);
    }
}

static void test_folder_cannot_be_read(void **state)
{
    const int fd = open("/", O_RDONLY | O_CLOEXEC);
    harvest_input input;

    (void)state;
    assert_int_equal(harvest_input_open(&input, fd, '\n'), 0);
    expect(&input, STATUS_SYSTEM);
    harvest_input_finish(&input);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_no_words),
        cmocka_unit_test(test_word_that_is_too_long),
        cmocka_unit_test(test_lines_as_they_arrive),
        cmocka_unit_test(test_nul_ended),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_line_with_nul),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_file_is_counted),
        cmocka_unit_test(test_folder_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
