#include "daemon/link.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/reserve.h"
#include "base/status.h"
#include "base/text.h"
#include "core/view.h"
#include "daemon/broker.h"
#include "daemon/control.h"
#include "daemon/settings.h"

#define UNSENT_LIMIT ((size_t)4 << 20)
#define ORDERS_MAX   (1u << 18) /* an agent that is so far behind is given up: it says hello again */

#define STARVED_MAX 25u /* links in a row; the agent lets 200 ms pass before it asks for the next */

#define TYPE(name) GRANARY__MESSAGE_TYPE__TYPE_AGENT_##name

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void orders_drop(host_link *l)
{
    for (uint32_t i = 0; i < l->n_orders; i++)
        if (l->orders[l->first + i].fd >= 0)
            close(l->orders[l->first + i].fd);
    l->first = l->n_orders = 0;
}

/* Forgets the connection; the host is told to be gone. */
static void link_drop(broker *b)
{
    host_link *l = &b->link;
    if (!l->channel)
        return;
    uv_close((uv_handle_t *)l->poll, on_closed);
    channel_destroy(l->channel);
    orders_drop(l);
    l->channel = NULL;
    l->poll = NULL;
    bool told = l->greeted && l->named;
    l->greeted = false;
    l->sampled = false;
    if (told) {
        core_event event = {.kind = EVENT_HOST_GONE, .gone = l->host};
        broker_step(b, &event);
    }
}

/* A link fails for want of memory. */
static void starve(broker *b, const char *what)
{
    log_write(b->log, LOG_ERROR, "host=%s no memory for %s", b->local_host, what);
    if (++b->link.starved < STARVED_MAX)
        return;
    log_write(b->log, LOG_ERROR, "host=%s no memory to speak with the agent: the broker ends, and is started again",
              b->local_host);
    broker_end(b, EXIT_NO_MEMORY);
}

/* The other side lives but is not understood, or does not read: a new link begins with hello. */
void link_renew(broker *b, const char *why)
{
    log_write(b->log, LOG_ERROR, "host=%s the link to the agent is renewed: %s", b->local_host, why);
    link_drop(b);
    control_send(b->options->control_fd, CONTROL_LINK);
}

void link_close(broker *b)
{
    link_drop(b);
    free(b->link.orders);
    free(b->link.claims);
    b->link = (host_link){0};
}

/* ---- orders ---- */

static link_order *order_take(broker *b)
{
    host_link *l = &b->link;
    if (l->first + l->n_orders == l->capacity && l->first > 0) {
        memmove(l->orders, l->orders + l->first, l->n_orders * sizeof *l->orders);
        l->first = 0;
    }
    if (l->n_orders == l->capacity) {
        uint32_t capacity = l->capacity ? l->capacity * 2 : 256;
        link_order *orders = capacity <= ORDERS_MAX ? realloc(l->orders, capacity * sizeof *orders) : NULL;
        if (!orders)
            return NULL;
        l->orders = orders;
        l->capacity = capacity;
    }
    link_order *o = &l->orders[l->first + l->n_orders++];
    *o = (link_order){.fd = -1, .claim = GRANARY__AGENT_CLAIM__INIT};
    l->dirty = true;
    return o;
}

static const uint16_t order_types[] = {
    [ORDER_WELCOME] = TYPE(WELCOME), [ORDER_EXPECT] = TYPE(EXPECT), [ORDER_READY] = TYPE(READY),
    [ORDER_OPEN] = TYPE(OPEN),       [ORDER_ENTER] = TYPE(ENTER),   [ORDER_LIMIT] = TYPE(LIMIT),
    [ORDER_EMPTY] = TYPE(EMPTY),     [ORDER_END] = TYPE(END),       [ORDER_CLOSE] = TYPE(CLOSE),
};

void link_order_add(broker *b, const effect_order *order)
{
    host_link *l = &b->link;
    if (!l->channel || !l->greeted)
        return; /* the core hears that the host is gone, and orders again after its hello */
    link_order *o = order_take(b);
    if (!o) {
        if (l->capacity < ORDERS_MAX)
            starve(b, "the orders to the agent");
        else
            log_write(b->log, LOG_ERROR,
                      "host=%s the agent reads too slowly: its orders are dropped until its next hello", b->local_host);
        shutdown(channel_fd(l->channel), SHUT_RDWR); /* seen as the end of the stream in the next turn */
        return;
    }
    o->type = order_types[order->kind];
    if (order->kind == ORDER_WELCOME)
        l->host = order->host;
    l->named |= order->kind == ORDER_WELCOME;
    o->plain = order->kind == ORDER_WELCOME || order->kind == ORDER_READY;
    o->highest = order->gen.v;
    o->claim.claim = order->gen.v;
    o->claim.bytes = order->bytes;
    o->claim.chunk_size = order->chunk_size;
    o->claim.uid = order->user.v;
    o->claim.tag = order->tag;
    o->claim.by_operator = order->by_operator;
    o->claim.fresh = order->fresh;
    o->claim.kill = order->kill;
    o->claim.ending = order->ending;
    o->claim.running = order->running;
    o->claim.root_pid = order->root.pid;
    o->claim.root_start = order->root.start;
    if (order->handle == LINK_HANDLE && b->pidfd >= 0)
        o->fd = fcntl(b->pidfd, F_DUPFD_CLOEXEC, 3); /* without one the agent says that there is no process */
}

static int order_send(broker *b, const link_order *o)
{
    channel *c = b->link.channel;
    if (!o->plain)
        return channel_send(c, o->type, 0, 0, &o->claim.base, o->fd);
    if (o->type == TYPE(WELCOME)) {
        Granary__AgentWelcome welcome = GRANARY__AGENT_WELCOME__INIT;
        welcome.broker_id = b->store->meta.broker_id;
        welcome.highest = o->highest;
        return channel_send(c, o->type, 0, 0, &welcome.base, -1);
    }
    Granary__AgentReady ready = GRANARY__AGENT_READY__INIT;
    ready.sample_ms = (uint32_t)b->config.sample_ms;
    ready.collect_ms = (uint32_t)b->config.collect_ms;
    return channel_send(c, o->type, 0, 0, &ready.base, -1);
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Starting costs two calls of the kernel, also when nothing changes. */
static void poll_for(host_link *l, int events)
{
    if (l->events == events)
        return;
    l->events = events;
    uv_poll_start(l->poll, events, on_ready);
}

void link_flush(broker *b)
{
    host_link *l = &b->link;
    if (!l->channel || !l->dirty)
        return;
    l->dirty = false;
    int r = 0;
    while (r == 0 && l->n_orders > 0) {
        r = order_send(b, &l->orders[l->first]);
        if (r == STATUS_LIMIT) { /* room for the next comes by writing */
            size_t before = channel_pending(l->channel);
            r = channel_flush(l->channel);
            if (r == 0 && channel_pending(l->channel) == before)
                break;
            continue;
        }
        if (r == 0) {
            if (l->orders[l->first].fd >= 0)
                close(l->orders[l->first].fd);
            l->first++;
            l->n_orders--;
        }
    }
    if (r == 0)
        r = channel_flush(l->channel);
    if (r < 0) {
        if (r == STATUS_NO_MEMORY)
            starve(b, "an order to the agent");
        shutdown(channel_fd(l->channel), SHUT_RDWR);
        poll_for(l, UV_READABLE);
        return;
    }
    bool more = channel_pending(l->channel) > 0 || l->n_orders > 0;
    poll_for(l, UV_READABLE | (more ? UV_WRITABLE : 0));
}

/* ---- what the agent says ---- */

static bool text_fits(const char *text, size_t size)
{
    return strlen(text) < size && text_printable(text);
}

static int take_hello(broker *b, const frame *f)
{
    const Granary__AgentHello *m =
        (const Granary__AgentHello *)request_unpack(&b->scratch, &granary__agent_hello__descriptor, f);
    if (!m || m->version != PROTOCOL_VERSION || !*m->host || !text_fits(m->host, NAME_MAX_HOST) ||
        !text_fits(m->boot_id, 40) || !text_fits(m->enforcement, sizeof b->link.enforcement))
        return STATUS_PROTOCOL;
    bool ours = strcmp(m->broker_id, b->store->meta.broker_id) == 0;
    if (*m->broker_id && !ours)
        log_write(b->log, LOG_WARNING, "host=%s its groups belong to other books: they are left alone", m->host);
    generation *groups = scratch_take(&b->scratch, (m->n_groups + 1) * sizeof *groups);
    if (!groups)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < m->n_groups; i++)
        groups[i].v = m->groups[i];
    core_event event = {.kind = EVENT_HOST_HELLO};
    event.hello = (event_host_hello){.physical = m->physical,
                                     .total = m->total,
                                     .cores = m->cores,
                                     .limited = m->limited,
                                     .groups = groups,
                                     .n_groups = ours ? (uint32_t)m->n_groups : 0};
    strcpy(event.hello.name, m->host);
    strcpy(event.hello.boot_id, m->boot_id);
    strcpy(b->link.enforcement, m->enforcement);
    text_copy(b->link.enforcement_reason, sizeof b->link.enforcement_reason, m->enforcement_reason);
    channel_set_state(b->link.channel, PEER_AGENT);
    b->link.greeted = true;
    broker_step(b, &event);
    settings_judge(b, m->total);
    log_write(b->log, LOG_INFO, "host=%s enforcement=%s the agent is connected, %zu %s", m->host, m->enforcement,
              m->n_groups, text_plural(m->n_groups, "group exists", "groups exist"));
    return 0;
}

static void claims_keep(host_link *l, const Granary__AgentSample *m)
{
    l->n_claims = 0;
    if (m->n_claims > l->claims_capacity) {
        link_claim *claims = realloc(l->claims, m->n_claims * sizeof *claims);
        if (!claims)
            return; /* the screens show no pids until the next sample */
        l->claims = claims;
        l->claims_capacity = (uint32_t)m->n_claims;
    }
    for (size_t i = 0; i < m->n_claims; i++) {
        link_claim *c = &l->claims[l->n_claims++];
        c->gen = m->claims[i]->claim;
        c->n = m->claims[i]->n_pids < LINK_PIDS_MAX ? (uint32_t)m->claims[i]->n_pids : LINK_PIDS_MAX;
        if (c->n > 0)
            memcpy(c->pids, m->claims[i]->pids, c->n * sizeof *c->pids);
    }
}

static int compare_claims(const void *a, const void *b)
{
    uint64_t x = ((const link_claim *)a)->gen, y = ((const link_claim *)b)->gen;
    return x < y ? -1 : x > y;
}

size_t link_pids(const host_link *l, generation gen, int32_t **ret)
{
    link_claim wanted = {.gen = gen.v};
    link_claim *found = l->n_claims ? bsearch(&wanted, l->claims, l->n_claims, sizeof wanted, compare_claims) : NULL;
    if (!found)
        return 0;
    *ret = found->pids;
    return found->n;
}

static void step_use(broker *b, event_kind kind, const Granary__AgentClaimUse *m)
{
    core_event event = {.kind = kind};
    event.use = (event_claim_use){.host = b->link.host,
                                  .gen = {m->claim},
                                  .used = m->used,
                                  .peak = m->peak,
                                  .processes = m->processes,
                                  .cause = m->cause <= CAUSE_KILLED ? m->cause : CAUSE_EXIT};
    broker_step(b, &event);
}

static int take_sample(broker *b, const frame *f)
{
    const Granary__AgentSample *m =
        (const Granary__AgentSample *)request_unpack(&b->scratch, &granary__agent_sample__descriptor, f);
    if (!m)
        return STATUS_PROTOCOL;
    claims_keep(&b->link, m);
    b->link.sampled = b->link.n_claims == m->n_claims;
    b->link.starved = 0;
    if (b->link.n_claims > 1)
        qsort(b->link.claims, b->link.n_claims, sizeof *b->link.claims, compare_claims);
    for (size_t i = 0; i < m->n_claims; i++)
        step_use(b, EVENT_CLAIM_USE, m->claims[i]);
    core_event event = {.kind = EVENT_HOST_SAMPLE};
    event.sample = (event_host_sample){.host = b->link.host, .in_use = m->in_use, .claims_used = m->claims_used};
    broker_step(b, &event);
    return 0;
}

static int take_answer(broker *b, const frame *f, event_kind kind)
{
    const Granary__AgentAnswer *m =
        (const Granary__AgentAnswer *)request_unpack(&b->scratch, &granary__agent_answer__descriptor, f);
    if (!m)
        return STATUS_PROTOCOL;
    if (m->status < 0)
        log_write(b->log, LOG_WARNING, "host=%s claim=%llu status=%s the agent could not: %s", b->local_host,
                  (unsigned long long)m->claim, status_name(m->status), m->text);
    core_event event = {.kind = kind};
    event.answer = (event_claim_answer){.host = b->link.host,
                                        .gen = {m->claim},
                                        .status = m->status,
                                        .tag = m->tag,
                                        .cause = m->cause <= CAUSE_KILLED ? m->cause : CAUSE_EXIT,
                                        .peak = m->peak,
                                        .other = {m->other},
                                        .root = {m->root_pid, m->root_start}};
    b->link.refusal.tag = m->status < 0 ? m->tag : 0;
    b->link.refusal.text = m->text;
    broker_step(b, &event);
    b->link.refusal.tag = 0;
    b->link.refusal.text = NULL;
    return 0;
}

static int take_drained(broker *b, const frame *f)
{
    const Granary__AgentClaimUse *m =
        (const Granary__AgentClaimUse *)request_unpack(&b->scratch, &granary__agent_claim_use__descriptor, f);
    if (!m)
        return STATUS_PROTOCOL;
    step_use(b, EVENT_CLAIM_DRAINED, m);
    return 0;
}

static int take_notice(broker *b, const frame *f)
{
    const Granary__AgentNotice *m =
        (const Granary__AgentNotice *)request_unpack(&b->scratch, &granary__agent_notice__descriptor, f);
    if (!m)
        return STATUS_PROTOCOL;
    log_level level;
    if (log_level_parse(m->level, &level) < 0)
        level = LOG_WARNING;
    log_write(b->log, level, "host=%s agent: %s", b->local_host, m->text);
    return 0;
}

static int take(broker *b, const frame *f)
{
    switch (f->header.type) {
    case TYPE(HELLO):
        return take_hello(b, f);
    case TYPE(SAMPLE):
        return take_sample(b, f);
    case TYPE(OPENED):
        return take_answer(b, f, EVENT_CLAIM_OPENED);
    case TYPE(ENTERED):
        return take_answer(b, f, EVENT_CLAIM_ENTERED);
    case TYPE(LIMITED):
        return take_answer(b, f, EVENT_CLAIM_LIMITED);
    case TYPE(EMPTIED):
        return take_answer(b, f, EVENT_CLAIM_EMPTIED);
    case TYPE(DRAINED):
        return take_drained(b, f);
    case TYPE(NOTICE):
        return take_notice(b, f);
    default:
        return STATUS_PROTOCOL;
    }
}

/* Clients can be served once the host's memory was measured: the supervisor hears it once. */
static void ready_check(broker *b)
{
    host_view v;
    if (b->ready || b->failed || !b->link.named || view_host_by_id(b->driver.core, b->link.host, &v) < 0)
        return;
    if (v.state != HOST_UP && v.state != HOST_DRAINING)
        return;
    b->ready = true;
    control_send(b->options->control_fd, CONTROL_READY);
    log_write(b->log, LOG_INFO, "host=%s ready: clients are served at %s", v.name, b->options->socket);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    broker *b = poll->data;
    host_link *l = &b->link;
    if (b->failed)
        return;
    if (events & UV_WRITABLE)
        l->dirty = true;
    int received = status < 0 ? STATUS_LOST : channel_receive(l->channel);
    int r = 1;
    while (r == 1 && !b->failed) { /* all of it: nothing calls again for what was read already */
        frame f;
        r = channel_next(l->channel, &f);
        if (r == 1 && take(b, &f) < 0)
            r = STATUS_PROTOCOL;
        scratch_reset(&b->scratch);
    }
    if (r < 0)
        link_renew(b, *channel_why(l->channel) ? channel_why(l->channel) : "a message of the agent is not understood");
    else if (received < 0 && r == 0) {
        if (received == STATUS_NO_MEMORY)
            starve(b, "what the agent says");
        else
            log_write(b->log, LOG_WARNING, "host=%s the agent's link is down", b->local_host);
        link_drop(b);
    }
    ready_check(b);
}

void link_connect(broker *b, int fd)
{
    host_link *l = &b->link;
    link_drop(b);
    uv_poll_t *poll = malloc(sizeof *poll);
    if (!poll || uv_poll_init(&b->loop, poll, fd) < 0) {
        free(poll);
        close(fd);
        starve(b, "the agent's link");
        return;
    }
    if (channel_create(&l->channel, fd, PEER_AGENT_NEW) < 0) {
        uv_close((uv_handle_t *)poll, on_closed);
        close(fd);
        starve(b, "the agent's link");
        return;
    }
    channel_set_limit(l->channel, UNSENT_LIMIT);
    poll->data = b;
    l->poll = poll;
    l->events = 0;
    poll_for(l, UV_READABLE);
}
