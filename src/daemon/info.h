/*
 * info.h - the books as messages: what welcomes, replies and queries show of each noun.
 *
 * Everything is built in the broker's scratch from the core's views and lives until the scratch is reset. A NULL or
 * an empty list says that the scratch is full (scratch.full).
 */
#ifndef GRANARY_DAEMON_INFO_H
#define GRANARY_DAEMON_INFO_H

#include "core/view.h"
#include "granary.pb-c.h"

struct broker;

/* Version and whole set. An allocation that is over has its id alone. */
Granary__AllocationState *info_state(struct broker *b, allocation_id id);
Granary__HostInfo *info_host(struct broker *b, const host_view *v);
Granary__AllocationInfo *info_allocation(struct broker *b, const allocation_view *v);
Granary__WaiterInfo *info_waiter(struct broker *b, const waiter_view *v);
Granary__ClaimInfo *info_claim(struct broker *b, const claim_view *v);
Granary__RecallInfo *info_recall(struct broker *b, const recall_view *v);

/* What a plan would ask back, as messages. */
Granary__PlannedAsk **info_asks(struct broker *b, const planned_ask *from, size_t n);
/* A list of extents, as messages. */
Granary__Extent **info_extents(struct broker *b, const extent *from, size_t n);

/* "pid 123, state /var/lib/granary" */
char *info_broker(struct broker *b);

#endif
