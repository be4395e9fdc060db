#include "cmocka_all.h"

#include "base/size.h"
#include "base/status.h"
#include "daemon/quantity.h"

static void test_count(void **state)
{
    (void)state;
    char why[128] = "";
    uint64_t n = 77;
    assert_int_equal(quantity_count("10", 1, 10, why, sizeof why, &n), 0);
    assert_int_equal(n, 10);
    const char *wrong[] = {"", "-1", "+1", " 1", "11", "0", "1x", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(quantity_count(wrong[i], 1, 10, why, sizeof why, &n), STATUS_INVALID);
        assert_int_equal(n, 10);
    }
    assert_string_equal(why, "\"99999999999999999999999\" is not a whole number from 1 to 10");
}

static void test_exact_forms_read_back(void **state)
{
    (void)state;
    char text[QUANTITY_TEXT_MAX], why[SIZE_WHY_MAX];
    assert_string_equal(quantity_bytes(MIB(700), text), "700M");
    assert_string_equal(quantity_bytes(4097, text), "4097");
    assert_string_equal(quantity_bytes(0, text), "0");
    assert_string_equal(quantity_span(90000, text), "90s");
    assert_string_equal(quantity_span(1500, text), "1500ms");
    assert_string_equal(quantity_span(7200000, text), "2h");
    const uint64_t values[] = {1, 1023, KIB(3), MIB(1) + 1, GIB(5), GIB(1024), 12345678901234};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint64_t back = 0;
        assert_int_equal(size_parse(quantity_bytes(values[i], text), why, sizeof why, &back), 0);
        assert_int_equal(back, values[i]);
        assert_int_equal(duration_parse(quantity_span(values[i], text), why, sizeof why, &back), 0);
        assert_int_equal(back, values[i]);
    }
}

static void test_clean(void **state)
{
    (void)state;
    char to[8];
    quantity_clean(to, sizeof to, "a\nb\x1b[");
    assert_string_equal(to, "a?b?[");
    quantity_clean(to, sizeof to, "12345\xc3\xa4zz"); /* the two bytes of one character fill it to the brim */
    assert_string_equal(to, "12345\xc3\xa4");
    quantity_clean(to, sizeof to, "123456\xc3\xa4");
    assert_string_equal(to, "123456");
    quantity_clean(to, sizeof to, "\xff\xc3");
    assert_string_equal(to, "??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_exact_forms_read_back),
        cmocka_unit_test(test_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
