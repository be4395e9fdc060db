/*
 * session.h - from a client's hello to its session, and the welcome that answers it.
 */
#ifndef GRANARY_DAEMON_SESSION_H
#define GRANARY_DAEMON_SESSION_H

#include "daemon/peer.h"

/* Handles the first frame of a peer. */
void session_hello(peer *p, const frame *f);

/* Handles every later one: requests, queries, goodbye. */
void session_request(peer *p, const frame *f);

/* Tells the core that the connection of this peer is over, and watches its process if that lives. */
void session_broken(peer *p);

#endif
