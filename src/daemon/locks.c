#include "daemon/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/status.h"
#include "base/text.h"

#define ANSWER_WAIT_MS 1000 /* a holder that does not answer is still a holder */
#define ENDING_WAIT_S  3    /* a broker whose supervisor was killed notices at once and ends */

/* ---- state directory ---- */

static int make_parents(const char *directory)
{
    char path[4096];
    if (!text_copy(path, sizeof path, directory))
        return STATUS_SYSTEM;
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return STATUS_SYSTEM;
        *p = '/';
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? STATUS_SYSTEM : 0;
}

static int directory_open(const char *directory, uid_t owner, gid_t group, int *ret, char *why, size_t why_size)
{
    struct stat st;
    if (make_parents(directory) < 0) {
        snprintf(why, why_size, "the state directory %s cannot be made: %s", directory, strerror(errno));
        return STATUS_SYSTEM;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        snprintf(why, why_size, "the state directory %s cannot be opened: %s", directory, strerror(errno));
        if (fd >= 0)
            close(fd);
        return STATUS_SYSTEM;
    }
    /* Only a directory that is root's own is handed to the broker's user: by descriptor, and not what is in it. */
    if (st.st_uid != owner && (st.st_uid != geteuid() || fchown(fd, owner, group) < 0)) {
        snprintf(why, why_size,
                 "the state directory %s belongs to uid %u, and the broker runs as uid %u: give it another "
                 "--state DIR, or that directory to it",
                 directory, (unsigned)st.st_uid, (unsigned)owner);
        close(fd);
        return STATUS_SYSTEM;
    }
    if ((st.st_mode & 022) && fchmod(fd, 0700) < 0) {
        snprintf(why, why_size, "others may write in the state directory %s: %s", directory, strerror(errno));
        close(fd);
        return STATUS_SYSTEM;
    }
    *ret = fd;
    return 0;
}

static void on_alarm(int signal_)
{
    (void)signal_; /* its arrival ends the blocking flock() */
}

/* Waits for the lock as long as a broker that has lost its supervisor may take to end. */
static int lock_wait(int fd)
{
    struct sigaction act = {.sa_handler = on_alarm}, old;
    struct itimerval limit = {.it_value = {.tv_sec = ENDING_WAIT_S}, .it_interval = {.tv_usec = 100000}}, off = {0};
    sigaction(SIGALRM, &act, &old);
    setitimer(ITIMER_REAL, &limit, NULL);
    int r = flock(fd, LOCK_EX);
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &old, NULL);
    return r;
}

/* The pid that the holder of the lock wrote into it; 0 when it cannot be told. */
static long lock_holder(int fd)
{
    char text[32] = "";
    long pid = 0;
    if (pread(fd, text, sizeof text - 1, 0) > 0)
        sscanf(text, "pid %ld", &pid);
    return pid;
}

int locks_state(const char *directory, uid_t owner, gid_t group, int *ret_lock_fd, char *why, size_t why_size)
{
    int dir;
    int r = directory_open(directory, owner, group, &dir, why, why_size);
    if (r < 0)
        return r;
    int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = errno;
    close(dir);
    if (fd < 0) {
        snprintf(why, why_size, "%s/lock cannot be opened: %s", directory, strerror(error));
        return STATUS_SYSTEM;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        long pid = lock_holder(fd);
        bool ending = pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
        if (!ending || lock_wait(fd) < 0) {
            snprintf(why, why_size,
                     "another broker (pid %ld) uses the state directory %s: stop it, or give this one "
                     "another --state DIR",
                     pid, directory);
            close(fd);
            return STATUS_BUSY;
        }
    }
    char text[32];
    int n = snprintf(text, sizeof text, "pid %ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        snprintf(why, why_size, "%s/lock cannot be written: %s", directory, strerror(errno));
        close(fd);
        return STATUS_SYSTEM;
    }
    *ret_lock_fd = fd;
    return 0;
}

/* ---- machine ---- */

static socklen_t machine_address(const char *name, struct sockaddr_un *to)
{
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t n = strlen(name);
    memcpy(to->sun_path + 1, name, n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

/* Asks the holder who it is. */
static void machine_ask(const char *name, char *why, size_t why_size)
{
    struct sockaddr_un address;
    socklen_t size = machine_address(name, &address);
    struct ucred who = {0};
    socklen_t who_size = sizeof who;
    char line[256] = "", clean[512];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size);
        if (poll(&p, 1, ANSWER_WAIT_MS) == 1) {
            ssize_t got = read(fd, line, sizeof line - 1);
            line[got > 0 ? got : 0] = '\0';
        }
    }
    if (fd >= 0)
        close(fd);
    line[strcspn(line, "\n")] = '\0';
    text_escape(clean, sizeof clean, line);
    snprintf(why, why_size,
             "another broker of this machine runs already: pid %ld, %s: use that one, or give this one its own "
             "part with --memory SIZE",
             (long)who.pid, *clean ? clean : "which does not answer");
}

int locks_machine(const char *name, int *ret_fd, char *why, size_t why_size)
{
    struct sockaddr_un address;
    socklen_t size = machine_address(name, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        snprintf(why, why_size, "no socket: %s", strerror(errno));
        return STATUS_SYSTEM;
    }
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 16) < 0) {
        int error = errno;
        close(fd);
        if (error == EADDRINUSE) {
            machine_ask(name, why, why_size);
            return STATUS_BUSY;
        }
        snprintf(why, why_size, "the machine lock @%s cannot be taken: %s", name, strerror(error));
        return STATUS_SYSTEM;
    }
    *ret_fd = fd;
    return 0;
}

void locks_machine_answer(int fd, const char *socket)
{
    for (int i = 0; i < 16; i++) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer < 0)
            return;
        char line[256];
        int n = snprintf(line, sizeof line, "socket %.200s\n", socket);
        if (send(peer, line, (size_t)n, MSG_NOSIGNAL) < 0)
            shutdown(peer, SHUT_RDWR); /* it has gone again */
        close(peer);
    }
}
