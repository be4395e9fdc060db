/*
 * options.h - the command line of granaryd, and what it means together with granary.conf.
 */
#ifndef GRANARY_DAEMON_OPTIONS_H
#define GRANARY_DAEMON_OPTIONS_H

#include "daemon/config.h"

/* Exit codes of granaryd and granary-broker, which has one more: EXIT_NO_MEMORY of base/reserve.h. Documented in
 * granaryd(8); never renumber. */
enum {
    EXIT_ORDERLY = 0,
    EXIT_OTHER = 1,
    EXIT_WRONG_USAGE = 2, /* or an error in the configuration */
    EXIT_RUNNING = 3,     /* another broker holds the machine, the socket or the state directory */
    EXIT_STATE = 4,       /* the state directory cannot be used: corrupt, foreign, not ours */
    EXIT_STORE = 5,       /* a commit failed */
};

typedef struct {
    bytes_t memory;    /* 0 = not given */
    bytes_t set_aside; /* UINT64_MAX = not given */
    const char *state; /* NULL = not given; borrowed from argv, as the others */
    const char *socket;
    const char *config;
    int ready_fd; /* -1 = none */
    bool user_instance, check_config, version, help;
} options;

/*
 * Parses argv. 0, or STATUS_INVALID with a sentence in `why`.
 */
int options_parse(options *o, int argc, char **argv, char *why, size_t why_size);

extern const char options_help[];

/*
 * Fills the empty paths of `c` with their defaults: /run/granary and /var/lib/granary for root's broker, the user's
 * own directories else. Options win over the file. STATUS_INVALID when a path would be too
 * long, or nothing would be left to lease.
 */
int options_apply(const options *o, config *c, bool system, char *why, size_t why_size);

/* Where the configuration is read from: --config, else the default file if it exists, else "" (none). */
const char *options_config_path(const options *o, bool system, char *to, size_t size);

#endif
