/*
 * judge.c - the judges as one: who is told of what, and which of them looks when.
 */
#include "judge.h"

#include <stdlib.h>

#include "client.h"

#define LOOK_EVERY 64u /* jobs between two looks at what takes a while to compare */

struct judges {
    sim *sim;
    uint64_t looks;
};

judges *judges_create(sim *s)
{
    judges *j = sim_alloc(sizeof *j);
    *j = (judges){.sim = s};
    return j;
}

void judges_destroy(judges *j)
{
    free(j);
}

void judge_record(judges *j, const core_record *r)
{
    (void)j;
    (void)r;
}

void judge_committed(judges *j)
{
    (void)j;
}

void judge_lost_tail(judges *j, uint64_t commits)
{
    (void)j;
    (void)commits;
}

void judge_note(judges *j, const effect_note *n)
{
    (void)j;
    (void)n;
}

void judge_sample(judges *j, host_id host, bytes_t in_use, bytes_t claims_used, ms_t now)
{
    (void)j;
    (void)host;
    (void)in_use;
    (void)claims_used;
    (void)now;
}

void judge_stepped(judges *j)
{
    (void)j;
}

void judge_sent(judges *j, const char *to, const message *m)
{
    (void)j;
    (void)to;
    (void)m;
}

void judge_restarted(judges *j)
{
    (void)j;
}

void judge_asked(judges *j, uint32_t client, const message *request)
{
    (void)j;
    (void)client;
    (void)request;
}

void judge_told(judges *j, uint32_t client, const message *m)
{
    (void)j;
    (void)client;
    (void)m;
}

void judge_killed(judges *j, const struct machine *m, uint64_t gen, int32_t pid, const char *by)
{
    (void)j;
    (void)m;
    (void)gen;
    (void)pid;
    (void)by;
}

void judge_look(judges *j)
{
    char why[256];
    if (j->looks++ % LOOK_EVERY != 0)
        return;
    for (uint32_t i = 0; i < j->sim->n_clients; i++)
        if (!client_check(j->sim->clients[i], why, sizeof why))
            sim_wrong(j->sim, "the pool of %s: %s", client_name(j->sim->clients[i]), why);
}

void judge_end(judges *j)
{
    judge_look(j);
    for (uint32_t i = 0; i < j->sim->n_clients; i++)
        if (!client_is_over(j->sim->clients[i]))
            sim_wrong(j->sim, "%s is not over in the end", client_name(j->sim->clients[i]));
}
