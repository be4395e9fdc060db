/*
 * frame.h - the header in front of every message, and who may send what when.
 *
 * Pure: bytes in, decisions out. The layout stands in proto/granary.proto.
 */
#ifndef GRANARY_PROTO_FRAME_H
#define GRANARY_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_VERSION     1u
#define FRAME_HEADER_BYTES   24u
#define FRAME_BODY_MAX       (1u << 20) /* after the hello */
#define FRAME_BODY_MAX_HELLO (4u << 10) /* a client's hello: a stranger may not make us allocate more */
#define FRAME_HAS_FD         1u

typedef struct {
    uint32_t length; /* of the body */
    uint16_t type;   /* a MessageType */
    uint16_t flags;
    uint64_t number;
    uint64_t acked;
} frame_header;

/* The other side's role and how far the conversation is. */
typedef enum {
    PEER_CLIENT_NEW, /* a client before its hello */
    PEER_CLIENT,     /* a client with a session */
    PEER_AGENT_NEW,  /* an agent before its hello */
    PEER_AGENT,
    PEER_BROKER_TO_CLIENT_NEW, /* seen from a client: before the welcome */
    PEER_BROKER_TO_CLIENT,
    PEER_BROKER_TO_AGENT_NEW,
    PEER_BROKER_TO_AGENT,
} peer_state;

void frame_header_encode(const frame_header *header, uint8_t to[FRAME_HEADER_BYTES]);
void frame_header_decode(const uint8_t from[FRAME_HEADER_BYTES], frame_header *ret);

/*
 * Decides from the header alone whether `from` may send this frame now: type known and allowed, length
 * within the state's limit, flags known, a descriptor only where one belongs. Returns 0, or
 * STATUS_PROTOCOL with a sentence in `*ret_why` (static storage).
 */
int frame_admit(peer_state from, const frame_header *header, const char **ret_why);

/* "ALLOCATE" for TYPE_ALLOCATE; "?" when unknown. Static storage. */
const char *frame_type_name(uint16_t type);

#endif
