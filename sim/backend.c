/*
 * backend.c - limits groups for the agent, on a machine: version 2, version 1, or the real backend that only watches.
 *
 * What differs between kernels is thrown for each machine: whether version 2 can kill a group at once, has a high-water
 * mark, can reset it, can drop what is left. As in the kernel, an open group is a folder: removed and made again it is
 * another one, and the old descriptors read nothing any more.
 */
#include <stdlib.h>
#include <sys/epoll.h>

#include "agent/cgroup.h"
#include "base/status.h"
#include "standins.h"

typedef struct {
    backend base;
    machine *machine;
} machine_backend;

typedef struct {
    group base;
    uint64_t folder;
    int files[GROUP_EVENTS];
    uint32_t n_files;
    uint64_t kills, seen, high; /* at the begin of the task; at the last look */
} open_group;

static machine *machine_of(const group *g)
{
    return ((const machine_backend *)g->owner)->machine;
}

/* NULL: its folder is gone. */
static machine_group *truth_of(const group *g)
{
    return machine_group_of(machine_of(g), ((const open_group *)g)->folder);
}

static void end(backend *b)
{
    free(b);
}

static int use_books(backend *b, const char *books)
{
    (void)b;
    return books_valid(books) ? 0 : STATUS_INVALID;
}

static int list(backend *b, generations *ret)
{
    generations found = {0};
    for (const machine_group *g = ((machine_backend *)b)->machine->groups; g; g = g->next) {
        found.items = sim_grow(found.items, (found.count + 1) * sizeof *found.items);
        found.items[found.count++] = g->generation;
    }
    *ret = found;
    return 0;
}

static int open_one(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made)
{
    machine *m = ((machine_backend *)b)->machine;
    machine_group *truth = machine_group_find(m, gen);
    bool made = !truth && make;
    if (!truth && !make)
        return STATUS_NOT_FOUND;
    if (machine_refuses(m))
        return STATUS_SYSTEM;
    if (made)
        truth = machine_group_make(m, gen, limit);
    open_group *g = sim_alloc(sizeof *g);
    *g = (open_group){.base = {.owner = b, .generation = gen}, .folder = truth->folder, .seen = truth->kills};
    g->files[g->n_files++] = descriptor_of_news(g->folder, GROUP_MEMORY);
    if (m->how == ENFORCE_V2)
        g->files[g->n_files++] = descriptor_of_news(g->folder, GROUP_POPULATED);
    *ret = &g->base;
    *ret_made = made;
    return 0;
}

static void close_one(group *base)
{
    open_group *g = (open_group *)base;
    if (!g)
        return;
    for (uint32_t i = 0; i < g->n_files; i++)
        standin_close(g->files[i]);
    free(g);
}

static int remove_one(group *base)
{
    machine_group *truth = machine_group_find(machine_of(base), base->generation);
    if (life_here()->over)
        return STATUS_SYSTEM;
    if (!truth)
        return 0;
    return machine_group_remove(machine_of(base), truth) ? 0 : STATUS_STATE;
}

static int attach(group *base, pid_t pid)
{
    machine_group *truth = truth_of(base);
    process *p = machine_find(machine_of(base), pid);
    if (!truth)
        return STATUS_NOT_FOUND;
    if (!p || !p->alive)
        return STATUS_DEAD;
    if (machine_refuses(machine_of(base)))
        return STATUS_SYSTEM;
    machine_group_enter(machine_of(base), truth, p);
    return 0;
}

static int processes(group *base, pids *to)
{
    const machine *m = machine_of(base);
    const machine_group *truth = truth_of(base);
    if (!truth)
        return STATUS_NOT_FOUND;
    for (uint32_t i = 0; i < m->n_living; i++)
        if (m->living[i]->group == truth)
            pids_add(to, m->living[i]->pid);
    return 0;
}

static int kill_all(group *base)
{
    machine *m = machine_of(base);
    machine_group *truth = truth_of(base);
    if (!m->kills_at_once || !truth)
        return STATUS_NOT_FOUND;
    machine_group_kill(m, truth, "agent");
    return 0;
}

static int use(group *base, bytes_t *ret)
{
    const machine_group *truth = truth_of(base);
    if (!truth)
        return STATUS_NOT_FOUND;
    *ret = truth->used;
    return 0;
}

static int charged(group *base, bytes_t *ret)
{
    const machine_group *truth = truth_of(base);
    if (!truth)
        return STATUS_NOT_FOUND;
    *ret = machine_group_charged(truth);
    return 0;
}

/* ---- tasks ---- */

static bool resets(const machine *m)
{
    return m->how == ENFORCE_V1 || (m->has_high && m->resets_high);
}

static int task_begin(group *base)
{
    open_group *g = (open_group *)base;
    const machine *m = machine_of(base);
    machine_group *truth = truth_of(base);
    if (!truth)
        return STATUS_NOT_FOUND;
    if (resets(m))
        truth->high = machine_group_charged(truth);
    g->high = m->has_high ? truth->high : 0;
    g->kills = m->how == ENFORCE_V1 ? g->seen : truth->kills;
    return 0;
}

static int task_end(group *base, bool *ret_oom, bytes_t *ret_ceiling)
{
    open_group *g = (open_group *)base;
    const machine *m = machine_of(base);
    const machine_group *truth = truth_of(base);
    if (!truth)
        return STATUS_NOT_FOUND;
    bool knows = m->how == ENFORCE_V1 || (m->has_high && (resets(m) || truth->high > g->high));
    g->seen = truth->kills;
    *ret_oom = truth->kills > g->kills;
    *ret_ceiling = knows ? truth->high : UINT64_MAX;
    return 0;
}

static bool can_drop(const machine *m)
{
    return m->how == ENFORCE_V1 || m->can_reclaim;
}

static int limit(group *base, bytes_t wanted)
{
    machine_group *truth = truth_of(base);
    if (!truth)
        return STATUS_NOT_FOUND;
    if (machine_refuses(machine_of(base)))
        return STATUS_SYSTEM;
    if (machine_group_charged(truth) > wanted && can_drop(machine_of(base)))
        machine_group_drop(machine_of(base), truth);
    if (machine_group_charged(truth) > wanted)
        return STATUS_STATE;
    truth->limit = wanted;
    return 0;
}

static int reclaim_open(group *base, int *ret)
{
    const machine *m = machine_of(base);
    if (!truth_of(base) || !can_drop(m))
        return STATUS_SYSTEM;
    *ret = descriptor_of_reclaim(((open_group *)base)->folder);
    return 0;
}

static int reclaim(int fd, bytes_t most)
{
    machine *m = life_here()->machine;
    machine_group *truth = machine_group_of(m, descriptor_at(fd)->folder);
    (void)most;
    if (!truth)
        return STATUS_SYSTEM;
    machine_group_drop(m, truth);
    return 0;
}

/* ---- events ---- */

static uint32_t events(group *base, group_event ret[GROUP_EVENTS])
{
    const open_group *g = (open_group *)base;
    for (uint32_t i = 0; i < g->n_files; i++)
        ret[i] = (group_event){.fd = g->files[i], .events = EPOLLPRI};
    return g->n_files;
}

static void event_clear(group *base, int fd)
{
    (void)base;
    descriptor_at(fd)->news->pending = false;
}

static const backend_ops v2_ops = {
    .name = "cgroup v2",
    .limited = true,
    .destroy = end,
    .books = use_books,
    .list = list,
    .open = open_one,
    .close = close_one,
    .remove = remove_one,
    .attach = attach,
    .processes = processes,
    .kill = kill_all,
    .use = use,
    .charged = charged,
    .task_begin = task_begin,
    .task_end = task_end,
    .limit = limit,
    .reclaim_fd = reclaim_open,
    .reclaim = reclaim,
    .events = events,
    .event_clear = event_clear,
};

/* ---- watch: the real one, and the truth is told who entered ---- */

static int (*watch_attach)(group *base, pid_t pid);

static int watch_attach_and_tell(group *base, pid_t pid)
{
    machine *m = life_here()->machine;
    machine_group *truth = machine_group_find(m, base->generation);
    process *p = machine_find(m, pid);
    int r = watch_attach(base, pid);
    if (r < 0 || !p->alive)
        return r;
    if (!truth)
        truth = machine_group_make(m, base->generation, UINT64_MAX);
    machine_group_enter(m, truth, p);
    return 0;
}

static backend *watcher(const procfs *proc)
{
    static backend_ops ops;
    backend_options options = {.proc = proc, .cgroup_root = "", .watch = true};
    backend *b;
    if (watch_backend_create(&b, &options, "thrown") < 0)
        abort();
    ops = *b->ops;
    watch_attach = ops.attach;
    ops.attach = watch_attach_and_tell;
    b->ops = &ops;
    return b;
}

backend *machine_backend_create(agent_life *l)
{
    static backend_ops v1_ops;
    if (l->machine->how == ENFORCE_WATCH)
        return watcher(&l->proc);
    v1_ops = v2_ops;
    v1_ops.name = "cgroup v1";
    v1_ops.kill = NULL;
    machine_backend *b = sim_alloc(sizeof *b);
    *b = (machine_backend){.base = {.ops = l->machine->how == ENFORCE_V2 ? &v2_ops : &v1_ops, .proc = &l->proc},
                           .machine = l->machine};
    return &b->base;
}
