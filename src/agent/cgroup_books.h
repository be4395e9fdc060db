/*
 * cgroup_books.h - what the backends of both versions share: the folder of the books, and groups with their open files.
 */
#ifndef GRANARY_AGENT_CGROUP_BOOKS_H
#define GRANARY_AGENT_CGROUP_BOOKS_H

#include "agent/cgroup.h"

#define CGROUP_FILES 6u /* kept open for each group, besides cgroup.procs; each version numbers its own */

typedef struct {
    group base;
    int dir, procs;
    int files[CGROUP_FILES]; /* -1: the kernel has none */
} cgroup_group;

/* Where the versions differ. */
typedef struct {
    size_t group_size;                     /* of what begins with a cgroup_group; it starts zeroed */
    int (*books_made)(int dir);            /* groups are about to be made in the books' folder; may be NULL */
    int (*files)(cgroup_group *g);         /* opens the files of a group */
    int (*limits)(int dir, bytes_t limit); /* sets them on a group that was just made */
} cgroup_version;

typedef struct {
    backend base;
    const cgroup_version *version;
    cgroup_place place;
    char books[BOOKS_MAX];
    int dir; /* of the books, -1 until there is one */
} cgroup_books;

/* As backend_ops says. */
void cgroup_backend_destroy(backend *b);
int cgroup_backend_books(backend *b, const char *books);
int cgroup_backend_list(backend *b, generations *ret);
int cgroup_backend_open(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made);
void cgroup_backend_close(group *base);
int cgroup_backend_remove(group *base);
int cgroup_backend_attach(group *base, pid_t pid);
int cgroup_backend_processes(group *base, pids *to);

/* A file of a group, never through a link. -1 and errno. */
int cgroup_file(const cgroup_group *g, const char *name, int flags);

#endif
