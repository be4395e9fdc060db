/*
 * pool.h - the inside of a pool: its state, and the calls that are under way for its slots.
 *
 * pool.c is what programs call, pool_talk.c speaks with the broker, pool_call.c enters and releases slots. All
 * decisions are pool_state's. Everything with the client's lock held.
 */
#ifndef GRANARY_CLIENT_POOL_H
#define GRANARY_CLIENT_POOL_H

#include <stdatomic.h>

#include "client/allocation.h"
#include "client/pool_state.h"
#include "client/request.h"
#include "granary.h"

/* One call for a slot: enter, next or release. */
typedef struct slot_call slot_call;
struct slot_call {
    slot_call *next;
    granary_pool *pool;
    granary_slot_answer answer;
    uint64_t claim;
    bool emptying; /* a release that waits for Empty, not for Close */
    bool listed;   /* its answer is for granary_slot_take() */
    bool kept;     /* a caller waits for it and frees it */
    bool done;
};

struct granary_pool {
    granary_client *client;
    allocation *allocation; /* NULL before its first word */
    char *label;
    pool_state state;
    uint32_t min;
    bool closed;
    ms_t give_at;        /* slots that could not be given back for want of memory are tried again; MS_NEVER = none */
    uint32_t references; /* requests under way that name the pool; the program's own while not closed */
    atomic_bool interrupted;
    slot_call *calls; /* under way */
    slot_call *answers, *last_answer;
};

extern const allocation_owner pool_owner;

/* Where the state's messages go. */
pool_out pool_sink(granary_pool *p);

/* Makes what is due. */
void pool_step(granary_pool *p);

/* The same for all pools of the client whose time has come, and when that is; MS_NEVER. */
void pools_tick(granary_client *c, ms_t now);
ms_t pools_deadline(const granary_client *c);

/* Gives everything back, in order. */
void pool_give_all(granary_pool *p);

void pool_reference(granary_pool *p);
void pool_drop(granary_pool *p); /* frees it when nobody needs it any more */

/* Room for one more slot. STATUS_NO_MEMORY. */
int pool_room(granary_pool *p);

/* Starts the release of a slot; its answer is nobody's. Errors as granary_slot_release(). */
int slot_give(granary_pool *p, const granary_slot *slot);

/* The same for a slot that nobody else will give back: without memory for it, it is tried again until it is done. */
void slot_give_surely(granary_pool *p, const granary_slot *slot);
void slots_give_again(granary_pool *p); /* when give_at has come */

/* A Close was answered: for the release call that waits for it, if any. */
void slot_call_closed(granary_pool *p, uint64_t claim, int status, uint32_t cause, uint64_t peak);

#endif
