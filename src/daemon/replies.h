/*
 * replies.h - from the core's effects to frames for clients.
 *
 * A reply or push about an allocation carries its version and whole set of extents, read from the books in the same
 * step.
 */
#ifndef GRANARY_DAEMON_REPLIES_H
#define GRANARY_DAEMON_REPLIES_H

#include <stddef.h>

#include "core/effect.h"

struct broker;
struct peer;

void reply_send(struct broker *b, const effect_reply *reply);
void push_send(struct broker *b, const effect_push *push);

/* A reply that the core has no part in: the request was refused before its step. */
void reply_refuse(struct peer *p, uint64_t number, int status, const char *text);

/* A sentence about the failure, with what to do. */
const char *reply_text(int status, bytes_t most, char *to, size_t size);

#endif
