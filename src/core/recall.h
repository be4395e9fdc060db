/*
 * recall.h - asking for chunks back.
 *
 * A recall is open while released + withdrawn + revoked < asked, and done from then on (I11). It is immutable: to
 * change it, it is withdrawn and another one made. The last few done ones of an allocation stay for its client to
 * ask about. Past its deadline an open one is revoked where the terms allow, else it is overdue: reported,
 * still open, with no deadline any more.
 */
#ifndef GRANARY_CORE_RECALL_H
#define GRANARY_CORE_RECALL_H

#include "core/books.h"

recall *recall_find(const core *c, recall_id id);

/* Do chunks of this host answer it? */
bool recall_accepts(const recall *r, const host *h);

/* Chunks that may be asked back now: above min, not asked yet. */
chunks_t recall_possible(const allocation *a);
/* The same for one who answers: nothing, while a recall of it is overdue. To ask it for more would ask it twice. */
chunks_t recall_willing(const allocation *a);
/* As recall_possible(), on one host. */
chunks_t recall_possible_at(const holding *x);
chunks_t recall_asked_by_operator(const allocation *a);

/* Is something asked back for it that may still come in time? Overdue ones are not waited for: others are asked. */
bool recall_under_way(const allocation *a);

/* Makes and pushes one; host NULL = any. NULL: the table is full, or RECALLS_OPEN. */
recall *recall_create(core *c, allocation *a, recall_reason reason, allocation *beneficiary, host *h, chunks_t count);
/* Pushes what is still asked for to the allocation's owner. */
void recall_tell(core *c, const recall *r);
/* For loading: links a record that is consistent. NULL: full. */
recall *recall_restore(core *c, allocation *a, const record_recall *r);

/* Takes it out of the books, without a record: for loading. */
void recall_discard(core *c, recall *r);
/* Ends loading of one: counts what it asks for. STATUS_CORRUPT: nothing is held there. */
int recall_recover(core *c, recall *r);

/* After a restart, when the host is measured: keeps what recalls had freed there for those who still wait for it. */
void recall_gather_again(core *c, host *h);

/*
 * n chunks are about to be released on `h`: counts them in `r`, then in other open recalls that accept them, until one
 * of another beneficiary comes. Returns how many were for `whom` (0 = nobody); those that no recall asks for go with
 * the last ones, or are for whom it was before. May end `r`.
 */
chunks_t recall_answer(core *c, allocation *a, host *h, chunks_t n, recall *r, allocation_id *whom);

/* Withdraws what asks for more than there is above min (I6). */
void recall_clamp(core *c, allocation *a);
/* Withdraws what asks for more than `held` chunks of exactly this host. */
void recall_clamp_host(core *c, holding *x, chunks_t held);

/* n of it are answered in `field` (&r->r.released, .withdrawn, .revoked); the last one makes it done. */
void recall_count(core *c, recall *r, chunks_t *field, chunks_t n);

void recall_withdraw(core *c, recall *r);
void recall_withdraw_all(core *c, allocation *a);
/* Its beneficiary was granted, or is over. */
void recall_withdraw_for(core *c, allocation *a);
/* The allocation ends: its recalls, and those for it, too. */
void recall_drop_all(core *c, allocation *a);

void recall_due(core *c, recall *r);

void recall_on_offer(core *c, session *s, const core_event *e);
void recall_on_outcome(core *c, session *s, const core_event *e);

#endif
