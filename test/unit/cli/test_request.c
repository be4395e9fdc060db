/* request: the defaults of what a person leaves out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/request.h"

static void fills_defaults(void **state)
{
    (void)state;
    granary_request r;
    request_fill(&(request_options){.chunk_size = 5}, "/usr/bin/xz", &r);
    assert_string_equal(r.label, "xz");
    assert_int_equal(r.chunk_size, 5);
    assert_int_equal(r.want, 1);
    assert_int_equal(r.min, 1);
    assert_int_equal(r.flags, 0);
    assert_int_equal(r.wait_ms, 0);
    assert_null(r.hosts);
    request_fill(
        &(request_options){.chunks = 3, .now = true, .timeout_ms = 9, .label = "l/x", .hosts = "h", .priority = -1},
        "a/", &r);
    assert_string_equal(r.label, "l/x");
    assert_int_equal(r.want, 3);
    assert_int_equal(r.min, 3);
    assert_int_equal(r.flags, GRANARY_NO_WAIT);
    assert_int_equal(r.wait_ms, 9);
    assert_int_equal(r.priority, -1);
    assert_string_equal(r.hosts, "h");
}

static void labels_fit_the_books(void **state)
{
    (void)state;
    char to[REQUEST_LABEL_MAX], hundred[101] = {0};
    memset(hundred, 'x', 100);
    assert_string_equal(request_label("/usr/bin/xz", to), "xz");
    assert_string_equal(request_label("zcat {} | sort >/tmp/{/.}", to), "zcat");
    assert_string_equal(request_label("  ./a/", to), "./a/");
    assert_string_equal(request_label("a\033b", to), "a\\x1bb");
    assert_string_equal(request_label("", to), "command");
    assert_string_equal(request_label(" ", to), "command");
    assert_int_equal(strlen(request_label(hundred, to)), 63);
}

static void has_every_option_once(void **state)
{
    (void)state;
    request_options r;
    option table[REQUEST_OPTIONS + REQUEST_WAIT_OPTIONS];
    assert_int_equal(request_table(&r, table), REQUEST_OPTIONS);
    assert_int_equal(request_wait_table(&r, table + REQUEST_OPTIONS), REQUEST_WAIT_OPTIONS);
    for (size_t i = 0; i < REQUEST_OPTIONS + REQUEST_WAIT_OPTIONS; i++)
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(table[i].name, table[k].name);
            assert_true(!table[i].letter || table[i].letter != table[k].letter);
        }
}

static void says_more_where_the_options_do(void **state)
{
    (void)state;
    assert_string_equal(
        request_why(&(request_options){.priority = 1}, GRANARY_E_DENIED, "denied"),
        "a --priority above 0 is for the operator (root, or the broker's own user): leave it out, or give "
        "less");
    assert_string_equal(request_why(&(request_options){.priority = 0}, GRANARY_E_DENIED, "denied"), "denied");
    assert_string_equal(request_why(&(request_options){.priority = 1}, GRANARY_E_NEVER, "never"), "never");
    assert_string_equal(request_why(&(request_options){.priority = 0}, GRANARY_E_NEVER, ""),
                        granary_status_text(GRANARY_E_NEVER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fills_defaults), cmocka_unit_test(labels_fit_the_books),
                                       cmocka_unit_test(has_every_option_once),
                                       cmocka_unit_test(says_more_where_the_options_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
