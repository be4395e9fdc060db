/*
 * up.c - `granary up`: a broker for this machine.
 *
 * In the foreground this process becomes granaryd. With --detach it starts granaryd in a session of its own, its log in
 * a file, and waits for the byte on --ready-fd that says that clients can be served.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/exits.h"

#define DAEMON       "granaryd"
#define SAID_MAX     4096 /* of the log, when the start failed */
#define UP_ARGUMENTS 16

typedef struct {
    command_call *call;
    const char *memory, *set_aside, *state, *config, *log;
    bool detach;
    char socket[PATH_MAX];
    char log_path[PATH_MAX];
    char program[PATH_MAX];
    char ready[16];
    char *argv[UP_ARGUMENTS];
} up;

static int up_options(up *u)
{
    const option options[] = {
        {'m', "memory", OPTION_TEXT, &u->memory, "SIZE", "lease at most this much of the machine"},
        {0, "set-aside", OPTION_TEXT, &u->set_aside, "SIZE", "of it, keep this much for everything else"},
        {0, "state", OPTION_TEXT, &u->state, "DIR", "where the books are kept"},
        {0, "config", OPTION_TEXT, &u->config, "FILE", "its settings (see granary.conf(5))"},
        {'d', "detach", OPTION_FLAG, &u->detach, NULL, "return when it is ready; it goes on in the background"},
        {0, "log", OPTION_TEXT, &u->log, "FILE", "with --detach: where its log goes (STATE/granaryd.log)"},
    };
    char why[SIZE_WHY_MAX];
    uint64_t size;
    int r = options_parse(u->call, options, sizeof options / sizeof *options, OPTIONS_ALONE);

    if (r != 0)
        return r;
    if (u->memory && size_parse_positive(u->memory, why, sizeof why, &size) < 0)
        return options_wrong(u->call, "--memory: %s", why) + 1;
    if (u->set_aside && size_parse(u->set_aside, why, sizeof why, &size) < 0)
        return options_wrong(u->call, "--set-aside: %s", why) + 1;
    if (u->log && !u->detach)
        return options_wrong(u->call, "--log goes with --detach; in the foreground the log is on standard error") + 1;
    return 0;
}

/* Where the broker will listen: told to it also when it is the default, so that what is printed is what is. */
static int up_socket(up *u)
{
    const char *named = u->call->socket ? u->call->socket : getenv("GRANARY_SOCKET");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char here[PATH_MAX];
    int n;

    if (named && named[0] == '/')
        n = snprintf(u->socket, sizeof u->socket, "%s", named);
    else if (named && named[0])
        n = getcwd(here, sizeof here) ? snprintf(u->socket, sizeof u->socket, "%s/%s", here, named) : -1;
    else if (geteuid() == 0)
        n = snprintf(u->socket, sizeof u->socket, "/run/granary/granary.sock");
    else if (runtime && runtime[0] == '/')
        n = snprintf(u->socket, sizeof u->socket, "%s/granary/granary.sock", runtime);
    else
        n = snprintf(u->socket, sizeof u->socket, "/tmp/granary-%u/granary.sock", (unsigned)geteuid());
    if (n >= 0 && (size_t)n < sizeof((struct sockaddr_un *)0)->sun_path)
        return 0;
    return options_wrong(u->call, "--socket: the path is longer than a socket's may be (%zu bytes)",
                         sizeof((struct sockaddr_un *)0)->sun_path - 1);
}

/* granaryd beside this program, else in PATH (execvp looks there). */
static void up_program(up *u)
{
    ssize_t n = readlink("/proc/self/exe", u->program, sizeof u->program - sizeof DAEMON - 1);
    char *slash = NULL;

    if (n > 0) {
        u->program[n] = '\0';
        slash = strrchr(u->program, '/');
    }
    if (slash)
        memcpy(slash + 1, DAEMON, sizeof DAEMON);
    if (!slash || access(u->program, X_OK) != 0)
        memcpy(u->program, DAEMON, sizeof DAEMON);
}

static void up_argument(up *u, size_t *n, const char *name, const char *value)
{
    if (!value)
        return;
    u->argv[(*n)++] = (char *)(uintptr_t)name;
    u->argv[(*n)++] = (char *)(uintptr_t)value;
}

static void up_arguments(up *u, const char *ready_fd)
{
    size_t n = 0;

    u->argv[n++] = u->program;
    up_argument(u, &n, "--memory", u->memory);
    up_argument(u, &n, "--set-aside", u->set_aside);
    up_argument(u, &n, "--state", u->state);
    up_argument(u, &n, "--socket", u->socket);
    up_argument(u, &n, "--config", u->config);
    up_argument(u, &n, "--ready-fd", ready_fd);
    u->argv[n] = NULL;
}

static int exec_failed(const up *u)
{
    options_say(u->call, "cannot start %s: %s", u->program, strerror(errno));
    return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
}

/* ---- detached ---- */

static int make_parents(char *path)
{
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        int r = mkdir(path, 0700);
        *p = '/';
        if (r != 0 && errno != EEXIST)
            return STATUS_SYSTEM;
    }
    return 0;
}

/* The log is a file on disk, never below /run: it may grow. */
static int log_open(up *u, off_t *ret_start)
{
    const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");
    int n;

    if (u->log)
        n = snprintf(u->log_path, sizeof u->log_path, "%s", u->log);
    else if (u->state)
        n = snprintf(u->log_path, sizeof u->log_path, "%s/granaryd.log", u->state);
    else if (geteuid() == 0)
        n = snprintf(u->log_path, sizeof u->log_path, "/var/lib/granary/granaryd.log");
    else if (state && state[0] == '/')
        n = snprintf(u->log_path, sizeof u->log_path, "%s/granary/granaryd.log", state);
    else
        n = snprintf(u->log_path, sizeof u->log_path, "%s/.local/state/granary/granaryd.log", home ? home : "");
    int fd = -1;
    errno = ENAMETOOLONG;
    if (n > 0 && (size_t)n < sizeof u->log_path && make_parents(u->log_path) == 0)
        fd = open(u->log_path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        options_say(u->call, "cannot open the log %s: %s; name another with --log", u->log_path, strerror(errno));
        return STATUS_SYSTEM;
    }
    *ret_start = lseek(fd, 0, SEEK_END);
    return fd;
}

/* In the child: a session of its own, nothing of our terminal. */
static _Noreturn void child_exec(up *u, int log, int ready)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || fcntl(ready, F_SETFD, 0) != 0)
        _exit(EXIT_FAILED);
    execvp(u->program, u->argv);
    dprintf(2, "cannot start %s: %s\n", u->program, strerror(errno));
    _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE);
}

/* What the daemon said since `start`, on our own standard error. */
static void relay(int log, off_t start)
{
    char said[SAID_MAX];
    off_t end = lseek(log, 0, SEEK_END);

    if (end - start > (off_t)sizeof said)
        start = end - (off_t)sizeof said;
    ssize_t n = pread(log, said, sizeof said, start);
    if (n > 0)
        fwrite(said, 1, (size_t)n, stderr);
}

/* True once the daemon says that it is ready; false when it closes the pipe without a word: it has given up. */
static bool await_ready(int fd)
{
    char byte;
    ssize_t n;

    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

/* The daemon's own warning is in its log. */
static void warn_memory(const up *u)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE), given;
    char why[SIZE_WHY_MAX], text[SIZE_TEXT_MAX];

    if (u->memory && size_parse_positive(u->memory, why, sizeof why, &given) == 0 && given > machine)
        options_say(u->call, "--memory %s is more than the %s that this machine has: the smaller figure counts",
                    u->memory, size_format(machine, text));
}

static int up_detached(up *u)
{
    int ready[2], status = 0;
    off_t start = 0;
    int log = log_open(u, &start);

    if (log < 0)
        return EXIT_FAILED;
    if (pipe2(ready, O_CLOEXEC) != 0) {
        options_say(u->call, "cannot make a pipe: %s", strerror(errno));
        close(log);
        return EXIT_FAILED;
    }
    snprintf(u->ready, sizeof u->ready, "%d", ready[1]);
    up_arguments(u, u->ready);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child_exec(u, log, ready[1]);
    close(ready[1]);
    int code = EXIT_DONE;
    if (pid > 0 && await_ready(ready[0])) {
        warn_memory(u);
        printf("granary: ready, pid %d, socket %s\n", (int)pid, u->socket);
        printf("It goes on in the background; kill %d stops it. Its log: %s\n", (int)pid, u->log_path);
    } else if (pid < 0) {
        options_say(u->call, "cannot start a process: %s", strerror(errno));
        code = EXIT_FAILED;
    } else {
        waitpid(pid, &status, 0);
        relay(log, start);
        code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNALLED + WTERMSIG(status);
        options_say(u->call, "the broker did not start (exit status %d)", code);
        code = code ? code : EXIT_FAILED;
    }
    close(ready[0]);
    close(log);
    return code;
}

int up_run(command_call *call)
{
    up u = {.call = call};
    int r = up_options(&u);

    if (r != 0)
        return r - 1;
    r = up_socket(&u);
    if (r != 0)
        return r;
    up_program(&u);
    if (u.detach)
        return up_detached(&u);
    up_arguments(&u, NULL);
    execvp(u.program, u.argv);
    return exec_failed(&u);
}
