/*
 * work.h - where tasks come from, and what follows from their end. See run.h.
 */
#ifndef GRANARY_CLI_HARVEST_WORK_H
#define GRANARY_CLI_HARVEST_WORK_H

#include "cli/harvest/run.h"

/*
 * The next task to run in one chunk, IDLE: one to be run again, else one of the next input. NULL: none now. Inputs that
 * cannot be run, or were done before, are dealt with on the way.
 */
harvest_task *harvest_work_next(harvest_run *run);

/* The same, forked and waiting at its gate: a spare one, else a new one. NULL: none now. */
harvest_task *harvest_work_gated(harvest_run *run);

/* Forks ahead, when tasks are so short that it matters. */
void harvest_work_prepare(harvest_run *run);

/* IDLE -> GATED. False: it cannot be; it was dealt with: refused, or the harvest fails. */
bool harvest_work_fork(harvest_run *run, harvest_task *task);

/* A task that finds no place now waits in its queue, before the others. */
void harvest_work_put_back(harvest_run *run, harvest_task *task);

/* An ended task, its streams complete: log it, then run it again or count and print it. Owns the task. `end` may be
 * NULL. */
void harvest_work_ended(harvest_run *run, harvest_task *task, const granary_claim_end *end);

/* A gated process died by itself: its task is tried again, a few times. Owns the task. */
void harvest_work_gate_died(harvest_run *run, harvest_task *task);

/* Nothing new is started any more: drops what waits. */
void harvest_work_drop(harvest_run *run);

/* Is there, or may there come, anything to start? */
bool harvest_work_left(const harvest_run *run);

#endif
