/*
 * watchpid.c - one epoll set for many descriptors; see watchpid.h.
 *
 * A callback may destroy any watch, also one whose event is already in the batch at hand. So a destroyed watch is
 * only marked, and freed after the batch.
 */
#include "agent/watchpid.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"

#define BATCH 64

struct watch {
    watchpid *set;
    int fd; /* -1 when destroyed */
    watch_callback callback;
    void *context;
    watch *next_dead;
};

struct watchpid {
    int epoll;
    uv_poll_t poll;
    bool in_batch;
    uint32_t live;
    watch *dead;
};

static void set_bury(watchpid *set)
{
    while (set->dead) {
        watch *w = set->dead;
        set->dead = w->next_dead;
        free(w);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    watchpid *set = poll->data;
    struct epoll_event batch[BATCH];
    if (status < 0 || !(events & UV_READABLE))
        return;
    int n = epoll_wait(set->epoll, batch, BATCH, 0);
    set->in_batch = true;
    for (int i = 0; i < n; i++) {
        watch *w = batch[i].data.ptr;
        if (w->fd >= 0)
            w->callback(w->context, w);
    }
    set->in_batch = false;
    set_bury(set);
}

int watchpid_create(watchpid **ret, uv_loop_t *loop)
{
    watchpid *set = calloc(1, sizeof *set);
    if (!set)
        return STATUS_NO_MEMORY;
    set->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (set->epoll < 0) {
        free(set);
        return STATUS_SYSTEM;
    }
    if (uv_poll_init(loop, &set->poll, set->epoll) < 0) {
        close(set->epoll);
        free(set);
        return STATUS_SYSTEM;
    }
    set->poll.data = set;
    if (uv_poll_start(&set->poll, UV_READABLE, on_readable) < 0) {
        uv_close((uv_handle_t *)&set->poll, NULL); /* the set is leaked: start-up fails, the program ends */
        return STATUS_SYSTEM;
    }
    *ret = set;
    return 0;
}

void watchpid_stop(watchpid *set)
{
    uv_close((uv_handle_t *)&set->poll, NULL);
}

void watchpid_destroy(watchpid *set)
{
    if (!set)
        return;
    assert(set->live == 0);
    close(set->epoll);
    set_bury(set);
    free(set);
}

int watch_create(watch **ret, watchpid *set, int fd, uint32_t events, watch_callback callback, void *context)
{
    watch *w = calloc(1, sizeof *w);
    if (!w) {
        close(fd);
        return STATUS_NO_MEMORY;
    }
    *w = (watch){.set = set, .fd = fd, .callback = callback, .context = context};
    struct epoll_event event = {.events = events, .data.ptr = w};
    if (epoll_ctl(set->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        free(w);
        return STATUS_SYSTEM;
    }
    set->live++;
    *ret = w;
    return 0;
}

void watch_destroy(watch *w)
{
    if (!w)
        return;
    assert(w->fd >= 0 && w->set->live > 0);
    watchpid *set = w->set;
    /* Explicitly: a duplicate of the descriptor, in a child say, would keep it in the set after the close. */
    epoll_ctl(set->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    close(w->fd);
    w->fd = -1;
    set->live--;
    w->next_dead = set->dead;
    set->dead = w;
    if (!set->in_batch)
        set_bury(set);
}

int watch_fd(const watch *w)
{
    return w->fd;
}

int pidfd_of(pid_t pid, int *ret)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == ESRCH ? STATUS_DEAD : STATUS_SYSTEM;
    *ret = fd;
    return 0;
}

bool pidfd_dead(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLIN | POLLHUP | POLLNVAL)) != 0;
}

int pidfd_kill(int pidfd)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0 || errno == ESRCH)
        return 0;
    return errno == EPERM ? STATUS_DENIED : STATUS_SYSTEM;
}
