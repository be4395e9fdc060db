#include "cli/differences.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"

int differences_add(differences *d, const char *noun, uint64_t id, const char *format, ...)
{
    char raw[DIFFERENCE_TEXT_MAX];
    va_list args;

    d->total++;
    if (d->n == DIFFERENCES_MAX)
        return 0;
    difference *items = reallocarray(d->items, d->n + 1, sizeof *items);
    if (!items)
        return STATUS_NO_MEMORY;
    d->items = items;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    difference *new = &items[d->n++];
    snprintf(new->key, sizeof new->key, "%s %" PRIu64, noun, id);
    text_escape(new->text, sizeof new->text, raw);
    return 0;
}

void differences_finish(differences *d)
{
    free(d->items);
    *d = (differences){0};
}

void differences_keep(differences *d, const differences *earlier)
{
    size_t kept = 0;

    for (size_t i = 0; i < d->n; i++) {
        bool again = false;
        for (size_t k = 0; k < earlier->n && !again; k++)
            again = strcmp(d->items[i].key, earlier->items[k].key) == 0;
        if (again)
            d->items[kept++] = d->items[i];
    }
    d->total = d->total == d->n ? kept : d->total;
    d->n = kept;
}
