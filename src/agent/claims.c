/*
 * claims.c - the table of claims, and admission of orders; see claims.h.
 */
#include "agent/claims.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup.h"
#include "agent/members.h"
#include "base/status.h"

#define OVER_KEEPS      MIB(64) /* charged to a group whose claim is over: drain_tolerance() of 16 GiB chunks */
#define BUCKETS         1024u
#define PROCESSES_USUAL 1024u /* of one claim */

struct claims {
    claim_world world;
    claim *buckets[BUCKETS];
    uint32_t count;
    uint64_t highest; /* generation opened */
    uint64_t issued;  /* highest generation that the books ever gave, as the broker said */
    bool ready;       /* the live set is complete */
    bool incomplete;  /* one of the live set was not found: a group that no claim knows may be its */
    bool again;       /* strangers are to be looked at again soon */
    char books[BOOKS_MAX];
    pids processes;        /* of one claim at a time */
    generations strangers; /* groups that no claim knows, as last listed: told once */
};

static claim **claims_at(claims *all, uint64_t gen)
{
    claim **at = &all->buckets[gen % BUCKETS];
    while (*at && (*at)->generation != gen)
        at = &(*at)->next;
    return at;
}

static void forget(claims *all, claim **at)
{
    claim *c = *at;
    assert(c && all->count > 0);
    *at = c->next;
    all->count--;
    claim_release(c);
}

static void on_gone(void *context, claim *c)
{
    claims *all = context;
    forget(all, claims_at(all, c->generation));
}

int claims_create(claims **ret, uv_loop_t *loop, backend *b, watchpid *set, const claim_sink *sink)
{
    claims *all = calloc(1, sizeof *all);
    if (!all)
        return STATUS_NO_MEMORY;
    int r = pids_reserve(&all->processes, PROCESSES_USUAL);
    if (r < 0) {
        free(all);
        return r;
    }
    all->world = (claim_world){.loop = loop, .backend = b, .all = all, .set = set, .sink = *sink, .sample_ms = 1000};
    *ret = all;
    return 0;
}

void claims_stop(claims *all)
{
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (all->buckets[i])
            forget(all, &all->buckets[i]);
}

void claims_destroy(claims *all)
{
    if (!all)
        return;
    assert(all->count == 0);
    pids_free(&all->processes);
    free(all->strangers.items);
    free(all);
}

uint32_t claims_count(const claims *all)
{
    return all->count;
}

int claims_books(claims *all, const char *books, uint64_t issued)
{
    all->ready = all->incomplete = false;
    all->issued = issued;
    if (!books_valid(books))
        return STATUS_INVALID;
    if (strcmp(all->books, books) == 0)
        return 0;
    claims_stop(all);
    int r = all->world.backend->ops->books(all->world.backend, books);
    if (r < 0)
        return r;
    generations found;
    r = all->world.backend->ops->list(all->world.backend, &found);
    if (r < 0) {
        all->books[0] = 0; /* what was opened of these is not known: asked again with the next welcome */
        return r;
    }
    snprintf(all->books, sizeof all->books, "%s", books);
    all->highest = 0;
    for (uint32_t i = 0; i < found.count; i++)
        if (found.items[i] > all->highest)
            all->highest = found.items[i];
    free(found.items);
    return 0;
}

static void notice(claims *all, uint64_t gen, const char *what)
{
    char text[200];
    snprintf(text, sizeof text, "claim %llu: %s", (unsigned long long)gen, what);
    all->world.sink.notice(all->world.sink.context, "warning", text);
}

static bool among(const generations *g, uint64_t gen)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (g->items[i] == gen)
            return true;
    return false;
}

/*
 * A group whose generation the books gave, but which is no living claim's, is over: its agent died between drained and
 * removed. With nothing in it nothing is lost by removing it. `ret_gone` tells; fails when it could not be seen.
 */
static int remove_over(claims *all, uint64_t gen, bool *ret_gone)
{
    const backend_ops *ops = all->world.backend->ops;
    group *g;
    bool made, gone = false;
    members inside;
    bytes_t used;
    int r = gen > all->issued ? STATUS_NOT_FOUND : ops->open(all->world.backend, gen, 0, false, &g, &made);
    if (r < 0) {
        *ret_gone = false;
        return r == STATUS_NO_MEMORY ? r : 0;
    }
    r = members_open(g, 1, &inside);
    if (r == 0) {
        bool empty = inside.total == 0;
        members_close(&inside);
        gone = empty && ops->use(g, &used) == 0 && used <= OVER_KEEPS && ops->remove(g) == 0;
    }
    ops->close(g);
    *ret_gone = gone;
    return r == STATUS_NO_MEMORY ? r : 0;
}

/* Tells of groups that no claim knows, unless it was told before. What there is no memory for is done a little later.
 */
static void strangers_tell(claims *all)
{
    generations found;
    all->again = false;
    if (all->incomplete)
        return;
    int r = all->world.backend->ops->list(all->world.backend, &found);
    all->again = r == STATUS_NO_MEMORY;
    if (r < 0) {
        if (!all->again)
            all->world.sink.notice(all->world.sink.context, "warning", "the groups of this host cannot be listed");
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < found.count; i++) {
        uint64_t gen = found.items[i];
        bool gone;
        if (*claims_at(all, gen))
            continue;
        if (remove_over(all, gen, &gone) < 0) {
            all->again = true;
            continue;
        }
        if (gone) {
            notice(all, gen, "its claim was over; its empty group was removed");
            continue;
        }
        if (!among(&all->strangers, gen))
            notice(all, gen, "its group exists, but the books do not know it; left alone");
        found.items[kept++] = gen;
    }
    found.count = kept;
    free(all->strangers.items);
    all->strangers = found;
}

void claims_retry(claims *all)
{
    if (all->ready && all->again)
        strangers_tell(all);
}

void claims_collect(claims *all)
{
    claim *next;
    if (!all->ready)
        return;
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (claim *c = all->buckets[i]; c; c = next) {
            next = c->next;
            claim_collect(c);
        }
    strangers_tell(all);
}

void claims_ready(claims *all, uint64_t sample_ms)
{
    all->ready = true;
    if (sample_ms)
        all->world.sample_ms = sample_ms;
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (claim **at = &all->buckets[i]; *at;) {
            if ((*at)->expected)
                at = &(*at)->next;
            else
                forget(all, at); /* its group, if it has one, is reported below */
        }
    all->strangers.count = 0; /* another link: told again */
    strangers_tell(all);
}

void claims_unlink(claims *all)
{
    all->ready = false;
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (claim *c = all->buckets[i]; c; c = c->next)
            claim_unlink(c);
}

static void refuse(claims *all, claim_order *order, int status, const char *text)
{
    all->world.sink.answer(all->world.sink.context, order, &(claim_answer){.status = status, .text = text});
    order_drop(order);
}

static int claims_add(claims *all, const claim_order *order, bool make, claim **ret)
{
    claim **at = claims_at(all, order->generation);
    if (all->count == CLAIMS_MAX)
        return STATUS_LIMIT;
    int r = claim_create(at, &all->world, order, make);
    if (r < 0)
        return r;
    claim *c = *at;
    c->gone = on_gone;
    c->gone_context = all;
    c->expected = true;
    all->count++;
    if (order->generation > all->highest)
        all->highest = order->generation;
    *ret = c;
    return 0;
}

static void claims_open(claims *all, claim_order *order)
{
    claim *c = *claims_at(all, order->generation);
    bool known = c != NULL;
    int r = 0;
    if (order->bytes == 0 || order->generation == 0) {
        refuse(all, order, STATUS_INVALID, "a claim needs a generation and a size");
        return;
    }
    if (!c)
        r = claims_add(all, order, order->generation > all->highest, &c);
    if (r < 0) {
        refuse(all, order, r == STATUS_NOT_FOUND ? STATUS_STALE : r,
               r == STATUS_NOT_FOUND   ? "this generation was opened before, and its group is gone"
               : r == STATUS_LIMIT     ? "this host has as many claims as its agent can keep"
               : r == STATUS_NO_MEMORY ? "the host's agent has no memory for another claim; try again later"
                                       : "the kernel would not make the group");
        return;
    }
    if (order->pidfd < 0) {
        refuse(all, order, STATUS_OK, "");
        return;
    }
    claim_enter(c, order); /* answers as OPEN: the order keeps its kind */
    if (!known && !c->entered)
        claim_undo(c); /* its process may not enter: leave no trace */
}

/* A process in the middle of its exec shows no name: a claim in which nobody was seen is looked at again. */
static bool emptiness_takes_time(const claims *all)
{
    return all->world.backend->ops->members_by_watch;
}

/*
 * One of the live set. Its group may have vanished with a crash between commit and order, or while a host slept.
 * Without memory the claim would be missing from the set: then the whole set is asked for again.
 */
static int claims_expect(claims *all, claim_order *order)
{
    claim *c = *claims_at(all, order->generation);
    int r = 0;
    if (order->generation == 0 || order->bytes == 0)
        return 0;
    if (!c) {
        r = claims_add(all, order, !order->ending || emptiness_takes_time(all), &c);
        if (r == 0)
            r = claim_rejoin(c, order->root);
        if (r < 0 && c) {
            forget(all, claims_at(all, c->generation));
            c = NULL;
        }
    }
    if (r == STATUS_NOT_FOUND) {
        all->world.sink.drained(all->world.sink.context, &(claim_view){.generation = order->generation});
        return 0;
    }
    if (r < 0) {
        notice(all, order->generation,
               r == STATUS_NO_MEMORY ? "no memory to keep it" : "its group can be neither found nor made");
        all->incomplete = true;
        return r == STATUS_NO_MEMORY ? r : 0;
    }
    c->expected = true;
    c->uid = order->uid;
    c->chunk_size = order->chunk_size;
    c->bytes = order->bytes;
    if (order->ending)
        claim_end(c, order->kill);
    return 0;
}

/* Only a group that is not there has drained: one that could not be opened is ended when the broker orders it again. */
static int claims_end(claims *all, claim_order *order)
{
    claim *c = *claims_at(all, order->generation);
    int r = c ? 0 : claims_add(all, order, emptiness_takes_time(all), &c);
    if (r == 0)
        claim_end(c, order->kill);
    else if (r == STATUS_NOT_FOUND)
        all->world.sink.drained(all->world.sink.context, &(claim_view){.generation = order->generation});
    else
        notice(all, order->generation, "its group cannot be opened: it cannot be ended now");
    return r == STATUS_NO_MEMORY ? r : 0;
}

int claims_order(claims *all, claim_order *order)
{
    int r = 0;
    claim *c = *claims_at(all, order->generation);
    bool admits = order->kind == CLAIM_ORDER_EXPECT || all->ready;
    if (!admits) {
        if (order->kind == CLAIM_ORDER_END || order->kind == CLAIM_ORDER_CLOSE) {
            notice(all, order->generation, "an order came before the live set was complete; refused");
            order_drop(order);
        } else {
            refuse(all, order, STATUS_STATE, "an order came before the live set was complete");
        }
        return 0;
    }
    switch (order->kind) {
    case CLAIM_ORDER_EXPECT:
        r = claims_expect(all, order);
        break;
    case CLAIM_ORDER_OPEN:
        claims_open(all, order);
        break;
    case CLAIM_ORDER_END:
        r = claims_end(all, order);
        break;
    case CLAIM_ORDER_CLOSE:
        if (c)
            claim_close(c);
        break;
    case CLAIM_ORDER_ENTER:
    case CLAIM_ORDER_LIMIT:
    case CLAIM_ORDER_EMPTY:
        if (!c)
            refuse(all, order, STATUS_NOT_FOUND, "this host has no such claim");
        else if (order->kind == CLAIM_ORDER_ENTER)
            claim_enter(c, order);
        else if (order->kind == CLAIM_ORDER_LIMIT)
            claim_limit(c, order);
        else
            claim_empty(c, order);
        break;
    }
    order_drop(order);
    return r;
}

int claims_others(const claims *all, uint64_t but, pid_t wanted, pids *to, uint64_t *ret_holder)
{
    uint64_t holder = 0;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < BUCKETS; i++)
        for (const claim *c = all->buckets[i]; r == 0 && c; c = c->next) {
            pids inside = {0};
            if (c->generation == but)
                continue;
            r = all->world.backend->ops->processes(c->group, &inside);
            r = r == STATUS_NOT_FOUND || r == STATUS_BUSY ? 0 : r;
            if (pids_has(&inside, wanted))
                holder = c->generation;
            for (uint32_t k = 0; r == 0 && k < inside.count; k++)
                r = pids_add(to, inside.items[k]);
            pids_free(&inside);
        }
    if (r == 0)
        *ret_holder = holder;
    return r;
}

int claims_measure(claims *all, bool with_processes, claim_visit visit, void *context)
{
    pids processes = all->processes; /* kept: measuring must not wait for memory */
    int result = 0;
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (claim *c = all->buckets[i]; c; c = c->next) {
            processes.count = 0;
            processes.cut = false;
            int r = claim_measure(c, with_processes ? &processes : NULL);
            if (r == STATUS_NOT_FOUND && c->state >= CLAIM_DRAINED)
                continue; /* it is being removed, and holds nothing */
            if (r < 0) {
                result = r;
                continue;
            }
            claim_view view = claim_see(c);
            visit(context, &view, &processes);
        }
    all->processes = processes;
    return result;
}
