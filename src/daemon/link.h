/*
 * link.h - the connection to a host's agent.
 *
 * The supervisor makes it and sends each side its end; it may be replaced at any moment. Orders wait in a queue of
 * their own until the turn's commit, then go out as fast as the agent reads. A descriptor that came with a request goes
 * with the one order that names it, as a copy; the request's own is closed when its step is over.
 *
 * A link that there is no memory for fails, and the agent asks for another. A broker that starves at its links for some
 * seconds ends with EXIT_NO_MEMORY: one that is started in its place may fare better, and the supervisor can give up.
 */
#ifndef GRANARY_DAEMON_LINK_H
#define GRANARY_DAEMON_LINK_H

#include <uv.h>

#include "core/effect.h"
#include "granary.pb-c.h"
#include "proto/channel.h"

struct broker;

#define LINK_PIDS_MAX 16u /* named for one claim; the count may be higher */
#define LINK_HANDLE   1u  /* the core's name for the descriptor of the request in hand */

typedef struct {
    uint16_t type;
    int fd; /* -1, or a copy that the queue owns */
    Granary__AgentClaim claim;
    bool plain; /* not an AgentClaim: `welcome` or `ready` below are filled */
    uint64_t highest;
} link_order;

typedef struct {
    uint64_t gen;
    uint32_t n;
    int32_t pids[LINK_PIDS_MAX];
} link_claim;

typedef struct {
    channel *channel; /* NULL: not connected */
    uv_poll_t *poll;  /* freed when its close is done */
    int events;       /* polled for */
    bool greeted;     /* AgentHello came */
    bool named;       /* `host` is known, also while not connected */
    bool dirty;
    uint32_t starved; /* links in a row, since the last sample, that failed for want of memory */
    host_id host;
    char enforcement[32];
    char enforcement_reason[192];
    link_order *orders; /* a queue: from `first`, `n_orders` long */
    uint32_t first, n_orders, capacity;
    link_claim *claims; /* of the last sample, by gen */
    uint32_t n_claims, claims_capacity;
    bool sampled; /* `claims` are of this connection */
    struct {
        uint64_t tag;
        const char *text; /* borrowed */
    } refusal;            /* of the answer that is being taken: why the agent could not; "" or NULL = none */
} host_link;

/* Takes over a new end, in place of the one there was. */
void link_connect(struct broker *b, int fd);
void link_close(struct broker *b);

/* Drops the connection and asks for another one, which begins with hello and the whole live set. */
void link_renew(struct broker *b, const char *why);

/* Queues an order of the core. */
void link_order_add(struct broker *b, const effect_order *order);

/* Lets queued orders go; called after the commit only. */
void link_flush(struct broker *b);

/* Processes of a claim in the last sample; `*ret` is borrowed. */
size_t link_pids(const host_link *l, generation gen, int32_t **ret);

#endif
