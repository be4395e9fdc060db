/*
 * client.h - a client: session, numbered requests, the real pool state, and the program on top of it.
 *
 * The pool's decisions are the objects that ship (client/pool_state.o, pool_recall.o). Written again here, on messages:
 * what client/link.c and request.c do: hello, attach again, at most REQUESTS_WINDOW requests in flight, the unanswered
 * sent again with their numbers, silent hosts asked again.
 *
 * Kinds of programs: a pool with tasks (harvest), a firm command (run), a program that uses ways 1, 2 or 2a by itself,
 * an operator who drains and releases, and liars, each of which breaks one rule.
 */
#ifndef GRANARY_SIM_CLIENT_H
#define GRANARY_SIM_CLIENT_H

#include "core/core.h"
#include "machine.h"
#include "sim.h"

typedef struct client_node client_node;

typedef enum {
    CLIENT_POOL = 1, /* way 3: the library */
    CLIENT_RUN,      /* firm: waits, runs one program, ends */
    CLIENT_WAY_1,    /* answers a recall by release_n, with what is busy */
    CLIENT_WAY_2,    /* gives whatever ends next, wherever */
    CLIENT_WAY_2A,   /* the same, where it holds fewest */
    CLIENT_OPERATOR, /* drains, undrains, releases others' */
    /* liars */
    CLIENT_SILENT,   /* never answers a recall, holds its slots for ever */
    CLIENT_TWICE,    /* sends every release twice, under two numbers */
    CLIENT_THIEF,    /* uses, releases, claims what is others' */
    CLIENT_BOASTER,  /* offers what it lacks, for recalls that are not its own */
    CLIENT_EARLY,    /* releases chunks while their tasks run on */
    CLIENT_REPEATER, /* old request numbers again, with other contents */
    CLIENT_KINDS,
} client_kind;

typedef struct {
    client_kind kind;
    us_t start; /* it connects then */
    uint32_t uid;
    uint32_t home;   /* its machine: where the program itself runs */
    bool local_only; /* starts tasks on that machine only; else on every host where it holds chunks */
    allocation_terms terms;
    uint32_t tasks;                            /* it ends after so many; UINT32_MAX = when the run settles */
    us_t task_least, task_most;                /* how long tasks last */
    uint32_t leave_shared, stubborn, children; /* of its tasks, per million */
    uint32_t over_limit;                       /* of its tasks use more than their chunk, per million */
} client_plan;

client_node *client_create(sim *s, uint32_t number, const client_plan *plan); /* comes by itself at plan->start */
void client_destroy(client_node *c);
const char *client_name(const client_node *c); /* "pool 3" */
machine *client_machine(const client_node *c);

/* Faults. */
void client_crash(client_node *c,
                  bool tasks_too);            /* kill -9; its tasks die with it or live on. It does not come back */
void client_stall(client_node *c, us_t span); /* SIGSTOP: reads and answers nothing */

/* The run settles: begins no task any more, ends its allocations when the last is over. */
void client_settle(client_node *c);
bool client_is_over(const client_node *c); /* gone, or finished and said goodbye */

/* For judges: what it was told and did. */
typedef struct {
    allocation_id allocation;
    chunks_t min; /* firm part */
    bytes_t chunk_size;
    bool granted, ended;       /* as told */
    bool waiting;              /* asked, and neither granted, refused, timed out nor withdrawn */
    uint32_t unanswered;       /* requests on their way */
    uint64_t killed_by_recall; /* tasks that this client killed to give back: none for the library's ways */
    bool liar;
} client_view;
void client_see(const client_node *c, client_view *ret);

/* Counts the pool's state from scratch (pool_state_check); false: `why`. */
bool client_check(const client_node *c, char *why, size_t size);

#endif
