/*
 * claim.h - the claims that plain calls opened, and how they ended.
 */
#ifndef GRANARY_CLIENT_CLAIM_H
#define GRANARY_CLIENT_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "granary.h"
#include "granary.pb-c.h"

typedef struct client_claim client_claim;
struct client_claim {
    client_claim *next;
    uint64_t id, allocation;
    bool ended;
    uint64_t over; /* bytes that it was told to use, more than its size; 0 = not told */
    granary_claim_end end;
};

/* A ClaimEnded arrived: for a plain claim, a pool's or a cache's. */
int claims_ended(granary_client *c, const Granary__ClaimEnded *ended);

/* A ClaimOver arrived. Pools and caches are not told: their tasks' peaks are. */
int claims_over(granary_client *c, const Granary__ClaimOver *over);

/* After a reattach: claims that the broker no longer lists have ended. */
void claims_reattach(granary_client *c, const Granary__Welcome *welcome);

/* The session is over. */
void claims_fail(granary_client *c);

void claims_finish(granary_client *c);

#endif
