/*
 * judge_end.c - what must not last, and what must be true when everybody is gone.
 *
 *   progress  nothing waits that fits; no recall stays open for nobody; in the end every request has had its answer
 *   reality   in the end books and machines agree, both ways
 *   replay    I7: the journal replays to the same state
 */
#include "client.h"
#include "judge_inner.h"

#define PATIENCE US_OF_MS(4000) /* for what the next steps must mend */

enum { WORRY_FITS = 1, WORRY_RECALL };

/* True: it has lasted too long. What a look does not find any more is forgotten by the next. */
static bool lasts(judges *j, int kind, uint64_t id)
{
    us_t now = clock_now(j->sim->clock);
    for (uint32_t i = 0; i < j->worries.n; i++) {
        worry *w = &j->worries.items[i];
        if (w->kind != kind || w->id != id)
            continue;
        w->look = j->looks;
        return now - w->since > PATIENCE;
    }
    *VECTOR_ADD(&j->worries) = (worry){.kind = kind, .id = id, .since = now, .look = j->looks};
    return false;
}

/* ---- waiters ---- */

static bytes_t granted_to(const judges *j, user_id u)
{
    bytes_t sum = 0;
    for (uint32_t i = 0; i < j->now.holdings.n; i++) {
        const book_allocation *a = books_allocation(&j->now, j->now.holdings.items[i].allocation);
        sum += a && a->terms.user.v == u.v ? a->terms.terms.chunk_size * j->now.holdings.items[i].held : 0;
    }
    return sum;
}

static chunks_t need_of(const allocation_terms *t)
{
    chunks_t need = t->flags & (TERM_SHRINKABLE | TERM_GROWABLE) ? t->min : t->want;
    return need ? need : 1;
}

static void look_waiter(judges *j, const core *c, const book_allocation *a)
{
    const allocation_terms *t = &a->terms.terms;
    chunks_t need = need_of(t);
    host_view h;
    if (t->filter[0] || granted_to(j, a->terms.user) + t->chunk_size * need > hosts_quota(j, a->terms.user))
        return;
    for (uint32_t cursor = 0; view_host(c, &cursor, &h);)
        if (h.state == HOST_UP && h.free / t->chunk_size >= need && lasts(j, WORRY_FITS, a->terms.id.v)) {
            WRONG(j,
                  "progress: A%" PRIu64 " waits for %" PRIu32 " chunks of %" PRIu64 ", and %s has had %" PRIu64
                  " bytes free for more than %d ms",
                  a->terms.id.v, need, t->chunk_size, h.name, h.free, (int)(PATIENCE / 1000));
            return;
        }
}

/* ---- recalls ---- */

/* Whom it is for is there no more, or has no use for it. */
static bool in_vain(const judges *j, const core *c, const record_recall *r)
{
    const book_allocation *whom = r->beneficiary.v ? books_allocation(&j->now, r->beneficiary) : NULL;
    const record_host *h = r->host.v != HOST_NONE.v ? books_host(&j->now, r->host) : NULL;
    host_view v;
    switch (r->reason) {
    case RECALL_FOR_WAITER:
        return !whom || whom->now.state != ALLOCATION_WAITING;
    case RECALL_FOR_FAIRNESS:
        return !whom || whom->now.state != ALLOCATION_LIVE;
    case RECALL_FOR_DRAIN:
        return h && !h->draining;
    case RECALL_FOR_OVERDRAFT:
        return view_host_by_id(c, r->host, &v) == 0 && v.state == HOST_UP && v.overdraft == 0;
    default:
        return false;
    }
}

static void look_recall(judges *j, const core *c, const record_recall *r)
{
    if (r->released + r->withdrawn + r->revoked == r->asked || !in_vain(j, c, r))
        return;
    if (lasts(j, WORRY_RECALL, r->id.v))
        WRONG(j,
              "progress: recall %" PRIu64 " (reason %d) asks A%" PRIu64 " on %s for %" PRIu32 " chunks, and A%" PRIu64
              " has had no use for them for more than %d ms",
              r->id.v, (int)r->reason, r->allocation.v, judge_host_name(j, r->host),
              r->asked - r->released - r->withdrawn - r->revoked, r->beneficiary.v, (int)(PATIENCE / 1000));
}

void worries_look(judges *j)
{
    const core *c = broker_core(j->sim->broker);
    uint32_t kept = 0;
    bool tight = j->limit_reached && clock_now(j->sim->clock) - j->limit_reached < 2 * PATIENCE;
    if (!c || j->restarted || tight) {
        j->worries.n = 0;
        return;
    }
    for (uint32_t i = 0; i < j->now.allocations.n; i++)
        if (j->now.allocations.items[i].now.state == ALLOCATION_WAITING)
            look_waiter(j, c, &j->now.allocations.items[i]);
    for (uint32_t i = 0; i < j->now.recalls.n; i++)
        look_recall(j, c, &j->now.recalls.items[i]);
    for (uint32_t i = 0; i < j->worries.n; i++)
        if (j->worries.items[i].look == j->looks)
            j->worries.items[kept++] = j->worries.items[i];
    j->worries.n = kept;
}

/* ---- the end ---- */

static void end_clients(judges *j)
{
    for (uint32_t i = 0; i < j->sim->n_clients; i++) {
        const client_node *c = j->sim->clients[i];
        client_view v;
        client_see(c, &v);
        if (!client_is_over(c))
            WRONG(j, "progress: %s is not over in the end: A%" PRIu64 "%s%s%s, %" PRIu32 " requests without an answer",
                  client_name(c), v.allocation.v, v.waiting ? ", waiting" : "", v.granted ? ", granted" : "",
                  v.ended ? ", ended" : "", v.unanswered);
    }
}

typedef struct {
    judges *judges;
    host_id host;
} looking;

static void end_group(void *context, const group_view *g)
{
    const looking *l = context;
    judges *j = l->judges;
    const claim_facts *f = facts_claim(j, g->generation);
    if ((f && f->lost) || books_claim(&j->now, (generation){g->generation}))
        return;
    WRONG(j,
          "reality: in the end %s has a group of claim %" PRIu64 " with %" PRIu32 " processes and %" PRIu64
          " bytes, and the books have no such claim",
          judge_host_name(j, l->host), g->generation, g->processes, g->charged);
}

/* A claim in the end: only where something really keeps it. */
static void end_claim(judges *j, const record_claim *k)
{
    truth_group t = truth_of(j, k->host, k->gen.v);
    const book_allocation *a = books_allocation(&j->now, k->allocation);
    bytes_t size = a ? a->terms.terms.chunk_size : 0;
    if (!t.found && k->state <= CLAIM_OPEN)
        WRONG(j, "reality: in the end claim %" PRIu64 " of A%" PRIu64 " has no group on %s", k->gen.v, k->allocation.v,
              judge_host_name(j, k->host));
    if (!t.found || truth_empty(&t.group, size))
        WRONG(j,
              "reality: in the end claim %" PRIu64 " of A%" PRIu64 " (state %d, %" PRIu32
              " chunks) is in the books, and nothing is left of it on %s",
              k->gen.v, k->allocation.v, (int)k->state, k->chunks, judge_host_name(j, k->host));
}

static void end_allocation(judges *j, const book_allocation *a)
{
    for (uint32_t i = 0; i < j->now.claims.n; i++)
        if (j->now.claims.items[i].allocation.v == a->terms.id.v)
            return;
    WRONG(j, "reality: in the end A%" PRIu64 " is in the books in state %d with %" PRIu32 " chunks and no claim",
          a->terms.id.v, (int)a->now.state, books_held(&j->now, a->terms.id));
}

void end_judge(judges *j)
{
    char why[256];
    end_clients(j);
    if (!broker_core(j->sim->broker)) {
        WRONG(j, "progress: in the end there is no broker");
        return;
    }
    for (uint32_t i = 0; i < j->now.claims.n; i++)
        end_claim(j, &j->now.claims.items[i]);
    for (uint32_t i = 0; i < j->now.allocations.n; i++)
        end_allocation(j, &j->now.allocations.items[i]);
    for (uint32_t i = 0; i < j->now.sessions.n; i++)
        WRONG(j, "reality: in the end session %" PRIu64 " of process %" PRId32 " is in the books",
              j->now.sessions.items[i].id.v, j->now.sessions.items[i].pid);
    for (uint32_t i = 0; i < j->sim->n_hosts; i++) {
        looking l = {j, {i}};
        machine_groups(j->sim->machines[i], end_group, &l);
    }
    if (!broker_replays(j->sim->broker, why, sizeof why))
        WRONG(j, "replay: %s", why);
}
