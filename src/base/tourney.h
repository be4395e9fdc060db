/*
 * tourney.h - a tournament tree: an array of amounts with its maxima above it.
 *
 * Answers "the first index, from here on, with at least x" and "the largest" in one walk, in ties the
 * lowest index. A node has 16 children, so that a million leaves are five levels, each one or two cache
 * lines. An update stops where the maximum does not change. Not thread-safe.
 */
#ifndef GRANARY_BASE_TOURNEY_H
#define GRANARY_BASE_TOURNEY_H

#include "base/arena.h"

#define TOURNEY_FAN    16u
#define TOURNEY_LEVELS 8u
#define TOURNEY_NONE   UINT32_MAX

typedef struct {
    uint64_t *level[TOURNEY_LEVELS]; /* [0] = the leaves; the last has one node */
    uint32_t levels;
    uint32_t leaves;
} tourney;

/* All amounts 0. */
void tourney_init(tourney *t, arena *a, uint32_t leaves);

void tourney_set(tourney *t, uint32_t index, uint64_t amount);

static inline uint64_t tourney_get(const tourney *t, uint32_t index)
{
    return t->level[0][index];
}

/* The largest amount; 0 when all are 0. */
static inline uint64_t tourney_max(const tourney *t)
{
    return t->level[t->levels - 1][0];
}

/* The first index >= from with at least `amount` (> 0), or TOURNEY_NONE. */
uint32_t tourney_first(const tourney *t, uint32_t from, uint64_t amount);

#endif
