#include "daemon/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"

typedef struct {
    const char *name;
    uint64_t value;
} unit;

int quantity_count(const char *text, uint64_t least, uint64_t most, char *why, size_t why_size, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < least || value > most) {
        snprintf(why, why_size, "\"%.60s\" is not a whole number from %" PRIu64 " to %" PRIu64, text, least, most);
        return STATUS_INVALID;
    }
    *ret = value;
    return 0;
}

static const char *exact(uint64_t value, const unit *units, size_t n, char *to)
{
    for (size_t i = n; i-- > 0;)
        if (value >= units[i].value && value % units[i].value == 0) {
            snprintf(to, QUANTITY_TEXT_MAX, "%" PRIu64 "%s", value / units[i].value, units[i].name);
            return to;
        }
    return strcpy(to, "0");
}

const char *quantity_bytes(bytes_t bytes, char to[QUANTITY_TEXT_MAX])
{
    static const unit units[] = {{"", 1}, {"K", KIB(1)}, {"M", MIB(1)}, {"G", GIB(1)}, {"T", GIB(1024)}};
    return exact(bytes, units, sizeof units / sizeof *units, to);
}

const char *quantity_span(ms_t span, char to[QUANTITY_TEXT_MAX])
{
    static const unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    return exact(span, units, sizeof units / sizeof *units, to);
}

/* Bytes of the character that begins with `first`, as its lead byte says. */
static size_t character_size(unsigned char first)
{
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

void quantity_clean(char *to, size_t size, const char *from)
{
    size_t used = 0;
    while (*from) {
        char one[5] = "";
        size_t n = strnlen(from, character_size((unsigned char)*from));
        memcpy(one, from, n);
        if (!text_printable(one)) {
            strcpy(one, "?");
            n = 1;
        }
        if (used + n >= size)
            break;
        memcpy(to + used, one, n);
        used += n;
        from += n;
    }
    to[used] = '\0';
}
