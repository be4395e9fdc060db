/*
 * queue.h - requests that wait: by priority, then age.
 *
 * A waiter that does not fit does not block one that does, until it has waited age_guard: then what becomes
 * free is held for it. Where recallable chunks could make room, it asks for them (choose.h).
 */
#ifndef GRANARY_CORE_QUEUE_H
#define GRANARY_CORE_QUEUE_H

#include "core/books.h"

/* Whose turn is earlier: priority, then age. */
bool queue_before(const allocation *a, const allocation *b);
void queue_insert(core *c, allocation *a);
void queue_remove(core *c, allocation *a);
/*
 * Hosts became smaller, or quotas: ends who waits for what can never be now, and who holds nothing and can never grow.
 * False: stopped for lack of room; the next call goes on.
 */
bool queue_doubt(core *c);
/* Grants what fits, holds for the old, asks for the others. False: stopped for lack of room. */
bool queue_settle(core *c);
/* Its age guard, or its question, is due. */
void queue_look(core *c, allocation *a);
/* Could the host ever be of use to it? By its settings: a draining one is not. */
bool queue_serves(const allocation *a, const host *h);
/* What is held there for those whom the host does not serve any more is free. */
void queue_let_go(core *c, host *h);
bool queue_aged(const core *c, const allocation *a);

#endif
