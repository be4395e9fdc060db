/*
 * gate.c - a child that waits until it may run.
 *
 * The gate is a pipe. The parent writes eight bytes, the claim's number, when the child has been put under its limit;
 * end of file instead means that the parent is gone, and the child ends without having run anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"
#include "granary.h"

#define GATE_BROKEN 125 /* exit status of a child whose gate never opened */

/* pidfds are as old as Linux 5.3; glibc's wrapper is younger than some C libraries in use. */
static int pidfd_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int granary_gate_fork(granary_gate *ret)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return STATUS_SYSTEM;
    pid_t pid = fork();
    if (pid < 0) {
        int saved = errno;
        close(ends[0]);
        close(ends[1]);
        errno = saved;
        return STATUS_SYSTEM;
    }
    if (pid == 0) {
        close(ends[1]);
        *ret = (granary_gate){.pid = 0, .pidfd = -1, .fd = ends[0]};
        return 0;
    }
    close(ends[0]);
    int pidfd = pidfd_of(pid); /* our own child, not reaped: the pid cannot be another's */
    if (pidfd < 0) {
        int saved = errno;
        close(ends[1]); /* the child ends at its gate */
        waitpid(pid, NULL, 0);
        errno = saved;
        return STATUS_SYSTEM;
    }
    *ret = (granary_gate){.pid = pid, .pidfd = pidfd, .fd = ends[1]};
    return pid;
}

void granary_gate_wait(granary_gate *gate)
{
    unsigned char bytes[8];
    size_t got = 0;
    while (got < sizeof bytes) {
        ssize_t n = read(gate->fd, bytes + got, sizeof bytes - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(GATE_BROKEN);
        got += (size_t)n;
    }
    close(gate->fd);
    gate->fd = -1;
    gate->claim = 0;
    for (unsigned i = 0; i < sizeof bytes; i++)
        gate->claim |= (uint64_t)bytes[i] << (8 * i);
}

int granary_gate_open(granary_gate *gate)
{
    unsigned char bytes[8];
    sigset_t pipe_signal, before, waiting;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(gate->claim >> (8 * i));
    /* A child that is dead already must not cost the program a SIGPIPE. */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&waiting);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    ssize_t n;
    do
        n = write(gate->fd, bytes, sizeof bytes); /* less than PIPE_BUF: whole or not at all */
    while (n < 0 && errno == EINTR);
    int error = n < 0 ? errno : 0;
    if (error == EPIPE && !sigismember(&waiting, SIGPIPE)) {
        const struct timespec at_once = {0};
        while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    if (error)
        return error == EPIPE ? STATUS_DEAD : STATUS_SYSTEM;
    close(gate->fd);
    gate->fd = -1;
    return 0;
}

void granary_gate_finish(granary_gate *gate)
{
    if (!gate)
        return;
    if (gate->fd >= 0)
        close(gate->fd);
    if (gate->pidfd >= 0)
        close(gate->pidfd);
    gate->fd = gate->pidfd = -1;
}
