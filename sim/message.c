/*
 * message.c - copies of events and effects that outlive the step.
 */
#include "message.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "sim.h"

message *message_create(message_kind kind)
{
    message *m = sim_alloc(sizeof *m);
    memset(m, 0, sizeof *m);
    m->kind = kind;
    return m;
}

static void *list_copy(const void *list, size_t n, size_t size)
{
    return n ? memcpy(sim_alloc(n * size), list, n * size) : NULL;
}

#define LIST_COPY(list, n) ((list) = list_copy((list), (n), sizeof *(list)))

static void set_own(message_set *s)
{
    LIST_COPY(s->extents, s->n_extents);
}

static void event_own(core_event *e)
{
    switch (e->kind) {
    case EVENT_RELEASE:
        LIST_COPY(e->release.extents, e->release.n);
        break;
    case EVENT_RELEASE_N:
        LIST_COPY(e->release_n.busy, e->release_n.n);
        break;
    case EVENT_OFFER:
        LIST_COPY(e->offer.items, e->offer.n);
        break;
    case EVENT_HOST_HELLO:
        LIST_COPY(e->hello.groups, e->hello.n_groups);
        break;
    default:
        break;
    }
}

static void event_drop(const core_event *e)
{
    switch (e->kind) {
    case EVENT_RELEASE:
        free((void *)e->release.extents);
        break;
    case EVENT_RELEASE_N:
        free((void *)e->release_n.busy);
        break;
    case EVENT_OFFER:
        free((void *)e->offer.items);
        break;
    case EVENT_HOST_HELLO:
        free((void *)e->hello.groups);
        break;
    default:
        break;
    }
}

static void own(message *m)
{
    switch (m->kind) {
    case MESSAGE_REQUEST:
        event_own(&m->request);
        break;
    case MESSAGE_AGENT_HELLO:
    case MESSAGE_SAMPLE:
    case MESSAGE_ANSWER:
    case MESSAGE_USE:
    case MESSAGE_DRAINED:
        event_own(&m->agent);
        break;
    case MESSAGE_WELCOME:
        LIST_COPY(m->welcome.sets, m->welcome.n_sets);
        for (uint32_t i = 0; i < m->welcome.n_sets; i++)
            set_own(&m->welcome.sets[i]);
        LIST_COPY(m->welcome.recalls, m->welcome.n_recalls);
        LIST_COPY(m->welcome.claims, m->welcome.n_claims);
        break;
    case MESSAGE_REPLY:
        LIST_COPY(m->reply.reply.extents, m->reply.reply.n_extents);
        LIST_COPY(m->reply.reply.asks, m->reply.reply.n_asks);
        set_own(&m->reply.set);
        break;
    case MESSAGE_PUSH:
        set_own(&m->push.set);
        break;
    case MESSAGE_CLIENT_HELLO:
    case MESSAGE_GOODBYE:
    case MESSAGE_ORDER:
        break;
    }
}

message *message_copy(const message *m)
{
    message *copy = memcpy(sim_alloc(sizeof *copy), m, sizeof *copy);
    own(copy);
    return copy;
}

void message_destroy(message *m)
{
    if (!m)
        return;
    switch (m->kind) {
    case MESSAGE_REQUEST:
        event_drop(&m->request);
        break;
    case MESSAGE_AGENT_HELLO:
    case MESSAGE_SAMPLE:
    case MESSAGE_ANSWER:
    case MESSAGE_USE:
    case MESSAGE_DRAINED:
        event_drop(&m->agent);
        break;
    case MESSAGE_WELCOME:
        for (uint32_t i = 0; i < m->welcome.n_sets; i++)
            free(m->welcome.sets[i].extents);
        free(m->welcome.sets);
        free(m->welcome.recalls);
        free(m->welcome.claims);
        break;
    case MESSAGE_REPLY:
        free((void *)m->reply.reply.extents);
        free((void *)m->reply.reply.asks);
        free(m->reply.set.extents);
        break;
    case MESSAGE_PUSH:
        free(m->push.set.extents);
        break;
    case MESSAGE_CLIENT_HELLO:
    case MESSAGE_GOODBYE:
    case MESSAGE_ORDER:
        break;
    }
    free(m);
}

/* ---- from events and effects ---- */

message *message_of_request(const core_event *e)
{
    return message_copy(&(message){.kind = MESSAGE_REQUEST, .request = *e});
}

message *message_of_agent(message_kind kind, const core_event *e)
{
    return message_copy(&(message){.kind = kind, .agent = *e});
}

/* The lists stay the view's: copied by message_copy(). */
static message_set set_of(const core *c, allocation_id id, set_view *room)
{
    if (id.v == 0 || view_set(c, id, room) < 0)
        return (message_set){0};
    return (message_set){.id = id,
                         .version = room->version,
                         .state = room->state,
                         .want = room->want,
                         .n_extents = room->n_extents,
                         .extents = room->extents};
}

message *message_of_reply(const effect_reply *r, const core *c)
{
    static set_view room;
    return message_copy(
        &(message){.kind = MESSAGE_REPLY, .reply = {.reply = *r, .set = set_of(c, r->allocation, &room)}});
}

message *message_of_push(const effect_push *p, const core *c)
{
    static set_view room;
    return message_copy(&(message){.kind = MESSAGE_PUSH, .push = {.push = *p, .set = set_of(c, p->allocation, &room)}});
}

message *message_of_order(const effect_order *o)
{
    return message_copy(&(message){.kind = MESSAGE_ORDER, .order = *o});
}

bool message_may_be_lost(const message *m)
{
    if (m->kind == MESSAGE_SAMPLE || m->kind == MESSAGE_USE)
        return true;
    if (m->kind != MESSAGE_PUSH)
        return false;
    push_kind kind = m->push.push.kind;
    return kind == PUSH_ASK || kind == PUSH_RECALL || kind == PUSH_PREFER || kind == PUSH_WITHDRAW;
}

bool message_may_repeat(const message *m)
{
    return m->kind == MESSAGE_REQUEST || message_may_be_lost(m);
}

bool message_may_be_late(const message *m)
{
    return (m->kind == MESSAGE_REQUEST && m->request.kind == EVENT_OFFER) || message_may_be_lost(m);
}

/* ---- for people, and for comparison ---- */

static const char *const event_names[EVENT_KINDS] = {
    [EVENT_HOST_HELLO] = "hello",
    [EVENT_HOST_SAMPLE] = "sample",
    [EVENT_CLAIM_OPENED] = "opened",
    [EVENT_CLAIM_ENTERED] = "entered",
    [EVENT_CLAIM_LIMITED] = "limited",
    [EVENT_CLAIM_EMPTIED] = "emptied",
    [EVENT_CLAIM_USE] = "use",
    [EVENT_CLAIM_DRAINED] = "drained",
    [EVENT_ALLOCATE] = "allocate",
    [EVENT_CANCEL] = "cancel",
    [EVENT_WANT] = "want",
    [EVENT_RELEASE] = "release",
    [EVENT_RELEASE_N] = "release_n",
    [EVENT_OFFER] = "offer",
    [EVENT_CLAIM] = "claim",
    [EVENT_ENTER] = "enter",
    [EVENT_SHRINK] = "shrink",
    [EVENT_EMPTY] = "empty",
    [EVENT_CLOSE] = "close",
    [EVENT_TRANSFER] = "transfer",
    [EVENT_RECALL_OUTCOME] = "recall_outcome",
    [EVENT_DRAIN] = "drain",
    [EVENT_UNDRAIN] = "undrain",
    [EVENT_RELEASE_FOREIGN] = "release_foreign",
};

static const char *const push_names[] = {
    [PUSH_CHANGED] = "changed",         [PUSH_ENDED] = "ended",           [PUSH_ASK] = "ask",
    [PUSH_RECALL] = "recall",           [PUSH_PREFER] = "prefer",         [PUSH_WITHDRAW] = "withdraw",
    [PUSH_CLAIM_ENDED] = "claim_ended", [PUSH_CLAIM_OVER] = "claim_over",
};

static const char *const order_names[] = {
    [ORDER_WELCOME] = "welcome", [ORDER_EXPECT] = "expect", [ORDER_READY] = "ready",
    [ORDER_OPEN] = "open",       [ORDER_ENTER] = "enter",   [ORDER_LIMIT] = "limit",
    [ORDER_EMPTY] = "empty",     [ORDER_END] = "end",       [ORDER_CLOSE] = "close",
};

/* Text that grows within its room. */
typedef struct {
    char *to;
    size_t size, at;
} text;

static void __attribute__((format(printf, 2, 3))) add(text *t, const char *format, ...)
{
    if (t->at >= t->size)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->to + t->at, t->size - t->at, format, args);
    va_end(args);
    t->at += n < 0 ? t->size : (size_t)n;
}

static void add_extents(text *t, const extent *e, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        add(t, "%sh%" PRIu32 ":%" PRIu32, i ? " " : " ", e[i].host.v, e[i].chunks);
}

static void add_set(text *t, const message_set *s)
{
    if (s->id.v == 0)
        return;
    add(t, "; A%" PRIu64 " v%" PRIu64 " want %" PRIu32 " holds", s->id.v, s->version, s->want);
    add_extents(t, s->extents, s->n_extents);
}

static void add_request(text *t, const core_event *e)
{
    add(t, "#%" PRIu64 " (acked %" PRIu64 ") %s", e->request.number.v, e->request.acked.v, event_names[e->kind]);
    switch (e->kind) {
    case EVENT_ALLOCATE:
        add(t, " %" PRIu32 "-%" PRIu32 " x %" PRIu64 " MiB flags %#x%s", e->allocate.terms.min, e->allocate.terms.want,
            e->allocate.terms.chunk_size >> 20, e->allocate.terms.flags, e->allocate.dry_run ? " dry" : "");
        break;
    case EVENT_WANT:
        add(t, " A%" PRIu64 " %" PRIu32, e->want.id.v, e->want.want);
        break;
    case EVENT_RELEASE:
        add(t, " A%" PRIu64 " recall %" PRIu64, e->release.id.v, e->release.recall.v);
        add_extents(t, e->release.extents, e->release.n);
        break;
    case EVENT_RELEASE_N:
        add(t, " A%" PRIu64 " recall %" PRIu64 " %" PRIu32 ", busy", e->release_n.id.v, e->release_n.recall.v,
            e->release_n.count);
        add_extents(t, e->release_n.busy, e->release_n.n);
        break;
    case EVENT_OFFER:
        add(t, " A%" PRIu64 " recall %" PRIu64 " %" PRIu32 " chunks", e->offer.id.v, e->offer.recall.v, e->offer.n);
        break;
    case EVENT_CLAIM:
        add(t, " A%" PRIu64 " h%" PRIu32 " %" PRIu32, e->claim.id.v, e->claim.host.v, e->claim.chunks);
        break;
    case EVENT_ENTER:
        add(t, " g%" PRIu64 "%s", e->enter.gen.v, e->enter.fresh ? " fresh" : "");
        break;
    case EVENT_SHRINK:
        add(t, " g%" PRIu64 " to %" PRIu32, e->shrink.gen.v, e->shrink.chunks);
        break;
    case EVENT_EMPTY:
    case EVENT_CLOSE:
        add(t, " g%" PRIu64, e->kind == EVENT_EMPTY ? e->empty.gen.v : e->close.gen.v);
        break;
    case EVENT_CANCEL:
        add(t, " A%" PRIu64, e->cancel.id.v);
        break;
    case EVENT_RELEASE_FOREIGN:
        add(t, " A%" PRIu64 " %" PRIu32, e->release_foreign.id.v, e->release_foreign.count);
        break;
    case EVENT_DRAIN:
    case EVENT_UNDRAIN:
        add(t, " h%" PRIu32, e->drain.host.v);
        break;
    default:
        break;
    }
}

static void add_agent(text *t, const core_event *e)
{
    add(t, "%s", event_names[e->kind]);
    switch (e->kind) {
    case EVENT_HOST_HELLO:
        add(t, " %s boot %s, %" PRIu32 " groups", e->hello.name, e->hello.boot_id, e->hello.n_groups);
        break;
    case EVENT_HOST_SAMPLE:
        add(t, " h%" PRIu32 " in use %" PRIu64 " MiB, claims %" PRIu64 " MiB", e->sample.host.v, e->sample.in_use >> 20,
            e->sample.claims_used >> 20);
        break;
    case EVENT_CLAIM_USE:
    case EVENT_CLAIM_DRAINED:
        add(t, " g%" PRIu64 " %" PRIu64 " MiB, %" PRIu32 " processes", e->use.gen.v, e->use.used >> 20,
            e->use.processes);
        break;
    default:
        add(t, " g%" PRIu64 " %s", e->answer.gen.v, e->answer.status < 0 ? status_name(e->answer.status) : "OK");
        break;
    }
}

static void add_where(text *t, host_id host)
{
    if (host.v == HOST_NONE.v)
        add(t, " anywhere");
    else
        add(t, " on h%" PRIu32, host.v);
}

static void add_push(text *t, const effect_push *p)
{
    add(t, "%s A%" PRIu64, push_names[p->kind], p->allocation.v);
    switch (p->kind) {
    case PUSH_ASK:
        add(t, " %" PRIu32, p->count);
        add_where(t, p->host);
        break;
    case PUSH_RECALL:
        add(t, " recall %" PRIu64 " %" PRIu32, p->recall.v, p->count);
        add_where(t, p->host);
        add(t, " (%s)", recall_reason_name(p->reason));
        break;
    case PUSH_PREFER:
        add(t, " recall %" PRIu64, p->recall.v);
        add_extents(t, &p->preferred, 1);
        break;
    case PUSH_WITHDRAW:
        add(t, " recall %" PRIu64, p->recall.v);
        break;
    case PUSH_CLAIM_ENDED:
    case PUSH_CLAIM_OVER:
        add(t, " g%" PRIu64, p->claim.v);
        break;
    default:
        break;
    }
}

void message_show(const message *m, char *to, size_t size)
{
    text t = {to, size, 0};
    *to = 0;
    switch (m->kind) {
    case MESSAGE_CLIENT_HELLO:
        add(&t, "hello, session %" PRIu64, m->hello.session);
        break;
    case MESSAGE_GOODBYE:
        add(&t, "goodbye");
        break;
    case MESSAGE_WELCOME:
        add(&t, "welcome %s, session %" PRIu64 "%s, %" PRIu32 " sets, %" PRIu32 " recalls, %" PRIu32 " claims",
            m->welcome.status < 0 ? status_name(m->welcome.status) : "OK", m->welcome.session,
            m->welcome.reattached ? " again" : "", m->welcome.n_sets, m->welcome.n_recalls, m->welcome.n_claims);
        break;
    case MESSAGE_REQUEST:
        add_request(&t, &m->request);
        break;
    case MESSAGE_REPLY:
        add(&t, "reply #%" PRIu64 " %s", m->reply.reply.number.v,
            m->reply.reply.status < 0 ? status_name(m->reply.reply.status) : "OK");
        add_set(&t, &m->reply.set);
        break;
    case MESSAGE_PUSH:
        add_push(&t, &m->push.push);
        add_set(&t, &m->push.set);
        break;
    case MESSAGE_AGENT_HELLO:
    case MESSAGE_SAMPLE:
    case MESSAGE_ANSWER:
    case MESSAGE_USE:
    case MESSAGE_DRAINED:
        add_agent(&t, &m->agent);
        break;
    case MESSAGE_ORDER:
        add(&t, "order %s g%" PRIu64, order_names[m->order.kind], m->order.gen.v);
        if (m->order.bytes)
            add(&t, " %" PRIu64 " MiB", m->order.bytes >> 20);
        break;
    }
}

uint64_t message_hash(const message *m, uint64_t seed)
{
    char line[1024];
    message_show(m, line, sizeof line);
    for (const char *p = line; *p; p++)
        seed = (seed ^ (uint64_t)(unsigned char)*p) * 0x100000001b3u; /* FNV-1a */
    return seed;
}
