/*
 * frame.c - the header's bytes, and the table of who may send what when.
 *
 * One row for each message type. A type that has no row, or whose row does not name the sender's
 * state, is refused before a byte of its body is looked at.
 */
#include "proto/frame.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/status.h"
#include "granary.pb-c.h"

#define FROM(state) (1u << (state))
#define CLIENT      FROM(PEER_CLIENT)
#define TO_CLIENT   FROM(PEER_BROKER_TO_CLIENT)
#define TO_AGENT    FROM(PEER_BROKER_TO_AGENT)
#define AGENT       FROM(PEER_AGENT)
#define ANY_BROKER  (TO_CLIENT | TO_AGENT | FROM(PEER_BROKER_TO_CLIENT_NEW) | FROM(PEER_BROKER_TO_AGENT_NEW))

#define TYPES    256u  /* one byte of numbers: the table is indexed by type */
#define WITH_FD  true  /* a descriptor may ride along; one that is missing is the request's own failure */
#define NO_FD    false /* a descriptor would be a leak */
#define ROW(t)   [GRANARY__MESSAGE_TYPE__TYPE_##t]
#define NAMED(t) .name = #t

typedef struct {
    const char *name; /* NULL: no such type */
    uint32_t from;    /* FROM() of every state that may send it */
    bool fd;
} type_row;

static const type_row types[TYPES] = {
    ROW(HELLO) = {NAMED(HELLO), FROM(PEER_CLIENT_NEW), NO_FD},
    ROW(ALLOCATE) = {NAMED(ALLOCATE), CLIENT, NO_FD},
    ROW(CANCEL) = {NAMED(CANCEL), CLIENT, NO_FD},
    ROW(WANT) = {NAMED(WANT), CLIENT, NO_FD},
    ROW(RELEASE) = {NAMED(RELEASE), CLIENT, NO_FD},
    ROW(RELEASE_N) = {NAMED(RELEASE_N), CLIENT, NO_FD},
    ROW(OFFER) = {NAMED(OFFER), CLIENT, NO_FD},
    ROW(CLAIM) = {NAMED(CLAIM), CLIENT, WITH_FD},
    ROW(ENTER) = {NAMED(ENTER), CLIENT, WITH_FD},
    ROW(SHRINK) = {NAMED(SHRINK), CLIENT, NO_FD},
    ROW(CLOSE) = {NAMED(CLOSE), CLIENT, NO_FD},
    ROW(TRANSFER) = {NAMED(TRANSFER), CLIENT, NO_FD},
    ROW(RECALL_OUTCOME) = {NAMED(RECALL_OUTCOME), CLIENT, NO_FD},
    ROW(DRAIN) = {NAMED(DRAIN), CLIENT, NO_FD},
    ROW(UNDRAIN) = {NAMED(UNDRAIN), CLIENT, NO_FD},
    ROW(RELEASE_FOREIGN) = {NAMED(RELEASE_FOREIGN), CLIENT, NO_FD},
    ROW(QUERY) = {NAMED(QUERY), CLIENT, NO_FD},
    ROW(GOODBYE) = {NAMED(GOODBYE), CLIENT, NO_FD},
    ROW(PLAN) = {NAMED(PLAN), CLIENT, NO_FD},
    ROW(EMPTY) = {NAMED(EMPTY), CLIENT, NO_FD},

    ROW(WELCOME) = {NAMED(WELCOME), FROM(PEER_BROKER_TO_CLIENT_NEW), NO_FD},
    ROW(REPLY) = {NAMED(REPLY), TO_CLIENT, NO_FD},
    ROW(QUERY_REPLY) = {NAMED(QUERY_REPLY), TO_CLIENT, NO_FD},
    ROW(ERROR) = {NAMED(ERROR), ANY_BROKER, NO_FD},
    ROW(CHANGED) = {NAMED(CHANGED), TO_CLIENT, NO_FD},
    ROW(ENDED) = {NAMED(ENDED), TO_CLIENT, NO_FD},
    ROW(ASK) = {NAMED(ASK), TO_CLIENT, NO_FD},
    ROW(RECALL) = {NAMED(RECALL), TO_CLIENT, NO_FD},
    ROW(PREFER) = {NAMED(PREFER), TO_CLIENT, NO_FD},
    ROW(WITHDRAW) = {NAMED(WITHDRAW), TO_CLIENT, NO_FD},
    ROW(CLAIM_ENDED) = {NAMED(CLAIM_ENDED), TO_CLIENT, NO_FD},
    ROW(CLAIM_OVER) = {NAMED(CLAIM_OVER), TO_CLIENT, NO_FD},

    ROW(AGENT_WELCOME) = {NAMED(AGENT_WELCOME), FROM(PEER_BROKER_TO_AGENT_NEW), NO_FD},
    ROW(AGENT_EXPECT) = {NAMED(AGENT_EXPECT), TO_AGENT, NO_FD},
    ROW(AGENT_READY) = {NAMED(AGENT_READY), TO_AGENT, NO_FD},
    ROW(AGENT_OPEN) = {NAMED(AGENT_OPEN), TO_AGENT, WITH_FD},
    ROW(AGENT_ENTER) = {NAMED(AGENT_ENTER), TO_AGENT, WITH_FD},
    ROW(AGENT_LIMIT) = {NAMED(AGENT_LIMIT), TO_AGENT, NO_FD},
    ROW(AGENT_END) = {NAMED(AGENT_END), TO_AGENT, NO_FD},
    ROW(AGENT_CLOSE) = {NAMED(AGENT_CLOSE), TO_AGENT, NO_FD},
    ROW(AGENT_EMPTY) = {NAMED(AGENT_EMPTY), TO_AGENT, NO_FD},

    ROW(AGENT_HELLO) = {NAMED(AGENT_HELLO), FROM(PEER_AGENT_NEW), NO_FD},
    ROW(AGENT_SAMPLE) = {NAMED(AGENT_SAMPLE), AGENT, NO_FD},
    ROW(AGENT_OPENED) = {NAMED(AGENT_OPENED), AGENT, NO_FD},
    ROW(AGENT_ENTERED) = {NAMED(AGENT_ENTERED), AGENT, NO_FD},
    ROW(AGENT_LIMITED) = {NAMED(AGENT_LIMITED), AGENT, NO_FD},
    ROW(AGENT_DRAINED) = {NAMED(AGENT_DRAINED), AGENT, NO_FD},
    ROW(AGENT_EMPTIED) = {NAMED(AGENT_EMPTIED), AGENT, NO_FD},
    ROW(AGENT_NOTICE) = {NAMED(AGENT_NOTICE), AGENT, NO_FD},
};

/* Little-endian on every machine. */
#define PUT(to, bits, value)                                                                                           \
    do {                                                                                                               \
        uint##bits##_t put_ = htole##bits(value);                                                                      \
        memcpy((to), &put_, sizeof put_);                                                                              \
    } while (0)

#define GET(from, bits, ret)                                                                                           \
    do {                                                                                                               \
        uint##bits##_t got_;                                                                                           \
        memcpy(&got_, (from), sizeof got_);                                                                            \
        *(ret) = le##bits##toh(got_);                                                                                  \
    } while (0)

void frame_header_encode(const frame_header *header, uint8_t to[FRAME_HEADER_BYTES])
{
    PUT(to, 32, header->length);
    PUT(to + 4, 16, header->type);
    PUT(to + 6, 16, header->flags);
    PUT(to + 8, 64, header->number);
    PUT(to + 16, 64, header->acked);
}

void frame_header_decode(const uint8_t from[FRAME_HEADER_BYTES], frame_header *ret)
{
    GET(from, 32, &ret->length);
    GET(from + 4, 16, &ret->type);
    GET(from + 6, 16, &ret->flags);
    GET(from + 8, 64, &ret->number);
    GET(from + 16, 64, &ret->acked);
}

static const type_row *row_of(uint16_t type)
{
    return type < TYPES && types[type].name ? &types[type] : NULL;
}

/* Only a client is a stranger before its hello: an agent's link is a socketpair or proven by its
 * certificate, and its first frame names every group that it found. */
static uint32_t body_limit(peer_state from)
{
    return from == PEER_CLIENT_NEW ? FRAME_BODY_MAX_HELLO : FRAME_BODY_MAX;
}

int frame_admit(peer_state from, const frame_header *header, const char **ret_why)
{
    assert(from <= PEER_BROKER_TO_AGENT);
    const type_row *row = row_of(header->type);
    const char *why = NULL;

    if (!row)
        why = "a message of an unknown type: is the other side a newer Granary?";
    else if (!(row->from & FROM(from)))
        why = "a message that this side may not send now: the hello comes first, and once";
    else if (header->flags & ~FRAME_HAS_FD)
        why = "reserved flags are set: is the other side a newer Granary?";
    else if ((header->flags & FRAME_HAS_FD) && !row->fd)
        why = "a descriptor rides with a message that takes none";
    else if (header->length > body_limit(from))
        why = from == PEER_CLIENT_NEW ? "the first message is longer than 4 KiB" : "a message is longer than 1 MiB";
    if (!why)
        return 0;
    *ret_why = why;
    return STATUS_PROTOCOL;
}

const char *frame_type_name(uint16_t type)
{
    const type_row *row = row_of(type);
    return row ? row->name : "?";
}
