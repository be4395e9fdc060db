/*
 * task.h - one task: an input, the command made of it, its process, what it wrote.
 *
 *   TASK_IDLE ──fork──> TASK_GATED ──go──> TASK_RUNNING ──reaped──> TASK_ENDED ──again──> TASK_IDLE
 *
 * A gated process has its streams, folder and group already and waits; it runs the command only when it has been put
 * under its limit and told to go; the gate tells it the number of its claim. Its standard input is /dev/null. It leads
 * a process group of its own: a Ctrl-C at the terminal is the harvest's to handle.
 */
#ifndef GRANARY_CLI_HARVEST_TASK_H
#define GRANARY_CLI_HARVEST_TASK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "granary.h"
#include "cli/harvest/output.h"
#include "cli/harvest/spawn.h"

typedef enum { TASK_IDLE = 0, TASK_GATED, TASK_RUNNING, TASK_ENDED } task_state;

/* Why a task of ours was stopped by us. */
typedef enum { TASK_STOP_NONE = 0, TASK_STOP_TIMEOUT, TASK_STOP_ALL } task_stop;

typedef struct harvest_task harvest_task;
struct harvest_task {
    harvest_task *next; /* in one queue of the run */
    task_state state;
    uint64_t seq;
    char *input; /* owned */
    char **argv; /* owned, one block */
    char *line;  /* owned: the command for people and the joblog */
    uint32_t chunks, attempt, failures;

    granary_gate gate;
    int out_fd, err_fd; /* our ends of its pipes; -1 = none */
    harvest_blob out, err;

    uint64_t start_ms, start_wall_ms, runtime_ms, deadline_ms; /* deadline: of the next signal; UINT64_MAX = none */
    task_stop stop;
    int exit_code, signal;
    bool oom;
    bool told_above; /* that it used more than its chunks; also of an earlier attempt */
    uint64_t peak;
};

/* What all tasks of a run share. */
typedef struct {
    uint64_t allocation; /* it may become known after a task was forked */
    int null_fd;
    int results_fd;               /* folder of --results; -1 = none */
    sigset_t mask;                /* as the harvest was given it */
    struct sigaction pipe_action; /* of SIGPIPE, as the harvest was given it */
    struct rlimit files;
    bool files_raised; /* the harvest itself has more than that */
    harvest_spool *spool;
    harvest_spawner *spawner;
} harvest_nursery;

/* Takes over `input`; argv and line are made by the caller. Errors: NULL = no memory (input is freed). */
harvest_task *harvest_task_create(uint64_t seq, char *input);
void harvest_task_destroy(harvest_task *task, harvest_spool *spool);

/*
 * IDLE -> GATED. Errors: STATUS_SYSTEM (errno: a pipe, a file of the results folder), and those of harvest_spawn(); the
 * task stays IDLE.
 */
int harvest_task_fork(harvest_task *task, const harvest_nursery *nursery);

/* GATED -> RUNNING, in this claim. `timeout_ms` 0 = none. Errors: STATUS_DEAD: it died at its gate. */
int harvest_task_go(harvest_task *task, const harvest_nursery *nursery, uint64_t claim, uint64_t now_ms,
                    uint64_t timeout_ms);

/* A gated process leaves without running anything; it must still be reaped. */
void harvest_task_dismiss(harvest_task *task);

/* Reads what the pipes hold now. Errors: STATUS_SYSTEM, STATUS_NO_MEMORY (of the spool). */
int harvest_task_drain(harvest_task *task, const harvest_nursery *nursery);

/* RUNNING -> ENDED: its process was reaped with this wait status. */
void harvest_task_reaped(harvest_task *task, int wait_status, uint64_t now_ms);

/* Everything it left running is gone: takes the last of its output and closes. Errors: as drain. */
int harvest_task_close(harvest_task *task, const harvest_nursery *nursery);

/* ENDED -> IDLE with empty output, for another attempt. */
void harvest_task_again(harvest_task *task, harvest_spool *spool);

/* Sends a signal to the task's whole process group. */
void harvest_task_signal(const harvest_task *task, int signal);

/* Time. Milliseconds of CLOCK_BOOTTIME and of the wall. */
uint64_t harvest_now_ms(void);
uint64_t harvest_wall_ms(void);

#endif
