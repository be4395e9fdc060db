/*
 * pool_recall.c - what the broker wants back from a pool: choosing, giving, estimating, offering.
 *
 * Which chunks answer a recall:
 *   1. only chunks on a host that it accepts;
 *   2. when the broker preferred hosts and the recall is not overdue: chunks there, and elsewhere only as many as those
 *      hosts cannot give;
 *   3. idle chunks before busy ones, and busy ones when their task ends;
 *   4. among hosts: preferred ones, then where fewest chunks are held (so that hosts are left whole), then the lowest
 * number.
 */
#include "client/pool_recall.h"

#include <assert.h>
#include <string.h>

#include "base/status.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t recall_open(const pool_recall *r)
{
    return r->asked > r->given ? r->asked - r->given : 0;
}

static pool_recall *recall_find(pool_state *p, uint64_t id)
{
    for (size_t i = 0; i < p->n_recalls; i++)
        if (p->recalls[i].id == id)
            return &p->recalls[i];
    return NULL;
}

static void recall_remove(pool_state *p, pool_recall *r)
{
    size_t i = (size_t)(r - p->recalls);
    memmove(r, r + 1, (p->n_recalls - i - 1) * sizeof *r); /* oldest first, always */
    p->n_recalls--;
}

static void recall_finish(pool_state *p, pool_recall *r)
{
    p->finished[p->n_finished++ % POOL_FINISHED] = r->id;
    recall_remove(p, r);
}

static bool recall_finished(const pool_state *p, uint64_t id)
{
    for (size_t i = 0; i < POOL_FINISHED && i < p->n_finished; i++)
        if (p->finished[i] == id)
            return true;
    return false;
}

uint32_t pool_state_wanted_back(const pool_state *p)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < p->n_recalls; i++)
        sum += recall_open(&p->recalls[i]);
    return sum;
}

/* Chunks above the program's own wish, besides those that recalls take. */
static uint32_t surplus(const pool_state *p)
{
    uint64_t keep = (uint64_t)p->want + pool_state_wanted_back(p);
    uint32_t held = pool_state_held(p);
    return p->live && held > keep ? held - (uint32_t)keep : 0;
}

static uint32_t preferred_on(const pool_recall *r, uint32_t host)
{
    for (uint32_t i = 0; i < r->n_prefers; i++)
        if (r->prefers[i].host == host)
            return r->prefers[i].chunks;
    return 0;
}

/* How many chunks on this host the recall takes, as soon as they are idle. Rules 1 and 2. */
static uint32_t recall_takes(const pool_state *p, const pool_recall *r, uint32_t host)
{
    uint32_t open = recall_open(r), elsewhere = 0;
    if (!r->any_host && r->host != host)
        return 0;
    if (r->n_prefers == 0 || r->overdue_at == 0)
        return open;
    for (uint32_t i = 0; i < r->n_prefers; i++) {
        const pool_host *h = pool_host_find(p, r->prefers[i].host);
        if (h && r->prefers[i].host != host && (r->any_host || r->host == h->host))
            elsewhere += least(r->prefers[i].chunks, pool_host_held(h));
    }
    uint32_t uncovered = open > elsewhere ? open - elsewhere : 0;
    uint32_t preferred = least(preferred_on(r, host), open);
    return preferred > uncovered ? preferred : uncovered;
}

bool pool_host_wanted(const pool_state *p, uint32_t host)
{
    for (size_t i = 0; i < p->n_recalls; i++)
        if (recall_takes(p, &p->recalls[i], host) > 0)
            return true;
    return surplus(p) > 0;
}

/* ---- giving ---- */

static bool is_idle_slot(const pool_slot *s, uint32_t host)
{
    return s->host == host && (s->state == POOL_SLOT_WARM || s->state == POOL_SLOT_EMPTYING);
}

static uint32_t closing_on(const pool_state *p, uint32_t host)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].state == POOL_SLOT_CLOSING && p->slots[i].host == host)
            sum += p->slots[i].chunks;
    return sum;
}

/* Takes `n` chunks out of slots whose claims are closing: they are the broker's now. */
static void closing_take(pool_state *p, uint32_t host, uint32_t n)
{
    for (size_t i = 0; i < p->n_slots && n > 0;) {
        pool_slot *s = &p->slots[i];
        if (s->state != POOL_SLOT_CLOSING || s->host != host) {
            i++;
            continue;
        }
        uint32_t part = least(s->chunks, n);
        n -= part;
        s->chunks -= part;
        if (s->chunks == 0)
            pool_slot_remove(p, s); /* the next one is here now */
        else
            i++;
    }
}

/* Gives up to `n` idle chunks of the host. Claims are closed first, so that no claim stands for chunks that are gone.
 */
static uint32_t give(pool_state *p, pool_host *h, uint64_t recall, uint32_t n, pool_out out)
{
    n = least(n, pool_host_idle(p, h));
    for (size_t i = 0; i < p->n_slots; i++) {
        if (pool_host_plain(p, h) + closing_on(p, h->host) >= n)
            break;
        if (is_idle_slot(&p->slots[i], h->host) && !pool_slot_close(&p->slots[i], out))
            break;
    }
    uint32_t plain = pool_host_plain(p, h);
    n = least(n, plain + closing_on(p, h->host));
    pool_message m = {.kind = POOL_RELEASE, .recall = recall, .host = h->host, .chunks = n};
    if (n == 0 || !out.put(out.userdata, &m))
        return 0;
    if (n > plain)
        closing_take(p, h->host, n - plain);
    h->leaving += n;
    return n;
}

/* The host that gives next. Rule 4. */
static pool_host *giver(pool_state *p, const pool_recall *r)
{
    pool_host *best = NULL;
    for (size_t i = 0; i < p->n_hosts; i++) {
        pool_host *h = &p->hosts[i];
        if (pool_host_idle(p, h) == 0 || (r && recall_takes(p, r, h->host) == 0))
            continue;
        bool preferred = r && preferred_on(r, h->host) > 0;
        bool best_preferred = best && r && preferred_on(r, best->host) > 0;
        if (!best || (preferred && !best_preferred))
            best = h;
        else if (preferred == best_preferred && (pool_host_held(h) < pool_host_held(best) ||
                                                 (pool_host_held(h) == pool_host_held(best) && h->host < best->host)))
            best = h;
    }
    return best;
}

static void recall_give(pool_state *p, pool_recall *r, pool_out out)
{
    pool_host *h;
    while ((h = giver(p, r))) {
        uint32_t n = give(p, h, r->id, recall_takes(p, r, h->host), out);
        if (n == 0)
            return; /* not taken now: the next step tries again */
        r->given += n;
        r->leaving += n;
        for (uint32_t i = 0; i < r->n_prefers; i++)
            if (r->prefers[i].host == h->host)
                r->prefers[i].chunks -= least(r->prefers[i].chunks, n);
    }
}

static void surplus_give(pool_state *p, pool_out out)
{
    pool_host *h;
    while (surplus(p) > 0 && (h = giver(p, NULL))) {
        uint32_t n = give(p, h, 0, surplus(p), out);
        if (n == 0)
            return;
        p->own_leaving += n;
    }
}

/* A release by own wish lowers the broker's want by itself; a want that is raised, or not yet held, has to be told. */
static void want_tell(pool_state *p, pool_out out)
{
    uint32_t held = pool_state_held(p);
    uint32_t due = p->want > held ? p->want : held;
    if (p->want >= p->broker_want)
        due = p->want;
    else if (due > p->broker_want)
        due = p->broker_want;
    pool_message m = {.kind = POOL_WANT, .chunks = due};
    for (size_t i = 0; i < p->n_hosts; i++)
        if (p->hosts[i].leaving > 0)
            return; /* until it is answered, what is held may be counted too low */
    if (p->want_asked || due == p->broker_want)
        return;
    p->want_asked = out.put(out.userdata, &m);
}

static void offer_again(pool_state *p, ms_t now, pool_out out);

void pool_state_step(pool_state *p, ms_t now, pool_out out)
{
    if (!p->live)
        return;
    for (size_t i = 0; i < p->n_recalls; i++) {
        if (now >= p->recalls[i].overdue_at)
            p->recalls[i].overdue_at = 0; /* late: any chunk will do */
        recall_give(p, &p->recalls[i], out);
    }
    surplus_give(p, out);
    want_tell(p, out);
    offer_again(p, now, out);
}

ms_t pool_state_deadline(const pool_state *p)
{
    return p->live && pool_state_wanted_back(p) > 0 ? p->offer_at : MS_NEVER;
}

void pool_state_released(pool_state *p, uint64_t recall, uint32_t host, uint32_t chunks, bool ok)
{
    pool_host *h = pool_host_find(p, host);
    pool_recall *r = recall ? recall_find(p, recall) : NULL;
    if (h)
        h->leaving -= least(h->leaving, chunks);
    if (ok && recall)
        p->given_back += chunks;
    if (r) {
        r->leaving -= least(r->leaving, chunks);
        if (!ok)
            recall_remove(p, r);
        else if (recall_open(r) == 0 && r->leaving == 0)
            recall_finish(p, r);
    }
    if (!recall) {
        p->own_leaving -= least(p->own_leaving, chunks);
        if (!ok && p->want < pool_state_held(p))
            p->want = pool_state_held(p); /* it does not take them: keep them rather than ask for ever */
    }
}

void pool_state_want_done(pool_state *p, bool ok)
{
    p->want_asked = false;
    if (!ok)
        p->want = p->broker_want;
}

/* ---- offering ---- */

/* Ended tasks' durations, ascending. */
static size_t durations_sorted(const pool_state *p, ms_t to[POOL_DURATIONS])
{
    size_t n = p->n_durations < POOL_DURATIONS ? p->n_durations : POOL_DURATIONS;
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && to[at - 1] > p->durations[i]; at--)
            to[at] = to[at - 1];
        to[at] = p->durations[i];
    }
    return n;
}

/* When a busy slot's task will end: as told, else the median of what longer tasks had left at this age, else unknown.
 */
static ms_t remaining(const pool_slot *s, ms_t now, const ms_t *sorted, size_t n)
{
    ms_t age = now > s->since ? now - s->since : 0;
    size_t longer = 0;
    if (s->end != MS_NEVER && s->end > now)
        return s->end - now;
    while (longer < n && sorted[longer] <= age)
        longer++;
    if (longer == n)
        return MS_NEVER;
    return sorted[longer + (n - longer - 1) / 2] - age;
}

typedef struct {
    pool_offer_item items[POOL_OFFER_MAX];
    uint32_t n, most;
} offer;

/* Keeps the soonest `most`, in order. */
static void offer_add(offer *o, uint32_t host, ms_t free_in)
{
    uint32_t at = o->n;
    if (o->n == o->most && (o->n == 0 || o->items[o->n - 1].free_in <= free_in))
        return;
    if (o->n == o->most)
        at--;
    else
        o->n++;
    for (; at > 0 && o->items[at - 1].free_in > free_in; at--)
        o->items[at] = o->items[at - 1];
    o->items[at] = (pool_offer_item){.host = host, .free_in = free_in};
}

/* When the first estimate of the offer has turned out wrong, unless its task ended. */
static ms_t outdated_at(const offer *o, ms_t now)
{
    ms_t at = MS_NEVER;
    for (uint32_t i = 0; i < o->n && at == MS_NEVER; i++)
        if (o->items[i].free_in != 0 && o->items[i].free_in < MS_NEVER - 1 - now)
            at = now + o->items[i].free_in + 1;
    return at != MS_NEVER && at < now + POOL_OFFER_MS ? now + POOL_OFFER_MS : at;
}

/* Offers what could go besides what is promised already: idle chunks and the ends of tasks, on `host` or any. */
static void offer_make(pool_state *p, ms_t now, uint64_t recall, uint32_t most, bool any_host, uint32_t host,
                       pool_out out)
{
    ms_t sorted[POOL_DURATIONS];
    size_t n = durations_sorted(p, sorted);
    offer o = {.most = least(most, POOL_OFFER_MAX)};
    for (size_t i = 0; i < p->n_hosts; i++) {
        const pool_host *h = &p->hosts[i];
        if (any_host || h->host == host)
            for (uint32_t k = least(pool_host_idle(p, h), o.most); k > 0; k--)
                offer_add(&o, h->host, 0);
    }
    for (size_t i = 0; i < p->n_slots; i++) {
        const pool_slot *s = &p->slots[i];
        if (s->state == POOL_SLOT_BUSY && (any_host || s->host == host))
            for (uint32_t k = least(s->chunks, o.most); k > 0; k--)
                offer_add(&o, s->host, remaining(s, now, sorted, n));
    }
    pool_message m = {.kind = POOL_OFFER, .recall = recall, .items = o.items, .n_items = o.n};
    out.put(out.userdata, &m); /* soft: when it is lost, the broker chooses without */
    p->offer_at = outdated_at(&o, now);
}

/* Chunks above the firm ones that no recall has been promised. */
static uint32_t could_go(const pool_state *p)
{
    uint64_t stays = (uint64_t)p->min + pool_state_wanted_back(p);
    uint32_t held = pool_state_held(p);
    return held > stays ? held - (uint32_t)stays : 0;
}

/* Says again what is promised and what else could go, as it looks now. */
static void offer_again(pool_state *p, ms_t now, pool_out out)
{
    uint32_t open = pool_state_wanted_back(p);
    if (open > 0 && now >= p->offer_at)
        offer_make(p, now, 0, could_go(p) + open, true, 0, out);
}

void pool_state_ask(pool_state *p, ms_t now, bool any_host, uint32_t host, pool_out out)
{
    offer_make(p, now, 0, could_go(p), any_host, host, out);
}

void pool_state_recall(pool_state *p, ms_t now, const pool_recall *recall, pool_out out)
{
    if (recall->asked == 0 || recall_find(p, recall->id) || recall_finished(p, recall->id) ||
        p->n_recalls == POOL_RECALLS)
        return;
    p->recalls[p->n_recalls] = *recall;
    p->recalls_seen++;
    p->n_recalls++;
    ms_t offer_at = p->offer_at;
    p->offer_at = MS_NEVER; /* not in this step: an offer follows */
    pool_state_step(p, now, out);
    p->offer_at = offer_at;
    const pool_recall *r = recall_find(p, recall->id);
    if (r && recall_open(r) > 0)
        offer_make(p, now, r->id, could_go(p) + recall_open(r), r->any_host, r->host, out);
}

void pool_state_prefer(pool_state *p, uint64_t recall, uint32_t host, uint32_t chunks)
{
    pool_recall *r = recall_find(p, recall);
    if (!r)
        return;
    for (uint32_t i = 0; i < r->n_prefers; i++) {
        if (r->prefers[i].host != host)
            continue;
        r->prefers[i].chunks = chunks; /* the later word holds */
        return;
    }
    if (r->n_prefers == POOL_PREFERS)
        return;
    r->prefers[r->n_prefers].host = host;
    r->prefers[r->n_prefers].chunks = chunks;
    r->n_prefers++;
}

void pool_state_withdraw(pool_state *p, uint64_t recall)
{
    pool_recall *r = recall_find(p, recall);
    if (r)
        recall_finish(p, r);
}

/* ---- after a reattach ---- */

static bool listed(const uint64_t *claims, size_t n, uint64_t claim)
{
    for (size_t i = 0; i < n; i++)
        if (claims[i] == claim)
            return true;
    return false;
}

void pool_state_reattach(pool_state *p, const pool_recall *recalls, size_t n_recalls, const uint64_t *claims,
                         size_t n_claims)
{
    for (size_t i = p->n_recalls; i-- > 0;) {
        const pool_recall *same = NULL;
        for (size_t j = 0; j < n_recalls; j++)
            if (recalls[j].id == p->recalls[i].id)
                same = &recalls[j];
        if (!same) {
            recall_finish(p, &p->recalls[i]);
            continue;
        }
        /* Our unanswered releases stand, also where the recall is over by now. */
        pool_recall *r = &p->recalls[i];
        r->asked = same->asked > r->leaving ? same->asked : r->leaving;
        r->given = r->leaving;
    }
    for (size_t j = 0; j < n_recalls && p->n_recalls < POOL_RECALLS; j++) {
        if (recalls[j].asked == 0 || recall_find(p, recalls[j].id))
            continue;
        p->recalls[p->n_recalls++] = recalls[j];
        p->recalls_seen++;
    }
    for (size_t i = p->n_slots; i-- > 0;) {
        uint64_t claim = p->slots[i].claim;
        if (claim != 0 && !listed(claims, n_claims, claim))
            pool_state_claim_ended(p, claim, 0, 0);
    }
}

bool pool_recalls_check(const pool_state *p)
{
    uint64_t own = p->own_leaving, leaving = 0, by_hosts = 0;
    for (size_t i = 0; i < p->n_recalls; i++) {
        const pool_recall *r = &p->recalls[i];
        if (r->given < r->leaving || r->asked < r->given || r->n_prefers > POOL_PREFERS)
            return false;
        leaving += r->leaving;
    }
    for (size_t i = 0; i < p->n_hosts; i++)
        by_hosts += p->hosts[i].leaving;
    return own + leaving <= by_hosts; /* more: of recalls that were withdrawn meanwhile */
}
