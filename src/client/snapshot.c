/*
 * snapshot.c - one answer out of its parts (see query.h).
 */
#include "client/query.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

/* Each noun of the answer, joined the same way: count over all parts, allocate, copy the pointers. */
#define JOIN(s, noun)                                                                                                  \
    do {                                                                                                               \
        size_t n = 0;                                                                                                  \
        for (size_t i = 0; i < (s)->n_parts; i++)                                                                      \
            n += (s)->parts[i]->n_##noun;                                                                              \
        (s)->noun = calloc(n + 1, sizeof *(s)->noun);                                                                  \
        if (!(s)->noun)                                                                                                \
            return STATUS_NO_MEMORY;                                                                                   \
        for (size_t i = 0; i < (s)->n_parts; i++)                                                                      \
            for (size_t k = 0; k < (s)->parts[i]->n_##noun; k++)                                                       \
                (s)->noun[(s)->n_##noun++] = (s)->parts[i]->noun[k];                                                   \
    } while (0)

static int snapshot_join(snapshot *s)
{
    JOIN(s, hosts);
    JOIN(s, allocations);
    JOIN(s, claims);
    JOIN(s, queue);
    JOIN(s, recalls);
    return 0;
}

int snapshot_create(snapshot **ret, Granary__QueryReply **parts, size_t n_parts)
{
    snapshot *s = calloc(1, sizeof *s);

    if (!s) {
        while (n_parts > 0)
            granary__query_reply__free_unpacked(parts[--n_parts], NULL);
        free(parts);
        return STATUS_NO_MEMORY;
    }
    s->parts = parts;
    s->n_parts = n_parts;
    s->broker = "";
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i]->sequence > s->sequence)
            s->sequence = parts[i]->sequence;
        if (parts[i]->sessions > s->sessions)
            s->sessions = parts[i]->sessions;
        if (parts[i]->broker[0])
            s->broker = parts[i]->broker;
    }
    int r = snapshot_join(s);
    if (r < 0) {
        snapshot_destroy(s);
        return r;
    }
    *ret = s;
    return 0;
}

void snapshot_destroy(snapshot *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_parts; i++)
        granary__query_reply__free_unpacked(s->parts[i], NULL);
    free(s->parts);
    free(s->hosts);
    free(s->allocations);
    free(s->claims);
    free(s->queue);
    free(s->recalls);
    free(s);
}
