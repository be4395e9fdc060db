/*
 * backend.c - choosing what puts processes under limits on this host; see backend.h.
 */
#include "agent/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup.h"
#include "base/status.h"

int backend_create(backend **ret, const backend_options *options)
{
    char v1[REASON_MAX] = "", v2[REASON_MAX] = "", reason[2 * REASON_MAX + 32];
    if (options->watch)
        return watch_backend_create(ret, options, "asked for with --watch");
    int r = cgroup_v2_create(ret, options, v2);
    if (r == 0) {
        snprintf((*ret)->reason, REASON_MAX, "memory.max of a cgroup v2 group for each claim");
        return 0;
    }
    if (r != STATUS_NOT_FOUND)
        return r;
    r = cgroup_v1_create(ret, options, v1);
    if (r == 0) {
        snprintf((*ret)->reason, REASON_MAX,
                 "memory.limit_in_bytes of a cgroup v1 group for each claim (not version 2: %.150s)", v2);
        return 0;
    }
    if (r != STATUS_NOT_FOUND)
        return r;
    snprintf(reason, sizeof reason, "version 2: %s; version 1: %s", v2, v1);
    return watch_backend_create(ret, options, reason);
}

void backend_destroy(backend *b)
{
    if (b)
        b->ops->destroy(b);
}

bytes_t backend_total(const backend_options *options, bytes_t physical)
{
    static cgroup_place place;
    bytes_t total = physical;
    /* Both trees: limits above us hold whichever one we use ourselves. */
    if (cgroup_find(options->proc, options->cgroup_root, 2, &place) == 0) {
        bytes_t limit = cgroup_least_limit(&place, "memory.max");
        total = limit < total ? limit : total;
    }
    if (cgroup_find(options->proc, options->cgroup_root, 1, &place) == 0) {
        bytes_t limit = cgroup_least_limit(&place, "memory.limit_in_bytes");
        total = limit < total ? limit : total;
    }
    return total;
}
