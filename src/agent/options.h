/*
 * options.h - the agent's argument vector.
 */
#ifndef GRANARY_AGENT_OPTIONS_H
#define GRANARY_AGENT_OPTIONS_H

#include <stdbool.h>

#include "base/units.h"

#define AGENT_CONTROL_FD 3
#define AGENT_HOST_MAX   64u

typedef struct {
    char host[AGENT_HOST_MAX]; /* the kernel's node name unless given */
    const char *proc_root;     /* "/proc" */
    const char *cgroup_root;   /* "" */
    const char *books;         /* "" */
    bytes_t memory;            /* a total that the owner configured; 0 = what is measured */
    uint64_t sample_ms;        /* 0 = as the broker says */
    int link_fd;               /* -1: links come over the control socket */
    bool watch, help, version;
} agent_options;

/* STATUS_INVALID with a sentence in `ret_why` (static storage). Pointers in `ret` are into argv. */
int agent_options_parse(agent_options *ret, int argc, char **argv, const char **ret_why);

#endif
