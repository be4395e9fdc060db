/*
 * world.h - a core under test: every step is followed by core_check(), its records are kept as a journal.
 */
#ifndef TEST_CORE_WORLD_H
#define TEST_CORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "core/core.h"
#include "core/view.h"

typedef struct {
    core *core;
    void *arena;
    core_limits limits;
    core_timers timers;
    core_effects effects;
    ms_t now;
    core_record *journal;
    size_t n_journal, room_journal;
    uint64_t numbers[4096]; /* last request number by session */
    bool quiet;             /* no check after steps: for large ones */
} world;

#define TEST_LABEL "test"

void world_open(world *w);
void world_open_with(world *w, core_limits limits);
void world_close(world *w);
/* One step, its check, its records into the journal. */
void world_step(world *w, const core_event *e);
void world_tick(world *w, ms_t later);
/* Steps until no work is left over. */
void world_settle(world *w);

host_id world_host(world *w, const char *name, bytes_t total); /* hello + sample, set aside nothing */
void world_hello(world *w, const char *name, const char *boot, bytes_t total);
void world_sample(world *w, host_id h, bytes_t in_use, bytes_t claims);
session_id world_session(world *w, uint32_t uid, bool operator_);
/* The next event of a session. */
core_event world_request(world *w, session_id s, event_kind kind);

allocation_terms world_terms(bytes_t chunk_size, chunks_t want, chunks_t min, uint32_t flags);
/* Returns the reply's status; the id in *ret. */
int world_allocate(world *w, session_id s, allocation_terms t, allocation_id *ret);
int world_release(world *w, session_id s, allocation_id a, recall_id r, host_id h, chunks_t n);
int world_claim(world *w, session_id s, allocation_id a, host_id h, chunks_t n, generation *ret); /* and OPENED */
/* Opens it with a host "a" of 4 GiB, a session of user 1000, `want` chunks of 1 GiB, a claim of `n` of them. */
generation world_open_claimed(world *w, chunks_t want, uint32_t flags, chunks_t n, host_id *ret_host,
                              session_id *ret_session, allocation_id *ret_allocation);
void world_close_claim(world *w, session_id s, generation g, bool kill);
void world_answer(world *w, event_kind kind, host_id h, generation g, int status, uint64_t tag);
void world_drained(world *w, host_id h, generation g);

/* Of the last step: the reply, the n-th push or order of a kind, or NULL. */
const effect_reply *world_reply(const world *w);
const effect_push *world_push(const world *w, push_kind kind, uint32_t n);
const effect_order *world_order(const world *w, order_kind kind, uint32_t n);
const effect_note *world_note(const world *w, note_kind kind);

host_view world_view(const world *w, host_id h);
allocation_view world_allocation(const world *w, allocation_id a);

/* Exports both the living core and one that is built from the journal, and compares them byte for byte (I7). */
void world_replay(world *w);
/* Ends this core, and goes on with one that is built from its journal. */
void world_restart(world *w, bool same_boot);

#define STEP_CHECKED(w)                                                                                                \
    do {                                                                                                               \
        char why_[128] = "";                                                                                           \
        if (core_check((w)->core, why_, sizeof(why_)) != 0)                                                            \
            fail_msg("%s", why_);                                                                                      \
    } while (0)

#endif
