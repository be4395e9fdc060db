#include "daemon/replies.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"
#include "base/status.h"
#include "base/text.h"
#include "daemon/broker.h"
#include "daemon/info.h"

/* ---- words ---- */

static const char *advice(int status)
{
    switch (status) {
    case STATUS_LIMIT:
        return "try again when others have ended, or raise the max_ settings in granary.conf";
    case STATUS_NOT_NOW:
        return "wait for it (leave out --now), or ask for less";
    case STATUS_TIMEOUT:
        return "wait longer, or ask for less";
    case STATUS_NOT_FOUND:
        return "it may have ended; `granary status` shows what there is";
    case STATUS_STATE:
        return "`granary allocations` shows what is held";
    case STATUS_SILENT:
        return "wait until its agent is connected again; `granary hosts` shows it";
    case STATUS_DEAD:
        return "start it again";
    case STATUS_STALE:
        return "nothing is to be done";
    case STATUS_AGENT:
        return "`granary log` tells what the agent met";
    default:
        return "";
    }
}

/* Which claim has the process that was to be claimed, while the books know. */
static void claimed_text(const core *c, generation gen, char *to, size_t size)
{
    claim_view k;
    allocation_view a;
    if (view_claim_by_gen(c, gen, &k) == 0 && view_allocation_by_id(c, k.allocation, &a) == 0)
        snprintf(to, size, "it is in claim %" PRIu64 " of allocation %" PRIu64 " (%s) already", gen.v, a.id.v,
                 a.terms->label);
}

/* In the agent's own words, which tell more than the status but where it failed itself. */
static void refusal_text(int status, const char *why, char *to, size_t size)
{
    char clean[160];
    text_escape(clean, sizeof clean, why);
    snprintf(to, size, "%s%s%s", status == STATUS_AGENT ? status_text(status) : "", status == STATUS_AGENT ? ": " : "",
             clean);
}

const char *reply_text(int status, bytes_t most, char *to, size_t size)
{
    char figure[SIZE_TEXT_MAX];
    const char *what = status_text(status), *more = advice(status);
    if (status >= 0)
        snprintf(to, size, "%s", "");
    else if (status == STATUS_NEVER && most == 0)
        snprintf(to, size,
                 "no host could ever serve this: none with memory to lease has the names or labels asked for; `granary "
                 "hosts` lists them");
    else if (status == STATUS_NEVER)
        snprintf(to, size, "%s: the most is %s; ask for smaller or fewer chunks, or for other hosts", what,
                 size_format(most, figure));
    else if (status == STATUS_QUOTA)
        snprintf(to, size, "%s: %s more can be granted; release something, or ask for less", what,
                 size_format(most, figure));
    else
        snprintf(to, size, "%s%s%s", what, *more ? ": " : "", more);
    return to;
}

/* ---- replies ---- */

/* The place in the queue, its reason, and when it may start. */
static void reply_add_waiting(broker *b, const effect_reply *reply, Granary__Reply *m)
{
    waiter_view w;
    if (view_waiter_by_id(b->driver.core, driver_now(), reply->allocation, &w) < 0)
        return;
    m->place = w.place;
    m->reason = scratch_text(&b->scratch, wait_reason_text(w.reason));
    m->expected_known = w.expected_ms != MS_NEVER;
    m->expected_ms = m->expected_known ? w.expected_ms : 0;
}

static void reply_fill(broker *b, const effect_reply *reply, Granary__Reply *m)
{
    recall_view recall;
    m->status = reply->status;
    if (reply->status == STATUS_DENIED)
        return; /* what is another's is not told */
    if (reply->allocation.v)
        m->allocation = info_state(b, reply->allocation);
    m->claim = reply->claim.v;
    m->recall = reply->recall.v;
    m->chunks = reply->chunks;
    m->most = reply->most;
    m->cause = reply->cause;
    m->peak = reply->peak;
    m->expected_known = reply->expected_ms != MS_NEVER;
    m->expected_ms = m->expected_known ? reply->expected_ms : 0;
    if (reply->n_extents > 0) {
        m->extents = info_extents(b, reply->extents, reply->n_extents);
        m->n_extents = m->extents ? reply->n_extents : 0;
    }
    if (reply->reason)
        m->reason = scratch_text(&b->scratch, wait_reason_text(reply->reason));
    if (reply->n_asks > 0) {
        m->asks = info_asks(b, reply->asks, reply->n_asks);
        m->n_asks = m->asks ? reply->n_asks : 0;
    }
    if (reply->recall.v && view_recall_by_id(b->driver.core, reply->recall, &recall) == 0)
        m->outcome = info_recall(b, &recall);
    if (reply->status == STATUS_WAITING)
        reply_add_waiting(b, reply, m);
}

void reply_send(broker *b, const effect_reply *reply)
{
    peer *p = peers_find(b, reply->link);
    if (!p)
        return;
    if (p->greeting) { /* session.c sends the welcome */
        p->greeting_status = reply->status;
        p->session = reply->status == 0 ? reply->session : (session_id){0};
        return;
    }
    char text[256];
    size_t mark = b->scratch.used;
    Granary__Reply m = GRANARY__REPLY__INIT;
    reply_fill(b, reply, &m);
    if (reply->status < 0)
        m.text = (char *)reply_text(reply->status, reply->most, text, sizeof text);
    if (reply->status < 0 && reply->tag && reply->tag == b->link.refusal.tag && *b->link.refusal.text)
        refusal_text(reply->status, b->link.refusal.text, text, sizeof text);
    if (reply->status == STATUS_CLAIMED)
        claimed_text(b->driver.core, reply->claim, text, sizeof text);
    if (b->scratch.full)
        peer_refuse(p, STATUS_NO_MEMORY, "the broker has no room for this answer: connect again later");
    else
        peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_REPLY, reply->number.v, &m.base);
    scratch_return(&b->scratch, mark);
}

void reply_refuse(peer *p, uint64_t number, int status, const char *text)
{
    Granary__Reply m = GRANARY__REPLY__INIT;
    m.status = status;
    m.text = (char *)text;
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_REPLY, number, &m.base);
}

/* ---- pushes ---- */

static void push_ended(broker *b, peer *p, const effect_push *push)
{
    Granary__AllocationEnded m = GRANARY__ALLOCATION_ENDED__INIT;
    char text[256];
    bool refused =
        push->status == STATUS_NEVER || push->status == STATUS_QUOTA; /* late: it had to wait for the answer */
    m.allocation = info_state(b, push->allocation);
    m.status = push->status;
    m.most = push->most;
    m.text = (char *)(push->status >= 0 ? ""
                      : refused         ? reply_text(push->status, push->most, text, sizeof text)
                                        : status_text(push->status));
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_ENDED, PUSH_NUMBER, &m.base);
}

static void push_ask(peer *p, const effect_push *push)
{
    Granary__Ask m = GRANARY__ASK__INIT;
    m.allocation = push->allocation.v;
    m.count = push->count;
    m.any_host = push->host.v == HOST_NONE.v;
    m.host = m.any_host ? 0 : push->host.v;
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_ASK, PUSH_NUMBER, &m.base);
}

static void push_recall(peer *p, const effect_push *push)
{
    Granary__Recall m = GRANARY__RECALL__INIT;
    ms_t now = driver_now();
    m.recall = push->recall.v;
    m.allocation = push->allocation.v;
    m.reason = push->reason;
    m.count = push->count;
    m.any_host = push->host.v == HOST_NONE.v;
    m.host = m.any_host ? 0 : push->host.v;
    m.notice_ms = push->deadline != MS_NEVER && push->deadline > now ? push->deadline - now : 0;
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_RECALL, PUSH_NUMBER, &m.base);
}

/* The core tells one extent at a time; the client gets them in one message. */
static void push_prefer(broker *b, peer *p, const effect_push *push)
{
    if (push->preferred.chunks > 0 && b->n_preferred < EXTENTS_MAX)
        b->preferred[b->n_preferred++] = push->preferred;
    if (!push->last)
        return;
    Granary__Prefer m = GRANARY__PREFER__INIT;
    m.recall = push->recall.v;
    m.allocation = push->allocation.v;
    m.extents = info_extents(b, b->preferred, b->n_preferred);
    m.n_extents = m.extents ? b->n_preferred : 0;
    b->n_preferred = 0;
    if (p)
        peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_PREFER, PUSH_NUMBER, &m.base);
}

static void push_claim_ended(peer *p, const effect_push *push)
{
    Granary__ClaimEnded m = GRANARY__CLAIM_ENDED__INIT;
    m.claim = push->claim.v;
    m.allocation = push->allocation.v;
    m.cause = push->cause;
    m.peak = push->peak;
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_CLAIM_ENDED, PUSH_NUMBER, &m.base);
}

static void push_claim_over(peer *p, const effect_push *push)
{
    Granary__ClaimOver m = GRANARY__CLAIM_OVER__INIT;
    m.claim = push->claim.v;
    m.allocation = push->allocation.v;
    m.used = push->peak;
    m.bytes = push->bytes;
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_CLAIM_OVER, PUSH_NUMBER, &m.base);
}

static void push_withdraw(peer *p, const effect_push *push)
{
    Granary__Withdraw m = GRANARY__WITHDRAW__INIT;
    m.recall = push->recall.v;
    m.allocation = push->allocation.v;
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_WITHDRAW, PUSH_NUMBER, &m.base);
}

void push_send(broker *b, const effect_push *push)
{
    peer *p = peers_find(b, push->link);
    size_t mark = b->scratch.used;
    if (push->kind == PUSH_PREFER)
        push_prefer(b, p, push); /* gathers, whoever is there */
    if (!p)
        return;
    switch (push->kind) {
    case PUSH_CHANGED: {
        Granary__AllocationState *m = info_state(b, push->allocation);
        if (m)
            peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_CHANGED, PUSH_NUMBER, &m->base);
        break;
    }
    case PUSH_ENDED:
        push_ended(b, p, push);
        break;
    case PUSH_ASK:
        push_ask(p, push);
        break;
    case PUSH_RECALL:
        push_recall(p, push);
        break;
    case PUSH_PREFER:
        break;
    case PUSH_WITHDRAW:
        push_withdraw(p, push);
        break;
    case PUSH_CLAIM_ENDED:
        push_claim_ended(p, push);
        break;
    case PUSH_CLAIM_OVER:
        push_claim_over(p, push);
        break;
    }
    if (b->scratch.full)
        peer_refuse(p, STATUS_NO_MEMORY, "the broker has no room for this message: connect again later");
    scratch_return(&b->scratch, mark);
}
