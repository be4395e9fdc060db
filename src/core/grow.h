/*
 * grow.h - free memory for growable allocations, and fairness between them.
 *
 * Max-min: the user with the smallest share (bytes held by weight) grows first, of its allocations the one with fewest
 * bytes, then the lowest id; a chunk at a time. Who gave chunks for a request does not grow again until
 * that request is granted, withdrawn or ended.
 */
#ifndef GRANARY_CORE_GROW_H
#define GRANARY_CORE_GROW_H

#include "core/books.h"

/* False: stopped for lack of room. */
bool grow_settle(core *c);
/* After growth: recalls for the one that is furthest below its share, from one that stays above its own after giving.
 */
void fairness_settle(core *c);
/* May it grow, or does what it gave away last still wait to be used? */
bool grow_allowed(core *c, allocation *a);

#endif
