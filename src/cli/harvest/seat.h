/*
 * seat.h - tasks in slots of the pool. See run.h for the states.
 *
 * When a task ends and another waits, that one enters the same slot in one round trip (SEAT_SWITCHING). When the
 * slot is wanted back, or nothing waits, or a task that needs several chunks is to be served, the slot is released.
 */
#ifndef GRANARY_CLI_HARVEST_SEAT_H
#define GRANARY_CLI_HARVEST_SEAT_H

#include "cli/harvest/run.h"

/* Takes every slot that the pool has and a task can use, and tells the pool how many chunks are of use. */
void harvest_seat_fill(harvest_run *run);

/* Takes the answers that have arrived. False: there was none. */
bool harvest_seat_answers(harvest_run *run);

/* A child was reaped. False: it is none of ours. */
bool harvest_seat_reaped(harvest_run *run, int pid, int wait_status, uint64_t now_ms);

/* The broker is gone for good: what was asked of it will not be answered. */
void harvest_seat_lost(harvest_run *run);

#endif
