/* size: what people write, to the byte, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "base/status.h"

static void reads_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bytes_t bytes;
    } rows[] = {
        {"0", 0},
        {"4096", 4096},
        {"1B", 1},
        {"1K", 1024},
        {"700M", MIB(700)},
        {"700m", MIB(700)},
        {"700MB", MIB(700)},
        {"512MiB", MIB(512)},
        {"512mib", MIB(512)},
        {"1.5G", MIB(1536)},
        {"0.5K", 512},
        {"1.1G", 1181116006},
        {"2T", GIB(2048)},
        {"16777215T", (bytes_t)16777215 << 40},
        {"18446744073709551615", UINT64_MAX},
        {"1.0000000000000000000000000000001K", 1024},
        {"00000000000000000000000000000000000001K", 1024},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bytes_t bytes = 77;
        assert_int_equal(size_parse(rows[i].text, NULL, 0, &bytes), 0);
        assert_true(bytes == rows[i].bytes);
    }
}

static void refuses_with_a_sentence(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "\"\" is no size"},
        {"-5", "\"-5\" is negative"},
        {"-0", "\"-0\" is negative"},
        {"M", "\"M\" is no size"},
        {" 5M", "\" 5M\" is no size"},
        {"5M ", "\"5M \" has an unknown unit"},
        {"5X", "\"5X\" has an unknown unit"},
        {"5MM", "\"5MM\" has an unknown unit"},
        {"5Mi", "\"5Mi\" has an unknown unit"},
        {"5iB", "\"5iB\" has an unknown unit"},
        {"1.5", "\"1.5\" is a fraction of a byte"},
        {"1.G", "\"1.G\" is no size"},
        {".5G", "\".5G\" is no size"},
        {"1e9", "\"1e9\" has an unknown unit"},
        {"0x10", "\"0x10\" has an unknown unit"},
        {"+5", "\"+5\" is no size"},
        {"16777216T", "\"16777216T\" is too large"},
        {"18446744073709551616", "\"18446744073709551616\" is too large"},
        {"999999999999999999999999999999999999999999999999999999T", "\"99999999999999999999999999999999"},
        {"5\x1b[31m", "\"5\\x1b[31m\" has an unknown unit"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[SIZE_WHY_MAX] = "";
        bytes_t bytes = 77;
        assert_int_equal(size_parse(rows[i][0], why, sizeof why, &bytes), STATUS_INVALID);
        assert_true(bytes == 77);
        if (strncmp(why, rows[i][1], strlen(rows[i][1])) != 0)
            fail_msg("\"%s\" is answered: %s", rows[i][0], why);
    }
    char tiny[8];
    bytes_t bytes = 0;
    assert_int_equal(size_parse("nonsense", tiny, sizeof tiny, &bytes), STATUS_INVALID);
    assert_string_equal(tiny, "\"nonsen");
}

static void the_positive_reader_refuses_nothing(void **state)
{
    (void)state;
    char why[SIZE_WHY_MAX];
    bytes_t bytes = 77;
    assert_int_equal(size_parse_positive("0.0000001K", why, sizeof why, &bytes), STATUS_INVALID);
    assert_string_equal(why, "\"0.0000001K\" is nothing: write a size above 0, such as 700M");
    assert_int_equal(size_parse_positive("0G", why, sizeof why, &bytes), STATUS_INVALID);
    assert_int_equal(size_parse_positive("x", why, sizeof why, &bytes), STATUS_INVALID);
    assert_true(bytes == 77);
    assert_int_equal(size_parse_positive("1", why, sizeof why, &bytes), 0);
    assert_true(bytes == 1);
}

static void writes_sizes(void **state)
{
    (void)state;
    static const struct {
        bytes_t bytes;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1023, "1023"},
        {1024, "1.0K"},
        {1025, "1025"},
        {20001, "19.5K"},
        {MIB(700), "700M"},
        {GIB(2), "2.0G"},
        {MIB(1536), "1.5G"},
        {MIB(1100), "1100M"},
        {MIB(9999), "9999M"},
        {MIB(10001), "9.8G"},
        {GIB(23), "23G"},
        {GIB(1024), "1.0T"},
        {GIB(1024) - 1, "1.0T"},
        {UINT64_MAX, "16777216T"},
    };
    char to[SIZE_TEXT_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(size_format(rows[i].bytes, to), rows[i].text);
}

static void reads_spans(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ms_t ms;
    } rows[] = {
        {"0", 0},         {"10", 10000},  {"500ms", 500},     {"10s", 10000}, {"5m", 300000},     {"2h", 7200000},
        {"1d", 86400000}, {"1.5s", 1500}, {"1h30m", 5400000}, {"0.25", 250},  {"1m500ms", 60500},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ms_t ms = 77;
        assert_int_equal(duration_parse(rows[i].text, NULL, 0, &ms), 0);
        assert_true(ms == rows[i].ms);
    }
    static const char *const wrong[][2] = {
        {"", "\"\" is no time: write a number and ms, s, m, h or d, such as 10s"},
        {"-1s", "\"-1s\" is negative: write a time such as 500ms, 10s or 5m"},
        {"5x", "\"5x\" has an unknown unit: write ms, s, m, h or d, such as 10s"},
        {"5m3", "\"5m3\" has an unknown unit: write ms, s, m, h or d, such as 10s"},
        {"5 s", "\"5 s\" has an unknown unit: write ms, s, m, h or d, such as 10s"},
        {"18446744073709551615ms", "\"18446744073709551615ms\" is too long"},
        {"99999999999999999999999d", "\"99999999999999999999999d\" is too long"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char why[SIZE_WHY_MAX] = "";
        ms_t ms = 77;
        assert_int_equal(duration_parse(wrong[i][0], why, sizeof why, &ms), STATUS_INVALID);
        assert_string_equal(why, wrong[i][1]);
        assert_true(ms == 77);
    }
}

static void writes_spans(void **state)
{
    (void)state;
    static const struct {
        ms_t ms;
        const char *text;
    } rows[] = {
        {0, "0ms"},          {999, "999ms"},
        {1000, "1s"},        {1099, "1s"},
        {3250, "3.2s"},      {59999, "59.9s"},
        {60000, "1m"},       {330000, "5m30s"},
        {7200000, "2h"},     {7500000, "2h05m"},
        {273600000, "3d4h"}, {259200000, "3d"},
        {MS_NEVER, "never"}, {MS_NEVER - 1, "213503982334d14h"},
    };
    char to[DURATION_TEXT_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(duration_format(rows[i].ms, to), rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(refuses_with_a_sentence),
        cmocka_unit_test(the_positive_reader_refuses_nothing),
        cmocka_unit_test(writes_sizes),
        cmocka_unit_test(reads_spans),
        cmocka_unit_test(writes_spans),
    };
    return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
