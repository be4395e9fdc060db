/*
 * memory.h - a store in memory: the reference for what a store does, for tests and simulation.
 */
#ifndef GRANARY_STORE_MEMORY_H
#define GRANARY_STORE_MEMORY_H

#include "store/store.h"

/* An empty store. `broker_id` is cut at 32 characters. STATUS_NO_MEMORY. */
int store_memory_open(store **ret, const char *broker_id);

/* Lets the commit, reserve or snapshot_end after `n` more of them fail, as a disk would. */
void store_memory_fail_after(store *s, uint64_t n);

/* As a machine without power leaves it: the last `n` commits are gone, but never one before the last reserve or
 * snapshot, which are synced. Returns how many. For use before store_memory_reopen(). */
uint64_t store_memory_lose(store *s, uint64_t n);

/* As a new process would find it: an unfinished snapshot is gone, a failure is over. */
void store_memory_reopen(store *s, const char *boot_id);

#endif
