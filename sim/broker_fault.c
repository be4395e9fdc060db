/*
 * broker_fault.c - what befalls the broker: crashes in the middle of a turn and between two, a loss of power that takes
 * the unsynced tail of its disk, a disk that fails.
 */
#include "broker_node.h"
#include "judge.h"
#include "store/memory.h"

#define USELESS_TURNS 32u /* a crash waits so many turns for one that changes something */

bool crash_fits(broker_node *b, crash_when when)
{
    if (b->crash != when || b->sim->settling) /* it found no turn in time */
        return false;
    bool useful = driver_dirty(&b->driver) && (when == CRASH_BEFORE_COMMIT || b->n_letters > 0);
    return useful || ++b->crash_waits >= USELESS_TURNS;
}

bool crash_spares(broker_node *b)
{
    return rng_chance(&b->dice, 500000);
}

/* Between two jobs, so that a fault may be asked for from anywhere, also in the middle of a step. */
static void fall(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    b->fall = 0;
    if (!b->power_fails) {
        if (b->up && !b->turn)
            broker_die(b, "the broker is killed", b->crash_down);
        return; /* else at the end of the turn */
    }
    b->power_fails = false;
    bool torn = !b->options.power && rng_chance(&b->dice, 500000);
    uint64_t lost = b->options.power ? 0 : store_memory_lose(b->store, b->lose + (torn ? 1u : 0u));
    sim_say(b->sim, "broker", "its machine loses power: %llu commits are lost%s; it comes back in %llu ms",
            (unsigned long long)lost, torn ? ", one of them torn" : "", (unsigned long long)(b->crash_down / 1000));
    if (b->up)
        broker_end(b, false);
    judge_lost_tail(b->sim->judges, lost);
    broker_boot(b);
    broker_start_in(b, b->crash_down);
}

void broker_crash(broker_node *b, crash_when when, us_t down)
{
    if (!b->up || b->crash || b->power_fails)
        return;
    b->crash = when;
    b->crash_down = down;
    b->crash_waits = 0;
    if (when == CRASH_BETWEEN_TURNS && !b->fall)
        b->fall = clock_at(b->sim->clock, clock_now(b->sim->clock), fall, b, 0);
}

void broker_power_loss(broker_node *b, us_t down, uint32_t lost_commits)
{
    b->power_fails = true;
    b->crash_down = down;
    b->lose = lost_commits;
    if (!b->fall)
        b->fall = clock_at(b->sim->clock, clock_now(b->sim->clock), fall, b, 0);
}

void broker_fail_commit(broker_node *b)
{
    if (b->up)
        store_memory_fail_after(b->store, 0);
}
