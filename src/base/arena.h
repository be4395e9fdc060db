/*
 * arena.h - memory handed out once from one given block.
 *
 * Nothing is freed: tables take their whole room at start. With base == NULL an arena only
 * measures: arena_take() returns NULL and counts, so that the same code that lays out a structure
 * tells how large it is. Not thread-safe.
 */
#ifndef GRANARY_BASE_ARENA_H
#define GRANARY_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_ALIGN 64u /* a cache line: no two tables share one */

typedef struct {
    uint8_t *base; /* borrowed; NULL = measure only */
    size_t size;   /* of base */
    size_t used;
    bool failed; /* overflow, or more than size */
} arena;

void arena_init(arena *a, void *base, size_t size);

/*
 * Room for n items of `size` bytes, aligned to ARENA_ALIGN, not cleared. NULL when measuring, or when
 * it does not fit; then `failed` is set for good.
 */
void *arena_take(arena *a, size_t n, size_t size);

#endif
