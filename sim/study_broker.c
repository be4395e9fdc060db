/*
 * study_broker.c - what arrives at the broker becomes an event, what it does becomes messages and orders.
 */
#include "study_world.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

/* ---- arrivals ---- */

static allocation_terms pool_terms(const world *w, const pool *p)
{
    bool fixed = w->plan.way == WAY_STATIC;
    return (allocation_terms){.label = "pool",
                              .chunk_size = p->chunk_size,
                              .want = p->want,
                              .min = 1,
                              .flags = fixed ? TERM_SHRINKABLE : TERM_GROWABLE | TERM_RECALLABLE,
                              .notice_ms = core_timers_default.notice_ms,
                              .wait_ms = MS_NEVER};
}

static allocation_terms firm_terms(const firm *f)
{
    return (allocation_terms){.label = "firm",
                              .chunk_size = f->request.chunk_size,
                              .want = f->request.chunks,
                              .min = f->request.chunks,
                              .flags = f->request.one_host ? TERM_ONE_HOST : 0,
                              .notice_ms = core_timers_default.notice_ms,
                              .wait_ms = MS_NEVER};
}

static void request_event(world *w, const asked *what, uint32_t who, void *data, core_event *e)
{
    e->kind = what->kind;
    switch (what->kind) {
    case EVENT_ALLOCATE:
        e->allocate.terms = who < w->n_pools ? pool_terms(w, &w->pools[who]) : firm_terms(&w->firms[what->n]);
        break;
    case EVENT_CLAIM:
        e->claim.id.v = what->allocation;
        e->claim.host = what->host;
        e->claim.chunks = 1;
        e->claim.handle = 1;
        break;
    case EVENT_ENTER:
        e->enter.gen.v = what->claim;
        e->enter.handle = 1;
        e->enter.fresh = true;
        break;
    case EVENT_CLOSE:
        e->close.gen.v = what->claim;
        e->close.kill = true;
        break;
    case EVENT_RELEASE:
        e->release.id.v = what->allocation;
        e->release.recall.v = what->recall;
        e->release.extents = data;
        e->release.n = data ? 1 : 0;
        break;
    case EVENT_RELEASE_N:
        e->release_n.id.v = what->allocation;
        e->release_n.recall.v = what->recall;
        e->release_n.count = what->chunks;
        e->release_n.busy = data;
        e->release_n.n = what->n;
        break;
    case EVENT_OFFER:
        e->offer.id.v = what->allocation;
        e->offer.recall.v = what->recall;
        e->offer.items = data;
        e->offer.n = what->n;
        break;
    case EVENT_WANT:
        e->want.id.v = what->allocation;
        e->want.want = what->chunks;
        break;
    case EVENT_DRAIN:
    case EVENT_UNDRAIN:
        e->drain.host = what->host;
        break;
    default:
        abort();
    }
}

void broker_asked(world *w, job *j)
{
    core_event e;
    memset(&e, 0, sizeof e);
    if (j->kind == JOB_ASK) {
        party *p = &w->parties[j->who];
        const asked *what = &p->ring[j->number % p->room];
        if (what->kind == EVENT_ALLOCATE && j->who >= w->n_pools)
            firm_arrived(w, what->n);
        e.request = (event_request){p->session, {j->number}, {p->acked}};
        request_event(w, what, j->who, j->data, &e);
    } else if (j->kind == JOB_DRAINED) {
        e.kind = EVENT_CLAIM_DRAINED;
        e.use = (event_claim_use){.host = {j->who}, .gen = {j->a}};
        task *t = task_of_gen(w, j->a);
        if (t)
            task_free(w, (uint32_t)(t - w->tasks));
    } else {
        e.kind = j->kind == JOB_OPENED ? EVENT_CLAIM_OPENED : EVENT_CLAIM_ENTERED;
        e.answer = (event_claim_answer){.host = {j->who}, .gen = {j->a}, .tag = j->b};
    }
    world_step(w, &e);
}

/* ---- effects ---- */

/* NULL: its owner knows this version. */
static told_set *set_told(world *w, allocation_id id)
{
    static set_view view;
    if (id.v == 0 || view_set(w->core, id, &view) != 0)
        return NULL;
    told_set *set = study_alloc(sizeof *set + view.n_extents * sizeof *set->extents);
    set->want = view.want;
    set->live = view.state == ALLOCATION_LIVE;
    set->n = view.n_extents;
    memcpy(set->extents, view.extents, view.n_extents * sizeof *set->extents);
    return set;
}

static void reply(world *w, const effect_reply *r)
{
    if (r->link == 0 || r->number.v == 0)
        return;
    uint32_t who = (uint32_t)r->link - 1;
    const asked *what = &w->parties[who].ring[r->number.v % w->parties[who].room];
    if (what->kind == EVENT_ALLOCATE && r->allocation.v)
        world_hold(w, r->allocation.v, who >= w->n_pools, who >= w->n_pools ? what->n : who);
    bool changes = what->kind == EVENT_ALLOCATE || what->kind == EVENT_RELEASE || what->kind == EVENT_RELEASE_N;
    job j = {.at = w->now + MESSAGE_MS,
             .kind = JOB_ANSWER,
             .status = r->status,
             .who = who,
             .number = (uint32_t)r->number.v,
             .a = r->allocation.v,
             .b = r->claim.v ? r->claim.v : r->chunks,
             .data = changes && r->status >= 0 ? set_told(w, r->allocation) : NULL};
    world_job(w, j);
}

static void push(world *w, const effect_push *p)
{
    job j = {.at = w->now + MESSAGE_MS, .kind = JOB_PUSH, .a = p->allocation.v};
    if (p->kind == PUSH_RECALL || p->kind == PUSH_ASK || p->kind == PUSH_PREFER || p->kind == PUSH_WITHDRAW)
        w->sum.recall_messages += MEASURED(w);
    w->sum.recalls += p->kind == PUSH_RECALL && MEASURED(w);
    if (p->kind == PUSH_CHANGED) {
        j.b = 1;
        j.data = set_told(w, p->allocation);
        if (!j.data)
            return;
    } else {
        effect_push *copy = study_alloc(sizeof *copy);
        *copy = *p;
        j.data = copy;
    }
    world_job(w, j);
}

static void note(world *w, const effect_note *n)
{
    if (n->kind == NOTE_HOST_DRAINED)
        drain_ends(w, n->host);
    if (w->plan.trace && (n->kind == NOTE_RECALL || n->kind == NOTE_GIVEN || n->kind == NOTE_GRANTED ||
                          n->kind == NOTE_WITHDRAWN || n->kind == NOTE_OVERDUE || n->kind == NOTE_HELD))
        world_trace(w, "note %d allocation %ju host %d chunks %u recall %ju for %ju amount %ju", (int)n->kind,
                    (uintmax_t)n->allocation.v, (int)n->host.v, n->chunks, (uintmax_t)n->recall.v,
                    (uintmax_t)n->beneficiary.v, (uintmax_t)n->amount);
}

void broker_effects(world *w)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    for (uint32_t i = 0; i < w->effects.count; i++) {
        const core_effect *e = &w->effects.items[i];
        switch (e->kind) {
        case EFFECT_RECORD:
            if (MEASURED(w))
                w->sum.journal_bytes += record_encode(&e->record, bytes, sizeof bytes);
            break;
        case EFFECT_REPLY:
            reply(w, &e->reply);
            break;
        case EFFECT_PUSH:
            push(w, &e->push);
            break;
        case EFFECT_ORDER:
            task_order(w, &e->order);
            break;
        case EFFECT_NOTE:
            note(w, &e->note);
            break;
        }
    }
}
