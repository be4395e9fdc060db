/*
 * client.h - the inside of libgranary: one connection, its requests, and what hangs on them.
 *
 * One mutex guards everything; one condition tells that something changed. Whatever arrives is handled with the
 * mutex held, by whoever turns the loop: the client's own thread, a blocking call of an event-loop
 * client, or granary_client_dispatch(). Handlers never block and never call the program; what must (a
 * cache's shrink) is run by the loop afterwards, without the mutex.
 *
 * A failed allocation of memory while a frame is handled costs the connection, not the session: the client
 * attaches again and the broker tells the whole state anew.
 */
#ifndef GRANARY_CLIENT_CLIENT_H
#define GRANARY_CLIENT_CLIENT_H

#include <pthread.h>

#include "base/units.h"
#include "granary.h"
#include "granary.pb-c.h"

#include "client/allocation.h"
#include "client/claim.h"
#include "client/host.h"
#include "client/link.h"
#include "client/loop.h"
#include "client/request.h"

#define CLIENT_HIDDEN __attribute__((visibility("hidden")))

struct granary_client {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t serial; /* tells this client's error text from that of an earlier one */

    int over; /* 0, or why the session ended: the answer to every later call */
    char over_text[256];

    loop loop;
    client_link link;
    requests requests;
    hosts hosts;
    allocation *allocations;
    client_claim *claims;
    struct granary_cache *caches;
    struct spawned *spawned; /* commands that the library started in slots */
    uint64_t strangers;      /* rises when news arrives of an allocation that is not known here: it was handed over */
};

/* CLOCK_BOOTTIME in milliseconds. */
ms_t client_now(void);

/* The deadline `timeout_ms` from now; negative: MS_NEVER. */
ms_t client_deadline(int64_t timeout_ms);

/* Remembers a sentence for this thread; returns `status`. `text` NULL or "": the status' own. */
int client_fail(const granary_client *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Ends the session: every request is answered with `status`, every wait ends. */
void client_end(granary_client *c, int status, const char *text);

/*
 * Waits, with the lock held, until something may have changed. STATUS_TIMEOUT after `deadline`, else 0.
 * On an event-loop client the caller turns the loop itself.
 */
int client_wait(granary_client *c, ms_t deadline);

/* Sends what waits. Call after request_start() outside a handler. */
void client_kick(granary_client *c);

#endif
