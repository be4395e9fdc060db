/*
 * emit.c - effects of the running step.
 *
 * Effects are large (a record of terms is 400 bytes) and most of them are small ones: fields are
 * set one by one, nothing is cleared that is not read.
 */
#include "core/emit.h"

#include <assert.h>
#include <string.h>

uint32_t emit_room(const core *c)
{
    uint32_t spent = c->effects->count + c->n_dirty + c->n_touched + (c->counters_dirty ? 1 : 0);
    return spent >= c->effects->capacity ? 0 : c->effects->capacity - spent;
}

static core_effect *append(core *c, effect_kind kind)
{
    assert(c->effects->count < c->effects->capacity);
    core_effect *e = &c->effects->items[c->effects->count++];
    e->kind = kind;
    return e;
}

core_record *emit_record(core *c, record_kind kind)
{
    core_record *r = &append(c, EFFECT_RECORD)->record;
    r->kind = kind;
    return r;
}

effect_reply *emit_reply(core *c, const session *s, request_no number, int status)
{
    effect_reply *r = &append(c, EFFECT_REPLY)->reply;
    *r = (effect_reply){.link = s ? s->link : 0, .number = number, .status = status, .expected_ms = MS_NEVER};
    if (s)
        r->session = s->id;
    return r;
}

effect_push *emit_push_to(core *c, push_kind kind, const allocation *a, const session *s)
{
    if (!s || s->link == 0)
        return NULL;
    effect_push *p = &append(c, EFFECT_PUSH)->push;
    *p = (effect_push){
        .kind = kind, .link = s->link, .session = s->id, .allocation = a->id, .host = HOST_NONE, .deadline = MS_NEVER};
    return p;
}

effect_push *emit_push(core *c, push_kind kind, const allocation *a)
{
    return emit_push_to(c, kind, a, a->owner);
}

effect_order *emit_order_host(core *c, order_kind kind, const host *h, generation gen)
{
    effect_order *o = &append(c, EFFECT_ORDER)->order;
    *o = (effect_order){.kind = kind, .host = h->id, .gen = gen};
    return o;
}

effect_order *emit_order(core *c, order_kind kind, const claim *k)
{
    effect_order *o = emit_order_host(c, kind, k->host, k->gen);
    o->bytes = claim_bytes(k, k->chunks);
    o->chunk_size = k->allocation->terms.chunk_size;
    o->user = k->allocation->user->id;
    o->running = allocation_is(k->allocation, TERM_STAY);
    return o;
}

effect_note *emit_note(core *c, note_kind kind)
{
    effect_note *n = c->n_notes++ < NOTES_MAX ? &append(c, EFFECT_NOTE)->note : &c->spare_note;
    *n = (effect_note){.kind = kind, .host = HOST_NONE};
    return n;
}

effect_note *emit_note_of(core *c, note_kind kind, const allocation *a, const host *h, chunks_t chunks)
{
    effect_note *n = emit_note(c, kind);
    if (a)
        n->allocation = a->id;
    if (h)
        n->host = h->id;
    n->chunks = chunks;
    return n;
}

/* ---- marks ---- */

void mark_init(journal_mark *m)
{
    list_init(&m->node);
}

static void mark(core *c, journal_mark *m, int noun)
{
    c->changed = true;
    if (m->dirty && !m->backlog)
        return;
    if (m->dirty)
        list_remove(&m->node);
    m->dirty = true;
    m->backlog = false;
    list_append(&c->dirty[noun], &m->node);
    c->n_dirty += m->terms ? 2 : 1;
}

void mark_host(core *c, host *h)
{
    mark(c, &h->mark, NOUN_HOST);
}

void mark_host_later(core *c, host *h)
{
    c->changed = true;
    if (h->mark.dirty)
        return;
    h->mark.dirty = h->mark.backlog = true;
    list_append(&c->backlog[NOUN_HOST], &h->mark.node);
}

void mark_session(core *c, session *s)
{
    mark(c, &s->mark, NOUN_SESSION);
}

void mark_allocation(core *c, allocation *a)
{
    mark(c, &a->mark, NOUN_ALLOCATION);
}

void mark_terms(core *c, allocation *a)
{
    mark(c, &a->mark, NOUN_ALLOCATION);
    if (!a->mark.terms)
        c->n_dirty++;
    a->mark.terms = true;
}

void mark_holding(core *c, holding *x)
{
    mark(c, &x->mark, NOUN_HOLDING);
}

void mark_claim(core *c, claim *k)
{
    mark(c, &k->mark, NOUN_CLAIM);
}

void mark_recall(core *c, recall *r)
{
    mark(c, &r->mark, NOUN_RECALL);
}

static void unmark(core *c, journal_mark *m)
{
    if (!m->dirty)
        return;
    list_remove(&m->node);
    if (!m->backlog)
        c->n_dirty -= m->terms ? 2 : 1;
    m->dirty = m->backlog = m->terms = false;
}

bool mark_drop(core *c, journal_mark *m)
{
    unmark(c, m);
    return m->recorded;
}

static void write_mark(core *c, int noun, journal_mark *m)
{
    bool terms = m->terms;
    unmark(c, m);
    m->recorded = true;
    core_record *r;
    switch (noun) {
    case NOUN_HOST:
        record_of_host(container_of(m, host, mark), emit_record(c, RECORD_HOST));
        return;
    case NOUN_SESSION:
        record_of_session(container_of(m, session, mark), emit_record(c, RECORD_SESSION));
        return;
    case NOUN_ALLOCATION:
        if (terms)
            record_of_terms(container_of(m, allocation, mark), emit_record(c, RECORD_ALLOCATION));
        record_of_state(container_of(m, allocation, mark), emit_record(c, RECORD_ALLOCATION_STATE));
        return;
    case NOUN_HOLDING:
        r = emit_record(c, RECORD_HOLDING);
        record_of_holding(container_of(m, holding, mark), r);
        m->recorded = r->holding.held != 0 || r->holding.returning != 0;
        return;
    case NOUN_CLAIM:
        record_of_claim(container_of(m, claim, mark), emit_record(c, RECORD_CLAIM));
        return;
    case NOUN_RECALL:
        record_of_recall(container_of(m, recall, mark), emit_record(c, RECORD_RECALL));
        return;
    default:
        assert(!"a noun without records");
    }
}

void mark_to_backlog(core *c)
{
    for (int noun = 0; noun < NOUNS; noun++) {
        for (list_node *n = c->dirty[noun].next; n != &c->dirty[noun]; n = n->next)
            container_of(n, journal_mark, node)->backlog = true;
        list_splice(&c->backlog[noun], &c->dirty[noun]);
    }
    c->n_dirty = 0;
}

void emit_marks(core *c)
{
    if (c->counters_dirty) {
        emit_record(c, RECORD_COUNTERS)->counters = c->counters;
        c->counters_dirty = false;
    }
    for (int noun = 0; noun < NOUNS; noun++)
        while (!list_empty(&c->dirty[noun]))
            write_mark(c, noun, container_of(c->dirty[noun].next, journal_mark, node));
    for (int noun = 0; noun < NOUNS; noun++)
        while (!list_empty(&c->backlog[noun]) && emit_room(c) >= 2)
            write_mark(c, noun, container_of(c->backlog[noun].next, journal_mark, node));
    for (int noun = 0; noun < NOUNS; noun++)
        if (!list_empty(&c->backlog[noun]))
            c->more = true;
}

/* ---- the durable value of each noun ---- */

void record_of_host(const host *h, core_record *ret)
{
    ret->kind = RECORD_HOST;
    ret->host.id = h->id;
    memcpy(ret->host.name, h->name, sizeof(h->name));
    memcpy(ret->host.boot_id, h->boot_id, sizeof(h->boot_id));
    ret->host.total = h->total;
    ret->host.draining = h->draining;
}

void record_of_session(const session *s, core_record *ret)
{
    ret->kind = RECORD_SESSION;
    record_session *r = &ret->session;
    r->id = s->id;
    memcpy(r->token, s->token, sizeof(s->token));
    r->user = s->user->id;
    r->pid = s->pid;
    r->pid_start = s->pid_start;
    r->state = s->state;
    r->grace_until = s->grace_until;
    r->acked = s->acked;
}

void record_of_terms(const allocation *a, core_record *ret)
{
    ret->kind = RECORD_ALLOCATION;
    ret->allocation.id = a->id;
    ret->allocation.owner = a->owner_id;
    ret->allocation.user = a->user->id;
    ret->allocation.terms = a->terms;
    ret->allocation.since = a->since;
}

void record_of_state(const allocation *a, core_record *ret)
{
    ret->kind = RECORD_ALLOCATION_STATE;
    ret->allocation_state = (record_allocation_state){
        .id = a->id,
        .state = a->state,
        .version = a->version,
        .want = a->want,
        .wait_until = a->wait_until,
        .no_growth_for = a->no_growth_for,
    };
}

void record_of_holding(const holding *x, core_record *ret)
{
    ret->kind = RECORD_HOLDING;
    ret->holding = (record_holding){
        .allocation = x->allocation->id,
        .host = x->host->id,
        .held = x->held,
        .returning = x->returning,
        .returning_until = x->returning_until,
    };
}

void record_of_claim(const claim *k, core_record *ret)
{
    ret->kind = RECORD_CLAIM;
    record_claim *r = &ret->claim;
    r->gen = k->gen;
    r->allocation = k->allocation->id;
    r->host = k->host->id;
    r->chunks = k->chunks;
    r->state = k->state;
    r->closing_until = k->closing_until;
    r->kill = k->kill;
    r->opener = k->opener;
    r->opened_by = k->opened_by;
    memcpy(r->command, k->command, sizeof(k->command));
    r->root = k->root;
}

void record_of_recall(const recall *r, core_record *ret)
{
    ret->kind = RECORD_RECALL;
    ret->recall = r->r;
}
