/*
 * limits.h - every maximum of the core, each with its reason.
 *
 * Table sizes are chosen when the core starts (core_limits); what is fixed in the shape of
 * messages and records stands here.
 */
#ifndef GRANARY_CORE_LIMITS_H
#define GRANARY_CORE_LIMITS_H

#include <stdint.h>

#define LABEL_MAX      64u   /* bytes with the final NUL: fits one column of a terminal table */
#define NAME_MAX_HOST  64u   /* HOST_NAME_MAX of Linux, with the NUL cut at 63 */
#define LABELS_MAX     128u  /* a host's labels, "gpu,rack=7", with the NUL */
#define FILTER_MAX     192u  /* a request's host filter, with the NUL */
#define COMMAND_MAX    128u  /* what a claim says it runs, with the NUL; cut, never refused */
#define EXTENTS_MAX    1024u /* hosts of one allocation, and in one message: 16 bytes each stay far below a frame */
#define OFFER_MAX      256u  /* end estimates in one offer */
#define ANSWERS_MAX    64u   /* kept answers for a session (I12) */
#define HOST_BYTES_MAX (1ull << 56) /* of one host: the sum of all its columns stays far below 64 bits */
#define NUMBER_MAX     (1ull << 44) /* of allocations, sessions, claims, recalls: the next one is always there */
#define EFFECTS_MAX    4096u        /* effects of one step; longer work goes on in the next tick */
#define RECALLS_OPEN   256u /* open recalls of one allocation, and for one request: withdrawing all fits a step */

_Static_assert(OFFER_MAX <= EXTENTS_MAX, "an offer never names more hosts than a message may");

/* How many of each the arena holds. All are at least 1. */
typedef struct {
    uint32_t hosts;
    uint32_t users;
    uint32_t sessions;
    uint32_t allocations;
    uint32_t holdings; /* (allocation, host) pairs */
    uint32_t claims;
    uint32_t recalls;
    uint32_t answers; /* over all sessions */
} core_limits;

#endif
