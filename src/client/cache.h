/*
 * cache.h - programs that use their chunks themselves, as the loop sees them.
 */
#ifndef GRANARY_CLIENT_CACHE_H
#define GRANARY_CLIENT_CACHE_H

#include "base/units.h"
#include "granary.h"

/* Starts what is due. Lock held. */
void caches_tick(granary_client *c, ms_t now);

/* When caches_tick() is due; MS_NEVER. */
ms_t caches_deadline(const granary_client *c);

/* Calls the program where a cache must shrink or may grow: without the lock, which is held before and after. */
void caches_call(granary_client *c);

#endif
