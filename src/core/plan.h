/*
 * plan.h - a request without effect: would it be granted now, and where; else who would be asked for what, and when.
 *
 * A plan that is granted now, or that nobody could make room for, is answered at once. Else who could give is asked how
 * soon, as for a waiter, and the answer leaves when all have offered, at the latest after core_timers.ask_ms: the
 * choice made then is what a waiter would get. Soft: nothing is recorded, a restart forgets it (its client asks
 * again). While PLANS_MAX wait, further ones are answered at once from what was offered last.
 */
#ifndef GRANARY_CORE_PLAN_H
#define GRANARY_CORE_PLAN_H

#include "core/books.h"

void plan_init(core *c);
void plan_on_allocate(core *c, session *s, const core_event *e, bool fits);
/* Waits this request of this session for its answer already? */
bool plan_waits(const core *c, const session *s, request_no number);
/* Its time for offers is over. */
void plan_due(core *c, plan_wait *p);
/* An offer of `a` came, or it will never come. */
void plan_offered(core *c, allocation *a);

#endif
