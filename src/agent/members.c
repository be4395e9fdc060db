/*
 * members.c - holding the processes of a group; see members.h.
 */
#include "agent/members.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/watchpid.h"
#include "base/status.h"

#define USUAL_COUNT 1024u /* of processes in one group */

/* Kept from look to look: the end of a claim must not wait for memory. */
static pids first, second;

int members_prepare(void)
{
    int r = pids_reserve(&first, USUAL_COUNT);
    return r < 0 ? r : pids_reserve(&second, USUAL_COUNT);
}

static int by_number(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

static int list(group *g, pids *to)
{
    to->count = 0;
    to->cut = false;
    int r = g->owner->ops->processes(g, to);
    return r == STATUS_NOT_FOUND ? 0 : r;
}

int members_open(group *g, uint32_t most, members *ret)
{
    pid_t held[MEMBERS_MAX] = {0};
    members m = {0};
    if (most > MEMBERS_MAX)
        most = MEMBERS_MAX;
    second.count = 0;
    int r = list(g, &first);
    m.total = first.count;
    for (uint32_t i = 0; r == 0 && i < first.count && m.count < most; i++) {
        r = pidfd_of(first.items[i], &m.fds[m.count]);
        if (r == 0)
            held[m.count++] = first.items[i];
        else if (r == STATUS_DEAD)
            r = 0;
    }
    if (r == 0 && m.count > 0)
        r = list(g, &second);
    if (second.count)
        qsort(second.items, second.count, sizeof *second.items, by_number);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m.count; i++) {
        if (r == 0 && second.count && bsearch(&held[i], second.items, second.count, sizeof held[i], by_number))
            m.fds[kept++] = m.fds[i];
        else
            close(m.fds[i]);
    }
    m.count = kept;
    if (r == 0)
        *ret = m;
    return r;
}

void members_close(members *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (m->fds[i] >= 0)
            close(m->fds[i]);
    m->count = 0;
}

int members_kill(const members *m)
{
    int r = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        int one = pidfd_kill(m->fds[i]);
        if (one < 0)
            r = one;
    }
    return r;
}
