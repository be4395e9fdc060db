#include "cli/follow.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/exits.h"

#define ANCESTORS_MAX 64 /* generations looked up: a tree deeper than this is not a shell's */

static const int handed_on[] = {SIGINT,  SIGQUIT,  SIGTERM, SIGHUP,  SIGTSTP,
                                SIGCONT, SIGWINCH, SIGUSR1, SIGUSR2, SIGALRM};

int follow_begin(follow *ret)
{
    sigset_t set;
    follow f = {0};

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++)
        sigaddset(&set, handed_on[i]);
    if (sigprocmask(SIG_BLOCK, &set, &f.old) != 0)
        return STATUS_SYSTEM;
    f.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (f.fd < 0) {
        sigprocmask(SIG_SETMASK, &f.old, NULL);
        return STATUS_SYSTEM;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* fails on no kernel that has pidfds */
    *ret = f;
    return 0;
}

void follow_end(follow *f)
{
    close(f->fd);
    sigprocmask(SIG_SETMASK, &f->old, NULL);
}

static int parent_of(int pid)
{
    char path[32], text[512];

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *end = strrchr(text, ')'); /* the name may hold blanks and parentheses */
    int parent = 0;
    return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool follow_hands_on(int code, int sender, int child)
{
    if (code == SI_KERNEL)
        return false;
    for (int i = 0, pid = sender; i < ANCESTORS_MAX && pid > 1; i++, pid = parent_of(pid))
        if (pid == child)
            return false; /* kill(0, …) by the command: it has it already */
    return true;
}

/* Stops as the command did. Returns when somebody continues us; SIGCONT then comes in through the signalfd. */
static void stop_like(int sig)
{
    struct sigaction plain = {.sa_handler = SIG_DFL}, old;
    sigset_t one, before;

    sigemptyset(&one);
    sigaddset(&one, sig);
    if (sig != SIGSTOP)
        sigaction(sig, &plain, &old);
    sigprocmask(SIG_UNBLOCK, &one, &before);
    raise(sig);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (sig != SIGSTOP)
        sigaction(sig, &old, NULL);
}

static void hand_on(follow *f, int child, int pidfd)
{
    struct signalfd_siginfo info;

    while (read(f->fd, &info, sizeof info) == sizeof info) {
        int sig = (int)info.ssi_signo;
        if (sig == SIGCHLD || !follow_hands_on(info.ssi_code, (int)info.ssi_pid, child))
            continue;
        syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0); /* ESRCH: it has ended, which is what we look at next */
    }
}

/* Takes what the children tell. True when the command has ended. */
static bool reap(int child, follow_result *result)
{
    bool ended = false;
    int status, pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != child)
            continue;
        if (WIFSTOPPED(status)) {
            stop_like(WSTOPSIG(status));
            continue;
        }
        result->status = status;
        ended = true;
    }
    if (ended)
        result->leftovers = pid == 0; /* children that are not reaped: adopted from the command */
    return ended;
}

int follow_wait(follow *f, granary_client *client, int pid, int pidfd, follow_result *ret)
{
    follow_result result = {0};
    struct pollfd fds[2] = {{.fd = f->fd, .events = POLLIN}, {.fd = granary_client_fd(client), .events = POLLIN}};

    while (!reap(pid, &result)) {
        int n = poll(fds, 2, result.lost ? -1 : granary_client_timeout(client));
        if (n < 0 && errno != EINTR)
            return STATUS_SYSTEM;
        if (n > 0 && fds[0].revents)
            hand_on(f, pid, pidfd);
        bool spoken = !result.lost && (n == 0 || (n > 0 && fds[1].revents));
        if (spoken && granary_client_dispatch(client) < 0) {
            result.lost = true;
            fds[1].fd = -1;
        }
        if (spoken && f->heard)
            f->heard(f->userdata);
    }
    *ret = result;
    return 0;
}

int follow_mirror(int status)
{
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);

    int sig = WTERMSIG(status);
    const struct rlimit none = {0, 0};
    sigset_t one;
    setrlimit(RLIMIT_CORE, &none); /* the command has left its own */
    prctl(PR_SET_DUMPABLE, 0);
    signal(sig, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, sig);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    raise(sig);
    return EXIT_SIGNALLED + sig; /* a signal that does not end a process by default */
}
