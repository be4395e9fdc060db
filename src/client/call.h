/*
 * call.h - one request and its answer, waiting: the ground of the plain calls.
 *
 * Lock held by none of the callers of client_call(); call_wait() is for those that hold it.
 */
#ifndef GRANARY_CLIENT_CALL_H
#define GRANARY_CLIENT_CALL_H

#include "client/request.h"
#include "granary.h"
#include "granary.pb-c.h"

/*
 * Sends a request and waits for its reply up to `timeout_ms` (negative: for ever). Returns the reply's status; the
 * thread's error text is the reply's. `ret`, if not NULL, gets the reply when there was one, whatever its status, to be
 * freed with reply_free(), else NULL. STATUS_TIMEOUT: the answer still comes, and is dropped.
 */
int client_call(granary_client *c, uint16_t type, const void *message, int fd, int64_t timeout_ms,
                Granary__Reply **ret);

/* The same with the lock held. */
int call_wait(granary_client *c, uint16_t type, const void *message, int fd, ms_t deadline, Granary__Reply **ret);

/* A reply that says more than its status: into the thread's error text. */
int call_status(granary_client *c, int status, const Granary__Reply *reply);

void reply_free(Granary__Reply *reply);

#endif
