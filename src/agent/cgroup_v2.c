/*
 * cgroup_v2.c - limits groups in the unified tree.
 *
 * A group that hands controllers to its children may hold no processes itself (but the root may). So the agent moves
 * into a leaf beside its claims, and takes along only its supervisor and that one's other children: if anybody
 * else lives in the same group this backend cannot be used, and everything is put back.
 *
 *   <base>/granary-agent            granaryd, granary-broker, granary-agent
 *   <base>/granary.<books>/c<gen>   one claim
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup_books.h"
#include "base/status.h"

enum { V2_STAT, V2_CURRENT, V2_PEAK, V2_MEMORY_EVENTS, V2_GROUP_EVENTS, V2_KILL };
_Static_assert(V2_KILL < CGROUP_FILES, "a place for each");

typedef struct {
    cgroup_group base;
    bool peak_resets;     /* Linux 6.12 */
    uint64_t kills, high; /* at the begin of the task */
} v2_group;

static v2_group *v2_of(group *g)
{
    return (v2_group *)g;
}

static int v2_file(const group *g, int which)
{
    return ((const cgroup_group *)g)->files[which];
}

static int v2_books_made(int dir)
{
    return cgroup_write(dir, "cgroup.subtree_control", "+memory");
}

static int v2_files(cgroup_group *g)
{
    int *files = g->files;
    files[V2_STAT] = cgroup_file(g, "memory.stat", O_RDONLY);
    files[V2_CURRENT] = cgroup_file(g, "memory.current", O_RDONLY);
    files[V2_MEMORY_EVENTS] = cgroup_file(g, "memory.events", O_RDONLY);
    files[V2_GROUP_EVENTS] = cgroup_file(g, "cgroup.events", O_RDONLY);
    files[V2_KILL] = cgroup_file(g, "cgroup.kill", O_WRONLY); /* Linux 5.14 */
    files[V2_PEAK] = cgroup_file(g, "memory.peak", O_RDWR);   /* writable: Linux 6.12 */
    if (files[V2_PEAK] >= 0 && pwrite(files[V2_PEAK], "reset", 5, 0) == 5)
        v2_of(&g->base)->peak_resets = true;
    else if (files[V2_PEAK] < 0)
        files[V2_PEAK] = cgroup_file(g, "memory.peak", O_RDONLY); /* Linux 5.19 */
    if (files[V2_STAT] < 0 || files[V2_CURRENT] < 0 || files[V2_MEMORY_EVENTS] < 0 || files[V2_GROUP_EVENTS] < 0)
        return STATUS_SYSTEM;
    return 0;
}

static int v2_limits(int dir, bytes_t limit)
{
    int r = cgroup_write_number(dir, "memory.max", limit);
    if (r == 0)
        r = cgroup_write(dir, "memory.oom.group", "1");
    if (r < 0)
        return r;
    /* Both are absent on kernels without swap: then there is nothing to keep a claim out of. */
    r = cgroup_write(dir, "memory.swap.max", "0");
    if (r < 0 && r != STATUS_NOT_FOUND)
        return r;
    r = cgroup_write(dir, "memory.zswap.max", "0");
    return r == STATUS_NOT_FOUND ? 0 : r;
}

static int v2_kill(group *base)
{
    if (v2_file(base, V2_KILL) < 0)
        return STATUS_NOT_FOUND;
    return pwrite(v2_file(base, V2_KILL), "1", 1, 0) == 1 ? 0 : STATUS_SYSTEM;
}

/* Before Linux 5.18 there is no sum of kernel memory: these are its parts. */
static bytes_t kernel_memory(const char *lines)
{
    static const char *const parts[] = {"kernel_stack", "pagetables", "percpu", "vmalloc", "slab"};
    bytes_t sum = cgroup_field(lines, "kernel");
    if (sum)
        return sum;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sum += cgroup_field(lines, parts[i]);
    return sum;
}

static int v2_use(group *base, bytes_t *ret)
{
    char lines[8192];
    int r = cgroup_fd_text(v2_file(base, V2_STAT), lines, sizeof lines);
    if (r == 0)
        *ret = cgroup_field(lines, "anon") + cgroup_field(lines, "shmem") + kernel_memory(lines);
    return r;
}

static int v2_charged(group *base, bytes_t *ret)
{
    return cgroup_fd_number(v2_file(base, V2_CURRENT), ret);
}

static int v2_kills(const group *g, uint64_t *ret)
{
    char lines[512];
    int r = cgroup_fd_text(v2_file(g, V2_MEMORY_EVENTS), lines, sizeof lines);
    if (r == 0)
        *ret = cgroup_field(lines, "oom_kill");
    return r;
}

static int v2_task_begin(group *base)
{
    v2_group *g = v2_of(base);
    if (g->peak_resets)
        (void)!pwrite(v2_file(base, V2_PEAK), "reset", 5, 0);
    g->high = 0;
    if (v2_file(base, V2_PEAK) >= 0 && !g->peak_resets)
        (void)cgroup_fd_number(v2_file(base, V2_PEAK), &g->high);
    return v2_kills(base, &g->kills);
}

static int v2_task_end(group *base, bool *ret_oom, bytes_t *ret_ceiling)
{
    v2_group *g = v2_of(base);
    uint64_t kills = 0, high = UINT64_MAX;
    int r = v2_kills(base, &kills);
    if (r < 0)
        return r;
    /* A mark that cannot be reset speaks of this task only if this task raised it. */
    int peak = v2_file(base, V2_PEAK);
    if (peak < 0 || cgroup_fd_number(peak, &high) < 0 || (!g->peak_resets && high <= g->high))
        high = UINT64_MAX;
    *ret_oom = kills > g->kills;
    *ret_ceiling = high;
    return 0;
}

/* Page cache goes first, and before the limit is written: the kernel kills inside that write. */
static int v2_limit(group *base, bytes_t limit)
{
    int dir = v2_of(base)->base.dir;
    uint64_t current = 0;
    int r = v2_charged(base, &current);
    if (r < 0)
        return r;
    if (current > limit) {
        (void)cgroup_write_number(dir, "memory.reclaim", current - limit); /* EAGAIN: less could be dropped */
        r = v2_charged(base, &current);
        if (r < 0)
            return r;
        if (current > limit)
            return STATUS_STATE;
    }
    return cgroup_write_number(dir, "memory.max", limit);
}

static int v2_reclaim_fd(group *base, int *ret)
{
    int fd = cgroup_file(&v2_of(base)->base, "memory.reclaim", O_WRONLY); /* Linux 5.19 */
    if (fd < 0)
        return STATUS_SYSTEM;
    *ret = fd;
    return 0;
}

static int v2_reclaim(int fd, bytes_t most)
{
    char number[32];
    int length = snprintf(number, sizeof number, "%llu", (unsigned long long)most);
    return write(fd, number, (size_t)length) == length ? 0 : STATUS_SYSTEM;
}

static uint32_t v2_events(group *base, group_event ret[GROUP_EVENTS])
{
    ret[0] = (group_event){.fd = v2_file(base, V2_MEMORY_EVENTS), .events = EPOLLPRI};
    ret[1] = (group_event){.fd = v2_file(base, V2_GROUP_EVENTS), .events = EPOLLPRI};
    return 2;
}

static void v2_event_clear(group *base, int fd)
{
    char lines[512];
    (void)base;
    (void)cgroup_fd_text(fd, lines, sizeof lines); /* reading arms the next event */
}

static const backend_ops v2_ops = {
    .name = "cgroup v2",
    .limited = true,
    .destroy = cgroup_backend_destroy,
    .books = cgroup_backend_books,
    .list = cgroup_backend_list,
    .open = cgroup_backend_open,
    .close = cgroup_backend_close,
    .remove = cgroup_backend_remove,
    .attach = cgroup_backend_attach,
    .processes = cgroup_backend_processes,
    .kill = v2_kill,
    .use = v2_use,
    .charged = v2_charged,
    .task_begin = v2_task_begin,
    .task_end = v2_task_end,
    .limit = v2_limit,
    .reclaim_fd = v2_reclaim_fd,
    .reclaim = v2_reclaim,
    .events = v2_events,
    .event_clear = v2_event_clear,
};

static const cgroup_version v2_version = {
    .group_size = sizeof(v2_group),
    .books_made = v2_books_made,
    .files = v2_files,
    .limits = v2_limits,
};

/* Ours are this process, and if it is supervised the supervisor and its children. */
static bool is_ours(const procfs *proc, pid_t pid, bool supervised)
{
    procfs_process process;
    if (pid == getpid())
        return true;
    if (!supervised)
        return false;
    if (pid == getppid())
        return true;
    return procfs_process_read(proc, pid, &process) == 0 && process.parent == getppid();
}

static int move_all(const char *from, const char *to, const backend_options *options)
{
    int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int procs = target < 0 ? -1 : openat(target, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    pids list = {0};
    int r = source < 0 || procs < 0 ? STATUS_SYSTEM : cgroup_processes(source, &list);
    for (uint32_t i = 0; r == 0 && i < list.count; i++)
        if (is_ours(options->proc, list.items[i], options->supervised))
            r = cgroup_attach(procs, list.items[i]);
    pids_free(&list);
    if (source >= 0)
        close(source);
    if (target >= 0)
        close(target);
    if (procs >= 0)
        close(procs);
    return r == STATUS_DEAD ? 0 : r;
}

static int enable_memory(const char *base, const backend_options *options, char reason[REASON_MAX])
{
    char control[2 * PATH_MAX + 32], leaf[2 * PATH_MAX + 32];
    snprintf(control, sizeof control, "%s/cgroup.subtree_control", base);
    snprintf(leaf, sizeof leaf, "%s/%s", base, CGROUP_LEAF);
    int r = cgroup_write(AT_FDCWD, control, "+memory");
    if (r == STATUS_STATE) { /* EBUSY: processes live in the base */
        if (mkdir(leaf, 0755) < 0 && errno != EEXIST) {
            snprintf(reason, REASON_MAX, "the memory controller is not delegated to this user");
            return STATUS_NOT_FOUND;
        }
        r = move_all(base, leaf, options);
        if (r == 0)
            r = cgroup_write(AT_FDCWD, control, "+memory");
        if (r < 0) {
            (void)move_all(leaf, base, options);
            (void)rmdir(leaf);
        }
    }
    if (r == STATUS_STATE)
        snprintf(reason, REASON_MAX, "other processes live in this agent's own group; start it in a group of its own");
    else if (r < 0)
        snprintf(reason, REASON_MAX, "the memory controller is not delegated to this user");
    return r < 0 ? STATUS_NOT_FOUND : 0;
}

static bool word_in(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return true;
    return false;
}

int cgroup_v2_create(backend **ret, const backend_options *options, char reason[REASON_MAX])
{
    cgroup_books *self = calloc(1, sizeof *self);
    if (!self)
        return STATUS_NO_MEMORY;
    *self = (cgroup_books){.base = {.ops = &v2_ops, .proc = options->proc}, .version = &v2_version, .dir = -1};
    char base[2 * PATH_MAX], file[2 * PATH_MAX + 32], controllers[512];
    int r = cgroup_find(options->proc, options->cgroup_root, 2, &self->place);
    if (r < 0) {
        snprintf(reason, REASON_MAX, "no cgroup v2 tree is mounted");
        goto no;
    }
    char *name = strrchr(self->place.own, '/');
    if (name && strcmp(name + 1, CGROUP_LEAF) == 0)
        *name = 0; /* started by a supervisor that an earlier agent moved there */
    snprintf(base, sizeof base, "%s%s", self->place.mount, self->place.own);
    snprintf(file, sizeof file, "%s/cgroup.controllers", base);
    r = cgroup_read_text(AT_FDCWD, file, controllers, sizeof controllers);
    if (r < 0 || !word_in(controllers, "memory")) {
        snprintf(reason, REASON_MAX, "the memory controller is not in this agent's cgroup v2 group");
        goto no;
    }
    snprintf(file, sizeof file, "%s/cgroup.procs", base);
    if (faccessat(AT_FDCWD, base, W_OK | X_OK, AT_EACCESS) < 0 || faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) < 0) {
        snprintf(reason, REASON_MAX, "the memory controller is not delegated to this user");
        goto no;
    }
    r = enable_memory(base, options, reason);
    if (r < 0)
        goto no;
    *ret = &self->base;
    return 0;
no:
    free(self);
    return STATUS_NOT_FOUND;
}
