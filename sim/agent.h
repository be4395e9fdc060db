/*
 * agent.h - the agent of one host: the real claims and samples, on stand-ins for libuv, /proc and the limits groups.
 *
 * What ships and runs here: agent/claims.o, claim*.o, sample.o, members.o. What stands in: uv_now, uv_timer_*,
 * uv_queue_work, uv_close (on the run's clock), watchpid.h, procfs.h, entry.h, pidfds, a backend.h on machine.h. The
 * conversation (agent/link.c) is written again here, on messages: hello with the groups that exist, orders in, answers
 * and samples out.
 */
#ifndef GRANARY_SIM_AGENT_H
#define GRANARY_SIM_AGENT_H

#include "machine.h"

typedef struct agent_node agent_node;

agent_node *agent_create(sim *s, machine *m); /* connects by itself, again and again */
void agent_destroy(agent_node *a);

/* Faults. A crash loses all it knew; it comes back after `down`. Groups and processes stay. */
void agent_crash(agent_node *a, us_t down);
void agent_machine_rebooted(agent_node *a, us_t down); /* after machine_reboot() */
bool agent_is_up(const agent_node *a);

/* The name of a process for the wire: what a pidfd is. 0 is none. */
uint64_t agent_handle(const machine *m, int32_t pid);

#endif
