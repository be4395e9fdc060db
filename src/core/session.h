/*
 * session.h - clients: their lease is the connection, and its grace.
 *
 *   state     on                              becomes
 *   (none)    SESSION_OPEN                    ATTACHED
 *   ATTACHED  SESSION_BROKEN, core_recover    DETACHED, grace armed
 *   DETACHED  SESSION_REATTACH (right token)  ATTACHED
 *   any       SESSION_END, grace over         gone; its allocations are swept
 */
#ifndef GRANARY_CORE_SESSION_H
#define GRANARY_CORE_SESSION_H

#include "core/books.h"

session *session_find(const core *c, session_id id);
session *session_create(core *c, session_id id, user *u); /* NULL: full */
void session_set_state(core *c, session *s, session_state state, ms_t grace_until);
/* Ends it: its allocations lose their owner and are swept. */
void session_end(core *c, session *s);

void session_on_open(core *c, const event_session *e);
void session_on_reattach(core *c, const event_session *e);
void session_on_broken(core *c, const event_session *e);
void session_on_end(core *c, const event_session *e);
void session_due(core *c, session *s);
/* Gives the allocation to the session `to`, which hears of its open recalls. */
void session_on_transfer(core *c, session *s, const core_event *e);

#endif
