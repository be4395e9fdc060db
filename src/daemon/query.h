/*
 * query.h - answers to Query: the books as they are now, and the log.
 */
#ifndef GRANARY_DAEMON_QUERY_H
#define GRANARY_DAEMON_QUERY_H

#include "daemon/log.h"
#include "daemon/peer.h"

/* Answers in as many parts as needed; one turn, so that all parts are of one state. */
void query_answer(peer *p, const frame *f);

/* The peer does not follow the log any more. */
void query_unfollow(peer *p);

/* Sends a new line to those who follow the log. `userdata` is the broker. */
void query_log_line(void *userdata, const log_line *line);

#endif
