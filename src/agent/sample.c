/*
 * sample.c - measuring the host; see sample.h.
 *
 * What claims use is the mean of the looks before and after meminfo, so that steady growth in between cancels out.
 */
#include "agent/sample.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

typedef struct {
    sample *to;
    uint32_t capacity, seen;
    bytes_t sum;
} counting;

static bytes_t at_most_its_size(const claim_view *view)
{
    return view->used < view->bytes ? view->used : view->bytes;
}

static void first_look(void *context, const claim_view *view, const pids *processes)
{
    counting *c = context;
    c->sum += at_most_its_size(view);
    c->seen++;
    if (c->to->count == c->capacity)
        return;
    sample_row *row = &c->to->rows[c->to->count++];
    row->view = *view;
    row->n_pids = processes->count < SAMPLE_PIDS_MAX ? processes->count : SAMPLE_PIDS_MAX;
    if (row->n_pids)
        memcpy(row->pids, processes->items, row->n_pids * sizeof *row->pids);
}

static void second_look(void *context, const claim_view *view, const pids *processes)
{
    counting *c = context;
    (void)processes;
    c->sum += at_most_its_size(view);
    c->seen++;
}

int sample_take(sample *ret, claims *all, const procfs *proc, scratch *room)
{
    sample taken = {0};
    uint32_t count = claims_count(all);
    counting before = {.to = &taken, .capacity = count}, after = {.to = &taken};
    procfs_memory memory = {0};
    taken.rows = scratch_take(room, count * sizeof *taken.rows);
    if (!taken.rows)
        return STATUS_NO_MEMORY;
    int r = claims_measure(all, true, first_look, &before);
    if (r == 0)
        r = procfs_meminfo(proc, &memory);
    if (r == 0)
        r = claims_measure(all, false, second_look, &after);
    if (r == STATUS_NOT_FOUND || (r == 0 && before.seen != after.seen))
        r = STATUS_STALE;
    if (r < 0)
        return r;
    taken.in_use = memory.total - memory.available;
    taken.claims_used = before.sum / 2 + after.sum / 2;
    *ret = taken;
    return 0;
}
