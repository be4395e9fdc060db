/* task.c - the board of running tasks, and a task itself. */
#include "task.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/status.h"

int board_open(board *b, const char *folder)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    *b = (board){0};
    snprintf(b->path, sizeof b->path, "%s/board", folder);
    memcpy(name.sun_path, b->path, sizeof b->path);
    b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&name, sizeof name) < 0 ||
        listen(b->listener, TASKS_MAX) < 0)
        return STATUS_SYSTEM;
    return 0;
}

void board_close(board *b)
{
    while (b->n > 0)
        close(b->running[--b->n].fd);
    if (b->listener >= 0)
        close(b->listener);
    b->listener = -1;
}

static void board_remove(board *b, unsigned i)
{
    close(b->running[i].fd);
    b->running[i] = b->running[--b->n];
}

static void board_accept(board *b)
{
    while (b->n < TASKS_MAX) {
        struct ucred who;
        socklen_t size = sizeof who;
        int fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
            who.pid = 0;
        b->running[b->n++] = (task){.fd = fd, .pid = who.pid};
    }
}

task *board_arrived(board *b)
{
    board_accept(b);
    for (unsigned i = 0; i < b->n; i++) {
        task *t = &b->running[i];
        if (!t->known && recv(t->fd, &t->host, sizeof t->host, 0) == sizeof t->host) {
            t->known = true;
            b->started++;
            return t;
        }
    }
    return NULL;
}

bool board_vanished(board *b, task *ret)
{
    for (unsigned i = 0; i < b->n; i++) {
        char byte;
        ssize_t n = recv(b->running[i].fd, &byte, 1, MSG_PEEK);
        if (n > 0 || (n < 0 && errno == EAGAIN))
            continue;
        *ret = b->running[i];
        board_remove(b, i);
        if (ret->known)
            return true;
        i--;
    }
    return false;
}

void board_end(board *b, unsigned i)
{
    ssize_t told = send(b->running[i].fd, "", 1, MSG_NOSIGNAL);
    (void)told; /* one that is gone has ended */
    board_remove(b, i);
    b->ended++;
}

uint32_t board_count(const board *b, uint32_t host)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < b->n; i++)
        n += b->running[i].known && b->running[i].host == host;
    return n;
}

const task *board_find(const board *b, pid_t pid)
{
    for (unsigned i = 0; i < b->n; i++)
        if (b->running[i].known && b->running[i].pid == pid)
            return &b->running[i];
    return NULL;
}

int task_main(const char *host)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = getenv("GRANARY_KIT_BOARD");
    uint32_t number = host ? (uint32_t)strtoul(host, NULL, 10) : 0;
    char byte;
    if (!path || strlen(path) >= sizeof name.sun_path) {
        fprintf(stderr, TASK_NAME ": no GRANARY_KIT_BOARD in the environment: a task is started by the program that "
                                  "granary-conformance drives\n");
        return 2;
    }
    strcpy(name.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) < 0 || write(fd, &number, sizeof number) < 0) {
        perror(TASK_NAME);
        return 1;
    }
    return read(fd, &byte, 1) == 1 ? 0 : 1; /* 1: the case is over */
}
