/*
 * cgroup_v1.c - limits groups where the memory controller is version 1.
 *
 * Version 1 has neither a kill for the whole group nor a death of the whole group when memory runs out:
 * the claim above kills until empty, and is told of an out-of-memory kill through an eventfd. The high-water mark can
 * be reset, so that each task has its own ceiling. Every file that is needed for a task is kept open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "base/status.h"

typedef struct {
    backend base;
    cgroup_place place;
    char books[BOOKS_MAX];
    int dir; /* of the books, -1 until there is one */
} v1;

typedef struct {
    group base;
    int dir, procs, oom, high, usage, kernel, stat;
    int event;      /* eventfd; -1: the kernel has none */
    uint64_t kills; /* at the begin of the task */
    uint64_t seen;  /* kills at the last look */
} v1_group;

static v1_group *v1_of(group *g)
{
    return (v1_group *)g;
}

static void v1_destroy(backend *b)
{
    v1 *self = (v1 *)b;
    char base[2 * PATH_MAX];
    if (self->dir >= 0)
        close(self->dir);
    snprintf(base, sizeof base, "%s%s", self->place.mount, self->place.own);
    cgroup_books_remove(base, self->books);
    free(self);
}

static int v1_folder(v1 *self, bool make)
{
    char base[2 * PATH_MAX];
    if (self->dir >= 0 && cgroup_folder_gone(self->dir)) {
        close(self->dir);
        self->dir = -1;
    }
    if (self->dir >= 0)
        return 0;
    snprintf(base, sizeof base, "%s%s", self->place.mount, self->place.own);
    return cgroup_books_open(base, self->books, make, &self->dir);
}

static int v1_books(backend *b, const char *books)
{
    v1 *self = (v1 *)b;
    if (!books_valid(books))
        return STATUS_INVALID;
    if (self->dir >= 0)
        close(self->dir);
    self->dir = -1;
    snprintf(self->books, sizeof self->books, "%s", books);
    return 0;
}

static int v1_list(backend *b, generations *ret)
{
    v1 *self = (v1 *)b;
    int r = v1_folder(self, false);
    if (r == STATUS_NOT_FOUND) {
        *ret = (generations){0};
        return 0;
    }
    return r < 0 ? r : cgroup_list(self->dir, ret);
}

static void v1_close(group *base)
{
    if (!base)
        return;
    v1_group *g = v1_of(base);
    int fds[] = {g->dir, g->procs, g->oom, g->high, g->usage, g->kernel, g->stat, g->event};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(g);
}

static int open_file(int dir, const char *name, int flags)
{
    return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW);
}

static int v1_kills(v1_group *g, uint64_t *ret)
{
    char lines[256];
    int r = cgroup_fd_text(g->oom, lines, sizeof lines);
    if (r == 0)
        *ret = cgroup_field(lines, "oom_kill");
    return r;
}

static int v1_files(v1_group *g)
{
    g->procs = open_file(g->dir, "cgroup.procs", O_WRONLY);
    g->oom = open_file(g->dir, "memory.oom_control", O_RDONLY);
    g->high = open_file(g->dir, "memory.max_usage_in_bytes", O_RDWR);
    g->usage = open_file(g->dir, "memory.usage_in_bytes", O_RDONLY);
    g->stat = open_file(g->dir, "memory.stat", O_RDONLY);
    g->kernel = open_file(g->dir, "memory.kmem.usage_in_bytes", O_RDONLY); /* absent: kernel memory is not counted */
    if (g->procs < 0 || g->oom < 0 || g->high < 0 || g->usage < 0 || g->stat < 0)
        return STATUS_SYSTEM;
    char line[48];
    g->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(line, sizeof line, "%d %d", g->event, g->oom);
    if (g->event >= 0 && cgroup_write(g->dir, "cgroup.event_control", line) < 0) {
        close(g->event); /* then the rest of a group dies when its task is seen to have ended */
        g->event = -1;
    }
    return v1_kills(g, &g->seen);
}

/* memory.memsw bounds memory + swap, where swap is counted; it may never be the smaller one. */
static int v1_set_limit(int dir, bytes_t limit)
{
    uint64_t both;
    bool swap = cgroup_read_number(dir, "memory.memsw.limit_in_bytes", &both) == 0;
    int r;
    if (swap && both < limit) {
        r = cgroup_write_number(dir, "memory.memsw.limit_in_bytes", limit);
        if (r < 0)
            return r;
    }
    r = cgroup_write_number(dir, "memory.limit_in_bytes", limit);
    if (r < 0)
        return r;
    if (swap && both > limit)
        return cgroup_write_number(dir, "memory.memsw.limit_in_bytes", limit);
    return 0;
}

static int v1_open(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made)
{
    v1 *self = (v1 *)b;
    bool made = false;
    int r = v1_folder(self, make);
    if (r < 0)
        return r;
    v1_group *g = malloc(sizeof *g);
    if (!g)
        return STATUS_NO_MEMORY;
    *g = (v1_group){.base = {.owner = b, .generation = gen},
                    .dir = -1,
                    .procs = -1,
                    .oom = -1,
                    .high = -1,
                    .usage = -1,
                    .kernel = -1,
                    .stat = -1,
                    .event = -1};
    r = cgroup_group_open(self->dir, gen, make, &g->dir, &made);
    if (r == 0)
        r = v1_files(g);
    if (r == 0 && made) {
        r = v1_set_limit(g->dir, limit);
        /* Without swap accounting this is what keeps a claim out of swap; absent on some kernels. */
        (void)cgroup_write(g->dir, "memory.swappiness", "0");
    }
    if (r < 0) {
        int error = errno;
        if (made)
            cgroup_group_remove(self->dir, gen);
        v1_close(&g->base);
        errno = error;
        return r;
    }
    *ret = &g->base;
    *ret_made = made;
    return 0;
}

static int v1_remove(group *base)
{
    return cgroup_group_remove(((v1 *)base->owner)->dir, base->generation);
}

static int v1_attach(group *base, pid_t pid)
{
    return cgroup_attach(v1_of(base)->procs, pid);
}

static int v1_processes(group *base, pids *to)
{
    return cgroup_processes(v1_of(base)->dir, to);
}

static int v1_use(group *base, bytes_t *ret)
{
    v1_group *g = v1_of(base);
    char lines[4096];
    uint64_t kernel = 0;
    int r = cgroup_fd_text(g->stat, lines, sizeof lines);
    if (r == 0 && g->kernel >= 0)
        r = cgroup_fd_number(g->kernel, &kernel);
    if (r < 0)
        return r;
    *ret = cgroup_field(lines, "total_rss") + cgroup_field(lines, "total_shmem") + kernel;
    return 0;
}

static int v1_charged(group *base, bytes_t *ret)
{
    return cgroup_fd_number(v1_of(base)->usage, ret);
}

static int v1_task_begin(group *base)
{
    v1_group *g = v1_of(base);
    g->kills = g->seen; /* nothing ran since the last look, which was the end of the task before */
    return pwrite(g->high, "0", 1, 0) == 1 ? 0 : STATUS_SYSTEM;
}

static int v1_task_end(group *base, bool *ret_oom, bytes_t *ret_ceiling)
{
    v1_group *g = v1_of(base);
    uint64_t kills = 0, high = 0;
    int r = v1_kills(g, &kills);
    if (r == 0)
        r = cgroup_fd_number(g->high, &high);
    if (r < 0)
        return r;
    g->seen = kills;
    *ret_oom = kills > g->kills;
    *ret_ceiling = high;
    return 0;
}

static int v1_limit(group *base, bytes_t limit)
{
    return v1_set_limit(v1_of(base)->dir, limit);
}

static int v1_reclaim_fd(group *base, int *ret)
{
    int fd = open_file(v1_of(base)->dir, "memory.force_empty", O_WRONLY);
    if (fd < 0)
        return STATUS_SYSTEM;
    *ret = fd;
    return 0;
}

static int v1_reclaim(int fd, bytes_t most)
{
    (void)most; /* version 1 drops all it can */
    return write(fd, "0", 1) == 1 ? 0 : STATUS_SYSTEM;
}

static uint32_t v1_events(group *base, group_event ret[GROUP_EVENTS])
{
    v1_group *g = v1_of(base);
    if (g->event < 0)
        return 0;
    ret[0] = (group_event){.fd = g->event, .events = EPOLLIN};
    return 1;
}

static void v1_event_clear(group *base, int fd)
{
    uint64_t count;
    (void)base;
    (void)!read(fd, &count, sizeof count); /* EAGAIN: cleared already */
}

static const backend_ops v1_ops = {
    .name = "cgroup v1",
    .limited = true,
    .destroy = v1_destroy,
    .books = v1_books,
    .list = v1_list,
    .open = v1_open,
    .close = v1_close,
    .remove = v1_remove,
    .attach = v1_attach,
    .processes = v1_processes,
    .use = v1_use,
    .charged = v1_charged,
    .task_begin = v1_task_begin,
    .task_end = v1_task_end,
    .limit = v1_limit,
    .reclaim_fd = v1_reclaim_fd,
    .reclaim = v1_reclaim,
    .events = v1_events,
    .event_clear = v1_event_clear,
};

int cgroup_v1_create(backend **ret, const backend_options *options, char reason[REASON_MAX])
{
    v1 *self = calloc(1, sizeof *self);
    if (!self)
        return STATUS_NO_MEMORY;
    *self = (v1){.base = {.ops = &v1_ops, .proc = options->proc}, .dir = -1};
    char path[2 * PATH_MAX + 32];
    int r = cgroup_find(options->proc, options->cgroup_root, 1, &self->place);
    if (r < 0) {
        snprintf(reason, REASON_MAX, "no version 1 memory controller is mounted");
        free(self);
        return STATUS_NOT_FOUND;
    }
    snprintf(path, sizeof path, "%s%s", self->place.mount, self->place.own);
    if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0) {
        int error = errno;
        if (error == EROFS)
            snprintf(reason, REASON_MAX, "the version 1 memory controller is mounted read-only");
        else
            snprintf(reason, REASON_MAX, "user %u may not make groups in the version 1 memory controller", geteuid());
        free(self);
        return STATUS_NOT_FOUND;
    }
    *ret = &self->base;
    return 0;
}
