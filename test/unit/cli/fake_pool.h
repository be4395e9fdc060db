/*
 * fake_pool.h - a broker and its pool inside the test, for the loop of a harvest: same calls, no daemon.
 *
 * Slots are numbers, limits are not enforced, answers arrive with the next dispatch. The test may say how many chunks
 * there are, which chunk is wanted back, and below how many chunks a task counts as out of memory.
 */
#ifndef TEST_CLI_FAKE_POOL_H
#define TEST_CLI_FAKE_POOL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t chunks;       /* how many the pool may hold */
    uint32_t recall_after; /* after so many tasks one chunk is wanted back; 0 = never */
    uint32_t oom_below;    /* tasks in slots of fewer chunks died of their limit */
    uint32_t lost_after;   /* the broker is gone after so many calls; 0 = never */
    uint64_t peak;         /* of every task */

    /* what was seen */
    uint32_t held, busy, busy_most, calls, entered, next, released, given_back, want;
    bool pool_open, client_open;
} fake_state;

extern fake_state fake;

/* Everything as new, `chunks` chunks. */
void fake_reset(uint32_t chunks);

#endif
