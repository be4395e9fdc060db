/*
 * pool.h - a fixed number of objects of one size, taken and given back in constant time.
 *
 * The memory comes from an arena. Objects never move. Not thread-safe.
 */
#ifndef GRANARY_BASE_POOL_H
#define GRANARY_BASE_POOL_H

#include "base/arena.h"

typedef struct {
    uint8_t *items;
    void *free;  /* given back; each one's first word links to the next */
    size_t size; /* of one object, at least a pointer */
    uint32_t limit;
    uint32_t fresh; /* never taken from here on */
    uint32_t used;
} pool;

/* Reserves room. When the arena only measures (or is full) the pool must not be used. */
void pool_init(pool *p, arena *a, size_t size, uint32_t limit);

/* An object, its bytes cleared, or NULL when all are taken. */
void *pool_take(pool *p);

/* `item` came from pool_take() of the same pool and is not used any more. */
void pool_give(pool *p, void *item);

static inline uint32_t pool_left(const pool *p)
{
    return p->limit - p->used;
}

#endif
