#include "cmocka_all.h"

#include <fcntl.h>

#include "base/status.h"
#include "daemon/log.h"

static int saved;

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
    assert_null(log_at(l, 0));
    for (unsigned i = 0; i < LOG_LINES + 5; i++)
        log_write(l, LOG_INFO, "n=%u", i);
    assert_string_equal(log_at(l, 0)->text, "n=2004");
    assert_string_equal(log_at(l, LOG_LINES - 1)->text, "n=5");
    assert_null(log_at(l, LOG_LINES));
    log_write(l, LOG_DEBUG, "not wanted");
    assert_string_equal(log_at(l, 0)->text, "n=2004");
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
    assert_string_equal(log_at(l, 0)->text, "label=\"a\\\"\\x0a\\x1b[2J\\\\\" x");
    assert_int_equal(log_at(l, 0)->level, LOG_WARNING);
    char longer[2 * LOG_TEXT_MAX];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    log_write(l, LOG_INFO, "%s", longer);
    assert_true(strlen(log_at(l, 0)->text) < LOG_TEXT_MAX);
    log_destroy(l);
    log_destroy(NULL);
    log_write(NULL, LOG_ERROR, "dropped");
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
        cmocka_unit_test_setup_teardown(test_levels, quiet, loud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
