/*
 * place.c - the placement ladder and the host filter.
 */
#include "core/place.h"

#include <string.h>

#include "core/ledger.h"
#include "core/user.h"

/* ---- filter ---- */

bool place_filter_valid(const char *filter)
{
    if (filter[0] == 0)
        return true;
    size_t in_token = 0;
    for (const char *p = filter;; p++) {
        if (*p == ',' || *p == 0) {
            if (in_token == 0)
                return false;
            in_token = 0;
            if (*p == 0)
                return true;
        } else if (*p == '!' && (p == filter || p[-1] == ',')) {
            continue;
        } else if (*p <= ' ' || *p == '!' || *p == 127) {
            return false;
        } else {
            in_token++;
        }
    }
}

static size_t token_length(const char *p)
{
    size_t n = 0;
    while (p[n] && p[n] != ',')
        n++;
    return n;
}

static bool has_label(const char *labels, const char *token, size_t length)
{
    while (*labels) {
        size_t n = token_length(labels);
        if (n == length && memcmp(labels, token, n) == 0)
            return true;
        labels += n;
        labels += *labels == ',';
    }
    return false;
}

static bool is_name(const host *h, const char *token, size_t length)
{
    return strlen(h->name) == length && memcmp(h->name, token, length) == 0;
}

bool place_accepts(const char *filter, const host *h)
{
    bool any = false, named = false, labelled = true;
    for (const char *p = filter; *p;) {
        size_t n = token_length(p);
        if (*p == '!') {
            if (is_name(h, p + 1, n - 1) || has_label(h->labels, p + 1, n - 1))
                return false;
        } else {
            any = true;
            named |= is_name(h, p, n);
            labelled &= has_label(h->labels, p, n);
        }
        p += n;
        p += *p == ',';
    }
    return !any || named || labelled;
}

/* ---- ladder ---- */

/* Rules 3 to 6 as one number, lower is better; no two classes are equal. */
static uint32_t class_cost(uint32_t flags, uint32_t class)
{
    bool home = class & CLASS_HOME, permanent = class & CLASS_PERMANENT, cores = class & CLASS_CORES;
    uint32_t cost = home ? 1 : 0;
    if (flags & TERM_CORE_DEPENDENT ? !cores : cores)
        cost += 2;
    if (flags & TERM_LONG_RUNNING ? !permanent : permanent)
        cost += 4;
    if ((flags & TERM_LONG_RUNNING) && home)
        cost += 8;
    return cost;
}

/* The best class not in `done` with a piece of at least `bytes`; CLASSES when there is none. */
static uint32_t next_class(const core *c, uint32_t flags, uint32_t done, bytes_t bytes)
{
    uint32_t best = CLASSES, best_cost = UINT32_MAX;
    for (uint32_t i = 0; i < CLASSES; i++) {
        if ((done & 1u << i) || tourney_max(&c->by_free[i]) < bytes)
            continue;
        uint32_t cost = class_cost(flags, i);
        if (cost < best_cost) {
            best = i;
            best_cost = cost;
        }
    }
    return best;
}

/* The first host by the ladder with at least `bytes`, or NULL. */
static host *first_host(const core *c, const allocation_terms *t, bytes_t bytes)
{
    for (uint32_t done = 0, k; (k = next_class(c, t->flags, done, bytes)) != CLASSES; done |= 1u << k)
        for (uint32_t i = tourney_first(&c->by_free[k], 0, bytes); i != TOURNEY_NONE;
             i = tourney_first(&c->by_free[k], i + 1, bytes))
            if (place_accepts(t->filter, &c->hosts[i]))
                return &c->hosts[i];
    return NULL;
}

/* Rule 7: the host with most room among those with at least `bytes`, or NULL. */
static host *roomiest_host(const core *c, const allocation_terms *t, bytes_t bytes)
{
    host *best = NULL;
    if (t->filter[0] == 0) {
        bytes_t most = ledger_largest(c);
        return most >= bytes ? first_host(c, t, most) : NULL;
    }
    for (uint32_t done = 0, k; (k = next_class(c, t->flags, done, bytes)) != CLASSES; done |= 1u << k)
        for (uint32_t i = tourney_first(&c->by_free[k], 0, bytes); i != TOURNEY_NONE;
             i = tourney_first(&c->by_free[k], i + 1, best && best->free >= bytes ? best->free + 1 : bytes))
            if (place_accepts(t->filter, &c->hosts[i]) && (!best || c->hosts[i].free > best->free))
                best = &c->hosts[i];
    return best;
}

static bool plan_one(core *c, const host *h, const allocation_terms *t, chunks_t need, chunks_t want)
{
    bytes_t fits = h && ledger_placeable(h) ? h->free / t->chunk_size : 0;
    if (fits < need || fits == 0)
        return need == 0;
    c->plan[c->n_plan++] = (extent){h->id, fits < want ? (chunks_t)fits : want};
    return true;
}

static bool plan_spread(core *c, const allocation_terms *t, chunks_t need, chunks_t want)
{
    chunks_t left = want;
    for (uint32_t done = 0, k; left && (k = next_class(c, t->flags, done, t->chunk_size)) != CLASSES; done |= 1u << k) {
        for (uint32_t from = 0, i; left && (i = tourney_first(&c->by_free[k], from, t->chunk_size)) != TOURNEY_NONE;
             from = i + 1) {
            const host *h = &c->hosts[i];
            if (!place_accepts(t->filter, h))
                continue;
            if (c->n_plan == EXTENTS_MAX)
                return want - left >= need;
            bytes_t fits = h->free / t->chunk_size;
            chunks_t n = fits < left ? (chunks_t)fits : left;
            c->plan[c->n_plan++] = (extent){h->id, n};
            left -= n;
        }
    }
    return want - left >= need;
}

bool place_chunks(core *c, const allocation_terms *t, chunks_t need, chunks_t want, const host *only)
{
    c->n_plan = 0;
    if (want == 0)
        return need == 0;
    if (only) /* its settings may have changed */
        return place_accepts(t->filter, only) && plan_one(c, only, t, need, want);
    if (t->flags & (TERM_ONE_HOST | TERM_CONTIGUOUS)) {
        const host *h = first_host(c, t, t->chunk_size * want);
        if (h)
            return plan_one(c, h, t, want, want);
    }
    if (t->flags & TERM_ONE_HOST) {
        if (need == want)
            return false;
        return plan_one(c, roomiest_host(c, t, t->chunk_size * (need ? need : 1)), t, need, want);
    }
    return plan_spread(c, t, need, want);
}

bool place_find(core *c, const allocation_terms *t, const user *u)
{
    chunks_t need = terms_need(t), want = t->want;
    uint64_t room = user_room(u) / t->chunk_size;
    c->n_plan = 0;
    if (room < need)
        return false;
    if (room < want)
        want = (chunks_t)room;
    return place_chunks(c, t, need, want, NULL);
}

uint64_t place_most(const core *c, const allocation_terms *t, uint64_t upto)
{
    if (t->flags & TERM_ONE_HOST)
        return place_largest(c, t) / t->chunk_size;
    uint64_t most = 0;
    for (uint32_t i = tourney_first(&c->by_hope, 0, t->chunk_size); i != TOURNEY_NONE && most < upto;
         i = tourney_first(&c->by_hope, i + 1, t->chunk_size))
        if (place_accepts(t->filter, &c->hosts[i]))
            most += tourney_get(&c->by_hope, i) / t->chunk_size;
    return most;
}

bytes_t place_free(const core *c, const allocation_terms *t)
{
    const host *h = roomiest_host(c, t, 1);
    return h ? h->free : 0;
}

wait_reason place_idle(const core *c, const allocation_terms *t)
{
    wait_reason reason = WAIT_NO_HOST;
    for (uint32_t i = 0; i < c->n_hosts; i++) {
        const host *h = &c->hosts[i];
        if (!place_accepts(t->filter, h))
            continue;
        if (ledger_placeable(h))
            return 0;
        if (h->connected && !h->draining)
            reason = WAIT_FRESH;
    }
    return reason;
}

bytes_t place_largest(const core *c, const allocation_terms *t)
{
    if (t->filter[0] == 0)
        return tourney_max(&c->by_hope);
    bytes_t most = 0;
    for (uint32_t i = tourney_first(&c->by_hope, 0, 1); i != TOURNEY_NONE;
         i = tourney_first(&c->by_hope, i + 1, most + 1))
        if (place_accepts(t->filter, &c->hosts[i]))
            most = tourney_get(&c->by_hope, i);
    return most;
}
