/*
 * allocation_request.c - what clients ask about allocations: allocate, cancel, want. Giving back is release.c, taking
 * over session.c.
 */
#include "core/allocation.h"

#include "core/emit.h"
#include "core/holding.h"
#include "core/place.h"
#include "core/plan.h"
#include "core/recall.h"
#include "core/request.h"

static int terms_check(const session *s, const allocation_terms *t)
{
    bytes_t all;
    if (t->chunk_size == 0 || t->want == 0 || t->min > t->want || (t->flags & ~(uint32_t)TERM_ALL) ||
        (t->min == 0 && !(t->flags & TERM_GROWABLE)) || t->notice_ms == 0 || t->notice_ms == MS_NEVER)
        return STATUS_INVALID;
    if (__builtin_mul_overflow(t->chunk_size, (bytes_t)t->want, &all) || all > INT64_MAX)
        return STATUS_INVALID;
    if (!text_ends(t->label, LABEL_MAX) || !text_ends(t->filter, FILTER_MAX) || !place_filter_valid(t->filter))
        return STATUS_INVALID;
    if (t->priority > 0 && !s->operator_)
        return STATUS_DENIED;
    return STATUS_OK;
}

/* Has no host ever told its memory? Then nothing is known: all wait. */
static bool nobody_told(const core *c)
{
    if (tourney_max(&c->by_hope) > 0)
        return false;
    for (uint32_t i = 0; i < c->n_hosts; i++)
        if (c->hosts[i].told_total > 0)
            return false;
    return true;
}

int allocation_never(const core *c, const user *u, const allocation_terms *t, bytes_t *ret_most)
{
    chunks_t need = terms_need(t) ? terms_need(t) : 1;
    if (u->quota && t->chunk_size * need > u->quota) {
        *ret_most = u->quota;
        return STATUS_QUOTA;
    }
    if (nobody_told(c))
        return STATUS_OK;
    uint64_t most = place_most(c, t, need);
    if (most >= need)
        return STATUS_OK;
    *ret_most = most * t->chunk_size;
    if (most == 0)
        *ret_most = place_largest(c, t);
    return STATUS_NEVER;
}

static void refuse(core *c, session *s, const core_event *e, int status, bytes_t most)
{
    effect_reply *r;
    if (e->allocate.dry_run)
        r = emit_reply(c, s, e->request.number, status);
    else
        r = request_reply(c, s, e->request.number, (outcome){.status = status});
    r->most = most;
    effect_note *n = emit_note(c, NOTE_REFUSED);
    n->status = status;
    n->chunks = e->allocate.terms.want;
    n->amount = e->allocate.terms.chunk_size;
    n->pid = s->pid;
    n->user = s->user->id;
}

void allocation_on_allocate(core *c, session *s, const core_event *e)
{
    const allocation_terms *t = &e->allocate.terms;
    bytes_t most = 0;
    int status = terms_check(s, t);
    if (status)
        return refuse(c, s, e, status, 0);
    bool fits = place_find(c, t, s->user);
    if (!fits) {
        status = allocation_never(c, s->user, t, &most);
        if (!status && (t->flags & TERM_NO_WAIT) && !e->allocate.dry_run)
            status = STATUS_NOT_NOW;
        if (status)
            return refuse(c, s, e, status, most);
    } else if (c->n_plan == 0 && (status = allocation_never(c, s->user, t, &most)) != STATUS_OK) {
        return refuse(c, s, e, status, most); /* nothing now, and it could never grow */
    }
    if (e->allocate.dry_run)
        return plan_on_allocate(c, s, e, fits);
    if (pool_left(&c->allocations) == 0 || (fits && !holding_plan_fits(c, NULL))) {
        emit_note(c, NOTE_LIMIT_REACHED);
        return refuse(c, s, e, STATUS_LIMIT, 0);
    }
    allocation *a = allocation_create(c, (allocation_id){++c->counters.allocation}, s, s->user, t);
    a->since = c->now;
    a->version = 1;
    c->n_touched++;
    a->touched = a->is_new = true; /* its reply tells the set: no push in this step */
    list_append(&c->pushes, &a->push_node);
    mark_terms(c, a);
    if (fits)
        holding_grant_plan(c, a);
    allocation_set_state(c, a, fits ? ALLOCATION_LIVE : ALLOCATION_WAITING);
    request_reply(c, s, e->request.number,
                  (outcome){.status = fits ? STATUS_OK : STATUS_WAITING, .allocation = a->id, .chunks = a->held});
    emit_note_of(c, fits ? NOTE_GRANTED : NOTE_QUEUED, a, NULL, a->held);
}

void allocation_on_cancel(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->cancel.id);
    outcome o = {.allocation = e->cancel.id};
    if (!a)
        o.status = STATUS_NOT_FOUND;
    else if (!allocation_owned(a, s))
        o.status = STATUS_DENIED;
    else if (a->state != ALLOCATION_WAITING)
        o.status = STATUS_STATE;
    request_reply(c, s, e->request.number, o);
    if (o.status == STATUS_OK)
        allocation_give_up(c, a, STATUS_ENDED);
}

void allocation_on_want(core *c, session *s, const core_event *e)
{
    allocation *a = allocation_find(c, e->want.id);
    outcome o = {.allocation = e->want.id};
    bytes_t all;
    if (!a)
        o.status = STATUS_NOT_FOUND;
    else if (!allocation_owned(a, s))
        o.status = STATUS_DENIED;
    else if (a->state != ALLOCATION_LIVE || !allocation_is(a, TERM_GROWABLE))
        o.status = STATUS_STATE;
    else if (__builtin_mul_overflow(a->terms.chunk_size, (bytes_t)e->want.want, &all) || all > INT64_MAX)
        o.status = STATUS_INVALID;
    if (o.status == STATUS_OK) {
        a->want = e->want.want;
        allocation_touch(c, a);
        allocation_relist(c, a);
        o.chunks = a->held;
    }
    request_reply(c, s, e->request.number, o);
    if (o.status != STATUS_OK)
        return;
    if (a->held >= a->want)
        recall_withdraw_for(c, a);
    allocation_settle(c, a);
}
