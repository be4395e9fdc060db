/* Which claims only one of books and agent knows, and for how long. */
#include "cmocka_all.h"

#include "base/status.h"
#include "daemon/collect.h"

static void fill(collect_set *s, const uint64_t *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(collect_set_add(s, items[i]), 0);
}

#define FILL(s, ...) fill(s, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static void test_a_set_is_ascending_and_holds_each_once(void **state)
{
    (void)state;
    collect_set s = {0};
    FILL(&s, 5, 1, 9, 5, 1, UINT64_MAX);
    assert_int_equal(s.n, 4);
    assert_true(s.items[0] == 1 && s.items[1] == 5 && s.items[2] == 9 && s.items[3] == UINT64_MAX);
    for (uint64_t gen = 100; gen > 20; gen--)
        assert_int_equal(collect_set_add(&s, gen), 0);
    assert_int_equal(s.n, 84);
    for (uint32_t i = 1; i < s.n; i++)
        assert_true(s.items[i - 1] < s.items[i]);
    collect_set_finish(&s);
    assert_int_equal(s.n, 0);
}

static void test_the_difference_is_of_both_sides(void **state)
{
    (void)state;
    collect_set books = {0}, told = {0}, differs = {0};
    FILL(&books, 1, 2, 3, 7);
    FILL(&told, 2, 3, 4, 8, 9);
    assert_int_equal(collect_difference(&books, &told, &differs), 0);
    assert_int_equal(differs.n, 5);
    assert_true(differs.items[0] == 1 && differs.items[1] == 4 && differs.items[2] == 7 && differs.items[3] == 8 &&
                differs.items[4] == 9);
    collect_set same = {0}, none = {0};
    assert_int_equal(collect_difference(&books, &books, &same), 0);
    assert_int_equal(same.n, 0);
    assert_int_equal(collect_difference(&none, &none, &same), 0);
    assert_int_equal(same.n, 0);
    collect_set_finish(&books);
    collect_set_finish(&told);
    collect_set_finish(&differs);
}

static void test_only_what_lasts_counts(void **state)
{
    (void)state;
    collect_set before = {0}, now = {0}, none = {0};
    uint64_t gen = 77;
    FILL(&before, 1, 4, 6);
    FILL(&now, 2, 5, 7);
    assert_false(collect_common(&before, &now, &gen));
    assert_false(collect_common(&before, &none, &gen));
    assert_true(gen == 77);
    FILL(&now, 4, 6);
    assert_true(collect_common(&before, &now, &gen));
    assert_true(gen == 4);
    collect_set_finish(&before);
    collect_set_finish(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_is_ascending_and_holds_each_once),
        cmocka_unit_test(test_the_difference_is_of_both_sides),
        cmocka_unit_test(test_only_what_lasts_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
