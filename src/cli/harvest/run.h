/*
 * run.h - a harvest while it runs: the table of contents of its parts.
 *
 * run.c takes what happens and lets the others act:
 *   watch.c waits for it: signals, the broker, pipes, inputs, time;
 *   work.c  makes tasks of inputs, keeps the queues, and decides what follows from a task's end;
 *   seat.c  puts tasks into slots of the pool and takes them out.
 * One thread. Nothing waits but the one poll().
 */
#ifndef GRANARY_CLI_HARVEST_RUN_H
#define GRANARY_CLI_HARVEST_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "granary.h"
#include "cli/harvest/halt.h"
#include "cli/harvest/input.h"
#include "cli/harvest/joblog.h"
#include "cli/harvest/output.h"
#include "cli/harvest/report.h"
#include "cli/harvest/task.h"
#include "cli/harvest/template.h"

#define HARVEST_SPARES_MAX 64u

typedef struct {
    const char *socket, *label;
    const char *program; /* the whole path of the granary program: granary-gate is looked for beside it */
    uint64_t chunk_size;
    uint32_t jobs, min, max_chunks, retries;
    uint64_t timeout_ms; /* 0 = none */
    harvest_halt halt;
    bool keep_order, tag, quiet, dry_run;
    int results_fd; /* -1 = none */
} harvest_options;

typedef struct {
    harvest_task *first, **last;
    uint32_t count;
} harvest_queue;

typedef enum {
    SEAT_EMPTY = 0,
    SEAT_ENTERING,  /* `next` goes into a fresh slot */
    SEAT_RUNNING,   /* `task` runs */
    SEAT_SWITCHING, /* `task` has ended, `next` takes its place */
    SEAT_LEAVING,   /* `task` (if any) has ended, the slot goes back to the pool */
} seat_state;

typedef struct {
    seat_state state;
    granary_slot slot;
    harvest_task *task, *next;
} harvest_seat;

/* How far the harvest has been asked to stop. */
typedef enum {
    STOP_NOT = 0,
    STOP_SOON, /* no new tasks */
    STOP_NOW,  /* tasks are sent TERM, and KILL a while later */
    STOP_KILL,
} stop_level;

typedef struct {
    const harvest_options *options;
    harvest_input *input;
    harvest_template *template;
    harvest_joblog *log;

    granary_client *client;
    granary_pool *pool;
    granary_pool_stats stats;
    uint64_t stats_ms; /* when to look at them again while no seat is used */
    uint32_t want;     /* as last told to the pool */
    const char *host;
    bool lost;           /* the broker is gone */
    uint64_t pause_ms;   /* nothing is started before: the host's agent is away */
    uint32_t told_above; /* tasks that used more than their chunks, as told while it runs */
    uint32_t refusals;   /* entries that it could not carry out, one after another */

    harvest_spool spool;
    harvest_printer printer;
    harvest_nursery nursery;
    harvest_spawner spawner;
    harvest_report report;
    harvest_counts counts;

    harvest_seat *seats;            /* options->jobs of them */
    uint32_t used_seats, in_flight; /* in_flight: started calls without an answer */
    harvest_queue ready;            /* IDLE: run these before new inputs */
    harvest_queue big;              /* IDLE or GATED: they need several chunks */
    harvest_queue spares;           /* GATED: forked ahead */
    uint64_t next_seq;
    bool input_waits, input_ended;
    double mean_ms; /* of how long tasks ran, recent ones more */

    stop_level stop;
    uint64_t kill_ms; /* when STOP_NOW becomes STOP_KILL */
    int signal;       /* that asked to stop first */
    int failure;      /* exit code of a failure of the harvest itself; 0 = none */
    bool unread;      /* the output's reader has gone: it ends without a word, as by SIGPIPE */
} harvest_run;

/* Runs everything that `input` brings. Returns the exit code. */
int harvest_run_all(const harvest_options *options, harvest_input *input, harvest_template *template,
                    harvest_joblog *log);

/* The exit code for so many failed tasks. */
int harvest_exit_code(uint64_t failed);

/* Stops with this exit code, as soon as what runs has ended; the message is for people. The first failure counts. */
void harvest_fail(harvest_run *run, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Goes at least as far in stopping. */
void harvest_stop(harvest_run *run, stop_level level, uint64_t now_ms);

void harvest_queue_init(harvest_queue *queue);
void harvest_queue_put(harvest_queue *queue, harvest_task *task);
harvest_task *harvest_queue_take(harvest_queue *queue); /* NULL: empty */
bool harvest_queue_remove(harvest_queue *queue, harvest_task *task);

#endif
