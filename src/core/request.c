/*
 * request.c - the answer window and the requests that wait for an agent.
 */
#include "core/request.h"

#include <assert.h>

#include "core/emit.h"
#include "core/plan.h"

/* Acknowledged answers are dropped when so many are kept: one record of the session for each batch. */
#define FORGET_AT (ANSWERS_MAX / 2)

static void drop(core *c, session *s, answer *a)
{
    list_remove(&a->node);
    s->n_answers--;
    pool_give(&c->answers, a);
}

void request_forget(core *c, session *s, request_no acked)
{
    list_each_safe(a, &s->answers, answer, node)
    {
        if (a->record.number.v > acked.v)
            break;
        drop(c, s, a);
    }
    if (acked.v > s->acked.v)
        s->acked = acked;
}

static bool answer_less(const answer *a, const answer *b)
{
    return a->record.number.v < b->record.number.v;
}

bool request_keep(core *c, session *s, const record_answer *record)
{
    if (record->number.v <= s->acked.v)
        return false; /* a late answer to what was acknowledged unseen */
    if (!list_empty(&s->answers) && (s->n_answers >= ANSWERS_MAX || pool_left(&c->answers) == 0)) {
        request_forget(c, s, container_of(s->answers.next, answer, node)->record.number);
        if (c->recovered)
            mark_session(c, s);
    }
    if (record->number.v <= s->acked.v)
        return false; /* older than what made room for it */
    list_each(known, &s->answers, answer, node)
    {
        if (known->record.number.v == record->number.v) {
            known->record = *record;
            return true;
        }
        if (s->answers.prev != &known->node &&
            record->number.v > container_of(s->answers.prev, answer, node)->record.number.v)
            break;
    }
    answer *a = pool_take(&c->answers);
    if (!a)
        return false;
    a->record = *record;
    list_insert_sorted(&s->answers, a, answer, node, answer_less);
    s->n_answers++;
    if (record->number.v > s->highest.v)
        s->highest = record->number;
    return true;
}

static effect_reply *reply(core *c, session *s, request_no number, outcome o)
{
    effect_reply *r = emit_reply(c, s, number, o.status);
    r->allocation = o.allocation;
    r->claim = o.claim;
    r->recall = o.recall;
    r->chunks = o.chunks;
    return r;
}

effect_reply *request_reply(core *c, session *s, request_no number, outcome o)
{
    record_answer r = {
        .session = s->id,
        .number = number,
        .status = o.status,
        .allocation = o.allocation,
        .claim = o.claim,
        .recall = o.recall,
        .chunks = o.chunks,
    };
    if (request_keep(c, s, &r)) /* what cannot be kept must not come back by a replay */
        emit_record(c, RECORD_ANSWER)->answer = r;
    return reply(c, s, number, o);
}

static bool repeat(core *c, session *s, request_no number)
{
    list_each(a, &s->answers, answer, node)
    {
        if (a->record.number.v != number.v)
            continue;
        (void)reply(c, s, number,
                    (outcome){.status = a->record.status,
                              .allocation = a->record.allocation,
                              .claim = a->record.claim,
                              .recall = a->record.recall,
                              .chunks = a->record.chunks});
        return true;
    }
    if (plan_waits(c, s, number))
        return true;
    list_each(p, &s->pendings, pending,
              node) if (p->number.v ==
                        number.v) return true; /* the reply will go to the session's present connection */
    return false;
}

session *request_admit(core *c, const core_event *e)
{
    const event_request *q = &e->request;
    session *s = table_get(&c->session_ids, q->session.v);
    if (!s || s->state != SESSION_ATTACHED)
        return NULL;
    if (q->number.v <= s->highest.v && repeat(c, s, q->number))
        return NULL;
    if (q->number.v == 0 || q->number.v <= s->acked.v || q->number.v <= s->acked_seen.v) {
        emit_reply(c, s, q->number, STATUS_STALE);
        return NULL;
    }
    if (q->acked.v > s->acked_seen.v && q->acked.v < q->number.v)
        s->acked_seen = q->acked;
    if (s->acked_seen.v > s->acked.v && (s->n_answers >= FORGET_AT || pool_left(&c->answers) == 0)) {
        request_forget(c, s, s->acked_seen);
        /* At once: a replay must have the room too before the answers of this step. */
        record_of_session(s, emit_record(c, RECORD_SESSION));
        c->changed = true;
    }
    if (pool_left(&c->answers) == 0 && list_empty(&s->answers)) {
        emit_reply(c, s, q->number, STATUS_LIMIT);
        emit_note(c, NOTE_LIMIT_REACHED);
        return NULL;
    }
    if (q->number.v > s->highest.v)
        s->highest = q->number;
    return s;
}

uint64_t pending_open(core *c, pending *p, session *s, request_no number)
{
    assert(!pending_used(p));
    p->session = s;
    p->number = number;
    p->tag = ++c->next_tag;
    list_append(&s->pendings, &p->node);
    return p->tag;
}

void pending_drop(pending *p)
{
    list_remove(&p->node);
    p->session = NULL;
}

effect_reply *pending_reply(core *c, pending *p, outcome o)
{
    session *s = p->session;
    request_no number = p->number;
    uint64_t tag = p->tag;
    pending_drop(p);
    p->tag = 0;
    effect_reply *r = request_reply(c, s, number, o);
    r->tag = tag;
    return r;
}

effect_reply *pending_tell(core *c, pending *p, outcome o)
{
    session *s = p->session;
    request_no number = p->number;
    pending_drop(p);
    p->tag = 0;
    return reply(c, s, number, o);
}
