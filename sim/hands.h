/*
 * hands.h - a client that does by hand what the library does: a task for each chunk that it holds, each in a claim of
 * its own, and recalls answered in one of the simpler ways. The ways 1, 2 and 2a, firm commands and liars are made of
 * it.
 */
#ifndef GRANARY_SIM_HANDS_H
#define GRANARY_SIM_HANDS_H

#include "client_inner.h"

#define HANDS_RECALLS 64u

typedef struct {
    uint64_t id;
    host_id host; /* HOST_NONE: any */
    chunks_t left;
} hands_recall;

typedef struct {
    hands_recall recalls[HANDS_RECALLS];
    uint32_t n_recalls;
    uint32_t begun, running; /* tasks ever; now, with claims that are being closed */
    chunks_t closing[64];    /* by host: chunks whose claim is being closed */
    chunks_t leaving[64];    /* by host: released, unanswered */
    bool settling, gave_all;
} hands;

/* Every chunk that is idle goes to a recall that is open, or gets a task; ends the client when there is nothing left to
 * do. */
void hands_step(client_node *c);
void hands_start(client_node *c);
void hands_changed(client_node *c);
void hands_ended(client_node *c);
void hands_recalled(client_node *c, const effect_push *p);
void hands_withdrawn(client_node *c, uint64_t recall);
void hands_attached(client_node *c, const message *welcome);
void hands_settle(client_node *c);

/* Chunks on a host that no task and no unanswered message stands for. */
chunks_t hands_idle(const client_node *c, host_id host);
/* Releases, for a recall or (0) by its own wish. */
void hands_release(client_node *c, uint64_t recall, host_id host, chunks_t chunks);

#endif
