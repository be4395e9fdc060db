/*
 * pool.c - objects of one size from an arena, with a free list through the objects themselves.
 */
#include "base/pool.h"

#include <assert.h>
#include <string.h>

void pool_init(pool *p, arena *a, size_t size, uint32_t limit)
{
    size_t rounded = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    *p = (pool){.size = rounded, .limit = limit};
    p->items = arena_take(a, limit, rounded);
}

void *pool_take(pool *p)
{
    void *item = p->free;
    if (item) {
        memcpy(&p->free, item, sizeof(void *));
    } else {
        if (p->fresh == p->limit)
            return NULL;
        item = p->items + (size_t)p->fresh++ * p->size;
    }
    p->used++;
    memset(item, 0, p->size);
    return item;
}

void pool_give(pool *p, void *item)
{
    assert(p->used > 0);
    assert((uint8_t *)item >= p->items && (uint8_t *)item < p->items + (size_t)p->fresh * p->size);
    memcpy(item, &p->free, sizeof(void *));
    p->free = item;
    p->used--;
}
