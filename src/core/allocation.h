/*
 * allocation.h - requests and what they were granted.
 *
 *   state    on                                                     becomes
 *   (none)   ALLOCATE: placed at once                               LIVE
 *   (none)   ALLOCATE: does not fit now                             WAITING, wait armed
 *   WAITING  placed                                                 LIVE
 *   WAITING  cancelled, timed out, owner gone, never to be met      gone; ENDING while it has a claim (of 0 chunks)
 *   LIVE     last chunk released, owner gone                        ENDING
 *   LIVE     owner gone, terms STAY, something is claimed           LIVE; its claims are told to end with their
 *                                                                   processes, what none claims is released
 *   ENDING   no chunk is returning and no claim is left             gone
 */
#ifndef GRANARY_CORE_ALLOCATION_H
#define GRANARY_CORE_ALLOCATION_H

#include "core/books.h"

allocation *allocation_find(const core *c, allocation_id id);

/* NULL: the table is full. In no state yet. */
allocation *allocation_create(core *c, allocation_id id, session *owner, user *u, const allocation_terms *terms);

/* The only place where states change. */
void allocation_set_state(core *c, allocation *a, allocation_state state);

/* Something that its owner sees changed: next version, one push at the end of the step. */
void allocation_touch(core *c, allocation *a);
/* Which of one user's grows first: fewest bytes, then the lowest id. */
bool allocation_hungrier(const allocation *a, const allocation *b);
/* Puts it into, or out of, the lists of those that may grow and those that may give. */
void allocation_relist(core *c, allocation *a);
/* Out of both. */
void allocation_unlist(core *c, allocation *a);
/* Sends what allocation_touch() gathered. */
void allocation_flush(core *c);

/*
 * Could such a request ever be granted, with all hosts empty? Else STATUS_NEVER or STATUS_QUOTA, and the most that
 * could be. Hosts that have not told their memory yet may be as large as their owner allows; without any host all is
 * hoped for.
 */
int allocation_never(const core *c, const user *u, const allocation_terms *t, bytes_t *ret_most);

/* Gone for good; nothing is held. `status` goes to the owner, if it was not told before. */
void allocation_end(core *c, allocation *a, int status);
/* A waiting request is over: its owner is told why at once. May free it. */
void allocation_give_up(core *c, allocation *a, int status);
/* ENDING if nothing is held, gone if nothing is left at all. May free it. */
void allocation_settle(core *c, allocation *a);
/* Its owner is gone. */
void allocation_orphan(core *c, allocation *a);
/* The work of an orphan, as far as there is room. */
void allocation_sweep(core *c);

/* Releases chunks: recalls are answered, then the bytes go. Own wishes lower `want`. Does not settle. */
void allocation_give(core *c, allocation *a, holding *x, chunks_t n, recall *r, bool own);

/* Whether `s` may ask about it as its owner / as somebody of the same user. */
bool allocation_owned(const allocation *a, const session *s);
bool allocation_allowed(const allocation *a, const session *s);

void allocation_on_allocate(core *c, session *s, const core_event *e);
void allocation_on_cancel(core *c, session *s, const core_event *e);
void allocation_on_want(core *c, session *s, const core_event *e);
void allocation_due(core *c, allocation *a);

/* release.c */
void release_on_release(core *c, session *s, const core_event *e);
void release_on_release_n(core *c, session *s, const core_event *e);
void release_on_foreign(core *c, session *s, const core_event *e);

#endif
