/*
 * allocation.c - the table of allocations, and what arrives about them.
 */
#include "client/allocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"
#include "client/client.h"

#define EXTENTS_LIMIT 1024u /* hosts in one message */

allocation *allocation_find(granary_client *c, uint64_t id)
{
    allocation *a = c->allocations;
    while (a && a->id != id)
        a = a->next;
    return a;
}

uint32_t allocation_chunks(const allocation *a)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < a->n_extents; i++)
        sum += a->extents[i].chunks;
    return sum;
}

static void allocation_free(allocation *a)
{
    if (!a)
        return;
    free(a->extents);
    free(a);
}

static void unregister(granary_client *c, allocation *a)
{
    allocation **at = &c->allocations;
    while (*at && *at != a)
        at = &(*at)->next;
    if (*at)
        *at = a->next;
    a->registered = false;
}

static void allocation_collect(granary_client *c, allocation *a)
{
    if (a->held_by > 0 || a->owner || (a->registered && !a->ended))
        return;
    if (a->registered)
        unregister(c, a);
    allocation_free(a);
}

void allocation_drop(granary_client *c, allocation *a)
{
    a->held_by--;
    allocation_collect(c, a);
}

void allocation_disown(granary_client *c, allocation *a)
{
    a->owner = NULL;
    allocation_collect(c, a);
}

void allocations_finish(granary_client *c)
{
    while (c->allocations) {
        allocation *a = c->allocations;
        c->allocations = a->next;
        allocation_free(a);
    }
}

/* A broker that contradicts itself is not believed. */
static int state_check(const Granary__AllocationState *s)
{
    uint64_t sum = 0;
    if (s->state < ALLOCATION_IS_WAITING || s->state > ALLOCATION_IS_ENDING || s->n_extents > EXTENTS_LIMIT)
        return STATUS_PROTOCOL;
    for (size_t i = 0; i < s->n_extents; i++) {
        sum += s->extents[i]->chunks;
        for (size_t j = 0; j < i; j++)
            if (s->extents[j]->host == s->extents[i]->host)
                return STATUS_PROTOCOL;
    }
    return sum > UINT32_MAX ? STATUS_PROTOCOL : 0;
}

/* Takes the state over without telling the owner. */
static int allocation_put(granary_client *c, allocation *a, const Granary__AllocationState *s)
{
    if (s->n_extents > a->capacity) {
        granary_extent *extents = realloc(a->extents, s->n_extents * sizeof *extents);
        if (!extents)
            return STATUS_NO_MEMORY;
        a->extents = extents;
        a->capacity = s->n_extents;
    }
    for (size_t i = 0; i < s->n_extents; i++) {
        a->extents[i] = (granary_extent){.host = s->extents[i]->host, .chunks = s->extents[i]->chunks};
        if (!hosts_name(&c->hosts, s->extents[i]->host))
            hosts_refresh(c); /* when memory is short now, the next change asks again */
    }
    a->n_extents = s->n_extents;
    a->version = s->version;
    a->want = s->want;
    a->state = (allocation_is)s->state;
    return 0;
}

static int allocation_set(granary_client *c, allocation *a, const Granary__AllocationState *s)
{
    int r = state_check(s);
    if (r < 0 || s->version <= a->version || a->ended)
        return r; /* nothing new: a version has one set */
    r = allocation_put(c, a, s);
    return r == 0 && a->owner ? a->owner->changed(a->owner_data, a) : r;
}

int allocations_apply(granary_client *c, const Granary__AllocationState *state)
{
    allocation *a = allocation_find(c, state->id);
    if (state->state == ALLOCATION_IS_GONE)
        return 0; /* the answer to what ended it; its end is told apart */
    return a ? allocation_set(c, a, state) : state_check(state);
}

/* As a push. */
int allocations_changed(granary_client *c, const Granary__AllocationState *state)
{
    if (!allocation_find(c, state->id))
        c->strangers++;
    return allocations_apply(c, state);
}

static void allocation_end(granary_client *c, allocation *a, int status, const char *text)
{
    a->ended = true;
    a->status = status < 0 ? status : STATUS_ENDED;
    a->n_extents = 0;
    snprintf(a->text, sizeof a->text, "%s", text && text[0] ? text : status_text(a->status));
    if (a->owner)
        a->owner->changed(a->owner_data, a);
    allocation_collect(c, a);
}

int allocations_end(granary_client *c, const Granary__AllocationEnded *e)
{
    allocation *a = e->allocation ? allocation_find(c, e->allocation->id) : NULL;
    if (!e->allocation)
        return STATUS_PROTOCOL;
    if (a && !a->ended)
        allocation_end(c, a, e->status, e->text);
    return 0;
}

void allocations_fail(granary_client *c, int status, const char *text)
{
    allocation *next;
    for (allocation *a = c->allocations; a; a = next) {
        next = a->next;
        if (!a->ended)
            allocation_end(c, a, status, text);
    }
}

static allocation *owned(granary_client *c, uint64_t id)
{
    allocation *a = allocation_find(c, id);
    return a && a->owner && !a->ended ? a : NULL;
}

int allocations_ask(granary_client *c, const Granary__Ask *ask)
{
    allocation *a = owned(c, ask->allocation);
    return a ? a->owner->ask(a->owner_data, ask) : 0;
}

int allocations_recall(granary_client *c, const Granary__Recall *recall)
{
    allocation *a = owned(c, recall->allocation);
    if (recall->recall == 0)
        return STATUS_PROTOCOL;
    return a ? a->owner->recall(a->owner_data, recall) : 0;
}

int allocations_prefer(granary_client *c, const Granary__Prefer *prefer)
{
    allocation *a = owned(c, prefer->allocation);
    return a ? a->owner->prefer(a->owner_data, prefer) : 0;
}

int allocations_withdraw(granary_client *c, const Granary__Withdraw *withdraw)
{
    allocation *a = owned(c, withdraw->allocation);
    return a ? a->owner->withdraw(a->owner_data, withdraw) : 0;
}

static const Granary__AllocationState *state_in(const Granary__Welcome *w, uint64_t id)
{
    for (size_t i = 0; i < w->n_allocations; i++)
        if (w->allocations[i]->id == id)
            return w->allocations[i];
    return NULL;
}

int allocations_reattach(granary_client *c, const Granary__Welcome *w)
{
    allocation *next;
    c->strangers++; /* a push about one may have been lost */
    for (allocation *a = c->allocations; a; a = next) {
        next = a->next;
        const Granary__AllocationState *s = state_in(w, a->id);
        if (a->ended)
            continue;
        if (!s) {
            allocation_end(c, a, STATUS_ENDED, "it ended while the broker was away");
            continue;
        }
        int r = state_check(s);
        if (r == 0)
            r = allocation_put(c, a, s); /* the whole truth, whatever was heard before */
        if (r == 0 && a->owner)
            r = a->owner->reattached(a->owner_data, a, w);
        if (r < 0)
            return r;
    }
    return 0;
}

void allocations_place(granary_client *c, const Granary__WaiterInfo *waiter)
{
    allocation *a = waiter->allocation ? allocation_find(c, waiter->allocation->id) : NULL;
    if (!a)
        return;
    a->place = waiter->place;
    a->expected_ms = waiter->expected_known && waiter->expected_ms <= INT64_MAX ? (int64_t)waiter->expected_ms : -1;
    snprintf(a->reason, sizeof a->reason, "%s", waiter->reason);
}

void allocations_hosts_changed(granary_client *c)
{
    for (allocation *a = c->allocations; a; a = a->next)
        if (a->owner && !a->ended)
            a->owner->changed(a->owner_data, a);
}

/* ---- asking ---- */

int allocation_check(const granary_client *c, const granary_request *q)
{
    const uint32_t known = (GRANARY_STAY << 1) - 1;
    if (q->chunk_size == 0)
        return client_fail(c, STATUS_INVALID, "chunk_size is 0: a chunk is at least 1 byte");
    if (q->want == 0)
        return client_fail(c, STATUS_INVALID, "want is 0: ask for at least 1 chunk");
    if (q->min > q->want)
        return client_fail(c, STATUS_INVALID, "min (%u) is more than want (%u)", q->min, q->want);
    if (q->chunk_size > UINT64_MAX / q->want)
        return client_fail(c, STATUS_INVALID, "chunk_size times want is more than 64 bits hold");
    if (q->flags & ~known)
        return client_fail(c, STATUS_INVALID, "flags %#x are not known", q->flags & ~known);
    if ((q->flags & GRANARY_KEEP) && (q->flags & (GRANARY_RECALLABLE | GRANARY_REVOCABLE)))
        return client_fail(c, STATUS_INVALID, "flag KEEP contradicts RECALLABLE and REVOCABLE: leave one out");
    if (q->notice_ms < 0 || q->wait_ms < 0)
        return client_fail(c, STATUS_INVALID, "a time is negative");
    return 0;
}

static void registered(granary_client *c, allocation *a, uint64_t id)
{
    a->id = id;
    a->registered = true;
    a->next = c->allocations;
    c->allocations = a;
}

int allocation_arrived(granary_client *c, const Granary__AllocationState *s, allocation **room, allocation **ret)
{
    allocation *a = allocation_find(c, s->id);
    int r = state_check(s);
    if (r == 0 && (!a || a->ended)) {
        a = *room;
        a->expected_ms = -1;
        r = allocation_put(c, a, s);
        if (r < 0) {
            free(a->extents);
            *a = (allocation){0};
            return r;
        }
        registered(c, a, s->id);
        *room = NULL;
    }
    if (r < 0)
        return r;
    a->held_by++;
    *ret = a;
    return 0;
}

void allocation_left(granary_client *c, uint64_t id)
{
    allocation *a = allocation_find(c, id);
    if (a && !a->ended)
        allocation_end(c, a, STATUS_ENDED, "it was handed over to another session");
}

static void registered_by(granary_client *c, allocation *a, const Granary__Reply *reply)
{
    a->place = reply->place;
    a->expected_ms = reply->expected_known && reply->expected_ms <= INT64_MAX ? (int64_t)reply->expected_ms : -1;
    snprintf(a->reason, sizeof a->reason, "%s", reply->reason);
    registered(c, a, reply->allocation->id);
}

typedef struct {
    allocation *allocation;
    bool done;
    int status;
    uint64_t most;
    const allocation_owner *owner;
    void *owner_data;
} asking;

static void asked(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    asking *q = r->userdata;
    q->done = true;
    q->status = status;
    if (!*reply)
        return;
    q->most = (*reply)->most;
    snprintf(q->allocation->text, sizeof q->allocation->text, "%s", (*reply)->text);
    if (status < 0)
        return;
    if (!(*reply)->allocation || (*reply)->allocation->id == 0) {
        q->status = STATUS_PROTOCOL;
        return;
    }
    registered_by(c, q->allocation, *reply);
    q->allocation->owner = q->owner;
    q->allocation->owner_data = q->owner_data;
    int set = allocation_set(c, q->allocation, (*reply)->allocation);
    if (set == STATUS_NO_MEMORY) {
        c->link.resync = true;
    } else if (set < 0) {
        q->allocation->owner = NULL;
        q->status = set;
    }
}

static int asking_failed(granary_client *c, const asking *q, const granary_request *terms)
{
    const char *text = q->allocation->text;
    const uint32_t least = terms->min ? terms->min : terms->want;
    if ((q->status == STATUS_NEVER || q->status == STATUS_QUOTA) && !text[0])
        return client_fail(c, q->status, "%s: %u %s of %llu bytes %s asked, the most is %llu bytes",
                           status_text(q->status), least, text_plural(least, "chunk", "chunks"),
                           (unsigned long long)terms->chunk_size, text_plural(least, "was", "were"),
                           (unsigned long long)q->most);
    return client_fail(c, q->status, "%s", text);
}

int allocation_request(granary_client *c, const granary_request *q, const allocation_owner *owner, void *owner_data,
                       allocation **ret)
{
    Granary__Allocate message = GRANARY__ALLOCATE__INIT;
    Granary__Terms terms = GRANARY__TERMS__INIT;
    allocation *a = calloc(1, sizeof *a);
    if (!a)
        return client_fail(c, STATUS_NO_MEMORY, "%s", "");
    terms.label = (char *)(uintptr_t)(q->label ? q->label : c->link.program);
    terms.chunk_size = q->chunk_size;
    terms.want = q->want;
    terms.min = q->min == 0 && !(q->flags & GRANARY_GROWABLE) ? q->want : q->min;
    terms.flags = q->flags;
    terms.priority = q->priority;
    terms.notice_ms = (uint64_t)q->notice_ms;
    terms.wait_ms = (uint64_t)q->wait_ms;
    terms.filter = (char *)(uintptr_t)(q->hosts ? q->hosts : "");
    message.terms = &terms;

    a->expected_ms = -1;
    a->held_by = 1;
    asking question = {.allocation = a, .owner = owner, .owner_data = owner_data};
    int r = request_start(c, GRANARY__MESSAGE_TYPE__TYPE_ALLOCATE, &message, -1, asked, &question, NULL);
    if (r < 0) {
        allocation_drop(c, a);
        return client_fail(c, r, "%s", r == c->over ? c->over_text : "");
    }
    client_kick(c);
    while (!question.done)
        client_wait(c, MS_NEVER);
    if (question.status < 0) {
        r = asking_failed(c, &question, q);
        allocation_drop(c, a);
        return r;
    }
    *ret = a;
    return 0;
}
