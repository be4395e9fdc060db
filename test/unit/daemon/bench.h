/*
 * bench.h - a broker in this process, over a store in memory, with a client at its socket and an agent at its link.
 *
 * Nothing runs by itself: the test turns the loop until what it waits for has come. A test that waits for what
 * never comes is ended by an alarm.
 */
#ifndef GRANARY_TEST_DAEMON_BENCH_H
#define GRANARY_TEST_DAEMON_BENCH_H

#include "cmocka_all.h"

#include "base/status.h"
#include "core/view.h"
#include "daemon/broker.h"
#include "daemon/control.h"
#include "granary.pb-c.h"
#include "store/memory.h"

#define BENCH_BOOKS "0123456789abcdef0123456789abcdef"
#define BENCH_BOOT  "11111111-2222-3333-4444-555555555555"

#define TYPE(name)     GRANARY__MESSAGE_TYPE__TYPE_##name
#define AS(type, name) ((const type *)(name))

typedef struct {
    broker b;
    broker_options options;
    log_book *log;
    store *store;   /* the broker's */
    scratch memory; /* of the messages that came, until the end */
    char directory[64], config[96], socket[96];
    int listen_fd, control[2]; /* [1]: the supervisor's end */
    channel *agent;            /* NULL = not connected */
    bool with_fd;              /* the last frame that came brought a descriptor */
    uint64_t number;           /* and had this number */
} bench;

typedef struct {
    channel *channel;
    uint64_t number; /* of the last request */
    uint64_t session;
    uint8_t token[16];
} bench_client;

/* Opens a broker whose host has 4 GiB, nothing set aside; `settings`: more lines for its granary.conf. */
void bench_open(bench *t, const char *settings);
void bench_close(bench *t);

/* Writes granary.conf anew. */
void bench_configure(bench *t, const char *settings);

/* Some turns of the loop: all that is on its way has arrived. */
void bench_turns(bench *t);

/* A connection without a hello; one with a session. */
void bench_connect(bench *t, bench_client *c);
const Granary__Welcome *bench_hello(bench *t, bench_client *c); /* c->session != 0: reattaches */
const Granary__Welcome *bench_join(bench *t, bench_client *c);
void bench_leave(bench_client *c); /* without a word */

/* Connects the agent; with `sampled` its host is up, all of its memory free. */
void bench_agent(bench *t, bool sampled);
void bench_agent_sample(bench *t, uint64_t in_use);

/* A broker with no settings of its own, its agent sampled, and a client whose allocation 1 holds `chunks` of 1 GiB. */
void bench_open_leased(bench *t, bench_client *c, uint32_t chunks);

void bench_send(channel *c, uint16_t type, uint64_t number, const ProtobufCMessage *m);
/* Sends a body as it is, with a header that is true. */
void bench_send_raw(channel *c, uint16_t type, const void *body, size_t size);

/* The next frame that comes, which must be of this type; valid until the bench is closed. */
const void *bench_get(bench *t, channel *c, uint16_t type, const ProtobufCMessageDescriptor *d);
#define bench_reply(t, c) AS(Granary__Reply, bench_get(t, (c)->channel, TYPE(REPLY), &granary__reply__descriptor))
#define bench_order(t, type)                                                                                           \
    AS(Granary__AgentClaim, bench_get(t, (t)->agent, TYPE(AGENT_##type), &granary__agent_claim__descriptor))

/* Sends a request with the next number, and takes its reply. */
const Granary__Reply *bench_request(bench *t, bench_client *c, uint16_t type, const ProtobufCMessage *m);
const Granary__Reply *bench_allocate(bench *t, bench_client *c, const char *label, uint64_t chunk_size, uint32_t want,
                                     uint32_t flags);
const Granary__Reply *bench_release(bench *t, bench_client *c, uint64_t allocation, uint32_t chunks);

/* Claims, with our own process; its OPEN has been taken and not been answered. The request's number is c->number. */
const Granary__AgentClaim *bench_claim(bench *t, bench_client *c, uint64_t allocation, uint32_t chunks);
/* The same, and it was opened. */
const Granary__AgentClaim *bench_claim_opened(bench *t, bench_client *c, uint64_t allocation, uint32_t chunks);
/* The agent's answer. */
void bench_answer(bench *t, uint16_t type, uint64_t claim, uint64_t tag, int status, const char *text);
void bench_drained(bench *t, uint64_t claim, uint32_t cause, uint64_t peak);

/* Nothing comes, and the connection stands. */
void bench_silent(bench *t, channel *c);
/* Nothing more comes: the connection was closed. */
void bench_closed(bench *t, channel *c);
/* An Error with these words, then the end. */
void bench_refused(bench *t, channel *c, int status, const char *text);

/* The log's line `back` lines before the newest; valid until the next call. */
const char *bench_log(bench *t, uint32_t back);
/* Whether a line of the log is this text. */
bool bench_logged(bench *t, const char *text);

/* The next message for the supervisor; 0 = none waits. */
int bench_control(bench *t);

#endif
