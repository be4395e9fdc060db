#include "daemon/identity.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/status.h"

#define DEFAULT_USER "granary"

int identity_choose(const char *name, identity *ret, char *why, size_t why_size)
{
    *ret = (identity){.uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0 || strcmp(name, "root") == 0)
        return 0;
    const struct passwd *p = getpwnam(*name ? name : DEFAULT_USER);
    if (!p && !*name)
        return 0;
    if (!p) {
        snprintf(why, why_size, "user = %s: there is no such user; make it (adduser --system %s), or name another",
                 name, name);
        return STATUS_NOT_FOUND;
    }
    *ret = (identity){.drop = p->pw_uid != 0, .uid = p->pw_uid, .gid = p->pw_gid};
    snprintf(ret->name, sizeof ret->name, "%s", p->pw_name);
    return 0;
}

void identity_become(const identity *who)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;
    if (who->drop) {
        if (setgroups(0, NULL) < 0 || setresgid(who->gid, who->gid, who->gid) < 0 ||
            setresuid(who->uid, who->uid, who->uid) < 0)
            abort();
        if (getresuid(&r, &e, &s) < 0 || r != who->uid || e != who->uid || s != who->uid)
            abort();
        if (getresgid(&gr, &ge, &gs) < 0 || gr != who->gid || ge != who->gid || gs != who->gid ||
            getgroups(0, NULL) != 0)
            abort();
        if (setresuid(0, 0, 0) == 0) /* must not be possible any more */
            abort();
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        abort();
}
