/*
 * broker_watch.c - sessions without a connection whose processes live (daemon/watch.c): when one dies its session ends.
 *
 * The kernel tells the real broker of a death at once; here the machine is asked every LOOK.
 */
#include "base/status.h"
#include "broker_node.h"

#define LOOK US_OF_MS(20)

process_fate process_look(const broker_node *b, int32_t pid, uint64_t *ret_start)
{
    process_view v;
    if (pid == 0)
        return PROCESS_UNKNOWN;
    for (uint32_t i = 0; i < b->sim->n_hosts; i++)
        if (machine_process(b->sim->machines[i], pid, &v)) {
            if (ret_start)
                *ret_start = v.start;
            return v.alive ? PROCESS_ALIVE : PROCESS_DEAD;
        }
    return PROCESS_DEAD;
}

static void on_look(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    bool died = false;
    b->watch = 0;
    for (uint32_t i = 0; i < b->n_watched && !died; i++)
        died = process_look(b, b->watched[i].pid, NULL) == PROCESS_DEAD;
    if (died) {
        broker_enter(b);
        watch_look(b);
    }
    if (b->n_watched > 0)
        b->watch = clock_at(b->sim->clock, clock_now(b->sim->clock) + LOOK, on_look, b, 0);
}

void watch_start(broker_node *b, session_id session, int32_t pid)
{
    if (pid == 0)
        return; /* nobody knows whose it is: left to its grace */
    if (b->n_watched == b->watched_capacity) {
        b->watched_capacity = b->watched_capacity ? 2 * b->watched_capacity : 16;
        b->watched = sim_grow(b->watched, b->watched_capacity * sizeof *b->watched);
    }
    b->watched[b->n_watched++] = (watched){.session = session, .pid = pid};
    if (!b->watch)
        b->watch = clock_at(b->sim->clock, clock_now(b->sim->clock) + LOOK, on_look, b, 0);
}

void watch_stop(broker_node *b, session_id session)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->n_watched; i++)
        if (b->watched[i].session.v != session.v)
            b->watched[kept++] = b->watched[i];
    b->n_watched = kept;
}

void watch_look(broker_node *b)
{
    for (uint32_t i = 0; i < b->n_watched;) {
        watched w = b->watched[i];
        if (process_look(b, w.pid, NULL) != PROCESS_DEAD) {
            i++;
            continue;
        }
        sim_say(b->sim, "broker", "process %d has died: session %llu ends", (int)w.pid,
                (unsigned long long)w.session.v);
        watch_stop(b, w.session);
        broker_step(b, &(core_event){.kind = EVENT_SESSION_END, .session = {.session = w.session}});
        i = 0; /* the step may have ended others */
    }
}
