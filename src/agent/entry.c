/*
 * entry.c - letting a process into a group; see entry.h.
 *
 * A pid is only used between two looks at the pidfd: if the process lived after the attach, it was the one that
 * was attached.
 */
#include "agent/entry.h"

#include <unistd.h>

#include "agent/watchpid.h"
#include "base/status.h"

#define ROUNDS_MAX 32 /* a tree that forks faster than this cannot be caught by attaching */

static int may_enter(const procfs *proc, pid_t pid, uid_t uid, bool any_user, procfs_process *ret,
                     const char **ret_text)
{
    procfs_process process = {0};
    int adjust = 0;
    int r = procfs_process_read(proc, pid, &process);
    if (r == 0 && process.zombie)
        r = STATUS_DEAD;
    if (r == 0)
        r = procfs_oom_adjust(proc, pid, &adjust);
    if (r == STATUS_DEAD)
        *ret_text = "the process has ended";
    else if (r < 0)
        *ret_text = "the agent cannot read about this process in /proc";
    if (r < 0)
        return r;
    if (!any_user && (process.real != uid || process.effective != uid || process.saved != uid)) {
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
    *ret = process;
    return 0;
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
            const char *text;
            procfs_process process;
            pid_t pid = tree.items[i];
            if (pids_has(others, pid))
                continue;                            /* and its own children, which it has with it in its claim */
            (void)procfs_children(proc, pid, &tree); /* one that ended has none */
            if (pids_has(&inside, pid) || may_enter(proc, pid, uid, any_user, &process, &text) < 0)
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

int entry_attach(group *g, int pidfd, uid_t uid, bool any_user, const pids *others, entry *ret, const char **ret_text)
{
    pid_t pid = 0;
    procfs_process process = {0};
    pids children = {0};
    int r = pidfd_dead(pidfd) ? STATUS_DEAD : procfs_pidfd_pid(g->owner->proc, pidfd, &pid);
    if (r < 0) {
        *ret_text = r == STATUS_DEAD ? "the process has ended" : "the descriptor does not name a process";
        return r;
    }
    r = may_enter(g->owner->proc, pid, uid, any_user, &process, ret_text);
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
    /* The common case is a child that waits for its exec: one thread, no children. */
    bool alone =
        process.threads == 1 && procfs_children_of_main(g->owner->proc, pid, &children) == 0 && children.count == 0;
    pids_free(&children);
    r = alone ? 0 : attach_tree(g, pid, uid, any_user, others);
    if (r < 0) {
        *ret_text = "the kernel would not move a child of the process into its group";
        return r;
    }
    *ret = (entry){.pid = pid, .resident = process.resident};
    return 0;
}
