/*
 * differences.h - what `granary check` found: where the books contradict themselves, or reality.
 *
 * A difference has a key (what is wrong with which noun) and a sentence. What clients and kernel do between a snapshot
 * and a look at /proc is no difference: only what is found again, by its key, in a later look counts.
 */
#ifndef GRANARY_CLI_DIFFERENCES_H
#define GRANARY_CLI_DIFFERENCES_H

#include "client/query.h"

#define DIFFERENCE_TEXT_MAX 256u
#define DIFFERENCES_MAX     1000u /* more are only counted */

typedef struct {
    char key[64];
    char text[DIFFERENCE_TEXT_MAX];
} difference;

typedef struct {
    difference *items; /* owned */
    size_t n, total;
} differences;

/* STATUS_NO_MEMORY. `text` is made safe for the terminal. */
int differences_add(differences *d, const char *noun, uint64_t id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void differences_finish(differences *d);

/* Keeps in `d` only what `earlier` has under the same key. */
void differences_keep(differences *d, const differences *earlier);

/* The books by themselves: columns, sums, links, recalls. Pure. STATUS_NO_MEMORY. */
int check_books(const snapshot *s, differences *d);

/* Where to look; tests give folders of their own. */
typedef struct {
    const char *proc;   /* "/proc" */
    const char *cgroup; /* "/sys/fs/cgroup" */
    const char *host;   /* the host that these belong to: the local one */
} check_world;

/* Books against processes and groups of one host. STATUS_NO_MEMORY. */
int check_reality(const snapshot *s, const check_world *world, differences *d);

#endif
