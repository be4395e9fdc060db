/*
 * watch.h - what a harvest waits for, in its one poll(): signals, the broker, inputs, the tasks' pipes, whoever reads
 * what it prints, and time.
 */
#ifndef GRANARY_CLI_HARVEST_WATCH_H
#define GRANARY_CLI_HARVEST_WATCH_H

#include <poll.h>

#include "cli/harvest/run.h"

typedef struct {
    struct pollfd *fds;   /* owned */
    harvest_task **tasks; /* owned: whose pipe it is; NULL entries: not a pipe */
    nfds_t n;
} harvest_watch;

/* Room for so many tasks. Errors: STATUS_NO_MEMORY. */
int harvest_watch_init(harvest_watch *ret, uint32_t jobs);
void harvest_watch_finish(harvest_watch *watching);

/* Returns when something happened, or at the deadline (harvest_now_ms(), UINT64_MAX = none), whichever is first. */
void harvest_watch_wait(harvest_run *run, harvest_watch *watching, int signals, int print_fd, uint64_t deadline_ms);

/* Reads the pipes that it found ready. Comes first after it: the tasks are still those that were watched. */
void harvest_watch_drain(harvest_run *run, const harvest_watch *watching);

#endif
