/*
 * say.c - what every part of a run needs: memory, the trace, a judge's sentence.
 */
#include <stdlib.h>

#include "sim.h"

void *sim_alloc(size_t size)
{
    return sim_grow(NULL, size);
}

void *sim_grow(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p) {
        fprintf(stderr, "granary-sim: no memory left\n");
        exit(1);
    }
    return p;
}

void sim_wrong(sim *s, const char *format, ...)
{
    if (*s->wrong)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->wrong, sizeof s->wrong, format, args);
    va_end(args);
    sim_say(s, "judge", "%s", s->wrong);
}

void sim_say_line(sim *s, const char *who, const char *format, ...)
{
    us_t now = clock_now(s->clock);
    fprintf(s->plan.trace, "%6llu.%06llu %-10s ", (unsigned long long)(now / 1000000),
            (unsigned long long)(now % 1000000), who);
    va_list args;
    va_start(args, format);
    vfprintf(s->plan.trace, format, args);
    va_end(args);
    fputc('\n', s->plan.trace);
}
