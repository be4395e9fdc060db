/*
 * judge_books.c - the judges' own books: the last value of every noun, from the records of the journal.
 *
 * `base` is what some commit of the past left behind; the records since then are kept, so that a crash forgets what was
 * not committed, and a loss of power what was not on the disk.
 */
#include <stdlib.h>
#include <string.h>

#include "judge_inner.h"

#define TAIL_COMMITS 512u /* a loss of power takes a few */

/* ---- finding ---- */

#define FIND(v, condition)                                                                                             \
    do {                                                                                                               \
        for (uint32_t i_ = 0; i_ < (v)->n; i_++) {                                                                     \
            __auto_type x = &(v)->items[i_];                                                                           \
            if (condition)                                                                                             \
                return x;                                                                                              \
        }                                                                                                              \
        return NULL;                                                                                                   \
    } while (0)

book_allocation *books_allocation(const books *b, allocation_id id)
{
    FIND(&b->allocations, x->terms.id.v == id.v);
}

record_session *books_session(const books *b, session_id id)
{
    FIND(&b->sessions, x->id.v == id.v);
}

record_holding *books_holding(const books *b, allocation_id a, host_id h)
{
    FIND(&b->holdings, x->allocation.v == a.v && x->host.v == h.v);
}

record_claim *books_claim(const books *b, generation gen)
{
    FIND(&b->claims, x->gen.v == gen.v);
}

record_recall *books_recall(const books *b, recall_id id)
{
    FIND(&b->recalls, x->id.v == id.v);
}

record_host *books_host(const books *b, host_id id)
{
    FIND(&b->hosts, x->id.v == id.v);
}

chunks_t books_held(const books *b, allocation_id a)
{
    chunks_t sum = 0;
    for (uint32_t i = 0; i < b->holdings.n; i++)
        sum += b->holdings.items[i].allocation.v == a.v ? b->holdings.items[i].held : 0;
    return sum;
}

uint64_t books_claimed(const books *b, allocation_id a, host_id h)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->claims.n; i++) {
        const record_claim *k = &b->claims.items[i];
        if (k->allocation.v == a.v && k->host.v == h.v && k->state != CLAIM_QUARANTINED)
            sum += k->chunks;
    }
    return sum;
}

claim_facts *facts_claim(judges *j, uint64_t gen)
{
    uint32_t low = 0, high = j->claims.n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (j->claims.items[middle].gen < gen)
            low = middle + 1;
        else
            high = middle;
    }
    return low < j->claims.n && j->claims.items[low].gen == gen ? &j->claims.items[low] : NULL;
}

ms_t facts_recall(const judges *j, uint64_t recall)
{
    for (uint32_t i = j->recalls.n; i-- > 0;)
        if (j->recalls.items[i].recall == recall)
            return j->recalls.items[i].since;
    return j->lived;
}

/* ---- what a step changed ---- */

void changes_clear(changes *c)
{
    c->notes.n = c->holdings.n = c->claims.n = c->recalls.n = c->ended.n = c->left.n = c->begun.n = 0;
}

static void note_holding(changes *c, const record_holding *before, const record_holding *after)
{
    for (uint32_t i = 0; i < c->holdings.n; i++) {
        change_holding *x = &c->holdings.items[i];
        if (x->after.allocation.v == after->allocation.v && x->after.host.v == after->host.v) {
            x->after = *after;
            return;
        }
    }
    change_holding *x = VECTOR_ADD(&c->holdings);
    *x = (change_holding){.before = *before, .after = *after};
}

static void note_claim(changes *c, const record_claim *before, const record_claim *after)
{
    for (uint32_t i = 0; i < c->claims.n; i++) {
        change_claim *x = &c->claims.items[i];
        if ((x->is ? x->after.gen.v : x->before.gen.v) == (after ? after->gen.v : before->gen.v)) {
            x->is = after != NULL;
            if (after)
                x->after = *after;
            return;
        }
    }
    change_claim *x = VECTOR_ADD(&c->claims);
    memset(x, 0, sizeof *x);
    x->was = before != NULL;
    x->is = after != NULL;
    if (before)
        x->before = *before;
    x->after = after ? *after : *before;
}

static void note_recall(changes *c, const record_recall *before, const record_recall *after)
{
    for (uint32_t i = 0; i < c->recalls.n; i++) {
        change_recall *x = &c->recalls.items[i];
        if (x->after.id.v == (after ? after->id.v : before->id.v)) {
            x->is = after != NULL;
            if (after)
                x->after = *after;
            return;
        }
    }
    change_recall *x = VECTOR_ADD(&c->recalls);
    memset(x, 0, sizeof *x);
    x->was = before != NULL;
    x->is = after != NULL;
    if (before)
        x->before = *before;
    x->after = after ? *after : *before;
}

/* ---- putting; `c` may be NULL: nobody asks what changed ---- */

static void put_holding(books *b, const record_holding *r, changes *c)
{
    record_holding *x = books_holding(b, r->allocation, r->host);
    record_holding none = {.allocation = r->allocation, .host = r->host};
    if (c)
        note_holding(c, x ? x : &none, r);
    if (r->held == 0 && r->returning == 0) {
        if (x)
            VECTOR_REMOVE(&b->holdings, x);
        return;
    }
    if (!x)
        x = VECTOR_ADD(&b->holdings);
    *x = *r;
}

static void put_claim(books *b, const record_claim *r, changes *c)
{
    record_claim *x = books_claim(b, r->gen);
    if (c)
        note_claim(c, x, r);
    if (!x)
        x = VECTOR_ADD(&b->claims);
    *x = *r;
}

static void put_recall(books *b, const record_recall *r, changes *c)
{
    record_recall *x = books_recall(b, r->id);
    if (c)
        note_recall(c, x, r);
    if (!x)
        x = VECTOR_ADD(&b->recalls);
    *x = *r;
    if (b->counters.recall < r->id.v) /* it may be over before its turn ends, and is told all the same */
        b->counters.recall = r->id.v;
}

static book_allocation *allocation_get(books *b, allocation_id id, changes *c)
{
    book_allocation *a = books_allocation(b, id);
    if (a)
        return a;
    a = VECTOR_ADD(&b->allocations);
    memset(a, 0, sizeof *a);
    a->terms.id = a->now.id = id;
    if (c)
        *VECTOR_ADD(&c->begun) = *a;
    return a;
}

static void put_session(books *b, const record_session *r)
{
    record_session *x = books_session(b, r->id);
    if (!x)
        x = VECTOR_ADD(&b->sessions);
    *x = *r;
}

static void put_host(books *b, const record_host *r)
{
    record_host *x = books_host(b, r->id);
    if (!x)
        x = VECTOR_ADD(&b->hosts);
    *x = *r;
}

/* The end of a noun. False: there is none of it. */
static bool put_end(books *b, const core_record *r, changes *c)
{
    record_session *s = r->kind == RECORD_SESSION_END ? books_session(b, r->session_end) : NULL;
    book_allocation *a = r->kind == RECORD_ALLOCATION_END ? books_allocation(b, r->allocation_end) : NULL;
    record_claim *k = r->kind == RECORD_CLAIM_END ? books_claim(b, r->claim_end) : NULL;
    record_recall *x = r->kind == RECORD_RECALL_END ? books_recall(b, r->recall_end) : NULL;
    if (s) {
        if (c)
            *VECTOR_ADD(&c->left) = *s;
        VECTOR_REMOVE(&b->sessions, s);
    } else if (a) {
        if (c)
            *VECTOR_ADD(&c->ended) = *a;
        VECTOR_REMOVE(&b->allocations, a);
    } else if (k) {
        if (c)
            note_claim(c, k, NULL);
        VECTOR_REMOVE(&b->claims, k);
    } else if (x) {
        if (c)
            note_recall(c, x, NULL);
        VECTOR_REMOVE(&b->recalls, x);
    }
    return s || a || k || x;
}

static bool put(books *b, const core_record *r, changes *c)
{
    switch (r->kind) {
    case RECORD_COUNTERS:
        b->counters = r->counters;
        return true;
    case RECORD_HOST:
        put_host(b, &r->host);
        return true;
    case RECORD_SESSION:
        put_session(b, &r->session);
        return true;
    case RECORD_ALLOCATION:
        allocation_get(b, r->allocation.id, c)->terms = r->allocation;
        return true;
    case RECORD_ALLOCATION_STATE:
        allocation_get(b, r->allocation_state.id, c)->now = r->allocation_state;
        return true;
    case RECORD_HOLDING:
        put_holding(b, &r->holding, c);
        return true;
    case RECORD_CLAIM:
        put_claim(b, &r->claim, c);
        return true;
    case RECORD_RECALL:
        put_recall(b, &r->recall, c);
        return true;
    case RECORD_ANSWER:
        return true; /* judge_wire.c looks at what is told */
    default:
        return put_end(b, r, c);
    }
}

/* Numbers that were given out, whatever becomes of the journal. */
static void note_numbers(judges *j, const core_record *r)
{
    if (r->kind == RECORD_SESSION && !books_session(&j->now, r->session.id)) {
        if (r->session.id.v <= j->highest_session)
            WRONG(j, "generations: session %" PRIu64 " has a number that was given out before (up to %" PRIu64 ")",
                  r->session.id.v, j->highest_session);
        j->highest_session = r->session.id.v;
    }
    if (r->kind == RECORD_RECALL && !books_recall(&j->now, r->recall.id))
        *VECTOR_ADD(&j->recalls) = (recall_facts){.recall = r->recall.id.v, .since = j->lived};
    if (r->kind != RECORD_CLAIM || books_claim(&j->now, r->claim.gen))
        return;
    if (r->claim.gen.v <= j->highest_gen) {
        WRONG(j,
              "generations: claim %" PRIu64 " of A%" PRIu64
              " on %s has a number that was given out before (up to %" PRIu64 ")",
              r->claim.gen.v, r->claim.allocation.v, judge_host_name(j, r->claim.host), j->highest_gen);
        return;
    }
    j->highest_gen = r->claim.gen.v;
    *VECTOR_ADD(&j->claims) = (claim_facts){.gen = r->claim.gen.v, .host = r->claim.host};
}

void books_put(judges *j, const core_record *r)
{
    note_numbers(j, r);
    *VECTOR_ADD(&j->tail) = *r;
    j->uncommitted++;
    if (!put(&j->now, r, &j->step))
        WRONG(j, "bytes: a record ends what is not in the books: kind %d, number %" PRIu64, (int)r->kind,
              r->claim_end.v);
    claim_facts *f = r->kind == RECORD_CLAIM_END ? facts_claim(j, r->claim_end.v) : NULL;
    if (f)
        f->ended = true;
}

/* ---- commits ---- */

#define COPY(to, from)                                                                                                 \
    do {                                                                                                               \
        if ((to)->capacity < (from)->n) {                                                                              \
            (to)->items = sim_grow((to)->items, (from)->n * sizeof *(to)->items);                                      \
            (to)->capacity = (from)->n;                                                                                \
        }                                                                                                              \
        (to)->n = (from)->n;                                                                                           \
        if ((from)->n)                                                                                                 \
            memcpy((to)->items, (from)->items, (from)->n * sizeof *(to)->items);                                       \
    } while (0)

static void copy(books *to, const books *from)
{
    to->counters = from->counters;
    COPY(&to->hosts, &from->hosts);
    COPY(&to->sessions, &from->sessions);
    COPY(&to->allocations, &from->allocations);
    COPY(&to->holdings, &from->holdings);
    COPY(&to->claims, &from->claims);
    COPY(&to->recalls, &from->recalls);
}

/* The older half of the tail becomes part of `base`. */
static void fold(judges *j)
{
    uint32_t half = TAIL_COMMITS / 2, records = j->commits.items[half - 1];
    for (uint32_t i = 0; i < records; i++)
        put(&j->base, &j->tail.items[i], NULL);
    memmove(j->tail.items, j->tail.items + records, (j->tail.n - records) * sizeof *j->tail.items);
    j->tail.n -= records;
    for (uint32_t i = half; i < j->commits.n; i++)
        j->commits.items[i - half] = j->commits.items[i] - records;
    j->commits.n -= half;
}

void books_commit(judges *j)
{
    *VECTOR_ADD(&j->commits) = j->tail.n;
    j->uncommitted = 0;
    j->safe_gen = j->highest_gen;
    j->safe_session = j->highest_session;
    if (j->commits.n == TAIL_COMMITS)
        fold(j);
}

void books_lose(judges *j, uint64_t commits)
{
    if (commits > j->commits.n) {
        WRONG(j, "%" PRIu64 " commits are lost at once: more than judges remember", commits);
        commits = j->commits.n;
    }
    j->commits.n -= (uint32_t)commits;
    j->tail.n = j->commits.n ? j->commits.items[j->commits.n - 1] : 0;
    j->uncommitted = 0;
    j->highest_gen = j->safe_gen; /* what no commit ever told was never given out */
    j->highest_session = j->safe_session;
    while (j->claims.n && j->claims.items[j->claims.n - 1].gen > j->safe_gen)
        j->claims.n--;
    copy(&j->now, &j->base);
    for (uint32_t i = 0; i < j->tail.n; i++)
        put(&j->now, &j->tail.items[i], NULL);
    for (uint32_t i = 0; i < j->claims.n; i++) {
        claim_facts *f = &j->claims.items[i];
        bool there = books_claim(&j->now, (generation){f->gen}) != NULL;
        f->lost |= commits > 0 && !there && !f->ended; /* its group may exist: no commit knows it */
        f->ended = f->ended && !there;
    }
}

static void finish(books *b)
{
    free(b->hosts.items);
    free(b->sessions.items);
    free(b->allocations.items);
    free(b->holdings.items);
    free(b->claims.items);
    free(b->recalls.items);
}

void books_finish(judges *j)
{
    finish(&j->now);
    finish(&j->base);
    free(j->tail.items);
    free(j->commits.items);
    free(j->step.notes.items);
    free(j->step.holdings.items);
    free(j->step.claims.items);
    free(j->step.recalls.items);
    free(j->step.ended.items);
    free(j->step.left.items);
    free(j->step.begun.items);
    free(j->claims.items);
    free(j->recalls.items);
    free(j->requests.items);
    free(j->users.items);
    free(j->worries.items);
}
