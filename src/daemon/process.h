/*
 * process.h - who is at the other end of a socket, and is that process still alive.
 *
 * A pid alone names nobody: it comes with the process's start time, or is a pidfd.
 */
#ifndef GRANARY_DAEMON_PROCESS_H
#define GRANARY_DAEMON_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    uid_t uid;
    pid_t pid;      /* 0: in a pid namespace that is not ours */
    uint64_t start; /* clock ticks after boot; 0 when unknown */
    int pidfd;      /* owned by whoever holds the struct; -1 when there is none */
} process_peer;

/* Start time of `pid` in clock ticks after boot. STATUS_DEAD: no such process; STATUS_SYSTEM. */
int process_start(pid_t pid, uint64_t *ret);

/* A pidfd of the process with this pid and start time. STATUS_DEAD: it is gone, or another has its pid; STATUS_SYSTEM.
 */
int process_open(pid_t pid, uint64_t start, int *ret_pidfd);

/*
 * The process that connected `fd`: uid and pid as the kernel noted them, pidfd from SO_PEERPIDFD, or on kernels
 * without it by pid with a second look at the start time. STATUS_DEAD: it died already; STATUS_SYSTEM.
 */
int process_of_socket(int fd, process_peer *ret);

/* Whether the process behind a pidfd has not ended yet. */
bool process_alive(int pidfd);

/* The machine's boot id, 36 characters. STATUS_SYSTEM. */
int process_boot_id(char to[40]);

#endif
