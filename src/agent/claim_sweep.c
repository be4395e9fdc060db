/*
 * claim_sweep.c - a claim looks at its group: states, the timer, watching and killing members.
 */
#include "agent/claim_inner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "agent/members.h"
#include "base/status.h"

#define SWEEPS_MAX 4 /* looks at a group in one turn of the loop; then others have their turn */

void claim_notice(claim *c, const char *level, const char *what)
{
    char text[200];
    snprintf(text, sizeof text, "claim %llu: %s", (unsigned long long)c->generation, what);
    c->world->sink.notice(c->world->sink.context, level, text);
}

/* ---- states ---- */

void claim_set_state(claim *c, claim_state to)
{
    static const uint8_t allowed[] = {
        [CLAIM_OPEN] = 1 << CLAIM_EMPTYING | 1 << CLAIM_REAPING | 1 << CLAIM_ENDING,
        [CLAIM_EMPTYING] = 1 << CLAIM_OPEN | 1 << CLAIM_ENDING,
        [CLAIM_REAPING] = 1 << CLAIM_OPEN | 1 << CLAIM_ENDING,
        [CLAIM_ENDING] = 1 << CLAIM_DRAINED,
        [CLAIM_DRAINED] = 1 << CLAIM_CLOSING,
        [CLAIM_CLOSING] = 0,
    };
    assert(allowed[c->state] & 1 << to);
    c->state = to;
    c->look_at = 0;
    c->look_step = LOOK_FIRST_MS;
}

/* ---- one timer for four purposes ---- */

void claim_arm(claim *c)
{
    const uint64_t due[] = {c->sample_at, c->look_at, c->limit_at, c->oom_at};
    uint64_t next = 0, now = uv_now(c->world->loop);
    for (size_t i = 0; i < sizeof due / sizeof *due; i++)
        if (due[i] && (!next || due[i] < next))
            next = due[i];
    if (next)
        uv_timer_start(&c->timer, claim_on_timer, next > now ? next - now : 0, 0);
    else
        uv_timer_stop(&c->timer);
}

void claim_look_later(claim *c)
{
    c->look_at = uv_now(c->world->loop) + c->look_step;
    c->look_step = c->look_step * 2 < LOOK_MOST_MS ? c->look_step * 2 : LOOK_MOST_MS;
    claim_arm(c);
}

/* ---- watching members ---- */

void claim_unwatch(claim *c)
{
    for (uint32_t i = 0; i < c->n_watches; i++)
        watch_destroy(c->watches[i]);
    c->n_watches = 0;
}

static void on_member(void *context, watch *w)
{
    claim *c = context;
    (void)w;
    claim_unwatch(c);
    claim_advance(c);
}

static int watch_members(claim *c, members *m)
{
    uint32_t most = claim_ops(c)->members_by_watch ? m->count : 1;
    claim_unwatch(c);
    watch **room = realloc(c->watches, (most ? most : 1) * sizeof *room);
    if (!room)
        return STATUS_NO_MEMORY;
    c->watches = room;
    for (uint32_t i = 0; i < m->count && c->n_watches < most; i++) {
        int r = watch_create(&c->watches[c->n_watches], c->world->set, m->fds[i], EPOLLIN, on_member, c);
        m->fds[i] = -1;
        if (r < 0)
            return r;
        c->n_watches++;
    }
    return 0;
}

/*
 * Looks at the group, and kills what is in it if asked. True: no process is left. False: one is watched, or the timer
 * is armed, and claim_advance() will be called.
 */
bool claim_sweep(claim *c, bool kill)
{
    static members m; /* large; used up before anything can come back here */
    bool by_hand = kill && !claim_ops(c)->kill;
    bool watched = false;
    for (int turn = 0; turn < SWEEPS_MAX && !watched; turn++) {
        uint32_t most = by_hand || claim_ops(c)->members_by_watch ? MEMBERS_MAX : 1;
        if (members_open(c->group, most, &m) < 0)
            break;
        c->processes = m.total;
        if (m.total == 0) {
            claim_unwatch(c);
            return true;
        }
        c->killed |= kill && c->state == CLAIM_ENDING;
        bool missed = kill && !by_hand && claim_ops(c)->kill(c->group) < 0;
        if (by_hand && members_kill(&m) < 0)
            claim_notice(c, "warning", "a process could not be killed");
        by_hand |= missed; /* with all members, in the next turn */
        watched = !missed && m.count > 0 && watch_members(c, &m) == 0;
        members_close(&m);
    }
    /* Killed processes may be slow to die, and forks of theirs may have escaped this look. */
    if (kill || !watched)
        claim_look_later(c);
    return false;
}
