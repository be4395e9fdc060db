/*
 * broker.c - the broker's turns: what daemon/broker.c does with a loop, with jobs of the clock.
 */
#include "broker.h"

#include <stdlib.h>

#include "broker_node.h"
#include "judge.h"
#include "store/memory.h"

#define RESTART_MOST US_OF_MS(2000) /* the supervisor starts it again within */
#define COMPACT_ODDS 2500u          /* of a commit, per million: the journal is made a snapshot */
#define REPLAY_EVERY 512u           /* commits */

/* ---- turns ---- */

void broker_step(broker_node *b, const core_event *event)
{
    judge_event(b->sim->judges, event, broker_now(b));
    if (driver_step(&b->driver, event) < 0)
        sim_wrong(b->sim, "a step of the core failed (event %d)", (int)event->kind);
    b->steps++;
    tell_step(b, event);
}

static void on_turn(void *context, uint64_t argument);

void broker_enter(broker_node *b)
{
    clock_enter(b->sim->clock, &b->time);
    if (!b->turn)
        b->turn = clock_at(b->sim->clock, clock_now(b->sim->clock) + TURN, on_turn, b, 0);
}

static void on_tick(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    b->tick = 0;
    broker_enter(b);
    broker_step(b, &(core_event){.kind = EVENT_TICK});
}

static void tick_arm(broker_node *b)
{
    us_t when = clock_when(b->sim->clock, &b->time, core_next_deadline(b->driver.core));
    clock_cancel(b->sim->clock, &b->tick);
    if (when != US_NEVER)
        b->tick = clock_at(b->sim->clock, when, on_tick, b, 0);
}

static int commit(broker_node *b)
{
    bool dirty = driver_dirty(&b->driver);
    int r = driver_commit(&b->driver);
    if (r < 0 || !dirty)
        return r;
    b->judged = 0;
    b->commits++;
    judge_committed(b->sim->judges);
    return rng_chance(&b->dice, COMPACT_ODDS) ? journal_compact(b) : 0;
}

/* Commit, send, and the same for what the ends of connections lead to. False: the process has died. */
static bool turn_end(broker_node *b)
{
    do {
        if (crash_fits(b, CRASH_BEFORE_COMMIT)) {
            broker_die(b, "the broker is killed before its commit", b->crash_down);
            return false;
        }
        bool after = crash_fits(b, CRASH_AFTER_COMMIT);
        if (commit(b) < 0) {
            broker_die(b, "the journal cannot be written: the broker ends", rng_between(&b->dice, 1000, RESTART_MOST));
            return false;
        }
        letters_send(b, after ? crash_spares : NULL);
        if (after) {
            broker_die(b, "the broker is killed after its commit, while it sends", b->crash_down);
            return false;
        }
    } while (peers_reap(b));
    return true;
}

static void on_turn(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    char why[256];
    b->turn = 0;
    clock_enter(b->sim->clock, &b->time);
    uint64_t commits = b->commits;
    if (!turn_end(b))
        return;
    tick_arm(b);
    if (b->options.check && commits / REPLAY_EVERY != b->commits / REPLAY_EVERY) {
        b->replays++;
        if (!broker_replays(b, why, sizeof why))
            sim_wrong(b->sim, "%s", why);
    }
    if (b->crash == CRASH_BETWEEN_TURNS)
        broker_die(b, "the broker is killed", b->crash_down);
}

/* ---- life ---- */

broker_node *broker_create(sim *s, const broker_options *o)
{
    broker_node *b = sim_alloc(sizeof *b);
    *b = (broker_node){.sim = s, .options = *o, .dice = rng_named(s->plan.seed, "broker", 0)};
    char id[33];
    snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)rng_next(&b->dice),
             (unsigned long long)rng_next(&b->dice));
    if (store_memory_open(&b->store, id) < 0) {
        fprintf(stderr, "granary-sim: no memory left\n");
        exit(1);
    }
    broker_boot(b);
    broker_start_in(b, 0); /* when everybody else is made */
    return b;
}

void broker_destroy(broker_node *b)
{
    if (!b)
        return;
    if (b->up)
        broker_end(b, true);
    clock_cancel(b->sim->clock, &b->start);
    clock_cancel(b->sim->clock, &b->fall);
    store_close(b->store);
    free(b->config);
    free(b->letters);
    free(b->watched);
    free(b->early);
    free(b);
}

/* ---- to look at ---- */

const core *broker_core(const broker_node *b)
{
    return b->up ? b->driver.core : NULL;
}

ms_t broker_now(const broker_node *b)
{
    return clock_ms(b->sim->clock, &b->time);
}

machine_clock *broker_time(broker_node *b)
{
    return &b->time;
}

uint64_t broker_steps(const broker_node *b)
{
    return b->steps;
}
