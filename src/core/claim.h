/*
 * claim.h - limits groups on hosts, that stand for chunks.
 *
 *   state        on                                            becomes
 *   (none)       CLAIM                                         OPENING; ORDER_OPEN
 *   OPENING      CLAIM_OPENED, or expected again by its agent  OPEN
 *   OPENING      the agent refused                             gone
 *   OPENING,OPEN CLOSE, owner gone, debt overdue, revoke       CLOSING; ORDER_END
 *   CLOSING      CLAIM_DRAINED                                 gone; ORDER_CLOSE
 *   CLOSING      still charged quarantine_ms after a kill, or
 *                with no process left                          QUARANTINED
 *   QUARANTINED  CLAIM_DRAINED                                 gone; ORDER_CLOSE
 *   any          its host came back with another boot id       gone
 *
 * A command that waits for memory is held at a gate, and the kernel takes its time to move a process into a group. So
 * the owner of a waiting allocation may claim 0 chunks for it: the group is made, with a limit of what a drained claim
 * may keep (drain_tolerance()), and the process moved there while it waits; after the grant SHRINK gives it its chunks.
 * There is at most one such claim in an allocation (`gated`). It stands for no memory, so nothing is to be had by
 * ending it but at the end of its allocation, and then it is killed: what runs in it never passed its gate.
 *
 * A request that the agent must carry out waits in one of the claim's pending places, one of each kind; another of
 * the same kind meanwhile is STATUS_BUSY. A CLOSE that kills is of another kind than one that waits: it hastens it.
 */
#ifndef GRANARY_CORE_CLAIM_H
#define GRANARY_CORE_CLAIM_H

#include "core/books.h"

claim *claim_find(const core *c, generation gen);
/* In no state yet, its holding made. NULL: a table is full. */
claim *claim_create(core *c, generation gen, allocation *a, host *h, chunks_t chunks);
/* The only place where its chunks change; the holding's sum is the caller's. */
void claim_set_chunks(claim *k, chunks_t chunks);
/* The only place where states change. */
void claim_set_state(core *c, claim *k, claim_state state);

/* Arms it, without a record. MS_NEVER: disarms. */
void claim_deadline(core *c, claim *k, ms_t until);

/* Nothing enters any more; with kill its processes die. Idempotent. */
void claim_order_end(core *c, claim *k, bool kill);
/* Kills the claim of 0 chunks of an allocation that is over, if it has one. Idempotent. */
void claim_end_gated(core *c, allocation *a);
/* Its memory was seen free: the end. `order`: the agent is to remove the group. May end its allocation. */
void claim_end(core *c, claim *k, claim_cause cause, bool order);
/* Whoever asked for it is told that it failed: the session's next request for as much takes it (claim_request.c). */
void claim_orphan(core *c, claim *k);
/* Its host's connection broke. */
void claim_host_gone(core *c, claim *k);
/* Ends claims, newest first, until those that end cover the holding's debt. */
void claim_cover_debt(core *c, holding *x);
void claim_due(core *c, claim *k);

void claim_on_claim(core *c, session *s, const core_event *e);
void claim_on_enter(core *c, session *s, const core_event *e);
void claim_on_empty(core *c, session *s, const core_event *e);
void claim_on_shrink(core *c, session *s, const core_event *e);
void claim_on_close(core *c, session *s, const core_event *e);

void claim_on_opened(core *c, const event_claim_answer *e);
void claim_on_entered(core *c, const event_claim_answer *e);
void claim_on_emptied(core *c, const event_claim_answer *e);
void claim_on_limited(core *c, const event_claim_answer *e);
void claim_on_use(core *c, const event_claim_use *e);
void claim_on_drained(core *c, const event_claim_use *e);

#endif
