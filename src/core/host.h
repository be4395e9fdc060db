/*
 * host.h - machines whose memory is leased, and the connection to their agents.
 *
 *   seen as   when
 *   unknown   connected, no fresh sample yet
 *   up        connected, reconciled, sampled
 *   draining  like up, but its operator wants it empty
 *   suspect   not connected; lost is armed
 *   lost      not connected for suspect_ms; its chunks stay granted
 *
 * Hello is answered in phases, spread over steps where there is much: requests of the old connection fail, claims of an
 * older boot end, WELCOME, each live claim is expected, READY.
 */
#ifndef GRANARY_CORE_HOST_H
#define GRANARY_CORE_HOST_H

#include "core/books.h"

/* By name; makes one. NULL: the table is full. */
host *host_get(core *c, const char *name);
host *host_by_name(const core *c, const char *name);
/* For loading: the record's host at its own number. NULL: out of range, or the name is another's. */
host *host_restore(core *c, const record_host *r);

void host_configure(core *c, const event_config_host *config);
void host_on_hello(core *c, const event_host_hello *e);
void host_on_gone(core *c, host_id id);
void host_on_sample(core *c, const event_host_sample *e);
void host_on_drain(core *c, session *s, const core_event *e, bool drain);
void host_due(core *c, host *h);
/* The phases of hello. False: stopped for lack of room. */
bool host_settle(core *c);

#endif
