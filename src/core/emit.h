/*
 * emit.h - appending effects, and the records of what changed.
 *
 * A noun whose durable fields change is marked; its record is written once, at the end of the
 * step. Ends are written at once, and only for what the journal knows.
 */
#ifndef GRANARY_CORE_EMIT_H
#define GRANARY_CORE_EMIT_H

#include "core/books.h"

/*
 * A decision is started only while so many effects are left: all holdings of an allocation change and all recalls of
 * it, and for it, are withdrawn (push, record, end of an older one). One claim, or one new recall, needs far less.
 */
#define NOTES_MAX         256u /* of one step; more are left out, nobody waits for them */
#define ROOM_FOR_DECISION 3072u
#define ROOM_FOR_ONE      512u
_Static_assert(ROOM_FOR_DECISION >= EXTENTS_MAX + 6 * RECALLS_OPEN + NOTES_MAX + 128, "one decision fits");
_Static_assert(EFFECTS_MAX > ROOM_FOR_DECISION, "a step that begins empty can decide");

/* Effects that can still be appended when all marks are written. Never negative. */
uint32_t emit_room(const core *c);

void mark_init(journal_mark *m);
void mark_host(core *c, host *h);
void mark_host_later(core *c, host *h); /* when there is room: of many at once */
void mark_session(core *c, session *s);
void mark_allocation(core *c, allocation *a); /* its state */
void mark_terms(core *c, allocation *a);      /* its terms too */
void mark_holding(core *c, holding *x);
void mark_claim(core *c, claim *k);
void mark_recall(core *c, recall *r);
/* The object goes away: it is not recorded any more. Returns whether its end must be. */
bool mark_drop(core *c, journal_mark *m);
/* Every marked noun of recovery: waits for room. */
void mark_to_backlog(core *c);

/* Writes all marks, then as much of the backlog as there is room for. */
void emit_marks(core *c);

core_record *emit_record(core *c, record_kind kind);
effect_reply *emit_reply(core *c, const session *s, request_no number, int status);
/* A push to the allocation's owner; NULL when nobody listens. */
effect_push *emit_push(core *c, push_kind kind, const allocation *a);
effect_push *emit_push_to(core *c, push_kind kind, const allocation *a, const session *s);
effect_order *emit_order(core *c, order_kind kind, const claim *k);
effect_order *emit_order_host(core *c, order_kind kind, const host *h, generation gen);
effect_note *emit_note(core *c, note_kind kind);
effect_note *emit_note_of(core *c, note_kind kind, const allocation *a, const host *h, chunks_t chunks);

/* The durable value of each noun, for marks and exports. */
void record_of_host(const host *h, core_record *ret);
void record_of_session(const session *s, core_record *ret);
void record_of_terms(const allocation *a, core_record *ret);
void record_of_state(const allocation *a, core_record *ret);
void record_of_holding(const holding *x, core_record *ret);
void record_of_claim(const claim *k, core_record *ret);
void record_of_recall(const recall *r, core_record *ret);

#endif
