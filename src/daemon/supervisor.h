/*
 * supervisor.h - granaryd itself: takes the locks, opens the socket, starts broker and agent, joins them, and
 * starts again what dies.
 *
 *   STARTING  the broker first; when it has told the id of its books, the agent; then a link for both
 *   SERVING   the broker has said that clients can be served: --ready-fd hears it
 *   ENDING    TERM or INT, or a child that is given up: both children are asked to end, after five seconds made to
 */
#ifndef GRANARY_DAEMON_SUPERVISOR_H
#define GRANARY_DAEMON_SUPERVISOR_H

#include "daemon/log.h"
#include "daemon/options.h"

/* Runs granaryd until it ends; an EXIT_* code. `c` is complete (options_apply), `config_path` "" for none. */
int supervisor_run(const options *o, const config *c, const char *config_path, log_book *log);

/* What a child's death (a status of wait(2)) means: an exit code for granaryd to end with, or -1 to start it again. */
int supervisor_verdict(bool is_broker, int status);

#endif
