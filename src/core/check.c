/*
 * check.c - the invariants, counted from scratch (I1-I6, I8, I10).
 *
 * Sums are kept in scratch on the stack of each function, one noun at a time: slow on purpose, sharing no sums with the
 * code that it checks.
 */
#include "core/core.h"

#include <string.h>

#include "core/allocation.h"
#include "core/books.h"
#include "core/holding.h"
#include "core/ledger.h"

/* A sentence and a number, without printf: "sentence 42". */
static int wrong(char *why, size_t size, const char *sentence, uint64_t n)
{
    char digits[24];
    size_t d = sizeof(digits), at = 0;
    do
        digits[--d] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    for (const char *p = sentence; *p && at + 1 < size; p++)
        why[at++] = *p;
    if (at + 1 < size)
        why[at++] = ' ';
    for (; d < sizeof(digits) && at + 1 < size; d++)
        why[at++] = digits[d];
    if (size)
        why[at] = 0;
    return STATUS_CORRUPT;
}

#define REQUIRE(condition, sentence, n)                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return wrong(why, why_size, sentence, n);                                                                  \
    } while (0)

static bool armed(const heap_node *n, ms_t at)
{
    return (n->pos != 0) == (at != MS_NEVER) && n->at == at;
}

static int check_holding(const core *c, const holding *x, char *why, size_t why_size)
{
    chunks_t claimed = 0, claims = 0;
    uint64_t asked = 0;
    list_each(k, &x->allocation->claims, claim, allocation_node)
    {
        if (k->host != x->host)
            continue;
        REQUIRE(k->holding == x, "a claim points to another holding: claim", k->gen.v);
        claims++;
        claimed += k->state == CLAIM_QUARANTINED ? 0 : k->chunks;
    }
    list_each(r, &x->allocation->recalls, recall, allocation_node) asked += r->host == x->host ? recall_left(r) : 0;
    uint64_t id = x->allocation->id.v;
    REQUIRE(claims == x->claims && claimed == x->claimed, "claimed chunks of a holding do not add up: allocation", id);
    REQUIRE((uint64_t)claimed <= (uint64_t)x->held + x->returning,
            "I3: more is claimed than held and returning: allocation", id);
    REQUIRE(x->returning <= claimed, "I3: a debt that no claim can pay: allocation", id);
    uint64_t owed = 0;
    for (int i = 0; i < FREED_MAX; i++)
        owed += x->freed[i].chunks;
    REQUIRE(owed <= x->returning, "more is freed for waiters than returns: allocation", id);
    REQUIRE(asked == x->asked && asked <= x->held, "recalls of a host do not add up: allocation", id);
    REQUIRE(armed(&x->due, x->returning_until), "I10: deadline of a holding: allocation", id);
    REQUIRE((x->returning != 0) == (x->returning_until != MS_NEVER), "I10: returning without a deadline: allocation",
            id);
    REQUIRE(x->held || x->returning || x->claims || x->reserved, "an empty holding was kept: allocation", id);
    REQUIRE(holding_find(c, x->allocation, x->host) == x, "a holding is not found by its key: allocation", id);
    REQUIRE(x->scratch == 0 && x->take == 0 && x->scratch_bytes == 0, "scratch was left in a holding: allocation", id);
    return STATUS_OK;
}

static int check_host(const core *c, const host *h, char *why, size_t why_size)
{
    bytes_t granted = 0, returning = 0, held = 0, quarantine = 0, used = 0, recalled = 0;
    list_each(x, &h->holdings, holding, host_node)
    {
        REQUIRE(x->host == h, "a holding is in another host's list: host", h->id.v);
        granted += chunk_bytes(x->allocation, x->held);
        returning += chunk_bytes(x->allocation, x->returning);
        held += x->reserved;
        recalled += chunk_bytes(x->allocation, x->asked);
        int status = check_holding(c, x, why, why_size);
        if (status)
            return status;
    }
    list_each(k, &h->claims, claim, host_node)
    {
        used += k->used;
        quarantine += k->state == CLAIM_QUARANTINED ? chunk_bytes(k->allocation, k->chunks) : 0;
    }
    uint64_t id = h->id.v;
    REQUIRE(granted == h->granted, "I2: granted is not the sum of what is held: host", id);
    REQUIRE(returning == h->returning, "returning is not the sum of debts: host", id);
    REQUIRE(held == h->held, "held is not the sum of what is kept for waiters: host", id);
    REQUIRE(quarantine == h->quarantine, "quarantine is not the sum of quarantined claims: host", id);
    REQUIRE(used == h->used, "use is not the sum of claims: host", id);
    REQUIRE(recalled == h->recalled, "recalled is not the sum of recalls: host", id);
    bytes_t spent = h->set_aside + h->foreign + granted + returning + held + quarantine;
    REQUIRE(spent + h->free == h->total + h->overdraft, "I2: the columns do not add up to total: host", id);
    REQUIRE(h->free == 0 || h->overdraft == 0, "I2: free and overdrawn at once: host", id);
    for (uint32_t i = 0; i < CLASSES; i++) {
        bytes_t leaf = tourney_get(&c->by_free[i], h->id.v);
        bytes_t due = i == h->class && ledger_placeable(h) ? h->free : 0;
        REQUIRE(leaf == due, "I4: the index offers what is not free: host", id);
    }
    REQUIRE(tourney_get(&c->by_hope, h->id.v) == ledger_hope(h), "the index of what could ever be granted: host", id);
    REQUIRE(h->connected || !(h->ready || h->fresh), "I4: a silent host takes part: host", id);
    bool suspect = !h->connected && !h->lost;
    REQUIRE(!c->recovered || suspect == (h->due.pos != 0), "I10: deadline of a suspect host: host", id);
    return STATUS_OK;
}

static int check_state(const core *c, const allocation *a, char *why, size_t why_size)
{
    uint64_t id = a->id.v;
    bool waiting = a->state == ALLOCATION_WAITING, swept = !list_empty(&a->sweep_node);
    REQUIRE(waiting == !list_empty(&a->queue_node), "a waiter is not in the queue: allocation", id);
    REQUIRE(armed(&a->due, a->wait_until), "I10: deadline of a waiter: allocation", id);
    REQUIRE(waiting || a->wait_until == MS_NEVER, "I10: a deadline of one that does not wait: allocation", id);
    REQUIRE(!waiting || (a->held == 0 && a->returning == 0 && a->n_claims == (a->gated != NULL)),
            "a waiter holds memory: allocation", id);
    REQUIRE(!a->gated || a->state != ALLOCATION_ENDING || a->gated->state == CLAIM_QUARANTINED || a->gated->kill,
            "a claim of no chunks outlives its request: allocation", id);
    REQUIRE(a->ask != ASK_OPEN || a->look.pos, "I10: a question without an end: allocation", id);
    REQUIRE(a->state != ALLOCATION_ENDING || a->returning || a->n_claims || swept || a->held,
            "I5: an allocation that is over was kept: allocation", id);
    bool stays = (a->terms.flags & TERM_STAY) && a->n_claims;
    REQUIRE(a->owner || a->state == ALLOCATION_ENDING || swept || stays,
            "I5: an allocation without an owner or a claim lives on: allocation", id);
    REQUIRE(table_get(&c->allocation_ids, id) == a, "an allocation is not found by its id: allocation", id);
    REQUIRE(!a->touched && a->take == 0, "scratch was left in an allocation: allocation", id);
    bool live = a->state == ALLOCATION_LIVE && a->owner;
    bool hungry = live && (a->terms.flags & TERM_GROWABLE) && a->held < a->want;
    bool gives = live && (a->terms.flags & TERM_RECALLABLE) && a->held > a->terms.min;
    REQUIRE(hungry == !list_empty(&a->hungry_node), "a growable allocation is in the wrong list: allocation", id);
    REQUIRE(gives == !list_empty(&a->recallable_node), "a recallable allocation is in the wrong list: allocation", id);
    return STATUS_OK;
}

static int check_allocation(const core *c, const allocation *a, char *why, size_t why_size)
{
    uint64_t held = 0, returning = 0, asked = 0, by_operator = 0, claims = 0, done = 0, overdue = 0, open = 0,
             holdings = 0, n_for = 0;
    uint64_t id = a->id.v;
    list_each(x, &a->holdings, holding, node)
    {
        holdings++;
        held += x->held;
        returning += x->returning;
        REQUIRE(x->node.next == &a->holdings || container_of(x->node.next, holding, node)->host->id.v > x->host->id.v,
                "holdings are out of order: allocation", id);
    }
    list_each(k, &a->claims, claim, allocation_node) claims++;
    list_each(r, &a->recalls, recall, allocation_node)
    {
        chunks_t left = recall_left(r);
        REQUIRE((uint64_t)r->r.released + r->r.withdrawn + r->r.revoked + left == r->r.asked,
                "I11: a recall's counts: recall", r->r.id.v);
        REQUIRE((r->due.pos != 0) == (left && !r->r.overdue), "I10: deadline of a recall: recall", r->r.id.v);
        done += left == 0;
        open += left != 0;
        overdue += left && r->r.overdue;
        asked += r->r.reason == RECALL_FOR_OPERATOR ? 0 : left;
        by_operator += r->r.reason == RECALL_FOR_OPERATOR ? left : 0;
    }
    REQUIRE(held == a->held && returning == a->returning, "I8: chunks of an allocation do not add up: allocation", id);
    REQUIRE(claims == a->n_claims, "I8: claims of an allocation do not add up: allocation", id);
    REQUIRE(asked == a->asked && done == a->n_done, "recalls of an allocation do not add up: allocation", id);
    list_each(r, &a->recalls_for, recall, for_node) n_for++;
    REQUIRE(open == a->n_open && n_for == a->n_for, "open recalls do not add up: allocation", id);
    REQUIRE(holdings == a->n_holdings && holdings <= EXTENTS_MAX, "holdings of an allocation: allocation", id);
    REQUIRE(overdue == a->n_overdue, "overdue recalls of an allocation do not add up: allocation", id);
    REQUIRE(asked == 0 || held >= a->terms.min + asked, "I6: recalls ask below min: allocation", id);
    REQUIRE(by_operator <= held, "I6: recalls ask for more than is held: allocation", id);
    return check_state(c, a, why, why_size);
}

static int check_claim(const core *c, const claim *k, char *why, size_t why_size)
{
    bool ends = k->state == CLAIM_CLOSING || k->state == CLAIM_QUARANTINED;
    REQUIRE(ends == (k->closing_until != MS_NEVER), "I10: a claim that ends has no deadline: claim", k->gen.v);
    REQUIRE(armed(&k->due, k->look_at), "I10: deadline of a claim: claim", k->gen.v);
    REQUIRE(k->look_at >= k->closing_until, "I10: a claim is looked at before its deadline: claim", k->gen.v);
    REQUIRE(ends == (k->look_at != MS_NEVER), "I10: a claim that ends is never looked at: claim", k->gen.v);
    REQUIRE((k->chunks == 0) == (k->allocation->gated == k), "a claim of no chunks is not known as such: claim",
            k->gen.v);
    REQUIRE(table_get(&c->claim_gens, k->gen.v) == k && k->gen.v <= c->counters.generation,
            "a claim is not found by its number: claim", k->gen.v);
    return STATUS_OK;
}

static int check_sessions(const core *c, char *why, size_t why_size)
{
    uint32_t attached = 0;
    list_each(s, &c->session_list, session, node)
    {
        uint32_t answers = 0;
        attached += s->state == SESSION_ATTACHED;
        list_each(a, &s->answers, answer, node) answers++;
        REQUIRE(answers == s->n_answers && answers <= ANSWERS_MAX, "I12: answers of a session: session", s->id.v);
        REQUIRE((s->state == SESSION_DETACHED) == (s->grace_until != MS_NEVER), "I10: grace of a session: session",
                s->id.v);
        REQUIRE(armed(&s->due, s->grace_until), "I10: deadline of a session: session", s->id.v);
        list_each(a, &s->allocations, allocation, owner_node) REQUIRE(
            a->owner == s && a->owner_id.v == s->id.v, "an allocation in another session's list: session", s->id.v);
    }
    REQUIRE(attached == c->n_attached, "attached sessions do not add up:", attached);
    return STATUS_OK;
}

static int check_users(const core *c, char *why, size_t why_size)
{
    uint64_t hungry = 0;
    list_each(u, &c->user_list, user, node)
    {
        bytes_t granted = 0;
        list_each(a, &c->allocation_list, allocation, node) granted += a->user == u ? chunk_bytes(a, a->held) : 0;
        REQUIRE(granted == u->granted, "I8: bytes of a user do not add up: user", u->id.v);
        const allocation *before = NULL;
        list_each(a, &u->hungry, allocation, hungry_node)
        {
            hungry++;
            REQUIRE(!before || allocation_hungrier(before, a), "hungry ones are out of order: allocation", a->id.v);
            before = a;
        }
    }
    REQUIRE(hungry == c->n_hungry, "growable allocations do not add up:", hungry);
    return STATUS_OK;
}

static int check_totals(const core *c, char *why, size_t why_size)
{
    uint64_t holdings = 0, waiting = 0;
    for (uint32_t i = 0; i < c->n_hosts; i++)
        list_each(x, &c->hosts[i].holdings, holding, host_node) holdings++;
    REQUIRE(holdings == c->holdings.used, "I8: holdings do not add up:", holdings);
    const allocation *before = NULL;
    list_each(a, &c->queue, allocation, queue_node)
    {
        waiting++;
        REQUIRE(!before || before->terms.priority > a->terms.priority ||
                    (before->terms.priority == a->terms.priority && before->id.v < a->id.v),
                "the queue is out of order: allocation", a->id.v);
        before = a;
    }
    REQUIRE(waiting == c->n_waiting, "waiters do not add up:", waiting);
    uint64_t sized = 0;
    for (int i = 0; i < SUPPLY_KINDS; i++) {
        for (int j = 0; j < SUPPLY_SIZES; j++) {
            const list_node *head = &c->supply.by_size[i][j];
            REQUIRE(((c->supply.sizes[i] >> j & 1) == 0) == list_empty(head), "an index of waiters by size:", j);
            list_each(a, head, allocation, supply_node) sized += a->state == ALLOCATION_WAITING;
        }
    }
    REQUIRE(sized == waiting, "waiters by size do not add up:", sized);
    bytes_t free = 0;
    for (uint32_t i = 0; i < c->n_hosts; i++)
        free += ledger_placeable(&c->hosts[i]) ? c->hosts[i].free : 0;
    REQUIRE(free == c->supply.free, "free bytes of all hosts do not add up:", free);
    for (uint32_t i = 2; i <= c->deadlines.used; i++)
        REQUIRE(c->deadlines.items[i / 2]->at <= c->deadlines.items[i]->at, "deadlines are out of order:", i);
    return STATUS_OK;
}

int core_check(const core *c, char *why, size_t why_size)
{
    int status = STATUS_OK;
    for (uint32_t i = 0; i < c->n_hosts && !status; i++)
        status = check_host(c, &c->hosts[i], why, why_size);
    list_each(a, &c->allocation_list, allocation, node)
    {
        if (status)
            return status;
        status = check_allocation(c, a, why, why_size);
    }
    list_each(k, &c->claim_list, claim, node)
    {
        if (status)
            return status;
        status = check_claim(c, k, why, why_size);
    }
    if (!status)
        status = check_sessions(c, why, why_size);
    if (!status)
        status = check_users(c, why, why_size);
    return status ? status : check_totals(c, why, why_size);
}
