/*
 * wire.h - the broker's end of the socket: raw frames, so that what is wrong can be named, and be sent.
 *
 * One connection at a time; others wait in the backlog. Frames out are written at once, whole or in pieces. The
 * library's own channel would refuse what is wrong before it could be told apart, so only the header's layout and the
 * table of who may send what are shared with it.
 */
#ifndef CONFORMANCE_WIRE_H
#define CONFORMANCE_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "proto/frame.h"

#define WIRE_FDS 64

typedef struct {
    char path[104];
    int listener; /* -1: the broker is away */
    int fd;       /* -1: nobody is connected */
    uint64_t serial;
    uint64_t pushes; /* numbered on this connection */
    bool pieces;     /* write a few bytes at a time, each read before the next */
    bool verbose;
    uint8_t *in;
    size_t n, start, capacity;
    int fds[WIRE_FDS];
    unsigned n_fds;
    bool deaf;  /* nothing can be sent any more */
    bool ended; /* the client closed it, or it broke; what came before is still in `in` */
} wire;

typedef struct {
    frame_header header;
    const uint8_t *body; /* until the next wire_read() */
    int fd;              /* -1, or the caller's */
} wire_frame;

/* Listens in `folder`. STATUS_SYSTEM. */
int wire_listen(wire *w, const char *folder);
void wire_leave(wire *w); /* stops listening: the broker is away */
void wire_finish(wire *w);

/* Takes the next connection. False: there was none. */
bool wire_accept(wire *w);

/* Closes the connection, at once. */
void wire_break(wire *w);

/* Reads what is there. */
void wire_read(wire *w);

/* 1: `*ret` is the next whole frame; 0: none yet; STATUS_PROTOCOL: `*ret` has only a header, longer than any may be. */
int wire_next(wire *w, wire_frame *ret);

/* Writes; when the client is gone or does not read, the connection is broken. */
void wire_write(wire *w, const void *bytes, size_t n);
void wire_send(wire *w, uint16_t type, uint64_t number, const ProtobufCMessage *message);

/* The frame's bytes, malloc'd; NULL without memory. `more` are put behind the body. */
uint8_t *wire_pack(uint16_t type, uint64_t number, const ProtobufCMessage *message, const uint8_t *more, size_t n_more,
                   size_t *ret_n);

/* Bytes that were sent and not yet read by the client. */
size_t wire_unread(const wire *w);

#endif
