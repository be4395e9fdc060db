/*
 * claim_line.c - orders to one claim, one after another; and its limit, which may wait beside them.
 */
#include "agent/claim_inner.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "agent/claims.h"
#include "agent/entry.h"
#include "base/status.h"

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

claim_order claim_take_from_line(claim *c)
{
    assert(c->n_orders > 0);
    claim_order order = c->orders[0];
    c->n_orders--;
    memmove(c->orders, c->orders + 1, c->n_orders * sizeof *c->orders);
    return order;
}

void claim_refuse_line(claim *c, int status, const char *text)
{
    while (c->n_orders > 0) {
        claim_order order = claim_take_from_line(c);
        refuse(c, &order, status, text);
    }
    if (c->limit_order.kind)
        refuse(c, &c->limit_order, status, text);
    c->limit_order.kind = 0;
    c->limit_at = 0;
}

/*
 * A process that runs already is not taken from another claim, nor are its children from theirs. A child that waits at
 * its gate is: it was born in its parent's group.
 */
static int attach(claim *c, const claim_order *order, entry *ret, claim_answer *a)
{
    pids others = {0};
    pid_t pid = 0;
    int r = order->running ? procfs_pidfd_pid(c->world->backend->proc, order->pidfd, &pid) : 0;
    if (r == 0 && order->running)
        r = claims_others(c->world->all, c->generation, pid, &others, &a->other);
    if (r < 0)
        a->text = r == STATUS_DEAD ? "the process has ended" : "the agent cannot tell whether a claim has this process";
    if (r == 0 && a->other) {
        a->text = "another claim has this process";
        r = STATUS_CLAIMED;
    }
    if (r == 0)
        r = entry_attach(c->group, order->pidfd, c->uid, order->by_operator, &others, ret, &a->text);
    pids_free(&others);
    return r;
}

/* What another agent would know it by, where membership goes by names, of which a program that ran before has none. */
static process_name name_of(const claim *c, const claim_order *order, pid_t pid)
{
    process_name name = {0};
    uint64_t start;
    if (order->running && claim_ops(c)->members_by_watch && procfs_start(c->world->backend->proc, pid, &start) == 0)
        name = (process_name){.pid = pid, .start = start};
    return name;
}

static void enter_now(claim *c, claim_order *order, const claim_answer *before)
{
    claim_answer a = *before;
    entry e;
    a.root = (process_name){0};
    a.status = attach(c, order, &e, &a);
    if (a.status == 0) {
        c->entered_pid = e.pid;
        c->brought |= e.resident > BROUGHT_LEAST && claim_ops(c)->limited;
        if (!c->entered)
            c->entered_at = uv_now(c->world->loop);
        c->entered = true;
        a.root = name_of(c, order, e.pid);
        claim_sample_soon(c);
        if (claim_ops(c)->members_by_watch)
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
    if (claim_ops(c)->processes(c->group, &inside) == 0) {
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
    claim_unwatch(c);
    c->last = claim_task_end(c);
    claim_task_begin(c);
    return true;
}

void claim_run_line(claim *c)
{
    while (c->state == CLAIM_OPEN && c->n_orders > 0) {
        if (!end_task_before(c, &c->orders[0]))
            return;
        claim_order order = claim_take_from_line(c);
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
    claim_run_line(c);
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

void claim_limit_try(claim *c)
{
    bytes_t used = 0, wanted = c->limit_order.bytes;
    uint64_t now = uv_now(c->world->loop);
    bool lowers = wanted < c->bytes; /* to raise it nothing is asked: somebody waits for that */
    int r = lowers ? claim_ops(c)->use(c->group, &used) : 0;
    if (r == 0)
        r = used <= wanted ? claim_ops(c)->limit(c->group, wanted) : STATUS_STATE;
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
    claim_limit_try(c);
}
