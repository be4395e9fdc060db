/*
 * sim.c - a run from its plan to its end.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "broker.h"
#include "cast.h"
#include "client.h"
#include "faults.h"
#include "judge.h"
#include "machine.h"
#include "net.h"

#define JOBS_A_SECOND 50000u         /* fifty times what the busiest run needs */
#define STILL_MOST    1000000u       /* jobs at one moment: somebody waits without waiting */
#define RESTS         US_OF_MS(9000) /* after the last client: files in shared memory go within 6 s, what is collected */

static bool everybody_is_over(const sim *s)
{
    for (uint32_t i = 0; i < s->n_clients; i++)
        if (!client_is_over(s->clients[i]))
            return false;
    return true;
}

/* What went wrong last is over, too. */
static bool everything_is_up(const sim *s)
{
    bool up = broker_core(s->broker) != NULL;
    for (uint32_t i = 0; i < s->n_hosts; i++)
        up &= agent_is_up(s->agents[i]);
    return up;
}

static void settle(sim *s)
{
    s->settling = true;
    sim_say(s, "sim", "nothing goes wrong from here on; everybody ends");
    net_set_weather(s->net, &(net_weather){.delay_least = 20, .delay_most = 200});
    for (uint32_t i = 0; i < s->n_clients; i++)
        client_settle(s->clients[i]);
}

static void play(sim *s)
{
    us_t end = s->plan.busy + s->plan.quiet;
    us_t last = 0;
    uint64_t most = (s->plan.busy / 1000000 + 60) * JOBS_A_SECOND;
    uint64_t since = 0; /* turns that were done when time last went on */
    while (!*s->wrong && clock_next(s->clock) <= end) {
        if (!s->settling && clock_next(s->clock) >= s->plan.busy)
            settle(s);
        if (s->settling && end > clock_now(s->clock) + RESTS && everybody_is_over(s) && everything_is_up(s))
            end = clock_now(s->clock) + RESTS;
        clock_turn(s->clock);
        judge_look(s->judges);
        if (clock_turns(s->clock) > most)
            sim_wrong(s, "no rest: %llu jobs, fifty times what is usual", (unsigned long long)most);
        if (clock_now(s->clock) > last) {
            last = clock_now(s->clock);
            since = clock_turns(s->clock);
        } else if (clock_turns(s->clock) - since > STILL_MOST) {
            sim_wrong(s, "time stands still: %u jobs at one moment", STILL_MOST);
        }
    }
    if (!*s->wrong)
        judge_end(s->judges);
}

static void stop(sim *s)
{
    for (uint32_t i = 0; i < s->n_clients; i++)
        client_destroy(s->clients[i]);
    broker_destroy(s->broker);
    for (uint32_t i = 0; i < s->n_hosts; i++) {
        agent_destroy(s->agents[i]);
        machine_destroy(s->machines[i]);
    }
    faults_destroy(s->faults);
    judges_destroy(s->judges);
    net_destroy(s->net);
    clock_destroy(s->clock);
}

sim_outcome sim_run(const sim_plan *plan)
{
    sim *s = sim_alloc(sizeof *s);
    *s = (sim){.plan = *plan, .hash = 0xcbf29ce484222325u};
    s->clock = clock_create();
    s->net = net_create(s);
    s->judges = judges_create(s);
    broker_options options = {.check = true};
    cast_broker(s, &options);
    options.check = !plan->unchecked;
    s->broker = broker_create(s, &options);
    cast_hosts(s);
    cast_clients(s);
    s->faults = faults_create(s);
    play(s);
    sim_outcome outcome = {.ok = !*s->wrong,
                           .ended = clock_now(s->clock),
                           .events = clock_turns(s->clock),
                           .messages = net_sent(s->net),
                           .hash = s->hash,
                           .steps = broker_steps(s->broker)};
    memcpy(outcome.wrong, s->wrong, sizeof outcome.wrong);
    stop(s);
    free(s);
    return outcome;
}
