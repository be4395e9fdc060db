/*
 * cache_talk.c - what the broker tells a cache: its set, recalls, questions, a new connection.
 */
#include "base/status.h"
#include "client/cache_inside.h"
#include "client/client.h"

static int on_changed(void *owner, allocation *a)
{
    granary_cache *k = owner;
    k->allocation = a;
    cache_step(k);
    return 0;
}

static int on_ask(void *owner, const Granary__Ask *ask)
{
    granary_cache *k = owner;
    Granary__Offer offer = GRANARY__OFFER__INIT;
    Granary__OfferItem item = GRANARY__OFFER_ITEM__INIT;
    Granary__OfferItem *items[256];
    uint64_t stays = (uint64_t)(k->options.min ? k->options.min : 1) + cache_wanted(k);
    uint32_t local = hosts_local(&k->client->hosts), held = cache_held(k);
    item.host = local;
    item.known = k->shrink_took > 0;
    item.free_in_ms = k->shrink_took;
    if (ask->any_host || ask->host == local)
        while (offer.n_items < 256 && offer.n_items + stays < held)
            items[offer.n_items++] = &item;
    offer.allocation = k->allocation->id;
    offer.items = items;
    cache_send(k, GRANARY__MESSAGE_TYPE__TYPE_OFFER, &offer, -1, NULL);
    return 0;
}

static void recall_add(granary_cache *k, uint64_t id, bool any_host, uint32_t host, uint32_t open)
{
    if (open == 0 || k->n_recalls == CACHE_RECALLS || (!any_host && host != hosts_local(&k->client->hosts)))
        return;
    for (uint32_t i = 0; i < k->n_recalls; i++)
        if (k->recalls[i].id == id)
            return;
    k->recalls[k->n_recalls].id = id;
    k->recalls[k->n_recalls++].open = open;
}

static int on_recall(void *owner, const Granary__Recall *m)
{
    granary_cache *k = owner;
    recall_add(k, m->recall, m->any_host, m->host, m->count);
    cache_step(k);
    return 0;
}

static int on_prefer(void *owner, const Granary__Prefer *m)
{
    (void)owner; /* all its chunks are here */
    (void)m;
    return 0;
}

static int on_withdraw(void *owner, const Granary__Withdraw *m)
{
    granary_cache *k = owner;
    cache_recall_forget(k, m->recall);
    cache_step(k);
    return 0;
}

static void on_claim_ended(void *owner, uint64_t claim, const granary_claim_end *end)
{
    granary_cache *k = owner;
    (void)end;
    if (claim == k->claim) /* revoked, and yet we live: watched, not limited */
        k->claim = k->claimed = k->told = 0;
    cache_step(k);
}

static int on_reattached(void *owner, allocation *a, const Granary__Welcome *w)
{
    granary_cache *k = owner;
    bool listed = k->claim == 0;
    k->allocation = a;
    k->n_recalls = 0;
    for (size_t i = 0; i < w->n_recalls; i++) {
        const Granary__RecallInfo *r = w->recalls[i];
        uint64_t over = (uint64_t)r->released + r->withdrawn + r->revoked;
        if (r->allocation == a->id && r->asked > over)
            recall_add(k, r->id, r->any_host, r->host, r->asked - (uint32_t)over);
    }
    for (size_t i = 0; i < w->n_claims; i++)
        if (w->claims[i]->id == k->claim) {
            listed = true;
            k->claimed = w->claims[i]->chunks;
        }
    if (!listed)
        k->claim = k->claimed = k->told = 0;
    cache_step(k);
    return 0;
}

const allocation_owner cache_owner = {
    .changed = on_changed,
    .ask = on_ask,
    .recall = on_recall,
    .prefer = on_prefer,
    .withdraw = on_withdraw,
    .claim_ended = on_claim_ended,
    .reattached = on_reattached,
};
