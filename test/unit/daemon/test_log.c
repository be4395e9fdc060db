#include "cmocka_all.h"

#include <fcntl.h>

#include "base/status.h"
#include "daemon/log.h"

static char text[LOG_TEXT_MAX];
static int saved;

/* The text of a kept line, or NULL. */
static const char *at(const log_book *l, uint32_t back)
{
    log_line line;
    return log_at(l, back, text, &line) ? line.text : NULL;
}

/* The lines go nowhere while a test runs: its own words still reach stderr. */
static int quiet(void **state)
{
    (void)state;
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    saved = dup(STDERR_FILENO);
    int r = dup2(nowhere, STDERR_FILENO);
    close(nowhere);
    return r < 0 ? -1 : 0;
}

static int loud(void **state)
{
    (void)state;
    int r = dup2(saved, STDERR_FILENO);
    close(saved);
    return r < 0 ? -1 : 0;
}

static void test_ring_keeps_the_last(void **state)
{
    (void)state;
    log_book *l = log_create("test", LOG_INFO);
    assert_null(at(l, 0));
    for (unsigned i = 0; i < LOG_LINES + 5; i++)
        log_write(l, LOG_INFO, "n=%u", i);
    assert_string_equal(at(l, 0), "n=2004");
    assert_string_equal(at(l, LOG_LINES - 1), "n=5");
    assert_null(at(l, LOG_LINES));
    log_write(l, LOG_DEBUG, "not wanted");
    assert_string_equal(at(l, 0), "n=2004");
    assert_false(log_wants(l, LOG_DEBUG));
    log_set_level(l, LOG_DEBUG);
    assert_true(log_wants(l, LOG_DEBUG));
    log_destroy(l);
}

static void test_hostile_text_stays_one_line(void **state)
{
    (void)state;
    log_book *l = log_create("test", LOG_INFO);
    char quoted[32];
    log_write(l, LOG_WARNING, "label=%s x", log_quote("a\"\n\x1b[2J\\", quoted, sizeof quoted));
    assert_string_equal(at(l, 0), "label=\"a\\\"\\x0a\\x1b[2J\\\\\" x");
    log_line line;
    assert_true(log_at(l, 0, text, &line));
    assert_int_equal(line.level, LOG_WARNING);
    char longer[2 * LOG_TEXT_MAX];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    log_write(l, LOG_INFO, "%s", longer);
    assert_true(strlen(at(l, 0)) < LOG_TEXT_MAX);
    log_destroy(l);
    log_destroy(NULL);
    log_write(NULL, LOG_ERROR, "dropped");
}

static void in_words(const void *data, char *to, size_t size)
{
    snprintf(to, size, "n=%d\n", *(const int *)data);
}

static void test_deferred_lines(void **state)
{
    (void)state;
    log_book *l = log_create("test", LOG_INFO);
    int *n = log_defer(l, LOG_INFO, 1234567890123, in_words);
    *n = 7;
    log_told(l);
    assert_null(log_defer(l, LOG_DEBUG, 1234567890124, in_words));
    assert_null(log_defer(NULL, LOG_ERROR, 1234567890124, in_words));
    assert_string_equal(at(l, 0), "n=7\\x0a");
    log_line line;
    assert_true(log_at(l, 0, text, &line));
    assert_int_equal(line.wall_ms, 1234567890123);
    assert_int_equal(line.level, LOG_INFO);
    assert_null(at(l, 1));
    log_destroy(l);
}

static void count(void *userdata, const log_line *line)
{
    assert_string_equal(line->text, "one");
    ++*(int *)userdata;
}

static void test_listener(void **state)
{
    (void)state;
    int n = 0;
    log_book *l = log_create("test", LOG_INFO);
    log_set_listener(l, count, &n);
    log_write(l, LOG_INFO, "one");
    log_write(l, LOG_DEBUG, "below");
    assert_int_equal(n, 1);
    log_destroy(l);
}

static void test_levels(void **state)
{
    (void)state;
    log_level level = LOG_INFO;
    assert_int_equal(log_level_parse("warning", &level), 0);
    assert_int_equal(level, LOG_WARNING);
    assert_int_equal(log_level_parse("loud", &level), STATUS_INVALID);
    assert_int_equal(level, LOG_WARNING);
    assert_string_equal(log_level_name(LOG_DEBUG), "debug");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring_keeps_the_last, quiet, loud),
        cmocka_unit_test_setup_teardown(test_hostile_text_stays_one_line, quiet, loud),
        cmocka_unit_test_setup_teardown(test_listener, quiet, loud),
        cmocka_unit_test_setup_teardown(test_deferred_lines, quiet, loud),
        cmocka_unit_test_setup_teardown(test_levels, quiet, loud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
