/*
 * request.c - numbered requests: queue, send, match, send again.
 */
#include "client/request.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/status.h"
#include "client/client.h"
#include "proto/channel.h"

#define RETRY_MS    50u /* after a shortage of memory */
#define STACK_BODY  512u
#define REST_MS     20u /* first pause while a host is silent; doubles */
#define REST_MAX_MS 500u

static _Thread_local bool short_of_memory; /* tells a failed allocation from a malformed body */

static void *message_alloc(void *data, size_t size)
{
    (void)data;
    void *p = malloc(size);
    if (!p)
        short_of_memory = true;
    return p;
}

static void message_release(void *data, void *p)
{
    (void)data;
    free(p);
}

ProtobufCAllocator client_allocator = {.alloc = message_alloc, .free = message_release, .allocator_data = NULL};

int message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t length, void *ret)
{
    short_of_memory = false;
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &client_allocator, length, body);
    if (!m)
        return short_of_memory ? STATUS_NO_MEMORY : STATUS_PROTOCOL;
    *(ProtobufCMessage **)ret = m;
    return 0;
}

static int message_copy(const ProtobufCMessage *from, ProtobufCMessage **ret)
{
    uint8_t stack[STACK_BODY];
    size_t size = protobuf_c_message_get_packed_size(from);
    uint8_t *bytes = size <= sizeof stack ? stack : malloc(size);
    if (!bytes)
        return STATUS_NO_MEMORY;
    protobuf_c_message_pack(from, bytes);
    int r = message_unpack(from->descriptor, bytes, size, ret);
    if (bytes != stack)
        free(bytes);
    return r;
}

static void request_free(request *r)
{
    if (!r)
        return;
    if (r->message)
        message_free(r->message);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

static int request_create(uint16_t type, const void *message, int fd, request **ret)
{
    request *r = calloc(1, sizeof *r);
    if (!r)
        return STATUS_NO_MEMORY;
    r->type = type;
    r->fd = -1;
    int status = message_copy(message, &r->message);
    if (status == 0 && fd >= 0 && (r->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
        status = STATUS_SYSTEM;
    if (status < 0) {
        request_free(r);
        return status;
    }
    *ret = r;
    return 0;
}

void requests_init(requests *all)
{
    *all = (requests){.next_number = 1, .next_query = 1, .retry_at = MS_NEVER, .again_at = MS_NEVER};
}

/* Gives the request the session's next number. */
static void request_append(requests *all, request *r)
{
    r->number = all->next_number++;
    r->sent = false;
    r->next = NULL;
    if (all->last)
        all->last->next = r;
    else
        all->first = r;
    all->last = r;
}

int request_start(granary_client *c, uint16_t type, const void *message, int fd, request_done done, void *userdata,
                  request **ret)
{
    if (c->over)
        return c->over;
    request *r;
    int status = request_create(type, message, fd, &r);
    if (status < 0)
        return status;
    r->done = done;
    r->userdata = userdata;
    request_append(&c->requests, r);
    if (ret)
        *ret = r;
    requests_send(c);
    return 0;
}

int query_start(granary_client *c, const Granary__Query *query, query_part part, void *userdata, request **ret)
{
    if (c->over)
        return c->over;
    request *r;
    int status = request_create(GRANARY__MESSAGE_TYPE__TYPE_QUERY, query, -1, &r);
    if (status < 0)
        return status;
    r->number = c->requests.next_query++;
    r->part = part;
    r->userdata = userdata;
    r->next = c->requests.queries;
    c->requests.queries = r;
    if (ret)
        *ret = r;
    requests_send(c);
    return 0;
}

/* False: not now; it is tried again when the connection moves, or after a while when memory was short. */
static bool request_send(granary_client *c, request *r, uint64_t acked)
{
    int status = channel_send(c->link.channel, r->type, r->number, acked, r->message, r->fd);
    r->sent = status == 0;
    if (status == STATUS_NO_MEMORY || status == STATUS_SYSTEM)
        c->requests.retry_at = client_now() + RETRY_MS;
    return r->sent;
}

void requests_send(granary_client *c)
{
    requests *all = &c->requests;
    if (c->link.state != LINK_UP)
        return;
    all->retry_at = MS_NEVER;
    uint64_t acked = (all->first ? all->first->number : all->next_number) - 1;
    for (request *r = all->first; r && r->number - acked <= REQUESTS_WINDOW; r = r->next)
        if (!r->sent && !request_send(c, r, acked))
            return;
    for (request *r = all->queries; r; r = r->next)
        if (!r->sent && !request_send(c, r, 0))
            return;
}

void requests_again(granary_client *c)
{
    if (c->requests.again_at == MS_NEVER)
        c->requests.again_at = client_now() + RETRY_MS;
}

/* Requests that have rested long enough are asked again. */
static void requests_wake(granary_client *c, ms_t now)
{
    request **at = &c->requests.resting;
    while (*at) {
        request *r = *at;
        if (now < r->retry_at) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        request_append(&c->requests, r);
    }
}

ms_t requests_deadline(const granary_client *c)
{
    ms_t soonest = c->requests.again_at;
    for (const request *r = c->requests.resting; r; r = r->next)
        if (r->retry_at < soonest)
            soonest = r->retry_at;
    return soonest;
}

void requests_tick(granary_client *c, ms_t now)
{
    if (c->link.state == LINK_UP)
        requests_wake(c, now);
    if (now < c->requests.again_at)
        return;
    c->requests.again_at = MS_NEVER;
    if (!c->over)
        allocations_hosts_changed(c);
}

void requests_unsend(requests *all)
{
    for (request *r = all->first; r; r = r->next)
        r->sent = false;
    for (request *r = all->queries; r; r = r->next)
        r->sent = false;
}

/* Takes the request out of the list. `before` is the one before it, or NULL. */
static void request_remove(requests *all, request *r, request *before)
{
    if (before)
        before->next = r->next;
    else
        all->first = r->next;
    if (all->last == r)
        all->last = before;
    r->next = NULL;
}

static void request_answer(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    if (r->done)
        r->done(c, r, status, reply);
    request_free(r);
}

static bool is_about_claim(uint16_t type)
{
    return type == GRANARY__MESSAGE_TYPE__TYPE_CLAIM || type == GRANARY__MESSAGE_TYPE__TYPE_ENTER ||
           type == GRANARY__MESSAGE_TYPE__TYPE_EMPTY || type == GRANARY__MESSAGE_TYPE__TYPE_SHRINK ||
           type == GRANARY__MESSAGE_TYPE__TYPE_CLOSE;
}

/* Of the process that waits for a grant: what is refused in this state was granted meanwhile. */
static bool attaches(const request *r)
{
    return r->type == GRANARY__MESSAGE_TYPE__TYPE_CLAIM && ((const Granary__Claim *)r->message)->chunks == 0;
}

/* True: it is asked again later. A claim that was being opened when its host fell silent ends first: until then its
 * chunks are still claimed. */
static bool request_rests(granary_client *c, request *r, int status)
{
    ms_t now = client_now();
    bool silent = status == STATUS_SILENT;
    bool closing =
        status == STATUS_STATE && r->silent_until != 0 && r->type == GRANARY__MESSAGE_TYPE__TYPE_CLAIM && !attaches(r);
    if (!is_about_claim(r->type) || !(silent || closing) || (r->silent_until != 0 && now >= r->silent_until))
        return false;
    if (r->silent_until == 0) {
        r->silent_until = now + REQUESTS_SILENT_MS;
        r->pause = REST_MS;
    }
    r->retry_at = now + r->pause;
    r->pause = r->pause * 2 > REST_MAX_MS ? REST_MAX_MS : r->pause * 2;
    r->next = c->requests.resting;
    c->requests.resting = r;
    return true;
}

int requests_reply(granary_client *c, uint64_t number, Granary__Reply *reply)
{
    request *before = NULL;
    for (request *r = c->requests.first; r; before = r, r = r->next) {
        if (r->number != number)
            continue;
        if (!r->sent)
            break;
        request_remove(&c->requests, r, before);
        if (!request_rests(c, r, reply->status))
            request_answer(c, r, reply->status, &reply);
        if (reply)
            message_free(reply);
        return 0;
    }
    message_free(reply);
    return STATUS_PROTOCOL;
}

static void query_remove(granary_client *c, request *r)
{
    request **at = &c->requests.queries;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    request_free(r);
}

int requests_query_reply(granary_client *c, uint64_t number, Granary__QueryReply *reply)
{
    request *r = c->requests.queries;
    while (r && r->number != number)
        r = r->next;
    if (!r) {
        message_free(reply);
        return STATUS_PROTOCOL;
    }
    bool last = !reply->more;
    if (r->part)
        r->part(c, r, 0, &reply, last);
    if (reply)
        message_free(reply);
    if (last)
        query_remove(c, r);
    return 0;
}

void requests_fail(granary_client *c, int status)
{
    Granary__Reply *none = NULL;
    Granary__QueryReply *no_part = NULL;
    while (c->requests.first || c->requests.resting) {
        request *r = c->requests.first;
        if (r) {
            request_remove(&c->requests, r, NULL);
        } else {
            r = c->requests.resting;
            c->requests.resting = r->next;
        }
        request_answer(c, r, status, &none);
    }
    while (c->requests.queries) {
        request *r = c->requests.queries;
        if (r->part)
            r->part(c, r, status, &no_part, true);
        query_remove(c, r);
    }
}
