/* table: aligned, cut to the width, safe for the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "cli/table.h"

static const table_column columns[] = {{"NAME", TABLE_LEFT}, {"SIZE", TABLE_RIGHT}, {"WHY", TABLE_LEFT}};

/* What the table prints; to be freed. */
static char *printed(const table *t, unsigned indent, unsigned width)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    assert_int_equal(table_print(t, f, indent, width), 0);
    fclose(f);
    return text;
}

static table *filled(void)
{
    table *t;
    assert_int_equal(table_create(&t, columns, 3), 0);
    table_cell(t, "%s", "a");
    table_size(t, 1536ull << 20);
    table_cell(t, "%s", "because");
    table_cell(t, "%s", "lönger");
    table_size(t, 0);
    table_cell(t, "%s", "");
    return t;
}

static void aligns(void **state)
{
    (void)state;
    table *t = filled();
    char *text = printed(t, 2, 0);
    assert_string_equal(text, "  NAME    SIZE  WHY\n"
                              "  a       1.5G  because\n"
                              "  lönger     -\n");
    free(text);
    table_destroy(t);
}

static void cuts_to_the_width(void **state)
{
    (void)state;
    table *t = filled();
    char *text = printed(t, 0, 18);
    assert_string_equal(text, "NAME    SIZE  WHY\n"
                              "a       1.5G  bec…\n"
                              "lönger     -\n");
    free(text);
    table_destroy(t);
}

static void shows_nothing_raw(void **state)
{
    (void)state;
    table *t;
    assert_int_equal(table_create(&t, columns, 3), 0);
    table_cell(t, "%s", "\033[2J\n\xff");
    table_count(t, 12);
    table_cell(t, "%s", "");
    char *text = printed(t, 0, 0);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "\\x1b[2J\\n\\xff"));
    free(text);
    table_destroy(t);
}

static void empty_prints_nothing(void **state)
{
    (void)state;
    table *t;
    assert_int_equal(table_create(&t, columns, 3), 0);
    char *text = printed(t, 0, 0);
    assert_string_equal(text, "");
    free(text);
    table_destroy(t);
    table_destroy(NULL);
}

static void lies_down_where_it_is_narrow(void **state)
{
    (void)state;
    table *t = filled();
    const char *standing = "NAME    SIZE  WHY\n"
                           "a       1.5G  because\n"
                           "lönger     -\n",
               *lying = "NAME        a  lönger\n"
                        "SIZE     1.5G       -\n"
                        "WHY   because        \n";
    const struct {
        unsigned width;
        const char *text;
    } cases[] = {{0, standing}, {21, standing}, {20, lying}, {1, lying}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        assert_non_null(f);
        assert_int_equal(table_print_whole(t, f, cases[i].width), 0);
        fclose(f);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
    table_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(aligns), cmocka_unit_test(cuts_to_the_width),
                                       cmocka_unit_test(shows_nothing_raw), cmocka_unit_test(empty_prints_nothing),
                                       cmocka_unit_test(lies_down_where_it_is_narrow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
