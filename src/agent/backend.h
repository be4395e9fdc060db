/*
 * backend.h - what puts processes under limits: cgroup v2, cgroup v1, or nothing but watching.
 *
 * A backend keeps one group for each claim, named by the claim's generation, inside a place named by the books (the
 * broker's id). It keeps no state that matters: after a restart the groups are found again by their names. It
 * never touches a group that is not named so.
 *
 * Calls answer 0 or a negative status: STATUS_NOT_FOUND for a group that does not exist (any more), STATUS_DEAD for a
 * process that is gone, STATUS_SYSTEM with errno else. Not thread-safe, except group_reclaim.
 */
#ifndef GRANARY_AGENT_BACKEND_H
#define GRANARY_AGENT_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/procfs.h"
#include "base/units.h"

#define BOOKS_MAX    65u   /* a broker's id, with the NUL */
#define REASON_MAX   256u  /* a sentence for people */
#define CLAIMS_MAX   4096u /* claims of one host: ten descriptors each stay below the kernel's usual hard limit */
#define GROUP_EVENTS 2u    /* event files of one group */

typedef struct backend backend;
typedef struct group group;

typedef struct {
    uint64_t *items;
    uint32_t count;
} generations;

/* An event file: wait for `events`, then call group_event_clear(). */
typedef struct {
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLPRI */
} group_event;

typedef struct {
    const char *name;      /* "cgroup v2", "cgroup v1", "watch" */
    bool limited;          /* false: measured only */
    bool members_by_watch; /* a member that dies unseen may hide its children: every one must be watched */

    void (*destroy)(backend *b);
    /* Chooses the place for these books; makes nothing yet. */
    int (*books)(backend *b, const char *books);
    /* Adds every generation that has a group. The items are allocated; the caller frees them. */
    int (*list)(backend *b, generations *ret);
    /* Opens the group of a generation; `make` it with this limit if there is none. Without `make`: STATUS_NOT_FOUND. */
    int (*open)(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made);
    /* Lets go of the group; it goes on existing. NULL is fine. */
    void (*close)(group *g);
    /* Removes an empty group from the system; close() still follows. 0 also when it is gone; STATUS_STATE: not empty.
     */
    int (*remove)(group *g);
    int (*attach)(group *g, pid_t pid);
    /* STATUS_BUSY: nobody was seen, but a process in the middle of its exec may belong here. Look again. */
    int (*processes)(group *g, pids *to);
    /* Kills all at once, if the backend can; else NULL. */
    int (*kill)(group *g);
    /* Anonymous + shared + kernel memory. */
    int (*use)(group *g, bytes_t *ret);
    /* Cheap: an upper bound of use (page cache counts), UINT64_MAX if there is none. */
    int (*charged)(group *g, bytes_t *ret);
    /* A new task begins: later task_end() speaks of the time since. */
    int (*task_begin)(group *g);
    /* Whether the kernel killed for want of memory since task_begin; the most its memory can have been (UINT64_MAX:
     * unknown). */
    int (*task_end)(group *g, bool *ret_oom, bytes_t *ret_ceiling);
    int (*limit)(group *g, bytes_t limit);
    /* Gives back what the kernel can drop of an empty group. Slow; thread-safe: uses only the descriptor that
     * reclaim_fd gave. */
    int (*reclaim_fd)(group *g, int *ret);
    int (*reclaim)(int fd, bytes_t most);
    /* Fills up to GROUP_EVENTS files that tell of out-of-memory or of emptiness; owned by the group. */
    uint32_t (*events)(group *g, group_event ret[GROUP_EVENTS]);
    void (*event_clear)(group *g, int fd);
} backend_ops;

struct backend {
    const backend_ops *ops;
    const procfs *proc;
    char reason[REASON_MAX]; /* why this one, for people */
};

struct group {
    backend *owner;
    uint64_t generation;
};

typedef struct {
    const procfs *proc;
    const char *cgroup_root; /* put before every mount point: "" but in tests */
    bool watch;              /* forced */
    bool supervised;         /* the parent is granaryd: it may be moved along into the agent's leaf */
} backend_options;

/* The best that works here: v2, v1, watch. */
int backend_create(backend **ret, const backend_options *options);
void backend_destroy(backend *b); /* all groups closed; NULL is fine */

/* The least of physical memory and the limits of the agent's own groups. */
bytes_t backend_total(const backend_options *options, bytes_t physical);

#endif
