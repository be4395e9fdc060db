/*
 * find.h - where the broker listens, and how the user's own is started.
 */
#ifndef GRANARY_CLIENT_FIND_H
#define GRANARY_CLIENT_FIND_H

#include <stdbool.h>

/* Mode 0666 where it serves everybody; root's own broker, which root's first command starts, keeps it at 0600. */
#define FIND_SYSTEM_SOCKET "/run/granary/granary.sock"

typedef struct {
    char *path;     /* owned */
    bool may_start; /* nobody named it, and it is the caller's own */
    bool shut_out;  /* someone listens at the system's, but not for this user: root's own broker */
} broker_socket;

#define FIND_WHY_MAX 480u /* with two paths in it */

/*
 * The socket to use: `named`, GRANARY_SOCKET, the system's if someone listens there, the user's own (root's own is the
 * system's). STATUS_NO_MEMORY, STATUS_INVALID (too long for a socket's address).
 */
int find_socket(const char *named, broker_socket *ret);

/* A nonblocking, close-on-exec socket connected to `path`. STATUS_LOST (nobody listens), STATUS_DENIED, STATUS_BUSY
 * (try again), STATUS_SYSTEM. */
int find_connect(const char *path, int *ret_fd);

/*
 * Starts the user's own broker on `path`, in a session of its own, unless another process is just doing that. Makes
 * the folder (0700, ours, no link). Waits up to `wait_ms` until it listens, keeping others from starting one.
 * STATUS_BUSY: another one starts it; STATUS_DENIED: the folder is not ours alone; STATUS_NOT_FOUND: no granaryd;
 * STATUS_SYSTEM.
 */
int find_start(const char *path, int wait_ms);

/* The last line that a broker started here said on its standard error, into `text`; "" when none. */
void find_last_words(const char *path, char *text, unsigned size);

/* The process that listens at the other end of a connected socket; 0 when that cannot be known. */
int find_pid(int fd);

/*
 * Why nothing came of `s`, and what to do, for people. `status`: what find_connect() or find_start() returned (with
 * errno, for STATUS_SYSTEM), or STATUS_TIMEOUT: someone listens (`pid`, 0 = unknown) but does not answer.
 */
void find_explain(const broker_socket *s, int status, int pid, char to[FIND_WHY_MAX]);

/* Waits up to `timeout_ms` for a change in the folder of `path` (the socket appears there). */
void find_await(const char *path, int timeout_ms);

#endif
