/*
 * standins_proc.c - what the agent would read in /proc, from the truth of its machine.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup.h"
#include "agent/whois.h"
#include "base/status.h"
#include "standins.h"

static const process *living(pid_t pid)
{
    const process *p = machine_find(life_here()->machine, pid);
    return p && p->alive ? p : NULL;
}

int pids_reserve(pids *p, uint32_t count)
{
    if (p->capacity >= count)
        return 0;
    p->items = sim_grow(p->items, count * sizeof *p->items);
    p->capacity = count;
    return 0;
}

int pids_add(pids *p, pid_t pid)
{
    if (p->count == p->capacity)
        pids_reserve(p, p->capacity ? p->capacity * 2 : 32);
    p->items[p->count++] = pid;
    return 0;
}

bool pids_has(const pids *p, pid_t pid)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->items[i] == pid)
            return true;
    return false;
}

void pids_free(pids *p)
{
    free(p->items);
    *p = (pids){0};
}

int procfs_meminfo(const procfs *p, procfs_memory *ret)
{
    const machine *m = life_here()->machine;
    bytes_t used = machine_in_use(m), total = machine_physical(m);
    (void)p;
    *ret = (procfs_memory){.total = total, .available = used < total ? total - used : 0};
    return 0;
}

static procfs_process see(const process *p)
{
    return (procfs_process){.parent = p->parent,
                            .threads = 1,
                            .real = p->uid,
                            .effective = p->uid,
                            .saved = p->uid,
                            .resident = p->anon + p->brought + p->shared};
}

int procfs_process_read(const procfs *p, pid_t pid, procfs_process *ret)
{
    const process *one = living(pid);
    (void)p;
    if (!one)
        return STATUS_DEAD;
    *ret = see(one);
    return 0;
}

int procfs_share(const procfs *p, pid_t pid, bytes_t *ret)
{
    const process *one = living(pid);
    (void)p;
    if (!one)
        return STATUS_DEAD;
    *ret = see(one).resident;
    return 0;
}

int procfs_start(const procfs *p, pid_t pid, uint64_t *ret)
{
    const process *one = living(pid);
    (void)p;
    if (!one)
        return STATUS_DEAD;
    *ret = one->start;
    return 0;
}

int procfs_oom_adjust(const procfs *p, pid_t pid, int *ret)
{
    (void)p;
    if (!living(pid))
        return STATUS_DEAD;
    *ret = 0;
    return 0;
}

int procfs_pidfd_pid(const procfs *p, int pidfd, pid_t *ret)
{
    const descriptor *d = descriptor_at(pidfd);
    (void)p;
    if (d->kind != DESCRIPTOR_PROCESS)
        return STATUS_INVALID;
    if (!living(d->pid))
        return STATUS_DEAD;
    *ret = d->pid;
    return 0;
}

int procfs_children(const procfs *p, pid_t pid, pids *to)
{
    const machine *m = life_here()->machine;
    (void)p;
    if (!living(pid))
        return STATUS_DEAD;
    for (uint32_t i = 0; i < m->n_living; i++)
        if (m->living[i]->parent == pid)
            pids_add(to, m->living[i]->pid);
    return 0;
}

int procfs_children_of_main(const procfs *p, pid_t pid, pids *to)
{
    return procfs_children(p, pid, to);
}

int procfs_pids(const procfs *p, pids *to)
{
    const machine *m = life_here()->machine;
    (void)p;
    for (uint32_t i = 0; i < m->n_living; i++)
        pids_add(to, m->living[i]->pid);
    return 0;
}

/* At its gate it shows what it was before; in the middle of its exec, nothing. */
int procfs_claim_of(const procfs *p, pid_t pid, const char *books, uint64_t *ret_gen)
{
    const agent_life *l = life_here();
    const process *one = living(pid);
    (void)p;
    if (!one)
        return STATUS_DEAD;
    if (one->runs && clock_now(l->sim->clock) < one->exec_until)
        return STATUS_BUSY;
    if (one->names == 0 || strcmp(books, LIFE_BOOKS) != 0)
        return STATUS_NOT_FOUND;
    *ret_gen = one->names;
    return 0;
}

int whois_waiting(const procfs *p, int pidfd, pid_t *ret_pid, procfs_process *ret)
{
    const agent_life *l = life_here();
    const process *one = living(descriptor_at(pidfd)->pid);
    (void)p;
    if (!l->machine->knows_waiting || (one && one->runs))
        return STATUS_NOT_FOUND;
    if (!one)
        return STATUS_DEAD;
    *ret_pid = one->pid;
    *ret = see(one);
    return 0;
}

bool books_valid(const char *books)
{
    size_t n = strlen(books);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)books[i]) && books[i] != '-' && books[i] != '_')
            return false;
    return n > 0 && n < BOOKS_MAX;
}
