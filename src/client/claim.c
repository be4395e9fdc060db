/*
 * claim.c - plain calls about claims.
 *
 * A claim ends for the caller when its end was told, by ClaimEnded or by the reply to Close, whichever comes first. A
 * claim may be closed here that another session opened: the allocation was handed over.
 */
#include "client/claim.h"

#include <assert.h>
#include <stdlib.h>

#include "base/status.h"
#include "client/call.h"
#include "client/client.h"

static client_claim *claim_find(granary_client *c, uint64_t id)
{
    client_claim *claim = c->claims;
    while (claim && claim->id != id)
        claim = claim->next;
    return claim;
}

static void claim_forget(granary_client *c, client_claim *claim)
{
    client_claim **at = &c->claims;
    while (*at && *at != claim)
        at = &(*at)->next;
    if (*at)
        *at = claim->next;
    free(claim);
}

static void claim_end(client_claim *claim, uint32_t cause, uint64_t peak)
{
    claim->ended = true;
    claim->end = (granary_claim_end){.cause = (int)cause, .peak = peak};
}

int claims_ended(granary_client *c, const Granary__ClaimEnded *e)
{
    client_claim *claim = claim_find(c, e->claim);
    allocation *a = allocation_find(c, e->allocation);
    if (e->cause > 2)
        return STATUS_PROTOCOL;
    if (claim)
        claim_end(claim, e->cause, e->peak);
    if (a && a->owner) {
        granary_claim_end end = {.cause = (int)e->cause, .peak = e->peak};
        a->owner->claim_ended(a->owner_data, e->claim, &end);
    }
    return 0;
}

int claims_over(granary_client *c, const Granary__ClaimOver *o)
{
    client_claim *claim = claim_find(c, o->claim);
    if (claim)
        claim->over = o->used;
    return 0;
}

uint64_t granary_claim_over(granary_client *c, uint64_t id)
{
    pthread_mutex_lock(&c->lock);
    const client_claim *claim = claim_find(c, id);
    uint64_t over = claim ? claim->over : 0;
    pthread_mutex_unlock(&c->lock);
    return over;
}

void claims_reattach(granary_client *c, const Granary__Welcome *w)
{
    for (client_claim *claim = c->claims; claim; claim = claim->next) {
        bool listed = !allocation_find(c, claim->allocation); /* in another session's allocation: only Close can tell */
        for (size_t i = 0; i < w->n_claims; i++)
            listed = listed || w->claims[i]->id == claim->id;
        if (!listed && !claim->ended)
            claim_end(claim, 0, 0);
    }
}

void claims_fail(granary_client *c)
{
    for (client_claim *claim = c->claims; claim; claim = claim->next)
        claim->ended = true;
}

void claims_finish(granary_client *c)
{
    while (c->claims)
        claim_forget(c, c->claims);
}

/* Opened: kept, so that its end is known whenever it is asked for. */
static int claim_keep(granary_client *c, client_claim *claim, uint64_t lease, int status, Granary__Reply *reply)
{
    assert(status < 0 || reply);
    if (status == 0 && reply->claim == 0)
        status = client_fail(c, STATUS_PROTOCOL, "the broker opened a claim without a number");
    if (status < 0) {
        free(claim);
    } else {
        *claim = (client_claim){.next = c->claims, .id = reply->claim, .allocation = lease};
        c->claims = claim;
    }
    reply_free(reply);
    return status;
}

int granary_claim_start(granary_client *c, uint64_t lease, uint32_t host, uint32_t chunks, const char *command,
                        int pidfd, uint64_t *ret)
{
    Granary__Claim message = GRANARY__CLAIM__INIT;
    Granary__Reply *reply;
    if (chunks == 0 && pidfd < 0)
        return client_fail(c, STATUS_INVALID, "a claim is at least 1 chunk, but for a process that waits for memory");
    client_claim *claim = malloc(sizeof *claim);
    if (!claim)
        return client_fail(c, STATUS_NO_MEMORY, "%s", "");
    message.allocation = lease;
    message.host = host;
    message.chunks = chunks;
    message.command = (char *)(uintptr_t)(command ? command : "");
    pthread_mutex_lock(&c->lock);
    int r = call_wait(c, GRANARY__MESSAGE_TYPE__TYPE_CLAIM, &message, pidfd, MS_NEVER, &reply);
    uint64_t id = reply ? reply->claim : 0;
    r = claim_keep(c, claim, lease, r, reply);
    pthread_mutex_unlock(&c->lock);
    if (r == 0)
        *ret = id;
    return r;
}

int granary_claim_open(granary_client *c, uint64_t lease, uint32_t host, uint32_t chunks, const char *command,
                       uint64_t *ret)
{
    return granary_claim_start(c, lease, host, chunks, command, -1, ret);
}

int granary_claim_enter(granary_client *c, uint64_t claim, int pidfd)
{
    Granary__Enter message = GRANARY__ENTER__INIT;
    if (pidfd < 0)
        return client_fail(c, STATUS_INVALID, "a pidfd is needed: see pidfd_open(2)");
    message.claim = claim;
    return client_call(c, GRANARY__MESSAGE_TYPE__TYPE_ENTER, &message, pidfd, -1, NULL);
}

int granary_claim_empty(granary_client *c, uint64_t claim, granary_claim_end *ret)
{
    Granary__Empty message = GRANARY__EMPTY__INIT;
    Granary__Reply *reply;
    message.claim = claim;
    int r = client_call(c, GRANARY__MESSAGE_TYPE__TYPE_EMPTY, &message, -1, -1, &reply);
    if (r == 0 && ret)
        *ret = (granary_claim_end){.cause = (int)reply->cause, .peak = reply->peak};
    reply_free(reply);
    return r;
}

int granary_claim_shrink(granary_client *c, uint64_t claim, uint32_t chunks, int timeout_ms)
{
    Granary__Shrink message = GRANARY__SHRINK__INIT;
    if (chunks == 0)
        return client_fail(c, STATUS_INVALID, "a claim keeps at least 1 chunk: close it to give all");
    message.claim = claim;
    message.chunks = chunks;
    return client_call(c, GRANARY__MESSAGE_TYPE__TYPE_SHRINK, &message, -1, timeout_ms, NULL);
}

int granary_claim_close(granary_client *c, uint64_t id, bool kill, int timeout_ms, granary_claim_end *ret)
{
    Granary__Close message = GRANARY__CLOSE__INIT;
    ms_t deadline = client_deadline(timeout_ms);
    message.claim = id;
    message.kill = kill;
    pthread_mutex_lock(&c->lock);
    client_claim *claim = claim_find(c, id);
    Granary__Reply *reply = NULL;
    int r = 0;
    if (!claim || !claim->ended) {
        bool ours = claim != NULL;
        r = call_wait(c, GRANARY__MESSAGE_TYPE__TYPE_CLOSE, &message, -1, deadline, &reply);
        claim = claim_find(c, id);
        bool over = r == STATUS_NOT_FOUND || r == STATUS_STALE || r == STATUS_ENDED; /* its end crossed our call */
        assert(r < 0 || reply);
        if (claim && !claim->ended && r == 0)
            claim_end(claim, reply->cause, reply->peak);
        else if (claim && over)
            claim->ended = true;
        else if (!ours && over)
            r = client_fail(c, STATUS_NOT_FOUND, "claim %llu is not open", (unsigned long long)id);
        else if (!ours && r == 0 && ret)
            *ret = (granary_claim_end){.cause = (int)reply->cause, .peak = reply->peak};
        reply_free(reply);
    }
    if (claim && claim->ended) { /* also when Close came too late: it has ended */
        r = c->over ? call_status(c, c->over, NULL) : 0;
        if (r == 0 && ret)
            *ret = claim->end;
        claim_forget(c, claim);
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}
