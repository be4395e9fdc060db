/*
 * allocation.h - what this session holds, as the broker last told it.
 *
 * Every reply and push about an allocation carries its version and its whole set; older versions are
 * ignored. A pool or a cache hangs on its allocation as `owner` and is told what concerns it.
 */
#ifndef GRANARY_CLIENT_ALLOCATION_H
#define GRANARY_CLIENT_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "granary.h"
#include "granary.pb-c.h"

typedef enum {
    ALLOCATION_IS_GONE = 0,
    ALLOCATION_IS_WAITING = 1,
    ALLOCATION_IS_LIVE = 2,
    ALLOCATION_IS_ENDING = 3
} allocation_is;

typedef struct allocation allocation;

/* Lock held; must not block. A negative answer costs the connection (STATUS_NO_MEMORY only). */
typedef struct {
    int (*changed)(void *owner,
                   allocation *a); /* first told with its number; a new set; its end; the local host is known */
    int (*ask)(void *owner, const Granary__Ask *ask);
    int (*recall)(void *owner, const Granary__Recall *recall);
    int (*prefer)(void *owner, const Granary__Prefer *prefer);
    int (*withdraw)(void *owner, const Granary__Withdraw *withdraw);
    void (*claim_ended)(void *owner, uint64_t claim, const granary_claim_end *end);
    int (*reattached)(void *owner, allocation *a,
                      const Granary__Welcome *welcome); /* claims and recalls of the whole session */
} allocation_owner;

struct allocation {
    allocation *next;
    uint64_t id, version;
    allocation_is state;
    uint32_t want;
    size_t n_extents, capacity;
    granary_extent *extents; /* owned */
    bool registered;         /* in the client's list */
    bool ended;
    int status; /* once ended, or of a failed request */
    char text[256];
    uint32_t place;
    int64_t expected_ms;
    char reason[160];
    uint32_t held_by; /* callers that look at it; 0 and ended: it is freed */
    const allocation_owner *owner;
    void *owner_data;
};

/* Checks a request's values; explains in the thread's error. STATUS_INVALID. */
int allocation_check(const granary_client *c, const granary_request *terms);

/*
 * Sends the request and waits for the broker's first word. 0: granted or in the queue; `*ret` is held once. `owner` may
 * be NULL, else it is told from the first word on.
 */
int allocation_request(granary_client *c, const granary_request *terms, const allocation_owner *owner, void *owner_data,
                       allocation **ret);

/* The owner lets go. */
void allocation_disown(granary_client *c, allocation *a);

/* Lets go; frees what is ended or was never registered. */
void allocation_drop(granary_client *c, allocation *a);

/*
 * It was handed over to this session: `*room` (zeroed, from malloc) becomes it, and is NULL then, unless it is known
 * already. `*ret` is held once. STATUS_PROTOCOL, STATUS_NO_MEMORY.
 */
int allocation_arrived(granary_client *c, const Granary__AllocationState *state, allocation **room, allocation **ret);

/* It was handed over to another session: it has ended for this one. */
void allocation_left(granary_client *c, uint64_t id);

/* Frees everything. */
void allocations_finish(granary_client *c);

allocation *allocation_find(granary_client *c, uint64_t id);
uint32_t allocation_chunks(const allocation *a);

/* What arrived. STATUS_PROTOCOL, STATUS_NO_MEMORY. Unknown or ended allocations are ignored: their news was under way.
 */
int allocations_apply(granary_client *c, const Granary__AllocationState *state);
int allocations_changed(granary_client *c, const Granary__AllocationState *state);
int allocations_end(granary_client *c, const Granary__AllocationEnded *ended);
int allocations_ask(granary_client *c, const Granary__Ask *ask);
int allocations_recall(granary_client *c, const Granary__Recall *recall);
int allocations_prefer(granary_client *c, const Granary__Prefer *prefer);
int allocations_withdraw(granary_client *c, const Granary__Withdraw *withdraw);
int allocations_reattach(granary_client *c, const Granary__Welcome *welcome);
void allocations_place(granary_client *c, const Granary__WaiterInfo *waiter);
void allocations_hosts_changed(granary_client *c);

/* The session is over: all end with `status`. */
void allocations_fail(granary_client *c, int status, const char *text);

#endif
