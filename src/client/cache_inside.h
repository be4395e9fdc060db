/*
 * cache_inside.h - a cache's parts, shared by its two halves: what it does (cache.c) and what it is told
 * (cache_talk.c). Everything with the client's lock held.
 */
#ifndef GRANARY_CLIENT_CACHE_INSIDE_H
#define GRANARY_CLIENT_CACHE_INSIDE_H

#include "client/allocation.h"
#include "client/request.h"
#include "granary.h"

#define CACHE_RECALLS 32u /* open at once; the broker asks again for what was not heard */

typedef enum { CALL_NONE, CALL_SHRINK, CALL_GROW } cache_call;

struct granary_cache {
    granary_cache *next;
    granary_client *client;
    allocation *allocation;
    granary_cache_options options;
    char *label;
    int pidfd;
    uint32_t references; /* the program's own, and one for each request under way */
    bool closed;

    uint64_t claim;
    uint32_t claimed; /* chunks that the claim's limit stands for */
    uint32_t told;    /* chunks that the program knows it may use */
    uint32_t aim;     /* of the resize under way */
    uint32_t leaving; /* released, unanswered */
    bool asking;      /* a claim or a resize is unanswered */
    int failed;       /* the claim could not be opened */
    ms_t retry_at;
    uint32_t refused;
    ms_t shrink_began, shrink_took; /* the last one; 0 = never */

    cache_call due;
    bool calling;
    uint32_t n_recalls;
    struct {
        uint64_t id;
        uint32_t open;
    } recalls[CACHE_RECALLS];
};

extern const allocation_owner cache_owner;

/* Chunks held on this host, without those that are released and unanswered; chunks that are wanted back. */
uint32_t cache_held(const granary_cache *k);
uint32_t cache_wanted(const granary_cache *k);

/* Begins what is due next. */
void cache_step(granary_cache *k);

/* False: memory is short, and it is tried again in a moment. A request with `done` keeps the cache until it is
 * answered. */
bool cache_send(granary_cache *k, uint16_t type, const void *message, int fd, request_done done);

void cache_recall_forget(granary_cache *k, uint64_t id);

#endif
