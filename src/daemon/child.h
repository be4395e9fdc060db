/*
 * child.h - one program that the supervisor starts, watches, and starts again.
 *
 *   IDLE --start--> RUNNING --its R--> READY --dies--> IDLE (again after a pause that grows)
 *
 * A child that dies again and again before it was ready is given up: restarting would only hide why.
 */
#ifndef GRANARY_DAEMON_CHILD_H
#define GRANARY_DAEMON_CHILD_H

#include <limits.h>
#include <uv.h>

#include "base/units.h"
#include "daemon/control.h"
#include "daemon/identity.h"

#define CHILD_ARGUMENTS   24u
#define CHILD_DESCRIPTORS 2u /* besides the control socket */

/* What to start. Descriptors become 4, 5 in the child; -1 = none. */
typedef struct {
    const char *program; /* "granary-broker" */
    char *arguments[CHILD_ARGUMENTS + 1];
    int descriptors[CHILD_DESCRIPTORS];
    const identity *who; /* NULL: as we are */
} child_command;

typedef struct {
    pid_t pid;       /* 0: does not run */
    int control;     /* our end; -1 */
    uv_poll_t *poll; /* of it */
    ms_t started;
    bool ready;
    unsigned failures; /* deaths in a row that came early */
} child;

/* Finds the program beside our own, else in libexec/granary. STATUS_NOT_FOUND. */
int child_program(const char *name, char to[PATH_MAX]);

/* Forks and executes. `on_control` is called when the control socket is readable, with `userdata` in poll->data. */
int child_start(child *c, uv_loop_t *loop, const child_command *command, uv_poll_cb on_control, void *userdata);

/* After its death was seen: forgets it. */
void child_forget(child *c);

/*
 * Milliseconds to wait before it is started again; -1: it is given up, but never for a shortage of memory, which
 * ends. Call once for each death.
 */
int64_t child_pause(child *c, ms_t now, bool shortage);

#endif
