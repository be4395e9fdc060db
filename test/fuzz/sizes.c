/*
 * sizes.c - sizes, spans of time and shown text: what people type is read or refused, and what is printed is read
 * again.
 */
#include "fuzz.h"

#include "base/size.h"
#include "base/text.h"
#include "core/place.h"
#include "daemon/quantity.h"

#define TEXT_MAX 512u

/* What was refused says why; what was read prints as something that is read to within what four digits can say. */
static void judge_size(const char *text)
{
    char why[SIZE_WHY_MAX] = "", shown[SIZE_TEXT_MAX];
    bytes_t size = 77, again = 0, positive = 77;
    int r = size_parse(text, why, sizeof why, &size);
    assert(r == 0 ? why[0] == '\0' : size == 77 && why[0] && text_printable(why));
    assert((size_parse_positive(text, NULL, 0, &positive) == 0) == (r == 0 && size > 0));
    if (r < 0 || size > INT64_MAX) /* the last of 64 bits is rounded up to what there is not */
        return;
    size_format(size, shown);
    assert(size_parse(shown, why, sizeof why, &again) == 0);
    bytes_t far = again > size ? again - size : size - again;
    assert(far <= size / 16);
    char twice[SIZE_TEXT_MAX];
    assert(strcmp(size_format(again, twice), shown) == 0);
}

/* What granary.conf is printed back with loses nothing. */
static void judge_quantity(uint64_t n)
{
    char shown[QUANTITY_TEXT_MAX], why[SIZE_WHY_MAX];
    bytes_t size = 0;
    ms_t span = 0;
    uint64_t count = 0;
    n %= INT64_MAX;
    assert(size_parse(quantity_bytes(n, shown), why, sizeof why, &size) == 0 && size == n);
    n /= 1000; /* days and hours multiply */
    assert(duration_parse(quantity_span(n, shown), why, sizeof why, &span) == 0 && span == n);
    assert(quantity_count(shown, 0, UINT64_MAX, why, sizeof why, &count) < 0 || count <= n);
    char again[SIZE_TEXT_MAX];
    assert(size_parse(size_format(n, again), why, sizeof why, &size) == 0);
    assert(duration_parse(duration_format(n, again), why, sizeof why, &span) == 0 && span <= n);
}

static void judge_duration(const char *text)
{
    char why[SIZE_WHY_MAX] = "", shown[DURATION_TEXT_MAX];
    ms_t span = 77, again = 0;
    int r = duration_parse(text, why, sizeof why, &span);
    assert(r == 0 ? why[0] == '\0' && span < MS_NEVER : span == 77 && why[0] && text_printable(why));
    if (r < 0)
        return;
    duration_format(span, shown);
    assert(duration_parse(shown, why, sizeof why, &again) == 0);
    assert(again <= span); /* cut, not rounded */
    assert(span - again <= span / 8);
}

static void judge_text(const char *text, size_t room)
{
    char *to = (char[TEXT_MAX * 4 + 1]){0};
    bool whole = text_copy(to, room, text);
    assert(whole == (strlen(text) < room) && strlen(to) < room && strncmp(to, text, strlen(to)) == 0);
    assert(!text_printable(text) || text_printable(to)); /* no character was cut */
    whole = text_escape(to, room, text);
    assert(strlen(to) < room && text_printable(to));
    if (whole && text_printable(text) && !strchr(text, '\\'))
        assert(strcmp(to, text) == 0);
    quantity_clean(to, room, text);
    assert(strlen(to) < room && text_printable(to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX];
    size_t n = size < sizeof text ? size : sizeof text - 1;
    if (n > 0)
        memcpy(text, data, n);
    text[n] = '\0';
    judge_size(text);
    judge_duration(text);
    judge_text(text, 1 + n * 2);
    judge_text(text, 1 + n / 2);
    place_filter_valid(text);
    fuzz_input in = {.at = data, .left = size};
    judge_quantity(fuzz_number(&in, 8));
    char why[SIZE_WHY_MAX];
    uint64_t count = 0;
    if (quantity_count(text, 2, 1000, why, sizeof why, &count) == 0)
        assert(count >= 2 && count <= 1000);
    return 0;
}
