#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/status.h"
#include "base/text.h"

/* Makes the socket's directory, and holds it locked: two brokers that start at once take turns here. */
static int directory_lock(const char *path, bool everybody, int *ret, char *why, size_t why_size)
{
    char copy[sizeof(struct sockaddr_un)];
    text_copy(copy, sizeof copy, path);
    const char *directory = dirname(copy);
    struct stat st;
    if (mkdir(directory, everybody ? 0755 : 0700) < 0 && errno != EEXIST) {
        snprintf(why, why_size, "the directory %s for the socket cannot be made: %s", directory, strerror(errno));
        return STATUS_SYSTEM;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || flock(fd, LOCK_EX) < 0) {
        snprintf(why, why_size, "the directory %s for the socket cannot be used: %s", directory, strerror(errno));
        if (fd >= 0)
            close(fd);
        return STATUS_SYSTEM;
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        snprintf(why, why_size, "the directory %s for the socket belongs to uid %u: give another --socket PATH",
                 directory, (unsigned)st.st_uid);
        close(fd);
        return STATUS_SYSTEM;
    }
    *ret = fd;
    return 0;
}

/* Removes what a dead broker left. STATUS_BUSY when it is not dead, or is no socket. */
static int stale_remove(const struct sockaddr_un *address, char *why, size_t why_size)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : STATUS_SYSTEM;
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(why, why_size, "%s is there and is no socket: remove it, or give another --socket PATH",
                 address->sun_path);
        return STATUS_SYSTEM;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return STATUS_SYSTEM;
    int r = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int error = errno;
    struct ucred who = {0};
    socklen_t size = sizeof who;
    if (r == 0)
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    close(fd);
    if (r < 0 && error == ECONNREFUSED)
        return unlink(address->sun_path) < 0 ? STATUS_SYSTEM : 0;
    snprintf(why, why_size, "a broker (pid %ld) is there already at %s: use it, or give another --socket PATH",
             (long)who.pid, address->sun_path);
    return STATUS_BUSY;
}

int listen_open(const char *path, bool everybody, int *ret_fd, char *why, size_t why_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!text_copy(address.sun_path, sizeof address.sun_path, path)) {
        snprintf(why, why_size, "the socket's path is longer than %zu bytes: give another --socket PATH: %s",
                 sizeof address.sun_path - 1, path);
        return STATUS_SYSTEM;
    }
    int lock;
    int r = directory_lock(path, everybody, &lock, why, why_size);
    if (r < 0)
        return r;
    *why = '\0';
    r = stale_remove(&address, why, why_size);
    int fd = r < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r == 0) {
        mode_t old = umask(everybody ? 0111 : 0177); /* the file has its mode from the first moment */
        bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
        umask(old);
        if (!bound || listen(fd, LISTEN_BACKLOG) < 0)
            r = STATUS_SYSTEM;
    }
    if (r == STATUS_SYSTEM && !*why)
        snprintf(why, why_size, "the socket %s cannot be made: %s", path, strerror(errno));
    close(lock);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

void listen_remove(int fd, const char *path)
{
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 && strcmp(address.sun_path, path) == 0)
        unlink(path);
}
