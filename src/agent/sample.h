/*
 * sample.h - one measurement of the host: what is in use, and what of it claims use.
 */
#ifndef GRANARY_AGENT_SAMPLE_H
#define GRANARY_AGENT_SAMPLE_H

#include "agent/claims.h"
#include "proto/scratch.h"

#define SAMPLE_PIDS_MAX 16u /* named for each claim, for screens; `processes` tells how many there are */

typedef struct {
    claim_view view;
    pid_t pids[SAMPLE_PIDS_MAX];
    uint32_t n_pids;
} sample_row;

typedef struct {
    bytes_t in_use;      /* MemTotal - MemAvailable: page cache that can be dropped is not in use */
    bytes_t claims_used; /* of it, what claims use, each at most its size: what goes beyond is foreign */
    sample_row *rows;
    uint32_t count;
} sample;

/*
 * Measures claims, then the host, then claims again. STATUS_STALE when the set of groups changed meanwhile: the sample
 * is worth nothing, take the next one. The rows lie in `room`, so that measuring goes on when there is no memory;
 * STATUS_NO_MEMORY when they do not fit.
 */
int sample_take(sample *ret, claims *all, const procfs *proc, scratch *room);

#endif
