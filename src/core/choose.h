/*
 * choose.h - which chunks to ask back for a waiting request.
 *
 * Two steps. A question: the allocations that could give are asked how soon (PUSH_ASK), and offers are waited for
 * core_timers.ask_ms, or until all have answered. Then the choice, of the set
 *   1. that makes the whole waiting request runnable soonest,
 *   2. with fewest bytes recalled,
 *   3. on the lowest host ids.
 * Free memory counts first, then what is returning already, unless that is late. Without an offer idle chunks count as
 * free now and others as unknown, which is later than every known time. At most CHOICE_HOSTS hosts are considered,
 * all of which could serve a part.
 */
#ifndef GRANARY_CORE_CHOOSE_H
#define GRANARY_CORE_CHOOSE_H

#include "core/books.h"

/* Asks, if recalls could make room for the waiter and none is under way. */
void choose_start(core *c, allocation *a);
/* Chooses and recalls. */
void choose_now(core *c, allocation *a);
/*
 * The choice for a request without effect, by what was offered last. True: what is free, returning and picked would do;
 * the picks (maybe none) stand in c->choice, `take` in their holdings; *ret_by = when the last is free, MS_NEVER =
 * unknown. The caller takes the picks back.
 */
bool choose_solve(core *c, const allocation_terms *t, ms_t *ret_by);
/* Takes all picks back. */
void choose_forget(core *c);

#endif
