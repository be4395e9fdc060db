/*
 * size.c - one reader of decimal numbers serves sizes and spans: exact integers of 128 bits, so that no rounding of
 * floating point can move a byte.
 */
#include "base/size.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"

typedef unsigned __int128 wide;

#define FRACTION_DIGITS 9u /* further ones are read and have no weight */

/* A decimal number as it stands in the text: whole + fraction / scale. */
typedef struct {
    wide whole;
    uint64_t fraction, scale;
    bool has_point;
} decimal;

static int explain(char *why, size_t why_size, const char *text, const char *what)
{
    char quoted[64];
    if (why && why_size > 0) {
        bool whole = text_escape(quoted, sizeof quoted, text);
        snprintf(why, why_size, "\"%s%s\" %s", quoted, whole ? "" : "...", what);
    }
    return STATUS_INVALID;
}

/* Reads digits[.digits] at *at and moves it on. False when there is no number; one that is too large stays at the
 * largest, far above 64 bits. */
static bool read_decimal(const char **at, decimal *ret)
{
    decimal d = {.scale = 1};
    const wide most = (wide)1 << 100;
    unsigned digits = 0, places = 0;
    const char *s = *at;
    for (; *s >= '0' && *s <= '9'; s++, digits++)
        d.whole = d.whole >= most ? most : d.whole * 10 + (unsigned)(*s - '0');
    if (*s == '.') {
        d.has_point = true;
        for (s++; *s >= '0' && *s <= '9'; s++, places++)
            if (places < FRACTION_DIGITS) {
                d.fraction = d.fraction * 10 + (unsigned)(*s - '0');
                d.scale *= 10;
            }
        if (places == 0)
            return false;
    }
    if (digits == 0)
        return false;
    *at = s;
    *ret = d;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The power of 1024 that the text names, as a shift; -1 when it names none. */
static int unit_shift(const char *text)
{
    static const char units[] = "kmgt";
    int shift = 0;
    const char *at = *text ? strchr(units, lower(*text)) : NULL;
    if (at) {
        shift = 10 * ((int)(at - units) + 1);
        text++;
        if (lower(text[0]) == 'i' && lower(text[1]) == 'b')
            text++;
    }
    if (lower(*text) == 'b')
        text++;
    return *text == 0 ? shift : -1;
}

int size_parse(const char *text, char *why, size_t why_size, bytes_t *ret)
{
    const char *at = text;
    decimal d;
    if (*text == 0)
        return explain(why, why_size, text, "is no size: write one such as 700M or 1.5G");
    if (*text == '-')
        return explain(why, why_size, text, "is negative: write a size such as 700M or 1.5G");
    if (!read_decimal(&at, &d))
        return explain(why, why_size, text, "is no size: write a number and K, M, G or T, such as 700M or 1.5G");
    int shift = unit_shift(at);
    if (shift < 0)
        return explain(why, why_size, text, "has an unknown unit: write K, M, G or T, such as 700M or 1.5G");
    if (shift == 0 && d.has_point)
        return explain(why, why_size, text, "is a fraction of a byte: add K, M, G or T, such as 1.5G");
    wide bytes = d.whole > UINT64_MAX ? d.whole : (d.whole << shift) + ((wide)d.fraction << shift) / d.scale;
    if (bytes > UINT64_MAX)
        return explain(why, why_size, text, "is too large: the most is 16777215T");
    *ret = (bytes_t)bytes;
    return 0;
}

int size_parse_positive(const char *text, char *why, size_t why_size, bytes_t *ret)
{
    bytes_t bytes;
    int r = size_parse(text, why, why_size, &bytes);
    if (r < 0)
        return r;
    if (bytes == 0)
        return explain(why, why_size, text, "is nothing: write a size above 0, such as 700M");
    *ret = bytes;
    return 0;
}

char *size_format(bytes_t size, char to[SIZE_TEXT_MAX])
{
    static const char *const units[] = {"", "K", "M", "G", "T"};
    unsigned u = 0;
    while (u < 4 && size >> (10 * (u + 1)))
        u++;
    bytes_t unit = (bytes_t)1 << (10 * u);
    bytes_t below = u ? unit >> 10 : 1;
    bool tenths_are_exact = u > 0 && (wide)size * 10 % unit == 0;
    if (!tenths_are_exact && size % below == 0 && size / below < 10000) {
        snprintf(to, SIZE_TEXT_MAX, "%llu%s", (unsigned long long)(size / below), units[u ? u - 1 : 0]);
        return to;
    }
    wide tenths = ((wide)size * 10 + unit / 2) / unit;
    if (tenths >= 10240 && u < 4) {
        u++;
        tenths = 10;
    }
    unsigned long long whole = (unsigned long long)(tenths / 10), tenth = (unsigned long long)(tenths % 10);
    if (tenth == 0 && whole >= 10)
        snprintf(to, SIZE_TEXT_MAX, "%llu%s", whole, units[u]);
    else
        snprintf(to, SIZE_TEXT_MAX, "%llu.%llu%s", whole, tenth, units[u]);
    return to;
}

/* Milliseconds of the unit at *at, which is moved on; 0 when there is none. */
static uint64_t span_unit(const char **at)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);
        if (strncmp(*at, units[i].name, n) == 0) {
            *at += n;
            return units[i].ms;
        }
    }
    return 0;
}

int duration_parse(const char *text, char *why, size_t why_size, ms_t *ret)
{
    const char *at = text;
    wide sum = 0;
    if (*text == '-')
        return explain(why, why_size, text, "is negative: write a time such as 500ms, 10s or 5m");
    do {
        decimal d;
        if (!read_decimal(&at, &d))
            return explain(why, why_size, text, "is no time: write a number and ms, s, m, h or d, such as 10s");
        bool plain = *at == 0 && sum == 0;
        uint64_t unit = plain ? 1000 : span_unit(&at);
        if (unit == 0)
            return explain(why, why_size, text, "has an unknown unit: write ms, s, m, h or d, such as 10s");
        if (d.whole > UINT64_MAX)
            return explain(why, why_size, text, "is too long");
        sum += d.whole * unit + (wide)d.fraction * unit / d.scale;
        if (sum >= MS_NEVER)
            return explain(why, why_size, text, "is too long");
    } while (*at);
    *ret = (ms_t)sum;
    return 0;
}

char *duration_format(ms_t span, char to[DURATION_TEXT_MAX])
{
    unsigned long long ms = span, s = span / 1000, m = s / 60, h = m / 60, d = h / 24;
    if (span == MS_NEVER)
        snprintf(to, DURATION_TEXT_MAX, "never");
    else if (s == 0)
        snprintf(to, DURATION_TEXT_MAX, "%llums", ms);
    else if (m == 0 && ms % 1000 >= 100)
        snprintf(to, DURATION_TEXT_MAX, "%llu.%llus", s, ms % 1000 / 100);
    else if (m == 0)
        snprintf(to, DURATION_TEXT_MAX, "%llus", s);
    else if (h == 0)
        snprintf(to, DURATION_TEXT_MAX, s % 60 ? "%llum%02llus" : "%llum", m, s % 60);
    else if (d == 0)
        snprintf(to, DURATION_TEXT_MAX, m % 60 ? "%lluh%02llum" : "%lluh", h, m % 60);
    else
        snprintf(to, DURATION_TEXT_MAX, h % 24 ? "%llud%lluh" : "%llud", d, h % 24);
    return to;
}
