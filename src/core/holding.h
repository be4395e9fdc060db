/*
 * holding.h - the chunks of one allocation on one host.
 *
 *   held      granted
 *   returning released, still used by claims: the debt of this holding
 *   claimed   in claims that are not quarantined; claimed <= held + returning (I3)
 *   reserved  bytes of the host's `held` column that are kept for this waiter
 *
 * A holding is there while any of these, or a claim, is. All ways that bytes move between the columns of a host go
 * through this file. What becomes free by a recall is reserved for its beneficiary in the same motion.
 */
#ifndef GRANARY_CORE_HOLDING_H
#define GRANARY_CORE_HOLDING_H

#include "core/books.h"

/* NULL when there is none. */
holding *holding_find(const core *c, const allocation *a, const host *h);

/* Finds or makes one. NULL: the table is full. An empty one must be given to holding_tidy(). */
holding *holding_get(core *c, allocation *a, host *h);

/* Frees the holding when nothing is left of it. */
void holding_tidy(core *c, holding *x);

/* free -> granted. The caller has seen that it fits. */
void holding_grant(core *c, holding *x, chunks_t n);

/* Is there a holding, or room for one, wherever c->plan grants chunks to `a` (NULL: a new allocation)? */
bool holding_plan_fits(const core *c, const allocation *a);
/* Grants what c->plan says, as far as holdings can be made; what was kept for `a` is free before. Returns the chunks.
 */
chunks_t holding_grant_plan(core *c, allocation *a);

/*
 * granted -> free for chunks without a claim, -> returning for the others. n <= held. What becomes free is
 * kept for `freed_for`, if that is a living beneficiary. May free the holding.
 */
void holding_release(core *c, holding *x, chunks_t n, allocation_id freed_for);

/* A claim of n chunks opens / is seen drained or shrunk by n: pays debt first. May free the holding. */
void holding_claim(holding *x, chunks_t n);
void holding_drained(core *c, holding *x, chunks_t n);

/* n claimed chunks stay charged: debt first, then held -> quarantine. And the way out of it. */
void holding_quarantine(core *c, holding *x, chunks_t n);
void holding_unquarantine(core *c, holding *x, chunks_t n);

/* Chunks without a claim. */
chunks_t holding_idle(const holding *x);

/* May a claim of n chunks be opened? (I3) */
bool holding_claimable(const holding *x, chunks_t n);

/* Chunks that return for this beneficiary; {0}: for nobody. */
chunks_t holding_returning_for(const holding *x, allocation_id whom);
/* n more of what returns, and is for nobody yet, is for `whom`. */
void holding_owe(holding *x, allocation_id whom, chunks_t n);

/* Keeps up to `bytes` of the host's free memory for the waiter `a`; no more than it needs there. */
void holding_reserve(core *c, allocation *a, host *h, bytes_t bytes);
/* The same for the beneficiary of a recall; nothing when it is none any more. */
void holding_keep_for(core *c, host *h, bytes_t bytes, allocation_id id);
/* Gives the reservation of this holding back to free. May free the holding. */
void holding_unreserve(core *c, holding *x);
void holding_unreserve_all(core *c, allocation *a);

/*
 * What it has reserved is free for a moment, to see whether the whole fits; and reserved again.
 * Nothing else may happen between.
 */
void holding_lend(core *c, allocation *a);
void holding_unlend(core *c, allocation *a);

/*
 * When the n-th (from 1) of its chunks will be free, by the last offer; without one idle chunks are free at `now`.
 * MS_NEVER = unknown. It may have passed.
 */
ms_t holding_expected(const holding *x, chunks_t n, ms_t now);

/* Forgets what was offered there. */
void holding_forget_offer(core *c, holding *x);

/* For loading: the durable values as recorded. */
void holding_restore(core *c, holding *x, chunks_t held, chunks_t returning, ms_t until);

void holding_arm(core *c, holding *x, ms_t until);

#endif
