/*
 * standins.h - what stands where libuv, descriptors, /proc and the kernel's groups are for a real agent.
 *
 * The agent's objects call functions that have no place for a world (pidfd_dead(fd), close(fd)): they mean the life
 * that was entered last. One thread plays a run, and whoever calls into a life enters it first.
 */
#ifndef GRANARY_SIM_STANDINS_H
#define GRANARY_SIM_STANDINS_H

#include "agent/sample.h"
#include "agent_life.h"
#include "machine_inner.h"

#define LIFE_BOOKS "sim" /* the id of the one broker of a run */

typedef struct work work; /* in the thread pool */

/* An open event file of a group; duplicated descriptors share it. */
typedef struct {
    uint32_t references;
    uint64_t folder;
    group_news what;
    bool pending; /* not yet read */
} news_file;

typedef enum { DESCRIPTOR_FREE = 0, DESCRIPTOR_PROCESS, DESCRIPTOR_NEWS, DESCRIPTOR_RECLAIM } descriptor_kind;

typedef struct {
    descriptor_kind kind;
    int32_t pid;
    uint64_t folder;
    news_file *news;
    watch *watch;
} descriptor;

struct watchpid {
    agent_life *life;
    uint32_t live;
};

struct agent_life {
    sim *sim;
    machine *machine;
    life_sink sink;
    bool over; /* killed: nothing of it reaches the machine any more */
    rng dice;
    procfs proc;
    watchpid set;
    backend *backend;
    claims *claims;
    scratch scratch;
    uv_loop_t loop;
    uv_handle_t *closing;
    clock_job turn; /* of the loop: handles that close */
    work *works;
    uint32_t n_descriptors;
    descriptor *descriptors;
};

void life_enter(agent_life *l); /* NULL: nobody's code runs */
agent_life *life_here(void);

/* standins_loop.c: closes and finishes all that is under way, without its work. */
void loop_finish(agent_life *l);

/* standins_watch.c */
int descriptor_of_process(int32_t pid);
int descriptor_of_news(uint64_t folder, group_news what);
int descriptor_of_reclaim(uint64_t folder);
descriptor *descriptor_at(int fd);      /* an unknown one ends the run */
void descriptors_finish(agent_life *l); /* says what was leaked */
void life_listen(agent_life *l);

/* backend.c */
backend *machine_backend_create(agent_life *l);

/* In place of the kernel's, for the agent's objects (agent-object.sh). */
int standin_close(int fd);
int standin_fcntl(int fd, int command, ...);

#endif
