/*
 * channel.c - frames over a stream socket.
 *
 * In: bytes gather in one buffer that grows only to the size of a frame whose header was admitted.
 * A descriptor belongs to the frame whose first byte it came with. The kernel ends a read after
 * the message that carried descriptors, so one read brings at most one message's; where in the read
 * that message began it does not tell. So each descriptor keeps the span of stream that it may belong to: a
 * frame that announces one takes the oldest whose span holds its first byte, and a span
 * that is passed with its descriptor still there was never announced: the connection is refused.
 *
 * Out: frames gather in one buffer, bounded by a limit; descriptors wait with the offset of their
 * frame's first byte, and each is sent by a call that begins at that byte.
 */
#include "proto/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"
#include "proto/pack.h"

#define IN_BYTES     (16u << 10)  /* room for a pipeline of small requests */
#define IN_TURN      (256u << 10) /* one call reads no more: nobody starves the others */
#define OUT_KEEP     (64u << 10)  /* an empty buffer larger than this is given back */
#define OUT_LIMIT    (8u << 20)   /* default of channel_set_limit: some whole snapshots */
#define FDS_MAX      64u          /* waiting descriptors, each way: as many as requests in flight */
#define FDS_PER_READ 4u           /* more than the one that is allowed, to see that there were more */
#define SEND_ROUNDS  64u          /* of sendmsg in one flush */
#define BODY_USUAL   512u         /* room for a body that is not known yet */

_Static_assert(IN_BYTES >= FRAME_HEADER_BYTES + FRAME_BODY_MAX_HELLO, "a stranger's hello fits without growing");
#define BODY_ROOM_MAX ((size_t)FRAME_BODY_MAX + PACK_SLACK)

_Static_assert(OUT_LIMIT > FRAME_HEADER_BYTES + FRAME_BODY_MAX, "any one frame may be sent");

typedef struct {
    uint64_t start, end; /* in: the span that the read covered; out: start is the frame's first byte */
    int fd;
} rider;

typedef struct {
    rider items[FDS_MAX];
    uint32_t n;
} riders;

struct channel {
    int fd;
    peer_state from;
    const char *why; /* set: refused, for good */

    uint8_t *in;
    size_t in_start, in_end, in_capacity;
    uint64_t in_offset; /* of in[in_start] in the stream */
    riders in_fds;

    uint8_t *out;
    size_t out_start, out_end, out_capacity, out_limit;
    bool keeps;          /* never gives its last OUT_KEEP bytes back */
    uint64_t out_offset; /* of out[out_start] */
    riders out_fds;
};

static rider riders_take(riders *r)
{
    rider first = r->items[0];
    r->n--;
    memmove(r->items, r->items + 1, r->n * sizeof *r->items);
    return first;
}

static void riders_close(riders *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        close(r->items[i].fd);
    r->n = 0;
}

int channel_create(channel **ret, int fd, peer_state from)
{
    int flags = fcntl(fd, F_GETFL);
    int fd_flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fd_flags < 0)
        return STATUS_SYSTEM;
    channel *c = calloc(1, sizeof *c);
    if (!c)
        return STATUS_NO_MEMORY;
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, fd_flags | FD_CLOEXEC) < 0) {
        free(c);
        return STATUS_SYSTEM;
    }
    c->fd = fd;
    c->from = from;
    c->out_limit = OUT_LIMIT;
    *ret = c;
    return 0;
}

void channel_destroy(channel *c)
{
    if (!c)
        return;
    riders_close(&c->in_fds);
    riders_close(&c->out_fds);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

int channel_fd(const channel *c)
{
    return c->fd;
}

void channel_set_state(channel *c, peer_state from)
{
    c->from = from;
}

void channel_set_limit(channel *c, size_t unsent_bytes)
{
    c->out_limit = unsent_bytes;
}

const char *channel_why(const channel *c)
{
    return c->why ? c->why : "";
}

size_t channel_pending(const channel *c)
{
    return c->out_end - c->out_start;
}

/* ---- in ---- */

/* Makes room behind in_end for at least one byte of the frame that is coming in. Sets *ret_room to 0 when the
 * buffer holds a whole frame, or one that will be refused. */
static int in_make_room(channel *c, size_t *ret_room)
{
    size_t have = c->in_end - c->in_start;
    size_t need = IN_BYTES;
    if (have >= FRAME_HEADER_BYTES) {
        frame_header header;
        const char *why;
        frame_header_decode(c->in + c->in_start, &header);
        if (frame_admit(c->from, &header, &why) < 0) {
            *ret_room = 0;
            return 0;
        }
        size_t whole = FRAME_HEADER_BYTES + header.length;
        need = whole > need ? whole : need;
    }
    if (c->in_start > 0) {
        memmove(c->in, c->in + c->in_start, have);
        c->in_start = 0;
        c->in_end = have;
    }
    bool shrink = c->in_capacity > need && have <= need && c->in_capacity > IN_BYTES;
    if (c->in_capacity < need || shrink) {
        uint8_t *in = realloc(c->in, need);
        if (!in)
            return STATUS_NO_MEMORY;
        c->in = in;
        c->in_capacity = need;
    }
    *ret_room = c->in_capacity - c->in_end;
    return 0;
}

/* Takes the descriptors of one read into the queue. Every one that may not stay is closed. */
static void in_take_riders(channel *c, struct msghdr *message, size_t got)
{
    uint32_t taken = 0;
    for (struct cmsghdr *m = CMSG_FIRSTHDR(message); m; m = CMSG_NXTHDR(message, m)) {
        if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(m) + i * sizeof fd, sizeof fd);
            if (taken++ > 0 || c->in_fds.n == FDS_MAX) {
                close(fd);
                c->why = "more descriptors than messages announced";
                continue;
            }
            uint64_t start = c->in_offset + (c->in_end - c->in_start);
            c->in_fds.items[c->in_fds.n++] = (rider){.start = start, .end = start + got, .fd = fd};
        }
    }
    if (message->msg_flags & MSG_CTRUNC)
        c->why = "more descriptors than messages announced";
}

/* One read. Sets *ret_got to its bytes, *ret_more when another may bring something. */
static int in_read(channel *c, size_t room, size_t *ret_got, bool *ret_more)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * FDS_PER_READ)];
    } control;
    struct iovec iov = {.iov_base = c->in + c->in_end, .iov_len = room};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        *ret_got = 0;
        *ret_more = false;
        return 0;
    }
    if (got < 0)
        return errno == ECONNRESET || errno == EPIPE || errno == ENOTCONN ? STATUS_LOST : STATUS_SYSTEM;
    uint32_t before = c->in_fds.n;
    in_take_riders(c, &message, (size_t)got);
    if (got == 0)
        return STATUS_LOST;
    c->in_end += (size_t)got;
    *ret_got = (size_t)got;
    *ret_more = (size_t)got == room || c->in_fds.n != before;
    return 0;
}

int channel_receive(channel *c)
{
    size_t total = 0;
    bool more = true;
    while (more && total < IN_TURN && !c->why && c->in_fds.n < FDS_MAX) {
        size_t room, got;
        int r = in_make_room(c, &room);
        if (r < 0)
            return r;
        if (room == 0)
            return 0;
        r = in_read(c, room, &got, &more);
        if (r < 0)
            return total > 0 && r == STATUS_LOST ? 0 : r; /* what came before the end is looked at first */
        total += got;
    }
    return 0;
}

static int refuse(channel *c, const char *why)
{
    c->why = why;
    riders_close(&c->in_fds);
    return STATUS_PROTOCOL;
}

int channel_next(channel *c, frame *ret)
{
    if (c->why)
        return refuse(c, c->why);
    if (c->in_fds.n > 0 && c->in_fds.items[0].end <= c->in_offset)
        return refuse(c, "a descriptor came that no message announced");
    size_t have = c->in_end - c->in_start;
    if (have < FRAME_HEADER_BYTES)
        return 0;

    frame_header header;
    const char *why;
    frame_header_decode(c->in + c->in_start, &header);
    if (frame_admit(c->from, &header, &why) < 0)
        return refuse(c, why);
    if (have < FRAME_HEADER_BYTES + header.length)
        return 0;

    int fd = -1;
    if (header.flags & FRAME_HAS_FD) {
        if (c->in_fds.n == 0 || c->in_fds.items[0].start > c->in_offset)
            return refuse(c, "a message announced a descriptor that did not come with its first byte");
        fd = riders_take(&c->in_fds).fd;
    }
    *ret = (frame){.header = header, .body = c->in + c->in_start + FRAME_HEADER_BYTES, .fd = fd};
    c->in_start += FRAME_HEADER_BYTES + header.length;
    c->in_offset += FRAME_HEADER_BYTES + header.length;
    return 1;
}

/* ---- out ---- */

static int out_make_room(channel *c, size_t bytes)
{
    if (c->out_capacity - c->out_end >= bytes)
        return 0;
    size_t have = channel_pending(c);
    if (c->out_start > 0) {
        memmove(c->out, c->out + c->out_start, have);
        c->out_start = 0;
        c->out_end = have;
    }
    if (c->out_capacity - have >= bytes)
        return 0;
    size_t capacity = c->out_capacity ? c->out_capacity : 4096;
    while (capacity < have + bytes)
        capacity *= 2;
    uint8_t *out = realloc(c->out, capacity);
    if (!out)
        return STATUS_NO_MEMORY;
    c->out = out;
    c->out_capacity = capacity;
    return 0;
}

/* Packs a body behind the place of its header; the buffer grows until it fits. Nothing is queued yet. */
static int out_pack(channel *c, const ProtobufCMessage *message, size_t *ret_body)
{
    size_t body = PACK_NO_ROOM, room = BODY_USUAL;
    while (body == PACK_NO_ROOM) {
        int r = out_make_room(c, FRAME_HEADER_BYTES + room);
        if (r < 0)
            return r;
        room = c->out_capacity - c->out_end - FRAME_HEADER_BYTES;
        room = room < BODY_ROOM_MAX ? room : BODY_ROOM_MAX;
        uint8_t *to = c->out + c->out_end + FRAME_HEADER_BYTES;
        body = message ? pack_message(message, to, room) : 0;
        if (body == PACK_NO_ROOM ? room == BODY_ROOM_MAX : body > FRAME_BODY_MAX)
            return STATUS_INVALID;
        if (body != PACK_NO_ROOM)
            memmove(to, to + room - body, body);
        room = room < BODY_ROOM_MAX / 2 ? room * 2 : BODY_ROOM_MAX;
    }
    *ret_body = body;
    return 0;
}

int channel_send(channel *c, uint16_t type, uint64_t number, uint64_t acked, const ProtobufCMessage *message, int fd)
{
    if (channel_pending(c) > c->out_limit || (fd >= 0 && c->out_fds.n == FDS_MAX))
        return STATUS_LIMIT;
    size_t body;
    int r = out_pack(c, message, &body);
    if (r < 0)
        return r;
    size_t bytes = FRAME_HEADER_BYTES + body;
    if (bytes > c->out_limit - channel_pending(c))
        return STATUS_LIMIT;
    if (fd >= 0) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
            return STATUS_SYSTEM;
        uint64_t start = c->out_offset + channel_pending(c);
        c->out_fds.items[c->out_fds.n++] = (rider){.start = start, .end = start + bytes, .fd = copy};
    }
    frame_header header = {
        .length = (uint32_t)body, .type = type, .flags = fd >= 0 ? FRAME_HAS_FD : 0, .number = number, .acked = acked};
    frame_header_encode(&header, c->out + c->out_end);
    c->out_end += bytes;
    return 0;
}

/* One write: up to the next frame that has a descriptor, or that frame with it. */
static ssize_t out_write(channel *c)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = c->out + c->out_start, .iov_len = channel_pending(c)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    const riders *fds = &c->out_fds;
    bool rides = fds->n > 0 && fds->items[0].start == c->out_offset;
    if (rides) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *m = CMSG_FIRSTHDR(&message);
        m->cmsg_level = SOL_SOCKET;
        m->cmsg_type = SCM_RIGHTS;
        m->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(m), &fds->items[0].fd, sizeof(int));
    }
    uint32_t next = rides ? 1 : 0;
    if (fds->n > next)
        iov.iov_len = (size_t)(fds->items[next].start - c->out_offset);
    ssize_t sent = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0 && rides)
        close(riders_take(&c->out_fds).fd);
    return sent;
}

/* All was written. */
static void out_shrink(channel *c)
{
    c->out_start = c->out_end = 0;
    if (c->out_capacity <= OUT_KEEP)
        return;
    uint8_t *out = c->keeps ? realloc(c->out, OUT_KEEP) : NULL;
    if (c->keeps && !out)
        return; /* the larger one serves as well */
    if (!c->keeps)
        free(c->out);
    c->out = out;
    c->out_capacity = out ? OUT_KEEP : 0;
}

int channel_flush(channel *c)
{
    for (uint32_t round = 0; round < SEND_ROUNDS && channel_pending(c) > 0; round++) {
        ssize_t sent = out_write(c);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (sent < 0)
            return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? STATUS_LOST : STATUS_SYSTEM;
        c->out_start += (size_t)sent;
        c->out_offset += (size_t)sent;
    }
    if (channel_pending(c) == 0)
        out_shrink(c);
    return 0;
}

int channel_reserve(channel *c)
{
    size_t room;
    int r = in_make_room(c, &room);
    if (r == 0)
        r = out_make_room(c, OUT_KEEP);
    c->keeps = r == 0;
    return r;
}
