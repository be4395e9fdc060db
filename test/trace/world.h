/*
 * world.h - a core, the clock around it, its journal, and names for what a scenario talks about.
 *
 * Every step is judged: core_check(), and the journal so far replayed into a second core must give the same
 * export, byte for byte (I7).
 */
#ifndef GRANARY_TEST_TRACE_WORLD_H
#define GRANARY_TEST_TRACE_WORLD_H

#include <stdio.h>

#include "core/core.h"
#include "core/view.h"

#define NAMES_MAX 64

typedef struct {
    char name[16];
    uint64_t id;
} named;

typedef struct {
    named session_name;
    uint64_t link; /* 0 while it has no connection */
    uint64_t last_number;
    uint8_t token[16];
    user_id user;
    bool operator_;
} trace_session;

typedef struct {
    named allocation_name;
    uint64_t owner; /* session id: who asks, unless the script says "by" */
} trace_allocation;

typedef struct {
    core *core;
    void *arena, *arena_replay;
    core_limits limits;
    core_timers timers;
    ms_t now;
    core_effects effects;

    uint8_t *journal; /* encoded records */
    size_t journal_size, journal_capacity;

    trace_session sessions[NAMES_MAX];
    unsigned n_sessions;
    trace_allocation allocations[NAMES_MAX];
    unsigned n_allocations;
    named *bind_session, *bind_allocation; /* get their number from the next reply */
    uint64_t links, handles;
    struct {
        uint64_t gen, tag;
    } tags[256]; /* of the last order for a claim */
    unsigned n_tags;

    core_event again;            /* the last request */
    extent extents[EXTENTS_MAX]; /* what the event being built points to */
    offer_item items[OFFER_MAX];
    generation groups[256];

    bool show_records;
    FILE *out;
    char **transcript; /* what `out` has taken so far: shown when a check fails */
} world;

void world_init(world *w, FILE *out, char **transcript);
void world_finish(world *w);
void world_start(world *w); /* makes the core by limits and timers */

/* Performs the event, then every tick that is due at once; prints what came out. A failed check ends the run. */
void world_step(world *w, const core_event *event);

/* Lets time pass, deadline by deadline. */
void world_pass(world *w, ms_t span);

/* The broker dies and comes back from its journal; `reboot`: of the machine. */
void world_restart(world *w, bool reboot);

/* Names. The second kind returns NULL when there is none. */
const char *world_session_name(const world *w, session_id id);
const char *world_allocation_name(const world *w, allocation_id id);
const char *world_host_name(const world *w, host_id id);
trace_session *world_session(world *w, const char *session);
trace_session *world_session_by_id(world *w, uint64_t id);
trace_allocation *world_allocation(world *w, const char *allocation);

/* A new name, whose number the reply of the next step tells. */
void world_bind_session(world *w, const char *as, const event_session *e);
void world_bind_allocation(world *w, const char *as, uint64_t owner);
uint64_t world_tag(const world *w, uint64_t gen);

#endif
