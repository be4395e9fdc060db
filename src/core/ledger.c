/*
 * ledger.c - column arithmetic and the index behind it.
 */
#include "core/ledger.h"

#include <assert.h>

#include "core/supply.h"
#include "core/trouble.h"

/* Hosts with this many cores are spared for requests that use them. */
#define MANY_CORES 32u

/* A fall of foreign memory counts by an eighth of the difference with each sample. */
#define FALL_DIVISOR 8u

static bytes_t *column_of(host *h, column col)
{
    switch (col) {
    case COLUMN_GRANTED:
        return &h->granted;
    case COLUMN_RETURNING:
        return &h->returning;
    case COLUMN_HELD:
        return &h->held;
    case COLUMN_QUARANTINE:
        return &h->quarantine;
    }
    assert(!"an unknown column");
}

bool ledger_placeable(const host *h)
{
    return h->connected && h->ready && h->fresh && !h->draining;
}

/* 5 % of total, at least 512 MiB, at most a quarter. */
static bytes_t default_set_aside(bytes_t total)
{
    bytes_t part = total / 20;
    if (part < MIB(512))
        part = MIB(512);
    return part > total / 4 ? total / 4 : part;
}

static bytes_t set_aside_of(const host *h, bytes_t total)
{
    bytes_t aside = h->config_set_aside == UINT64_MAX ? default_set_aside(total) : h->config_set_aside;
    return aside < total ? aside : total;
}

bytes_t ledger_potential(const host *h)
{
    return h->total > h->set_aside ? h->total - h->set_aside : 0;
}

bytes_t ledger_hope(const host *h)
{
    if (!h->untold)
        return ledger_potential(h);
    return h->config_total ? h->config_total - set_aside_of(h, h->config_total) : INT64_MAX;
}

bytes_t ledger_lacks(const host *h)
{
    return h->overdraft > h->recalled ? h->overdraft - h->recalled : 0;
}

static void count(core *c, host *h)
{
    bytes_t sold, spent, before = tourney_get(&c->by_free[h->class], h->id.v), overdraft = h->overdraft;
    bool over = __builtin_add_overflow(h->granted, h->returning, &sold);
    over |= __builtin_add_overflow(sold, h->held, &sold);
    over |= __builtin_add_overflow(sold, h->quarantine, &sold);
    over |= __builtin_add_overflow(h->set_aside, h->foreign, &spent);
    over |= __builtin_add_overflow(spent, sold, &spent);
    assert(!over);
    h->free = h->total > spent ? h->total - spent : 0;
    h->overdraft = spent > h->total ? spent - h->total : 0;
    if (h->overdraft != overdraft && !c->supply.hushed)
        trouble_mark(c, h);
    if (h->overdraft < overdraft && !c->supply.hushed) { /* what is asked back there is for others again */
        c->supply_sequence++;
        c->freed = true;
    }
    bytes_t now = ledger_placeable(h) ? h->free : 0;
    if (now == before)
        return;
    tourney_set(&c->by_free[h->class], h->id.v, now);
    c->supply.free = c->supply.free - before + now;
    if (now > before)
        supply_rose(c, h);
}

void ledger_add(core *c, host *h, column col, bytes_t bytes)
{
    bytes_t *p = column_of(h, col);
    bool over = __builtin_add_overflow(*p, bytes, p);
    assert(!over);
    count(c, h);
}

void ledger_sub(core *c, host *h, column col, bytes_t bytes)
{
    bytes_t *p = column_of(h, col);
    assert(*p >= bytes);
    *p -= bytes;
    count(c, h);
}

void ledger_move(core *c, host *h, column from, column to, bytes_t bytes)
{
    bytes_t *p = column_of(h, from);
    assert(*p >= bytes);
    *p -= bytes;
    ledger_add(c, h, to, bytes);
}

void ledger_classify(core *c, host *h)
{
    uint8_t class =
        (h->home ? CLASS_HOME : 0) | (h->permanent ? CLASS_PERMANENT : 0) | (h->cores >= MANY_CORES ? CLASS_CORES : 0);
    if (class == h->class)
        return;
    c->supply.free -= tourney_get(&c->by_free[h->class], h->id.v);
    tourney_set(&c->by_free[h->class], h->id.v, 0);
    h->class = class;
    count(c, h);
}

void ledger_refresh(core *c, host *h)
{
    bytes_t total = h->told_total;
    if (h->config_total != 0 && h->config_total < total)
        total = h->config_total;
    h->total = total;
    h->set_aside = set_aside_of(h, total);
    /* What the owner keeps, and memory outside the configured total, covers foreign memory first. */
    bytes_t cover = h->set_aside + (h->physical > total ? h->physical - total : 0);
    h->foreign = h->smooth > cover ? h->smooth - cover : 0;
    bytes_t hope = ledger_hope(h);
    c->doubt |= hope < tourney_get(&c->by_hope, h->id.v);
    tourney_set(&c->by_hope, h->id.v, hope);
    count(c, h);
}

void ledger_sample(core *c, host *h, bytes_t raw)
{
    if (!h->fresh) {
        h->smooth = raw;
    } else if (raw > h->smooth) {
        bytes_t both = raw < h->last_raw ? raw : h->last_raw;
        if (both > h->smooth)
            h->smooth = both;
    } else {
        h->smooth -= (h->smooth - raw + FALL_DIVISOR - 1) / FALL_DIVISOR;
    }
    h->last_raw = raw;
    if (!h->fresh) {
        supply_rose(c, h); /* with nothing free, too: what is leased there may be asked back from now on */
        trouble_mark(c, h);
    }
    h->fresh = true;
    ledger_refresh(c, h);
}

bytes_t ledger_largest(const core *c)
{
    bytes_t most = 0;
    for (int i = 0; i < CLASSES; i++)
        if (tourney_max(&c->by_free[i]) > most)
            most = tourney_max(&c->by_free[i]);
    return most;
}
