/*
 * message.h - what travels between the programs of a run: the content of the protocol's frames, without the bytes.
 *
 * The bytes have tests of their own (frames, hostile peers, fuzzing). Here each message owns copies of its lists.
 *
 * As on the wire: a deadline in a message (of a recall) is what is left of it when it is sent, 0 = nothing; only
 * CHANGED, ENDED and replies tell an allocation's set; PREFER is one message, whose `set` has all that is preferred
 * (its id 0); of what is another's (DENIED) a reply tells the status only. Terms are the client's own: 0 of notice,
 * wait or min is the broker's default.
 */
#ifndef GRANARY_SIM_MESSAGE_H
#define GRANARY_SIM_MESSAGE_H

#include "core/core.h"
#include "core/view.h"

typedef enum {
    MESSAGE_CLIENT_HELLO = 1, /* client to broker: new, or with session and token */
    MESSAGE_REQUEST,
    MESSAGE_GOODBYE,
    MESSAGE_WELCOME, /* broker to client */
    MESSAGE_REPLY,
    MESSAGE_PUSH,
    MESSAGE_AGENT_HELLO, /* agent to broker */
    MESSAGE_SAMPLE,
    MESSAGE_ANSWER, /* to an order: kind is the event's */
    MESSAGE_USE,
    MESSAGE_DRAINED,
    MESSAGE_ORDER, /* broker to agent */
} message_kind;

/* An allocation as every message about it tells it. */
typedef struct {
    allocation_id id; /* 0 = none */
    uint64_t version;
    allocation_state state;
    chunks_t want;
    uint32_t n_extents;
    extent *extents;
} message_set;

typedef struct {
    message_kind kind;
    union {
        struct {
            uint64_t session; /* 0 = a new one */
            uint8_t token[16];
            user_id user;
            int32_t pid; /* of the client's process, as the kernel tells it: the broker looks whether it lives */
            bool operator_;
        } hello;
        core_event request; /* its lists are owned by the message */
        struct {
            int status; /* negative: refused */
            uint64_t session;
            uint8_t token[16];
            bool reattached;
            request_no acked; /* the highest number that the books have seen */
            uint32_t n_sets, n_recalls, n_claims;
            message_set *sets;
            record_recall *recalls;
            struct {
                generation gen;
                allocation_id allocation;
                host_id host;
                chunks_t chunks;
            } * claims;
        } welcome;
        struct {
            effect_reply reply; /* its lists are owned by the message */
            message_set set;
        } reply;
        struct {
            effect_push push;
            message_set set;
        } push;
        core_event agent; /* HOST_HELLO, HOST_SAMPLE, CLAIM_*; its list is owned by the message */
        effect_order order;
    };
} message;

message *message_create(message_kind kind);
message *message_copy(const message *m);
void message_destroy(message *m);

/* For each: an owned copy of the lists that the event or effect borrows. */
message *message_of_request(const core_event *e);
message *message_of_agent(message_kind kind, const core_event *e);
message *message_of_reply(const effect_reply *r, const core *books); /* with the allocation's present set */
message *message_of_push(const effect_push *p, const core *books);
message *message_of_order(const effect_order *o);

/*
 * What the net may do to one message alone, whatever carries it: asks, preferences, recalls, withdrawals, samples and
 * use may be lost, come twice, late or out of order. A request may come twice (it has a number), an offer also late.
 */
bool message_may_be_lost(const message *m);
bool message_may_repeat(const message *m);
bool message_may_be_late(const message *m);

/* One line for people, without the end of line. */
void message_show(const message *m, char *to, size_t size);
/* Mixes every byte of meaning into a hash: the proof that two runs were the same. */
uint64_t message_hash(const message *m, uint64_t seed);

#endif
