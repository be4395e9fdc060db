/*
 * procfs.h - what the agent reads from /proc.
 *
 * The root is a parameter, so that a temporary folder tests every parser. Nothing here writes. All
 * calls answer 0 or a negative status; a process that is gone is STATUS_DEAD. Not thread-safe: one
 * buffer serves all readers.
 */
#ifndef GRANARY_AGENT_PROCFS_H
#define GRANARY_AGENT_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/units.h"

#define PROCFS_TEXT_MAX 65536u /* of one file: meminfo and status are far smaller, environ is cut */
#define PIDS_MAX        32768u /* of one listing: a fork storm is worked off in turns */

typedef struct {
    int dir; /* the root */
    dev_t gate_device;
    ino_t gate_file; /* granary-gate: see whois.h; 0 = unknown */
} procfs;

/* A growing list of pids. Zero-initialised is empty; pids_free() returns it there. */
typedef struct {
    pid_t *items;
    uint32_t count;
    uint32_t capacity;
    bool cut; /* there were more than PIDS_MAX */
} pids;

int pids_reserve(pids *p, uint32_t count); /* room for so many, now. STATUS_NO_MEMORY */
int pids_add(pids *p, pid_t pid);          /* STATUS_NO_MEMORY; beyond PIDS_MAX sets `cut` and answers 0 */
bool pids_has(const pids *p, pid_t pid);
void pids_free(pids *p);

/* A process, for sure within one boot: a pid is reused. */
typedef struct {
    pid_t pid;      /* 0 = none */
    uint64_t start; /* in clock ticks since boot */
} process_name;

typedef struct {
    bytes_t total, available;
} procfs_memory;

typedef struct {
    pid_t parent;
    uint32_t threads;
    uid_t real, effective, saved;
    bytes_t resident; /* anonymous + shared, not file pages */
    bool zombie;      /* dead, not yet reaped */
} procfs_process;

/* STATUS_SYSTEM when the root cannot be opened. */
int procfs_open(procfs *ret, const char *root);
void procfs_close(procfs *p);

/* Reads a whole small file below the root into `to`, NUL-terminated, cut at size - 1. */
int procfs_read(const procfs *p, const char *path, char *to, size_t size, size_t *ret_length);

int procfs_meminfo(const procfs *p, procfs_memory *ret);
int procfs_boot_id(const procfs *p, char ret[40]);
int procfs_process_read(const procfs *p, pid_t pid, procfs_process *ret);
/*
 * Anonymous + shared memory of a process, pages that it shares counted in parts. Dear: the kernel walks every page.
 * STATUS_DENIED for another user's process.
 */
int procfs_share(const procfs *p, pid_t pid, bytes_t *ret);
int procfs_start(const procfs *p, pid_t pid, uint64_t *ret); /* in clock ticks since boot */
int procfs_oom_adjust(const procfs *p, pid_t pid, int *ret);

/* The pid behind a pidfd of this process, as this process sees it. STATUS_DEAD when it has none any more. */
int procfs_pidfd_pid(const procfs *p, int pidfd, pid_t *ret);

/* Adds the children of the main thread and of every other thread of `pid`. */
int procfs_children(const procfs *p, pid_t pid, pids *to);

/* The same when `pid` has one thread only: cheaper. */
int procfs_children_of_main(const procfs *p, pid_t pid, pids *to);

/* Every process. */
int procfs_pids(const procfs *p, pids *to);

/*
 * The claim that a process says it belongs to: GRANARY_CLAIM=<books>.<generation> in its environment. STATUS_NOT_FOUND
 * when it says none of these books. STATUS_BUSY when it shows no environment at all: it is in the middle of an exec, a
 * kernel thread, or has none. STATUS_DENIED for another user's process.
 */
int procfs_claim_of(const procfs *p, pid_t pid, const char *books, uint64_t *ret_gen);

#endif
