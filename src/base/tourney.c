/*
 * tourney.c - levels of maxima, 16 to one.
 */
#include "base/tourney.h"

#include <assert.h>
#include <string.h>

void tourney_init(tourney *t, arena *a, uint32_t leaves)
{
    *t = (tourney){.leaves = leaves};
    uint64_t n = leaves;
    for (;;) {
        assert(t->levels < TOURNEY_LEVELS + 1);
        /* Whole groups of children: a walk never looks behind the end. */
        uint64_t padded = (n + TOURNEY_FAN - 1) / TOURNEY_FAN * TOURNEY_FAN;
        uint64_t *p = arena_take(a, padded, sizeof(uint64_t));
        if (p)
            memset(p, 0, padded * sizeof(uint64_t));
        t->level[t->levels++] = p;
        if (n == 1)
            break;
        n = padded / TOURNEY_FAN;
    }
}

void tourney_set(tourney *t, uint32_t index, uint64_t amount)
{
    uint64_t before = t->level[0][index], most = amount;
    t->level[0][index] = amount;
    for (uint32_t l = 1; l < t->levels; l++) {
        uint64_t was = t->level[l][index / TOURNEY_FAN];
        if (most < was && before < was)
            return;       /* another child is the most, before and after */
        if (most < was) { /* it was the most, and may be so no more */
            const uint64_t *children = &t->level[l - 1][(size_t)(index & ~(TOURNEY_FAN - 1))];
            most = children[0];
            for (uint32_t i = 1; i < TOURNEY_FAN; i++)
                most = children[i] > most ? children[i] : most;
        }
        index /= TOURNEY_FAN;
        if (was == most)
            return;
        t->level[l][index] = most;
        before = was;
    }
}

/* The first child of a group, from `i` to the group's end, with at least `amount`. */
static uint32_t scan(const uint64_t *level, uint32_t i, uint64_t amount)
{
    do {
        if (level[i] >= amount)
            return i;
    } while (++i % TOURNEY_FAN != 0);
    return TOURNEY_NONE;
}

uint32_t tourney_first(const tourney *t, uint32_t from, uint64_t amount)
{
    if (from >= t->leaves || tourney_max(t) < amount)
        return TOURNEY_NONE;
    uint32_t l = 0, i = from;
    if (from == 0) {
        l = t->levels - 1;
    } else {
        /* Up, until a group to the right of the path holds one. */
        for (;;) {
            uint32_t hit = scan(t->level[l], i, amount);
            if (hit != TOURNEY_NONE) {
                i = hit;
                break;
            }
            if (++l == t->levels)
                return TOURNEY_NONE;
            i = i / TOURNEY_FAN + 1;
            if (i % TOURNEY_FAN == 0) {
                /* The path ended a group on this level too: go on one level up. */
                while (l + 1 < t->levels && i % TOURNEY_FAN == 0) {
                    l++;
                    i /= TOURNEY_FAN;
                }
                if (i % TOURNEY_FAN == 0)
                    return TOURNEY_NONE;
            }
        }
    }
    while (l > 0)
        i = scan(t->level[--l], i * TOURNEY_FAN, amount);
    return i;
}
