/*
 * link.c - connecting, attaching again, and the table of what may arrive.
 */
#include "client/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "client/client.h"
#include "proto/channel.h"

void link_close(granary_client *c)
{
    client_link *l = &c->link;
    if (l->channel)
        loop_unwatch(&c->loop, channel_fd(l->channel));
    channel_destroy(l->channel);
    l->channel = NULL;
    l->state = LINK_DOWN;
    l->writing = false;
}

static void link_down(granary_client *c, const char *why)
{
    client_link *l = &c->link;
    ms_t now = client_now();
    if (l->state == LINK_UP) {
        l->pause = LINK_PAUSE_MS;
        l->give_up_at = now + LINK_GIVE_UP_MS;
    }
    link_close(c);
    l->retry_at = now + l->pause;
    l->pause = l->pause * 2 > LINK_PAUSE_MAX_MS ? LINK_PAUSE_MAX_MS : l->pause * 2;
    snprintf(l->why, sizeof l->why, "%s", why);
    requests_unsend(&c->requests);
}

static int hello_send(granary_client *c)
{
    client_link *l = &c->link;
    Granary__Hello hello = GRANARY__HELLO__INIT;
    hello.version = PROTOCOL_VERSION;
    hello.program = l->program;
    hello.session = l->session;
    if (l->session != 0) {
        hello.token.data = l->token;
        hello.token.len = sizeof l->token;
    }
    return channel_send(l->channel, GRANARY__MESSAGE_TYPE__TYPE_HELLO, 0, 0, &hello.base, -1);
}

int link_connect(granary_client *c)
{
    client_link *l = &c->link;
    int fd;
    int r = find_connect(l->socket.path, &fd);
    if (r < 0)
        return r;
    r = channel_create(&l->channel, fd, PEER_BROKER_TO_CLIENT_NEW);
    if (r < 0) {
        close(fd);
        l->channel = NULL;
        return r;
    }
    l->writing = false;
    r = hello_send(c);
    if (r == 0)
        r = loop_watch(&c->loop, fd, false, true);
    if (r < 0) {
        link_close(c);
        return r;
    }
    l->state = LINK_GREETING;
    l->retry_at = MS_NEVER;
    link_flush(c);
    return 0;
}

void link_finish(granary_client *c)
{
    link_close(c);
    free(c->link.socket.path);
    free(c->link.program);
    memset(&c->link, 0, sizeof c->link);
}

int link_fd(const granary_client *c)
{
    return channel_fd(c->link.channel);
}

void link_flush(granary_client *c)
{
    client_link *l = &c->link;
    if (!l->channel)
        return;
    int r = channel_flush(l->channel);
    if (r < 0) {
        /* What the broker said before it closed is still to be read: the end of the stream follows it. */
        if (r != STATUS_LOST)
            link_down(c, "the connection broke while writing");
        return;
    }
    bool writing = channel_pending(l->channel) > 0;
    if (writing != l->writing && loop_watch(&c->loop, link_fd(c), writing, false) == 0)
        l->writing = writing;
}

static int on_welcome(granary_client *c, const Granary__Welcome *w)
{
    client_link *l = &c->link;
    if (w->version != PROTOCOL_VERSION) {
        client_end(c, STATUS_VERSION, "the broker speaks another version of the protocol: update the older of the two");
        return 0;
    }
    if (w->session == 0 || w->token.len != sizeof l->token)
        return STATUS_PROTOCOL;
    if (l->session != 0 && !w->reattached) {
        client_end(c, STATUS_LOST, "the broker no longer knows this session: its allocations are over");
        return 0;
    }
    int r = hosts_learn(c, w->hosts, w->n_hosts, w->local_host);
    if (r == 0)
        r = allocations_reattach(c, w);
    if (r < 0)
        return r;
    claims_reattach(c, w);
    snprintf(l->books, sizeof l->books, "%s", w->broker_id);
    l->session = w->session;
    memcpy(l->token, w->token.data, sizeof l->token);
    channel_set_state(l->channel, PEER_BROKER_TO_CLIENT);
    l->state = LINK_UP;
    l->pause = LINK_PAUSE_MS;
    l->why[0] = '\0';
    requests_send(c);
    return 0;
}

static int on_error(granary_client *c, const Granary__Error *e)
{
    switch (e->status) {
    case STATUS_BUSY: /* later, perhaps */
    case STATUS_LOST:
    case STATUS_NO_MEMORY:
    case STATUS_LIMIT:
    case STATUS_SYSTEM:
        if (c->link.session == 0)
            client_end(c, e->status, e->text);
        else
            link_down(c, e->text);
        return 0;
    default:
        client_end(c, e->status < 0 ? e->status : STATUS_PROTOCOL, e->text);
        return 0;
    }
}

/* Unpacks the frame as TYPE, hands it to `call` (an expression over `m`), frees it. */
#define HANDLE(TYPE, call)                                                                                             \
    do {                                                                                                               \
        Granary__##TYPE *m;                                                                                            \
        int unpacked = message_unpack(&descriptor_of_##TYPE, f->body, f->header.length, &m);                           \
        if (unpacked < 0)                                                                                              \
            return unpacked;                                                                                           \
        int handled = (call);                                                                                          \
        message_free(m);                                                                                               \
        return handled;                                                                                                \
    } while (0)

#define descriptor_of_Welcome         granary__welcome__descriptor
#define descriptor_of_Error           granary__error__descriptor
#define descriptor_of_AllocationState granary__allocation_state__descriptor
#define descriptor_of_AllocationEnded granary__allocation_ended__descriptor
#define descriptor_of_Ask             granary__ask__descriptor
#define descriptor_of_Recall          granary__recall__descriptor
#define descriptor_of_Prefer          granary__prefer__descriptor
#define descriptor_of_Withdraw        granary__withdraw__descriptor
#define descriptor_of_ClaimEnded      granary__claim_ended__descriptor
#define descriptor_of_ClaimOver       granary__claim_over__descriptor

static int on_reply(granary_client *c, const frame *f)
{
    Granary__Reply *reply;
    int r = message_unpack(&granary__reply__descriptor, f->body, f->header.length, &reply);
    if (r < 0)
        return r;
    if (reply->allocation && (r = allocations_apply(c, reply->allocation)) < 0) {
        message_free(reply);
        return r;
    }
    return requests_reply(c, f->header.number, reply);
}

static int on_query_reply(granary_client *c, const frame *f)
{
    Granary__QueryReply *reply;
    int r = message_unpack(&granary__query_reply__descriptor, f->body, f->header.length, &reply);
    if (r < 0)
        return r;
    if ((r = hosts_learn(c, reply->hosts, reply->n_hosts, NULL)) < 0) {
        message_free(reply);
        return r;
    }
    return requests_query_reply(c, f->header.number, reply);
}

static int on_frame(granary_client *c, const frame *f)
{
    switch (f->header.type) {
    case GRANARY__MESSAGE_TYPE__TYPE_WELCOME:
        HANDLE(Welcome, on_welcome(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_REPLY:
        return on_reply(c, f);
    case GRANARY__MESSAGE_TYPE__TYPE_QUERY_REPLY:
        return on_query_reply(c, f);
    case GRANARY__MESSAGE_TYPE__TYPE_ERROR:
        HANDLE(Error, on_error(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_CHANGED:
        HANDLE(AllocationState, allocations_changed(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_ENDED:
        HANDLE(AllocationEnded, allocations_end(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_ASK:
        HANDLE(Ask, allocations_ask(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_RECALL:
        HANDLE(Recall, allocations_recall(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_PREFER:
        HANDLE(Prefer, allocations_prefer(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_WITHDRAW:
        HANDLE(Withdraw, allocations_withdraw(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_CLAIM_ENDED:
        HANDLE(ClaimEnded, claims_ended(c, m));
    case GRANARY__MESSAGE_TYPE__TYPE_CLAIM_OVER:
        HANDLE(ClaimOver, claims_over(c, m));
    default:
        return STATUS_PROTOCOL; /* admitted by number, so this is a type that we forgot */
    }
}

void link_input(granary_client *c)
{
    channel *ch = c->link.channel;
    char why[200];
    frame f;
    int received = channel_receive(ch);
    int r = 0;
    int got = 0;
    /* A handler may end the session or drop the connection: then the channel is gone. */
    c->link.resync = false;
    while (r == 0 && c->link.channel == ch && (got = channel_next(ch, &f)) == 1) {
        if (f.fd >= 0)
            close(f.fd);
        r = on_frame(c, &f);
        if (r == 0 && c->link.resync)
            r = STATUS_NO_MEMORY;
        if (r == STATUS_PROTOCOL) {
            snprintf(why, sizeof why, "the broker sent a malformed or unexpected %s", frame_type_name(f.header.type));
            client_end(c, STATUS_PROTOCOL, why);
        }
    }
    if (c->link.channel != ch)
        return;
    if (got == STATUS_PROTOCOL) {
        snprintf(why, sizeof why, "the broker sent %s", channel_why(ch));
        client_end(c, STATUS_PROTOCOL, why);
    } else if (r < 0) {
        link_down(c, "this process is short of memory");
    } else if (received < 0) {
        link_down(c, "the broker closed the connection");
    }
}

void link_tick(granary_client *c, ms_t now)
{
    client_link *l = &c->link;
    char why[256];
    if (c->over || l->state == LINK_UP)
        return;
    if (l->session != 0 && now >= l->give_up_at) {
        snprintf(why, sizeof why, "no broker at %s for %u seconds (%s)", l->socket.path, LINK_GIVE_UP_MS / 1000,
                 l->why);
        client_end(c, STATUS_LOST, why);
        return;
    }
    if (l->state != LINK_DOWN || now < l->retry_at || l->session == 0)
        return;
    int r = link_connect(c);
    if (r == STATUS_LOST && l->socket.may_start && now >= l->start_after) {
        l->start_after = now + LINK_START_MS;
        find_start(l->socket.path, 0); /* whatever it says, the next attempts tell more */
    }
    if (r < 0)
        link_down(c, r == STATUS_LOST ? "nobody listens there" : status_text(r));
}

static ms_t sooner(ms_t a, ms_t b)
{
    return a < b ? a : b;
}

ms_t link_deadline(const granary_client *c)
{
    const client_link *l = &c->link;
    if (c->over)
        return MS_NEVER;
    if (l->state == LINK_UP)
        return sooner(c->requests.retry_at, requests_deadline(c));
    if (l->session == 0)
        return MS_NEVER;
    return sooner(l->retry_at, l->give_up_at);
}
