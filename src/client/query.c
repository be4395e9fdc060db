/*
 * query.c - see query.h. One frame out, its answer in; pushes to this session are of no interest and dropped.
 */
#include "client/query.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "client/find.h"
#include "proto/channel.h"

_Static_assert(FIND_WHY_MAX <= QUERY_WHY_MAX, "why nobody was reached is told whole");

struct query {
    broker_socket socket;
    channel *channel;
    Granary__Welcome *welcome;
    Granary__Reply *reply; /* the last one, lent to the caller */
    uint64_t request;      /* number of the last numbered request */
    uint64_t question;     /* number of the last Query; outside the answer window */
    char why[QUERY_WHY_MAX];
};

static int failed(query *q, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int failed(query *q, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(q->why, sizeof q->why, format, args);
    va_end(args);
    return status;
}

/* ---- finding and reaching the broker ---- */

static int unreachable(query *q, int status)
{
    char why[FIND_WHY_MAX];

    find_explain(&q->socket, status, status == STATUS_TIMEOUT ? find_pid(channel_fd(q->channel)) : 0, why);
    return failed(q, status == STATUS_TIMEOUT ? STATUS_LOST : status, "%s", why);
}

static int reach(query *q, const char *named, int *ret)
{
    int r = find_socket(named && named[0] ? named : NULL, &q->socket);

    if (r == STATUS_INVALID)
        return unreachable(q, r);
    if (r < 0)
        return failed(q, r, "%s", status_text(r));
    r = find_connect(q->socket.path, ret);
    return r < 0 ? unreachable(q, r) : 0;
}

/* ---- frames ---- */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the socket has something to read (or takes what is pending); `wait_ms` -1 = for ever. */
static int pump(query *q, int64_t until)
{
    struct pollfd p = {.fd = channel_fd(q->channel), .events = POLLIN};
    int wait = -1;

    int r = channel_flush(q->channel);
    if (r < 0)
        return failed(q, r, "the broker closed the connection");
    if (channel_pending(q->channel) > 0)
        p.events |= POLLOUT;
    if (until >= 0) {
        int64_t left = until - now_ms();
        wait = left < 0 ? 0 : (int)left;
    }
    int n = poll(&p, 1, wait);
    if (n < 0 && errno != EINTR)
        return failed(q, STATUS_SYSTEM, "poll: %s", strerror(errno));
    if (n == 0)
        return unreachable(q, STATUS_TIMEOUT);
    if (n > 0 && (p.revents & (POLLIN | POLLHUP | POLLERR))) {
        r = channel_receive(q->channel);
        if (r < 0 && r != STATUS_LOST)
            return failed(q, r, "cannot read from the broker: %s", strerror(errno));
        return r == STATUS_LOST ? failed(q, STATUS_LOST, "the broker closed the connection") : 0;
    }
    return 0;
}

static int error_of(query *q, const frame *f)
{
    Granary__Error *e = granary__error__unpack(NULL, f->header.length, f->body);

    if (!e)
        return failed(q, STATUS_PROTOCOL, "the broker sent an error that cannot be read");
    int status = e->status < 0 ? e->status : STATUS_PROTOCOL;
    failed(q, status, "%s", e->text && e->text[0] ? e->text : status_text(status));
    granary__error__free_unpacked(e, NULL);
    return status;
}

/*
 * The next frame of `type` with `number` (UINT64_MAX = any). Its body is borrowed until the next call. What arrived
 * before the end of the stream is looked at first: an Error comes right before it.
 */
static int await(query *q, uint16_t type, uint64_t number, int64_t until, frame *ret)
{
    int broken = 0;

    for (;;) {
        int r = channel_next(q->channel, ret);
        if (r < 0)
            return failed(q, r, "the broker sent nonsense: %s", channel_why(q->channel));
        if (r == 0) {
            if (broken)
                return broken;
            broken = pump(q, until);
            if (broken && broken != STATUS_LOST)
                return broken;
            continue;
        }
        if (ret->fd >= 0)
            close(ret->fd);
        if (ret->header.type == GRANARY__MESSAGE_TYPE__TYPE_ERROR)
            return error_of(q, ret);
        if (ret->header.type == type && (number == UINT64_MAX || ret->header.number == number))
            return 0;
    }
}

static int send_frame(query *q, uint16_t type, uint64_t number, const ProtobufCMessage *message)
{
    int r = channel_send(q->channel, type, number, 0, message, -1);
    return r < 0 ? failed(q, r, "cannot send: %s", status_text(r)) : 0;
}

/* ---- life ---- */

static int hello(query *q)
{
    Granary__Hello message = GRANARY__HELLO__INIT;
    frame f = {0};

    message.version = PROTOCOL_VERSION;
    message.program = (char *)"granary";
    int r = send_frame(q, GRANARY__MESSAGE_TYPE__TYPE_HELLO, 0, &message.base);
    if (r == 0)
        r = await(q, GRANARY__MESSAGE_TYPE__TYPE_WELCOME, UINT64_MAX, now_ms() + QUERY_HELLO_MS, &f);
    if (r < 0)
        return r;
    q->welcome = granary__welcome__unpack(NULL, f.header.length, f.body);
    if (!q->welcome)
        return failed(q, STATUS_PROTOCOL, "the broker's welcome cannot be read");
    channel_set_state(q->channel, PEER_BROKER_TO_CLIENT);
    return 0;
}

int query_open(query **ret, const char *socket, char why[QUERY_WHY_MAX])
{
    query *q = calloc(1, sizeof *q);
    int fd = -1, r;

    if (!q) {
        snprintf(why, QUERY_WHY_MAX, "%s", status_text(STATUS_NO_MEMORY));
        return STATUS_NO_MEMORY;
    }
    r = reach(q, socket, &fd);
    if (r == 0) {
        r = channel_create(&q->channel, fd, PEER_BROKER_TO_CLIENT_NEW);
        if (r < 0) {
            close(fd);
            failed(q, r, "%s", status_text(r));
        }
    }
    if (r == 0)
        r = hello(q);
    if (r < 0) {
        memcpy(why, q->why, sizeof q->why);
        query_close(q);
        return r;
    }
    *ret = q;
    return 0;
}

void query_close(query *q)
{
    if (!q)
        return;
    if (q->welcome) {
        Granary__Goodbye bye = GRANARY__GOODBYE__INIT;
        if (channel_send(q->channel, GRANARY__MESSAGE_TYPE__TYPE_GOODBYE, 0, 0, &bye.base, -1) == 0)
            (void)channel_flush(q->channel); /* a broken connection ends the session as well */
        granary__welcome__free_unpacked(q->welcome, NULL);
    }
    if (q->reply)
        granary__reply__free_unpacked(q->reply, NULL);
    if (q->channel)
        channel_destroy(q->channel);
    free(q->socket.path);
    free(q);
}

const char *query_why(const query *q)
{
    return q->why;
}

const Granary__Welcome *query_welcome(const query *q)
{
    return q->welcome;
}

/* ---- reading ---- */

static int ask(query *q, Granary__Query__What what, uint32_t lines, bool follow)
{
    Granary__Query message = GRANARY__QUERY__INIT;

    q->why[0] = '\0';
    message.what = what;
    message.log_lines = lines;
    message.follow = follow;
    return send_frame(q, GRANARY__MESSAGE_TYPE__TYPE_QUERY, ++q->question, &message.base);
}

static int next_part(query *q, int64_t until, Granary__QueryReply **ret)
{
    frame f = {0};
    int r = await(q, GRANARY__MESSAGE_TYPE__TYPE_QUERY_REPLY, q->question, until, &f);

    if (r < 0)
        return r;
    Granary__QueryReply *part = granary__query_reply__unpack(NULL, f.header.length, f.body);
    if (!part)
        return failed(q, STATUS_PROTOCOL, "the broker's answer cannot be read");
    *ret = part;
    return 0;
}

int query_snapshot(query *q, snapshot **ret)
{
    Granary__QueryReply **parts = NULL;
    size_t n = 0;
    int r = ask(q, GRANARY__QUERY__WHAT__SNAPSHOT, 0, false);

    while (r == 0) {
        Granary__QueryReply **more = reallocarray(parts, n + 1, sizeof *parts);
        if (!more) {
            r = failed(q, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY));
            break;
        }
        parts = more;
        r = next_part(q, now_ms() + QUERY_WAIT_MS, &parts[n]);
        if (r == 0 && !parts[n++]->more)
            return snapshot_create(ret, parts, n);
    }
    while (n > 0)
        granary__query_reply__free_unpacked(parts[--n], NULL);
    free(parts);
    return r;
}

int query_log(query *q, uint32_t lines, bool follow, int (*put)(void *userdata, const Granary__LogLine *line),
              void *userdata)
{
    int r = ask(q, GRANARY__QUERY__WHAT__LOG, lines, follow);
    bool first = true, more = true;

    while (r == 0 && (more || follow)) {
        Granary__QueryReply *part = NULL;
        r = next_part(q, first ? now_ms() + QUERY_WAIT_MS : -1, &part);
        if (r != 0 || !part)
            break;
        first = false;
        more = part->more;
        for (size_t i = 0; i < part->n_log && r == 0; i++)
            r = put(userdata, part->log[i]);
        granary__query_reply__free_unpacked(part, NULL);
    }
    return r;
}

/* ---- requests ---- */

static int request(query *q, uint16_t type, const ProtobufCMessage *message, const Granary__Reply **ret)
{
    frame f = {0};

    if (q->reply)
        granary__reply__free_unpacked(q->reply, NULL);
    q->reply = NULL;
    q->why[0] = '\0';
    if (ret)
        *ret = NULL;
    int r = send_frame(q, type, ++q->request, message);
    if (r == 0)
        r = await(q, GRANARY__MESSAGE_TYPE__TYPE_REPLY, q->request, now_ms() + QUERY_WAIT_MS, &f);
    if (r < 0)
        return r;
    q->reply = granary__reply__unpack(NULL, f.header.length, f.body);
    if (!q->reply)
        return failed(q, STATUS_PROTOCOL, "the broker's answer cannot be read");
    if (q->reply->status < 0)
        failed(q, q->reply->status, "%s", q->reply->text[0] ? q->reply->text : status_text(q->reply->status));
    if (ret)
        *ret = q->reply;
    return q->reply->status;
}

int query_plan(query *q, const granary_request *wish, const Granary__Reply **ret)
{
    Granary__Terms terms = GRANARY__TERMS__INIT;
    Granary__Allocate message = GRANARY__ALLOCATE__INIT;

    terms.label = (char *)(wish->label ? wish->label : "plan");
    terms.chunk_size = wish->chunk_size;
    terms.want = wish->want;
    terms.min = wish->min ? wish->min : wish->flags & GRANARY_GROWABLE ? 0 : wish->want;
    terms.flags = wish->flags;
    terms.priority = wish->priority;
    terms.notice_ms = (uint64_t)wish->notice_ms;
    terms.wait_ms = (uint64_t)wish->wait_ms;
    terms.filter = (char *)(wish->hosts ? wish->hosts : "");
    message.terms = &terms;
    return request(q, GRANARY__MESSAGE_TYPE__TYPE_PLAN, &message.base, ret);
}

int query_drain(query *q, const char *host, bool undrain, const Granary__Reply **ret)
{
    Granary__Drain message = GRANARY__DRAIN__INIT;

    message.host = (char *)host;
    return request(q, undrain ? GRANARY__MESSAGE_TYPE__TYPE_UNDRAIN : GRANARY__MESSAGE_TYPE__TYPE_DRAIN, &message.base,
                   ret);
}

int query_release(query *q, uint64_t allocation, uint32_t chunks, const Granary__Reply **ret)
{
    Granary__ReleaseForeign message = GRANARY__RELEASE_FOREIGN__INIT;

    message.allocation = allocation;
    message.chunks = chunks;
    return request(q, GRANARY__MESSAGE_TYPE__TYPE_RELEASE_FOREIGN, &message.base, ret);
}
