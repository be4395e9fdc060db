/*
 * identity.h - whom the broker runs as.
 */
#ifndef GRANARY_DAEMON_IDENTITY_H
#define GRANARY_DAEMON_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct {
    bool drop; /* becomes uid and gid; else stays who it is */
    uid_t uid;
    gid_t gid;
    char name[64];
} identity;

/*
 * Chooses: not root, or the name "root": stays. Else the user `name`, or, when that is "", `granary` if there is one.
 * STATUS_NOT_FOUND, with a sentence, when a user was named and does not exist.
 */
int identity_choose(const char *name, identity *ret, char *why, size_t why_size);

/* Becomes it for good: groups, gid, uid, no new privileges; reads everything back. Aborts when any of it is not so. */
void identity_become(const identity *who);

#endif
