/*
 * agent_life.h - one life of an agent's process: the claims and samples that ship, from its start to its end.
 *
 * A neutral ground: agent.c speaks with the broker in the core's words, agent_life.c with the claims in the agent's,
 * and some of those are spelt alike. What is here includes neither.
 *
 * Nothing here is called back but from the calls below and from jobs of the clock.
 */
#ifndef GRANARY_SIM_AGENT_LIFE_H
#define GRANARY_SIM_AGENT_LIFE_H

#include "machine.h"

typedef struct agent_life agent_life;

typedef enum { LIFE_EXPECT = 1, LIFE_OPEN, LIFE_ENTER, LIFE_LIMIT, LIFE_EMPTY, LIFE_END, LIFE_CLOSE } life_order_kind;

typedef struct {
    life_order_kind kind;
    uint64_t gen;
    bytes_t bytes, chunk_size;
    uint32_t uid;
    uint64_t tag;
    int32_t root_pid;
    uint64_t root_start;
    bool by_operator, fresh, kill, ending, running;
    int32_t pid; /* of this machine, whose pidfd comes along; 0 = none */
} life_order;

typedef struct {
    life_order_kind kind; /* of the order */
    uint64_t gen, tag;
    int status;
    int cause; /* as the protocol numbers it */
    bytes_t peak;
    uint64_t other;
    int32_t root_pid;
    uint64_t root_start;
    const char *text;
} life_answer;

typedef struct {
    uint64_t gen;
    bytes_t used, peak;
    uint32_t processes;
    int cause;
} life_use;

typedef struct {
    void *context;
    void (*answer)(void *context, const life_answer *a);
    void (*drained)(void *context, const life_use *u);
    void (*use)(void *context, const life_use *u); /* of each claim, while a sample is taken */
    void (*notice)(void *context, const char *text);
} life_sink;

agent_life *life_start(sim *s, machine *m, const life_sink *sink);
/* `polite`: told to stop, it removes what has drained; else it was killed: the machine stays as it is. Says through
 * sim_wrong() what it leaked. NULL is fine. */
void life_end(agent_life *l, bool polite);

const char *life_enforcement(const agent_life *l); /* "cgroup v2" ... */
bool life_limited(const agent_life *l);
/* The groups of these books that exist: allocated, the caller's. */
int life_groups(agent_life *l, uint64_t **ret, uint32_t *ret_n);
/* A welcome, the end of the live set, an order, the end of the link: see agent/claims.h. */
int life_welcome(agent_life *l, uint64_t issued);
void life_ready(agent_life *l, uint64_t sample_ms);
int life_order_take(agent_life *l, const life_order *order);
void life_unlink(agent_life *l);
void life_collect(agent_life *l);
/* As agent/link.c does it at each tick. Negative: there is none this time. */
int life_sample(agent_life *l, bytes_t *ret_in_use, bytes_t *ret_claims_used);

#endif
