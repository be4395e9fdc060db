/*
 * recall.c - the life of a recall; offers and revoking are in offer.c and revoke.c.
 */
#include "core/recall.h"

#include <assert.h>

#include "core/allocation.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/request.h"
#include "core/trouble.h"

/* Done recalls that stay readable for each allocation. */
#define DONE_MAX 8u

recall *recall_find(const core *c, recall_id id)
{
    return id.v ? table_get(&c->recall_ids, id.v) : NULL;
}

bool recall_accepts(const recall *r, const host *h)
{
    return !r->host || r->host == h;
}

chunks_t recall_possible(const allocation *a)
{
    if (a->state != ALLOCATION_LIVE || !allocation_is(a, TERM_RECALLABLE) || a->n_open >= RECALLS_OPEN)
        return 0;
    uint64_t bound = (uint64_t)a->terms.min + a->asked;
    return a->held > bound ? a->held - (chunks_t)bound : 0;
}

chunks_t recall_willing(const allocation *a)
{
    return a->n_overdue ? 0 : recall_possible(a);
}

chunks_t recall_possible_at(const holding *x)
{
    chunks_t n = recall_possible(x->allocation), here = x->held > x->asked ? x->held - x->asked : 0;
    return n < here ? n : here;
}

bool recall_under_way(const allocation *a)
{
    list_each(r, &a->recalls_for, recall, for_node) if (!r->r.overdue) return true;
    return false;
}

chunks_t recall_asked_by_operator(const allocation *a)
{
    chunks_t n = 0;
    list_each(r, &a->recalls, recall, allocation_node) if (r->r.reason == RECALL_FOR_OPERATOR) n += recall_left(r);
    return n;
}

static bool recall_less(const recall *a, const recall *b)
{
    return a->r.id.v < b->r.id.v;
}

/* Adds (or takes back) what is open in the sums of allocation, holding and host. */
static void count(core *c, recall *r, chunks_t n, bool add)
{
    if (!c->recovered)
        return; /* core_recover() counts: records of one step come in any order */
    allocation *a = r->allocation;
    holding *x = r->host ? holding_find(c, a, r->host) : NULL;
    assert(!r->host || x || n == 0);
    if (r->r.reason != RECALL_FOR_OPERATOR)
        a->asked = add ? a->asked + n : a->asked - n;
    if (x) {
        x->asked = add ? x->asked + n : x->asked - n;
        bytes_t bytes = chunk_bytes(a, n);
        r->host->recalled = add ? r->host->recalled + bytes : r->host->recalled - bytes;
    }
}

int recall_recover(core *c, recall *r)
{
    chunks_t left = recall_left(r);
    const holding *from = left && r->host ? holding_find(c, r->allocation, r->host) : NULL;
    if (left && r->host && (!from || left > from->held || from->asked > from->held - left))
        return STATUS_CORRUPT;
    count(c, r, left, true);
    allocation *whom = allocation_find(c, r->r.beneficiary);
    if (!whom || whom->state != ALLOCATION_WAITING || !r->host)
        return STATUS_OK;
    if (left && whom->target.v == HOST_NONE.v)
        whom->target = r->host->id;
    holding *x = r->r.released + r->r.revoked ? holding_find(c, r->allocation, r->host) : NULL;
    if (x)
        holding_owe(x, whom->id, r->r.released + r->r.revoked);
    return STATUS_OK;
}

void recall_gather_again(core *c, host *h)
{
    list_each(r, &c->recall_list, recall, node)
    {
        uint64_t chunks = (uint64_t)r->r.released + r->r.revoked;
        if (r->host != h || chunks == 0 || r->r.beneficiary.v == 0)
            continue;
        const holding *x = holding_find(c, r->allocation, h);
        chunks_t coming = x ? holding_returning_for(x, r->r.beneficiary) : 0; /* kept when it drains */
        if (chunks > coming)
            holding_keep_for(c, h, chunk_bytes(r->allocation, chunks - coming), r->r.beneficiary);
    }
}

recall *recall_restore(core *c, allocation *a, const record_recall *record)
{
    recall *r = pool_take(&c->recalls);
    if (!r)
        return NULL;
    r->r = *record;
    r->allocation = a;
    r->host = record->host.v == HOST_NONE.v ? NULL : &c->hosts[record->host.v];
    heap_node_init(&r->due, DUE_RECALL);
    mark_init(&r->mark);
    list_init(&r->for_node);
    list_insert_sorted(&c->recall_list, r, recall, node, recall_less);
    list_insert_sorted(&a->recalls, r, recall, allocation_node, recall_less);
    table_put(&c->recall_ids, record->id.v, r);
    chunks_t left = recall_left(r);
    if (left == 0) {
        a->n_done++;
        return r;
    }
    count(c, r, left, true);
    a->n_open++;
    c->n_fairness += record->reason == RECALL_FOR_FAIRNESS;
    r->beneficiary = allocation_find(c, record->beneficiary);
    if (r->beneficiary) {
        list_append(&r->beneficiary->recalls_for, &r->for_node);
        r->beneficiary->n_for++;
    }
    if (record->overdue)
        a->n_overdue++;
    else
        heap_set(&c->deadlines, &r->due, record->deadline);
    return r;
}

void recall_tell(core *c, const recall *r)
{
    effect_push *p = emit_push(c, PUSH_RECALL, r->allocation);
    if (!p)
        return;
    p->recall = r->r.id;
    p->reason = r->r.reason;
    p->count = recall_left(r);
    p->host = r->r.host;
    p->deadline = r->r.deadline;
}

recall *recall_create(core *c, allocation *a, recall_reason reason, allocation *beneficiary, host *h, chunks_t n)
{
    record_recall record = {
        .id = {c->counters.recall + 1},
        .allocation = a->id,
        .reason = reason,
        .beneficiary = beneficiary ? beneficiary->id : (allocation_id){0},
        .host = h ? h->id : HOST_NONE,
        .asked = n,
        .deadline = c->now + a->terms.notice_ms,
    };
    if (__builtin_add_overflow(c->now, a->terms.notice_ms, &record.deadline) || record.deadline == MS_NEVER)
        record.deadline = MS_NEVER - 1;
    bool full = a->n_open >= RECALLS_OPEN || (beneficiary && beneficiary->n_for >= RECALLS_OPEN);
    recall *r = full ? NULL : recall_restore(c, a, &record);
    if (!r) {
        emit_note(c, NOTE_LIMIT_REACHED);
        return NULL;
    }
    c->counters.recall++;
    mark_recall(c, r);
    recall_tell(c, r);
    effect_note *note = emit_note_of(c, NOTE_RECALL, a, h, n);
    note->recall = r->r.id;
    note->beneficiary = record.beneficiary;
    return r;
}

static void drop(core *c, recall *r)
{
    if (mark_drop(c, &r->mark))
        emit_record(c, RECORD_RECALL_END)->recall_end = r->r.id;
    else
        c->counters_dirty = true;
    recall_discard(c, r);
}

void recall_discard(core *c, recall *r)
{
    chunks_t left = recall_left(r);
    if (left)
        count(c, r, left, false);
    else
        r->allocation->n_done--;
    r->allocation->n_open -= left != 0;
    c->n_fairness -= left && r->r.reason == RECALL_FOR_FAIRNESS;
    if (left && r->r.overdue)
        r->allocation->n_overdue--;
    if (r->beneficiary)
        r->beneficiary->n_for--;
    heap_set(&c->deadlines, &r->due, MS_NEVER);
    table_remove(&c->recall_ids, r->r.id.v);
    list_remove(&r->node);
    list_remove(&r->allocation_node);
    list_remove(&r->for_node);
    pool_give(&c->recalls, r);
}

/* It had as many open recalls as there may be: those who wanted more of it try again. */
static void may_be_asked_again(core *c, allocation *a)
{
    c->supply_sequence++;
    list_each(x, &a->holdings, holding, node) if (x->host->draining || x->host->overdraft) trouble_mark(c, x->host);
}

/* Others gave what these are late with: what is still unfair then is asked anew. */
static void withdraw_overdue(core *c, allocation *whom, const allocation *giver)
{
    list_each_safe(r, &whom->recalls_for, recall, for_node) if (r->r.overdue && r->allocation != giver)
        recall_withdraw(c, r);
}

void recall_count(core *c, recall *r, chunks_t *field, chunks_t n)
{
    assert(n > 0 && n <= recall_left(r));
    count(c, r, n, false);
    *field += n;
    mark_recall(c, r);
    if (recall_left(r) > 0)
        return;
    heap_set(&c->deadlines, &r->due, MS_NEVER);
    if (r->r.overdue) {
        r->allocation->n_overdue--;
        c->supply_sequence++; /* it answers again: it may be asked */
    }
    list_remove(&r->for_node);
    if (r->allocation->n_open-- == RECALLS_OPEN)
        may_be_asked_again(c, r->allocation);
    c->n_fairness -= r->r.reason == RECALL_FOR_FAIRNESS;
    allocation *whom = r->beneficiary;
    r->beneficiary = NULL;
    if (whom)
        whom->n_for--;
    if (whom && r->r.reason == RECALL_FOR_FAIRNESS && field == &r->r.released)
        withdraw_overdue(c, whom, r->allocation);
    /* A live one waits only as long as something is asked back for it; from now on it grows in its turn. */
    if (whom && whom->state == ALLOCATION_LIVE && list_empty(&whom->recalls_for))
        holding_unreserve_all(c, whom);
    effect_note *note = emit_note_of(c, NOTE_RECALL_DONE, r->allocation, r->host, r->r.released);
    note->recall = r->r.id;
    if (r->host && (r->host->draining || r->host->overdraft))
        trouble_mark(c, r->host);
    c->freed = true;
    if (++r->allocation->n_done <= DONE_MAX)
        return;
    list_each(old, &r->allocation->recalls, recall, allocation_node)
    {
        if (recall_left(old) == 0 && old != r) { /* the caller still has its hands on r */
            drop(c, old);
            return;
        }
    }
}

/* The oldest open recall that accepts chunks of `h`, or NULL. */
static recall *first_open(allocation *a, const host *h)
{
    list_each(r, &a->recalls, recall, allocation_node) if (recall_left(r) && recall_accepts(r, h)) return r;
    return NULL;
}

chunks_t recall_answer(core *c, allocation *a, host *h, chunks_t n, recall *r, allocation_id *whom)
{
    chunks_t answered = 0;
    if (!r || recall_left(r) == 0 || !recall_accepts(r, h))
        r = first_open(a, h);
    for (; r && answered < n; r = first_open(a, h)) {
        if (answered && r->r.beneficiary.v != whom->v)
            return answered;
        *whom = r->r.beneficiary;
        chunks_t left = recall_left(r), k = n - answered < left ? n - answered : left;
        answered += k;
        recall_count(c, r, &r->r.released, k);
    }
    return n;
}

void recall_withdraw(core *c, recall *r)
{
    chunks_t left = recall_left(r);
    effect_push *p = emit_push(c, PUSH_WITHDRAW, r->allocation);
    if (p) {
        p->recall = r->r.id;
        p->count = left;
        p->reason = r->r.reason;
    }
    emit_note_of(c, NOTE_WITHDRAWN, r->allocation, r->host, left)->recall = r->r.id;
    recall_count(c, r, &r->r.withdrawn, left);
    c->supply_sequence++; /* what was asked for one may be asked for another */
}

/* The newest open recall that `want_host` (NULL = any) and `operator_` select, or NULL. */
static recall *newest(allocation *a, const host *want_host, bool operator_)
{
    for (list_node *n = a->recalls.prev; n != &a->recalls; n = n->prev) {
        recall *r = container_of(n, recall, allocation_node);
        if (recall_left(r) == 0 || (want_host && r->host != want_host))
            continue;
        if ((r->r.reason == RECALL_FOR_OPERATOR) == operator_ || want_host)
            return r;
    }
    return NULL;
}

void recall_clamp(core *c, allocation *a)
{
    chunks_t most = a->held > a->terms.min ? a->held - a->terms.min : 0;
    while (a->asked > most)
        recall_withdraw(c, newest(a, NULL, false));
    while (recall_asked_by_operator(a) > a->held)
        recall_withdraw(c, newest(a, NULL, true));
}

void recall_clamp_host(core *c, holding *x, chunks_t held)
{
    while (x->asked > held)
        recall_withdraw(c, newest(x->allocation, x->host, false));
}

void recall_withdraw_all(core *c, allocation *a)
{
    for (recall *r; (r = newest(a, NULL, false)) || (r = newest(a, NULL, true));)
        recall_withdraw(c, r);
}

void recall_withdraw_for(core *c, allocation *a)
{
    while (!list_empty(&a->recalls_for))
        recall_withdraw(c, container_of(a->recalls_for.next, recall, for_node));
}

void recall_drop_all(core *c, allocation *a)
{
    recall_withdraw_for(c, a);
    while (!list_empty(&a->recalls))
        drop(c, container_of(a->recalls.next, recall, allocation_node));
}

void recall_on_outcome(core *c, session *s, const core_event *e)
{
    recall *r = recall_find(c, e->outcome.id);
    outcome o = {.recall = e->outcome.id};
    if (!r) {
        o.status = e->outcome.id.v && e->outcome.id.v <= c->counters.recall ? STATUS_STALE : STATUS_NOT_FOUND;
    } else if (!allocation_allowed(r->allocation, s)) {
        o.status = STATUS_DENIED;
    } else {
        o.allocation = r->allocation->id;
        o.chunks = r->r.released;
    }
    request_reply(c, s, e->request.number, o);
}
