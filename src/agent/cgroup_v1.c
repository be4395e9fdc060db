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

#include "agent/cgroup_books.h"
#include "base/status.h"

enum { V1_OOM, V1_HIGH, V1_USAGE, V1_KERNEL, V1_STAT, V1_EVENT }; /* the last is an eventfd */
_Static_assert(V1_EVENT < CGROUP_FILES, "a place for each");

typedef struct {
    cgroup_group base;
    uint64_t kills; /* at the begin of the task */
    uint64_t seen;  /* kills at the last look */
} v1_group;

static v1_group *v1_of(group *g)
{
    return (v1_group *)g;
}

static int v1_file(const group *g, int which)
{
    return ((const cgroup_group *)g)->files[which];
}

static int v1_kills(const group *g, uint64_t *ret)
{
    char lines[256];
    int r = cgroup_fd_text(v1_file(g, V1_OOM), lines, sizeof lines);
    if (r == 0)
        *ret = cgroup_field(lines, "oom_kill");
    return r;
}

static int v1_files(cgroup_group *g)
{
    int *files = g->files;
    files[V1_OOM] = cgroup_file(g, "memory.oom_control", O_RDONLY);
    files[V1_HIGH] = cgroup_file(g, "memory.max_usage_in_bytes", O_RDWR);
    files[V1_USAGE] = cgroup_file(g, "memory.usage_in_bytes", O_RDONLY);
    files[V1_STAT] = cgroup_file(g, "memory.stat", O_RDONLY);
    files[V1_KERNEL] =
        cgroup_file(g, "memory.kmem.usage_in_bytes", O_RDONLY); /* absent: kernel memory is not counted */
    if (files[V1_OOM] < 0 || files[V1_HIGH] < 0 || files[V1_USAGE] < 0 || files[V1_STAT] < 0)
        return STATUS_SYSTEM;
    char line[48];
    files[V1_EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(line, sizeof line, "%d %d", files[V1_EVENT], files[V1_OOM]);
    if (files[V1_EVENT] >= 0 && cgroup_write(g->dir, "cgroup.event_control", line) < 0) {
        close(files[V1_EVENT]); /* then the rest of a group dies when its task is seen to have ended */
        files[V1_EVENT] = -1;
    }
    return v1_kills(&g->base, &v1_of(&g->base)->seen);
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

static int v1_limits(int dir, bytes_t limit)
{
    int r = v1_set_limit(dir, limit);
    /* Without swap accounting this is what keeps a claim out of swap; absent on some kernels. */
    if (r == 0)
        (void)cgroup_write(dir, "memory.swappiness", "0");
    return r;
}

static int v1_use(group *base, bytes_t *ret)
{
    char lines[4096];
    uint64_t kernel = 0;
    int r = cgroup_fd_text(v1_file(base, V1_STAT), lines, sizeof lines);
    if (r == 0 && v1_file(base, V1_KERNEL) >= 0)
        r = cgroup_fd_number(v1_file(base, V1_KERNEL), &kernel);
    if (r < 0)
        return r;
    *ret = cgroup_field(lines, "total_rss") + cgroup_field(lines, "total_shmem") + kernel;
    return 0;
}

static int v1_charged(group *base, bytes_t *ret)
{
    return cgroup_fd_number(v1_file(base, V1_USAGE), ret);
}

static int v1_task_begin(group *base)
{
    v1_group *g = v1_of(base);
    g->kills = g->seen; /* nothing ran since the last look, which was the end of the task before */
    return pwrite(v1_file(base, V1_HIGH), "0", 1, 0) == 1 ? 0 : STATUS_SYSTEM;
}

static int v1_task_end(group *base, bool *ret_oom, bytes_t *ret_ceiling)
{
    v1_group *g = v1_of(base);
    uint64_t kills = 0, high = 0;
    int r = v1_kills(base, &kills);
    if (r == 0)
        r = cgroup_fd_number(v1_file(base, V1_HIGH), &high);
    if (r < 0)
        return r;
    g->seen = kills;
    *ret_oom = kills > g->kills;
    *ret_ceiling = high;
    return 0;
}

static int v1_limit(group *base, bytes_t limit)
{
    return v1_set_limit(v1_of(base)->base.dir, limit);
}

static int v1_reclaim_fd(group *base, int *ret)
{
    int fd = cgroup_file(&v1_of(base)->base, "memory.force_empty", O_WRONLY);
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
    if (v1_file(base, V1_EVENT) < 0)
        return 0;
    ret[0] = (group_event){.fd = v1_file(base, V1_EVENT), .events = EPOLLIN};
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
    .destroy = cgroup_backend_destroy,
    .books = cgroup_backend_books,
    .list = cgroup_backend_list,
    .open = cgroup_backend_open,
    .close = cgroup_backend_close,
    .remove = cgroup_backend_remove,
    .attach = cgroup_backend_attach,
    .processes = cgroup_backend_processes,
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

static const cgroup_version v1_version = {
    .group_size = sizeof(v1_group),
    .files = v1_files,
    .limits = v1_limits,
};

int cgroup_v1_create(backend **ret, const backend_options *options, char reason[REASON_MAX])
{
    cgroup_books *self = calloc(1, sizeof *self);
    if (!self)
        return STATUS_NO_MEMORY;
    *self = (cgroup_books){.base = {.ops = &v1_ops, .proc = options->proc}, .version = &v1_version, .dir = -1};
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
