/*
 * whois.h - a waiting task, known at a glance.
 *
 * Short tasks enter one after another, and to read about each in /proc costs the agent more than the rest of its work.
 * A process that still runs granary-gate has one thread, no children and no memory of its own, whoever started it: so
 * of it only the user needs to be asked, which newer kernels (Linux 6.13) tell of a pidfd in one call.
 */
#ifndef GRANARY_AGENT_WHOIS_H
#define GRANARY_AGENT_WHOIS_H

#include "agent/procfs.h"

/* Learns which file is granary-gate: the one beside this program. Without it nothing is known at a glance. */
void whois_find_gate(procfs *p);

/* The process behind a pidfd, if it waits in granary-gate. STATUS_NOT_FOUND: it does not, or this kernel cannot tell:
 * ask /proc. STATUS_DEAD. */
int whois_waiting(const procfs *p, int pidfd, pid_t *ret_pid, procfs_process *ret);

#endif
