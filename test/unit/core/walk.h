/*
 * walk.h - a long seeded walk: hosts with their machines, sessions, what was met. machines.c is what agents do,
 * clients.c what clients ask for.
 */
#ifndef TEST_CORE_WALK_H
#define TEST_CORE_WALK_H

#include "world.h"

enum { HOSTS = 5, SESSIONS = 12, GROUPS = 512, ORDERS = 4096 };

typedef struct {
    generation gen;
    bytes_t bytes;
    bool ending, running;
} group;

typedef struct {
    bool connected;
    char boot[8];
    uint32_t boots;
    host_id id;
    bytes_t total;
    bytes_t foreign;
    group groups[GROUPS];
    uint32_t n_groups;
    effect_order orders[ORDERS]; /* not yet carried out */
    uint32_t n_orders;
} machine;

typedef struct {
    world w;
    uint64_t seed;
    machine m[HOSTS];
    session_id sessions[SESSIONS];
    bool attached[SESSIONS];
    uint32_t gated, n_offers, n_restarts, grants, recalls, drained, revoked, replies, limits;
    bool reloads; /* its settings change: hosts may be overdrawn by that */
    bool tiny;    /* the tables are too small: a refusal must leave no trace */
    char before[1u << 16], after[1u << 16];
} sim;

/* A random number of the seed alone; the same below n. */
uint64_t walk_roll(sim *s);
uint32_t walk_below(sim *s, uint32_t n);

/* What the core asked for is queued at the machines; what was decided is counted. */
void walk_absorb(sim *s);
/* One step, and what is due at once; a refusal for lack of room must leave no trace. */
void walk_step(sim *s, const core_event *e);

/* It carries its oldest order out, or refuses. */
void machine_obeys(sim *s, machine *m);
/* A task of it ends, or its group drains. */
void machine_task_ends(sim *s, machine *m);
/* It connects, and tells its first sample. */
void machine_hello(sim *s, machine *m, bool reboot);
/* No machine is asked to hold more than was sold there, and no sum is above its total by a grant. */
void machine_judge(sim *s);

void client_opens(sim *s, uint32_t i);
void client_event(sim *s, uint32_t i, event_kind kind);
/* One request at random. */
void client_asks(sim *s, uint32_t i);

#endif
