/*
 * entry.c - letting a process into a group; see entry.h.
 *
 * A pid is only used between two looks at the pidfd: if the process lived after the attach, it was the one that
 * was attached.
 */
#include "agent/entry.h"

#include <unistd.h>

#include "agent/watchpid.h"
#include "agent/whois.h"
#include "base/status.h"

#define ROUNDS_MAX 32 /* a tree that forks faster than this cannot be caught by attaching */

static void say_unreadable(int status, const char **ret_text)
{
    *ret_text = status == STATUS_DEAD ? "the process has ended" : "the agent cannot read about this process in /proc";
}

static int may_enter(const procfs *proc, pid_t pid, const procfs_process *process, uid_t uid, bool any_user,
                     const char **ret_text)
{
    int adjust = 0;
    int r = process->zombie ? STATUS_DEAD : procfs_oom_adjust(proc, pid, &adjust);
    if (r < 0) {
        say_unreadable(r, ret_text);
        return r;
    }
    if (!any_user && (process->real != uid || process->effective != uid || process->saved != uid)) {
        *ret_text = "the process belongs to another user than the claim";
        return STATUS_DENIED;
    }
    if (adjust == -1000) {
        *ret_text = "the process has oom_score_adj -1000: its limit could not end it; raise that first";
        return STATUS_DENIED;
    }
    if (pid == getpid() || pid == 1) {
        *ret_text = "neither the agent nor init may enter a claim";
        return STATUS_DENIED;
    }
    return 0;
}

static bool child_may_enter(const procfs *proc, pid_t pid, uid_t uid, bool any_user)
{
    procfs_process process = {0};
    const char *text;
    return procfs_process_read(proc, pid, &process) == 0 && may_enter(proc, pid, &process, uid, any_user, &text) == 0;
}

/* Children that are born after their parent was attached are inside already; so rounds until one finds nothing new. */
static int attach_tree(group *g, pid_t root, uid_t uid, bool any_user, const pids *others)
{
    const procfs *proc = g->owner->proc;
    int r = 0;
    for (int round = 0; r == 0 && round < ROUNDS_MAX; round++) {
        pids tree = {0}, inside = {0};
        bool fresh = false;
        r = procfs_children(proc, root, &tree);
        if (tree.count == 0) {
            pids_free(&tree);
            break;
        }
        if (r == 0)
            r = g->owner->ops->processes(g, &inside);
        for (uint32_t i = 0; r == 0 && i < tree.count; i++) {
            pid_t pid = tree.items[i];
            if (pids_has(others, pid))
                continue;                            /* and its own children, which it has with it in its claim */
            (void)procfs_children(proc, pid, &tree); /* one that ended has none */
            if (pids_has(&inside, pid) || !child_may_enter(proc, pid, uid, any_user))
                continue;
            int one = g->owner->ops->attach(g, pid);
            fresh |= one == 0;
            if (one < 0 && one != STATUS_DEAD)
                r = one;
        }
        pids_free(&tree);
        pids_free(&inside);
        if (!fresh)
            break;
    }
    return r == STATUS_DEAD ? 0 : r;
}

/* Who it is. `ret_alone`: it is known to have no children. */
static int process_find(const procfs *proc, int pidfd, pid_t *ret_pid, procfs_process *ret, bool *ret_alone,
                        const char **ret_text)
{
    int r = whois_waiting(proc, pidfd, ret_pid, ret);
    *ret_alone = r == 0;
    if (r == 0)
        return 0;
    r = pidfd_dead(pidfd) ? STATUS_DEAD : procfs_pidfd_pid(proc, pidfd, ret_pid);
    if (r < 0) {
        *ret_text = r == STATUS_DEAD ? "the process has ended" : "the descriptor does not name a process";
        return r;
    }
    r = procfs_process_read(proc, *ret_pid, ret);
    if (r < 0)
        say_unreadable(r, ret_text);
    return r;
}

/* The common case of the others is a child that waits for its exec: one thread, no children. */
static bool is_alone(const procfs *proc, pid_t pid, const procfs_process *process)
{
    pids children = {0};
    bool alone = process->threads == 1 && procfs_children_of_main(proc, pid, &children) == 0 && children.count == 0;
    pids_free(&children);
    return alone;
}

int entry_attach(group *g, int pidfd, uid_t uid, bool any_user, const pids *others, entry *ret, const char **ret_text)
{
    pid_t pid = 0;
    procfs_process process = {0};
    bool alone = false;
    int r = process_find(g->owner->proc, pidfd, &pid, &process, &alone, ret_text);
    if (r == 0)
        r = may_enter(g->owner->proc, pid, &process, uid, any_user, ret_text);
    if (r == 0) {
        r = g->owner->ops->attach(g, pid);
        if (r < 0)
            *ret_text =
                r == STATUS_DEAD ? "the process has ended" : "the kernel would not move the process into its group";
    }
    if (r < 0)
        return r;
    if (pidfd_dead(pidfd)) {
        *ret_text = "the process has ended";
        return STATUS_DEAD;
    }
    r = alone || is_alone(g->owner->proc, pid, &process) ? 0 : attach_tree(g, pid, uid, any_user, others);
    if (r < 0) {
        *ret_text = "the kernel would not move a child of the process into its group";
        return r;
    }
    *ret = (entry){.pid = pid, .resident = process.resident};
    return 0;
}
