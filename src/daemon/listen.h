/*
 * listen.h - the socket that clients connect to.
 */
#ifndef GRANARY_DAEMON_LISTEN_H
#define GRANARY_DAEMON_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#define LISTEN_BACKLOG 512 /* clients wait here while the broker restarts */

/*
 * Listens at `path`, whose directory is made if it is not there. A socket that a dead broker left is replaced.
 * `everybody`: any user of the machine may connect (root's broker), else only our own. Errors, with a sentence in
 * `why`: STATUS_BUSY (a live broker is there), STATUS_SYSTEM. The descriptor is nonblocking and close-on-exec.
 */
int listen_open(const char *path, bool everybody, int *ret_fd, char *why, size_t why_size);

/* Removes the socket file that `fd` listens at: nobody replaces it while somebody listens. */
void listen_remove(int fd, const char *path);

#endif
