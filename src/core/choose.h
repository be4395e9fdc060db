/*
 * choose.h - which chunks to ask back for a waiting request.
 *
 * Two steps. A question: the allocations that could give are asked how soon (PUSH_ASK), and offers are waited for
 * core_timers.ask_ms, or until all have answered. Then the choice, of the set
 *   1. that makes the whole waiting request runnable soonest,
 *   2. with fewest bytes recalled,
 *   3. on the lowest host ids.
 * Free memory counts first, then what is returning already. Without an offer idle chunks count as free now and others
 * as unknown, which is later than every known time. At most CHOICE_HOSTS hosts are considered.
 */
#ifndef GRANARY_CORE_CHOOSE_H
#define GRANARY_CORE_CHOOSE_H

#include "core/books.h"

/* Asks, if recalls could make room for the waiter and none is under way. */
void choose_start(core *c, allocation *a);
/* Chooses and recalls. */
void choose_now(core *c, allocation *a);
/* Expected wait of a request that does not fit now, by what was offered last; MS_NEVER = unknown. */
ms_t choose_expected(core *c, const allocation_terms *t);

#endif
