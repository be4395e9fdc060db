/* wire.c - frames to and from bytes of a Unix socket. */
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/status.h"

#define READ_BYTES 65536u
#define WRITE_MS   5000 /* a client that reads nothing for so long is disconnected */
#define PIECE      3u
#define PIECE_MS   200 /* for a piece to be read */

int wire_listen(wire *w, const char *folder)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(w->path, sizeof w->path, "%s/socket", folder);
    memcpy(name.sun_path, w->path, sizeof w->path);
    w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->listener < 0 || bind(w->listener, (struct sockaddr *)&name, sizeof name) < 0 || listen(w->listener, 16) < 0)
        return STATUS_SYSTEM;
    return 0;
}

void wire_leave(wire *w)
{
    unlink(w->path);
    if (w->listener >= 0)
        close(w->listener);
    w->listener = -1;
}

void wire_break(wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    w->n = w->start = 0;
    w->ended = w->deaf = false;
    while (w->n_fds > 0)
        close(w->fds[--w->n_fds]);
}

void wire_finish(wire *w)
{
    wire_break(w);
    wire_leave(w);
    free(w->in);
    w->in = NULL;
    w->capacity = 0;
}

bool wire_accept(wire *w)
{
    assert(w->fd < 0);
    w->fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (w->fd < 0)
        return false;
    w->serial++;
    w->pushes = 0;
    if (w->verbose)
        fprintf(stderr, "  -- connection %llu\n", (unsigned long long)w->serial);
    return true;
}

static void take_fds(wire *w, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (w->n_fds < WIRE_FDS)
                w->fds[w->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

static bool make_room(wire *w)
{
    if (w->start > 0) {
        memmove(w->in, w->in + w->start, w->n - w->start);
        w->n -= w->start;
        w->start = 0;
    }
    if (w->capacity - w->n >= READ_BYTES)
        return true;
    uint8_t *larger = realloc(w->in, w->n + 2 * READ_BYTES);
    if (!larger)
        return false;
    w->in = larger;
    w->capacity = w->n + 2 * READ_BYTES;
    return true;
}

void wire_read(wire *w)
{
    while (w->fd >= 0 && !w->ended && make_room(w)) {
        char control[CMSG_SPACE(16 * sizeof(int))];
        struct iovec room = {.iov_base = w->in + w->n, .iov_len = READ_BYTES};
        struct msghdr m = {.msg_iov = &room, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(w->fd, &m, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            w->ended = true;
            return;
        }
        take_fds(w, &m);
        w->n += (size_t)n;
    }
}

int wire_next(wire *w, wire_frame *ret)
{
    size_t left = w->n - w->start;
    if (w->fd < 0 || left < FRAME_HEADER_BYTES)
        return 0;
    *ret = (wire_frame){.fd = -1};
    frame_header_decode(w->in + w->start, &ret->header);
    if (ret->header.length > FRAME_BODY_MAX)
        return STATUS_PROTOCOL;
    if (left < FRAME_HEADER_BYTES + ret->header.length)
        return 0;
    ret->body = w->in + w->start + FRAME_HEADER_BYTES;
    w->start += FRAME_HEADER_BYTES + ret->header.length;
    if ((ret->header.flags & FRAME_HAS_FD) && w->n_fds > 0) {
        ret->fd = w->fds[0];
        memmove(w->fds, w->fds + 1, --w->n_fds * sizeof *w->fds);
    }
    if (w->verbose)
        fprintf(stderr, "  <- %s %llu acked %llu\n", frame_type_name(ret->header.type),
                (unsigned long long)ret->header.number, (unsigned long long)ret->header.acked);
    return 1;
}

size_t wire_unread(const wire *w)
{
    int n = 0;
    if (w->fd < 0 || ioctl(w->fd, SIOCOUTQ, &n) < 0)
        return 0;
    return (size_t)n;
}

static bool write_all(wire *w, const uint8_t *at, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(w->fd, at, n, MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            n -= (size_t)sent;
            continue;
        }
        struct pollfd room = {.fd = w->fd, .events = POLLOUT};
        if (sent < 0 && errno == EAGAIN && poll(&room, 1, WRITE_MS) == 1)
            continue;
        if (sent < 0 && errno == EINTR)
            continue;
        return false;
    }
    return true;
}

void wire_write(wire *w, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    while (n > 0 && w->fd >= 0 && !w->deaf) {
        size_t part = w->pieces && n > PIECE ? PIECE : n;
        if (!write_all(w, at, part)) {
            w->deaf = true; /* what the client said before is still to be read */
            return;
        }
        at += part;
        n -= part;
        for (int ms = 0; w->pieces && wire_unread(w) > 0 && ms < PIECE_MS; ms++)
            poll(NULL, 0, 1); /* the kernel tells nobody when a peer has read */
    }
}

uint8_t *wire_pack(uint16_t type, uint64_t number, const ProtobufCMessage *message, const uint8_t *more, size_t n_more,
                   size_t *ret_n)
{
    size_t body = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(FRAME_HEADER_BYTES + body + n_more);
    if (!bytes)
        return NULL;
    frame_header header = {.length = (uint32_t)(body + n_more), .type = type, .number = number};
    frame_header_encode(&header, bytes);
    protobuf_c_message_pack(message, bytes + FRAME_HEADER_BYTES);
    if (n_more > 0)
        memcpy(bytes + FRAME_HEADER_BYTES + body, more, n_more);
    *ret_n = FRAME_HEADER_BYTES + body + n_more;
    return bytes;
}

void wire_send(wire *w, uint16_t type, uint64_t number, const ProtobufCMessage *message)
{
    size_t n;
    uint8_t *bytes = w->fd >= 0 && !w->deaf ? wire_pack(type, number, message, NULL, 0, &n) : NULL;
    if (!bytes)
        return;
    if (w->verbose)
        fprintf(stderr, "  -> %s %llu\n", frame_type_name(type), (unsigned long long)number);
    wire_write(w, bytes, n);
    free(bytes);
}
