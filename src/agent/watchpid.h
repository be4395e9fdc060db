/*
 * watchpid.h - waiting for descriptors: pidfds that become readable when their process ends, and event files of
 * limits groups.
 *
 * All watches share one epoll set, which the loop polls as a single descriptor: adding and removing one is one system
 * call each, which matters where a process enters and leaves for every task.
 */
#ifndef GRANARY_AGENT_WATCHPID_H
#define GRANARY_AGENT_WATCHPID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

typedef struct watchpid watchpid; /* the set */
typedef struct watch watch;       /* one descriptor in it */

/* Called from the loop. For a pidfd once, after which the watch still must be destroyed. */
typedef void (*watch_callback)(void *context, watch *w);

int watchpid_create(watchpid **ret, uv_loop_t *loop);
void watchpid_destroy(watchpid *set); /* all watches must be gone */
/* Closes its handle in the loop. Call before the loop's last turn, then watchpid_destroy() after it. */
void watchpid_stop(watchpid *set);

/* Takes over `fd`, also when it fails. `events` is EPOLLIN or EPOLLPRI. STATUS_NO_MEMORY, STATUS_SYSTEM. */
int watch_create(watch **ret, watchpid *set, int fd, uint32_t events, watch_callback callback, void *context);
void watch_destroy(watch *w); /* closes the descriptor; NULL is fine; allowed inside any callback */
int watch_fd(const watch *w);

/* Opens a pidfd. STATUS_DEAD when there is no such process, else STATUS_SYSTEM. */
int pidfd_of(pid_t pid, int *ret);
/* True once the process has ended. */
bool pidfd_dead(int pidfd);
/* SIGKILL. 0 also when it is dead already; STATUS_DENIED, STATUS_SYSTEM. */
int pidfd_kill(int pidfd);

#endif
