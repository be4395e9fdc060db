/*
 * query.h - reading the books, and the few requests that need no lease, over a short-lived connection.
 *
 * For the granary command: connect, say hello, ask, say goodbye. Blocking, with a limit on every wait; not thread-safe.
 * What is returned is in the wire's own structs (proto/granary.pb-c.h), so that nothing is copied twice. Text in
 * them comes from strangers: print it only through base/text.h.
 */
#ifndef GRANARY_CLIENT_QUERY_H
#define GRANARY_CLIENT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "granary.h"
#include "proto/granary.pb-c.h"

#define QUERY_HELLO_MS 5000  /* for the welcome: as other clients wait */
#define QUERY_WAIT_MS  10000 /* for one answer; a broker that needs longer is stuck */
#define QUERY_WHY_MAX  512u

typedef struct query query;

/*
 * Connects and says hello. `socket` NULL: GRANARY_SOCKET, the system's broker, the user's own; none is started. On
 * failure `why` tells, with what to do. STATUS_LOST: no broker there; STATUS_VERSION, STATUS_BUSY, STATUS_DENIED,
 * STATUS_PROTOCOL, STATUS_NO_MEMORY, STATUS_SYSTEM.
 */
int query_open(query **ret, const char *socket, char why[QUERY_WHY_MAX]);
void query_close(query *q); /* goodbye; NULL is fine */

/* What went wrong last, a sentence; "" when nothing did. Valid until the next call. */
const char *query_why(const query *q);

/* What the broker answered to the hello. Valid until query_close(). */
const Granary__Welcome *query_welcome(const query *q);

/* The whole books at one moment. The arrays point into `parts`, all freed together. */
typedef struct {
    uint64_t sequence;
    const char *broker;
    uint32_t sessions;
    Granary__HostInfo **hosts;
    size_t n_hosts;
    Granary__AllocationInfo **allocations;
    size_t n_allocations;
    Granary__ClaimInfo **claims;
    size_t n_claims;
    Granary__WaiterInfo **queue;
    size_t n_queue;
    Granary__RecallInfo **recalls;
    size_t n_recalls;
    Granary__QueryReply **parts;
    size_t n_parts;
} snapshot;

/* `*ret` is the caller's, freed by snapshot_destroy(). */
int query_snapshot(query *q, snapshot **ret);
void snapshot_destroy(snapshot *s); /* NULL is fine */

/* Joins the parts of one answer; takes them over also on failure (STATUS_NO_MEMORY). For query_snapshot() and tests. */
int snapshot_create(snapshot **ret, Granary__QueryReply **parts, size_t n_parts);

/*
 * The last `lines` lines of the broker's log, each given to `put`; with `follow` those that come, until `put` returns
 * nonzero (returned here) or the connection ends (STATUS_LOST).
 */
int query_log(query *q, uint32_t lines, bool follow, int (*put)(void *userdata, const Granary__LogLine *line),
              void *userdata);

/*
 * Numbered requests. Each returns the reply's status (negative: query_why() holds its sentence) and, in `*ret` if not
 * NULL, the reply itself when there was one, else NULL; valid until the next call.
 */
int query_plan(query *q, const granary_request *request, const Granary__Reply **ret);
int query_drain(query *q, const char *host, bool undrain, const Granary__Reply **ret);
int query_release(query *q, uint64_t allocation, uint32_t chunks, const Granary__Reply **ret); /* 0 chunks = all */

#endif
