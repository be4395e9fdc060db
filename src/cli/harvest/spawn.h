/*
 * spawn.h - starting a task behind its gate without copying the harvest: see src/gate/gate.c.
 *
 * The child shares the harvest's memory until it executes granary-gate, a moment later; the harvest stands still for
 * that moment. Where that program is not there, or a task's file is not found, the caller forks instead.
 */
#ifndef GRANARY_CLI_HARVEST_SPAWN_H
#define GRANARY_CLI_HARVEST_SPAWN_H

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "granary.h"

typedef struct {
    char gate[PATH_MAX]; /* granary-gate; "" = none: fork */
    char self[PATH_MAX]; /* this program */
    char **environment;  /* of the tasks: owned is the array, with its first strings */
    unsigned n_owned;
    char *name; /* owned: that was looked up last, and where it was found */
    char file[PATH_MAX];
} harvest_spawner;

/* What a child gets. All are borrowed. */
typedef struct {
    char *const *argv;
    int in, out, err;
    const sigset_t *mask;
    const struct sigaction *pipe_action; /* of SIGPIPE */
    const struct rlimit *files;          /* NULL: as the harvest has it */
} harvest_child;

/* `books` as granary_broker_id(); `socket` for GRANARY_SOCKET, NULL = as it is. Errors: STATUS_NO_MEMORY. */
int harvest_spawner_init(harvest_spawner *ret, const char *books, const char *socket);
void harvest_spawner_finish(harvest_spawner *s); /* zeroes are fine */

/*
 * Fills `*ret` as granary_gate_fork() does in the parent. STATUS_NOT_FOUND: not this way, fork it; nothing was started.
 * Errors: STATUS_SYSTEM (errno), STATUS_NO_MEMORY.
 */
int harvest_spawn(harvest_spawner *s, const harvest_child *child, granary_gate *ret);

/* Opens such a gate. Errors: STATUS_DEAD: the child died at it. SIGPIPE must be ignored. */
int harvest_spawn_open(granary_gate *gate, uint64_t allocation);

/* Executes a task's words in this process, or says why not, and ends it with the status that env(1) gives. */
_Noreturn void harvest_exec(char *const argv[]);

#endif
