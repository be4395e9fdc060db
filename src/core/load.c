/*
 * load.c - applying journal records, before recovery.
 *
 * A record is the new value of a noun, or its end; one that is put twice changes nothing. What contradicts the books is
 * STATUS_CORRUPT. Lists of what is armed or waiting are built as the nouns come; core_recover() does the rest.
 */
#include <string.h>

#include "core/allocation.h"
#include "core/claim.h"
#include "core/core.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/queue.h"
#include "core/recall.h"
#include "core/request.h"
#include "core/session.h"
#include "core/user.h"

static void raise_to(uint64_t *counter, uint64_t n)
{
    if (n > *counter)
        *counter = n;
}

/* A number that was issued. */
static bool issued(uint64_t n)
{
    return n > 0 && n < NUMBER_MAX;
}

static int load_counters(core *c, const record_counters *r)
{
    if (r->allocation >= NUMBER_MAX || r->session >= NUMBER_MAX || r->recall >= NUMBER_MAX ||
        r->generation >= NUMBER_MAX)
        return STATUS_CORRUPT;
    raise_to(&c->counters.allocation, r->allocation);
    raise_to(&c->counters.session, r->session);
    raise_to(&c->counters.recall, r->recall);
    raise_to(&c->counters.generation, r->generation);
    return STATUS_OK; /* hosts count themselves */
}

static int load_host(core *c, const record_host *r)
{
    if (r->id.v >= c->limits.hosts)
        return STATUS_LIMIT;
    if (r->name[0] == 0 || r->total > HOST_BYTES_MAX)
        return STATUS_CORRUPT;
    return host_restore(c, r) ? STATUS_OK : STATUS_CORRUPT;
}

static int load_session(core *c, const record_session *r)
{
    session *s = session_find(c, r->id);
    user *u = user_get(c, r->user);
    if (!u)
        return STATUS_LIMIT;
    if (!issued(r->id.v) || (s && s->user != u))
        return STATUS_CORRUPT;
    if (!s && !(s = session_create(c, r->id, u)))
        return STATUS_LIMIT;
    memcpy(s->token, r->token, sizeof(s->token));
    s->pid = r->pid;
    s->pid_start = r->pid_start;
    if (s->state != r->state)
        c->n_attached =
            r->state == SESSION_ATTACHED ? c->n_attached + 1 : c->n_attached - (s->state == SESSION_ATTACHED);
    s->state = r->state;
    s->grace_until = r->grace_until;
    heap_set(&c->deadlines, &s->due, r->grace_until);
    request_forget(c, s, r->acked);
    s->acked_seen = s->acked;
    raise_to(&s->highest.v, s->acked.v);
    s->mark.recorded = true;
    raise_to(&c->counters.session, r->id.v);
    return STATUS_OK;
}

static int load_session_end(core *c, session_id id)
{
    session *s = session_find(c, id);
    if (!s)
        return STATUS_CORRUPT;
    list_each_safe(a, &s->allocations, allocation, owner_node)
    {
        list_remove(&a->owner_node);
        a->owner = NULL;
        allocation_relist(c, a);
    }
    request_forget(c, s, (request_no){UINT64_MAX});
    if (s->state == SESSION_ATTACHED)
        c->n_attached--;
    heap_set(&c->deadlines, &s->due, MS_NEVER);
    table_remove(&c->session_ids, id.v);
    list_remove(&s->node);
    pool_give(&c->sessions, s);
    return STATUS_OK;
}

static int load_terms(core *c, const record_allocation *r)
{
    allocation *a = allocation_find(c, r->id);
    session *owner = session_find(c, r->owner);
    user *u = user_get(c, r->user);
    bytes_t all;
    if (!u)
        return STATUS_LIMIT;
    if (!issued(r->id.v) || r->terms.chunk_size == 0 || (owner && owner->user != u) ||
        __builtin_mul_overflow(r->terms.chunk_size, (bytes_t)r->terms.want, &all) || all > INT64_MAX ||
        r->terms.min > r->terms.want || (a && a->user != u))
        return STATUS_CORRUPT;
    if (!a && !(a = allocation_create(c, r->id, NULL, u, &r->terms)))
        return STATUS_LIMIT;
    a->owner_id = r->owner;
    list_remove(&a->owner_node);
    a->owner = owner;
    if (owner)
        list_append(&owner->allocations, &a->owner_node);
    a->since = r->since;
    a->mark.recorded = true;
    raise_to(&c->counters.allocation, r->id.v);
    return STATUS_OK;
}

static int load_state(core *c, const record_allocation_state *r)
{
    allocation *a = allocation_find(c, r->id);
    bytes_t all;
    if (!a || r->state < a->state || __builtin_mul_overflow(a->terms.chunk_size, (bytes_t)r->want, &all))
        return STATUS_CORRUPT;
    if (a->state == ALLOCATION_WAITING && r->state != ALLOCATION_WAITING)
        queue_remove(c, a);
    if (a->state == 0 && r->state == ALLOCATION_WAITING)
        queue_insert(c, a);
    a->state = r->state;
    a->version = r->version;
    a->want = r->want;
    a->wait_until = r->wait_until;
    a->no_growth_for = r->no_growth_for;
    heap_set(&c->deadlines, &a->due, r->wait_until);
    allocation_relist(c, a);
    return STATUS_OK;
}

static void forget_for(allocation *a)
{
    while (!list_empty(&a->recalls_for)) {
        recall *r = container_of(a->recalls_for.next, recall, for_node);
        list_remove(&r->for_node);
        r->beneficiary = NULL;
        a->n_for--;
    }
}

static int load_allocation_end(core *c, allocation_id id)
{
    allocation *a = allocation_find(c, id);
    if (!a || a->n_claims || !list_empty(&a->holdings) || !list_empty(&a->recalls))
        return STATUS_CORRUPT;
    if (a->state == ALLOCATION_WAITING)
        queue_remove(c, a);
    forget_for(a);
    allocation_unlist(c, a);
    list_node *nodes[] = {&a->owner_node, &a->node};
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        list_remove(nodes[i]);
    heap_set(&c->deadlines, &a->due, MS_NEVER);
    heap_set(&c->deadlines, &a->look, MS_NEVER);
    table_remove(&c->allocation_ids, id.v);
    pool_give(&c->allocations, a);
    return STATUS_OK;
}

/* A column with this change is of a size that books can have: those of one step come in any order. */
static bool column_fits(bytes_t sum, bytes_t before, bytes_t after)
{
    return after <= HOST_BYTES_MAX && sum - before + after <= 4 * HOST_BYTES_MAX;
}

static int load_holding(core *c, const record_holding *r)
{
    allocation *a = allocation_find(c, r->allocation);
    bytes_t all;
    uint64_t chunks = (uint64_t)r->held + r->returning;
    if (!a || r->host.v >= c->n_hosts || __builtin_mul_overflow(a->terms.chunk_size, chunks, &all) || all > INT64_MAX)
        return STATUS_CORRUPT;
    holding *x = holding_get(c, a, &c->hosts[r->host.v]);
    if (!x)
        return STATUS_LIMIT;
    if (!column_fits(x->host->granted, chunk_bytes(a, x->held), chunk_bytes(a, r->held)) ||
        !column_fits(x->host->returning, chunk_bytes(a, x->returning), chunk_bytes(a, r->returning)))
        return STATUS_CORRUPT;
    holding_restore(c, x, r->held, r->returning, r->returning_until);
    x->mark.recorded = chunks != 0;
    holding_tidy(c, x);
    allocation_relist(c, a);
    return STATUS_OK;
}

/* What the claim stands for, in its holding and in the quarantine column. */
static void claim_count(core *c, claim *k, bool add)
{
    bytes_t bytes = chunk_bytes(k->allocation, k->chunks);
    if (k->state != CLAIM_QUARANTINED)
        k->holding->claimed = add ? k->holding->claimed + k->chunks : k->holding->claimed - k->chunks;
    else if (add)
        ledger_add(c, k->host, COLUMN_QUARANTINE, bytes);
    else
        ledger_sub(c, k->host, COLUMN_QUARANTINE, bytes);
}

static int load_claim(core *c, const record_claim *r)
{
    claim *k = claim_find(c, r->gen);
    allocation *a = allocation_find(c, r->allocation);
    bytes_t all;
    if (!a || !issued(r->gen.v) || r->host.v >= c->n_hosts || (r->chunks == 0 && a->gated && a->gated != k) ||
        (k && (k->allocation != a || k->host->id.v != r->host.v || r->state < k->state)) ||
        __builtin_mul_overflow(a->terms.chunk_size, (bytes_t)r->chunks, &all) ||
        !column_fits(c->hosts[r->host.v].quarantine, 0, all))
        return STATUS_CORRUPT;
    if (k)
        claim_count(c, k, false);
    else if (!(k = claim_create(c, r->gen, a, &c->hosts[r->host.v], r->chunks)))
        return STATUS_LIMIT;
    claim_set_chunks(k, r->chunks);
    k->state = r->state;
    claim_count(c, k, true);
    k->kill = r->kill;
    claim_deadline(c, k, r->closing_until);
    k->opener = r->opener;
    k->opened_by = r->opened_by;
    memcpy(k->command, r->command, sizeof(k->command));
    k->root = r->root;
    session *opener = session_find(c, r->opener);
    if (opener)
        raise_to(&opener->highest.v, r->opened_by.v);
    k->mark.recorded = true;
    raise_to(&c->counters.generation, r->gen.v);
    return STATUS_OK;
}

static int load_claim_end(core *c, generation gen)
{
    claim *k = claim_find(c, gen);
    if (!k)
        return STATUS_CORRUPT;
    claim_count(c, k, false);
    heap_set(&c->deadlines, &k->due, MS_NEVER);
    table_remove(&c->claim_gens, gen.v);
    list_remove(&k->node);
    list_remove(&k->allocation_node);
    list_remove(&k->host_node);
    k->holding->claims--;
    k->allocation->n_claims--;
    if (k->allocation->gated == k)
        k->allocation->gated = NULL;
    holding_tidy(c, k->holding);
    pool_give(&c->claims, k);
    return STATUS_OK;
}

static int load_recall(core *c, const record_recall *r)
{
    allocation *a = allocation_find(c, r->allocation);
    recall *old = recall_find(c, r->id);
    uint64_t answered = (uint64_t)r->released + r->withdrawn + r->revoked;
    if (!a || !issued(r->id.v) || answered > r->asked || r->asked == 0 || (old && old->allocation != a) ||
        (r->host.v != HOST_NONE.v && r->host.v >= c->n_hosts))
        return STATUS_CORRUPT;
    if (old)
        recall_discard(c, old);
    recall *fresh = recall_restore(c, a, r);
    if (!fresh)
        return STATUS_LIMIT;
    fresh->mark.recorded = true;
    raise_to(&c->counters.recall, r->id.v);
    return STATUS_OK;
}

static int load_recall_end(core *c, recall_id id)
{
    recall *r = recall_find(c, id);
    if (!r)
        return STATUS_CORRUPT;
    recall_discard(c, r);
    return STATUS_OK;
}

static int load_answer(core *c, const record_answer *r)
{
    session *s = session_find(c, r->session);
    if (!s)
        return STATUS_CORRUPT;
    return request_keep(c, s, r) || r->number.v <= s->acked.v ? STATUS_OK : STATUS_LIMIT;
}

int core_load(core *c, const core_record *record)
{
    if (!c || !record || c->recovered)
        return STATUS_INVALID;
    switch (record->kind) {
    case RECORD_COUNTERS:
        return load_counters(c, &record->counters);
    case RECORD_HOST:
        return load_host(c, &record->host);
    case RECORD_SESSION:
        return load_session(c, &record->session);
    case RECORD_SESSION_END:
        return load_session_end(c, record->session_end);
    case RECORD_ALLOCATION:
        return load_terms(c, &record->allocation);
    case RECORD_ALLOCATION_STATE:
        return load_state(c, &record->allocation_state);
    case RECORD_ALLOCATION_END:
        return load_allocation_end(c, record->allocation_end);
    case RECORD_HOLDING:
        return load_holding(c, &record->holding);
    case RECORD_CLAIM:
        return load_claim(c, &record->claim);
    case RECORD_CLAIM_END:
        return load_claim_end(c, record->claim_end);
    case RECORD_RECALL:
        return load_recall(c, &record->recall);
    case RECORD_RECALL_END:
        return load_recall_end(c, record->recall_end);
    case RECORD_ANSWER:
        return load_answer(c, &record->answer);
    default:
        return STATUS_CORRUPT;
    }
}
