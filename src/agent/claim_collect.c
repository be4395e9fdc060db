/*
 * claim_collect.c - a claim against reality: what no event told.
 *
 * A group that vanished while its claim lives (only an empty one can be removed) is made again, with the claim's limit.
 * A claim that waits for processes to be gone looks at them once more: the word that they died may have been lost.
 */
#include "agent/claim_inner.h"

#include "base/status.h"

static void claim_remake(claim *c)
{
    group *again;
    bool made;
    int r = c->world->backend->ops->open(c->world->backend, c->generation, c->bytes, true, &again, &made);
    if (r < 0) {
        claim_notice(c, "error", "its group has vanished, and cannot be made again");
        return;
    }
    claim_unwatch(c);
    for (uint32_t i = 0; i < GROUP_EVENTS; i++) {
        watch_destroy(c->events[i]);
        c->events[i] = NULL;
    }
    claim_ops(c)->close(c->group);
    c->group = again;
    c->used = 0;
    claim_task_begin(c);
    c->entered = !made;
    if (claim_watch_events(c) < 0)
        claim_notice(c, "warning", "no memory to watch events of its group");
    claim_notice(c, "warning", "its group had vanished; it was made again");
}

void claim_collect(claim *c)
{
    if (c->state == CLAIM_DRAINED || c->state == CLAIM_CLOSING)
        return;
    if (c->state != CLAIM_ENDING && claim_measure(c, NULL) == STATUS_NOT_FOUND)
        claim_remake(c);
    if (c->state != CLAIM_OPEN || claim_ops(c)->members_by_watch)
        claim_advance(c);
}
