/*
 * claim.c - one claim's states; see claim.h.
 *
 * claim_advance() is the one place where a state is left because the group became empty. It is called when a watched
 * process ended, when an event file of the group fired, and by the growing timer.
 */
#include "agent/claim.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/entry.h"
#include "agent/members.h"
#include "base/status.h"

#define SWEEPS_MAX      4     /* looks at a group in one turn of the loop; then others have their turn */
#define SAMPLED_WELL_MS 2000u /* of a task's life: then its samples say enough */
#define SMALL_TASK      MIB(1)
#define OOM_LOOKS_MS    1024u
#define CLOSE_LOOK_MS   512u /* a group that cannot be removed for so long is left, and reported */

static void claim_advance(claim *c);
static void on_timer(uv_timer_t *timer);

static const backend_ops *ops(const claim *c)
{
    return c->world->backend->ops;
}

static void notice(claim *c, const char *level, const char *what)
{
    char text[200];
    snprintf(text, sizeof text, "claim %llu: %s", (unsigned long long)c->generation, what);
    c->world->sink.notice(c->world->sink.context, level, text);
}

/* ---- states ---- */

static void claim_set_state(claim *c, claim_state to)
{
    static const uint8_t allowed[] = {
        [CLAIM_OPEN] = 1 << CLAIM_EMPTYING | 1 << CLAIM_REAPING | 1 << CLAIM_ENDING,
        [CLAIM_EMPTYING] = 1 << CLAIM_OPEN | 1 << CLAIM_ENDING,
        [CLAIM_REAPING] = 1 << CLAIM_OPEN | 1 << CLAIM_ENDING,
        [CLAIM_ENDING] = 1 << CLAIM_DRAINED,
        [CLAIM_DRAINED] = 1 << CLAIM_CLOSING,
        [CLAIM_CLOSING] = 0,
    };
    assert(allowed[c->state] & 1 << to);
    c->state = to;
    c->look_at = 0;
    c->look_step = LOOK_FIRST_MS;
}

/* ---- one timer for four purposes ---- */

static void claim_arm(claim *c)
{
    const uint64_t due[] = {c->sample_at, c->look_at, c->limit_at, c->oom_at};
    uint64_t next = 0, now = uv_now(c->world->loop);
    for (size_t i = 0; i < sizeof due / sizeof *due; i++)
        if (due[i] && (!next || due[i] < next))
            next = due[i];
    if (next)
        uv_timer_start(&c->timer, on_timer, next > now ? next - now : 0, 0);
    else
        uv_timer_stop(&c->timer);
}

static void look_later(claim *c)
{
    c->look_at = uv_now(c->world->loop) + c->look_step;
    c->look_step = c->look_step * 2 < LOOK_MOST_MS ? c->look_step * 2 : LOOK_MOST_MS;
    claim_arm(c);
}

/* ---- watching members ---- */

static void unwatch(claim *c)
{
    for (uint32_t i = 0; i < c->n_watches; i++)
        watch_destroy(c->watches[i]);
    c->n_watches = 0;
}

static void on_member(void *context, watch *w)
{
    claim *c = context;
    (void)w;
    unwatch(c);
    claim_advance(c);
}

static int watch_members(claim *c, members *m)
{
    uint32_t most = ops(c)->members_by_watch ? m->count : 1;
    unwatch(c);
    watch **room = realloc(c->watches, (most ? most : 1) * sizeof *room);
    if (!room)
        return STATUS_NO_MEMORY;
    c->watches = room;
    for (uint32_t i = 0; i < m->count && c->n_watches < most; i++) {
        int r = watch_create(&c->watches[c->n_watches], c->world->set, m->fds[i], EPOLLIN, on_member, c);
        m->fds[i] = -1;
        if (r < 0)
            return r;
        c->n_watches++;
    }
    return 0;
}

/*
 * Looks at the group, and kills what is in it if asked. True: no process is left. False: one is watched, or the timer
 * is armed, and claim_advance() will be called.
 */
static bool claim_sweep(claim *c, bool kill)
{
    static members m; /* large; used up before anything can come back here */
    bool by_hand = kill && !ops(c)->kill;
    bool watched = false;
    for (int turn = 0; turn < SWEEPS_MAX && !watched; turn++) {
        uint32_t most = by_hand || ops(c)->members_by_watch ? MEMBERS_MAX : 1;
        if (members_open(c->group, most, &m) < 0)
            break;
        c->processes = m.total;
        if (m.total == 0) {
            unwatch(c);
            return true;
        }
        c->killed |= kill && c->state == CLAIM_ENDING;
        if (kill && !by_hand)
            by_hand = ops(c)->kill(c->group) < 0; /* then by hand, with all members, in the next turn */
        else if (kill && members_kill(&m) < 0)
            notice(c, "warning", "a process could not be killed");
        watched = m.count > 0 && watch_members(c, &m) == 0;
        members_close(&m);
    }
    /* Killed processes may be slow to die, and forks of theirs may have escaped this look. */
    if (kill || !watched)
        look_later(c);
    return false;
}

/* ---- the task ---- */

static void task_begin(claim *c)
{
    c->entered = c->oom = c->killed = false;
    c->samples = 0;
    c->peak = 0;
    c->entered_pid = 0;
    if (ops(c)->task_begin(c->group) < 0)
        notice(c, "warning", "the marks of its group could not be reset");
}

static void oom_check(claim *c)
{
    bool oom;
    bytes_t ceiling;
    if (ops(c)->task_end(c->group, &oom, &ceiling) == 0)
        c->oom |= oom;
}

/* What the ended task was; the group is empty. */
static claim_answer task_end(claim *c)
{
    bool oom = false;
    bytes_t ceiling = UINT64_MAX, charged = 0, used = 0;
    claim_answer end = {.text = ""};
    if (!c->entered)
        return c->last;
    if (ops(c)->task_end(c->group, &oom, &ceiling) < 0)
        notice(c, "warning", "the marks of its group could not be read");
    c->oom |= oom;
    /*
     * At the high-water mark the group held this task's memory and no more page cache than is left now, unless cache
     * was dropped since: so what is above the cache was the task's. Samples are better, where a task lived for some of
     * them.
     */
    bool young = uv_now(c->world->loop) - c->entered_at < SAMPLED_WELL_MS && ceiling < c->bytes;
    if (ceiling < SMALL_TASK) {
        c->peak = ceiling; /* page cache makes no difference that anybody could use */
    } else if ((c->samples == 0 || young) && ceiling != UINT64_MAX && ops(c)->charged(c->group, &charged) == 0 &&
               ops(c)->use(c->group, &used) == 0) {
        bytes_t cache = charged > used ? charged - used : 0;
        bytes_t least = ceiling > cache ? ceiling - cache : 0;
        c->peak = least > c->peak ? least : c->peak;
    }
    if (c->peak > ceiling)
        c->peak = ceiling;
    end.peak = c->oom ? c->bytes : c->peak;
    end.cause = c->oom ? CAUSE_OOM : c->killed ? CAUSE_KILLED : CAUSE_EXIT;
    return end;
}

static void sample_soon(claim *c)
{
    c->sample_step = SAMPLE_FIRST_MS;
    c->sample_at = uv_now(c->world->loop) + c->sample_step;
    claim_arm(c);
}

int claim_measure(claim *c, pids *processes)
{
    bytes_t used;
    int r = 0;
    if (processes)
        r = ops(c)->processes(c->group, processes);
    if (r == 0)
        r = ops(c)->use(c->group, &used);
    if (r < 0)
        return r;
    if (processes)
        c->processes = processes->count;
    bool grew = used > c->used + c->bytes / 16;
    c->used = used;
    if (c->entered) {
        c->samples++;
        if (used > c->peak)
            c->peak = used;
        if (grew && c->state == CLAIM_OPEN)
            sample_soon(c); /* what grows is looked at again before the host's next sample */
    }
    return 0;
}

claim_view claim_see(const claim *c)
{
    return (claim_view){.generation = c->generation,
                        .bytes = c->bytes,
                        .used = c->used,
                        .peak = c->oom ? c->bytes : c->peak,
                        .processes = c->processes,
                        .cause = c->last.cause};
}

/* ---- orders ---- */

void order_drop(claim_order *order)
{
    if (order->pidfd >= 0)
        close(order->pidfd);
    order->pidfd = -1;
}

static void answer(claim *c, claim_order *order, const claim_answer *a)
{
    c->world->sink.answer(c->world->sink.context, order, a);
    order_drop(order);
}

static void refuse(claim *c, claim_order *order, int status, const char *text)
{
    answer(c, order, &(claim_answer){.status = status, .text = text});
}

static void put_in_line(claim *c, claim_order *order)
{
    if (c->n_orders == ORDERS_WAITING_MAX) {
        refuse(c, order, STATUS_BUSY, "too many orders wait for this claim");
        return;
    }
    c->orders[c->n_orders++] = *order;
    order->pidfd = -1;
}

static claim_order take_from_line(claim *c)
{
    assert(c->n_orders > 0);
    claim_order order = c->orders[0];
    c->n_orders--;
    memmove(c->orders, c->orders + 1, c->n_orders * sizeof *c->orders);
    return order;
}

static void enter_now(claim *c, claim_order *order, const claim_answer *before)
{
    claim_answer a = *before;
    a.status = entry_attach(c->group, order->pidfd, c->uid, order->by_operator, &c->entered_pid, &a.text);
    if (a.status == 0) {
        if (!c->entered)
            c->entered_at = uv_now(c->world->loop);
        c->entered = true;
        sample_soon(c);
        if (ops(c)->members_by_watch)
            (void)claim_sweep(c, false);
    }
    answer(c, order, &a);
}

/*
 * The same order came again, from a broker that lost our answer: its process is inside, and is not to be ended.
 * `ret_empty`: nothing is inside, which is the common case.
 */
static bool entered_before(claim *c, const claim_order *order, bool *ret_empty)
{
    pid_t pid;
    pids inside = {0};
    bool same = false;
    if (ops(c)->processes(c->group, &inside) == 0) {
        *ret_empty = inside.count == 0;
        same = inside.count && c->entered_pid && !pidfd_dead(order->pidfd) &&
               procfs_pidfd_pid(c->world->backend->proc, order->pidfd, &pid) == 0 && pid == c->entered_pid &&
               pids_has(&inside, pid);
    }
    pids_free(&inside);
    return same;
}

/* Kills what the task left; true when nothing is left. */
static bool empty_now(claim *c)
{
    if (claim_sweep(c, true))
        return true;
    uint64_t at = c->look_at;
    claim_set_state(c, CLAIM_EMPTYING);
    c->look_at = at;
    return false;
}

/* Before the first order in line: ends the task before, if the order says so. False: that takes time. */
static bool end_task_before(claim *c, const claim_order *order)
{
    bool fresh = order->kind == CLAIM_ORDER_ENTER && order->fresh;
    bool empty = false;
    if (!c->entered || (order->kind != CLAIM_ORDER_EMPTY && !fresh))
        return true;
    if (fresh && entered_before(c, order, &empty))
        return true;
    if (!empty && !empty_now(c))
        return false;
    unwatch(c);
    c->last = task_end(c);
    task_begin(c);
    return true;
}

static void run_line(claim *c)
{
    while (c->state == CLAIM_OPEN && c->n_orders > 0) {
        if (!end_task_before(c, &c->orders[0]))
            return;
        claim_order order = take_from_line(c);
        claim_answer nothing = {.text = ""};
        if (order.kind == CLAIM_ORDER_EMPTY)
            answer(c, &order, &c->last);
        else
            enter_now(c, &order, order.fresh ? &c->last : &nothing);
    }
}

static void take_in(claim *c, claim_order *order)
{
    if (c->state >= CLAIM_ENDING) {
        refuse(c, order, STATUS_ENDED, "the claim has ended");
        return;
    }
    put_in_line(c, order);
    run_line(c);
}

void claim_enter(claim *c, claim_order *order)
{
    if (order->pidfd < 0)
        refuse(c, order, STATUS_INVALID, "the order to enter came without a process");
    else
        take_in(c, order);
}

void claim_empty(claim *c, claim_order *order)
{
    take_in(c, order);
}

/* ---- limit ---- */

static void limit_try(claim *c)
{
    bytes_t used, wanted = c->limit_order.bytes;
    uint64_t now = uv_now(c->world->loop);
    int r = ops(c)->use(c->group, &used);
    if (r == 0)
        r = used <= wanted || wanted >= c->bytes ? ops(c)->limit(c->group, wanted) : STATUS_STATE;
    if (r == STATUS_STATE && now < c->limit_until) {
        c->limit_at = now + 50;
        claim_arm(c);
        return;
    }
    claim_order order = c->limit_order;
    c->limit_order.kind = 0;
    c->limit_at = 0;
    if (r == 0)
        c->bytes = wanted;
    answer(c, &order,
           &(claim_answer){.status = r,
                           .text = r == 0              ? ""
                                   : r == STATUS_STATE ? "the claim uses more than its new size; free memory first"
                                                       : "the kernel would not set the limit"});
}

void claim_limit(claim *c, claim_order *order)
{
    if (c->state >= CLAIM_ENDING) {
        refuse(c, order, STATUS_ENDED, "the claim has ended");
        return;
    }
    if (order->bytes == 0) {
        refuse(c, order, STATUS_INVALID, "a limit of 0 bytes");
        return;
    }
    if (c->limit_order.kind)
        refuse(c, &c->limit_order, STATUS_STALE, "a later limit was ordered");
    order_drop(order);
    c->limit_order = *order;
    c->limit_until = uv_now(c->world->loop) + LIMIT_TRIES_MS;
    limit_try(c);
}

/* ---- the end ---- */

typedef struct {
    uv_work_t work;
    claim *claim;
    const backend_ops *ops;
    int fd;
    bytes_t most;
} reclaim_job;

static void claim_free(claim *c)
{
    if (!c->released || !c->handle_closed || c->reclaiming)
        return;
    free(c->watches);
    free(c);
}

static void reclaim_work(uv_work_t *work)
{
    reclaim_job *job = work->data;
    (void)job->ops->reclaim(job->fd, job->most); /* what could not be dropped shows in the next look */
}

static void reclaim_done(uv_work_t *work, int status)
{
    reclaim_job *job = work->data;
    claim *c = job->claim;
    (void)status;
    close(job->fd);
    free(job);
    c->reclaiming = false;
    if (c->released)
        claim_free(c);
    else
        claim_advance(c);
}

static void reclaim_start(claim *c)
{
    reclaim_job *job = c->reclaiming ? NULL : calloc(1, sizeof *job);
    if (!job)
        return; /* the next look tries again */
    *job = (reclaim_job){.claim = c, .ops = ops(c), .most = c->used, .fd = -1};
    job->work.data = job;
    if (ops(c)->reclaim_fd(c->group, &job->fd) < 0) {
        free(job);
        return;
    }
    if (uv_queue_work(c->world->loop, &job->work, reclaim_work, reclaim_done) < 0) {
        close(job->fd);
        free(job);
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
static void ending_advance(claim *c)
{
    bytes_t threshold = c->chunk_size / 256 > MIB(1) ? c->chunk_size / 256 : MIB(1);
    bytes_t used;
    if (c->reclaiming || !claim_sweep(c, c->kill))
        return;
    int r = ops(c)->charged(c->group, &used);
    if (r == 0 && used > threshold)
        r = ops(c)->use(c->group, &used);
    if (r == STATUS_NOT_FOUND)
        used = 0; /* somebody else removed the empty group */
    else if (r < 0)
        used = UINT64_MAX;
    c->used = used;
    if (used > threshold) {
        bool worth = c->look_step == LOOK_FIRST_MS || c->look_step == LOOK_MOST_MS;
        look_later(c);
        if (worth && r == 0)
            reclaim_start(c);
        return;
    }
    c->last = task_end(c);
    c->entered = false;
    claim_set_state(c, CLAIM_DRAINED);
    c->sample_at = c->oom_at = 0;
    claim_arm(c);
    report_drained(c);
}

static void refuse_line(claim *c, int status, const char *text)
{
    while (c->n_orders > 0) {
        claim_order order = take_from_line(c);
        refuse(c, &order, status, text);
    }
    if (c->limit_order.kind)
        refuse(c, &c->limit_order, status, text);
    c->limit_order.kind = 0;
    c->limit_at = 0;
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
    refuse_line(c, STATUS_ENDED, "the claim has ended");
    ending_advance(c);
}

static void closing_advance(claim *c)
{
    int r = ops(c)->remove(c->group);
    if (r == STATUS_STATE && c->look_step <= CLOSE_LOOK_MS) {
        look_later(c);
        return;
    }
    if (r < 0)
        notice(c, "warning", "its group could not be removed");
    c->gone(c->gone_context, c);
}

void claim_close(claim *c)
{
    if (c->state == CLAIM_CLOSING)
        return;
    if (c->state != CLAIM_DRAINED) {
        notice(c, "warning", "ordered to close before it drained; refused");
        return;
    }
    claim_set_state(c, CLAIM_CLOSING);
    closing_advance(c);
}

void claim_undo(claim *c)
{
    assert(c->state == CLAIM_OPEN && !c->entered);
    if (ops(c)->remove(c->group) < 0)
        notice(c, "warning", "its group could not be removed");
    c->gone(c->gone_context, c);
}

/* ---- what happens ---- */

static void claim_advance(claim *c)
{
    switch (c->state) {
    case CLAIM_OPEN:
        if (ops(c)->members_by_watch)
            (void)claim_sweep(c, false);
        break;
    case CLAIM_EMPTYING:
    case CLAIM_REAPING:
        if (claim_sweep(c, true)) {
            claim_set_state(c, CLAIM_OPEN);
            run_line(c);
        }
        break;
    case CLAIM_ENDING:
        ending_advance(c);
        break;
    case CLAIM_DRAINED:
        break;
    case CLAIM_CLOSING:
        closing_advance(c);
        break;
    }
}

/* Version 1 tells of a want of memory before it kills, and kills one process only: look again, and end the others. */
static void oom_look(claim *c)
{
    c->oom_at = 0;
    oom_check(c);
    if (ops(c)->kill)
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
    ops(c)->event_clear(c->group, watch_fd(w));
    if (c->entered) {
        c->oom_step = LOOK_FIRST_MS;
        oom_look(c);
    }
    if (ops(c)->kill && (c->state == CLAIM_EMPTYING || c->state == CLAIM_ENDING))
        claim_advance(c);
}

static void on_timer(uv_timer_t *timer)
{
    claim *c = timer->data;
    uint64_t now = uv_now(c->world->loop);
    if (c->sample_at && c->sample_at <= now) {
        c->sample_at = 0;
        c->sample_step *= 2;
        uint64_t step = c->sample_step < SAMPLE_MOST_MS ? c->sample_step : SAMPLE_MOST_MS;
        bytes_t before = c->used;
        /* What stands still is left to the host's sample, which starts this again when it sees growth. */
        if (claim_measure(c, NULL) == 0 && !c->sample_at && step < c->world->sample_ms &&
            (c->used != before || c->samples < 3))
            c->sample_at = now + step;
    }
    if (c->oom_at && c->oom_at <= now)
        oom_look(c);
    if (c->limit_at && c->limit_at <= now)
        limit_try(c);
    if (c->look_at && c->look_at <= now) {
        c->look_at = 0;
        claim_advance(c);
    }
    if (!c->released)
        claim_arm(c);
}

/* ---- life ---- */

static void watch_events(claim *c)
{
    group_event files[GROUP_EVENTS];
    uint32_t n = ops(c)->events(c->group, files);
    for (uint32_t i = 0; i < n; i++) {
        int fd = fcntl(files[i].fd, F_DUPFD_CLOEXEC, 0);
        ops(c)->event_clear(c->group, files[i].fd);
        if (fd < 0 || watch_create(&c->events[i], c->world->set, fd, files[i].events, on_event, c) < 0)
            notice(c, "warning", "events of its group cannot be watched");
    }
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
    uv_timer_init(world->loop, &c->timer);
    c->timer.data = c;
    task_begin(c);
    c->entered = !made;
    watch_events(c);
    if (!made)
        sample_soon(c);
    if (!made && ops(c)->members_by_watch)
        (void)claim_sweep(c, false);
    *ret = c;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    claim *c = handle->data;
    c->handle_closed = true;
    claim_free(c);
}

void claim_release(claim *c)
{
    claim_unlink(c);
    unwatch(c);
    for (uint32_t i = 0; i < GROUP_EVENTS; i++)
        watch_destroy(c->events[i]);
    ops(c)->close(c->group);
    c->released = true;
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

void claim_unlink(claim *c)
{
    while (c->n_orders > 0) {
        claim_order order = take_from_line(c);
        order_drop(&order);
    }
    c->limit_order.kind = 0;
    c->limit_at = 0;
    c->expected = false;
}
