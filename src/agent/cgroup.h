/*
 * cgroup.h - where this process stands in the trees of control groups, and what both versions share: groups as folders.
 *
 * Layout below a base (the agent's own group, for v2 its parent once the agent moved into a leaf):
 *   <base>/granary.<books>/c<generation>
 * Paths are opened component by component from a folder that was opened before, never through links.
 */
#ifndef GRANARY_AGENT_CGROUP_H
#define GRANARY_AGENT_CGROUP_H

#include <limits.h>

#include "agent/backend.h"

#define CGROUP_PREFIX "granary."
#define CGROUP_LEAF   "granary-agent" /* v2: where the agent itself lives */

/* The mounted tree that holds the memory controller of one version, and our place in it. */
typedef struct {
    char mount[PATH_MAX]; /* with the root put before it */
    char own[PATH_MAX];   /* below mount; "" for the root; no slash at the end */
} cgroup_place;

/* STATUS_NOT_FOUND: no such tree is mounted, or this process is not seen in it. */
int cgroup_find(const procfs *proc, const char *root, int version, cgroup_place *ret);

/* The least number in `file` of the own group and every one above it; UINT64_MAX when nothing limits. */
bytes_t cgroup_least_limit(const cgroup_place *place, const char *file);

/* `dir` may be AT_FDCWD. Values are text without the final newline. */
int cgroup_read_text(int dir, const char *file, char *to, size_t size);
int cgroup_read_number(int dir, const char *file, uint64_t *ret); /* "max" is UINT64_MAX */
int cgroup_write(int dir, const char *file, const char *value);
int cgroup_write_number(int dir, const char *file, uint64_t value);

/* The same on a descriptor that is kept open. */
int cgroup_fd_text(int fd, char *to, size_t size);
int cgroup_fd_number(int fd, uint64_t *ret);
/* The number after a key in a file of "key number" lines; 0 when the key is absent. Text as from cgroup_fd_text. */
uint64_t cgroup_field(const char *text, const char *key);

/* The folder granary.<books> below `base`: opened, or made if `make`. STATUS_NOT_FOUND. */
int cgroup_books_open(const char *base, const char *books, bool make, int *ret);
/* Whether somebody removed the folder that `dir` was opened on. */
bool cgroup_folder_gone(int dir);
/* At the agent's end: removes that folder if no claim is left in it. */
void cgroup_books_remove(const char *base, const char *books);
/* Every c<generation> in it. */
int cgroup_list(int books_dir, generations *ret);
/* c<generation>: opened, or made. `*ret_made` tells. */
int cgroup_group_open(int books_dir, uint64_t gen, bool make, int *ret, bool *ret_made);
/* With the empty groups that its tasks made inside. STATUS_STATE: somebody is in there. */
int cgroup_group_remove(int books_dir, uint64_t gen);
/* Every process in the group and in groups that its tasks made inside. */
int cgroup_processes(int dir, pids *to);
int cgroup_attach(int procs_fd, pid_t pid);

bool books_valid(const char *books);

/* STATUS_NOT_FOUND with a reason when this version cannot be used here. */
int cgroup_v1_create(backend **ret, const backend_options *options, char reason[REASON_MAX]);
int cgroup_v2_create(backend **ret, const backend_options *options, char reason[REASON_MAX]);
int watch_backend_create(backend **ret, const backend_options *options, const char *reason);

#endif
