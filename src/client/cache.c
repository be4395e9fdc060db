/*
 * cache.c - a program that uses its chunks itself: one growable allocation, one claim, this process in it.
 *
 *   target = chunks held on this host - chunks wanted back, at least 1
 *   no claim yet             -> Claim(target), this process enters
 *   target < claimed         -> tell the program to shrink -> Shrink(target) until the agent confirms -> Release the
 * difference target > claimed         -> Shrink(target), which raises the limit -> tell the program that it may grow
 *
 * One step at a time; each ends in an answer, a return of the program, or a pause.
 */
#include "client/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"
#include "client/cache_inside.h"
#include "client/call.h"
#include "client/client.h"

#define SHRINK_MS    200u  /* before the agent is asked again whether use is below */
#define GROW_MS      1000u /* before a refused growth is tried again */
#define SHRINK_TRIES 10u   /* refusals before the program is told once more */

static void cache_drop(granary_cache *k)
{
    if (--k->references > 0)
        return;
    if (k->pidfd >= 0)
        close(k->pidfd);
    free(k->label);
    free(k);
}

uint32_t cache_held(const granary_cache *k)
{
    const allocation *a = k->allocation;
    uint32_t local = hosts_local(&k->client->hosts), held = 0;
    for (size_t i = 0; i < a->n_extents; i++)
        if (a->extents[i].host == local)
            held = a->extents[i].chunks;
    return held > k->leaving ? held - k->leaving : 0;
}

uint32_t cache_wanted(const granary_cache *k)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < k->n_recalls; i++)
        sum += k->recalls[i].open;
    return sum;
}

/* ---- what is sent ---- */

bool cache_send(granary_cache *k, uint16_t type, const void *message, int fd, request_done done)
{
    int r = request_start(k->client, type, message, fd, done, k, NULL);
    if (r == 0 && done)
        k->references++;
    if (r < 0)
        requests_again(k->client);
    return r == 0;
}

void cache_recall_forget(granary_cache *k, uint64_t id)
{
    for (uint32_t i = 0; i < k->n_recalls; i++)
        if (k->recalls[i].id == id) {
            k->n_recalls--;
            memmove(&k->recalls[i], &k->recalls[i + 1], (k->n_recalls - i) * sizeof k->recalls[0]);
            return;
        }
}

static void on_released(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    granary_cache *k = r->userdata;
    const Granary__Release *m = (const Granary__Release *)r->message;
    (void)c;
    (void)reply;
    k->leaving -= m->extents[0]->chunks;
    if (status < 0)
        cache_recall_forget(k, m->recall);
    cache_step(k);
    cache_drop(k);
}

/* Gives what the claim no longer stands for to the recalls, oldest first. */
static void cache_give(granary_cache *k)
{
    uint32_t spare = cache_held(k) > k->claimed ? cache_held(k) - k->claimed : 0;
    while (spare > 0 && k->n_recalls > 0) {
        Granary__Release message = GRANARY__RELEASE__INIT;
        Granary__Extent given = GRANARY__EXTENT__INIT;
        Granary__Extent *extents[] = {&given};
        given.host = hosts_local(&k->client->hosts);
        given.chunks = spare < k->recalls[0].open ? spare : k->recalls[0].open;
        message.allocation = k->allocation->id;
        message.recall = k->recalls[0].id;
        message.n_extents = 1;
        message.extents = extents;
        if (!cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_RELEASE, &message, -1, on_released))
            return;
        k->leaving += given.chunks;
        spare -= given.chunks;
        k->recalls[0].open -= given.chunks;
        if (k->recalls[0].open == 0)
            cache_recall_forget(k, k->recalls[0].id);
    }
}

static void on_resized(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    granary_cache *k = r->userdata;
    bool shrinking = k->aim < k->claimed;
    ms_t now = client_now();
    (void)c;
    (void)reply;
    k->asking = false;
    if (status == 0) {
        k->claimed = k->aim;
        k->refused = 0;
        if (shrinking) {
            k->shrink_took = now > k->shrink_began ? now - k->shrink_began : 1;
        } else {
            k->told = k->aim;
            k->due = CALL_GROW;
        }
    } else {
        k->retry_at = now + (shrinking ? SHRINK_MS : GROW_MS);
        if (shrinking && ++k->refused % SHRINK_TRIES == 0)
            k->due = CALL_SHRINK; /* the program meant to, and did not */
    }
    cache_step(k);
    cache_drop(k);
}

static void cache_resize(granary_cache *k, uint32_t chunks)
{
    Granary__Shrink message = GRANARY__SHRINK__INIT;
    message.claim = k->claim;
    message.chunks = chunks;
    k->aim = chunks;
    k->asking = cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_SHRINK, &message, -1, on_resized);
}

static void on_claimed(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    granary_cache *k = r->userdata;
    k->asking = false;
    if (status == 0 && (*reply)->claim != 0) {
        k->claim = (*reply)->claim;
        k->claimed = k->told = k->aim;
    } else if (status != STATUS_SILENT && status != STATUS_STATE) {
        k->failed = call_status(c, status < 0 ? status : STATUS_PROTOCOL, *reply);
    } else {
        k->retry_at = client_now() + SHRINK_MS; /* the agent is coming back, or the set has just changed */
    }
    cache_step(k);
    cache_drop(k);
}

static void cache_claim(granary_cache *k, uint32_t chunks)
{
    Granary__Claim message = GRANARY__CLAIM__INIT;
    message.allocation = k->allocation->id;
    message.host = hosts_local(&k->client->hosts);
    message.chunks = chunks;
    message.command = k->label;
    k->aim = chunks;
    k->asking = cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_CLAIM, &message, k->pidfd, on_claimed);
}

/* ---- what is next ---- */

static bool cache_lives(const granary_cache *k)
{
    return !k->closed && !k->failed && k->allocation && !k->allocation->ended && !k->client->over;
}

void cache_step(granary_cache *k)
{
    if (!cache_lives(k))
        return;
    cache_give(k);
    uint32_t held = cache_held(k), wanted = cache_wanted(k);
    uint32_t target = held > wanted ? held - wanted : 1;
    if (held == 0 || k->leaving > 0 || k->asking || k->calling || k->due != CALL_NONE)
        return; /* with a release unanswered, what is held may be counted too low */
    bool paused = client_now() < k->retry_at;
    if (k->claim == 0) {
        if (!paused)
            cache_claim(k, target);
    } else if (target < k->claimed && k->told > target) {
        k->aim = target;
        k->due = CALL_SHRINK;
    } else if (target != k->claimed && !paused) {
        cache_resize(k, target);
    } else if (target == k->claimed && k->told < k->claimed) {
        k->told = k->claimed; /* what it was asked for is no longer wanted */
        k->due = CALL_GROW;
    }
}

void caches_tick(granary_client *c, ms_t now)
{
    for (granary_cache *k = c->caches; k; k = k->next)
        if (k->retry_at != 0 && now >= k->retry_at) {
            k->retry_at = 0;
            cache_step(k);
        }
}

ms_t caches_deadline(const granary_client *c)
{
    ms_t soonest = MS_NEVER;
    for (const granary_cache *k = c->caches; k; k = k->next)
        if (k->retry_at != 0 && k->retry_at < soonest && cache_lives(k))
            soonest = k->retry_at;
    return soonest;
}

static granary_cache *cache_due(const granary_client *c)
{
    granary_cache *k = c->caches;
    while (k && (k->due == CALL_NONE || k->calling))
        k = k->next;
    return k;
}

void caches_call(granary_client *c)
{
    granary_cache *k;
    while ((k = cache_due(c))) {
        cache_call call = k->due;
        if (call == CALL_SHRINK) {
            k->told = k->aim;
            k->shrink_began = client_now();
        }
        uint64_t bytes = k->told * k->options.chunk_size;
        k->due = CALL_NONE;
        k->calling = true;
        pthread_mutex_unlock(&c->lock);
        if (call == CALL_SHRINK)
            k->options.shrink(bytes, k->options.userdata);
        else if (k->options.grow)
            k->options.grow(bytes, k->options.userdata);
        pthread_mutex_lock(&c->lock);
        k->calling = false;
        cache_step(k);
        client_kick(c);
        pthread_cond_broadcast(&c->changed);
    }
}

/* ---- what programs call ---- */

static int cache_check(const granary_client *c, const granary_cache_options *o)
{
    if (!o->shrink)
        return client_fail(c, STATUS_INVALID, "a cache needs a shrink function");
    if (o->want == 0 || o->min > o->want)
        return client_fail(c, STATUS_INVALID, "a cache wants at least 1 chunk, and no less than its min");
    return 0;
}

static int cache_create(granary_client *c, const granary_cache_options *o, granary_cache **ret)
{
    granary_cache *k = calloc(1, sizeof *k);
    if (!k)
        return client_fail(c, STATUS_NO_MEMORY, "%s", "");
    *k = (granary_cache){.client = c, .options = *o, .references = 1, .pidfd = -1};
    k->label = strdup(o->label ? o->label : c->link.program);
    k->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (!k->label || k->pidfd < 0) {
        int r = k->label ? STATUS_SYSTEM : STATUS_NO_MEMORY;
        cache_drop(k);
        return client_fail(c, r, "%s", "");
    }
    *ret = k;
    return 0;
}

/* Ends what the broker knows of it. The claim stays until this process is gone: its memory stays charged. */
static void cache_end(granary_cache *k)
{
    granary_client *c = k->client;
    allocation *a = k->allocation;
    for (granary_cache **at = &c->caches; *at; at = &(*at)->next)
        if (*at == k) {
            *at = k->next;
            break;
        }
    k->closed = true;
    if (a && !a->ended && !c->over) {
        Granary__Close close_claim = GRANARY__CLOSE__INIT;
        Granary__Release all = GRANARY__RELEASE__INIT;
        Granary__Want none = GRANARY__WANT__INIT;
        Granary__Cancel cancel = GRANARY__CANCEL__INIT;
        close_claim.claim = k->claim;
        all.allocation = none.allocation = cancel.allocation = a->id;
        if (a->state == ALLOCATION_IS_WAITING)
            cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_CANCEL, &cancel, -1, NULL);
        if (k->claim != 0)
            cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_CLOSE, &close_claim, -1, NULL);
        cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_RELEASE, &all, -1, NULL);
        cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_WANT, &none, -1, NULL);
    }
    if (a)
        allocation_disown(c, a);
    k->allocation = NULL;
    client_kick(c);
    cache_drop(k);
}

static int cache_open(granary_client *c, granary_cache *k)
{
    granary_request q = {.label = k->label,
                         .chunk_size = k->options.chunk_size,
                         .want = k->options.want,
                         .min = k->options.min ? k->options.min : 1,
                         .flags = GRANARY_GROWABLE | GRANARY_SHRINKABLE | GRANARY_RECALLABLE,
                         .hosts = c->hosts.count > 1 ? c->hosts.local : NULL};
    allocation *a = NULL;
    int r = allocation_check(c, &q);
    if (r == 0)
        r = allocation_request(c, &q, &cache_owner, k, &a);
    if (r < 0) {
        cache_drop(k);
        return r;
    }
    k->allocation = a;
    allocation_drop(c, a); /* the cache owns it */
    k->next = c->caches;
    c->caches = k;
    cache_step(k);
    client_kick(c);
    while (k->claim == 0 && cache_lives(k))
        client_wait(c, MS_NEVER);
    if (k->claim != 0)
        return 0;
    r = k->failed              ? client_fail(c, k->failed, "%s", "")
        : k->allocation->ended ? client_fail(c, k->allocation->status, "%s", k->allocation->text)
                               : call_status(c, c->over, NULL);
    cache_end(k);
    return r;
}

int granary_cache_open(granary_client *c, const granary_cache_options *options, granary_cache **ret)
{
    granary_cache *k = NULL;
    int r = cache_check(c, options);
    if (r == 0)
        r = cache_create(c, options, &k);
    if (r < 0)
        return r;
    assert(k);
    pthread_mutex_lock(&c->lock);
    r = cache_open(c, k);
    pthread_mutex_unlock(&c->lock);
    if (r == 0)
        *ret = k;
    return r;
}

uint64_t granary_cache_bytes(const granary_cache *k)
{
    pthread_mutex_lock(&k->client->lock);
    uint64_t bytes = k->told * k->options.chunk_size;
    pthread_mutex_unlock(&k->client->lock);
    return bytes;
}

void granary_cache_close(granary_cache *k)
{
    if (!k)
        return;
    granary_client *c = k->client;
    pthread_mutex_lock(&c->lock);
    while (k->calling)
        client_wait(c, MS_NEVER);
    cache_end(k);
    pthread_mutex_unlock(&c->lock);
}
