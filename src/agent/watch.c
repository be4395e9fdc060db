/*
 * watch.c - the backend where nothing can be limited: membership by process tree and environment.
 *
 * What belongs to a claim: processes that entered it, their children as seen at every look, and processes of
 * the same user that carry GRANARY_CLAIM=<books>.<generation>. The claim above watches every member, so that the
 * children of one that dies are looked for at once. Use is resident anonymous + shared memory; shared pages count for
 * each process.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/watchpid.h"
#include "base/status.h"

typedef struct {
    pid_t pid;
    int pidfd; /* names it for sure: a pid is reused */
} member;

typedef struct watch_group watch_group;

typedef struct {
    backend base;
    char books[BOOKS_MAX];
    watch_group *first;
} watcher;

struct watch_group {
    group base;
    watch_group *next;
    member *members;
    uint32_t count, capacity;
};

static watch_group *watch_of(group *g)
{
    return (watch_group *)g;
}

static void watch_backend_destroy(backend *b)
{
    free(b);
}

static int watch_books(backend *b, const char *books)
{
    if (!books_valid(books))
        return STATUS_INVALID;
    snprintf(((watcher *)b)->books, BOOKS_MAX, "%s", books);
    return 0;
}

static int seen_before(const generations *g, uint64_t gen)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (g->items[i] == gen)
            return 1;
    return 0;
}

static int watch_list(backend *b, generations *ret)
{
    watcher *self = (watcher *)b;
    generations found = {.items = calloc(CLAIMS_MAX, sizeof *found.items)};
    pids all = {0};
    int r = found.items ? procfs_pids(b->proc, &all) : STATUS_NO_MEMORY;
    for (uint32_t i = 0; r == 0 && i < all.count && found.count < CLAIMS_MAX; i++) {
        uint64_t gen;
        if (procfs_claim_of(b->proc, all.items[i], self->books, &gen) == 0 && !seen_before(&found, gen))
            found.items[found.count++] = gen;
    }
    for (watch_group *g = self->first; r == 0 && g && found.count < CLAIMS_MAX; g = g->next)
        if (!seen_before(&found, g->base.generation))
            found.items[found.count++] = g->base.generation;
    pids_free(&all);
    if (r < 0) {
        free(found.items);
        return r;
    }
    *ret = found;
    return 0;
}

static int watch_add(watch_group *g, pid_t pid)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (g->members[i].pid == pid)
            return 0;
    if (g->count == PIDS_MAX)
        return STATUS_LIMIT;
    if (g->count == g->capacity) {
        uint32_t capacity = g->capacity ? 2 * g->capacity : 4;
        member *members = realloc(g->members, capacity * sizeof *members);
        if (!members)
            return STATUS_NO_MEMORY;
        g->members = members;
        g->capacity = capacity;
    }
    int pidfd;
    int r = pidfd_of(pid, &pidfd);
    if (r < 0)
        return r;
    g->members[g->count++] = (member){.pid = pid, .pidfd = pidfd};
    return 0;
}

static void watch_drop_dead(watch_group *g)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        if (pidfd_dead(g->members[i].pidfd))
            close(g->members[i].pidfd);
        else
            g->members[kept++] = g->members[i];
    }
    g->count = kept;
}

/* One look at all processes: children of members, and those that say they belong. Until nothing new is found. */
static int watch_look(watch_group *g)
{
    watcher *self = (watcher *)g->base.owner;
    const procfs *proc = self->base.proc;
    pids all = {0};
    watch_drop_dead(g);
    /* Children first: cheap, and complete for those whose parents live. */
    for (uint32_t i = 0; i < g->count; i++) {
        pids children = {0};
        (void)procfs_children(proc, g->members[i].pid,
                              &children); /* it may have died; then its children carry the name */
        for (uint32_t k = 0; k < children.count; k++)
            (void)watch_add(g, children.items[k]);
        pids_free(&children);
    }
    int r = procfs_pids(proc, &all);
    for (uint32_t i = 0; r == 0 && i < all.count; i++) {
        uint64_t gen;
        procfs_process process;
        if (procfs_claim_of(proc, all.items[i], self->books, &gen) == 0 && gen == g->base.generation &&
            procfs_process_read(proc, all.items[i], &process) == 0 && !process.zombie)
            (void)watch_add(g, all.items[i]);
    }
    pids_free(&all);
    return r;
}

static void watch_close(group *base)
{
    if (!base)
        return;
    watch_group *g = watch_of(base);
    watch_group **at = &((watcher *)base->owner)->first;
    while (*at && *at != g)
        at = &(*at)->next;
    if (*at)
        *at = g->next;
    for (uint32_t i = 0; i < g->count; i++)
        close(g->members[i].pidfd);
    free(g->members);
    free(g);
}

static int watch_open(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made)
{
    (void)limit;
    watcher *self = (watcher *)b;
    watch_group *g = calloc(1, sizeof *g);
    if (!g)
        return STATUS_NO_MEMORY;
    g->base = (group){.owner = b, .generation = gen};
    g->next = self->first;
    self->first = g;
    int r = watch_look(g);
    bool found = g->count > 0;
    if (r == 0 && !found && !make)
        r = STATUS_NOT_FOUND;
    if (r < 0) {
        watch_close(&g->base);
        return r;
    }
    *ret = &g->base;
    *ret_made = !found;
    return 0;
}

static int watch_remove(group *base)
{
    (void)base;
    return 0;
}

static int watch_attach(group *base, pid_t pid)
{
    return watch_add(watch_of(base), pid);
}

static int watch_processes(group *base, pids *to)
{
    watch_group *g = watch_of(base);
    int r = watch_look(g);
    for (uint32_t i = 0; r == 0 && i < g->count; i++)
        r = pids_add(to, g->members[i].pid);
    return r;
}

static int watch_use(group *base, bytes_t *ret)
{
    watch_group *g = watch_of(base);
    bytes_t sum = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        procfs_process process;
        if (!pidfd_dead(g->members[i].pidfd) &&
            procfs_process_read(base->owner->proc, g->members[i].pid, &process) == 0)
            sum += process.resident;
    }
    *ret = sum;
    return 0;
}

static int watch_task_begin(group *base)
{
    (void)base;
    return 0;
}

static int watch_task_end(group *base, bool *ret_oom, bytes_t *ret_ceiling)
{
    (void)base;
    *ret_oom = false; /* the kernel tells nobody whom it killed */
    *ret_ceiling = UINT64_MAX;
    return 0;
}

static int watch_limit(group *base, bytes_t limit)
{
    (void)base;
    (void)limit;
    return 0;
}

static int watch_reclaim_fd(group *base, int *ret)
{
    (void)base;
    (void)ret;
    return STATUS_NOT_FOUND;
}

static int watch_reclaim(int fd, bytes_t most)
{
    (void)fd;
    (void)most;
    return STATUS_NOT_FOUND;
}

static uint32_t watch_events(group *base, group_event ret[GROUP_EVENTS])
{
    (void)base;
    (void)ret;
    return 0;
}

static void watch_event_clear(group *base, int fd)
{
    (void)base;
    (void)fd;
}

static const backend_ops watch_ops = {
    .name = "watch",
    .limited = false,
    .members_by_watch = true,
    .destroy = watch_backend_destroy,
    .books = watch_books,
    .list = watch_list,
    .open = watch_open,
    .close = watch_close,
    .remove = watch_remove,
    .attach = watch_attach,
    .processes = watch_processes,
    .use = watch_use,
    .charged = watch_use,
    .task_begin = watch_task_begin,
    .task_end = watch_task_end,
    .limit = watch_limit,
    .reclaim_fd = watch_reclaim_fd,
    .reclaim = watch_reclaim,
    .events = watch_events,
    .event_clear = watch_event_clear,
};

int watch_backend_create(backend **ret, const backend_options *options, const char *reason)
{
    watcher *self = calloc(1, sizeof *self);
    if (!self)
        return STATUS_NO_MEMORY;
    self->base = (backend){.ops = &watch_ops, .proc = options->proc};
    snprintf(self->base.reason, REASON_MAX, "%s", reason);
    *ret = &self->base;
    return 0;
}
