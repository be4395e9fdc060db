/*
 * members.h - the processes of a group, held by pidfds.
 *
 * A pid that was read from a list may belong to a stranger by the time it is used. So: list, open pidfds, list again; a
 * pidfd counts only if its pid is in the second list too. Whoever owns the pid then is in the group, and the pidfd is
 * either that process or one that has ended, which no signal reaches.
 */
#ifndef GRANARY_AGENT_MEMBERS_H
#define GRANARY_AGENT_MEMBERS_H

#include "agent/backend.h"

#define MEMBERS_MAX 512u /* of one look: below any sensible limit of descriptors */

typedef struct {
    int fds[MEMBERS_MAX];
    uint32_t count; /* at most what was asked for */
    uint32_t total; /* processes in the group; 0 = it is empty */
} members;

/* At the start: room for looks at groups of usual size, which then cost no memory. STATUS_NO_MEMORY. */
int members_prepare(void);

/* Up to `most` members. A group that is gone has none. The caller closes what it keeps, members_close() the rest. */
int members_open(group *g, uint32_t most, members *ret);
void members_close(members *m); /* closes every descriptor that is not -1 */

/* SIGKILL to each held one. */
int members_kill(const members *m);

#endif
