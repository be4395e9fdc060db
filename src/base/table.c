/*
 * table.c - open addressing with backward shift.
 */
#include "base/table.h"

#include <assert.h>
#include <string.h>

#define NEIGHBOURS 3u /* bits: eight keys in two lines of the cache */

/*
 * Our keys are mostly counters, and those that are used together were given one after another: eight neighbours stay
 * together, so that they share lines of the cache and pages; one multiplication spreads the eights (Fibonacci
 * hashing).
 */
static uint64_t home(const table *t, uint64_t key)
{
    uint64_t eights = (key >> NEIGHBOURS) * 0x9e3779b97f4a7c15u;
    return ((eights ^ eights >> 32) << NEIGHBOURS | (key & ((1u << NEIGHBOURS) - 1))) & t->mask;
}

void table_init(table *t, arena *a, uint32_t limit)
{
    uint64_t n = 4;
    while (n / 4 * 3 <= limit)
        n *= 2;
    *t = (table){.mask = n - 1, .limit = limit};
    t->slots = arena_take(a, n, sizeof(table_slot));
    if (t->slots)
        memset(t->slots, 0, n * sizeof(table_slot));
}

void *table_get(const table *t, uint64_t key)
{
    for (uint64_t i = home(t, key); t->slots[i].key != 0; i = (i + 1) & t->mask)
        if (t->slots[i].key == key)
            return t->slots[i].value;
    return NULL;
}

void table_put(table *t, uint64_t key, void *value)
{
    assert(key != 0 && value != NULL && t->used < t->limit);
    uint64_t i = home(t, key);
    for (; t->slots[i].key != 0; i = (i + 1) & t->mask)
        assert(t->slots[i].key != key);
    t->slots[i] = (table_slot){key, value};
    t->used++;
}

void table_remove(table *t, uint64_t key)
{
    uint64_t i = home(t, key);
    while (t->slots[i].key != key) {
        assert(t->slots[i].key != 0);
        i = (i + 1) & t->mask;
    }
    /* Moves later ones of the same run into the gap, as far as their home allows. */
    for (uint64_t j = (i + 1) & t->mask; t->slots[j].key != 0; j = (j + 1) & t->mask) {
        uint64_t h = home(t, t->slots[j].key);
        if (((j - h) & t->mask) >= ((j - i) & t->mask)) {
            t->slots[i] = t->slots[j];
            i = j;
        }
    }
    t->slots[i] = (table_slot){0, NULL};
    t->used--;
}
