/*
 * pool_talk.c - the pool's state, joined to the broker: its messages become requests, pushes become its inputs.
 */
#include <stdlib.h>

#include "base/status.h"
#include "client/client.h"
#include "client/pool.h"

/* ---- messages out ---- */

static void on_released(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    granary_pool *p = r->userdata;
    const Granary__Release *m = (const Granary__Release *)r->message;
    (void)c;
    (void)reply;
    if (m->n_extents == 1)
        pool_state_released(&p->state, m->recall, m->extents[0]->host, m->extents[0]->chunks, status == 0);
    pool_step(p);
    pool_drop(p);
}

static void on_want_done(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    granary_pool *p = r->userdata;
    (void)c;
    (void)reply;
    pool_state_want_done(&p->state, status == 0);
    pool_step(p);
    pool_drop(p);
}

static void on_closed(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    granary_pool *p = r->userdata;
    uint64_t claim = ((const Granary__Close *)r->message)->claim;
    uint32_t cause = *reply ? (*reply)->cause : 0;
    uint64_t peak = *reply ? (*reply)->peak : 0;
    (void)c;
    /* Any other failure: the claim still ends, and its end will be told. */
    if (status == 0 || status == STATUS_ENDED || status == STATUS_NOT_FOUND || status == STATUS_STALE)
        pool_state_claim_ended(&p->state, claim, cause, peak);
    slot_call_closed(p, claim, status, cause, peak);
    pool_step(p);
    pool_drop(p);
}

static int pool_request(granary_pool *p, uint16_t type, const void *message, request_done done)
{
    int r = request_start(p->client, type, message, -1, done, p, NULL);
    if (r == 0 && done)
        pool_reference(p);
    return r;
}

static int release_send(granary_pool *p, const pool_message *m)
{
    Granary__Release release = GRANARY__RELEASE__INIT;
    Granary__Extent given = GRANARY__EXTENT__INIT;
    Granary__Extent *extents[] = {&given};
    given.host = m->host;
    given.chunks = m->chunks;
    release.allocation = p->allocation->id;
    release.recall = m->recall;
    release.n_extents = 1;
    release.extents = extents;
    return pool_request(p, GRANARY__MESSAGE_TYPE__TYPE_RELEASE, &release, on_released);
}

/* For a recall that is over, though its withdrawal was lost: nothing is wanted back any more. */
static void on_offered(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    granary_pool *p = r->userdata;
    (void)c;
    (void)reply;
    if (status == STATUS_OFFER_NONE) {
        pool_state_withdraw(&p->state, ((const Granary__Offer *)r->message)->recall);
        pool_step(p);
    }
    pool_drop(p);
}

static int offer_send(granary_pool *p, const pool_message *m)
{
    Granary__Offer offer = GRANARY__OFFER__INIT;
    Granary__OfferItem items[POOL_OFFER_MAX];
    Granary__OfferItem *pointers[POOL_OFFER_MAX];
    for (uint32_t i = 0; i < m->n_items; i++) {
        granary__offer_item__init(&items[i]);
        items[i].host = m->items[i].host;
        items[i].known = m->items[i].free_in != MS_NEVER;
        items[i].free_in_ms = items[i].known ? m->items[i].free_in : 0;
        pointers[i] = &items[i];
    }
    offer.allocation = p->allocation->id;
    offer.recall = m->recall;
    offer.n_items = m->n_items;
    offer.items = pointers;
    return pool_request(p, GRANARY__MESSAGE_TYPE__TYPE_OFFER, &offer, on_offered);
}

static int close_send(granary_pool *p, uint64_t claim, bool kill)
{
    Granary__Close message = GRANARY__CLOSE__INIT;
    message.claim = claim;
    message.kill = kill;
    return pool_request(p, GRANARY__MESSAGE_TYPE__TYPE_CLOSE, &message, on_closed);
}

static int want_send(granary_pool *p, uint32_t want)
{
    Granary__Want message = GRANARY__WANT__INIT;
    message.allocation = p->allocation->id;
    message.want = want;
    return pool_request(p, GRANARY__MESSAGE_TYPE__TYPE_WANT, &message, on_want_done);
}

static int message_send(granary_pool *p, const pool_message *m)
{
    switch (m->kind) {
    case POOL_RELEASE:
        return release_send(p, m);
    case POOL_OFFER:
        return offer_send(p, m);
    case POOL_CLOSE:
        return close_send(p, m->claim, true);
    case POOL_WANT:
        return want_send(p, m->chunks);
    }
    return STATUS_INVALID;
}

static bool pool_put(void *userdata, const pool_message *m)
{
    granary_pool *p = userdata;
    if (message_send(p, m) == 0)
        return true;
    requests_again(p->client);
    return false;
}

pool_out pool_sink(granary_pool *p)
{
    return (pool_out){.put = pool_put, .userdata = p};
}

static bool pool_lives(const granary_pool *p)
{
    return !p->closed && p->allocation && !p->allocation->ended && !p->client->over;
}

void pool_step(granary_pool *p)
{
    if (pool_lives(p))
        pool_state_step(&p->state, client_now(), pool_sink(p));
}

void pools_tick(granary_client *c, ms_t now)
{
    for (allocation *a = c->allocations; a; a = a->next)
        if (a->owner == &pool_owner) {
            granary_pool *p = a->owner_data;
            if (now >= p->give_at && pool_lives(p))
                slots_give_again(p);
            if (now >= pool_state_deadline(&p->state))
                pool_step(p);
        }
}

ms_t pools_deadline(const granary_client *c)
{
    ms_t soonest = MS_NEVER;
    for (const allocation *a = c->allocations; a; a = a->next) {
        const granary_pool *p = a->owner == &pool_owner ? a->owner_data : NULL;
        ms_t at = p && pool_lives(p) ? pool_state_deadline(&p->state) : MS_NEVER;
        at = p && pool_lives(p) && p->give_at < at ? p->give_at : at;
        soonest = at < soonest ? at : soonest;
    }
    return soonest;
}

void pool_give_all(granary_pool *p)
{
    allocation *a = p->allocation;
    if (!a || a->ended || p->client->over)
        return;
    if (a->state == ALLOCATION_IS_WAITING) {
        Granary__Cancel message = GRANARY__CANCEL__INIT;
        message.allocation = a->id;
        request_start(p->client, GRANARY__MESSAGE_TYPE__TYPE_CANCEL, &message, -1, NULL, NULL, NULL);
    }
    for (size_t i = 0; i < p->state.n_slots; i++) {
        const pool_slot *s = &p->state.slots[i];
        if (s->claim != 0 && s->state != POOL_SLOT_CLOSING)
            close_send(p, s->claim, s->state != POOL_SLOT_BUSY);
    }
    Granary__Release all = GRANARY__RELEASE__INIT; /* no extents: all */
    all.allocation = a->id;
    request_start(p->client, GRANARY__MESSAGE_TYPE__TYPE_RELEASE, &all, -1, NULL, NULL, NULL);
    Granary__Want none = GRANARY__WANT__INIT;
    none.allocation = a->id;
    request_start(p->client, GRANARY__MESSAGE_TYPE__TYPE_WANT, &none, -1, NULL, NULL, NULL);
}

/* ---- pushes in ---- */

static int extents_make(granary_client *c, const allocation *a, pool_extent **ret)
{
    uint32_t local = hosts_local(&c->hosts);
    pool_extent *extents = calloc(a->n_extents ? a->n_extents : 1, sizeof *extents);
    if (!extents)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < a->n_extents; i++)
        extents[i] = (pool_extent){
            .host = a->extents[i].host, .chunks = a->extents[i].chunks, .usable = a->extents[i].host == local};
    *ret = extents;
    return 0;
}

static int hosts_room(pool_state *s, size_t needed)
{
    if (needed <= s->hosts_capacity)
        return 0;
    pool_host *old = s->hosts, *larger = calloc(needed * 2, sizeof *larger);
    if (!larger)
        return STATUS_NO_MEMORY;
    pool_state_lend_hosts(s, larger, needed * 2);
    free(old);
    return 0;
}

/* Takes the allocation's set over, without making what follows from it. */
static int pool_hold(granary_pool *p, allocation *a)
{
    pool_extent *extents;
    int r = extents_make(p->client, a, &extents);
    if (r < 0)
        return r;
    r = hosts_room(&p->state, pool_state_hosts_needed(&p->state, extents, a->n_extents));
    if (r == 0)
        pool_state_hold(&p->state, extents, a->n_extents, a->want, a->state == ALLOCATION_IS_LIVE);
    free(extents);
    return r;
}

static int on_changed(void *owner, allocation *a)
{
    granary_pool *p = owner;
    p->allocation = a;
    if (a->ended)
        return 0;
    int r = pool_hold(p, a);
    if (r == 0)
        pool_step(p);
    return r;
}

static int on_ask(void *owner, const Granary__Ask *ask)
{
    granary_pool *p = owner;
    pool_state_ask(&p->state, client_now(), ask->any_host, ask->host, pool_sink(p));
    return 0;
}

static ms_t later(ms_t now, uint64_t span)
{
    return span > MS_NEVER - 1 - now ? MS_NEVER : now + span;
}

static int on_recall(void *owner, const Granary__Recall *m)
{
    granary_pool *p = owner;
    ms_t now = client_now();
    pool_recall recall = {.id = m->recall,
                          .any_host = m->any_host,
                          .host = m->host,
                          .asked = m->count,
                          .overdue_at = later(now, m->notice_ms)};
    pool_state_recall(&p->state, now, &recall, pool_sink(p));
    return 0;
}

static int on_prefer(void *owner, const Granary__Prefer *m)
{
    granary_pool *p = owner;
    for (size_t i = 0; i < m->n_extents; i++)
        pool_state_prefer(&p->state, m->recall, m->extents[i]->host, m->extents[i]->chunks);
    pool_step(p);
    return 0;
}

static int on_withdraw(void *owner, const Granary__Withdraw *m)
{
    granary_pool *p = owner;
    pool_state_withdraw(&p->state, m->recall);
    pool_step(p);
    return 0;
}

static void on_claim_ended(void *owner, uint64_t claim, const granary_claim_end *end)
{
    granary_pool *p = owner;
    pool_state_claim_ended(&p->state, claim, (uint32_t)end->cause, end->peak);
    pool_step(p);
}

/* Chunks of this recall whose release the broker has booked, though its answer is still missing: the pool counts them
 * as leaving until it is here. */
static uint32_t booked(const granary_client *c, uint64_t recall, uint64_t acked)
{
    uint32_t sum = 0;
    for (const request *r = c->requests.first; r && r->number <= acked; r = r->next) {
        const Granary__Release *m = (const Granary__Release *)r->message;
        if (r->type == GRANARY__MESSAGE_TYPE__TYPE_RELEASE && m->recall == recall && m->n_extents == 1)
            sum += m->extents[0]->chunks;
    }
    return sum;
}

static pool_recall recall_from(const granary_client *c, const Granary__RecallInfo *i, uint64_t acked, ms_t now)
{
    uint64_t over = (uint64_t)i->released + i->withdrawn + i->revoked;
    uint32_t open = i->asked > over ? i->asked - (uint32_t)over : 0;
    return (pool_recall){.id = i->id,
                         .any_host = i->any_host,
                         .host = i->host,
                         .asked = open > 0 ? open + booked(c, i->id, acked) : 0,
                         .overdue_at = later(now, i->deadline_ms)};
}

static int on_reattached(void *owner, allocation *a, const Granary__Welcome *w)
{
    granary_pool *p = owner;
    ms_t now = client_now();
    size_t n_recalls = 0, n_claims = 0;
    pool_recall *recalls = calloc(w->n_recalls ? w->n_recalls : 1, sizeof *recalls);
    uint64_t *claims = calloc(w->n_claims ? w->n_claims : 1, sizeof *claims);
    int r = recalls && claims ? pool_hold(p, a) : STATUS_NO_MEMORY;
    if (r == 0) {
        for (size_t i = 0; i < w->n_recalls; i++)
            if (w->recalls[i]->allocation == a->id)
                recalls[n_recalls++] = recall_from(p->client, w->recalls[i], w->acked, now);
        for (size_t i = 0; i < w->n_claims; i++)
            claims[n_claims++] = w->claims[i]->id;
        pool_state_reattach(&p->state, recalls, n_recalls, claims, n_claims);
        pool_step(p);
    }
    free(recalls);
    free(claims);
    return r;
}

const allocation_owner pool_owner = {
    .changed = on_changed,
    .ask = on_ask,
    .recall = on_recall,
    .prefer = on_prefer,
    .withdraw = on_withdraw,
    .claim_ended = on_claim_ended,
    .reattached = on_reattached,
};
