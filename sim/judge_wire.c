/*
 * judge_wire.c - what comes to the core, what leaves the broker.
 *
 *   before   I9: nothing leaves while a record that came before it is in no commit; what it tells is in the journal
 *   answers  I12: one number of a session has one answer, whatever is repeated
 *   lease    who attaches again is told of all that is his
 *   kills    an agent is told to kill only what the journal says is to be killed
 */
#include <string.h>

#include "base/status.h"
#include "judge_inner.h"

static request_facts *find(judges *j, uint64_t session, uint64_t number)
{
    for (uint32_t i = j->requests.n; i-- > 0;)
        if (j->requests.items[i].session == session && j->requests.items[i].number == number)
            return &j->requests.items[i];
    return NULL;
}

/* ---- what comes ---- */

/* What was acknowledged, or is of a session that is over, is not asked again. */
static void forget(judges *j)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < j->requests.n; i++) {
        const request_facts *q = &j->requests.items[i];
        const record_session *s = books_session(&j->now, (session_id){q->session});
        if (s && q->number > s->acked.v)
            j->requests.items[kept++] = *q;
    }
    j->requests.n = kept;
}

static void may_kill(judges *j, const core_event *e)
{
    generation gen = e->kind == EVENT_CLOSE ? e->close.gen : (generation){0};
    const record_claim *k = gen.v ? books_claim(&j->now, gen) : NULL;
    const book_allocation *a = k ? books_allocation(&j->now, k->allocation) : NULL;
    const record_session *s = books_session(&j->now, e->request.session);
    claim_facts *f = gen.v ? facts_claim(j, gen.v) : NULL;
    bool his = a && s && (a->terms.owner.v == s->id.v || a->terms.user.v == s->user.v || j->sim->plan.liars);
    if (f && e->close.kill && his)
        f->may_kill = true;
}

void wire_event(judges *j, const core_event *e)
{
    j->first_sight = true;
    if (e->kind < EVENT_ALLOCATE || e->kind >= EVENT_KINDS)
        return;
    request_facts *q = find(j, e->request.session.v, e->request.number.v);
    if (q) {
        j->first_sight = false;
        q->muddled |= q->kind != e->kind;
        return;
    }
    if (j->requests.n >= 4096)
        forget(j);
    *VECTOR_ADD(&j->requests) = (request_facts){.session = e->request.session.v,
                                                .number = e->request.number.v,
                                                .kind = e->kind,
                                                .dry_run = e->kind == EVENT_ALLOCATE && e->allocate.dry_run};
    may_kill(j, e);
    claim_facts *f = e->kind == EVENT_SHRINK ? facts_claim(j, e->shrink.gen.v) : NULL;
    if (f)
        f->resized = true;
}

void wire_restart(judges *j)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < j->requests.n && !j->lost_tail; i++)
        if (j->requests.items[i].answered)
            j->requests.items[kept++] = j->requests.items[i];
    j->requests.n = kept;
}

/* ---- sets ---- */

static void judge_set(judges *j, const char *to, const message_set *s)
{
    const book_allocation *a = s->id.v ? books_allocation(&j->now, s->id) : NULL;
    if (!a)
        return; /* none, or over by now */
    if (s->version > a->now.version) {
        WRONG(j, "before: %s is told version %" PRIu64 " of A%" PRIu64 "; the journal knows up to %" PRIu64, to,
              s->version, s->id.v, a->now.version);
        return;
    }
    if (s->version < a->now.version)
        return; /* changed again in the same turn */
    chunks_t told = 0;
    for (uint32_t i = 0; i < s->n_extents; i++) {
        const record_holding *x = books_holding(&j->now, s->id, s->extents[i].host);
        told += s->extents[i].chunks;
        if ((x ? x->held : 0) != s->extents[i].chunks)
            WRONG(j, "lease: %s is told of %" PRIu32 " chunks of A%" PRIu64 " on %s; by the journal it is %" PRIu32, to,
                  s->extents[i].chunks, s->id.v, judge_host_name(j, s->extents[i].host), x ? x->held : 0);
    }
    if (told != books_held(&j->now, s->id) || s->want != a->now.want || s->state != a->now.state)
        WRONG(j,
              "lease: %s is told that A%" PRIu64 " has %" PRIu32 " chunks, wants %" PRIu32
              ", state %d; by the journal %" PRIu32 ", %" PRIu32 ", %d",
              to, s->id.v, told, s->want, (int)s->state, books_held(&j->now, s->id), a->now.want, (int)a->now.state);
}

static void judge_welcome(judges *j, const char *to, const message *m)
{
    session_id id = {m->welcome.session};
    if (m->welcome.status < 0)
        return;
    if (!books_session(&j->now, id))
        WRONG(j, "before: %s is welcomed to session %" PRIu64 ", which the journal does not know", to, id.v);
    for (uint32_t i = 0; i < m->welcome.n_sets; i++)
        judge_set(j, to, &m->welcome.sets[i]);
    for (uint32_t i = 0; m->welcome.reattached && i < j->now.allocations.n; i++) {
        const book_allocation *a = &j->now.allocations.items[i];
        bool told = a->terms.owner.v != id.v;
        for (uint32_t k = 0; k < m->welcome.n_sets && !told; k++)
            told = m->welcome.sets[k].id.v == a->terms.id.v;
        if (!told)
            WRONG(j, "lease: %s attached again to session %" PRIu64 " and is not told of its A%" PRIu64, to, id.v,
                  a->terms.id.v);
    }
}

/* ---- answers ---- */

/*
 * Of these an answer is not kept: what the agent says of a task that entered (who asks again is told the same; who asks
 * something else under that number is not), and what is no answer to the contents.
 */
static bool passing(const request_facts *q, int status)
{
    return q->kind == EVENT_ENTER || (q->kind == EVENT_CLAIM && q->muddled) || q->dry_run || status == STATUS_STALE ||
           status == STATUS_LIMIT;
}

static void judge_reply(judges *j, const char *to, const message *m)
{
    const effect_reply *r = &m->reply.reply;
    request_facts *q = find(j, r->session.v, r->number.v);
    judge_set(j, to, &m->reply.set);
    if (r->status == STATUS_OK && r->claim.v && r->claim.v > j->safe_gen)
        WRONG(j, "before: %s is told of claim %" PRIu64 "; the journal knows up to %" PRIu64, to, r->claim.v,
              j->safe_gen);
    if (!q || passing(q, r->status))
        return;
    if (q->answered && (q->status != r->status ||
                        (r->status != STATUS_DENIED && (q->allocation != r->allocation.v || q->claim != r->claim.v ||
                                                        q->recall != r->recall.v || q->chunks != r->chunks))))
        WRONG(j,
              "answers: request %" PRIu64 " of session %" PRIu64 " (%s) was answered %s, A%" PRIu64 ", claim %" PRIu64
              ", %" PRIu32 " chunks; now %s, A%" PRIu64 ", claim %" PRIu64 ", %" PRIu32 " chunks",
              r->number.v, r->session.v, to, status_name(q->status), q->allocation, q->claim, q->chunks,
              status_name(r->status), r->allocation.v, r->claim.v, r->chunks);
    q->answered = true;
    q->status = r->status;
    q->allocation = r->allocation.v;
    q->claim = r->claim.v;
    q->recall = r->recall.v;
    q->chunks = r->chunks;
}

/* ---- pushes and orders ---- */

static void judge_push(judges *j, const char *to, const message *m)
{
    const effect_push *p = &m->push.push;
    const record_recall *r = p->recall.v ? books_recall(&j->now, p->recall) : NULL;
    if (p->kind == PUSH_CHANGED)
        judge_set(j, to, &m->push.set);
    if (p->kind != PUSH_RECALL)
        return;
    if (p->recall.v > j->now.counters.recall && !r)
        WRONG(j, "before: %s is told of recall %" PRIu64 ", which the journal does not know", to, p->recall.v);
    if (r && (p->count > r->asked || p->allocation.v != r->allocation.v))
        WRONG(j,
              "outcomes: %s is asked for %" PRIu32 " chunks of A%" PRIu64 " by recall %" PRIu64
              "; by the journal for %" PRIu32 " of A%" PRIu64,
              to, p->count, p->allocation.v, p->recall.v, r->asked, r->allocation.v);
}

static void judge_order(judges *j, const char *to, const effect_order *o)
{
    const record_claim *k = o->gen.v ? books_claim(&j->now, o->gen) : NULL;
    claim_facts *f = facts_claim(j, o->gen.v);
    if (o->kind == ORDER_WELCOME || o->kind == ORDER_READY)
        return;
    if (o->gen.v > j->safe_gen && o->kind != ORDER_CLOSE)
        WRONG(j, "before: %s is ordered (%d) about claim %" PRIu64 "; the journal knows up to %" PRIu64, to,
              (int)o->kind, o->gen.v, j->safe_gen);
    if (o->kind == ORDER_CLOSE && k)
        WRONG(j, "before: %s is told to remove the group of claim %" PRIu64 " of A%" PRIu64 ", which is in the journal",
              to, o->gen.v, k->allocation.v);
    bool force = o->kill && (o->kind == ORDER_END || o->kind == ORDER_EXPECT);
    if (force && k && !k->kill && k->state != CLAIM_QUARANTINED)
        WRONG(j, "kills: %s is told to kill claim %" PRIu64 " of A%" PRIu64 ", and the journal does not say so", to,
              o->gen.v, k->allocation.v);
    if (!f)
        return;
    f->kill_sent |= force;
    f->empty_sent |= o->kind == ORDER_EMPTY || (o->kind == ORDER_ENTER && o->fresh);
}

void wire_sent(judges *j, const char *to, const message *m)
{
    if (j->uncommitted)
        WRONG(j, "before: message %d leaves for %s while %" PRIu32 " records are in no commit", (int)m->kind, to,
              j->uncommitted);
    switch (m->kind) {
    case MESSAGE_WELCOME:
        judge_welcome(j, to, m);
        break;
    case MESSAGE_REPLY:
        judge_reply(j, to, m);
        break;
    case MESSAGE_PUSH:
        judge_push(j, to, m);
        break;
    case MESSAGE_ORDER:
        judge_order(j, to, &m->order);
        break;
    default:
        break;
    }
}
