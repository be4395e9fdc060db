/*
 * halt.h - when a harvest ends early: "never", "soon,fail=3", "now,fail=1", "soon,fail=20%".
 *
 * "soon": no new tasks, running ones finish. "now": running ones are stopped. A percentage is of the tasks that
 * have ended, and is looked at once HARVEST_HALT_SAMPLE have ended. "success=" and "done=" count those instead.
 */
#ifndef GRANARY_CLI_HARVEST_HALT_H
#define GRANARY_CLI_HARVEST_HALT_H

#include <stdbool.h>
#include <stdint.h>

#define HARVEST_HALT_SAMPLE 3u

typedef enum { HALT_NEVER = 0, HALT_SOON, HALT_NOW } halt_when;
typedef enum { HALT_FAIL = 0, HALT_SUCCESS, HALT_DONE } halt_what;

typedef struct {
    halt_when when;
    halt_what what;
    uint32_t limit; /* tasks, or percent */
    bool percent;
} harvest_halt;

/* Errors: STATUS_INVALID with a sentence in `*ret_why` (static). */
int harvest_halt_parse(const char *text, harvest_halt *ret, const char **ret_why);

/* Is it time? `ended` tasks, of them `failed`. */
bool harvest_halt_due(const harvest_halt *halt, uint64_t ended, uint64_t failed);

#endif
