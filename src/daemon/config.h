/*
 * config.h - granary.conf: `key = value` lines, sections `[host NAME]` and `[user NAME]`, `#` comments.
 *
 * Keys are one table (config.c): it parses, checks ranges, prints back and names what is known. What the
 * keys mean stands in granary.conf(5).
 */
#ifndef GRANARY_DAEMON_CONFIG_H
#define GRANARY_DAEMON_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/core.h"
#include "daemon/log.h"

#define CONFIG_HOSTS_MAX 1024u /* sections; a file is written by people */
#define CONFIG_USERS_MAX 4096u
#define CONFIG_LINE_MAX  1024u

typedef struct {
    event_config_host *hosts; /* in the order of the file; name "*" = defaults */
    uint32_t n_hosts;
    event_config_user *users;
    char (*user_names)[NAME_MAX_HOST]; /* as written, for printing back */
    uint32_t n_users;

    char user[NAME_MAX_HOST]; /* whom the broker runs as; "" = default */
    char state[PATH_MAX];     /* "" = default */
    char socket[PATH_MAX];    /* "" = default */
    bytes_t memory;           /* 0 = what the agent measures */
    bytes_t set_aside;        /* UINT64_MAX = the default rule */
    bool power;               /* durability: each commit is synced */
    uint64_t sample_ms;
    uint64_t collect_ms; /* between two comparisons of books and reality */
    ms_t idle_exit;      /* user instances; 0 = never */
    uint64_t connections, connections_per_user;
    log_level log_level;
    core_timers timers;
    core_limits limits;
} config;

/* Every key at its default. */
void config_init(config *c);
void config_finish(config *c); /* a zeroed one is fine */

/*
 * Reads `path` over the defaults into `c` (which config_init() made). Errors: STATUS_SYSTEM (cannot be read),
 * STATUS_INVALID, STATUS_NO_MEMORY; `why` then holds "file:line: what is wrong and what to do", and `c` must be
 * finished.
 */
int config_read(config *c, const char *path, char *why, size_t why_size);

/* The same from an open stream that is called `name` in errors. */
int config_read_stream(config *c, FILE *stream, const char *name, char *why, size_t why_size);

/* Writes the whole configuration in its own syntax: reading it again gives the same. */
void config_print(const config *c, FILE *to);

/* The section of this host, or NULL. */
const event_config_host *config_host(const config *c, const char *name);

#endif
