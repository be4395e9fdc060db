#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-') || v < least || v > most) {
        fprintf(stderr, "granary-sim: --%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'\n", option,
                least, most, text);
        exit(2);
    }
    return v;
}
