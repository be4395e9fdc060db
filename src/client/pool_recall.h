/*
 * pool_recall.h - what is shared by the two halves of the pool's state: slots (pool_state.c) and recalls
 * (pool_recall.c).
 */
#ifndef GRANARY_CLIENT_POOL_RECALL_H
#define GRANARY_CLIENT_POOL_RECALL_H

#include "client/pool_state.h"

pool_host *pool_host_find(const pool_state *p, uint32_t id);
uint32_t pool_host_held(const pool_host *h); /* without what is leaving */
uint32_t pool_host_idle(const pool_state *p, const pool_host *h);
uint32_t pool_host_plain(const pool_state *p, const pool_host *h);

void pool_slot_remove(pool_state *p, pool_slot *s);

/* Orders the end of the slot's claim. False: it has none, or the message was not taken. */
bool pool_slot_close(pool_slot *s, pool_out out);

/* Would a chunk on this host that is idle now be given back? */
bool pool_host_wanted(const pool_state *p, uint32_t host);

bool pool_recalls_check(const pool_state *p);

#endif
