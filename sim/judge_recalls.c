/*
 * judge_recalls.c - what is asked back.
 *
 *   firm      I6: open recalls of an allocation ask at most what it holds above its least; the operator's at most all
 *   outcomes  I11: released + withdrawn + revoked = asked at the end; no count falls; a recall never changes
 *   kills     by force only where the terms allow it, and not before the notice
 */
#include "judge_inner.h"

static chunks_t left(const record_recall *r)
{
    return r->asked - r->released - r->withdrawn - r->revoked;
}

static bool ended(const judges *j, allocation_id a)
{
    for (uint32_t i = 0; i < j->step.ended.n; i++)
        if (j->step.ended.items[i].terms.id.v == a.v)
            return true;
    return false;
}

void recalls_note(judges *j, const effect_note *n)
{
    if (n->kind == NOTE_WITHDRAWN || n->kind == NOTE_REVOKED || n->kind == NOTE_RECALL_DONE)
        *VECTOR_ADD(&j->step.notes) = (recall_note){.recall = n->recall.v, .kind = n->kind, .chunks = n->chunks};
}

/* Its counts when it ended, by its last record and what was said of it since. */
static record_recall last_counts(const judges *j, const record_recall *r)
{
    record_recall sum = *r;
    for (uint32_t i = 0; i < j->step.notes.n; i++) {
        const recall_note *n = &j->step.notes.items[i];
        if (n->recall != r->id.v)
            continue;
        if (n->kind == NOTE_RECALL_DONE)
            sum.released = n->chunks;
        else if (n->kind == NOTE_WITHDRAWN)
            sum.withdrawn += n->chunks;
        else
            sum.revoked += n->chunks;
    }
    return sum;
}

static void judge_over(judges *j, const change_recall *x)
{
    record_recall b = last_counts(j, &x->before);
    if (b.released + b.withdrawn + b.revoked != b.asked)
        WRONG(j,
              "outcomes: recall %" PRIu64 " of A%" PRIu64 " is over with %" PRIu32 " released + %" PRIu32
              " withdrawn + %" PRIu32 " revoked of %" PRIu32,
              b.id.v, b.allocation.v, b.released, b.withdrawn, b.revoked, b.asked);
}

static void judge_counts(judges *j, const change_recall *x)
{
    const record_recall *a = &x->before, *b = &x->after;
    uint64_t answered = (uint64_t)b->released + b->withdrawn + b->revoked;
    if (answered > b->asked)
        WRONG(j, "outcomes: recall %" PRIu64 " of A%" PRIu64 " asked for %" PRIu32 " chunks and counts %" PRIu64,
              b->id.v, b->allocation.v, b->asked, answered);
    if (x->was && !x->is && !ended(j, b->allocation))
        judge_over(j, x);
    if (!x->was)
        return;
    if (b->released < a->released || b->withdrawn < a->withdrawn || b->revoked < a->revoked)
        WRONG(j,
              "outcomes: a count of recall %" PRIu64 " fell: %" PRIu32 " + %" PRIu32 " + %" PRIu32 " to %" PRIu32
              " + %" PRIu32 " + %" PRIu32,
              b->id.v, a->released, a->withdrawn, a->revoked, b->released, b->withdrawn, b->revoked);
    if (a->allocation.v != b->allocation.v || a->asked != b->asked || a->host.v != b->host.v ||
        a->reason != b->reason || a->beneficiary.v != b->beneficiary.v)
        WRONG(j, "outcomes: recall %" PRIu64 " changed: %" PRIu32 " of A%" PRIu64 " on %s was %" PRIu32 " of A%" PRIu64,
              b->id.v, b->asked, b->allocation.v, judge_host_name(j, b->host), a->asked, a->allocation.v);
}

static void judge_force(judges *j, const change_recall *x)
{
    chunks_t n = x->after.revoked - (x->was ? x->before.revoked : 0);
    const book_allocation *a = books_allocation(&j->now, x->after.allocation);
    if (n == 0 || !a)
        return;
    ms_t since = facts_recall(j, x->after.id.v), notice = a->terms.terms.notice_ms;
    if (!(a->terms.terms.flags & TERM_REVOCABLE))
        WRONG(j, "kills: %" PRIu32 " chunks of A%" PRIu64 " were taken by recall %" PRIu64 ", and it is not revocable",
              n, a->terms.id.v, x->after.id.v);
    else if (j->lived - since < notice)
        WRONG(j,
              "kills: %" PRIu32 " chunks of A%" PRIu64 " were taken by recall %" PRIu64 " after %" PRIu64
              " ms; its notice is %" PRIu64 " ms",
              n, a->terms.id.v, x->after.id.v, j->lived - since, notice);
}

/* What recall released in this step, the holdings of its allocation have lost. */
static void judge_given(judges *j, allocation_id id)
{
    uint64_t counted = 0, lost = 0;
    for (uint32_t i = 0; i < j->step.recalls.n; i++) {
        const change_recall *x = &j->step.recalls.items[i];
        if (x->after.allocation.v == id.v)
            counted += x->after.released + x->after.revoked - (x->was ? x->before.released + x->before.revoked : 0u);
    }
    for (uint32_t i = 0; i < j->step.holdings.n; i++) {
        const change_holding *x = &j->step.holdings.items[i];
        if (x->after.allocation.v == id.v && x->before.held > x->after.held)
            lost += x->before.held - x->after.held;
    }
    if (counted > lost && !ended(j, id) && !j->grew)
        WRONG(j,
              "outcomes: recalls of A%" PRIu64 " count %" PRIu64 " chunks as given in one step, and it lost %" PRIu64,
              id.v, counted, lost);
}

static void judge_firm(judges *j, const book_allocation *a)
{
    uint64_t asked = 0, by_operator = 0;
    chunks_t held = books_held(&j->now, a->terms.id), min = a->terms.terms.min;
    const record_recall *some = NULL;
    for (uint32_t i = 0; i < j->now.recalls.n; i++) {
        const record_recall *r = &j->now.recalls.items[i];
        if (r->allocation.v != a->terms.id.v || left(r) == 0)
            continue;
        if (r->reason == RECALL_FOR_OPERATOR) {
            by_operator += left(r);
        } else {
            asked += left(r);
            some = r;
        }
    }
    if (some && !(a->terms.terms.flags & TERM_RECALLABLE))
        WRONG(j, "firm: recall %" PRIu64 " asks A%" PRIu64 " for %" PRIu32 " chunks, and all of it is firm", some->id.v,
              a->terms.id.v, left(some));
    if (asked > (held > min ? held - min : 0))
        WRONG(j,
              "firm: open recalls ask A%" PRIu64 " for %" PRIu64 " of %" PRIu32 " chunks, of which %" PRIu32
              " are firm",
              a->terms.id.v, asked, held, min);
    if (by_operator > held)
        WRONG(j, "firm: the operator's recalls ask A%" PRIu64 " for %" PRIu64 " of %" PRIu32 " chunks", a->terms.id.v,
              by_operator, held);
}

void recalls_judge(judges *j)
{
    for (uint32_t i = 0; i < j->step.recalls.n; i++) {
        judge_counts(j, &j->step.recalls.items[i]);
        judge_force(j, &j->step.recalls.items[i]);
        judge_given(j, j->step.recalls.items[i].after.allocation);
    }
    if (j->step.recalls.n || j->step.holdings.n)
        for (uint32_t i = 0; i < j->now.allocations.n; i++)
            judge_firm(j, &j->now.allocations.items[i]);
}
