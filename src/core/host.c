/*
 * host.c - registration, connection, reconciliation, drain.
 */
#include "core/host.h"

#include <assert.h>
#include <string.h>

#include "core/claim.h"
#include "core/emit.h"
#include "core/ledger.h"
#include "core/recall.h"
#include "core/request.h"
#include "core/supply.h"
#include "core/trouble.h"

/* FNV-1a; 0 means empty in a table. */
static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    return h ? h : 1;
}

/* Names whose hash is taken by another name move on to the next key. Hosts are never removed. */
static uint64_t key_of(const core *c, const char *name)
{
    uint64_t key = hash_name(name);
    for (const host *h; (h = table_get(&c->host_names, key)) && strcmp(h->name, name) != 0;)
        key = key + 1 ? key + 1 : 1;
    return key;
}

host *host_by_name(const core *c, const char *name)
{
    return table_get(&c->host_names, key_of(c, name));
}

static void apply_config(host *h, const event_config_host *config)
{
    h->config_total = config->total;
    h->config_set_aside = config->set_aside;
    h->config_cores = config->cores;
    h->home = config->home;
    h->permanent = config->permanent;
    memcpy(h->labels, config->labels, sizeof(h->labels));
    h->cores = h->config_cores ? h->config_cores : h->told_cores;
}

static host *host_create(core *c, const char *name)
{
    if (c->n_hosts == c->limits.hosts)
        return NULL;
    host *h = &c->hosts[c->n_hosts];
    memset(h, 0, sizeof(*h));
    h->id.v = c->n_hosts++;
    c->counters.host = c->n_hosts;
    memcpy(h->name, name, strlen(name) + 1);
    heap_node_init(&h->due, DUE_HOST);
    mark_init(&h->mark);
    list_init(&h->holdings);
    list_init(&h->claims);
    list_init(&h->sync_node);
    list_init(&h->trouble_node);
    table_put(&c->host_names, key_of(c, name), h);
    h->untold = true;
    if (c->recovered) /* else core_recover() does it: whoever does not come is lost in the end */
        heap_set(&c->deadlines, &h->due, c->now + c->timers.suspect_ms);
    c->doubt |= c->n_hosts == 1; /* with none, everything was hoped for */
    apply_config(h, &c->config_default);
    ledger_classify(c, h);
    ledger_refresh(c, h);
    return h;
}

host *host_get(core *c, const char *name)
{
    host *h = host_by_name(c, name);
    if (h)
        return h;
    h = host_create(c, name);
    if (h)
        mark_host(c, h);
    return h;
}

host *host_restore(core *c, const record_host *r)
{
    host *h = host_by_name(c, r->name);
    if (h && h->id.v != r->id.v)
        return NULL;
    if (!h && r->id.v != c->n_hosts)
        return NULL;
    if (!h)
        h = host_create(c, r->name);
    if (!h)
        return NULL;
    memcpy(h->boot_id, r->boot_id, sizeof(h->boot_id));
    h->draining = r->draining;
    h->told_total = h->total = r->total;
    h->mark.recorded = true;
    ledger_refresh(c, h);
    h->total = r->total;
    return h;
}

/* Its settings changed. Its record waits for room: a reload changes all hosts in one step. */
static void reconfigure(core *c, host *h, const event_config_host *config)
{
    bytes_t total = h->total;
    c->doubt |= strcmp(h->labels, config->labels) != 0;
    apply_config(h, config);
    ledger_classify(c, h);
    ledger_refresh(c, h);
    if (h->fresh)
        trouble_mark(c, h);
    if (h->total != total)
        mark_host_later(c, h);
}

void host_configure(core *c, const event_config_host *config)
{
    if (!text_ends(config->name, sizeof(config->name)) || !text_ends(config->labels, sizeof(config->labels)))
        return;
    c->changed = true;
    supply_all(c);
    if (strcmp(config->name, "*") == 0) {
        c->config_default = *config;
        for (uint32_t i = 0; i < c->n_hosts; i++)
            if (!c->hosts[i].configured)
                reconfigure(c, &c->hosts[i], config);
        return;
    }
    host *h = host_get(c, config->name);
    if (!h) {
        emit_note(c, NOTE_LIMIT_REACHED);
        return;
    }
    h->configured = true;
    reconfigure(c, h, config);
}

static void sync_start(core *c, host *h, uint8_t phase)
{
    h->sync = phase;
    h->expect_next = list_empty(&h->claims) ? NULL : container_of(h->claims.next, claim, host_node);
    if (list_empty(&h->sync_node))
        list_append(&c->sync, &h->sync_node);
}

void host_on_hello(core *c, const event_host_hello *e)
{
    if (!text_ends(e->name, sizeof(e->name)) || !text_ends(e->boot_id, sizeof(e->boot_id)) || e->name[0] == 0)
        return;
    host *h = host_get(c, e->name);
    if (!h) {
        emit_note(c, NOTE_LIMIT_REACHED);
        return;
    }
    for (uint32_t i = 0; i < e->n_groups; i++)
        if (e->groups[i].v > c->counters.generation && e->groups[i].v < NUMBER_MAX) {
            /* Issued and lost with the journal's tail: never again. */
            c->counters.generation = e->groups[i].v;
            c->counters_dirty = true;
        }
    memcpy(h->next_boot_id, e->boot_id, sizeof(h->next_boot_id));
    c->doubt |= h->told_total == 0; /* the first of all: until now everything was hoped for */
    h->physical = e->physical < HOST_BYTES_MAX ? e->physical : HOST_BYTES_MAX;
    h->told_total = e->total < h->physical ? e->total : h->physical;
    h->told_cores = e->cores;
    h->cores = h->config_cores ? h->config_cores : e->cores;
    h->limited = e->limited;
    h->connected = true;
    h->ready = h->fresh = h->lost = h->untold = false;
    heap_set(&c->deadlines, &h->due, MS_NEVER);
    bytes_t total = h->total;
    ledger_classify(c, h);
    ledger_refresh(c, h);
    if (h->total != total)
        mark_host(c, h);
    sync_start(c, h, SYNC_GONE); /* an agent that came back before its end was seen left requests behind */
    emit_note(c, NOTE_HOST_UP)->host = h->id;
    c->changed = true;
}

void host_on_gone(core *c, host_id id)
{
    if (id.v >= c->n_hosts || !c->hosts[id.v].connected)
        return;
    host *h = &c->hosts[id.v];
    h->connected = h->ready = h->fresh = false;
    heap_set(&c->deadlines, &h->due, c->now + c->timers.suspect_ms);
    ledger_refresh(c, h);
    sync_start(c, h, SYNC_GONE);
    emit_note(c, NOTE_HOST_SUSPECT)->host = h->id;
    c->changed = true;
}

void host_due(core *c, host *h)
{
    assert(!h->connected);
    heap_set(&c->deadlines, &h->due, MS_NEVER);
    h->lost = true;
    h->untold = false; /* what is known of an earlier life counts from now on, if anything */
    ledger_refresh(c, h);
    emit_note(c, NOTE_HOST_LOST)->host = h->id;
    c->changed = true;
}

/* The first time that something may be placed there. */
static void gather_again(core *c, host *h)
{
    if (h->gathered || !ledger_placeable(h))
        return;
    h->gathered = true;
    recall_gather_again(c, h);
}

void host_on_sample(core *c, const event_host_sample *e)
{
    if (e->host.v >= c->n_hosts || !c->hosts[e->host.v].connected)
        return;
    host *h = &c->hosts[e->host.v];
    bytes_t foreign = h->foreign;
    bool fresh = h->fresh;
    bytes_t raw = e->in_use > e->claims_used ? e->in_use - e->claims_used : 0;
    ledger_sample(c, h, raw < HOST_BYTES_MAX ? raw : HOST_BYTES_MAX);
    gather_again(c, h);
    if (h->foreign != foreign || !fresh)
        c->changed = true;
}

/* ---- the phases of hello ---- */

static claim *advance(host *h)
{
    claim *k = h->expect_next;
    if (k)
        h->expect_next = k->host_node.next == &h->claims ? NULL : container_of(k->host_node.next, claim, host_node);
    return k;
}

static void next_phase(host *h, uint8_t phase)
{
    h->sync = phase;
    h->expect_next = list_empty(&h->claims) ? NULL : container_of(h->claims.next, claim, host_node);
}

static void expect(core *c, claim *k)
{
    effect_order *o = emit_order(c, ORDER_EXPECT, k);
    o->ending = k->state == CLAIM_CLOSING || k->state == CLAIM_QUARANTINED;
    o->root = k->root;
    o->kill = o->ending && k->kill; /* in this order: an END before READY is refused */
    if (k->state == CLAIM_OPENING && !pending_used(&k->pendings[PENDING_OPEN]))
        claim_set_state(c, k, CLAIM_OPEN); /* its group is made, if it was not */
}

/* One phase, or one claim of it. */
static void settle_one(core *c, host *h)
{
    claim *k;
    switch (h->sync) {
    case SYNC_GONE:
        if ((k = advance(h)))
            claim_host_gone(c, k);
        else
            next_phase(h, h->connected ? SYNC_OLD_BOOT : SYNC_NONE);
        return;
    case SYNC_OLD_BOOT:
        if (strcmp(h->boot_id, h->next_boot_id) != 0) {
            if ((k = advance(h))) {
                claim_end(c, k, CAUSE_KILLED, false);
                return;
            }
            if (h->boot_id[0])
                emit_note(c, NOTE_HOST_REBOOTED)->host = h->id;
            memcpy(h->boot_id, h->next_boot_id, sizeof(h->boot_id));
            mark_host(c, h);
        }
        next_phase(h, SYNC_WELCOME);
        return;
    case SYNC_WELCOME:
        emit_order_host(c, ORDER_WELCOME, h, (generation){c->counters.generation});
        next_phase(h, SYNC_EXPECT);
        return;
    case SYNC_EXPECT:
        if ((k = advance(h)))
            expect(c, k);
        else
            next_phase(h, SYNC_READY);
        return;
    case SYNC_READY:
        emit_order_host(c, ORDER_READY, h, (generation){0});
        h->ready = true;
        ledger_refresh(c, h);
        gather_again(c, h);
        next_phase(h, SYNC_NONE);
        c->changed = true;
        return;
    default:
        assert(!"an unknown phase");
    }
}

bool host_settle(core *c)
{
    while (!list_empty(&c->sync)) {
        host *h = container_of(c->sync.next, host, sync_node);
        while (h->sync != SYNC_NONE) {
            if (emit_room(c) < ROOM_FOR_ONE)
                return false;
            settle_one(c, h);
        }
        list_remove(&h->sync_node);
    }
    return true;
}

void host_on_drain(core *c, session *s, const core_event *e, bool drain)
{
    outcome o = {0};
    if (!s->operator_)
        o.status = STATUS_DENIED;
    else if (e->drain.host.v >= c->n_hosts)
        o.status = STATUS_NOT_FOUND;
    host *h = o.status == STATUS_OK ? &c->hosts[e->drain.host.v] : NULL;
    if (h && h->draining != drain) {
        h->draining = drain;
        h->drained_told = false;
        mark_host(c, h);
        ledger_refresh(c, h);
        trouble_mark(c, h);
        emit_note(c, drain ? NOTE_HOST_DRAINING : NOTE_HOST_UNDRAINED)->host = h->id;
    }
    request_reply(c, s, e->request.number, o);
}
