/*
 * launch.h - the command that a person typed, held at a gate until it is under its limit.
 *
 * The child is forked first, so that it gets ready while the broker is asked. A page shared with it takes the numbers
 * that are known only later, and brings back why exec failed: the page goes with the old program, so an error in it
 * means that the command never ran.
 */
#ifndef GRANARY_CLI_LAUNCH_H
#define GRANARY_CLI_LAUNCH_H

#include <limits.h>
#include <stdint.h>

#include "granary.h"

typedef struct launch_page launch_page;

typedef struct {
    granary_gate gate;
    launch_page *page; /* NULL: nothing was forked */
} launch;

/* 0, or the errno that says why this file cannot be executed. */
int launch_runnable(const char *path);

/* Whether `program` would be found: 0, EXIT_NOT_FOUND or EXIT_NOT_RUNNABLE; *ret_errno says why. Asked before anybody
 * waits for memory. */
int launch_lookup(const char *program, int *ret_errno);

/* The same, and which file execvp() would take. */
int launch_find(const char *program, char ret_path[PATH_MAX], int *ret_errno);

/* Forks the child; it waits at its gate. `socket` not NULL becomes its GRANARY_SOCKET. Errors as granary_gate_fork(),
 * STATUS_NO_MEMORY. */
int launch_fork(launch *ret, char *const argv[], const char *socket);

/* Lets it run, with GRANARY_ALLOCATION and GRANARY_CLAIM ("<books>.<claim>") in its environment. */
int launch_open(launch *l, uint64_t allocation, const char *books, uint64_t claim);

/* After the child ended: errno of its exec, or 0 when the command ran. */
int launch_errno(const launch *l);

/* The exit code that env(1) gives for an errno of exec. */
int launch_exit_of(int error);

/* A child that still waits ends. Does not reap. */
void launch_finish(launch *l);

#endif
