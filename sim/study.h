/*
 * study.h - which way of giving back is best, when: the study's own small world.
 *
 * The core is the one that ships, and so is the pool's state of way 3; everything around them is kept light, so that a
 * hundred thousand hosts can be run: a message takes MESSAGE_MS, an agent does as it is told after AGENT_MS, nothing
 * fails. One run is one workload on some hosts with one way. What happens is thrown by number, never by time of asking:
 * the k-th task of a pool lasts as long, the i-th firm request comes at the same time, in all ways.
 */
#ifndef GRANARY_SIM_STUDY_H
#define GRANARY_SIM_STUDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/units.h"
#include "rng.h"

#define MESSAGE_MS 1u /* one way */
#define AGENT_MS   2u /* to make a group, to attach a process, to see one drained */
#define START_MS   1000u

typedef enum {
    WAY_1,      /* the broker picks: release_n, with what is busy */
    WAY_2,      /* the client picks: the next task that ends where the recall accepts it */
    WAY_2_ANY,  /* the client picks alone: the next task that ends, wherever */
    WAY_2A,     /* the same, where it holds fewest chunks */
    WAY_3,      /* negotiated, by the library */
    WAY_3_TOLD, /* the same, and the program tells when each task will end */
    WAY_KILL,   /* the newest started tasks are killed at once */
    WAY_STATIC, /* nothing is given back: sized once */
    WAYS,
} study_way;

/* As the command line and the tables name it; what it does. */
const char *way_name(study_way way);
const char *way_about(study_way way);
/* WAYS when there is none. */
study_way way_find(const char *name);

/* ---- workloads ---- */

typedef enum { SHAPE_EQUAL, SHAPE_EXPONENTIAL, SHAPE_PARETO, SHAPE_LOGNORMAL } shape_kind;

/* Of a span of time, in seconds. */
typedef struct {
    shape_kind kind;
    double mean; /* LOGNORMAL: the median */
    double tail; /* PARETO: alpha; LOGNORMAL: sigma */
    double most; /* cut there; 0 = not cut */
} shape;

ms_t shape_throw(const shape *s, rng *dice);

#define SIZES_MAX 4
typedef struct {
    bytes_t chunk_size;
    chunks_t least, most; /* chunks, even chances */
    bool one_host;
} firm_size;

typedef struct {
    const char *name, *about;
    shape task;
    bytes_t chunks[SIZES_MAX]; /* of the pools, in turn; 0 ends */
    bool zipf;                 /* of each eight pools the n-th one's share is as 1/n; else all have the same */
    firm_size firm[SIZES_MAX]; /* even chances; chunk_size 0 ends */
    double firm_load;          /* part of all memory that firm requests hold on average, if they did not wait */
    shape firm_hold;
    double drains; /* hosts that are drained in an hour, for each host */
    double bursts; /* of foreign memory in an hour, for each host */
    bool hosts_matter;
} workload;

size_t workload_count(void);
const workload *workload_at(size_t i);
/* NULL when there is none. */
const workload *workload_find(const char *name);

typedef struct {
    ms_t at, hold;
    bytes_t chunk_size;
    chunks_t chunks;
    bool one_host;
} firm_request;

/* The i-th of the run; `before` is when the one before came. */
firm_request workload_firm(const workload *w, uint64_t seed, uint32_t hosts, uint64_t i, ms_t before);
/* How long the k-th task of the pool lasts. */
ms_t workload_task(const workload *w, uint64_t seed, uint32_t pool, uint64_t k);
double workload_firm_bytes(const workload *w); /* mean of one request */

/* ---- one run ---- */

#define HOST_BYTES GIB(40)

typedef struct {
    const workload *work;
    study_way way;
    uint32_t hosts;
    uint64_t seed;
    ms_t warm, span; /* measured after `warm`, for `span` */
    ms_t tail;       /* then no firm request comes, and those that wait may be served */
    ms_t sample_ms;
    bool bound; /* compute the bound of each firm request */
    bool time;  /* keep each step's time, by kind of event */
    FILE *trace;
} run_plan;

enum { STRANDED_REASONS = 6 };

/* What is reproducible, but for cpu_ns. Plain data: it goes through a pipe. */
typedef struct {
    uint32_t way, hosts;
    char work[24];
    double granted, in_tasks;              /* parts of what may be leased, means */
    uint64_t firm, served, refused;        /* firm requests that came in the span */
    double wait_50, wait_99, wait_mean;    /* ms */
    double bound_50, bound_99, bound_mean; /* of the same requests, each in the state that it came to */
    uint64_t bounded;
    uint64_t killed, done;
    double lost_gib_s, done_gib_s;
    double largest_gib; /* largest free piece, mean */
    double stranded_gib[STRANDED_REASONS];
    uint64_t recalls, recall_messages;
    uint64_t drains;
    double drain_50, drain_99; /* ms until a host is empty */
    uint64_t steps, journal_bytes;
    uint64_t cpu_ns;
    uint64_t arena_bytes;
} run_result;

run_result study_run(const run_plan *plan);

/* ---- figures ---- */

/* The smallest value that at least `part` (0 to 1) of them do not exceed; 0 of none. Sorts. */
double percentile(double *values, size_t n, double part);

/* What is in use on a host, and when it would be free by itself. */
typedef struct {
    uint32_t host;
    bytes_t bytes;
    ms_t end;
} bound_use;

/*
 * The least time from now until a request could be served without killing anything, whoever decides what: `uses` are
 * all bytes that are not free now, with the true ends of what uses them. Sorts `uses`. MS_NEVER: never.
 */
ms_t bound_of(bound_use *uses, size_t n, uint32_t hosts, bytes_t host_bytes, const firm_request *request, ms_t now);

/* ---- tables ---- */

void tables_write(FILE *to, const run_result *r, size_t n);
void tables_write_cpu(FILE *to, const run_result *r, size_t n);
/* One plot of all workloads at this many hosts. */
typedef enum { PLOT_WAIT, PLOT_USE, PLOT_LOST } plot_kind;
void plot_write(FILE *to, const run_result *r, size_t n, uint32_t hosts, plot_kind kind);

/* Runs the study; argv[0] is "study" or "scale". Returns the exit status. */
int study_main(int argc, char **argv);
int scale_main(int argc, char **argv);

#endif
