/*
 * sim.h - one run: hosts, agents, a broker, clients, a net between them, a clock and one seed.
 *
 * The core, the library's pool state and the agent's claims are the objects that ship; the parts around them are put
 * together from a plan. Everything that happens is a job of the clock. Same plan and same seed: the same run, byte for
 * byte (sim_hash). A sentence of a judge ends the run.
 */
#ifndef GRANARY_SIM_SIM_H
#define GRANARY_SIM_SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "clock.h"
#include "rng.h"

#define SIM_HOSTS   16u
#define SIM_CLIENTS 48u

typedef struct sim sim;

/* Parts; each in the file of its name. */
struct net;
struct broker_node;
struct agent_node;
struct machine;
struct client_node;
struct judges;
struct faults;

typedef struct {
    uint64_t seed;
    uint32_t hosts, clients; /* 0 = dice */
    us_t busy;               /* faults and new work come until then */
    us_t quiet;              /* then work ends and everything must have settled within this */
    bool faults;             /* false: nothing goes wrong */
    bool liars;              /* some clients break rules */
    bool unchecked;          /* the core does not check itself after each step: the judges are alone */
    FILE *trace;             /* NULL = none */
} sim_plan;

struct sim {
    sim_plan plan;
    sim_clock *clock;
    struct net *net;
    struct broker_node *broker;
    uint32_t n_hosts;
    struct machine *machines[SIM_HOSTS]; /* one host, one agent */
    struct agent_node *agents[SIM_HOSTS];
    uint32_t n_clients;
    struct client_node *clients[SIM_CLIENTS];
    struct judges *judges;
    struct faults *faults;
    bool settling;   /* after `busy`: nothing new goes wrong, clients end */
    uint64_t hash;   /* of everything that was sent */
    char wrong[512]; /* the first thing that a judge found; "" = none */
};

/* What a run came to. */
typedef struct {
    bool ok;
    char wrong[512];
    us_t ended; /* virtual time */
    uint64_t events, messages, hash;
    uint64_t steps; /* of the core */
} sim_outcome;

/* Plays a whole run. */
sim_outcome sim_run(const sim_plan *plan);

/* A judge's sentence; only the first is kept. The run ends after the present job. */
void sim_wrong(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line of the trace: time, who, what. Nothing is formatted when there is no trace. */
#define sim_say(s, who, ...) ((s)->plan.trace ? sim_say_line((s), (who), __VA_ARGS__) : (void)0)
void sim_say_line(sim *s, const char *who, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* malloc that ends the program: a simulator without memory has no result. */
void *sim_alloc(size_t size);
void *sim_grow(void *old, size_t size);

#endif
