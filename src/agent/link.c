/*
 * link.c - speaking the protocol; see link.h.
 *
 * Frames are written when the loop comes round (uv_prepare), so that the answers to a batch of orders leave in one
 * write. A broker that does not read loses the link: what it missed it learns from the next hello.
 */
#include "agent/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/members.h"
#include "agent/sample.h"
#include "agent/watchpid.h"
#include "base/status.h"
#include "granary.pb-c.h"
#include "proto/channel.h"
#include "proto/scratch.h"

#define COLLECT_MS 60000u     /* when the broker does not say */
#define UNSENT_MAX (8u << 20) /* of answers and samples: far above one sample of a full table */
#define SCRATCH    (4u << 20) /* one frame of orders, unpacked; or one sample of a full table */

_Static_assert(CLAIMS_MAX *(sizeof(sample_row) + sizeof(Granary__AgentClaimUse) + sizeof(void *)) < SCRATCH,
               "a sample needs no other memory");

struct agent_link {
    link_options options;
    claims *claims;
    channel *channel; /* NULL: down */
    scratch scratch;  /* orders are unpacked here: an order to end must not fail for want of memory */
    uv_poll_t *poll;  /* allocated for each link: its handle closes later than it */
    int events;       /* polled for */
    uv_prepare_t flush;
    uv_timer_t timer;
    uv_timer_t collect;
    uint64_t number; /* of our last frame */
    uint32_t starved;
    bool blind; /* the last sample failed */
    bool welcomed;
    char books[BOOKS_MAX];
    char boot_id[40];
};

static void link_down(agent_link *l);

/* What cannot be sent is learnt from the next hello. A sample or a notice that there is no memory for may be missed. */
static void send_message(agent_link *l, uint16_t type, const ProtobufCMessage *message)
{
    if (!l->channel)
        return;
    int r = channel_send(l->channel, type, ++l->number, 0, message, -1);
    bool may_be_missed =
        type == GRANARY__MESSAGE_TYPE__TYPE_AGENT_SAMPLE || type == GRANARY__MESSAGE_TYPE__TYPE_AGENT_NOTICE;
    if (r == 0 || (r == STATUS_NO_MEMORY && may_be_missed))
        return;
    fprintf(stderr, "granary-agent: %s; the link is dropped\n",
            r == STATUS_NO_MEMORY ? "no memory for an answer to the broker" : "the broker does not read its answers");
    l->starved += r == STATUS_NO_MEMORY;
    link_down(l);
}

/* ---- the claims' sink ---- */

static void on_notice(void *context, const char *level, const char *text)
{
    agent_link *l = context;
    Granary__AgentNotice message = GRANARY__AGENT_NOTICE__INIT;
    message.level = (char *)level;
    message.text = (char *)text;
    fprintf(stderr, "granary-agent: %s: %s\n", level, text);
    if (l->welcomed)
        send_message(l, GRANARY__MESSAGE_TYPE__TYPE_AGENT_NOTICE, &message.base);
}

static void on_answer(void *context, const claim_order *order, const claim_answer *answer)
{
    static const uint16_t types[] = {
        [CLAIM_ORDER_OPEN] = GRANARY__MESSAGE_TYPE__TYPE_AGENT_OPENED,
        [CLAIM_ORDER_ENTER] = GRANARY__MESSAGE_TYPE__TYPE_AGENT_ENTERED,
        [CLAIM_ORDER_LIMIT] = GRANARY__MESSAGE_TYPE__TYPE_AGENT_LIMITED,
        [CLAIM_ORDER_EMPTY] = GRANARY__MESSAGE_TYPE__TYPE_AGENT_EMPTIED,
        [CLAIM_ORDER_CLOSE] = 0,
    };
    agent_link *l = context;
    Granary__AgentAnswer message = GRANARY__AGENT_ANSWER__INIT;
    message.claim = order->generation;
    message.status = answer->status;
    message.tag = order->tag;
    message.text = (char *)answer->text;
    message.cause = answer->cause;
    message.peak = answer->peak;
    message.other = answer->other;
    message.root_pid = answer->root.pid;
    message.root_start = answer->root.start;
    assert(types[order->kind]);
    send_message(l, types[order->kind], &message.base);
}

static void on_drained(void *context, const claim_view *view)
{
    agent_link *l = context;
    Granary__AgentClaimUse message = GRANARY__AGENT_CLAIM_USE__INIT;
    message.claim = view->generation;
    message.used = view->used;
    message.peak = view->peak;
    message.cause = view->cause;
    send_message(l, GRANARY__MESSAGE_TYPE__TYPE_AGENT_DRAINED, &message.base);
}

/* ---- samples ---- */

static int send_sample(agent_link *l, const sample *s)
{
    Granary__AgentSample message = GRANARY__AGENT_SAMPLE__INIT;
    Granary__AgentClaimUse *uses = scratch_take(&l->scratch, s->count * sizeof *uses);
    Granary__AgentClaimUse **list = scratch_take(&l->scratch, s->count * sizeof *list);
    if (!uses || !list)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < s->count; i++) {
        granary__agent_claim_use__init(&uses[i]);
        uses[i].claim = s->rows[i].view.generation;
        uses[i].used = s->rows[i].view.used;
        uses[i].peak = s->rows[i].view.peak;
        uses[i].processes = s->rows[i].view.processes;
        uses[i].cause = s->rows[i].view.cause;
        uses[i].pids = s->rows[i].pids;
        uses[i].n_pids = s->rows[i].n_pids;
        list[i] = &uses[i];
    }
    message.in_use = s->in_use;
    message.claims_used = s->claims_used;
    message.claims = list;
    message.n_claims = s->count;
    send_message(l, GRANARY__MESSAGE_TYPE__TYPE_AGENT_SAMPLE, &message.base);
    return 0;
}

static int sample_once(agent_link *l)
{
    sample s;
    int r = sample_take(&s, l->claims, l->options.proc, &l->scratch);
    if (r == 0)
        r = send_sample(l, &s);
    scratch_reset(&l->scratch);
    return r;
}

/* Says once that this host cannot be measured, until it can. */
static void on_sample(uv_timer_t *timer)
{
    agent_link *l = timer->data;
    claims_retry(l->claims);
    int r = sample_once(l);
    if (r == STATUS_STALE)
        r = sample_once(l);
    if (r == STATUS_STALE) { /* not only a claim that ended meanwhile: perhaps a group has vanished */
        claims_collect(l->claims);
        r = sample_once(l); /* else with the next tick */
    }
    bool blind = r < 0 && r != STATUS_STALE;
    if (blind && !l->blind)
        on_notice(l, "error",
                  r == STATUS_NO_MEMORY ? "no memory to measure this host"
                                        : "the memory of this host cannot be measured");
    l->blind = blind;
}

static void on_collect(uv_timer_t *timer)
{
    const agent_link *l = timer->data;
    claims_collect(l->claims);
}

/* ---- orders ---- */

static claim_order_kind kind_of(uint16_t type)
{
    switch (type) {
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_EXPECT:
        return CLAIM_ORDER_EXPECT;
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_OPEN:
        return CLAIM_ORDER_OPEN;
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_ENTER:
        return CLAIM_ORDER_ENTER;
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_LIMIT:
        return CLAIM_ORDER_LIMIT;
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_END:
        return CLAIM_ORDER_END;
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_CLOSE:
        return CLAIM_ORDER_CLOSE;
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_EMPTY:
        return CLAIM_ORDER_EMPTY;
    default:
        return 0;
    }
}

static int take_order(agent_link *l, frame *f)
{
    Granary__AgentClaim *body = granary__agent_claim__unpack(&l->scratch.allocator, f->header.length, f->body);
    claim_order order = {.kind = kind_of(f->header.type), .pidfd = f->fd};
    f->fd = -1;
    if (!body || !order.kind) {
        order_drop(&order);
        return STATUS_PROTOCOL;
    }
    order.generation = body->claim;
    order.bytes = body->bytes;
    order.chunk_size = body->chunk_size;
    order.uid = body->uid;
    order.tag = body->tag;
    order.by_operator = body->by_operator;
    order.fresh = body->fresh;
    order.kill = body->kill;
    order.ending = body->ending;
    order.running = body->running;
    order.root = (process_name){.pid = body->root_pid, .start = body->root_start};
    return claims_order(l->claims, &order);
}

static int take_welcome(agent_link *l, const frame *f)
{
    Granary__AgentWelcome *body = granary__agent_welcome__unpack(&l->scratch.allocator, f->header.length, f->body);
    if (!body)
        return STATUS_PROTOCOL;
    int r = claims_books(l->claims, body->broker_id, body->highest);
    if (r == 0) {
        snprintf(l->books, sizeof l->books, "%s", body->broker_id);
        l->welcomed = true;
        channel_set_state(l->channel, PEER_BROKER_TO_AGENT);
    } else if (r == STATUS_INVALID) {
        fprintf(stderr, "granary-agent: the broker's id is refused: 1 to %u letters, digits, - or _ are expected\n",
                BOOKS_MAX - 1);
    } else {
        fprintf(stderr, "granary-agent: the groups of these books cannot be listed: %s\n", status_text(r));
    }
    return r;
}

static int take_ready(agent_link *l, const frame *f)
{
    Granary__AgentReady *body = granary__agent_ready__unpack(&l->scratch.allocator, f->header.length, f->body);
    if (!body)
        return STATUS_PROTOCOL;
    uint64_t ms = l->options.sample_ms ? l->options.sample_ms : body->sample_ms ? body->sample_ms : 1000;
    uint64_t collect_ms = body->collect_ms ? body->collect_ms : COLLECT_MS;
    l->starved = 0;
    uv_timer_start(&l->collect, on_collect, collect_ms, collect_ms);
    uv_timer_start(&l->timer, on_sample, 0, ms);
    claims_ready(l->claims, ms); /* last: what it tells may be too much for the link, which is down then */
    return 0;
}

static int take_frame(agent_link *l, frame *f)
{
    switch (f->header.type) {
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_WELCOME:
        return take_welcome(l, f);
    case GRANARY__MESSAGE_TYPE__TYPE_AGENT_READY:
        return take_ready(l, f);
    case GRANARY__MESSAGE_TYPE__TYPE_ERROR: {
        Granary__Error *body = granary__error__unpack(&l->scratch.allocator, f->header.length, f->body);
        fprintf(stderr, "granary-agent: the broker ends the link: %s\n", body ? body->text : "no reason given");
        return STATUS_LOST;
    }
    default:
        return take_order(l, f);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    agent_link *l = poll->data;
    (void)events; /* writing has nothing of its own to do: the flush comes with every turn */
    int gone = status < 0 ? STATUS_LOST : channel_receive(l->channel);
    int r = 0;
    while (r == 0 && l->channel) {
        frame f;
        int next = channel_next(l->channel, &f);
        if (next == 0)
            break;
        r = next < 0 ? next : take_frame(l, &f);
        scratch_reset(&l->scratch);
        if (next < 0)
            fprintf(stderr, "granary-agent: the link is dropped: %s\n", channel_why(l->channel));
        else if (f.fd >= 0)
            close(f.fd);
    }
    if (l->channel && l->poll == poll && (gone < 0 || r < 0)) {
        l->starved += gone == STATUS_NO_MEMORY || r == STATUS_NO_MEMORY;
        link_down(l);
    }
}

static void on_flush(uv_prepare_t *prepare)
{
    agent_link *l = prepare->data;
    if (!l->channel)
        return;
    if (channel_pending(l->channel) == 0)
        return;
    if (channel_flush(l->channel) < 0) {
        link_down(l);
        return;
    }
    int wanted = UV_READABLE | (channel_pending(l->channel) ? UV_WRITABLE : 0);
    if (wanted != l->events) /* starting costs two calls of the kernel, also when nothing changes */
        uv_poll_start(l->poll, wanted, on_readable);
    l->events = wanted;
}

/* ---- life ---- */

/* What this host already has of earlier books, so that the broker may reconcile. What cannot be listed is not told to
 * be gone. */
static int own_groups(agent_link *l, generations *ret)
{
    generations found = {0};
    const backend_ops *ops = l->options.backend->ops;
    int r = l->books[0] ? ops->books(l->options.backend, l->books) : 0;
    if (r == 0 && l->books[0])
        r = ops->list(l->options.backend, &found);
    if (r < 0)
        return r;
    *ret = found;
    return 0;
}

static int say_hello(agent_link *l)
{
    Granary__AgentHello hello = GRANARY__AGENT_HELLO__INIT;
    const backend *b = l->options.backend;
    generations found;
    int r = own_groups(l, &found);
    if (r < 0)
        return r;
    hello.version = PROTOCOL_VERSION;
    hello.host = (char *)l->options.host;
    hello.boot_id = l->boot_id;
    hello.physical = l->options.physical;
    hello.total = l->options.total;
    hello.cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    hello.enforcement = (char *)b->ops->name;
    hello.enforcement_reason = (char *)b->reason;
    hello.limited = b->ops->limited;
    hello.groups = found.items;
    hello.n_groups = found.count;
    hello.broker_id = l->books;
    r = channel_send(l->channel, GRANARY__MESSAGE_TYPE__TYPE_AGENT_HELLO, ++l->number, 0, &hello.base, -1);
    free(found.items);
    return r;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void link_down(agent_link *l)
{
    if (!l->channel)
        return;
    uv_poll_stop(l->poll);
    uv_close((uv_handle_t *)l->poll, on_poll_closed);
    l->poll = NULL;
    channel_destroy(l->channel);
    l->channel = NULL;
    l->welcomed = false;
    uv_timer_stop(&l->timer);
    uv_timer_stop(&l->collect);
    claims_unlink(l->claims);
    if (l->options.lost)
        l->options.lost(l->options.context);
}

int agent_link_create(agent_link **ret, const link_options *options, watchpid *set)
{
    agent_link *l = calloc(1, sizeof *l);
    if (!l)
        return STATUS_NO_MEMORY;
    l->options = *options;
    snprintf(l->books, sizeof l->books, "%s", options->books);
    claim_sink sink = {.context = l, .answer = on_answer, .drained = on_drained, .notice = on_notice};
    int r = procfs_boot_id(options->proc, l->boot_id);
    if (r == 0)
        r = members_prepare();
    if (r == 0)
        r = scratch_init(&l->scratch, SCRATCH);
    if (r == 0)
        r = claims_create(&l->claims, options->loop, options->backend, set, &sink);
    if (r < 0) {
        scratch_finish(&l->scratch);
        free(l);
        return r;
    }
    uv_timer_init(options->loop, &l->timer);
    l->timer.data = l;
    uv_timer_init(options->loop, &l->collect);
    l->collect.data = l;
    uv_prepare_init(options->loop, &l->flush);
    l->flush.data = l;
    uv_prepare_start(&l->flush, on_flush);
    *ret = l;
    return 0;
}

/* Takes `fd` also when it fails. */
static int channel_open(agent_link *l, int fd)
{
    uv_poll_t *poll = calloc(1, sizeof *poll);
    int r = poll ? channel_create(&l->channel, fd, PEER_BROKER_TO_AGENT_NEW) : STATUS_NO_MEMORY;
    if (r < 0) {
        free(poll);
        close(fd);
        return r;
    }
    channel_set_limit(l->channel, UNSENT_MAX);
    if (uv_poll_init(l->options.loop, poll, channel_fd(l->channel)) < 0) {
        free(poll);
        channel_destroy(l->channel);
        l->channel = NULL;
        return STATUS_SYSTEM;
    }
    poll->data = l;
    l->poll = poll;
    l->events = UV_READABLE;
    return 0;
}

int agent_link_up(agent_link *l, int fd)
{
    void (*lost)(void *) = l->options.lost;
    l->options.lost = NULL; /* it is replaced, not lost; and a failure is told by the answer */
    link_down(l);
    int r = channel_open(l, fd);
    if (r == 0)
        r = channel_reserve(l->channel);
    if (r == 0)
        r = say_hello(l);
    if (r == 0)
        r = channel_flush(l->channel);
    if (r == 0 && uv_poll_start(l->poll, UV_READABLE, on_readable) < 0)
        r = STATUS_SYSTEM;
    if (r < 0)
        link_down(l);
    l->starved += r == STATUS_NO_MEMORY;
    l->options.lost = lost;
    return r;
}

uint32_t agent_link_starved(const agent_link *l)
{
    return l->starved;
}

bool agent_link_is_up(const agent_link *l)
{
    return l->channel != NULL;
}

void agent_link_stop(agent_link *l)
{
    l->options.lost = NULL;
    link_down(l);
    claims_stop(l->claims);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->collect, NULL);
    uv_close((uv_handle_t *)&l->flush, NULL);
}

void agent_link_destroy(agent_link *l)
{
    if (!l)
        return;
    claims_destroy(l->claims);
    scratch_finish(&l->scratch);
    free(l);
}
