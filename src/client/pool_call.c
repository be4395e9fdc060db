/*
 * pool_call.c - entering and releasing slots.
 *
 * A call is started (its request is on its way) and done (its answer is here). The waiting functions start and wait;
 * the event loop's start here and take the answer later. Enter: a claim of its own for a slot's first task, Enter for
 * the next ones. Release: Empty when the slot is kept, Close when it is wanted back.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "client/call.h"
#include "client/client.h"
#include "client/pool.h"
#include "client/spawn.h"

#define GIVE_AGAIN_MS 50u /* after a shortage of memory */

static void call_remove(slot_call *call)
{
    slot_call **at = &call->pool->calls;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
    call->next = NULL;
}

/* The answer is here: for who waits, for granary_slot_take(), or for nobody. */
static void call_done(slot_call *call, int status)
{
    granary_pool *p = call->pool;
    call_remove(call);
    call->answer.status = status;
    call->done = true;
    if (status < 0)
        call->answer.end = (granary_claim_end){0};
    if (call->listed && !p->closed) {
        if (p->last_answer)
            p->last_answer->next = call;
        else
            p->answers = call;
        p->last_answer = call;
    } else if (!call->kept) {
        free(call);
    }
    pool_drop(p);
}

static void end_from(slot_call *call, const Granary__Reply *reply)
{
    if (reply)
        call->answer.end = (granary_claim_end){.cause = (int)reply->cause, .peak = reply->peak};
}

static bool claim_known(const pool_state *p, uint64_t claim)
{
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].claim == claim)
            return true;
    return claim == 0;
}

static void on_claimed(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    slot_call *call = r->userdata;
    if (status == 0 && claim_known(&call->pool->state, (*reply)->claim))
        status = STATUS_PROTOCOL; /* none, or another slot's */
    if (status == 0)
        pool_state_claimed(&call->pool->state, call->answer.slot, (*reply)->claim);
    else
        call_status(c, status, *reply);
    call_done(call, status);
}

static int claim_send(slot_call *call, const pool_slot *s, int pidfd)
{
    Granary__Claim message = GRANARY__CLAIM__INIT;
    granary_pool *p = call->pool;
    message.allocation = p->allocation->id;
    message.host = s->host;
    message.chunks = s->chunks;
    message.command = p->label;
    return request_start(p->client, GRANARY__MESSAGE_TYPE__TYPE_CLAIM, &message, pidfd, on_claimed, call, NULL);
}

static void on_entered(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    slot_call *call = r->userdata;
    pool_state *state = &call->pool->state;
    const pool_slot *s = pool_state_slot(state, call->answer.slot);
    (void)c;
    end_from(call, *reply);
    if ((status == STATUS_ENDED || status == STATUS_NOT_FOUND) && s && !call->pool->closed) {
        /* Its claim ended meanwhile (its host came back without it): the task gets a new one. */
        pool_state_claim_ended(state, call->claim, 0, 0);
        if (claim_send(call, s, r->fd) == 0)
            return;
    }
    call_done(call, status);
}

static int enter_send(slot_call *call, const pool_slot *s, int pidfd)
{
    Granary__Enter message = GRANARY__ENTER__INIT;
    if (s->claim == 0) {
        call->answer.end = (granary_claim_end){.cause = (int)s->cause, .peak = s->peak};
        return claim_send(call, s, pidfd);
    }
    message.claim = s->claim;
    message.fresh = call->answer.call == GRANARY_SLOT_NEXT;
    return request_start(call->pool->client, GRANARY__MESSAGE_TYPE__TYPE_ENTER, &message, pidfd, on_entered, call,
                         NULL);
}

static void on_emptied(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    slot_call *call = r->userdata;
    granary_pool *p = call->pool;
    bool gone = status == STATUS_ENDED || status == STATUS_NOT_FOUND;
    (void)c;
    end_from(call, *reply);
    if (gone)
        pool_state_claim_ended(&p->state, call->claim, 0, 0);
    else
        pool_state_emptied(&p->state, call->claim, status == 0, pool_sink(p));
    pool_step(p);
    call_done(call, gone ? 0 : status);
}

void slot_call_closed(granary_pool *p, uint64_t claim, int status, uint32_t cause, uint64_t peak)
{
    slot_call *call = p->calls;
    while (call && !(call->answer.call == GRANARY_SLOT_RELEASE && call->claim == claim && !call->emptying))
        call = call->next;
    if (!call)
        return;
    call->answer.end = (granary_claim_end){.cause = (int)cause, .peak = peak};
    call_done(call, status == STATUS_ENDED || status == STATUS_NOT_FOUND ? 0 : status);
}

/* The slot is the pool's again, or the broker's. The call is done later, or at once when there was no claim. */
static int release_send(slot_call *call, const pool_slot *s)
{
    granary_pool *p = call->pool;
    pool_state *state = &p->state;
    uint64_t slot = s->id;
    Granary__Empty message = GRANARY__EMPTY__INIT;
    call->answer.end = (granary_claim_end){.cause = (int)s->cause, .peak = s->peak};
    bool empty = pool_state_release(state, client_now(), slot, pool_sink(p)) && call->claim != 0;
    if (empty) {
        message.claim = call->claim;
        call->emptying = true;
        int r = request_start(p->client, GRANARY__MESSAGE_TYPE__TYPE_EMPTY, &message, -1, on_emptied, call, NULL);
        if (r < 0) {
            pool_state_keep(state, slot);
            return r;
        }
    }
    pool_step(p);
    if (call->claim == 0)
        call_done(call, 0);
    return 0;
}

static int call_check(const granary_pool *p, const granary_slot *slot, granary_slot_call kind, int pidfd,
                      const pool_slot **ret)
{
    granary_client *c = p->client;
    const pool_slot *s = pool_state_slot(&p->state, slot->id);
    if (c->over)
        return client_fail(c, c->over, "%s", c->over_text);
    if (!s || s->state != POOL_SLOT_BUSY)
        return client_fail(c, STATUS_STATE, "slot %llu is not handed out: was it released before?",
                           (unsigned long long)slot->id);
    if (spawned_holds(p, s->id))
        return client_fail(c, STATUS_STATE, "slot %llu runs a command of granary_slot_spawn(), and goes when it ends",
                           (unsigned long long)s->id);
    for (const slot_call *call = p->calls; call; call = call->next)
        if (call->answer.slot == s->id)
            return client_fail(c, STATUS_STATE, "another call for slot %llu is under way", (unsigned long long)s->id);
    if (kind != GRANARY_SLOT_RELEASE && pidfd < 0)
        return client_fail(c, STATUS_INVALID, "a pidfd is needed: see pidfd_open(2), or granary_gate_fork()");
    if (kind < GRANARY_SLOT_ENTER || kind > GRANARY_SLOT_RELEASE)
        return client_fail(c, STATUS_INVALID, "no such call: %d", (int)kind);
    if (kind == GRANARY_SLOT_NEXT && pool_state_wanted(&p->state, client_now(), s->id))
        return client_fail(c, STATUS_STATE, "the slot is wanted back: release it");
    *ret = s;
    return 0;
}

/* Starts a call. With `kept` the caller frees it once it is done. */
static int call_start(granary_pool *p, const granary_slot *slot, granary_slot_call kind, int pidfd, uint64_t tag,
                      bool listed, slot_call **kept)
{
    const pool_slot *s = NULL;
    int r = call_check(p, slot, kind, pidfd, &s);
    if (r < 0)
        return r;
    assert(s);
    slot_call *call = calloc(1, sizeof *call);
    if (!call)
        return client_fail(p->client, STATUS_NO_MEMORY, "%s", "");
    *call = (slot_call){.pool = p, .claim = s->claim, .listed = listed, .kept = kept != NULL, .next = p->calls};
    call->answer = (granary_slot_answer){.tag = tag, .slot = s->id, .call = kind};
    p->calls = call;
    pool_reference(p);
    if (kept)
        *kept = call;
    r = kind == GRANARY_SLOT_RELEASE ? release_send(call, s) : enter_send(call, s, pidfd);
    if (r < 0) {
        call_remove(call);
        free(call);
        if (kept)
            *kept = NULL;
        pool_drop(p);
        r = call_status(p->client, r, NULL);
        assert(r < 0);
        return r;
    }
    if (kind == GRANARY_SLOT_NEXT)
        pool_state_next(&p->state, client_now(), slot->id);
    client_kick(p->client);
    return 0;
}

int slot_give(granary_pool *p, const granary_slot *slot)
{
    return call_start(p, slot, GRANARY_SLOT_RELEASE, -1, 0, false, NULL);
}

void slot_give_surely(granary_pool *p, const granary_slot *slot)
{
    if (slot_give(p, slot) != STATUS_NO_MEMORY)
        return;
    for (size_t i = 0; i < p->state.n_slots; i++)
        p->state.slots[i].given |= p->state.slots[i].id == slot->id && p->state.slots[i].state == POOL_SLOT_BUSY;
    p->give_at = client_now() + GIVE_AGAIN_MS;
    client_kick(p->client);
}

void slots_give_again(granary_pool *p)
{
    p->give_at = MS_NEVER;
    for (size_t i = 0; i < p->state.n_slots && p->give_at == MS_NEVER;) {
        pool_slot *s = &p->state.slots[i];
        granary_slot slot = {.id = s->id};
        if (!s->given) {
            i++;
            continue;
        }
        s->given = false;
        slot_give_surely(p, &slot);
        i = 0; /* giving moves slots */
    }
}

static int call_wait_done(granary_pool *p, const granary_slot *slot, granary_slot_call kind, int pidfd,
                          granary_claim_end *ret)
{
    granary_client *c = p->client;
    slot_call *call = NULL;
    pthread_mutex_lock(&c->lock);
    int r = call_start(p, slot, kind, pidfd, 0, false, &call);
    if (r == 0) {
        assert(call);
        while (!call->done) /* a kept call is freed here only. NOLINT(clang-analyzer-unix.Malloc) */
            client_wait(c, MS_NEVER);
        r = call_status(c, call->answer.status, NULL);
        if (r == 0 && ret)
            *ret = call->answer.end;
        free(call);
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

int granary_slot_enter(granary_pool *p, const granary_slot *slot, int pidfd)
{
    return call_wait_done(p, slot, GRANARY_SLOT_ENTER, pidfd, NULL);
}

int granary_slot_next(granary_pool *p, const granary_slot *slot, int pidfd, granary_claim_end *ret)
{
    return call_wait_done(p, slot, GRANARY_SLOT_NEXT, pidfd, ret);
}

int granary_slot_release(granary_pool *p, const granary_slot *slot, granary_claim_end *ret)
{
    if (ret)
        return call_wait_done(p, slot, GRANARY_SLOT_RELEASE, -1, ret);
    pthread_mutex_lock(&p->client->lock);
    int r = slot_give(p, slot);
    pthread_mutex_unlock(&p->client->lock);
    return r;
}

int granary_slot_start(granary_pool *p, const granary_slot *slot, granary_slot_call kind, int pidfd, uint64_t tag)
{
    pthread_mutex_lock(&p->client->lock);
    int r = call_start(p, slot, kind, pidfd, tag, true, NULL);
    pthread_mutex_unlock(&p->client->lock);
    return r;
}

int granary_slot_take(granary_pool *p, granary_slot_answer *ret)
{
    pthread_mutex_lock(&p->client->lock);
    slot_call *call = p->answers;
    if (call) {
        p->answers = call->next;
        if (!p->answers)
            p->last_answer = NULL;
        *ret = call->answer;
    }
    pthread_mutex_unlock(&p->client->lock);
    free(call);
    return call ? 0 : STATUS_WAITING;
}
