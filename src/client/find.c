/*
 * find.c - finding and starting the broker.
 *
 * The user's own broker is started by whoever needs it first, under a lock in its folder. It is
 * nobody's child: a process in between starts it and ends, so that no program has to reap it; it inherits nothing
 * but /dev/null and a file for what it has to say before it can log.
 */
#include "client/find.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"

#ifndef GRANARY_BINDIR
#define GRANARY_BINDIR "/usr/bin"
#endif

#define DAEMON     "granaryd"
#define LAST_WORDS "start.log"

int find_connect(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return STATUS_INVALID;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return STATUS_SYSTEM;
    int r;
    do
        r = connect(fd, (struct sockaddr *)&address, sizeof address);
    while (r < 0 && errno == EINTR);
    if (r == 0) {
        *ret_fd = fd;
        return 0;
    }
    int error = errno;
    close(fd);
    errno = error;
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
    case ENOTDIR:
        return STATUS_LOST;
    case EACCES:
    case EPERM:
        return STATUS_DENIED;
    case EAGAIN: /* its backlog is full */
        return STATUS_BUSY;
    default:
        return STATUS_SYSTEM;
    }
}

/* 0: someone listens there. Else as find_connect(). */
static int probe(const char *path)
{
    int fd;
    int r = find_connect(path, &fd);
    if (r == 0)
        close(fd);
    return r == STATUS_BUSY ? 0 : r;
}

int find_pid(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

static int own_path(char **ret)
{
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    char *path;
    int n;
    if (geteuid() == 0)
        n = asprintf(&path, "%s", FIND_SYSTEM_SOCKET);
    else if (runtime && runtime[0] == '/')
        n = asprintf(&path, "%s/granary/granary.sock", runtime);
    else
        n = asprintf(&path, "/tmp/granary-%u/granary.sock", (unsigned)geteuid());
    if (n < 0)
        return STATUS_NO_MEMORY;
    *ret = path;
    return 0;
}

int find_socket(const char *named, broker_socket *ret)
{
    const char *from_environment = secure_getenv("GRANARY_SOCKET");
    broker_socket found = {0};
    if (!named && from_environment && from_environment[0])
        named = from_environment;
    if (!named && geteuid() != 0) {
        int r = probe(FIND_SYSTEM_SOCKET);
        if (r == 0)
            named = FIND_SYSTEM_SOCKET;
        found.shut_out = r == STATUS_DENIED;
    }
    if (named) {
        found.path = strdup(named);
        if (!found.path)
            return STATUS_NO_MEMORY;
    } else {
        int r = own_path(&found.path);
        if (r < 0)
            return r;
        found.may_start = true;
    }
    if (strlen(found.path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        free(found.path);
        return STATUS_INVALID;
    }
    *ret = found;
    return 0;
}

/* The folder of `path`, opened. Nobody else may write there, or they could answer in the broker's name. */
static int folder_open(const char *path, bool make, int *ret)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || (size_t)(slash - path) >= sizeof folder)
        return STATUS_INVALID;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    if (make && mkdir(folder, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST)
        return STATUS_SYSTEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP || errno == ENOTDIR ? STATUS_DENIED : STATUS_SYSTEM;
    mode_t others = geteuid() == 0 ? 0022 : 0077;
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & others) != 0) {
        close(fd);
        return STATUS_DENIED;
    }
    *ret = fd;
    return 0;
}

/* Where granaryd is: beside this program, where it was installed, in PATH. */
static int daemon_path(char *ret, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", ret, size - 1);
    if (n > 0) {
        ret[n] = '\0';
        char *slash = strrchr(ret, '/');
        if (slash && (size_t)(slash - ret) + sizeof "/" DAEMON <= size) {
            memcpy(slash + 1, DAEMON, sizeof DAEMON);
            if (access(ret, X_OK) == 0)
                return 0;
        }
    }
    n = snprintf(ret, size, "%s/%s", GRANARY_BINDIR, DAEMON);
    if ((size_t)n < size && access(ret, X_OK) == 0)
        return 0;
    const char *from = secure_getenv("PATH");
    while (from && *from) {
        const char *end = strchrnul(from, ':');
        n = snprintf(ret, size, "%.*s/%s", (int)(end - from), from, DAEMON);
        if (end > from && (size_t)n < size && access(ret, X_OK) == 0)
            return 0;
        from = *end ? end + 1 : end;
    }
    return STATUS_NOT_FOUND;
}

#define READY_FD 3 /* in the broker: one byte goes there when clients can be served */

/* In the process in between, after fork: only what is safe there. `words` and `ready` may be -1. */
static void start_detached(const char *program, char *const argv[], int words, int ready)
{
    sigset_t none;
    setsid();
    pid_t pid = fork();
    if (pid != 0)
        _exit(pid < 0 ? 1 : 0);
    /* High first: the program may have closed its own 0, 1 or 2. */
    int nothing = open("/dev/null", O_RDWR);
    int high = fcntl(nothing, F_DUPFD, 10);
    words = words >= 0 ? fcntl(words, F_DUPFD, 10) : high;
    ready = ready >= 0 ? fcntl(ready, F_DUPFD, 10) : high;
    if (dup2(high, 0) < 0 || dup2(high, 1) < 0 || dup2(words, 2) < 0 || dup2(ready, READY_FD) < 0)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    if (chdir("/") < 0)
        _exit(1);
    close_range(READY_FD + 1, ~0u, 0); /* the program's pipes must not stay open for the broker's life */
    execv(program, argv);
    _exit(127);
}

static int start_broker(const char *path, int words, int ready)
{
    char program[4096];
    char *argv[] = {(char[]){DAEMON},
                    (char[]){"--user-instance"},
                    (char[]){"--socket"},
                    (char *)(uintptr_t)path,
                    (char[]){"--ready-fd"},
                    (char[]){"3"},
                    NULL};
    int status, r = daemon_path(program, sizeof program);
    if (r < 0)
        return r;
    pid_t waited, pid = fork();
    if (pid == 0)
        start_detached(program, argv, words, ready);
    if (pid < 0)
        return STATUS_SYSTEM;
    do
        waited = waitpid(pid, &status, 0);
    while (waited < 0 && errno == EINTR);
    return waited == pid && (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ? STATUS_SYSTEM : 0;
}

/* One byte: it serves; the end instead: it has ended. */
static int ready_await(int fd, int wait_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char byte;
    int n;
    do
        n = poll(&wait, 1, wait_ms);
    while (n < 0 && errno == EINTR);
    return n > 0 && read(fd, &byte, 1) <= 0 ? STATUS_LOST : 0;
}

static int start_locked(const char *path, int folder, int wait_ms)
{
    int ends[2] = {-1, -1};
    if (wait_ms > 0 && pipe2(ends, O_CLOEXEC) < 0)
        return STATUS_SYSTEM;
    int words = openat(folder, LAST_WORDS, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = start_broker(path, words, ends[1]);
    if (words >= 0)
        close(words);
    if (wait_ms > 0) {
        close(ends[1]);
        if (r == 0)
            r = ready_await(ends[0], wait_ms);
        close(ends[0]);
    }
    return r;
}

int find_start(const char *path, int wait_ms)
{
    int folder;
    int r = folder_open(path, true, &folder);
    if (r < 0)
        return r;
    int lock = openat(folder, "start.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock < 0)
        r = STATUS_SYSTEM;
    else if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        r = errno == EWOULDBLOCK ? STATUS_BUSY : STATUS_SYSTEM;
    else if (probe(path) != 0) /* else it was started since we looked */
        r = start_locked(path, folder, wait_ms);
    if (lock >= 0)
        close(lock);
    close(folder);
    return r;
}

void find_last_words(const char *path, char *text, unsigned size)
{
    char words[1024];
    int folder;
    text[0] = '\0';
    if (folder_open(path, false, &folder) < 0)
        return;
    int fd = openat(folder, LAST_WORDS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    close(folder);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof words - 1 ? end - ((off_t)sizeof words - 1) : 0;
    ssize_t n = pread(fd, words, sizeof words - 1, from);
    close(fd);
    while (n > 0 && words[n - 1] == '\n')
        n--;
    if (n <= 0)
        return;
    words[n] = '\0';
    const char *line = strrchr(words, '\n');
    snprintf(text, size, "%s", line ? line + 1 : words);
}

#define ROOT_ALONE                                                                                                     \
    "is root's own and open to root alone: ask root to end it and run `granary up`, which serves everybody"

/* Nobody listens. */
static void explain_lost(const broker_socket *s, char to[FIND_WHY_MAX])
{
    char words[256] = "";
    if (s->may_start)
        find_last_words(s->path, words, sizeof words);
    if (s->shut_out && (!words[0] || strstr(words, FIND_SYSTEM_SOCKET)))
        snprintf(to, FIND_WHY_MAX, "no broker answers at %s, and the one at " FIND_SYSTEM_SOCKET " " ROOT_ALONE,
                 s->path);
    else if (words[0])
        snprintf(to, FIND_WHY_MAX, "no broker answers at %s; the one started for it said: %s", s->path, words);
    else if (s->may_start)
        snprintf(to, FIND_WHY_MAX, "no broker answers at %s: start one with `granary up`", s->path);
    else
        snprintf(to, FIND_WHY_MAX, "no broker answers at %s: start one with `granary up --socket %s`", s->path,
                 s->path);
}

void find_explain(const broker_socket *s, int status, int pid, char to[FIND_WHY_MAX])
{
    int error = errno;
    char who[32] = "";
    if (pid > 0)
        snprintf(who, sizeof who, " (pid %d)", pid);
    switch (status) {
    case STATUS_LOST:
        explain_lost(s, to);
        break;
    case STATUS_TIMEOUT:
        snprintf(
            to, FIND_WHY_MAX,
            "the broker%s at %s does not answer: it was stopped or is stuck; `kill -CONT` lets a stopped one go on, "
            "else end it and start another with `granary up`",
            who, s->path);
        break;
    case STATUS_NOT_FOUND:
        snprintf(to, FIND_WHY_MAX, "no broker at %s, and no granaryd was found to start: install it, or set PATH",
                 s->path);
        break;
    case STATUS_DENIED:
        if (s->may_start)
            snprintf(to, FIND_WHY_MAX,
                     "%s: its folder is not yours alone (mode 0700, no link): make it so, or name "
                     "another socket with --socket or GRANARY_SOCKET",
                     s->path);
        else if (strcmp(s->path, FIND_SYSTEM_SOCKET) == 0)
            snprintf(to, FIND_WHY_MAX, "the broker at %s " ROOT_ALONE, s->path);
        else
            snprintf(to, FIND_WHY_MAX,
                     "%s may not be opened: its broker serves its own user alone; leave --socket and "
                     "GRANARY_SOCKET out to use yours",
                     s->path);
        break;
    case STATUS_INVALID:
        snprintf(to, FIND_WHY_MAX,
                 "the socket's path (from --socket, GRANARY_SOCKET or XDG_RUNTIME_DIR) is longer than a "
                 "Unix socket's name may be: 107 bytes");
        break;
    case STATUS_SYSTEM:
        if (error == EPROTOTYPE)
            snprintf(to, FIND_WHY_MAX, "%s is a socket, but not a broker's: name another", s->path);
        else
            snprintf(to, FIND_WHY_MAX, "cannot reach the broker at %s: %s", s->path, strerror(error));
        break;
    default:
        snprintf(to, FIND_WHY_MAX, "cannot reach the broker at %s: %s", s->path, status_text(status));
    }
}

void find_await(const char *path, int timeout_ms)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (fd >= 0 && slash)
        inotify_add_watch(fd, folder, IN_CREATE | IN_MOVED_TO | IN_ATTRIB);
    poll(&wait, fd >= 0 ? 1 : 0, timeout_ms);
    if (fd >= 0)
        close(fd);
}
