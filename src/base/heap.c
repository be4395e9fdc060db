/*
 * heap.c - a binary heap of embedded nodes.
 */
#include "base/heap.h"

#include <assert.h>

void heap_init(heap *h, arena *a, uint32_t limit)
{
    *h = (heap){.limit = limit};
    h->items = arena_take(a, (size_t)limit + 1, sizeof(heap_node *));
}

static void place(heap *h, heap_node *n, uint32_t pos)
{
    h->items[pos] = n;
    n->pos = pos;
}

static void sift(heap *h, heap_node *n, uint32_t pos)
{
    while (pos > 1 && h->items[pos / 2]->at > n->at) {
        place(h, h->items[pos / 2], pos);
        pos /= 2;
    }
    for (uint32_t child; (child = pos * 2) <= h->used; pos = child) {
        if (child < h->used && h->items[child + 1]->at < h->items[child]->at)
            child++;
        if (h->items[child]->at >= n->at)
            break;
        place(h, h->items[child], pos);
    }
    place(h, n, pos);
}

static void take_out(heap *h, heap_node *n)
{
    uint32_t pos = n->pos;
    heap_node *last = h->items[h->used--];
    n->pos = 0;
    if (last != n)
        sift(h, last, pos);
}

void heap_set(heap *h, heap_node *n, ms_t at)
{
    n->at = at;
    if (at == MS_NEVER) {
        if (n->pos)
            take_out(h, n);
        return;
    }
    if (!n->pos) {
        assert(h->used < h->limit);
        h->used++;
        sift(h, n, h->used);
        return;
    }
    sift(h, n, n->pos);
}
