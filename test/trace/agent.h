/*
 * agent.h - a pretended agent for each host: it keeps the groups that it was ordered to open, and owes answers.
 *
 * It also judges: an order to remove a group whose memory it has not reported drained breaks I4.
 */
#ifndef GRANARY_TEST_TRACE_AGENT_H
#define GRANARY_TEST_TRACE_AGENT_H

#include "core/core.h"

#define AGENT_GROUPS 256
#define AGENT_DEBTS  256

typedef struct {
    uint64_t gen;
    bool drained; /* and told so */
} agent_group;

typedef struct {
    event_kind kind; /* the answer that is owed */
    uint64_t gen, tag;
} agent_debt;

typedef struct {
    bool connected;
    unsigned boots;
    agent_group groups[AGENT_GROUPS];
    unsigned n_groups;
    agent_debt debts[AGENT_DEBTS];
    unsigned n_debts;
    const char *why; /* the first thing that was wrong */
} agent;

/* Takes what the core orders. */
void agent_order(agent *a, const effect_order *order);

/* The i-th answer that it owes, as an event; it is owed no more. `random` chooses how it went. */
core_event agent_answer(agent *a, host_id host, unsigned i, uint32_t random);

/* Its connection breaks; with `reboot` its groups are gone, too. */
void agent_gone(agent *a, bool reboot);

/* Its hello. The event points into `groups`. */
core_event agent_hello(agent *a, const char *name, bytes_t memory, generation groups[AGENT_GROUPS]);

#endif
