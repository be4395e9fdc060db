/*
 * lease.c - the plain calls: allocate, release.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "client/call.h"
#include "client/client.h"
#include "client/lease.h"

#define PROGRESS_MS 1000 /* between two looks at the queue, for a caller who wants to see its place */

int lease_copy_out(granary_client *c, const allocation *a, granary_allocation *ret)
{
    granary_extent *extents = calloc(a->n_extents ? a->n_extents : 1, sizeof *extents);
    if (!extents)
        return client_fail(c, STATUS_NO_MEMORY, "%s", "");
    if (a->n_extents > 0)
        memcpy(extents, a->extents, a->n_extents * sizeof *extents);
    *ret = (granary_allocation){.id = a->id,
                                .version = a->version,
                                .want = a->want,
                                .chunks = allocation_chunks(a),
                                .n_extents = a->n_extents,
                                .extents = extents};
    return 0;
}

typedef struct {
    int (*call)(const granary_wait_info *info, void *userdata);
    void *userdata;
    granary_wait_info told;
    bool told_any;
} progress;

/*
 * Tells the program where it stands, if that changed. Without the lock, so that it may take its time and call the
 * library: what the allocation is may have changed when this returns.
 */
static bool progress_stops(granary_client *c, progress *p, const allocation *a)
{
    granary_wait_info info = {.place = a->place, .expected_ms = a->expected_ms, .allocation = a->id};
    if (!p->call)
        return false;
    memcpy(info.reason, a->reason, sizeof info.reason);
    if (p->told_any && info.place == p->told.place && info.expected_ms == p->told.expected_ms &&
        strcmp(info.reason, p->told.reason) == 0)
        return false;
    p->told = info;
    p->told_any = true;
    pthread_mutex_unlock(&c->lock);
    int stop = p->call(&info, p->userdata);
    pthread_mutex_lock(&c->lock);
    return stop != 0;
}

static int release_extents(granary_client *c, uint64_t id, const granary_extent *extents, size_t n)
{
    Granary__Release message = GRANARY__RELEASE__INIT;
    Granary__Extent *values = calloc(n, sizeof *values);
    Granary__Extent **pointers = calloc(n, sizeof *pointers);
    int r = STATUS_NO_MEMORY;
    if (values && pointers) {
        for (size_t i = 0; i < n; i++) {
            granary__extent__init(&values[i]);
            values[i].host = extents[i].host;
            values[i].chunks = extents[i].chunks;
            pointers[i] = &values[i];
        }
        message.allocation = id;
        message.n_extents = n;
        message.extents = pointers;
        r = call_wait(c, GRANARY__MESSAGE_TYPE__TYPE_RELEASE, &message, -1, MS_NEVER, NULL);
    } else {
        client_fail(c, r, "%s", "");
    }
    free(values);
    free(pointers);
    return r;
}

/* Takes the request back; when it was granted at that very moment, what was granted. */
static int take_back(granary_client *c, allocation *a)
{
    Granary__Cancel message = GRANARY__CANCEL__INIT;
    message.allocation = a->id;
    int r = call_wait(c, GRANARY__MESSAGE_TYPE__TYPE_CANCEL, &message, -1, MS_NEVER, NULL);
    if (r < 0 && !a->ended && a->state == ALLOCATION_IS_LIVE && a->n_extents > 0)
        r = release_extents(c, a->id, a->extents, a->n_extents);
    return c->over ? r : client_fail(c, STATUS_INTERRUPTED, "the request was taken back");
}

/* One that is ending and not over: what was attached to it goes first. */
static bool undecided(const allocation *a)
{
    return !a->ended && a->state != ALLOCATION_IS_LIVE;
}

static int wait_granted(granary_client *c, allocation *a, progress *p)
{
    ms_t look_at = client_now() + PROGRESS_MS;
    while (undecided(a)) {
        if (a->state == ALLOCATION_IS_WAITING && progress_stops(c, p, a))
            return take_back(c, a);
        if (!undecided(a))
            break;
        client_wait(c, p->call ? look_at : MS_NEVER);
        if (p->call && client_now() >= look_at) {
            hosts_refresh(c);
            client_kick(c);
            look_at = client_now() + PROGRESS_MS;
        }
    }
    return a->ended ? client_fail(c, a->status, "%s", a->text) : 0;
}

int granary_allocate(granary_client *c, const granary_request *terms, granary_allocation *ret,
                     int (*call)(const granary_wait_info *info, void *userdata), void *userdata)
{
    progress p = {.call = call, .userdata = userdata};
    allocation *a;
    int r = allocation_check(c, terms);
    if (r < 0)
        return r;
    pthread_mutex_lock(&c->lock);
    r = allocation_request(c, terms, NULL, NULL, &a);
    if (r == 0) {
        r = wait_granted(c, a, &p);
        if (r == 0 && (r = lease_copy_out(c, a, ret)) < 0 && a->n_extents > 0)
            release_extents(c, a->id, a->extents, a->n_extents);
        allocation_drop(c, a);
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

void granary_allocation_finish(granary_allocation *a)
{
    if (!a)
        return;
    free(a->extents);
    a->extents = NULL;
    a->n_extents = 0;
}

int granary_release(granary_client *c, uint64_t id, const granary_extent *extents, size_t n)
{
    int r;
    pthread_mutex_lock(&c->lock);
    allocation *a = allocation_find(c, id);
    if (n > 0) {
        r = release_extents(c, id, extents, n);
    } else if (!a || a->ended) {
        r = client_fail(c, STATUS_NOT_FOUND, "this session has no allocation %llu", (unsigned long long)id);
    } else if (a->n_extents == 0) {
        r = 0;
    } else {
        r = release_extents(c, id, a->extents, a->n_extents);
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

static int took_out(granary_client *c, uint64_t id, const Granary__Reply *reply, granary_allocation *ret)
{
    granary_extent *extents = calloc(reply->n_extents ? reply->n_extents : 1, sizeof *extents);
    if (!extents)
        return client_fail(c, STATUS_NO_MEMORY, "%s", "");
    *ret = (granary_allocation){.id = id, .n_extents = reply->n_extents, .extents = extents};
    if (reply->allocation) {
        ret->version = reply->allocation->version;
        ret->want = reply->allocation->want;
    }
    for (size_t i = 0; i < reply->n_extents; i++) {
        extents[i] = (granary_extent){.host = reply->extents[i]->host, .chunks = reply->extents[i]->chunks};
        ret->chunks += extents[i].chunks;
    }
    return 0;
}

int granary_release_n(granary_client *c, uint64_t id, uint32_t count, const granary_extent *busy, size_t n_busy,
                      granary_allocation *ret)
{
    Granary__ReleaseN message = GRANARY__RELEASE_N__INIT;
    Granary__Extent *values = calloc(n_busy ? n_busy : 1, sizeof *values);
    Granary__Extent **pointers = calloc(n_busy ? n_busy : 1, sizeof *pointers);
    Granary__Reply *reply = NULL;
    int r = STATUS_NO_MEMORY;
    if (values && pointers) {
        for (size_t i = 0; i < n_busy; i++) {
            granary__extent__init(&values[i]);
            values[i].host = busy[i].host;
            values[i].chunks = busy[i].chunks;
            pointers[i] = &values[i];
        }
        message.allocation = id;
        message.count = count;
        message.n_busy = n_busy;
        message.busy = pointers;
        r = client_call(c, GRANARY__MESSAGE_TYPE__TYPE_RELEASE_N, &message, -1, -1, &reply);
    } else {
        client_fail(c, r, "%s", "");
    }
    if (r == 0 && ret)
        r = took_out(c, id, reply, ret);
    reply_free(reply);
    free(values);
    free(pointers);
    return r;
}
