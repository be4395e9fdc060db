#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int file_read(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ESRCH ? STATUS_DEAD : STATUS_SYSTEM;
    ssize_t got = read(fd, to, size - 1);
    int error = errno;
    close(fd);
    if (got < 0)
        return error == ESRCH ? STATUS_DEAD : STATUS_SYSTEM;
    to[got] = '\0';
    return 0;
}

int process_start(pid_t pid, uint64_t *ret)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int r = file_read(path, text, sizeof text);
    if (r < 0)
        return r;
    /* The name in parentheses may hold anything: count fields from the last one. Field 22 is the start. */
    char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++) {
        p = strchr(p + 1, ' ');
    }
    if (!p)
        return STATUS_SYSTEM;
    *ret = strtoull(p + 1, NULL, 10);
    return 0;
}

static int pidfd_of(pid_t pid, int *ret)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == ESRCH || errno == EINVAL ? STATUS_DEAD : STATUS_SYSTEM;
    *ret = fd;
    return 0;
}

int process_open(pid_t pid, uint64_t start, int *ret_pidfd)
{
    int fd;
    uint64_t now;
    if (pid <= 0)
        return STATUS_DEAD;
    int r = pidfd_of(pid, &fd);
    if (r < 0)
        return r;
    /* The pidfd holds the process that had the pid when it was opened: its start decides. */
    r = process_start(pid, &now);
    if (r == 0 && now != start)
        r = STATUS_DEAD;
    if (r == 0 && !process_alive(fd))
        r = STATUS_DEAD;
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret_pidfd = fd;
    return 0;
}

int process_of_socket(int fd, process_peer *ret)
{
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return STATUS_SYSTEM;
    process_peer peer = {.uid = who.uid, .pid = who.pid, .pidfd = -1};
    size = sizeof peer.pidfd;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &peer.pidfd, &size) == 0) {
        if (fcntl(peer.pidfd, F_SETFD, FD_CLOEXEC) < 0) {
            close(peer.pidfd);
            return STATUS_SYSTEM;
        }
        int r = who.pid > 0 ? process_start(who.pid, &peer.start) : 0;
        if (r < 0 || !process_alive(peer.pidfd)) {
            close(peer.pidfd);
            return r < 0 ? r : STATUS_DEAD;
        }
        *ret = peer;
        return 0;
    }
    /* Only this error says that the kernel does not know the option; every other one says that the peer is gone. */
    if (errno != ENOPROTOOPT)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? STATUS_SYSTEM : STATUS_DEAD;
    if (who.pid > 0) {
        int r = process_start(who.pid, &peer.start);
        if (r == 0)
            r = process_open(who.pid, peer.start, &peer.pidfd);
        if (r < 0)
            return r;
    }
    *ret = peer;
    return 0;
}

bool process_alive(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int r;
    do
        r = poll(&p, 1, 0);
    while (r < 0 && errno == EINTR);
    return r == 0;
}

int process_boot_id(char to[40])
{
    char text[64];
    if (file_read("/proc/sys/kernel/random/boot_id", text, sizeof text) < 0 || strlen(text) < 36)
        return STATUS_SYSTEM;
    memcpy(to, text, 36);
    to[36] = '\0';
    return 0;
}
