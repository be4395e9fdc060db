/*
 * nearest.h - "did you mean": the word of a list that is closest to a mistyped one. Pure.
 */
#ifndef GRANARY_CLI_NEAREST_H
#define GRANARY_CLI_NEAREST_H

#include <stddef.h>

#define NEAREST_WORD_MAX 64u /* longer words are never near anything */

/* Edits (insert, delete, replace, swap of neighbours) from `a` to `b`; NEAREST_WORD_MAX when one is too long. */
size_t nearest_distance(const char *a, const char *b);

/*
 * Offers one candidate: returns `candidate` when it begins with `word`, or when it is nearer than
 * `best` (may be NULL) and near enough to be meant; else `best`.
 */
const char *nearest_of(const char *word, const char *best, const char *candidate);

#endif
