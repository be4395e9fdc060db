/*
 * watch.c - the backend where nothing can be limited: membership by process tree and environment.
 *
 * What belongs to a claim: processes that entered it, their children as seen at every look, and processes of
 * the same user that carry GRANARY_CLAIM=<books>.<generation>. A process is in one claim: that which it entered last.
 * The claim above watches every member, so that the children of one that dies are looked for at once. Use is resident
 * anonymous + shared memory; shared pages count for each process.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/watchpid.h"
#include "base/status.h"

#define SCAN_FRESH_MS 100
#define UNSURE_MS     1000 /* an exec takes less: who shows no environment for longer has none */
#define DOUBT_MS      200  /* an exec begins this soon after its gate: until then a process shows what it was before */
#define KTHREADD      2    /* the parent of all kernel threads */

/* Why a process belongs. One of another claim is taken from it by a stronger reason, or by a name that it now says. */
typedef enum { BY_PARENT = 1, BY_NAME, BY_ENTRY } bond;

typedef struct {
    pid_t pid;
    int pidfd; /* names it for sure: a pid is reused */
    bond why;
} member;

typedef struct {
    pid_t pid;
    uid_t uid;
    uint64_t generation;
} carrier; /* a process that says which claim it belongs to */

typedef struct watch_group watch_group;

typedef struct {
    backend base;
    char books[BOOKS_MAX];
    watch_group *first;
    carrier *carriers;
    uint32_t n_carriers, room;
    uint64_t scanned_ms;
    bool unsure; /* the last scan met a process that showed no environment */
} watcher;

struct watch_group {
    group base;
    watch_group *next;
    member *members;
    uint32_t count, capacity;
    bool stale;           /* a member died since the last scan */
    uint64_t died_ms;     /* when a member was last found dead; or none when it was opened */
    uint64_t doubt_until; /* opened with nobody in it: an earlier agent's process may be about to run exec */
    uid_t uid;            /* of its first member */
};

static watch_group *watch_of(group *g)
{
    return (watch_group *)g;
}

static void watch_backend_destroy(backend *b)
{
    free(((watcher *)b)->carriers);
    free(b);
}

static int watch_books(backend *b, const char *books)
{
    if (!books_valid(books))
        return STATUS_INVALID;
    snprintf(((watcher *)b)->books, BOOKS_MAX, "%s", books);
    ((watcher *)b)->scanned_ms = 0;
    return 0;
}

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int carrier_add(watcher *self, carrier c)
{
    if (self->n_carriers == self->room) {
        uint32_t room = self->room ? 2 * self->room : 64;
        carrier *carriers = realloc(self->carriers, room * sizeof *carriers);
        if (!carriers)
            return STATUS_NO_MEMORY;
        self->carriers = carriers;
        self->room = room;
    }
    self->carriers[self->n_carriers++] = c;
    return 0;
}

static int watch_scan(watcher *self, bool fresh)
{
    const procfs *proc = self->base.proc;
    uint64_t now = clock_ms();
    pids all = {0};
    if (!fresh && !self->unsure && self->scanned_ms && now - self->scanned_ms < SCAN_FRESH_MS)
        return 0;
    int r = procfs_pids(proc, &all);
    self->n_carriers = 0;
    self->unsure = false;
    for (uint32_t i = 0; r == 0 && i < all.count; i++) {
        carrier c = {.pid = all.items[i]};
        procfs_process process;
        int said = procfs_claim_of(proc, c.pid, self->books, &c.generation);
        if ((said < 0 && said != STATUS_BUSY) || procfs_process_read(proc, c.pid, &process) < 0 || process.zombie)
            continue;
        if (said == STATUS_BUSY) {
            self->unsure |= c.pid != KTHREADD && process.parent != KTHREADD;
            continue;
        }
        c.uid = process.real;
        r = carrier_add(self, c);
    }
    pids_free(&all);
    self->scanned_ms = r == 0 ? now : 0;
    return r;
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
    int r = found.items ? watch_scan(self, true) : STATUS_NO_MEMORY;
    if (r < 0) {
        free(found.items);
        return r;
    }
    for (uint32_t i = 0; i < self->n_carriers && found.count < CLAIMS_MAX; i++)
        if (!seen_before(&found, self->carriers[i].generation))
            found.items[found.count++] = self->carriers[i].generation;
    for (watch_group *g = self->first; g && found.count < CLAIMS_MAX; g = g->next)
        if (!seen_before(&found, g->base.generation))
            found.items[found.count++] = g->base.generation;
    *ret = found;
    return 0;
}

static bool is_member(const watch_group *g, pid_t pid)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (g->members[i].pid == pid)
            return true;
    return false;
}

static bool watch_lose(watch_group *g, pid_t pid)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->members[i].pid != pid)
            continue;
        close(g->members[i].pidfd);
        g->members[i] = g->members[--g->count];
        return true;
    }
    return false;
}

/* A process is in one claim. */
static void watch_leave_others(watch_group *g, pid_t pid)
{
    for (watch_group *other = ((watcher *)g->base.owner)->first; other; other = other->next)
        if (other != g && watch_lose(other, pid) && other->count == 0)
            other->died_ms = clock_ms();
}

/* Why it is in another claim than this one; 0: it is not. */
static bond watch_elsewhere(const watch_group *g, pid_t pid)
{
    for (const watch_group *other = ((const watcher *)g->base.owner)->first; other; other = other->next)
        for (uint32_t i = 0; other != g && i < other->count; i++)
            if (other->members[i].pid == pid && !pidfd_dead(other->members[i].pidfd))
                return other->members[i].why;
    return 0;
}

/* Takes the pidfd, also when it fails. */
static int watch_keep(watch_group *g, pid_t pid, int pidfd, bond why)
{
    if (g->count == g->capacity) {
        uint32_t capacity = g->capacity ? 2 * g->capacity : 4;
        member *members = g->count < PIDS_MAX ? realloc(g->members, capacity * sizeof *members) : NULL;
        if (!members) {
            close(pidfd);
            return STATUS_NO_MEMORY;
        }
        g->members = members;
        g->capacity = capacity;
    }
    g->members[g->count++] = (member){.pid = pid, .pidfd = pidfd, .why = why};
    g->doubt_until = 0;
    watch_leave_others(g, pid);
    return 0;
}

/* Why a process belongs here; asked again once a pidfd holds it, because its pid may have passed to a stranger. */
static bool belongs(const watch_group *g, pid_t pid, const member *parent)
{
    const watcher *self = (const watcher *)g->base.owner;
    procfs_process process;
    uint64_t gen;
    if (procfs_process_read(self->base.proc, pid, &process) < 0 || process.zombie)
        return false;
    if (parent)
        return process.parent == parent->pid && !pidfd_dead(parent->pidfd);
    return (g->count == 0 || process.real == g->uid) && procfs_claim_of(self->base.proc, pid, self->books, &gen) == 0 &&
           gen == g->base.generation;
}

/* A process that could not be looked at, for want of memory or descriptors, must not pass for one that is not there. */
static int watch_discover(watch_group *g, pid_t pid, const member *parent)
{
    procfs_process process;
    int pidfd;
    bond why = parent ? BY_PARENT : BY_NAME, elsewhere = watch_elsewhere(g, pid);
    if (is_member(g, pid) || elsewhere > why || (elsewhere && why == BY_PARENT))
        return 0;
    int r = pidfd_of(pid, &pidfd);
    if (r < 0)
        return r == STATUS_DEAD ? 0 : r;
    if (!belongs(g, pid, parent)) {
        close(pidfd);
        return 0;
    }
    if (g->count == 0 && procfs_process_read(g->base.owner->proc, pid, &process) == 0)
        g->uid = process.real;
    return watch_keep(g, pid, pidfd, why);
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
    if (kept < g->count) {
        g->stale = true;
        g->died_ms = clock_ms();
    }
    g->count = kept;
}

/* Children of members and theirs, then those that say they belong. */
static int watch_look(watch_group *g)
{
    watcher *self = (watcher *)g->base.owner;
    int r = 0;
    watch_drop_dead(g);
    for (uint32_t i = 0; r == 0 && i < g->count; i++) {
        pids children = {0};
        member parent = g->members[i];
        /* Of one that has died: they carry the name. */
        if (procfs_children(self->base.proc, parent.pid, &children) == STATUS_NO_MEMORY)
            r = STATUS_NO_MEMORY;
        for (uint32_t k = 0; r == 0 && k < children.count; k++)
            r = watch_discover(g, children.items[k], &parent);
        pids_free(&children);
    }
    if (r == 0)
        r = watch_scan(self, g->stale);
    if (r < 0)
        return r;
    g->stale = false;
    for (uint32_t i = 0; r == 0 && i < self->n_carriers; i++)
        if (self->carriers[i].generation == g->base.generation)
            r = watch_discover(g, self->carriers[i].pid, NULL);
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
    g->stale = !make; /* adopting: look for sure */
    int r = watch_look(g);
    bool found = g->count > 0;
    if (r == 0 && !found && !make)
        r = STATUS_NOT_FOUND;
    if (r < 0) {
        watch_close(&g->base);
        return r;
    }
    if (!found) {
        g->died_ms = clock_ms();
        g->doubt_until = g->died_ms + DOUBT_MS;
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
    watch_group *g = watch_of(base);
    procfs_process process;
    int pidfd;
    if (is_member(g, pid))
        return 0;
    int r = pidfd_of(pid, &pidfd);
    if (r < 0)
        return r;
    if (g->count == 0 && procfs_process_read(base->owner->proc, pid, &process) == 0)
        g->uid = process.real;
    return watch_keep(g, pid, pidfd, BY_ENTRY);
}

/*
 * A process that runs exec just now shows no name for a moment, and the name of what it was before until then: while
 * that can be, emptiness is not believed.
 */
static bool may_hide(const watch_group *g)
{
    uint64_t now = clock_ms();
    return now < g->doubt_until || (((const watcher *)g->base.owner)->unsure && now - g->died_ms < UNSURE_MS);
}

static int watch_processes(group *base, pids *to)
{
    watch_group *g = watch_of(base);
    int r = watch_look(g);
    if (r == 0 && g->count == 0 && may_hide(g))
        return STATUS_BUSY;
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
