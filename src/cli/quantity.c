#include "cli/quantity.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

int quantity_size_parse(const char *text, uint64_t *ret_bytes, const char **ret_why)
{
    static const char units[] = "KMGTP";
    char *end;

    if (text[0] < '0' || text[0] > '9' || text[1] == 'x' || text[1] == 'X') {
        *ret_why = text[0] == '-' ? "negative" : "not a size; write 700M, 1.5G or 512MiB";
        return STATUS_INVALID;
    }
    double value = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
    for (const char *u = units; unit && u <= unit; u++)
        value *= 1024;
    if (unit)
        end++;
    if (!(strcmp(end, "") == 0 || strcmp(end, "B") == 0 || (unit && strcmp(end, "iB") == 0))) {
        *ret_why = "not a size; write 700M, 1.5G or 512MiB";
        return STATUS_INVALID;
    }
    if (value >= 9223372036854775808.0) {
        *ret_why = "too large";
        return STATUS_INVALID;
    }
    *ret_bytes = (uint64_t)value;
    return 0;
}
