/*
 * claims.h - the table of this host's claims, and which orders are admitted.
 *
 * After a welcome the broker names its live set, then says that it is complete. Before that nothing opens and nothing
 * enters. A generation opens once: it is above every one opened before, or its group exists.
 */
#ifndef GRANARY_AGENT_CLAIMS_H
#define GRANARY_AGENT_CLAIMS_H

#include "agent/claim.h"

typedef struct claims claims;

int claims_create(claims **ret, uv_loop_t *loop, backend *b, watchpid *set, const claim_sink *sink);
/* Lets go of every claim; processes stay, and groups but those that have drained. The loop must run once more, for the
 * handles. */
void claims_stop(claims *all);
void claims_destroy(claims *all);

/* A welcome: these books, which gave generations up to `issued`, before any order. Claims of other books are let go. */
int claims_books(claims *all, const char *books, uint64_t issued);
/*
 * The live set is complete: admits. Groups that are not in it are reported; an empty one whose generation the books
 * gave is over, and removed.
 */
void claims_ready(claims *all, uint64_t sample_ms);
/* Periodic: claims against groups, both ways. A group that is not known is reported once, as claims_ready() does. */
void claims_collect(claims *all);
/* Groups that could not be looked at for want of memory, once more. Cheap when there is nothing. */
void claims_retry(claims *all);
/* The link is gone: orders that wait are dropped, nothing is admitted; claims go on. */
void claims_unlink(claims *all);
/*
 * Carries out an order; takes its pidfd. Answers through the sink, now or later. STATUS_NO_MEMORY: an order that has no
 * answer (EXPECT, END) could not be kept; all must be said again, on a new link.
 */
int claims_order(claims *all, claim_order *order);

/* Calls for each claim with a fresh measurement. STATUS_NOT_FOUND when a group vanished meanwhile. */
typedef void (*claim_visit)(void *context, const claim_view *view, const pids *processes);
int claims_measure(claims *all, bool with_processes, claim_visit visit, void *context);
uint32_t claims_count(const claims *all);

/* Adds the processes of every claim but `but`; in `*ret_holder` the one that has `wanted`, 0 = none. */
int claims_others(const claims *all, uint64_t but, pid_t wanted, pids *to, uint64_t *ret_holder);

#endif
