/*
 * frames.c - what a stranger, a client, a broker or an agent writes to a socket, up to an event of the core.
 *
 * The bytes arrive in pieces, with or without descriptors. What is admitted is unpacked as its reader would, packed
 * again (both packers must agree), and, from a client, stepped into a core that owns some things already.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "books.h"
#include "fuzz.h"
#include "message.h"

#include "base/status.h"
#include "base/text.h"
#include "core/view.h"
#include "daemon/requests.h"
#include "granary.pb-c.h"
#include "proto/channel.h"
#include "proto/pack.h"

#define FRAMES_MAX 64u
#define PACKED_MAX (1u << 20)
#define SCRATCH    (4u << 20)

typedef struct {
    fuzz_input in;
    books books, spare;
    scratch scratch;
    request_room room;
    uint8_t *packed, *packed_too;
    peer_state state;
    channel *channel;
    int writer; /* the stranger's end */
    uint64_t number;
    bool gone;
} wire;

static wire w;

static void prepare(void)
{
    if (w.packed)
        return;
    w.packed = malloc(PACKED_MAX);
    w.packed_too = malloc(PACKED_MAX);
    w.room.default_notice = 1000;
    int r = scratch_init(&w.scratch, SCRATCH);
    assert(w.packed && w.packed_too && r == 0);
}

/* A host and a session: what every request needs. */
static void begin(void)
{
    core_event hello = {.kind = EVENT_HOST_HELLO, .hello = {.name = "a", .boot_id = "1", .limited = true, .cores = 4}};
    core_event open = {.kind = EVENT_SESSION_OPEN, .session = {.user = {1}, .link = 1, .operator_ = true}};
    hello.hello.physical = hello.hello.total = GIB(4);
    books_start(&w.books);
    int r = core_recover(w.books.core, 1000, false, &w.books.effects);
    assert(r == 0);
    books_keep(&w.books);
    books_step(&w.books, 1000, &hello);
    books_step(&w.books, 1000, &(core_event){.kind = EVENT_HOST_SAMPLE});
    books_step(&w.books, 1000, &open);
}

static int find_host(void *userdata, const char *name, host_id *ret)
{
    (void)userdata;
    host_view v;
    int r = view_host_by_name(w.books.core, name, &v);
    if (r == 0)
        *ret = v.id;
    return r;
}

static void request(const frame *f)
{
    core_event event;
    char why[REQUEST_WHY_MAX] = "";
    int r = request_read(&w.room, &w.scratch, f, find_host, NULL, &event, why, sizeof why);
    assert(r == 0 || r == STATUS_INVALID || r == STATUS_NOT_FOUND || r == STATUS_PROTOCOL || r == STATUS_NO_MEMORY);
    assert(r == 0 || (why[0] && text_printable(why)));
    w.gone = r == STATUS_PROTOCOL || r == STATUS_NO_MEMORY;
    if (r < 0)
        return;
    event.request = (event_request){.session = {1}, .number = {f->header.number}, .acked = {f->header.acked}};
    if (event.kind == EVENT_CLAIM)
        event.claim.handle = f->fd >= 0;
    if (event.kind == EVENT_ENTER)
        event.enter.handle = f->fd >= 0;
    books_step(&w.books, 1000, &event);
}

/* What was read is written as the library of the format writes it. */
static void judge_packing(const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    assert(n <= PACKED_MAX - PACK_SLACK); /* a body of zeros in lists of numbers grows, but not so far */
    size_t ours = pack_message(m, w.packed, PACKED_MAX);
    assert(ours == n && protobuf_c_message_pack(m, w.packed_too) == n);
    assert(memcmp(w.packed + PACKED_MAX - n, w.packed_too, n) == 0);
}

static void take(frame *f)
{
    const ProtobufCMessageDescriptor *d = message_of(f->header.type);
    assert(d && f->header.length <= FRAME_BODY_MAX && *frame_type_name(f->header.type) != '?');
    assert(f->header.flags & FRAME_HAS_FD || f->fd < 0);
    ProtobufCMessage *m = request_unpack(&w.scratch, d, f);
    if (m)
        judge_packing(m);
    scratch_reset(&w.scratch);
    if (w.state == PEER_CLIENT && f->header.type != GRANARY__MESSAGE_TYPE__TYPE_QUERY &&
        f->header.type != GRANARY__MESSAGE_TYPE__TYPE_GOODBYE)
        request(f);
    scratch_reset(&w.scratch);
    static const peer_state next[] = {
        [PEER_CLIENT_NEW] = PEER_CLIENT,
        [PEER_AGENT_NEW] = PEER_AGENT,
        [PEER_BROKER_TO_CLIENT_NEW] = PEER_BROKER_TO_CLIENT,
        [PEER_BROKER_TO_AGENT_NEW] = PEER_BROKER_TO_AGENT,
        [PEER_BROKER_TO_AGENT] = PEER_BROKER_TO_AGENT,
    };
    if (w.state % 2 == 0 && m) {
        w.state = next[w.state];
        channel_set_state(w.channel, w.state);
    }
    if (f->fd >= 0)
        close(f->fd);
}

/* Reads what is there, as every owner of a channel does. */
static void receive(void)
{
    int received = channel_receive(w.channel), got = 0;
    frame f;
    while (!w.gone && (got = channel_next(w.channel, &f)) == 1)
        take(&f);
    assert(got == 0 || w.gone || (got == STATUS_PROTOCOL && *channel_why(w.channel)));
    w.gone |= got < 0 || received < 0;
}

static void write_piece(const uint8_t *from, size_t n, bool with_fd)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)from, .iov_len = n};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int fd = with_fd ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        control.header =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    }
    ssize_t sent = n > 0 ? sendmsg(w.writer, &message, MSG_NOSIGNAL) : 0;
    assert(sent == (ssize_t)n); /* far less than a socket holds */
    if (fd >= 0)
        close(fd);
}

/* One frame, whole or in two pieces; one in eight has a header that was not made for its body. */
static void send_frame(void)
{
    static uint8_t bytes[FRAME_HEADER_BYTES + MESSAGE_MAX];
    uint16_t type = message_type(&w.in);
    uint8_t how = fuzz_byte(&w.in);
    uint64_t number = how & 1 ? ++w.number : fuzz_count(&w.in);
    size_t n = message_frame(&w.in, type, number, how & 2 ? 0 : number / 2, bytes);
    bool with_fd = (how & 12) == 12;
    frame_header header;
    frame_header_decode(bytes, &header);
    header.flags |= with_fd && (how & 0x10) ? FRAME_HAS_FD : 0;
    if (how >= 0xe0) {
        header.length = (uint32_t)fuzz_count(&w.in);
        header.flags = (uint16_t)fuzz_byte(&w.in);
    }
    frame_header_encode(&header, bytes);
    size_t first = how & 0x20 ? 1 + fuzz_byte(&w.in) % n : n;
    write_piece(bytes, first, with_fd);
    receive();
    if (w.gone || first == n)
        return;
    write_piece(bytes + first, n - first, false);
    receive();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2];
    prepare();
    w.in = (fuzz_input){.at = data, .left = size};
    w.number = 0;
    w.gone = false;
    w.state = fuzz_below(&w.in, PEER_BROKER_TO_AGENT + 1);
    if (w.state <= PEER_CLIENT)
        begin();
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    assert(r == 0);
    r = channel_create(&w.channel, ends[0], w.state);
    assert(r == 0);
    w.writer = ends[1];
    for (unsigned i = 0; i < FRAMES_MAX && w.in.left > 0 && !w.gone; i++)
        send_frame();
    close(w.writer);
    if (!w.gone)
        receive();
    channel_destroy(w.channel);
    if (w.state <= PEER_CLIENT)
        books_prove_replay(&w.books, &w.spare);
    return 0;
}
