/*
 * arena.c - a bump allocator that can also only measure.
 */
#include "base/arena.h"

void arena_init(arena *a, void *base, size_t size)
{
    *a = (arena){.base = base, .size = base ? size : SIZE_MAX};
}

void *arena_take(arena *a, size_t n, size_t size)
{
    size_t bytes, end;
    if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(bytes, ARENA_ALIGN - 1, &bytes)) {
        a->failed = true;
        return NULL;
    }
    bytes &= ~(size_t)(ARENA_ALIGN - 1);
    if (a->failed || __builtin_add_overflow(a->used, bytes, &end) || end > a->size) {
        a->failed = true;
        return NULL;
    }
    void *p = a->base ? a->base + a->used : NULL;
    a->used = end;
    return p;
}
