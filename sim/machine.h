/*
 * machine.h - one host as it really is: processes, the memory that they use, groups with limits.
 *
 * The truth that the books are judged against. An agent sees it only through what it would read (stand-ins for /proc,
 * the limits groups, pidfds); judges look directly. Memory of a dead process stays charged for a while (teardown),
 * files in shared memory until they are deleted; a process that hits its group's limit is killed as the kernel does.
 */
#ifndef GRANARY_SIM_MACHINE_H
#define GRANARY_SIM_MACHINE_H

#include "base/units.h"
#include "sim.h"

typedef struct machine machine;

/* What a process of a task does with memory. */
typedef struct {
    bytes_t from, to; /* anonymous memory: grows from..to during `grow` */
    us_t grow, life;  /* life: until it exits by itself; US_NEVER: until it is killed */
    us_t teardown;    /* its memory stays charged so long after its death */
    bytes_t shared;   /* of shared memory that it leaves behind */
    us_t shared_life; /* from its death until that is deleted; US_NEVER: never */
    bool stubborn;    /* does not die of a kill for `stubborn_for` (uninterruptible); US_NEVER: never */
    us_t stubborn_for;
    bool leaves_child; /* a child of its group, made when it has grown, lives on for `child_life` after it */
    us_t child_life;
} process_plan;

typedef struct {
    int32_t pid; /* unique in the run and never used again */
    uint64_t start;
    uint32_t uid;
    bool alive;
    bool killed, oom;
    uint64_t group; /* generation; 0 = none: foreign */
    bytes_t anon;
} process_view;

/* What puts processes under limits there; thrown by the seed. */
typedef enum { ENFORCE_V2 = 1, ENFORCE_V1, ENFORCE_WATCH } enforcement;

machine *machine_create(sim *s, uint32_t number, bytes_t physical);
void machine_destroy(machine *m);
/* Before anything runs there: for tests. */
void machine_set_enforcement(machine *m, enforcement how);
enforcement machine_enforcement(const machine *m);
uint32_t machine_number(const machine *m);
const char *machine_name(const machine *m); /* "a", "b", ... */
machine_clock *machine_time(machine *m);
bytes_t machine_physical(const machine *m);
bytes_t machine_total(const machine *m); /* what its agent may lease: less, where a group around it is limited */
uint32_t machine_cores(const machine *m);
const char *machine_boot(const machine *m); /* another one after each reboot */

/* A process that is not yet in any group and uses nothing; `gone` (may be NULL) is called when it has died, as the last
 * of what its death does. */
int32_t machine_start(machine *m, uint32_t uid, const process_plan *plan,
                      void (*gone)(void *context, int32_t pid, bool oom, bool killed), void *context);
/* It runs (its plan begins): after its gate opened. Its environment names the claim that it is in by then. Nothing when
 * it is dead, or runs already. */
void machine_go(machine *m, int32_t pid);
/* SIGKILL by somebody: it dies a moment later. `by` is for the judges ("client"). */
void machine_kill(machine *m, int32_t pid, const char *by);
bool machine_process(const machine *m, int32_t pid, process_view *ret); /* false: never was */
/* Those that live, in the order of their start. Nothing may be started or ended meanwhile. */
void machine_each(const machine *m, void (*visit)(void *context, const process_view *p), void *context);

/* Foreign memory: what others on the machine use. */
void machine_set_foreign(machine *m, bytes_t bytes);
bytes_t machine_foreign(const machine *m);

/*
 * The truth about groups. Where a machine only watches, a group is the living processes that entered it and their
 * children: nothing limits it, and nothing stays charged to it after them.
 */
typedef struct {
    uint64_t generation;
    bytes_t limit;     /* UINT64_MAX: none */
    bytes_t charged;   /* anonymous + shared, of the living and of the dead that are being torn down; and `droppable` */
    bytes_t droppable; /* of it kernel memory that goes when it is asked for, as a few MiB of names of files */
    uint32_t processes; /* that live */
} group_view;
void machine_groups(const machine *m, void (*visit)(void *context, const group_view *g), void *context);
/* Processes of a claim that live, and were started before `since`; without those that a kill does not end at once. */
uint32_t machine_survivors(const machine *m, uint64_t gen, us_t since);
bytes_t machine_in_use(const machine *m); /* all of it, with foreign; may be more than there is */
/* A fault: somebody removes an empty group; when there is none, the next that becomes empty. */
void machine_lose_group(machine *m);

/* The machine dies and starts again with another boot id: nothing of it runs or is charged any more. */
void machine_reboot(machine *m);

#endif
