/*
 * table.h - a hash table from a 64-bit key to a pointer, of fixed size, in an arena.
 *
 * Open addressing with linear probing and backward shift on removal: no tombstones, so that its speed does
 * not decay. Keys are unique and not 0. Never more than three quarters full. Not thread-safe.
 */
#ifndef GRANARY_BASE_TABLE_H
#define GRANARY_BASE_TABLE_H

#include "base/arena.h"

typedef struct {
    uint64_t key; /* 0 = empty */
    void *value;
} table_slot;

typedef struct {
    table_slot *slots;
    uint64_t mask;
    uint32_t used, limit;
} table;

/* Room for `limit` keys. When the arena only measures, the table must not be used. */
void table_init(table *t, arena *a, uint32_t limit);

/* The value, or NULL. */
void *table_get(const table *t, uint64_t key);

/* Adds a key that is not there; the caller keeps within the limit. */
void table_put(table *t, uint64_t key, void *value);

/* Removes a key that is there. */
void table_remove(table *t, uint64_t key);

#endif
