/*
 * player.h - one random run: the core, its model, the pretended agents and clients.
 */
#ifndef GRANARY_TEST_TRACE_PLAYER_H
#define GRANARY_TEST_TRACE_PLAYER_H

#include "agent.h"
#include "model.h"

#define HOSTS           5
#define CLIENTS         6
#define USERS           4    /* three, and what counts for the others */
#define CLIENT_REQUESTS 4096 /* of one session */
#define JOURNAL         (8u << 20)

typedef struct {
    uint64_t id, link, number;
    uint64_t acked;                 /* every answer up to here has arrived */
    bool answered[CLIENT_REQUESTS]; /* by number */
    int last_status;                /* the answer to `number` */
    bool attached;
    uint8_t token[16];
    uint32_t user;
} client;

typedef struct {
    uint64_t state; /* of the random numbers */
    uint64_t seed;
    const uint8_t *bytes; /* NULL: numbers come from `state`; else from these */
    size_t bytes_left;
    unsigned step;
    core *core;
    void *arena, *arena_replay;
    core_limits limits;
    event_config_host settings[HOSTS + 2]; /* of each host, of one that never comes, the default ones */
    event_config_user user_settings[USERS];
    core_effects effects;
    uint8_t *journal;
    size_t journal_size;
    ms_t now;
    uint64_t links;
    agent agents[HOSTS];
    client clients[CLIENTS];
    uint64_t notes[NOTE_KINDS]; /* over all runs: what was met at all */
    uint64_t gated;             /* claims of 0 chunks among them */
    uint64_t asked;             /* the allocation that was last asked what it could give */
    model model;
    extent extents[64];
    offer_item items[64];
    generation groups[AGENT_GROUPS];
    core_event last; /* request that was answered, to be repeated */
    char doing[128];
} run;

/* A random number below `below`, of the run's seed or bytes alone; 0 when these are used up. */
uint32_t player_draw(run *r, uint32_t below);

__attribute__((noreturn)) void player_wrong(run *r, const char *judge, const char *why);

void player_start(run *r, uint64_t seed);
/* The same by a fuzzer: every choice is made by `bytes`, borrowed for the run, not NULL. */
void player_start_with(run *r, const uint8_t *bytes, size_t size);

/* Performs the event, then what is due; every judge looks after each step. */
void player_step(run *r, const core_event *e);
/* The event was performed by the caller: the judges look. */
void player_judge(run *r, const core_event *e);
/* The journal gives the same books (I7); also done every few steps. */
void player_prove_replay(run *r);
/* The broker dies and comes back from its journal. */
void player_restart(run *r);

core_event player_hello(run *r, unsigned host);

/* Does one random thing. */
void act_randomly(run *r);

#endif
