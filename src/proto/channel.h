/*
 * channel.h - frames over one nonblocking stream socket, with descriptors riding along.
 *
 * No event loop inside: the owner polls channel_fd() for reading, and for writing while
 * channel_pending() is not 0. Used by broker, agent and client alike. Not thread-safe.
 */
#ifndef GRANARY_PROTO_CHANNEL_H
#define GRANARY_PROTO_CHANNEL_H

#include <protobuf-c/protobuf-c.h>

#include "proto/frame.h"

typedef struct channel channel;

typedef struct {
    frame_header header;
    const uint8_t *body; /* borrowed until the next channel_receive() or channel_next() */
    int fd;              /* -1, or a close-on-exec descriptor that the caller now owns */
} frame;

/* Takes over `fd` (made nonblocking, close-on-exec). `from` is what the other side is. STATUS_NO_MEMORY, STATUS_SYSTEM:
 * fd stays the caller's. */
int channel_create(channel **ret, int fd, peer_state from);
void channel_destroy(channel *c); /* closes the fd and every descriptor not handed out; NULL is fine */

/* Takes both buffers now, and keeps them: frames of usual size then cost no allocation. STATUS_NO_MEMORY. */
int channel_reserve(channel *c);

int channel_fd(const channel *c);
void channel_set_state(channel *c, peer_state from); /* after the hello */

/*
 * Reads what is there, at most a bounded amount. 0; STATUS_LOST at the end of the stream or a
 * reset; STATUS_NO_MEMORY; STATUS_SYSTEM. EAGAIN is 0. Frames that came before the end are still there:
 * call channel_next() until it gives 0 after every call, also after a failed one.
 */
int channel_receive(channel *c);

/*
 * Takes the next whole frame. 1: `*ret` is filled; 0: none yet; STATUS_PROTOCOL: not admitted (see
 * channel_why), the connection must be closed.
 */
int channel_next(channel *c, frame *ret);
const char *channel_why(const channel *c);

/*
 * Queues a frame; `message` may be NULL for an empty body. `fd` -1, or a descriptor that is duplicated.
 * STATUS_LIMIT when more than the limit waits unsent (the reader is dead or hostile), STATUS_INVALID for a
 * body above FRAME_BODY_MAX, STATUS_NO_MEMORY, STATUS_SYSTEM. Nothing is queued on failure.
 */
int channel_send(channel *c, uint16_t type, uint64_t number, uint64_t acked, const ProtobufCMessage *message, int fd);
void channel_set_limit(channel *c, size_t unsent_bytes);

/* Writes what the socket takes. 0, STATUS_LOST, STATUS_SYSTEM. */
int channel_flush(channel *c);
size_t channel_pending(const channel *c);

#endif
