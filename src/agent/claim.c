/*
 * claim.c - one claim: what happens to it, and its life; see claim.h.
 *
 * claim_advance() is the one place where a state is left because the group became empty. It is called when a watched
 * process ended, when an event file of the group fired, and by the growing timer.
 */
#include "agent/claim_inner.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/status.h"

#define OOM_LOOKS_MS 1024u

void claim_advance(claim *c)
{
    switch (c->state) {
    case CLAIM_OPEN:
        if (claim_ops(c)->members_by_watch)
            (void)claim_sweep(c, false);
        break;
    case CLAIM_EMPTYING:
    case CLAIM_REAPING:
        if (claim_sweep(c, true)) {
            claim_set_state(c, CLAIM_OPEN);
            claim_run_line(c);
        }
        break;
    case CLAIM_ENDING:
        claim_ending_advance(c);
        break;
    case CLAIM_DRAINED:
        break;
    case CLAIM_CLOSING:
        claim_closing_advance(c);
        break;
    }
}

/* Version 1 tells of a want of memory before it kills, and kills one process only: look again, and end the others. */
static void oom_look(claim *c)
{
    c->oom_at = 0;
    claim_oom_check(c);
    if (claim_ops(c)->kill)
        return;
    if (c->oom && c->state == CLAIM_OPEN) {
        if (!claim_sweep(c, true)) {
            uint64_t at = c->look_at;
            claim_set_state(c, CLAIM_REAPING);
            c->look_at = at;
        }
    } else if (c->oom && c->state == CLAIM_ENDING) {
        c->kill = true;
        claim_advance(c);
    } else if (!c->oom && c->oom_step <= OOM_LOOKS_MS) {
        c->oom_at = uv_now(c->world->loop) + c->oom_step;
        c->oom_step *= 2;
        claim_arm(c);
    }
}

static void on_event(void *context, watch *w)
{
    claim *c = context;
    claim_ops(c)->event_clear(c->group, watch_fd(w));
    if (c->entered) {
        c->oom_step = LOOK_FIRST_MS;
        oom_look(c);
    }
    if (claim_ops(c)->kill && (c->state == CLAIM_EMPTYING || c->state == CLAIM_ENDING))
        claim_advance(c);
}

void claim_on_timer(uv_timer_t *timer)
{
    claim *c = timer->data;
    uint64_t now = uv_now(c->world->loop);
    if (c->sample_at && c->sample_at <= now) {
        c->sample_at = 0;
        uint64_t step = c->sample_step * 2 < SAMPLE_MOST_MS ? c->sample_step * 2 : SAMPLE_MOST_MS;
        bytes_t before = c->used;
        /* What stands still is left to the host's sample, which starts this again when it sees growth. */
        if (claim_measure(c, NULL) == 0 && !c->sample_at && c->entered && step < c->world->sample_ms &&
            (c->used != before || c->samples < 3)) {
            c->sample_step = step;
            c->sample_at = now + step;
        }
    }
    if (c->oom_at && c->oom_at <= now)
        oom_look(c);
    if (c->limit_at && c->limit_at <= now)
        claim_limit_try(c);
    if (c->look_at && c->look_at <= now) {
        c->look_at = 0;
        claim_advance(c);
    }
    if (!c->released)
        claim_arm(c);
}

/* ---- life ---- */

int claim_watch_events(claim *c)
{
    group_event files[GROUP_EVENTS];
    uint32_t n = claim_ops(c)->events(c->group, files);
    for (uint32_t i = 0; i < n; i++) {
        int fd = fcntl(files[i].fd, F_DUPFD_CLOEXEC, 0);
        claim_ops(c)->event_clear(c->group, files[i].fd);
        int r = STATUS_SYSTEM;
        if (fd >= 0)
            r = watch_create(&c->events[i], c->world->set, fd, files[i].events, on_event, c);
        if (r == STATUS_NO_MEMORY)
            return r;
        if (r < 0)
            claim_notice(c, "warning", "events of its group cannot be watched");
    }
    return 0;
}

/* Before it has a timer. */
static void create_undo(claim *c, bool made)
{
    for (uint32_t i = 0; i < GROUP_EVENTS; i++)
        watch_destroy(c->events[i]);
    if (made && claim_ops(c)->remove(c->group) < 0)
        claim_notice(c, "warning", "its group could not be removed");
    claim_ops(c)->close(c->group);
    free(c);
}

int claim_create(claim **ret, claim_world *world, const claim_order *order, bool make)
{
    bool made;
    claim *c = calloc(1, sizeof *c);
    if (!c)
        return STATUS_NO_MEMORY;
    *c = (claim){.world = world,
                 .generation = order->generation,
                 .bytes = order->bytes,
                 .chunk_size = order->chunk_size,
                 .uid = order->uid,
                 .state = CLAIM_OPEN,
                 .look_step = LOOK_FIRST_MS,
                 .last = {.text = ""}};
    int r = world->backend->ops->open(world->backend, order->generation, order->bytes, make, &c->group, &made);
    if (r < 0) {
        free(c);
        return r;
    }
    r = claim_watch_events(c);
    if (r < 0) {
        create_undo(c, made);
        return r;
    }
    uv_timer_init(world->loop, &c->timer);
    c->timer.data = c;
    claim_task_begin(c);
    c->entered = !made;
    c->brought = !made && claim_ops(c)->limited; /* who can tell: seen by the first look */
    if (!made)
        claim_sample_soon(c);
    if (!made && claim_ops(c)->members_by_watch)
        (void)claim_sweep(c, false);
    *ret = c;
    return 0;
}

int claim_rejoin(claim *c, process_name root)
{
    uint64_t start;
    int pidfd;
    if (root.pid <= 0 || !claim_ops(c)->members_by_watch)
        return 0;
    int r = pidfd_of(root.pid, &pidfd);
    if (r < 0)
        return r == STATUS_DEAD ? 0 : r;
    /* The pidfd holds who had the pid when it was opened, and while that one lives nobody else has it. */
    r = procfs_start(c->world->backend->proc, root.pid, &start);
    bool same = r == 0 && start == root.start && !pidfd_dead(pidfd);
    r = same ? claim_ops(c)->attach(c->group, root.pid) : 0;
    bool stayed = !pidfd_dead(pidfd);
    close(pidfd);
    if (r < 0 || !same || !stayed)
        return r == STATUS_DEAD ? 0 : r;
    c->entered = true;
    claim_sample_soon(c);
    (void)claim_sweep(c, false);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    claim *c = handle->data;
    c->handle_closed = true;
    claim_free(c);
}

/*
 * Its group may be removed, if no process is in it. Whether the books know yet that it drained does not matter: a group
 * that is gone has drained, too.
 */
static bool is_over(const claim *c)
{
    bytes_t used;
    if (c->state == CLAIM_ENDING)
        return claim_ops(c)->use(c->group, &used) == 0 && used <= drain_tolerance(c->chunk_size);
    return c->state == CLAIM_DRAINED || c->state == CLAIM_CLOSING;
}

void claim_release(claim *c)
{
    claim_unlink(c);
    claim_unwatch(c);
    for (uint32_t i = 0; i < GROUP_EVENTS; i++)
        watch_destroy(c->events[i]);
    if (is_over(c))
        (void)claim_ops(c)->remove(c->group); /* let go before its turn came; else it is gone already, or not empty */
    claim_ops(c)->close(c->group);
    c->released = true;
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

void claim_unlink(claim *c)
{
    while (c->n_orders > 0) {
        claim_order order = claim_take_from_line(c);
        order_drop(&order);
    }
    c->limit_order.kind = 0;
    c->limit_at = 0;
    c->expected = false;
}
