/*
 * choose.c - the question before a recall, and the choice after it.
 *
 * A choice for one latest time T takes from each host only chunks that are free by T, fewest bytes first; the smallest
 * T that works is found by bisection.
 */
#include "core/choose.h"

#include "core/emit.h"
#include "core/holding.h"
#include "core/ledger.h"
#include "core/pick.h"
#include "core/place.h"
#include "core/recall.h"

/* A task's end further away than this is as good as unknown (2^36 ms are two years). */
#define HORIZON_BITS 36

/*
 * With so many waiters, or allocations to look at, one for whom a choice found nothing is not tried again at every
 * release, but after CROWD_MS.
 */
#define CROWD       16u
#define CROWD_GIVES 256u
#define CROWD_MS    100u

typedef struct {
    const allocation_terms *terms;
    allocation *waiter; /* NULL for a plan */
    chunks_t need;
} demand;

static chunks_t need_of(const allocation_terms *t)
{
    return terms_need(t) ? terms_need(t) : 1;
}

/* ---- the hosts that a choice looks at ---- */

/* Bytes for the demand on `h` without any recall: free, held for it, and returning in time for nobody else. */
static bytes_t at_hand(const demand *d, const host *h)
{
    bytes_t bytes = h->free;
    list_each(x, &h->holdings, holding, host_node)
    {
        if (d->waiter && x->allocation == d->waiter)
            bytes += x->reserved;
        if (x->returning && !x->late)
            bytes += chunk_bytes(x->allocation, holding_returning_for(x, (allocation_id){0}) +
                                                    (d->waiter ? holding_returning_for(x, d->waiter->id) : 0));
    }
    return bytes;
}

/* The same, less what the host lacks itself and has not asked back: that is covered first. */
static bytes_t usable(const demand *d, const host *h, bytes_t *ret_lacks)
{
    bytes_t have = at_hand(d, h), lacks = ledger_lacks(h);
    *ret_lacks = lacks > have ? lacks - have : 0;
    return have > lacks ? have - lacks : 0;
}

/* Bytes to ask back there for so many. */
static bytes_t missing_on(const demand *d, const host *h, bytes_t bytes)
{
    bytes_t lacks, have = usable(d, h, &lacks);
    return have < bytes ? bytes - have + lacks : 0;
}

/* Could it hold a part of the demand that is of use, at any time? Others must not take the place of such hosts. */
static bool serves(core *c, const demand *d, const host *h)
{
    const allocation_terms *t = d->terms;
    bytes_t least = t->chunk_size * (t->flags & TERM_ONE_HOST ? d->need : 1);
    if (!ledger_placeable(h) || !place_accepts(t->filter, h) || ledger_potential(h) < least)
        return false;
    bytes_t missing = missing_on(d, h, least);
    return missing == 0 || pick_cost(c, d->waiter, h, missing, MS_NEVER) > 0;
}

/* False: there is no room for one more. */
static bool consider(core *c, const demand *d, host *h)
{
    choice *ch = &c->choice;
    if (h->choice_looked == ch->looks)
        return true;
    h->choice_looked = ch->looks;
    if (!serves(c, d, h))
        return true;
    if (ch->n_hosts == CHOICE_HOSTS)
        return false;
    h->choice_seen = true;
    ch->hosts[ch->n_hosts++] = h;
    return true;
}

/* What comes without being asked for, first: the last chunk that somebody had on a host may be among it. */
static void gather_all(core *c, const demand *d)
{
    if (d->waiter)
        list_each(x, &d->waiter->holdings, holding, node) if (!consider(c, d, x->host)) return;
    list_each(x, &c->debts, holding, debt_node) if (!x->late && !consider(c, d, x->host)) return;
    list_each(a, &c->recallable, allocation, recallable_node)
    {
        if (recall_willing(a) == 0)
            continue;
        list_each(x, &a->holdings, holding, node) if (x->held && !consider(c, d, x->host)) return;
    }
}

static void gather(core *c, const demand *d)
{
    choice *ch = &c->choice;
    ch->n_hosts = 0;
    ch->looks++;
    gather_all(c, d);
    /* By id, so that ties end there. */
    for (uint32_t i = 1; i < ch->n_hosts; i++)
        for (uint32_t j = i; j > 0 && ch->hosts[j]->id.v < ch->hosts[j - 1]->id.v; j--) {
            host *t = ch->hosts[j];
            ch->hosts[j] = ch->hosts[j - 1];
            ch->hosts[j - 1] = t;
        }
}

static void scatter(core *c)
{
    for (uint32_t i = 0; i < c->choice.n_hosts; i++)
        c->choice.hosts[i]->choice_seen = false;
}

/* ---- the choice for one time ---- */

/* All on one host: picks the cheapest. */
static bool try_one(core *c, const demand *d, ms_t by)
{
    choice *ch = &c->choice;
    host *best = NULL;
    bytes_t best_cost = 0, whole = d->terms->chunk_size * d->need;
    for (uint32_t i = 0; i < ch->n_hosts; i++) {
        host *h = ch->hosts[i];
        bytes_t missing = missing_on(d, h, whole);
        if (missing == 0)
            return true; /* it comes by itself */
        bytes_t cost = pick_cost(c, d->waiter, h, missing, by);
        if (cost && (!best || cost < best_cost)) {
            best = h;
            best_cost = cost;
        }
    }
    return best && pick_on(c, d->waiter, best, missing_on(d, best, whole), by) > 0;
}

/* Chunks that come without any recall, on all hosts. */
static chunks_t unasked(core *c, const demand *d)
{
    uint64_t n = 0;
    bytes_t lacks;
    for (uint32_t i = 0; i < c->choice.n_hosts; i++)
        n += usable(d, c->choice.hosts[i], &lacks) / d->terms->chunk_size;
    if (place_chunks(c, d->terms, 0, d->need, NULL))
        for (uint32_t i = 0; i < c->n_plan; i++)
            if (!c->hosts[c->plan[i].host.v].choice_seen)
                n += c->plan[i].chunks;
    return n < d->need ? (chunks_t)n : d->need;
}

/* Bytes to ask back on the host for one chunk more; 0 = not possible. */
static bytes_t cost_on(core *c, const demand *d, const host *h, ms_t by)
{
    return pick_cost(c, d->waiter, h, h->choice_missing, by);
}

/* The host where one chunk more costs least. What was counted earlier is the least it can be: only the best is counted
 * again. */
static uint32_t cheapest_host(core *c, const demand *d, ms_t by)
{
    choice *ch = &c->choice;
    for (;;) {
        uint32_t best = ch->n_hosts;
        for (uint32_t i = 0; i < ch->n_hosts; i++)
            if (ch->costs[i] && (best == ch->n_hosts || ch->costs[i] < ch->costs[best]))
                best = i;
        if (best == ch->n_hosts)
            return best;
        bytes_t cost = cost_on(c, d, ch->hosts[best], by);
        if (cost == ch->costs[best])
            return best;
        ch->costs[best] = cost;
    }
}

/* Chunk by chunk, each where it costs fewest bytes more. */
static bool try_spread(core *c, const demand *d, ms_t by)
{
    choice *ch = &c->choice;
    bytes_t size = d->terms->chunk_size;
    for (uint32_t i = 0; i < ch->n_hosts; i++) {
        bytes_t lacks, have = usable(d, ch->hosts[i], &lacks);
        ch->hosts[i]->choice_missing = size - have % size + lacks;
        ch->costs[i] = cost_on(c, d, ch->hosts[i], by);
    }
    for (chunks_t n = unasked(c, d); n < d->need; n++) {
        uint32_t best = cheapest_host(c, d, by);
        if (best == ch->n_hosts)
            return false;
        host *h = ch->hosts[best];
        uint32_t mark = ch->n_picks;
        bytes_t cost = pick_on(c, d->waiter, h, h->choice_missing, by);
        pick_join(c, mark);
        h->choice_missing = size - (cost - h->choice_missing) % size;
        ch->costs[best] = cost_on(c, d, h, by);
    }
    return true;
}

static bool try_by(core *c, const demand *d, ms_t by)
{
    pick_undo_to(c, 0);
    if (d->terms->flags & (TERM_ONE_HOST | TERM_CONTIGUOUS)) {
        if (try_one(c, d, by))
            return true;
        pick_undo_to(c, 0);
    }
    return !(d->terms->flags & TERM_ONE_HOST) && try_spread(c, d, by);
}

/* The smallest time after now that works; something does. */
static ms_t soonest(core *c, const demand *d)
{
    ms_t low = c->now, high = c->now + (1ull << HORIZON_BITS);
    if (!try_by(c, d, high))
        return MS_NEVER;
    while (low + 1 < high) {
        ms_t middle = low + (high - low) / 2;
        if (try_by(c, d, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* The smallest time that works, with its picks made; false when nothing does. */
static bool solve(core *c, const demand *d, ms_t *ret_by)
{
    ms_t by = c->now;
    gather(c, d);
    bool any = c->choice.n_hosts > 0, works = any && try_by(c, d, by);
    if (any && !works && try_by(c, d, MS_NEVER)) {
        by = soonest(c, d);
        works = try_by(c, d, by);
    }
    if (works)
        *ret_by = by;
    else
        pick_undo_to(c, 0);
    scatter(c);
    return works;
}

/* ---- the question ---- */

static void ask(core *c, effect_push *p, allocation *donor, const allocation *waiter)
{
    p->count = recall_possible(donor);
    donor->asked_for = waiter->id;
    list_each(x, &donor->holdings, holding, node) holding_forget_offer(c, x); /* what was offered earlier is old */
}

static uint32_t ask_all(core *c, allocation *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->choice.n_picks; i++) {
        allocation *donor = c->choice.picks[i].from->allocation;
        if (donor->asked_for.v == a->id.v)
            continue;
        effect_push *p = emit_push(c, PUSH_ASK, donor);
        if (!p)
            continue; /* nobody listens */
        ask(c, p, donor, a);
        n++;
    }
    /* The others too, as far as there is room: their tasks may end sooner. */
    list_each(donor, &c->recallable, allocation, recallable_node)
    {
        if (n >= CHOICE_HOSTS)
            break;
        if (donor->asked_for.v == a->id.v || recall_willing(donor) == 0)
            continue;
        effect_push *p = emit_push(c, PUSH_ASK, donor);
        if (!p)
            continue;
        ask(c, p, donor, a);
        n++;
    }
    return n;
}

void choose_start(core *c, allocation *a)
{
    if (a->ask != ASK_NONE || list_empty(&c->recallable) || a->hopeless == c->supply_sequence ||
        a->n_for >= RECALLS_OPEN || recall_under_way(a))
        return;
    if (c->now < a->choose_at) { /* what became free since is looked at then */
        if (a->look.at > a->choose_at)
            heap_set(&c->deadlines, &a->look, a->choose_at);
        return;
    }
    demand d = {&a->terms, a, need_of(&a->terms)};
    ms_t by;
    if (!solve(c, &d, &by) || c->choice.n_picks == 0) {
        pick_undo_to(c, 0);
        a->hopeless = c->supply_sequence;
        a->choose_at = c->n_waiting > CROWD || c->allocations.used > CROWD_GIVES ? c->now + CROWD_MS : 0;
        return;
    }
    a->ask_left = ask_all(c, a);
    pick_undo_to(c, 0);
    a->ask = ASK_OPEN;
    if (a->ask_left == 0)
        choose_now(c, a);
    else
        heap_set(&c->deadlines, &a->look, c->now + c->timers.ask_ms);
}

/* ---- the choice ---- */

static void prefer(core *c, recall *r, const holding *x, chunks_t n)
{
    effect_push *p = x->offered ? emit_push(c, PUSH_PREFER, r->allocation) : NULL;
    if (!p)
        return;
    p->recall = r->r.id;
    p->preferred = (extent){x->host->id, n};
    p->last = true;
    r->preferred = n;
    for (const estimate *e = x->estimates; e; e = e->next)
        r->offered++;
    emit_note_of(c, NOTE_PREFERRED, r->allocation, x->host, n)->recall = r->r.id;
}

void choose_now(core *c, allocation *a)
{
    demand d = {&a->terms, a, need_of(&a->terms)};
    ms_t by;
    a->ask = ASK_NONE;
    if (a->state != ALLOCATION_WAITING || !solve(c, &d, &by) || c->choice.n_picks == 0) {
        pick_undo_to(c, 0);
        a->hopeless = c->supply_sequence;
        return;
    }
    a->target = c->choice.picks[0].from->host->id;
    choice *ch = &c->choice;
    uint32_t made = 0;
    for (uint32_t i = 0; i < ch->n_picks; i++) {
        holding *x = ch->picks[i].from;
        chunks_t n = ch->picks[i].n;
        pick_undo(c, i, n);
        if (n == 0 || emit_room(c) < ROOM_FOR_ONE)
            continue;
        recall *r = recall_create(c, x->allocation, RECALL_FOR_WAITER, a, x->host, n);
        if (!r)
            continue;
        prefer(c, r, x, n);
        made++;
    }
    ch->n_picks = 0;
    if (made == 0) { /* no recall can be made now */
        a->hopeless = c->supply_sequence;
        a->choose_at = c->now + CROWD_MS;
    }
}

bool choose_solve(core *c, const allocation_terms *t, ms_t *ret_by)
{
    demand d = {t, NULL, need_of(t)};
    return solve(c, &d, ret_by);
}

void choose_forget(core *c)
{
    pick_undo_to(c, 0);
}
