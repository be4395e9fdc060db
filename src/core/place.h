/*
 * place.h - where chunks go.
 *
 * The ladder. Each rule orders what the rules before it left equal; the last one leaves nothing equal.
 *   1. The host takes part: connected, reconciled, fresh sample, not draining, accepted by the filter.
 *   2. ONE_HOST, and CONTIGUOUS where any host can: all chunks on one host.
 *   3. LONG_RUNNING: hosts not marked home before those marked so.
 *   4. LONG_RUNNING: permanent hosts first; without it they are spared.
 *   5. CORE_DEPENDENT: hosts with many cores first; without it they are spared.
 *   6. Not marked home before home.
 *   7. For one host that cannot take all that is wanted: the one with most room.
 *   8. The lowest host id that has room; low numbers fill up, whole hosts stay at the end of the row.
 *
 * Filter grammar: tokens separated by commas; a token is a word without blanks. "!x" excludes hosts whose name or a
 * label is x. Without other tokens every other host is accepted; else a host is accepted when its name is
 * one of them, or when all of them are labels of it ("gpu,rack=7").
 */
#ifndef GRANARY_CORE_PLACE_H
#define GRANARY_CORE_PLACE_H

#include "core/books.h"

bool place_filter_valid(const char *filter);
bool place_accepts(const char *filter, const host *h);

/* Can the request be granted now? Then c->plan holds where (nothing, for a growable with min 0). */
bool place_find(core *c, const allocation_terms *t, const user *u);

/* `need` to `want` chunks into c->plan, on `only` if not NULL. False: not even `need`; the plan is then void. */
bool place_chunks(core *c, const allocation_terms *t, chunks_t need, chunks_t want, const host *only);

/* Chunks that all accepted hosts, empty, could ever take (ledger_hope()); counting of several hosts stops at `upto`. */
uint64_t place_most(const core *c, const allocation_terms *t, uint64_t upto);
/* The most bytes that are free on one accepted host that takes part. */
bytes_t place_free(const core *c, const allocation_terms *t);
/* None of the accepted hosts takes part: NO_HOST, or FRESH when one is about to. Else 0. */
wait_reason place_idle(const core *c, const allocation_terms *t);
/* Bytes of the largest accepted host. */
bytes_t place_largest(const core *c, const allocation_terms *t);

#endif
