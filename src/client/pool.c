/*
 * pool.c - pools and slots, as programs call them.
 */
#include "client/pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "base/text.h"
#include "client/client.h"
#include "client/spawn.h"

void pool_reference(granary_pool *p)
{
    p->references++;
}

void pool_drop(granary_pool *p)
{
    if (--p->references > 0)
        return;
    while (p->answers) {
        slot_call *call = p->answers;
        p->answers = call->next;
        free(call);
    }
    free(p->state.slots);
    free(p->state.hosts);
    free(p->label);
    free(p);
}

int pool_room(granary_pool *p)
{
    size_t capacity = p->state.slots_capacity ? p->state.slots_capacity * 2 : 16;
    pool_slot *old = p->state.slots, *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return STATUS_NO_MEMORY;
    pool_state_lend_slots(&p->state, slots, capacity);
    free(old);
    return 0;
}

static granary_request request_of(const granary_client *c, const granary_pool_options *o)
{
    granary_request q = {
        .label = o->label,
        .chunk_size = o->chunk_size,
        .want = o->want,
        .min = o->min,
        .flags = o->flags | GRANARY_GROWABLE | GRANARY_SHRINKABLE | GRANARY_RECALLABLE,
        .priority = o->priority,
        .notice_ms = o->notice_ms,
        .hosts = o->hosts,
    };
    /* Slots are handed out where tasks can be started: here. Memory of other hosts would lie idle. */
    if (!q.hosts && c->hosts.count > 1 && c->hosts.local)
        q.hosts = c->hosts.local;
    return q;
}

granary_pool *granary_pool_open(granary_client *c, const granary_pool_options *options)
{
    allocation *a = NULL;
    granary_pool *p = calloc(1, sizeof *p);
    if (p)
        p->label = strdup(options->label ? options->label : c->link.program);
    if (!p || !p->label) {
        free(p);
        client_fail(c, STATUS_NO_MEMORY, "%s", "");
        return NULL;
    }
    p->client = c;
    p->min = options->min;
    p->references = 1;
    p->give_at = MS_NEVER;
    pool_state_init(&p->state, options->min, options->want);
    pthread_mutex_lock(&c->lock);
    granary_request q = request_of(c, options);
    int r = allocation_check(c, &q);
    if (r == 0)
        r = allocation_request(c, &q, &pool_owner, p, &a);
    if (r == 0) {
        p->allocation = a;
        allocation_drop(c, a); /* the pool owns it */
    } else {
        pool_drop(p);
    }
    pthread_mutex_unlock(&c->lock);
    return r == 0 ? p : NULL;
}

void granary_pool_close(granary_pool *p)
{
    if (!p)
        return;
    granary_client *c = p->client;
    pthread_mutex_lock(&c->lock);
    p->closed = true;
    spawned_forget(p);
    pool_give_all(p);
    if (p->allocation)
        allocation_disown(c, p->allocation);
    p->allocation = NULL;
    client_kick(c);
    pool_drop(p);
    pthread_mutex_unlock(&c->lock);
}

/* Why no slot will ever come, or 0. */
static int pool_over(granary_pool *p)
{
    granary_client *c = p->client;
    if (atomic_load(&p->interrupted))
        return client_fail(c, STATUS_INTERRUPTED, "%s", "");
    if (c->over)
        return client_fail(c, c->over, "%s", c->over_text);
    if (p->allocation->ended)
        return client_fail(c, p->allocation->status, "%s", p->allocation->text);
    return 0;
}

/* One attempt: 0, STATUS_WAITING, or why not. */
static int acquire_now(granary_pool *p, uint32_t chunks, granary_slot *ret)
{
    pool_slot s;
    int r = pool_over(p);
    if (r < 0)
        return r;
    r = pool_state_acquire(&p->state, client_now(), chunks, &s, pool_sink(p));
    if (r == STATUS_LIMIT) {
        r = pool_room(p);
        if (r < 0)
            return client_fail(p->client, r, "%s", "");
        r = pool_state_acquire(&p->state, client_now(), chunks, &s, pool_sink(p));
    }
    if (r == STATUS_NEVER)
        return client_fail(p->client, r, "a slot of %u %s was asked of a pool that wants %u", chunks,
                           text_plural(chunks, "chunk", "chunks"), p->state.want);
    if (r == 0)
        *ret = (granary_slot){.id = s.id, .claim = s.claim, .host = s.host, .chunks = s.chunks};
    return r;
}

int granary_slot_acquire_n(granary_pool *p, uint32_t chunks, granary_slot *ret, int timeout_ms)
{
    granary_client *c = p->client;
    ms_t deadline = client_deadline(timeout_ms);
    pthread_mutex_lock(&c->lock);
    int r;
    while ((r = acquire_now(p, chunks, ret)) == STATUS_WAITING) {
        client_kick(c);
        if (client_wait(c, deadline) == STATUS_TIMEOUT) {
            r = client_fail(c, STATUS_TIMEOUT, "%s", "no slot became free in time");
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

int granary_slot_acquire(granary_pool *p, granary_slot *ret, int timeout_ms)
{
    return granary_slot_acquire_n(p, 1, ret, timeout_ms);
}

uint64_t granary_slot_claim(granary_pool *p, const granary_slot *slot)
{
    pthread_mutex_lock(&p->client->lock);
    const pool_slot *s = pool_state_slot(&p->state, slot->id);
    uint64_t claim = s ? s->claim : 0;
    pthread_mutex_unlock(&p->client->lock);
    return claim;
}

int granary_slot_expect(granary_pool *p, const granary_slot *slot, int64_t ms)
{
    granary_client *c = p->client;
    int r = 0;
    pthread_mutex_lock(&c->lock);
    const pool_slot *s = pool_state_slot(&p->state, slot->id);
    if (ms < 0)
        r = client_fail(c, STATUS_INVALID, "a time is negative");
    else if (!s || s->state != POOL_SLOT_BUSY)
        r = client_fail(c, STATUS_STATE, "slot %llu is not handed out", (unsigned long long)slot->id);
    else
        pool_state_expect(&p->state, client_now(), slot->id, (ms_t)ms);
    pthread_mutex_unlock(&c->lock);
    return r;
}

int granary_pool_want(granary_pool *p, uint32_t want)
{
    granary_client *c = p->client;
    int r = 0;
    pthread_mutex_lock(&c->lock);
    if (want == 0 || want < p->min) {
        r = client_fail(c, STATUS_INVALID, "a pool wants at least 1 chunk, and its min (%u)", p->min);
    } else {
        pool_state_set_want(&p->state, want);
        pool_step(p);
        client_kick(c);
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

void granary_pool_interrupt(granary_pool *p)
{
    uint64_t one = 1;
    atomic_store(&p->interrupted, true);
    /* Nonblocking; when its counter is full, whoever waits is woken already. */
    ssize_t written = write(p->client->loop.wake, &one, sizeof one);
    (void)written;
}

void granary_pool_stats_get(granary_pool *p, granary_pool_stats *ret)
{
    granary_client *c = p->client;
    pthread_mutex_lock(&c->lock);
    const allocation *a = p->allocation;
    bool waiting = !a->ended && a->state == ALLOCATION_IS_WAITING;
    if (waiting && hosts_refresh(c) == 0)
        client_kick(c); /* for the next look */
    *ret = (granary_pool_stats){
        .held = a->ended ? 0 : pool_state_held(&p->state),
        .want = p->state.want,
        .busy = pool_state_busy(&p->state),
        .wanted_back = pool_state_wanted_back(&p->state),
        .given_back = p->state.given_back,
        .recalls = p->state.recalls_seen,
        .place = waiting ? a->place : 0,
    };
    pthread_mutex_unlock(&c->lock);
}

uint64_t granary_pool_allocation(granary_pool *p)
{
    return p->allocation->id;
}

int granary_pool_fd(const granary_pool *p)
{
    return granary_client_fd(p->client);
}

int granary_pool_dispatch(granary_pool *p)
{
    return granary_client_dispatch(p->client);
}
