/*
 * pick.h - chunks of one host that would be asked back, fewest bytes first: the smaller half of a choice (choose.h).
 *
 * Picks stand in c->choice, `take` in their holdings and allocations. Of two holdings the one gives a chunk whose chunk
 * is no larger than what is missing, of those the largest, else the smallest; then the allocation with most above its
 * min; then the lowest id. Of one host at most CHOICE_PICKS holdings are looked at, less what is picked already.
 */
#ifndef GRANARY_CORE_PICK_H
#define GRANARY_CORE_PICK_H

#include "core/books.h"

/*
 * Picks chunks on `h` that could be there by `by`, for `missing` (> 0) bytes, of others than `but` (NULL: of all).
 * Returns the bytes picked, at least `missing`; or 0 (nothing picked) when there are too few.
 */
bytes_t pick_on(core *c, const allocation *but, const host *h, bytes_t missing, ms_t by);
/* What pick_on() would return; nothing is picked. */
bytes_t pick_cost(core *c, const allocation *but, const host *h, bytes_t missing, ms_t by);
/* What was picked from `mark` on joins what was picked before: one place for each holding. */
void pick_join(core *c, uint32_t mark);
/* Takes n chunks of the i-th pick back; all picks from `mark` on. */
void pick_undo(core *c, uint32_t i, chunks_t n);
void pick_undo_to(core *c, uint32_t mark);

#endif
