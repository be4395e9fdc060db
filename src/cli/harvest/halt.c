#include "cli/harvest/halt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static const char shape[] = "not never, now,fail=N, soon,fail=N or soon,fail=N% (or success=, done=)";

/* What `text` goes on with after `prefix`, else NULL. */
static const char *after(const char *text, const char *prefix)
{
    const size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static int limit_parse(const char *text, harvest_halt *halt, const char **ret_why)
{
    char *end;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9') {
        *ret_why = shape;
        return STATUS_INVALID;
    }
    errno = 0;
    value = strtoul(text, &end, 10);
    halt->percent = *end == '%';
    if (end[halt->percent ? 1 : 0] != '\0') {
        *ret_why = shape;
        return STATUS_INVALID;
    }
    if (errno || value == 0 || value > (halt->percent ? 100 : UINT32_MAX)) {
        *ret_why = halt->percent ? "not a percentage from 1 to 100" : "not a number of tasks from 1";
        return STATUS_INVALID;
    }
    halt->limit = (uint32_t)value;
    return STATUS_OK;
}

int harvest_halt_parse(const char *text, harvest_halt *ret, const char **ret_why)
{
    static const char *const names[] = {[HALT_FAIL] = "fail=", [HALT_SUCCESS] = "success=", [HALT_DONE] = "done="};
    harvest_halt halt = {0};
    const char *rest = after(text, "soon,"), *limit = NULL;
    int status;

    if (strcmp(text, "never") == 0) {
        *ret = halt;
        return STATUS_OK;
    }
    halt.when = rest ? HALT_SOON : HALT_NOW;
    if (!rest)
        rest = after(text, "now,");
    for (size_t i = 0; rest && !limit && i < sizeof names / sizeof *names; i++) {
        limit = after(rest, names[i]);
        halt.what = (halt_what)i;
    }
    if (!limit) {
        *ret_why = shape;
        return STATUS_INVALID;
    }
    status = limit_parse(limit, &halt, ret_why);
    if (status < 0)
        return status;
    *ret = halt;
    return STATUS_OK;
}

bool harvest_halt_due(const harvest_halt *halt, uint64_t ended, uint64_t failed)
{
    uint64_t count = failed;

    if (halt->when == HALT_NEVER)
        return false;
    if (halt->what == HALT_SUCCESS)
        count = ended - failed;
    else if (halt->what == HALT_DONE)
        count = ended;
    if (!halt->percent)
        return count >= halt->limit;
    return ended >= HARVEST_HALT_SAMPLE && count * 100 >= halt->limit * ended;
}
