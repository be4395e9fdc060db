/* text: what comes from elsewhere is cut at characters and shown without effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

static void copies_what_fits(void **state)
{
    (void)state;
    char to[5];
    assert_true(text_copy(to, sizeof to, "abcd"));
    assert_string_equal(to, "abcd");
    assert_true(text_copy(to, sizeof to, ""));
    assert_string_equal(to, "");
    assert_false(text_copy(to, sizeof to, "abcde"));
    assert_string_equal(to, "abcd");
    assert_false(text_copy(to, 1, "a"));
    assert_string_equal(to, "");
}

static void cuts_between_characters(void **state)
{
    (void)state;
    char to[8];
    assert_false(text_copy(to, 4, "ab\xc3\xa9")); /* the last character needs one byte more */
    assert_string_equal(to, "ab");
    assert_true(text_copy(to, 5, "ab\xc3\xa9"));
    assert_string_equal(to, "ab\xc3\xa9");
    assert_false(text_copy(to, 4, "\xf0\x9f\x8c\xbe"));
    assert_string_equal(to, "");
}

static void tells_what_is_printable(void **state)
{
    (void)state;
    assert_true(text_printable(""));
    assert_true(text_printable("thumbnails \xc3\xa9 \xf0\x9f\x8c\xbe \\"));
    assert_false(text_printable("a\nb"));
    assert_false(text_printable("\x1b[31m"));
    assert_false(text_printable("\x7f"));
    assert_false(text_printable("\xc2\x9b"
                                "31m")); /* the one-character CSI */
    assert_false(text_printable("\xe2\x80\xae"
                                "cod.exe"));      /* right to left */
    assert_false(text_printable("\xe2\x80\xa8")); /* a line end */
    assert_false(text_printable("\xff"));
    assert_false(text_printable("\xc3"));     /* ends inside a character */
    assert_false(text_printable("\xc0\xaf")); /* overlong */
    assert_false(text_printable("\xe0\x80\xaf"));
    assert_false(text_printable("\xed\xa0\x80"));     /* half of a pair */
    assert_false(text_printable("\xf4\x90\x80\x80")); /* above U+10FFFF */
    assert_false(text_printable("\x80"));
}

static void escapes_what_is_not(void **state)
{
    (void)state;
    char to[64];
    assert_true(text_escape(to, sizeof to, "plain \xc3\xa9"));
    assert_string_equal(to, "plain \xc3\xa9");
    assert_true(text_escape(to, sizeof to, "a\nb\tc\rd\\e"));
    assert_string_equal(to, "a\\nb\\tc\\rd\\\\e");
    assert_true(text_escape(to, sizeof to, "\x1b[31mred\x07"));
    assert_string_equal(to, "\\x1b[31mred\\x07");
    assert_true(text_escape(to, sizeof to, "\xff\xc3"));
    assert_string_equal(to, "\\xff\\xc3");
    assert_true(text_escape(to, sizeof to,
                            "\xe2\x80\xae"
                            "x"));
    assert_string_equal(to, "\\xe2\\x80\\xaex");
}

static void escapes_are_never_cut_in_two(void **state)
{
    (void)state;
    char to[6];
    assert_false(text_escape(to, sizeof to, "ab\x1b\x1b"));
    assert_string_equal(to, "ab");
    assert_false(text_escape(to, sizeof to, "a\x1b\x1b"));
    assert_string_equal(to, "a\\x1b");
    assert_true(text_escape(to, sizeof to, "a\x1b"));
    assert_false(text_escape(to, 1, "a"));
    assert_string_equal(to, "");
}

/* Whatever the bytes are, what comes out is printable. */
static void every_pair_of_bytes_becomes_printable(void **state)
{
    (void)state;
    for (unsigned a = 1; a < 256; a++)
        for (unsigned b = 1; b < 256; b++) {
            char from[4] = {(char)a, (char)b, 'z', 0}, to[32];
            assert_true(text_escape(to, sizeof to, from));
            assert_true(text_printable(to));
        }
}

static void one_or_many(void **state)
{
    (void)state;
    assert_string_equal(text_plural(0, "chunk", "chunks"), "chunks");
    assert_string_equal(text_plural(1, "chunk", "chunks"), "chunk");
    assert_string_equal(text_plural(2, "chunk", "chunks"), "chunks");
    assert_string_equal(text_plural((1ull << 32) + 1, "chunk", "chunks"), "chunks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_what_fits),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(tells_what_is_printable),
        cmocka_unit_test(escapes_what_is_not),
        cmocka_unit_test(escapes_are_never_cut_in_two),
        cmocka_unit_test(every_pair_of_bytes_becomes_printable),
        cmocka_unit_test(one_or_many),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
