/*
 * spawn.h - commands that the library starts in slots, and whose slots it gives back by itself.
 *
 * Each is known by a pidfd in the loop: it rings when the process has ended, reaped or not. Everything with the
 * client's lock held.
 */
#ifndef GRANARY_CLIENT_SPAWN_H
#define GRANARY_CLIENT_SPAWN_H

#include <stdbool.h>

#include "granary.h"

typedef struct spawned spawned;

/* Something happened to this descriptor: if it is a command's that has ended, its slot goes back. False: it is none. */
bool spawned_ended(granary_client *c, int fd);

/* Does a command of ours run in this slot? Then nobody else may release it. */
bool spawned_holds(const granary_pool *p, uint64_t slot);

/* The pool is closed: its commands run on, and nobody waits for them here. */
void spawned_forget(granary_pool *p);

#endif
