/*
 * entry.h - letting a process into a group: who it is, whether it may, and its children with it.
 */
#ifndef GRANARY_AGENT_ENTRY_H
#define GRANARY_AGENT_ENTRY_H

#include "agent/backend.h"

typedef struct {
    pid_t pid;
    bytes_t resident; /* what it used before: that stays charged to the group that it came from */
} entry;

/*
 * Attaches the process behind `pidfd` and all its descendants but `others`. The process must be of `uid` (real,
 * effective and saved) unless `any_user`. On failure nothing was attached, and `*ret_text` is a sentence for people.
 * STATUS_DEAD, STATUS_DENIED, STATUS_INVALID (not a pidfd), STATUS_SYSTEM.
 */
int entry_attach(group *g, int pidfd, uid_t uid, bool any_user, const pids *others, entry *ret, const char **ret_text);

#endif
