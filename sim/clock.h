/*
 * clock.h - virtual time: a queue of things to do, in the order of their times; among equal times, of their making.
 *
 * Time is in microseconds since the start of the run; the programs under test see milliseconds of CLOCK_BOOTTIME, which
 * this module answers in the kernel's place (clock_gettime is wrapped by the linker). Each machine's clock may be ahead
 * of the run's: clock_enter() says whose code runs now.
 */
#ifndef GRANARY_SIM_CLOCK_H
#define GRANARY_SIM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"

typedef uint64_t us_t;
#define US_NEVER     UINT64_MAX
#define US_OF_MS(ms) ((us_t)(ms)*1000u)

typedef struct sim_clock sim_clock;
typedef uint64_t clock_job; /* 0 = none */
typedef void (*clock_call)(void *context, uint64_t argument);

sim_clock *clock_create(void); /* ends the program when there is no memory, as all of sim does */
void clock_destroy(sim_clock *c);

us_t clock_now(const sim_clock *c);
/* Calls once at `when` (not before now). */
clock_job clock_at(sim_clock *c, us_t when, clock_call call, void *context, uint64_t argument);
void clock_cancel(sim_clock *c, clock_job *job); /* sets it to 0; 0 is fine, one that was done too */
/* Does the earliest job. False: there is none. */
bool clock_turn(sim_clock *c);
us_t clock_next(const sim_clock *c);      /* of the earliest job; US_NEVER */
uint64_t clock_turns(const sim_clock *c); /* jobs done: the "events" of a run */

/* A machine's own clock: boot time that may leap forward (after a suspend), never back. */
typedef struct {
    us_t ahead;
} machine_clock;

/* What clock_gettime(CLOCK_BOOTTIME) answers from now on, in milliseconds: the run's time plus `m->ahead`, plus
 * CLOCK_EPOCH_MS so that no time is ever 0. */
#define CLOCK_EPOCH_MS 1000000u
void clock_enter(const sim_clock *c, const machine_clock *m);
ms_t clock_ms(const sim_clock *c, const machine_clock *m);
/* The run's time at which that machine's clock shows `ms` (now, when it has passed). */
us_t clock_when(const sim_clock *c, const machine_clock *m, ms_t ms);

#endif
