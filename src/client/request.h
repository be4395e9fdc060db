/*
 * request.h - numbered requests and their answers.
 *
 * Each request gets the session's next number. One that is unanswered when the connection breaks is
 * sent again on the next, with the same number and descriptor; the broker answers it once. At
 * most REQUESTS_WINDOW are in flight, so that every answer is one that the broker still keeps;
 * the others wait here. A request about a claim whose host is silent (its agent, or the broker, is just restarting) is
 * asked again under a new number until the host is back, for REQUESTS_SILENT_MS. Queries have numbers of their own:
 * they have no effect and no kept answer.
 */
#ifndef GRANARY_CLIENT_REQUEST_H
#define GRANARY_CLIENT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "granary.h"
#include "granary.pb-c.h"

#define REQUESTS_WINDOW 60u /* the broker keeps 64 answers for a session */

#define REQUESTS_SILENT_MS 20000u /* far longer than an agent's restart; a host that is gone is told after it */

typedef struct request request;

/*
 * The answer. `status` is that of the reply, or that of a session that is over; `*reply` is NULL then. To keep
 * the reply, set `*reply` to NULL and free it with reply_free(). Lock held; must not block.
 */
typedef void (*request_done)(granary_client *c, request *r, int status, Granary__Reply **reply);

/* One part of a query's answer; the same rules. `*part` is NULL when the session is over; `last`: no more follow. */
typedef void (*query_part)(granary_client *c, request *r, int status, Granary__QueryReply **part, bool last);

struct request {
    request *next;
    uint64_t number;
    uint16_t type;
    bool sent;                 /* on the present connection */
    int fd;                    /* -1, or a duplicate that rides along, also when sent again */
    ProtobufCMessage *message; /* a copy */
    request_done done;         /* NULL: nobody cares */
    query_part part;
    void *userdata;
    ms_t silent_until; /* its host was silent: no more attempts after this; 0 = it was not */
    ms_t retry_at;     /* of a resting one */
    ms_t pause;
};

typedef struct {
    request *first, *last; /* unanswered, by number */
    request *resting;      /* their host was silent */
    request *queries;
    uint64_t next_number, next_query;
    ms_t retry_at; /* memory was short while sending; MS_NEVER */
    ms_t again_at; /* memory was short while deciding: owners of allocations look again; MS_NEVER */
} requests;

/* Reads and frees messages with the library's own allocation of memory. */
extern ProtobufCAllocator client_allocator;
#define message_free(m) protobuf_c_message_free_unpacked((ProtobufCMessage *)(m), &client_allocator)

/* Unpacks a body. STATUS_PROTOCOL: malformed; STATUS_NO_MEMORY. */
int message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t length, void *ret);

void requests_init(requests *all);

/*
 * Queues a request (a copy of `message`, a duplicate of `fd` unless -1) and sends it if it may go now. `ret`
 * may be NULL; the request is valid until `done` returns. STATUS_NO_MEMORY, STATUS_SYSTEM, or the session's end.
 */
int request_start(granary_client *c, uint16_t type, const void *message, int fd, request_done done, void *userdata,
                  request **ret);
int query_start(granary_client *c, const Granary__Query *query, query_part part, void *userdata, request **ret);

/* Sends every unsent request that the window allows. */
void requests_send(granary_client *c);

/* A message could not be made: owners of allocations are told to look again in a moment. */
void requests_again(granary_client *c);
void requests_tick(granary_client *c, ms_t now);

/* When requests_tick() is due; MS_NEVER. */
ms_t requests_deadline(const granary_client *c);

/* A new connection: everything unanswered is unsent. */
void requests_unsend(requests *all);

/* A frame arrived. STATUS_PROTOCOL: answers nothing that was asked. */
int requests_reply(granary_client *c, uint64_t number, Granary__Reply *reply);
int requests_query_reply(granary_client *c, uint64_t number, Granary__QueryReply *reply);

/* Answers all with `status`. */
void requests_fail(granary_client *c, int status);

#endif
