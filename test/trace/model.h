/*
 * model.h - the ledger once more, slow and obvious: lists, loops, no code of the core.
 *
 * Which host gets a grant, which recall is made, is the core's decision: the model takes it from what the core
 * says, and judges whether it was allowed. What follows from an event by the rules of the ledger the model works
 * out by itself, and compares with every column, holding and claim that the core shows.
 */
#ifndef GRANARY_TEST_TRACE_MODEL_H
#define GRANARY_TEST_TRACE_MODEL_H

#include "core/core.h"
#include "core/view.h"

#define MODEL_HOSTS       8
#define MODEL_SESSIONS    256
#define MODEL_ALLOCATIONS 1024
#define MODEL_CLAIMS      2048
#define MODEL_USERS       8

typedef struct {
    bool known, there, connected, fresh, draining; /* known: to the books; there: its agent came */
    bool heard, lost;                              /* in this life of the broker */
    char name[NAME_MAX_HOST], boot[40];
    bytes_t physical, told, total, aside, last_raw, foreign, cover;
    bool configured; /* by its name; else what is given are the defaults */
    bytes_t given_total, given_aside;
    char labels[LABELS_MAX];
} model_host;

typedef struct {
    uint64_t id;
    bool alive, attached, operator_;
    uint32_t user;
} model_session;

typedef struct {
    uint64_t id, owner; /* owner 0: gone */
    uint32_t user, flags;
    bool orphaned; /* in this step */
    bytes_t chunk;
    chunks_t want, min, first_want;
    char filter[FILTER_MAX];
    bool waiting, ending, grew; /* grew: in this step */
    chunks_t held[MODEL_HOSTS], returning[MODEL_HOSTS];
} model_allocation;

typedef struct {
    uint64_t gen, allocation;
    uint32_t host;
    chunks_t chunks, resize, before; /* resize: what a shrink asked for, 0 = none; before: what it had then */
    claim_state state;
} model_claim;

typedef struct {
    model_host hosts[MODEL_HOSTS];
    model_session sessions[MODEL_SESSIONS];
    unsigned n_sessions;
    model_allocation allocations[MODEL_ALLOCATIONS]; /* id 0: over */
    unsigned n_allocations;
    model_claim claims[MODEL_CLAIMS]; /* gen 0: over */
    unsigned n_claims;
    event_config_host defaults;
    bytes_t default_quota;
    struct {
        bool configured;
        bytes_t quota;
    } users[MODEL_USERS]; /* by the last digits of their number */
    bool tight;           /* tables are small: not everything that fits can be granted */
    const core *core;     /* during a comparison */
    char why[256];        /* the first thing that was wrong; "" = nothing */
} model;

/* Of an empty core. */
void model_start(model *m, bool tight);

/* One step of the core, with what came out of it. */
void model_step(model *m, const core *c, const core_event *e, const core_effects *effects);

/* The broker was restarted: what is soft is gone. */
void model_restart(model *m);

/* Compares everything with what the core shows; takes its grants over. `settled`: nothing is due now. */
void model_compare(model *m, const core *c, bool settled);

model_allocation *model_allocation_find(model *m, uint64_t id);
model_claim *model_claim_find(model *m, uint64_t gen);
model_session *model_session_find(model *m, uint64_t id);
chunks_t model_claimed(const model *m, const model_allocation *a, uint32_t host);

#endif
