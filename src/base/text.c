/*
 * text.c - UTF-8 is read here once, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#include "base/text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the character at `from` (which does not start at the end), and the character; 0 when it is malformed. */
static unsigned read_character(const char *from, uint32_t *ret)
{
    const uint8_t *s = (const uint8_t *)from;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) {
        *ret = s[0];
        return 1;
    }
    unsigned bytes = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC0 || s[0] > 0xF4)
        return 0;
    uint32_t c = s[0] & (0x7Fu >> bytes);
    for (unsigned i = 1; i < bytes; i++) {
        if ((s[i] & 0xC0) != 0x80) /* also the text's end */
            return 0;
        c = c << 6 | (s[i] & 0x3Fu);
    }
    if (c < least[bytes] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *ret = c;
    return bytes;
}

static bool character_printable(uint32_t c)
{
    bool control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
    bool line_end = c == 0x2028 || c == 0x2029;
    bool direction =
        c == 0x200E || c == 0x200F || c == 0x061C || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return !control && !line_end && !direction;
}

bool text_copy(char *to, size_t size, const char *from)
{
    assert(size > 0);
    size_t n = strnlen(from, size);
    bool whole = n < size;
    if (!whole) {
        n = size - 1;
        while (n > 0 && ((uint8_t)from[n] & 0xC0) == 0x80)
            n--;
    }
    memmove(to, from, n);
    to[n] = 0;
    return whole;
}

bool text_printable(const char *text)
{
    while (*text) {
        uint32_t c;
        if (*text >= 0x20 && *text < 0x7F) { /* nearly always */
            text++;
            continue;
        }
        unsigned bytes = read_character(text, &c);
        if (bytes == 0 || !character_printable(c))
            return false;
        text += bytes;
    }
    return true;
}

/* Writes one byte's escape to `to`; returns its length, at most 4. */
static size_t escape_byte(char to[4], uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\n\t\r\\", letter[] = "ntr\\";
    const char *at = byte ? strchr(plain, byte) : NULL;
    to[0] = '\\';
    if (at) {
        to[1] = letter[at - plain];
        return 2;
    }
    to[1] = 'x';
    to[2] = hex[byte >> 4];
    to[3] = hex[byte & 15];
    return 4;
}

bool text_escape(char *to, size_t size, const char *text)
{
    assert(size > 0);
    size_t used = 0;
    while (*text) {
        char out[16];
        size_t n = 0;
        uint32_t c;
        unsigned bytes = read_character(text, &c);
        if (bytes > 0 && character_printable(c) && c != '\\') {
            memcpy(out, text, n = bytes);
        } else {
            bytes = bytes ? bytes : 1;
            for (unsigned i = 0; i < bytes; i++)
                n += escape_byte(out + n, (uint8_t)text[i]);
        }
        if (n >= size - used)
            break;
        memcpy(to + used, out, n);
        used += n;
        text += bytes;
    }
    to[used] = 0;
    return *text == 0;
}

const char *text_plural(uint64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}
