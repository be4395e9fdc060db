/*
 * spawn.h - starting a task behind its gate without copying the harvest: see src/gate/gate.c.
 *
 * The child shares the harvest's memory until it executes granary-gate, a moment later; the harvest stands still for
 * that moment. A task's file that is not found, or that the kernel does not execute, is left to `granary exec-task`
 * behind the gate, which says why.
 */
#ifndef GRANARY_CLI_HARVEST_SPAWN_H
#define GRANARY_CLI_HARVEST_SPAWN_H

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "granary.h"

typedef struct {
    char gate[PATH_MAX];    /* granary-gate */
    char program[PATH_MAX]; /* the granary program */
    char **environment;     /* of the tasks: owned is the array, with its first strings */
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

/*
 * Finds granary-gate: beside the granary program, whose whole path is `program`, else where the daemons are. Errors,
 * with a sentence in `why`: STATUS_NOT_FOUND, STATUS_DENIED: there is one, which may not be executed.
 */
int harvest_spawner_init(harvest_spawner *ret, const char *program, char *why, size_t size);

/*
 * Makes the environment of the tasks, once. `books` as granary_broker_id(); `socket` for GRANARY_SOCKET, NULL = as it
 * is. Errors: STATUS_NO_MEMORY.
 */
int harvest_spawner_environ(harvest_spawner *s, const char *books, const char *socket);
void harvest_spawner_finish(harvest_spawner *s); /* zeroes are fine */

/*
 * Fills `*ret` as granary_gate_fork() does in the parent. On failure nothing runs. Errors: STATUS_LIMIT: the words and
 * the environment together are more than the kernel takes; STATUS_NOT_FOUND: granary-gate cannot be executed (errno);
 * STATUS_SYSTEM (errno), STATUS_NO_MEMORY.
 */
int harvest_spawn(harvest_spawner *s, const harvest_child *child, granary_gate *ret);

/* Opens such a gate. Errors: STATUS_DEAD: the child died at it. SIGPIPE must be ignored. */
int harvest_spawn_open(granary_gate *gate, uint64_t allocation);

/* Executes a task's words in this process, or says why not, and ends it with the status that env(1) gives. */
_Noreturn void harvest_exec(char *const argv[]);

#endif
