/*
 * machine_inner.h - what the files of a machine share, and what what an agent may do to it (standins_*.c, backend.c).
 * Nobody else includes this.
 */
#ifndef GRANARY_SIM_MACHINE_INNER_H
#define GRANARY_SIM_MACHINE_INNER_H

#include "machine.h"

typedef struct process process;
typedef struct machine_group machine_group;
typedef struct ghost ghost;

/* What the kernel tells whoever waits for it: the agent's event loop. */
typedef enum { GROUP_MEMORY = 0, GROUP_POPULATED = 1 } group_news;
typedef struct {
    void *context;
    void (*died)(void *context, int32_t pid);
    void (*news)(void *context, uint64_t folder, group_news what);
} machine_listener;

struct process {
    int32_t pid, parent;
    us_t started;
    uint64_t start; /* as the kernel tells it */
    uint32_t uid;
    process_plan plan;
    void (*gone)(void *context, int32_t pid, bool oom, bool killed);
    void *context;
    bool alive, runs, killed, oom;
    machine_group *group;  /* NULL: none, or dead */
    uint64_t in;           /* the last claim that it was in */
    us_t exec_until;       /* it has no environment until then */
    uint64_t names;        /* the claim in its environment; 0 = none */
    bytes_t anon;          /* charged to `group` */
    bytes_t brought;       /* charged to nobody: from before it entered */
    bytes_t shared;        /* charged to `group`; it stays after its death */
    uint32_t steps;        /* of its growth that are done */
    int32_t child;         /* 0 = none */
    clock_job step, death; /* death: of its own, or of a kill */
};

/* Memory whose process is dead. */
struct ghost {
    ghost *next;
    machine *machine;
    machine_group *group; /* NULL: nobody's */
    bytes_t bytes;
    clock_job end;
};

struct machine_group {
    machine_group *next;
    uint64_t generation;
    uint64_t folder; /* another one when it is removed and made again */
    bytes_t limit;
    bytes_t used;      /* anonymous + shared + kernel memory */
    bytes_t droppable; /* of it */
    bytes_t cache;     /* clean pages: charged, and not in use */
    bytes_t high;      /* of used + cache, since it was reset */
    uint32_t processes;
    uint64_t kills;  /* for want of memory, ever */
    us_t busy_until; /* cannot be removed before */
    bytes_t wanted;  /* that its limit did not allow */
    clock_job oom;   /* version 1: a kill is on its way */
};

struct machine {
    sim *sim;
    uint32_t number, boots;
    char name[4], boot[40];
    machine_clock time;
    rng dice;
    bytes_t physical, total, foreign;
    uint32_t cores;
    enforcement how;
    uint32_t refuses;    /* of orders to its kernel, per million, while things go wrong */
    bool kills_at_once;  /* version 2: there is cgroup.kill */
    bool resets_high;    /* version 2 can reset the high-water mark */
    bool has_high;       /* version 2 has one */
    bool knows_waiting;  /* a pidfd tells who waits at a gate */
    bool can_reclaim;    /* memory.reclaim */
    bool loses_group;    /* the next that is empty */
    bytes_t in_use;      /* of processes, ghosts and groups, without foreign */
    process **processes; /* all of the run, by number */
    uint32_t n_processes, capacity;
    process **living; /* in the order of their start */
    uint32_t n_living;
    machine_group *groups; /* in the order of their making */
    uint64_t folders;
    ghost *ghosts;
    machine_listener listener; /* died NULL: nobody */
};

/* machine.c */
process *machine_find(const machine *m, int32_t pid); /* NULL: never was */
void machine_kill_one(machine *m, process *p, const char *by);
bool machine_refuses(machine *m);                           /* the kernel, this time */
void machine_listen(machine *m, const machine_listener *l); /* NULL: nobody */
process *machine_child(machine *m, process *parent);

/* machine_group.c */
machine_group *machine_group_find(const machine *m, uint64_t gen);
machine_group *machine_group_of(const machine *m, uint64_t folder);
machine_group *machine_group_make(machine *m, uint64_t gen, bytes_t limit);
bool machine_group_remove(machine *m, machine_group *g); /* false: not empty, or busy for a moment */
void machine_group_enter(machine *m, machine_group *g, process *p);
void machine_group_leave(machine *m, process *p); /* it died */
void machine_group_kill(machine *m, machine_group *g, const char *by);
void machine_group_drop(machine *m, machine_group *g); /* cache, and kernel memory that can be dropped */
bytes_t machine_group_charged(const machine_group *g); /* with cache */
/* False: the group's limit does not allow it, and the kernel has begun to kill. */
bool machine_charge(machine *m, process *p, bytes_t bytes);
void machine_ghost(machine *m, machine_group *g, bytes_t bytes, us_t span); /* charged already */
void machine_groups_end(machine *m);                                        /* a reboot: without a word */

#endif
