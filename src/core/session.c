/*
 * session.c - open, reattach, break, end; taking over an allocation.
 */
#include "core/session.h"

#include <assert.h>
#include <string.h>

#include "core/allocation.h"
#include "core/emit.h"
#include "core/recall.h"
#include "core/request.h"
#include "core/user.h"

session *session_find(const core *c, session_id id)
{
    return id.v ? table_get(&c->session_ids, id.v) : NULL;
}

static bool session_less(const session *a, const session *b)
{
    return a->id.v < b->id.v;
}

session *session_create(core *c, session_id id, user *u)
{
    session *s = pool_take(&c->sessions);
    if (!s)
        return NULL;
    s->id = id;
    s->user = u;
    s->grace_until = MS_NEVER;
    heap_node_init(&s->due, DUE_SESSION);
    mark_init(&s->mark);
    list_init(&s->answers);
    list_init(&s->pendings);
    list_init(&s->allocations);
    list_insert_sorted(&c->session_list, s, session, node, session_less);
    table_put(&c->session_ids, id.v, s);
    return s;
}

void session_set_state(core *c, session *s, session_state state, ms_t grace_until)
{
    assert((state == SESSION_DETACHED) == (grace_until != MS_NEVER));
    if (s->state != state) {
        if (state == SESSION_ATTACHED)
            c->n_attached++;
        else if (s->state == SESSION_ATTACHED)
            c->n_attached--;
    }
    s->state = state;
    s->grace_until = grace_until;
    heap_set(&c->deadlines, &s->due, grace_until);
    mark_session(c, s);
}

void session_on_open(core *c, const event_session *e)
{
    user *u = pool_left(&c->sessions) ? user_get(c, e->user) : NULL;
    session *s = u ? session_create(c, (session_id){c->counters.session + 1}, u) : NULL;
    if (!s) {
        emit_reply(c, NULL, (request_no){0}, STATUS_LIMIT)->link = e->link;
        emit_note(c, NOTE_LIMIT_REACHED);
        return;
    }
    c->counters.session++;
    memcpy(s->token, e->token, sizeof(s->token));
    s->pid = e->pid;
    s->pid_start = e->pid_start;
    s->operator_ = e->operator_;
    s->link = e->link;
    session_set_state(c, s, SESSION_ATTACHED, MS_NEVER);
    emit_reply(c, s, (request_no){0}, STATUS_OK);
}

void session_on_reattach(core *c, const event_session *e)
{
    session *s = session_find(c, e->session);
    uint8_t differs = 0;
    for (size_t i = 0; s && i < sizeof(s->token); i++)
        differs |= s->token[i] ^ e->token[i]; /* takes the same time wherever they differ */
    if (!s || differs || s->user->id.v != e->user.v) {
        effect_reply *r = emit_reply(c, NULL, (request_no){0}, STATUS_STALE);
        r->link = e->link;
        r->session = e->session;
        return;
    }
    s->link = e->link;
    s->pid = e->pid;
    s->pid_start = e->pid_start;
    s->operator_ = e->operator_;
    session_set_state(c, s, SESSION_ATTACHED, MS_NEVER);
    emit_reply(c, s, (request_no){0}, STATUS_OK);
}

void session_on_broken(core *c, const event_session *e)
{
    session *s = session_find(c, e->session);
    if (!s || s->state != SESSION_ATTACHED || (e->link != 0 && s->link != e->link))
        return; /* it reattached by another connection already */
    s->link = 0;
    session_set_state(c, s, SESSION_DETACHED, c->now + c->timers.grace_ms);
    emit_note(c, NOTE_SESSION_DETACHED)->amount = s->id.v;
}

void session_end(core *c, session *s)
{
    list_each_safe(p, &s->pendings, pending, node) pending_drop(p);
    list_each_safe(a, &s->allocations, allocation, owner_node) allocation_orphan(c, a);
    list_each_safe(r, &s->answers, answer, node)
    {
        list_remove(&r->node);
        pool_give(&c->answers, r);
    }
    if (s->state == SESSION_ATTACHED)
        c->n_attached--;
    if (mark_drop(c, &s->mark))
        emit_record(c, RECORD_SESSION_END)->session_end = s->id;
    else
        c->counters_dirty = true;
    heap_set(&c->deadlines, &s->due, MS_NEVER);
    table_remove(&c->session_ids, s->id.v);
    list_remove(&s->node);
    pool_give(&c->sessions, s);
    c->changed = true;
}

void session_on_end(core *c, const event_session *e)
{
    session *s = session_find(c, e->session);
    if (s)
        session_end(c, s);
}

void session_due(core *c, session *s)
{
    emit_note(c, NOTE_SESSION_LOST)->amount = s->id.v;
    session_end(c, s);
}

/* ---- an allocation comes to another one ---- */

/* Its new owner, or the one that asks for what it was given, can answer only what it knows of. */
static void tell_recalls(core *c, const allocation *a)
{
    list_each(r, &a->recalls, recall, allocation_node) if (recall_left(r)) recall_tell(c, r);
}

void session_on_transfer(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->transfer.id);
    session *to = session_find(c, e->transfer.to);
    outcome o = {.allocation = e->transfer.id};
    if (!a || !to)
        o.status = STATUS_NOT_FOUND;
    else if (!allocation_owned(a, s) || to->user != a->user)
        o.status = STATUS_DENIED;
    if (o.status == STATUS_OK) {
        list_remove(&a->owner_node);
        a->owner = to;
        a->owner_id = to->id;
        list_append(&to->allocations, &a->owner_node);
        mark_terms(c, a);
        allocation_touch(c, a);
    }
    request_reply(c, s, e->request.number, o);
    if (o.status == STATUS_OK)
        tell_recalls(c, a);
}
