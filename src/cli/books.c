#include "cli/books.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "cli/exits.h"

int books_open(const command_call *call, query **ret)
{
    char why[QUERY_WHY_MAX];
    int r = query_open(ret, call->socket, why);

    if (r == 0)
        return 0;
    options_say(call, "%s", why);
    return exits_of_status(r);
}

int books_read(const command_call *call, snapshot **ret)
{
    query *q;
    int r = books_open(call, &q);

    if (r != 0)
        return r;
    r = query_snapshot(q, ret);
    if (r < 0)
        options_say(call, "%s", query_why(q));
    query_close(q);
    return r < 0 ? exits_of_status(r) : 0;
}

const char *books_host_name(const snapshot *s, uint32_t host)
{
    for (size_t i = 0; i < s->n_hosts; i++)
        if (s->hosts[i]->id == host)
            return s->hosts[i]->name;
    return "?";
}

const char *books_user_name(uint32_t uid, char to[BOOKS_USER_MAX])
{
    char buffer[1024];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found)
        snprintf(to, BOOKS_USER_MAX, "%s", entry.pw_name);
    else
        snprintf(to, BOOKS_USER_MAX, "%u", uid);
    return to;
}

bool books_is_waiting(const Granary__AllocationInfo *a)
{
    return strcmp(a->state, "waiting") == 0;
}

void books_use_of(const snapshot *s, uint64_t allocation, uint64_t *ret_used, uint64_t *ret_peak)
{
    *ret_used = *ret_peak = 0;
    for (size_t i = 0; i < s->n_claims; i++) {
        if (s->claims[i]->allocation != allocation)
            continue;
        *ret_used += s->claims[i]->used;
        *ret_peak += s->claims[i]->peak;
    }
}

int32_t books_pid_of(const snapshot *s, const Granary__AllocationInfo *a)
{
    int32_t pid = a->pid;
    for (size_t i = 0; pid == 0 && i < s->n_claims; i++)
        if (s->claims[i]->allocation == a->id && s->claims[i]->n_pids > 0)
            pid = s->claims[i]->pids[0];
    return pid;
}

int books_flush(const command_call *call)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    options_say(call, "cannot write the output: %s", strerror(errno));
    return EXIT_FAILED;
}
