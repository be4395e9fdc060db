/*
 * heap.h - all armed deadlines of a structure, the earliest first.
 *
 * Nodes are embedded in what they belong to. A node knows its place, so arming, moving and
 * disarming cost log n. Not thread-safe.
 */
#ifndef GRANARY_BASE_HEAP_H
#define GRANARY_BASE_HEAP_H

#include "base/arena.h"
#include "base/units.h"

typedef struct {
    ms_t at;       /* MS_NEVER = not armed */
    uint32_t pos;  /* 1-based place in the heap; 0 = not armed */
    uint32_t kind; /* the owner's word for what it is embedded in */
} heap_node;

typedef struct {
    heap_node **items; /* [1..used] */
    uint32_t used, limit;
} heap;

void heap_init(heap *h, arena *a, uint32_t limit);

static inline void heap_node_init(heap_node *n, uint32_t kind)
{
    *n = (heap_node){.at = MS_NEVER, .kind = kind};
}

/* Arms, moves, or (MS_NEVER) disarms. The caller keeps within the limit. */
void heap_set(heap *h, heap_node *n, ms_t at);

/* The earliest, or NULL. */
static inline heap_node *heap_first(const heap *h)
{
    return h->used ? h->items[1] : NULL;
}

#endif
