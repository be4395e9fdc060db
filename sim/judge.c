/*
 * judge.c - the judges as one: who is told of what, and which of them looks when.
 *
 * A step is judged as a whole: its records come one by one, in an order that need not make sense before the last.
 */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "judge_inner.h"

#define LOOK_EVERY 64u /* jobs between two looks at what takes a while to compare */

judges *judges_create(sim *s)
{
    judges *j = sim_alloc(sizeof *j);
    memset(j, 0, sizeof *j);
    j->sim = s;
    j->host_default.config_aside = UINT64_MAX;
    return j;
}

void judges_destroy(judges *j)
{
    if (!j)
        return;
    books_finish(j);
    free(j);
}

/* ---- of the broker ---- */

void judge_event(judges *j, const core_event *e, ms_t now)
{
    j->lived += now > j->clock ? now - j->clock : 0;
    j->clock = now;
    j->event = *e;
    j->stepping = true;
    hosts_event(j, e);
    wire_event(j, e);
}

void judge_record(judges *j, const core_record *r)
{
    books_put(j, r);
}

void judge_committed(judges *j)
{
    books_commit(j);
}

void judge_note(judges *j, const effect_note *n)
{
    if (n->kind == NOTE_LIMIT_REACHED)
        j->limit_reached = clock_now(j->sim->clock) + 1;
    recalls_note(j, n);
    j->grew |= n->kind == NOTE_GREW || n->kind == NOTE_GRANTED;
}

void judge_stepped(judges *j)
{
    const core *c = broker_core(j->sim->broker);
    step_judge(j);
    recalls_judge(j);
    claims_judge(j);
    if (c)
        views_judge(j, c);
    changes_clear(&j->step);
    j->stepping = j->grew = j->restarted = false;
}

void judge_lost_tail(judges *j, uint64_t commits)
{
    j->lost_tail |= commits > 0;
    books_lose(j, commits);
}

void judge_restarted(judges *j)
{
    books_lose(j, 0);
    changes_clear(&j->step);
    hosts_restart(j);
    wire_restart(j);
    j->restarted = true;
    j->stepping = j->grew = false;
    j->clock = broker_now(j->sim->broker);
}

void judge_sent(judges *j, const char *to, const message *m)
{
    wire_sent(j, to, m);
}

/* ---- of clients and machines ---- */

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
    truth_killed(j, m, gen, pid, by);
}

/* ---- looks ---- */

void judge_look(judges *j)
{
    char why[256];
    if (j->looks++ % LOOK_EVERY != 0)
        return;
    truth_look(j);
    worries_look(j);
    for (uint32_t i = 0; i < j->sim->n_clients; i++)
        if (!client_check(j->sim->clients[i], why, sizeof why))
            WRONG(j, "pool: %s: %s", client_name(j->sim->clients[i]), why);
}

void judge_end(judges *j)
{
    truth_look(j);
    end_judge(j);
}
