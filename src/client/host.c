/*
 * host.c - names of hosts.
 */
#include "client/host.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "client/client.h"

struct host_name {
    host_name *next;
    uint32_t id;
    bool watch; /* measured, not limited, as told last */
    char name[];
};

static host_name *hosts_find(const hosts *h, uint32_t id)
{
    host_name *n = h->first;
    while (n && n->id != id)
        n = n->next;
    return n;
}

const char *hosts_name(const hosts *h, uint32_t id)
{
    const host_name *n = hosts_find(h, id);
    return n ? n->name : NULL;
}

uint32_t hosts_local(const hosts *h)
{
    char own[HOST_NAME_MAX + 1];
    const char *name = h->local;
    if (!name && gethostname(own, sizeof own) == 0)
        name = own; /* its agent was not connected when we said hello: what it is likely to be called */
    for (const host_name *n = h->first; name && n; n = n->next)
        if (strcmp(n->name, name) == 0)
            return n->id;
    return !h->local && h->count == 1 && h->first ? h->first->id : UINT32_MAX; /* no other could be meant */
}

static int learn_one(hosts *h, const Granary__HostInfo *info)
{
    host_name *known = hosts_find(h, info->id);
    bool watch = strcmp(info->enforcement, "watch") == 0;
    if (known && strcmp(known->name, info->name) == 0) {
        known->watch = watch;
        return 0;
    }
    size_t size = strlen(info->name) + 1;
    host_name *n = malloc(sizeof *n + size);
    if (!n)
        return STATUS_NO_MEMORY;
    n->id = info->id;
    n->watch = watch;
    memcpy(n->name, info->name, size);
    n->next = h->first;
    h->first = n;
    h->count += known ? 0 : 1;
    return 0;
}

int hosts_learn(granary_client *c, Granary__HostInfo *const *infos, size_t n, const char *local)
{
    hosts *h = &c->hosts;
    uint32_t before = hosts_local(h);
    for (size_t i = 0; i < n; i++) {
        int r = learn_one(h, infos[i]);
        if (r < 0)
            return r;
    }
    if (local && local[0] && (!h->local || strcmp(h->local, local) != 0)) {
        char *copy = strdup(local);
        if (!copy)
            return STATUS_NO_MEMORY;
        free(h->local);
        h->local = copy;
    }
    if (hosts_local(h) != before)
        allocations_hosts_changed(c);
    return 0;
}

void hosts_finish(hosts *h)
{
    while (h->first) {
        host_name *n = h->first;
        h->first = n->next;
        free(n);
    }
    free(h->local);
    *h = (hosts){0};
}

static void refreshed(granary_client *c, request *r, int status, Granary__QueryReply **part, bool last)
{
    (void)r;
    if (status == 0)
        for (size_t i = 0; i < (*part)->n_queue; i++)
            allocations_place(c, (*part)->queue[i]);
    if (last)
        c->hosts.asking = false;
}

int hosts_refresh(granary_client *c)
{
    Granary__Query query = GRANARY__QUERY__INIT;
    if (c->hosts.asking)
        return 0;
    query.what = GRANARY__QUERY__WHAT__SNAPSHOT;
    int r = query_start(c, &query, refreshed, NULL, NULL);
    c->hosts.asking = r == 0;
    return r;
}

const char *granary_host_name(granary_client *c, uint32_t id)
{
    pthread_mutex_lock(&c->lock);
    const char *name = hosts_name(&c->hosts, id);
    pthread_mutex_unlock(&c->lock);
    return name ? name : "?";
}

bool granary_host_limited(granary_client *c, uint32_t id)
{
    pthread_mutex_lock(&c->lock);
    const host_name *n = hosts_find(&c->hosts, id);
    bool limited = !n || !n->watch;
    pthread_mutex_unlock(&c->lock);
    return limited;
}

void granary_broker_id(granary_client *c, char to[GRANARY_BROKER_ID_MAX])
{
    pthread_mutex_lock(&c->lock);
    memcpy(to, c->link.books, GRANARY_BROKER_ID_MAX);
    pthread_mutex_unlock(&c->lock);
}

uint32_t granary_local_host(granary_client *c)
{
    pthread_mutex_lock(&c->lock);
    uint32_t id = hosts_local(&c->hosts);
    if (id == UINT32_MAX && hosts_refresh(c) == 0) {
        client_kick(c);
        while (c->hosts.asking)
            client_wait(c, MS_NEVER);
        id = hosts_local(&c->hosts);
    }
    pthread_mutex_unlock(&c->lock);
    return id;
}
