/*
 * claim_inner.h - what the files of a claim share; nobody else includes this.
 */
#ifndef GRANARY_AGENT_CLAIM_INNER_H
#define GRANARY_AGENT_CLAIM_INNER_H

#include "agent/claim.h"

static inline const backend_ops *claim_ops(const claim *c)
{
    return c->world->backend->ops;
}

/* claim_sweep.c */
void claim_notice(claim *c, const char *level, const char *what);
void claim_set_state(claim *c, claim_state to); /* an unknown pair of states is an assert */
void claim_arm(claim *c);                       /* sets the timer to the earliest of the four times */
void claim_look_later(claim *c);                /* a growing step from the last look */
void claim_unwatch(claim *c);
/* True: no process is left. False: claim_advance() will be called. */
bool claim_sweep(claim *c, bool kill);

/* claim_task.c */
void claim_task_begin(claim *c);
claim_answer claim_task_end(claim *c); /* the group is empty */
void claim_oom_check(claim *c);
void claim_sample_soon(claim *c);

/* claim_line.c */
claim_order claim_take_from_line(claim *c); /* there must be one */
void claim_refuse_line(claim *c, int status, const char *text);
void claim_run_line(claim *c);
void claim_limit_try(claim *c);

/* claim_ending.c */
void claim_ending_advance(claim *c);
void claim_closing_advance(claim *c);
void claim_free(claim *c); /* once it is released, its handle closed and no job holds it */

/* claim.c */
void claim_advance(claim *c);
void claim_on_timer(uv_timer_t *timer);
int claim_watch_events(claim *c); /* STATUS_NO_MEMORY; what else goes wrong is reported */

#endif
