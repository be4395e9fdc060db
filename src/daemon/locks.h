/*
 * locks.h - one broker for one state directory, one for one machine.
 *
 * Both locks end with the process that holds them, however it ends. The state lock is a flock whose open
 * file the broker inherits: while any of the two lives nobody else opens the books. The machine lock is a
 * listening abstract socket: who cannot bind it connects, and is told who is there.
 */
#ifndef GRANARY_DAEMON_LOCKS_H
#define GRANARY_DAEMON_LOCKS_H

#include <stddef.h>
#include <sys/types.h>

#define LOCKS_MACHINE "granary-machine" /* the name in the abstract namespace */

/*
 * Opens the state directory, made with mode 0700 if it is not there, and locks it. `owner` is who the broker runs
 * as: the directory is made theirs. Errors, each with a sentence in `why`: STATUS_SYSTEM (cannot be made or opened, is
 * a link, is not ours), STATUS_BUSY (another broker holds it).
 */
int locks_state(const char *directory, uid_t owner, gid_t group, int *ret_lock_fd, char *why, size_t why_size);

/*
 * Takes the machine lock and listens on it. STATUS_BUSY: another broker has it, named in `why`. STATUS_SYSTEM.
 */
int locks_machine(const char *name, int *ret_fd, char *why, size_t why_size);

/* Tells everybody who waits at the machine lock who we are: "pid 123 socket /run/...". Never blocks. */
void locks_machine_answer(int fd, const char *socket);

#endif
