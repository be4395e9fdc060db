/*
 * study_figure.c - percentiles, and the bound that no way can beat without killing.
 */
#include "study.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double percentile(double *values, size_t n, double part)
{
    if (n == 0)
        return 0;
    qsort(values, n, sizeof *values, by_value);
    size_t rank = (size_t)(part * (double)n);
    if ((double)rank < part * (double)n)
        rank++; /* nearest rank */
    return values[rank ? (rank > n ? n : rank) - 1 : 0];
}

static int by_end(const void *a, const void *b)
{
    const bound_use *x = a, *y = b;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return (x->host > y->host) - (x->host < y->host);
}

static uint64_t chunks_in(int64_t room, bytes_t size)
{
    return room > 0 ? (uint64_t)room / size : 0;
}

/*
 * Why no way without kills is sooner, from this state. Bytes that a task, a firm holder or a foreign process uses at
 * `now` are in use until that ends, whoever is asked for what; nobody ends earlier, for nobody is killed. So at now + t
 * a host has at most host_bytes - (bytes there whose end is after now + t) free, whatever else was decided: other
 * requests and new tasks only take from that. A request on one host needs a host where this is at least its size; one
 * that is spread needs so many whole chunks in the sum over hosts. Both grow with t only when something ends, so the
 * first end at which it is enough is the bound. What other waiters take is not counted: the true best may be later,
 * never sooner.
 */
ms_t bound_of(bound_use *uses, size_t n, uint32_t hosts, bytes_t host_bytes, const firm_request *request, ms_t now)
{
    int64_t *room = calloc(hosts, sizeof *room); /* below 0: overdrawn by foreign memory */
    uint64_t have = 0, need = request->chunks;
    ms_t at = MS_NEVER;
    if (!room)
        abort();
    for (uint32_t i = 0; i < hosts; i++)
        room[i] = (int64_t)host_bytes;
    for (size_t i = 0; i < n; i++)
        room[uses[i].host] -= (int64_t)uses[i].bytes;
    qsort(uses, n, sizeof *uses, by_end);
    for (uint32_t i = 0; i < hosts; i++) {
        uint64_t fit = chunks_in(room[i], request->chunk_size);
        have = request->one_host ? (fit > have ? fit : have) : have + fit;
    }
    if (have >= need)
        at = now;
    for (size_t i = 0; i < n && at == MS_NEVER; i++) {
        int64_t *there = &room[uses[i].host];
        uint64_t before = chunks_in(*there, request->chunk_size), after;
        *there += (int64_t)uses[i].bytes;
        after = chunks_in(*there, request->chunk_size);
        have = request->one_host ? (after > have ? after : have) : have + (after - before);
        if (have >= need)
            at = uses[i].end > now ? uses[i].end : now;
    }
    free(room);
    return at == MS_NEVER ? MS_NEVER : at - now;
}
