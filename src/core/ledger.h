/*
 * ledger.h - the columns of a host, and the index of hosts by free bytes.
 *
 *   free + set_aside + foreign + granted + returning + held + quarantine - overdraft = total
 *
 * A host is in the index with its free bytes only while something may be placed there: connected, its books
 * reconciled, a fresh sample, not draining.
 */
#ifndef GRANARY_CORE_LEDGER_H
#define GRANARY_CORE_LEDGER_H

#include "core/books.h"

typedef enum { COLUMN_GRANTED, COLUMN_RETURNING, COLUMN_HELD, COLUMN_QUARANTINE } column;

/* Adds to a column and counts `free` anew. Overflow is an assert: the door checked the amounts. */
void ledger_add(core *c, host *h, column col, bytes_t bytes);
void ledger_sub(core *c, host *h, column col, bytes_t bytes);
void ledger_move(core *c, host *h, column from, column to, bytes_t bytes);

/* Total, set_aside or foreign changed, or what may be placed there: counts anew. */
void ledger_refresh(core *c, host *h);

/* Cores or settings changed. */
void ledger_classify(core *c, host *h);

bool ledger_placeable(const host *h);

/* What could ever be granted there: total without set_aside. */
bytes_t ledger_potential(const host *h);

/*
 * The same, but never below what its agent may yet tell: a host that is known by configuration only, or not heard of
 * since the broker started, is as large as its owner allows, until it is lost.
 */
bytes_t ledger_hope(const host *h);

/* Of its overdraft, what is not asked back yet: whatever is given there covers that first. */
bytes_t ledger_lacks(const host *h);

/* A sample of foreign memory, smoothed: a rise counts after two samples, a fall slowly. */
void ledger_sample(core *c, host *h, bytes_t raw);

/* The largest free piece of any host. */
bytes_t ledger_largest(const core *c);

#endif
