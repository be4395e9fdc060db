/*
 * claim_ending.c - the end of a claim: no more entries, empty, drained, reported, removed.
 */
#include "agent/claim_inner.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/status.h"

/*
 * Removing a group takes a lock of the whole machine, for which it may have to wait as long as an attach takes. Its
 * memory has most likely just been granted to somebody whose limit is set next: that goes first.
 */
#define CLOSE_LATER_MS 50u

#define CLOSE_LOOK_MS 512u /* a group that cannot be removed for so long is left, and reported */

void claim_free(claim *c)
{
    if (!c->released || !c->handle_closed || c->reclaiming)
        return;
    free(c->watches);
    free(c);
}

static void reclaim_work(uv_work_t *work)
{
    const claim *c = work->data;
    (void)claim_ops(c)->reclaim(c->reclaim_fd, c->reclaim_most); /* what could not be dropped shows in the next look */
}

static void reclaim_done(uv_work_t *work, int status)
{
    claim *c = work->data;
    (void)status;
    close(c->reclaim_fd);
    c->reclaiming = false;
    if (c->released)
        claim_free(c);
    else
        claim_advance(c);
}

static void reclaim_start(claim *c)
{
    if (c->reclaiming || claim_ops(c)->reclaim_fd(c->group, &c->reclaim_fd) < 0)
        return; /* the next look tries again */
    c->reclaim.data = c;
    c->reclaim_most = c->used;
    if (uv_queue_work(c->world->loop, &c->reclaim, reclaim_work, reclaim_done) < 0) {
        close(c->reclaim_fd);
        return;
    }
    c->reclaiming = true;
}

static void report_drained(claim *c)
{
    claim_view view = claim_see(c);
    view.peak = c->last.peak;
    view.processes = 0;
    c->world->sink.drained(c->world->sink.context, &view);
}

/* Kernel memory that can be dropped (names of files that it looked up) must not pass for memory left behind. */
void claim_ending_advance(claim *c)
{
    bytes_t threshold = drain_tolerance(c->chunk_size);
    bytes_t used;
    if (c->reclaiming || !claim_sweep(c, c->kill))
        return;
    int r = claim_ops(c)->charged(c->group, &used);
    if (r == 0 && used > threshold)
        r = claim_ops(c)->use(c->group, &used);
    if (r == STATUS_NOT_FOUND)
        used = 0; /* somebody else removed the empty group */
    else if (r < 0)
        used = UINT64_MAX;
    c->used = used;
    if (used > threshold) {
        bool worth = c->look_step == LOOK_FIRST_MS || c->look_step == LOOK_MOST_MS;
        claim_look_later(c);
        if (worth && r == 0)
            reclaim_start(c);
        return;
    }
    c->last = claim_task_end(c);
    c->entered = false;
    claim_set_state(c, CLAIM_DRAINED);
    c->sample_at = c->oom_at = 0;
    claim_arm(c);
    report_drained(c);
}

void claim_end(claim *c, bool kill)
{
    if (c->state == CLAIM_DRAINED) {
        report_drained(c);
        return;
    }
    if (c->state == CLAIM_CLOSING)
        return;
    c->kill |= kill || c->state == CLAIM_EMPTYING || c->state == CLAIM_REAPING;
    if (c->state != CLAIM_ENDING)
        claim_set_state(c, CLAIM_ENDING);
    claim_refuse_line(c, STATUS_ENDED, "the claim has ended");
    claim_ending_advance(c);
}

void claim_closing_advance(claim *c)
{
    int r = claim_ops(c)->remove(c->group);
    if (r == STATUS_STATE && c->look_step <= CLOSE_LOOK_MS) {
        claim_look_later(c);
        return;
    }
    if (r < 0)
        claim_notice(c, "warning", "its group could not be removed");
    c->gone(c->gone_context, c);
}

void claim_close(claim *c)
{
    if (c->state == CLAIM_CLOSING)
        return;
    if (c->state != CLAIM_DRAINED) {
        claim_notice(c, "warning", "ordered to close before it drained; refused");
        return;
    }
    claim_set_state(c, CLAIM_CLOSING);
    c->look_at = uv_now(c->world->loop) + CLOSE_LATER_MS;
    claim_arm(c);
}

void claim_undo(claim *c)
{
    assert(c->state == CLAIM_OPEN && !c->entered);
    if (claim_ops(c)->remove(c->group) < 0)
        claim_notice(c, "warning", "its group could not be removed");
    c->gone(c->gone_context, c);
}
