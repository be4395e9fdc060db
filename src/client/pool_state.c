/*
 * pool_state.c - slots and hosts of a pool: what is held, handed out and idle. Recalls are pool_recall.c.
 */
#include "client/pool_state.h"

#include <assert.h>
#include <string.h>

#include "base/status.h"
#include "client/pool_recall.h"

void pool_state_init(pool_state *p, uint32_t min, uint32_t want)
{
    memset(p, 0, sizeof *p);
    p->min = min;
    p->want = p->broker_want = want;
    p->offer_at = MS_NEVER;
}

void pool_state_lend_slots(pool_state *p, pool_slot *slots, size_t capacity)
{
    assert(capacity >= p->n_slots);
    if (p->n_slots > 0)
        memcpy(slots, p->slots, p->n_slots * sizeof *slots);
    p->slots = slots;
    p->slots_capacity = capacity;
}

void pool_state_lend_hosts(pool_state *p, pool_host *hosts, size_t capacity)
{
    assert(capacity >= p->n_hosts);
    if (p->n_hosts > 0)
        memcpy(hosts, p->hosts, p->n_hosts * sizeof *hosts);
    p->hosts = hosts;
    p->hosts_capacity = capacity;
}

/* ---- hosts ---- */

pool_host *pool_host_find(const pool_state *p, uint32_t id)
{
    for (size_t i = 0; i < p->n_hosts; i++)
        if (p->hosts[i].host == id)
            return &p->hosts[i];
    return NULL;
}

uint32_t pool_host_held(const pool_host *h)
{
    return h->held > h->leaving ? h->held - h->leaving : 0;
}

static uint32_t slots_sum(const pool_state *p, uint32_t host, pool_slot_state state)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].host == host && (state == POOL_SLOT_NONE || p->slots[i].state == state))
            sum += p->slots[i].chunks;
    return sum;
}

uint32_t pool_host_idle(const pool_state *p, const pool_host *h)
{
    uint32_t held = pool_host_held(h), busy = slots_sum(p, h->host, POOL_SLOT_BUSY);
    return held > busy ? held - busy : 0;
}

uint32_t pool_host_plain(const pool_state *p, const pool_host *h)
{
    uint32_t held = pool_host_held(h), in_slots = slots_sum(p, h->host, POOL_SLOT_NONE);
    return held > in_slots ? held - in_slots : 0;
}

static bool extent_names(const pool_extent *extents, size_t n, uint32_t host)
{
    for (size_t i = 0; i < n; i++)
        if (extents[i].host == host)
            return true;
    return false;
}

static bool host_matters(const pool_state *p, const pool_host *h)
{
    return h->leaving > 0 || slots_sum(p, h->host, POOL_SLOT_NONE) > 0;
}

size_t pool_state_hosts_needed(const pool_state *p, const pool_extent *extents, size_t n)
{
    size_t needed = n;
    for (size_t i = 0; i < p->n_hosts; i++)
        if (!extent_names(extents, n, p->hosts[i].host) && host_matters(p, &p->hosts[i]))
            needed++;
    return needed;
}

void pool_state_hold(pool_state *p, const pool_extent *extents, size_t n, uint32_t broker_want, bool live)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n_hosts; i++) {
        pool_host h = p->hosts[i];
        h.held = 0;
        if (extent_names(extents, n, h.host) || host_matters(p, &h))
            p->hosts[kept++] = h;
    }
    p->n_hosts = kept;
    for (size_t i = 0; i < n; i++) {
        pool_host *h = pool_host_find(p, extents[i].host);
        if (!h) {
            assert(p->n_hosts < p->hosts_capacity);
            h = &p->hosts[p->n_hosts++];
            *h = (pool_host){.host = extents[i].host};
        }
        h->held = extents[i].chunks;
        h->usable = extents[i].usable;
    }
    p->broker_want = broker_want;
    p->live = live;
}

uint32_t pool_state_held(const pool_state *p)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < p->n_hosts; i++)
        sum += pool_host_held(&p->hosts[i]);
    return sum;
}

uint32_t pool_state_busy(const pool_state *p)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].state == POOL_SLOT_BUSY)
            sum += p->slots[i].chunks;
    return sum;
}

/* ---- slots ---- */

static pool_slot *slot_find(const pool_state *p, uint64_t id)
{
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].id == id)
            return &p->slots[i];
    return NULL;
}

static pool_slot *slot_of_claim(const pool_state *p, uint64_t claim)
{
    for (size_t i = 0; claim != 0 && i < p->n_slots; i++)
        if (p->slots[i].claim == claim)
            return &p->slots[i];
    return NULL;
}

static pool_slot *slot_busy(const pool_state *p, uint64_t id)
{
    pool_slot *s = slot_find(p, id);
    return s && s->state == POOL_SLOT_BUSY ? s : NULL;
}

void pool_slot_remove(pool_state *p, pool_slot *s)
{
    *s = p->slots[--p->n_slots];
}

const pool_slot *pool_state_slot(const pool_state *p, uint64_t id)
{
    return slot_find(p, id);
}

bool pool_slot_close(pool_slot *s, pool_out out)
{
    pool_message m = {.kind = POOL_CLOSE, .claim = s->claim, .slot = s->id, .host = s->host, .chunks = s->chunks};
    if (s->claim == 0 || !out.put(out.userdata, &m))
        return false;
    s->state = POOL_SLOT_CLOSING;
    return true;
}

/* A warm slot of this size on the host. */
static pool_slot *warm_find(const pool_state *p, uint32_t host, uint32_t chunks)
{
    for (size_t i = 0; i < p->n_slots; i++) {
        pool_slot *s = &p->slots[i];
        if (s->state == POOL_SLOT_WARM && s->host == host && s->chunks == chunks)
            return s;
    }
    return NULL;
}

/* Makes room for a slot of another size: ends claims of warm slots until enough would be plain. */
static void reshape(pool_state *p, const pool_host *h, uint32_t chunks, pool_out out)
{
    if (pool_host_idle(p, h) < chunks)
        return;
    for (size_t i = 0; i < p->n_slots; i++) {
        uint32_t coming = pool_host_plain(p, h) + slots_sum(p, h->host, POOL_SLOT_CLOSING);
        if (coming >= chunks)
            return;
        if (p->slots[i].state == POOL_SLOT_WARM && p->slots[i].host == h->host)
            pool_slot_close(&p->slots[i], out);
    }
}

/* Hands out on this host; STATUS_WAITING: nothing fits now. */
static int acquire_on(pool_state *p, const pool_host *h, uint32_t chunks, pool_slot **ret)
{
    if (!h->usable || pool_host_wanted(p, h->host) || pool_host_idle(p, h) < chunks)
        return STATUS_WAITING;
    pool_slot *s = warm_find(p, h->host, chunks);
    if (!s) {
        if (pool_host_plain(p, h) < chunks)
            return STATUS_WAITING;
        if (p->n_slots == p->slots_capacity)
            return STATUS_LIMIT;
        s = &p->slots[p->n_slots++];
        *s = (pool_slot){.host = h->host, .chunks = chunks};
    }
    *ret = s;
    return 0;
}

int pool_state_acquire(pool_state *p, ms_t now, uint32_t chunks, pool_slot *ret, pool_out out)
{
    if (chunks == 0 || chunks > p->want)
        return STATUS_NEVER;
    for (size_t i = 0; i < p->n_hosts; i++) {
        pool_slot *s = NULL;
        int r = acquire_on(p, &p->hosts[i], chunks, &s);
        if (r == STATUS_WAITING)
            continue;
        if (r < 0)
            return r;
        s->state = POOL_SLOT_BUSY;
        s->id = ++p->next_id; /* an old copy of a slot never names a new one */
        s->since = now;
        s->end = MS_NEVER;
        *ret = *s;
        return 0;
    }
    for (size_t i = 0; i < p->n_hosts; i++)
        if (p->hosts[i].usable && !pool_host_wanted(p, p->hosts[i].host))
            reshape(p, &p->hosts[i], chunks, out);
    return STATUS_WAITING;
}

void pool_state_claimed(pool_state *p, uint64_t slot, uint64_t claim)
{
    pool_slot *s = slot_busy(p, slot);
    if (!s)
        return;
    s->claim = claim;
    s->cause = 0;
    s->peak = 0;
}

void pool_state_expect(pool_state *p, ms_t now, uint64_t slot, ms_t ms)
{
    pool_slot *s = slot_busy(p, slot);
    if (s)
        s->end = ms > MS_NEVER - now ? MS_NEVER : now + ms;
}

static void duration_keep(pool_state *p, const pool_slot *s, ms_t now)
{
    p->durations[p->n_durations++ % POOL_DURATIONS] = now > s->since ? now - s->since : 0;
    if (p->offer_at > now + POOL_OFFER_MS)
        p->offer_at = now + POOL_OFFER_MS; /* the others can be estimated better now */
}

bool pool_state_wanted(const pool_state *p, ms_t now, uint64_t slot)
{
    const pool_slot *s = slot_busy(p, slot);
    (void)now;
    return s && pool_host_wanted(p, s->host);
}

void pool_state_next(pool_state *p, ms_t now, uint64_t slot)
{
    pool_slot *s = slot_busy(p, slot);
    if (!s)
        return;
    duration_keep(p, s, now);
    s->since = now;
    s->end = MS_NEVER;
}

bool pool_state_release(pool_state *p, ms_t now, uint64_t slot, pool_out out)
{
    pool_slot *s = slot_busy(p, slot);
    assert(s);
    bool wanted = pool_state_wanted(p, now, slot);
    duration_keep(p, s, now);
    if (s->claim == 0) {
        pool_slot_remove(p, s);
        return !wanted;
    }
    s->state = POOL_SLOT_EMPTYING;
    return !(wanted && pool_slot_close(s, out));
}

void pool_state_keep(pool_state *p, uint64_t slot)
{
    pool_slot *s = slot_find(p, slot);
    if (s && s->state == POOL_SLOT_EMPTYING)
        s->state = POOL_SLOT_BUSY;
}

void pool_state_emptied(pool_state *p, uint64_t claim, bool ok, pool_out out)
{
    pool_slot *s = slot_of_claim(p, claim);
    if (!s || s->state != POOL_SLOT_EMPTYING)
        return;
    if (ok || !pool_slot_close(s, out))
        s->state = POOL_SLOT_WARM; /* when it could not even be closed, its next task finds out */
}

void pool_state_claim_ended(pool_state *p, uint64_t claim, uint32_t cause, uint64_t peak)
{
    pool_slot *s = slot_of_claim(p, claim);
    if (!s)
        return;
    if (s->state != POOL_SLOT_BUSY) {
        pool_slot_remove(p, s);
        return;
    }
    s->claim = 0; /* its chunks stay where they are until the program gives the slot back */
    s->cause = cause;
    s->peak = peak;
}

void pool_state_set_want(pool_state *p, uint32_t want)
{
    p->want = want;
}

bool pool_state_check(const pool_state *p)
{
    if (p->n_slots > p->slots_capacity || p->n_hosts > p->hosts_capacity || p->n_recalls > POOL_RECALLS)
        return false;
    for (size_t i = 0; i < p->n_slots; i++) {
        const pool_slot *s = &p->slots[i];
        if (s->state == POOL_SLOT_NONE || s->chunks == 0 || !pool_host_find(p, s->host))
            return false;
        if (s->state != POOL_SLOT_BUSY && s->claim == 0)
            return false;
        for (size_t j = 0; j < i; j++)
            if (p->slots[j].id == s->id || (s->claim != 0 && p->slots[j].claim == s->claim))
                return false;
    }
    for (size_t i = 0; i < p->n_hosts; i++)
        for (size_t j = 0; j < i; j++)
            if (p->hosts[i].host == p->hosts[j].host)
                return false;
    return pool_recalls_check(p);
}
