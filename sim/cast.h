/*
 * cast.h - who takes part in a run, thrown by its seed: machines, terms, limits, clients and what they want.
 */
#ifndef GRANARY_SIM_CAST_H
#define GRANARY_SIM_CAST_H

#include "broker.h"
#include "sim.h"

void cast_broker(sim *s, broker_options *ret); /* small tables now and then, short timers, durability */
void cast_hosts(sim *s);                       /* machines and their agents */
void cast_clients(sim *s);                     /* who comes, and what they want */

#endif
