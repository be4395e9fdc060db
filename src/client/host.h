/*
 * host.h - the hosts that the broker named, and which of them this program runs on.
 */
#ifndef GRANARY_CLIENT_HOST_H
#define GRANARY_CLIENT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "granary.h"
#include "granary.pb-c.h"

typedef struct host_name host_name;

typedef struct {
    host_name *first; /* newest first; names live as long as the client */
    uint32_t count;   /* of different numbers */
    char *local;      /* name; NULL = not told (yet) */
    bool asking;      /* a refresh is under way */
} hosts;

/* Takes over what a message told. `local` NULL or "": not told. STATUS_NO_MEMORY. */
int hosts_learn(granary_client *c, Granary__HostInfo *const *infos, size_t n, const char *local);

void hosts_finish(hosts *h);

/* The name, or NULL. */
const char *hosts_name(const hosts *h, uint32_t id);

/* The number of the local host, UINT32_MAX while unknown. */
uint32_t hosts_local(const hosts *h);

/* Asks the broker for the hosts' names and the queue's places, unless that is under way. Does not wait. */
int hosts_refresh(granary_client *c);

#endif
