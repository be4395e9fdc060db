/*
 * handover.c - an allocation changes hands: to another session of the same user, or, for claiming only, to a child.
 *
 * The new owner asks for what it was given by a Transfer to its own session: refused while it is not the owner yet,
 * answered with the whole set afterwards. It may ask before it was given: a push about an allocation that this client
 * does not know says that it is time to ask again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "client/call.h"
#include "client/client.h"
#include "client/lease.h"

uint64_t granary_session(granary_client *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t session = c->link.session;
    pthread_mutex_unlock(&c->lock);
    return session;
}

uint64_t granary_inherited_allocation(void)
{
    const char *text = secure_getenv("GRANARY_ALLOCATION");
    uint64_t id = 0;
    if (!text || !text[0] || text[0] == '0')
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(id, 10u, &id) ||
            __builtin_add_overflow(id, (uint64_t)(*text - '0'), &id))
            return 0;
    }
    return id;
}

/* ---- the old owner ---- */

typedef struct {
    bool done;
    int status;
    uint64_t id;
    char text[256];
} handing;

static void handed(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    handing *h = r->userdata;
    h->done = true;
    h->status = status;
    if (*reply)
        snprintf(h->text, sizeof h->text, "%s", (*reply)->text);
    if (status == 0)
        allocation_left(c, h->id);
}

int granary_transfer(granary_client *c, uint64_t id, uint64_t session)
{
    Granary__Transfer message = GRANARY__TRANSFER__INIT;
    handing h = {.id = id};
    int r = 0;
    message.allocation = id;
    message.session = session;
    pthread_mutex_lock(&c->lock);
    const allocation *a = allocation_find(c, id);
    if (session == 0 || session == c->link.session)
        r = client_fail(c, STATUS_INVALID, "session %llu is not another one: the receiver's granary_session() tells it",
                        (unsigned long long)session);
    else if (!a || a->ended)
        r = client_fail(c, STATUS_NOT_FOUND, "this session has no allocation %llu", (unsigned long long)id);
    else if (a->owner)
        r = client_fail(c, STATUS_STATE, "allocation %llu belongs to a pool or a cache, which would go on using it",
                        (unsigned long long)id);
    if (r == 0 && (r = request_start(c, GRANARY__MESSAGE_TYPE__TYPE_TRANSFER, &message, -1, handed, &h, NULL)) < 0)
        client_fail(c, r, "%s", r == c->over ? c->over_text : "");
    if (r == 0) {
        client_kick(c);
        while (!h.done)
            client_wait(c, MS_NEVER);
        r = h.status < 0 ? client_fail(c, h.status, "%s", h.text) : 0;
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* ---- the new owner ---- */

typedef struct {
    bool done;
    int status;
    char text[256];
    allocation *room; /* made before, so that the answer finds a place; NULL once used */
    allocation *found;
} adopting;

static void adopted(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    adopting *q = r->userdata;
    q->done = true;
    q->status = status;
    if (*reply)
        snprintf(q->text, sizeof q->text, "%s", (*reply)->text);
    if (status < 0)
        return;
    if (!*reply || !(*reply)->allocation)
        q->status = STATUS_PROTOCOL;
    else
        q->status = allocation_arrived(c, (*reply)->allocation, &q->room, &q->found);
}

/* Asks once. 0: `q->found` is held once. */
static int adopt_ask(granary_client *c, uint64_t id, adopting *q)
{
    Granary__Transfer message = GRANARY__TRANSFER__INIT;
    message.allocation = id;
    message.session = c->link.session;
    q->done = false;
    int r = request_start(c, GRANARY__MESSAGE_TYPE__TYPE_TRANSFER, &message, -1, adopted, q, NULL);
    if (r < 0)
        return client_fail(c, r, "%s", r == c->over ? c->over_text : "");
    client_kick(c);
    while (!q->done)
        client_wait(c, MS_NEVER);
    return q->status < 0 ? client_fail(c, q->status, "%s", q->text) : 0;
}

int granary_allocation_adopt(granary_client *c, uint64_t id, int timeout_ms, granary_allocation *ret)
{
    adopting q = {.room = calloc(1, sizeof *q.room)};
    ms_t deadline = client_deadline(timeout_ms);
    int r;
    if (!q.room)
        return client_fail(c, STATUS_NO_MEMORY, "%s", "");
    pthread_mutex_lock(&c->lock);
    for (;;) {
        uint64_t heard = c->strangers;
        r = adopt_ask(c, id, &q);
        if (r != STATUS_DENIED)
            break;
        while (c->strangers == heard && !c->over && client_wait(c, deadline) != STATUS_TIMEOUT)
            ;
        if (c->strangers == heard && !c->over)
            break; /* the answer stays: not this session's */
    }
    if (r == 0 && ret)
        r = lease_copy_out(c, q.found, ret);
    if (q.found)
        allocation_drop(c, q.found);
    pthread_mutex_unlock(&c->lock);
    free(q.room);
    return r;
}
