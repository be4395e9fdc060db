/*
 * script.h - a broker node between a client and an agent that do as the test says, on a perfect net.
 */
#ifndef TEST_SIM_SCRIPT_H
#define TEST_SIM_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"
#include "broker.h"
#include "machine.h"
#include "message.h"
#include "net.h"

#define SCRIPT_GROUPS 16u

/* What the judges were told. */
typedef struct {
    uint64_t records, unsafe; /* unsafe: not yet committed */
    uint64_t commits, lost, restarts, steps, sent, samples;
    uint64_t too_early; /* messages that left while records were unsafe: I9 */
} script_ears;
extern script_ears ears;

/* Comes again by itself; makes every group that it is told of. */
typedef struct {
    connection *connection;
    uint64_t groups[SCRIPT_GROUPS];
    uint64_t ending[SCRIPT_GROUPS]; /* drained when READY comes */
    uint32_t n_groups, n_ending;
    uint64_t hellos;
    effect_order open, enter; /* the last of each kind */
    bool quiet;               /* answers nothing, tells no claims */
} script_agent;

typedef struct {
    char name[16];
    int32_t pid;
    uint32_t uid;
    connection *connection;
    bool broken;
    uint64_t session;
    uint8_t token[16];
    request_no number;
    message *welcome, *reply, *push; /* the last of each, owned */
    uint64_t replies;
} script_client;

typedef struct {
    sim sim;
    script_agent agent;
} script;

void script_open(script *t, bool power);
void script_open_seed(script *t, bool power, uint64_t seed);
void script_close(script *t);
void script_run(script *t, ms_t ms); /* lets so much time pass */

/* A process, and no connection yet. */
void script_client_init(script *t, script_client *c, const char *name, uint32_t uid);
void script_client_finish(script_client *c);
void script_connect(script *t, script_client *c); /* hello; waits for the welcome */
void script_try(script *t, script_client *c);     /* the same, though it may fail */
/* The next request; waits for what comes back. */
const message *script_ask(script *t, script_client *c, core_event e);
/* The same, without waiting. */
void script_send(script_client *c, core_event e);
core_event script_allocate(chunks_t want, uint32_t flags);
core_event script_release(allocation_id id, chunks_t n);

/* Chunks that the books have granted, over all hosts and allocations; UINT32_MAX: the broker is down. */
uint32_t script_granted(const script *t);
void script_replays(const script *t);

#endif
