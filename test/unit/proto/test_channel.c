/* channel: whole frames out of any cut of the stream, descriptors with their frame, and nothing of a hostile peer kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/status.h"
#include "granary.pb-c.h"
#include "proto/channel.h"

#define TYPE(t) ((uint16_t)GRANARY__MESSAGE_TYPE__TYPE_##t)

typedef struct {
    channel *c;
    int raw;         /* the peer's end, written by hand; -1 once closed */
    int descriptors; /* open in this process before the test */
} bench;

static int descriptors_open(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int bench_open(void **state)
{
    static bench b;
    int pair[2];
    b.descriptors = descriptors_open();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    b.raw = pair[1];
    assert_int_equal(channel_create(&b.c, pair[0], PEER_CLIENT), 0);
    *state = &b;
    return 0;
}

/* Every test also proves that no descriptor was left open. */
static int bench_close(void **state)
{
    bench *b = *state;
    channel_destroy(b->c);
    if (b->raw >= 0)
        close(b->raw);
    assert_int_equal(descriptors_open(), b->descriptors);
    return 0;
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool no_memory;

void *__wrap_realloc(void *p, size_t size)
{
    return no_memory ? NULL : __real_realloc(p, size);
}

static size_t raw_frame(uint8_t *to, frame_header header, const void *body)
{
    frame_header_encode(&header, to);
    if (body)
        memcpy(to + FRAME_HEADER_BYTES, body, header.length);
    return FRAME_HEADER_BYTES + (body ? header.length : 0);
}

static void raw_send(bench *b, const void *data, size_t size, const int *fds, size_t n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 16)];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *m = CMSG_FIRSTHDR(&message);
        m->cmsg_level = SOL_SOCKET;
        m->cmsg_type = SCM_RIGHTS;
        m->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(m), fds, sizeof(int) * n);
    }
    assert_int_equal(sendmsg(b->raw, &message, MSG_NOSIGNAL), (ssize_t)size);
}

static void expect_refused(bench *b, const char *why)
{
    frame f;
    assert_int_equal(channel_receive(b->c), 0);
    assert_int_equal(channel_next(b->c, &f), STATUS_PROTOCOL);
    assert_string_equal(channel_why(b->c), why);
    assert_int_equal(channel_next(b->c, &f), STATUS_PROTOCOL); /* for good */
}

static bool same_file(int a, int b)
{
    struct stat sa, sb;
    assert_int_equal(fstat(a, &sa), 0);
    assert_int_equal(fstat(b, &sb), 0);
    return sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev;
}

static void both_sides_speak(void **state)
{
    bench *b = *state;
    channel *peer;
    assert_int_equal(channel_create(&peer, b->raw, PEER_BROKER_TO_CLIENT), 0);
    b->raw = -1;

    Granary__Release release = GRANARY__RELEASE__INIT;
    Granary__Extent extent = GRANARY__EXTENT__INIT, *extents[] = {&extent};
    extent.host = 7;
    extent.chunks = 3;
    release.allocation = 5;
    release.extents = extents;
    release.n_extents = 1;
    assert_int_equal(channel_pending(peer), 0);
    assert_int_equal(channel_send(peer, TYPE(RELEASE), 9, 8, &release.base, -1), 0);
    assert_int_equal(channel_send(peer, TYPE(GOODBYE), 10, 9, NULL, -1), 0);
    assert_int_equal(channel_pending(peer), 2 * FRAME_HEADER_BYTES + granary__release__get_packed_size(&release));
    assert_int_equal(channel_flush(peer), 0);
    assert_int_equal(channel_pending(peer), 0);

    frame f;
    assert_int_equal(channel_next(b->c, &f), 0);
    assert_int_equal(channel_receive(b->c), 0);
    assert_int_equal(channel_next(b->c, &f), 1);
    assert_int_equal(f.header.type, TYPE(RELEASE));
    assert_true(f.header.number == 9 && f.header.acked == 8 && f.fd == -1);
    Granary__Release *got = granary__release__unpack(NULL, f.header.length, f.body);
    assert_non_null(got);
    assert_true(got->allocation == 5 && got->n_extents == 1);
    assert_true(got->extents[0]->host == 7 && got->extents[0]->chunks == 3);
    granary__release__free_unpacked(got, NULL);
    assert_int_equal(channel_next(b->c, &f), 1);
    assert_int_equal(f.header.type, TYPE(GOODBYE));
    assert_int_equal(f.header.length, 0);
    assert_int_equal(channel_next(b->c, &f), 0);

    channel_destroy(peer);
    assert_int_equal(channel_receive(b->c), STATUS_LOST);
}

static void one_byte_at_a_time(void **state)
{
    bench *b = *state;
    uint8_t bytes[64];
    size_t n = raw_frame(bytes, (frame_header){.length = 5, .type = TYPE(WANT), .number = 1}, "abcde");
    n += raw_frame(bytes + n, (frame_header){.length = 0, .type = TYPE(GOODBYE), .number = 2}, NULL);
    int seen = 0;
    for (size_t i = 0; i < n; i++) {
        frame f;
        raw_send(b, bytes + i, 1, NULL, 0);
        assert_int_equal(channel_receive(b->c), 0);
        int r = channel_next(b->c, &f);
        bool whole = i == FRAME_HEADER_BYTES + 4 || i == n - 1;
        assert_int_equal(r, whole ? 1 : 0);
        if (r == 1 && seen++ == 0)
            assert_memory_equal(f.body, "abcde", 5);
    }
    assert_int_equal(seen, 2);
}

static void bad_headers_are_refused_before_their_body(void **state)
{
    static const struct {
        peer_state from;
        frame_header header;
        const char *why;
    } rows[] = {
        {PEER_CLIENT, {.type = 0}, "a message of an unknown type: is the other side a newer Granary?"},
        {PEER_CLIENT, {.type = 63}, "a message of an unknown type: is the other side a newer Granary?"},
        {PEER_CLIENT, {.type = 0xFFFF}, "a message of an unknown type: is the other side a newer Granary?"},
        {PEER_CLIENT,
         {.type = TYPE(HELLO)},
         "a message that this side may not send now: the hello comes first, and once"},
        {PEER_CLIENT,
         {.type = TYPE(REPLY)},
         "a message that this side may not send now: the hello comes first, and once"},
        {PEER_CLIENT_NEW,
         {.type = TYPE(ALLOCATE)},
         "a message that this side may not send now: the hello comes first, and once"},
        {PEER_CLIENT, {.type = TYPE(WANT), .flags = 2}, "reserved flags are set: is the other side a newer Granary?"},
        {PEER_CLIENT, {.type = TYPE(WANT), .flags = 1}, "a descriptor rides with a message that takes none"},
        {PEER_CLIENT, {.type = TYPE(WANT), .length = FRAME_BODY_MAX + 1}, "a message is longer than 1 MiB"},
        {PEER_CLIENT, {.type = TYPE(WANT), .length = UINT32_MAX}, "a message is longer than 1 MiB"},
        {PEER_CLIENT_NEW, {.type = TYPE(HELLO), .length = 4097}, "the first message is longer than 4 KiB"},
        {PEER_CLIENT_NEW, {.type = TYPE(HELLO), .length = UINT32_MAX}, "the first message is longer than 4 KiB"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench_close(state);
        bench_open(state);
        bench *b = *state;
        uint8_t bytes[FRAME_HEADER_BYTES];
        channel_set_state(b->c, rows[i].from);
        raw_send(b, bytes, raw_frame(bytes, rows[i].header, NULL), NULL, 0);
        expect_refused(b, rows[i].why);
    }
}

/* The state counts when the frame is taken, not when it came: a request behind the hello waits for it. */
static void a_request_may_follow_the_hello_at_once(void **state)
{
    bench *b = *state;
    uint8_t *bytes = calloc(1, FRAME_BODY_MAX);
    frame f;
    channel_set_state(b->c, PEER_CLIENT_NEW);
    size_t n = raw_frame(bytes, (frame_header){.length = 2, .type = TYPE(HELLO)}, "\x08\x01");
    n += raw_frame(bytes + n, (frame_header){.length = 8000, .type = TYPE(RELEASE)}, NULL) + 8000;
    raw_send(b, bytes, n, NULL, 0);
    assert_int_equal(channel_receive(b->c), 0);
    assert_int_equal(channel_next(b->c, &f), 1);
    assert_int_equal(f.header.type, TYPE(HELLO));
    channel_set_state(b->c, PEER_CLIENT);
    assert_int_equal(channel_next(b->c, &f), 1);
    assert_int_equal(f.header.length, 8000);
    free(bytes);
}

static void the_largest_frame_passes(void **state)
{
    bench *b = *state;
    channel *peer;
    assert_int_equal(channel_create(&peer, b->raw, PEER_BROKER_TO_CLIENT), 0);
    b->raw = -1;
    /* Any message with one bytes field: its tag is 1 byte, its length 3. */
    Granary__Welcome welcome = GRANARY__WELCOME__INIT;
    welcome.token.len = FRAME_BODY_MAX - 4;
    welcome.token.data = malloc(welcome.token.len);
    memset(welcome.token.data, 'x', welcome.token.len);
    assert_int_equal(granary__welcome__get_packed_size(&welcome), FRAME_BODY_MAX);
    assert_int_equal(channel_send(peer, TYPE(RELEASE), 1, 0, &welcome.base, -1), 0);
    frame f;
    int r = 0;
    for (int turn = 0; turn < 1000 && r == 0; turn++) {
        assert_int_equal(channel_flush(peer), 0);
        assert_int_equal(channel_receive(b->c), 0);
        r = channel_next(b->c, &f);
    }
    assert_int_equal(r, 1);
    assert_int_equal(f.header.length, FRAME_BODY_MAX);
    assert_memory_equal(f.body + 4, welcome.token.data, welcome.token.len);

    free(welcome.token.data);
    welcome.token.len++;
    welcome.token.data = calloc(1, welcome.token.len);
    assert_int_equal(channel_send(peer, TYPE(RELEASE), 2, 0, &welcome.base, -1), STATUS_INVALID);
    assert_int_equal(channel_pending(peer), 0);
    free(welcome.token.data);
    channel_destroy(peer);
}

static void a_truncated_frame_is_no_frame(void **state)
{
    bench *b = *state;
    uint8_t bytes[64];
    frame f;
    size_t n = raw_frame(bytes, (frame_header){.length = 0, .type = TYPE(GOODBYE)}, NULL);
    n += raw_frame(bytes + n, (frame_header){.length = 5, .type = TYPE(WANT)}, "abcde");
    raw_send(b, bytes, n - 1, NULL, 0);
    close(b->raw);
    b->raw = -1;
    int r = channel_receive(b->c);
    assert_true(r == 0 || r == STATUS_LOST);
    assert_int_equal(channel_next(b->c, &f), 1); /* what came whole before the end counts */
    assert_int_equal(channel_next(b->c, &f), 0);
    assert_int_equal(channel_receive(b->c), STATUS_LOST);
    assert_int_equal(channel_next(b->c, &f), 0);
}

static void descriptors_come_with_their_frames(void **state)
{
    bench *b = *state;
    channel *peer;
    assert_int_equal(channel_create(&peer, b->raw, PEER_BROKER_TO_CLIENT), 0);
    b->raw = -1;
    int a[2], z[2];
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(z, O_CLOEXEC), 0);
    Granary__Enter enter = GRANARY__ENTER__INIT;
    enter.claim = 3;
    assert_int_equal(channel_send(peer, TYPE(WANT), 1, 0, NULL, -1), 0);
    assert_int_equal(channel_send(peer, TYPE(ENTER), 2, 0, &enter.base, a[0]), 0);
    assert_int_equal(channel_send(peer, TYPE(ENTER), 3, 0, &enter.base, -1), 0);
    assert_int_equal(channel_send(peer, TYPE(ENTER), 4, 0, &enter.base, z[0]), 0);
    assert_int_equal(channel_send(peer, TYPE(GOODBYE), 5, 0, NULL, -1), 0);
    assert_int_equal(channel_flush(peer), 0);
    assert_int_equal(channel_pending(peer), 0);

    frame f;
    for (uint64_t number = 1; number <= 5; number++) {
        int r = 0;
        for (int turn = 0; turn < 10 && (r = channel_next(b->c, &f)) == 0; turn++)
            assert_int_equal(channel_receive(b->c), 0);
        assert_int_equal(r, 1);
        assert_true(f.header.number == number);
        const int *sent = number == 2 ? a : number == 4 ? z : NULL;
        assert_int_equal(f.fd >= 0, sent != NULL);
        if (sent) {
            assert_true(same_file(f.fd, sent[0]));
            assert_int_equal(fcntl(f.fd, F_GETFD), FD_CLOEXEC);
            close(f.fd);
        }
    }
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(z[i]);
    }
    channel_destroy(peer);
}

static void unannounced_descriptors_are_closed_and_refused(void **state)
{
    uint8_t bytes[96];
    int fds[8] = {0};
    frame_header enter = {.length = 2, .type = TYPE(ENTER), .flags = FRAME_HAS_FD};
    frame_header plain = {.length = 2, .type = TYPE(ENTER)};

    bench *b = *state; /* two for one */
    raw_send(b, bytes, raw_frame(bytes, enter, "\x08\x01"), fds, 2);
    expect_refused(b, "more descriptors than messages announced");

    bench_close(state), bench_open(state); /* more than the control buffer takes */
    raw_send(b, bytes, raw_frame(bytes, enter, "\x08\x01"), fds, 8);
    expect_refused(b, "more descriptors than messages announced");

    bench_close(state), bench_open(state); /* one with a frame that announces none */
    frame f;
    raw_send(b, bytes, raw_frame(bytes, plain, "\x08\x01"), fds, 1);
    assert_int_equal(channel_receive(b->c), 0);
    assert_int_equal(channel_next(b->c, &f), 1);
    assert_int_equal(f.fd, -1);
    expect_refused(b, "a descriptor came that no message announced");

    bench_close(state), bench_open(state); /* announced, and none came */
    raw_send(b, bytes, raw_frame(bytes, enter, "\x08\x01"), NULL, 0);
    expect_refused(b, "a message announced a descriptor that did not come with its first byte");

    bench_close(state), bench_open(state); /* it comes with the body's last byte only */
    size_t n = raw_frame(bytes, enter, "\x08\x01");
    raw_send(b, bytes, n - 1, NULL, 0);
    assert_int_equal(channel_receive(b->c), 0);
    raw_send(b, bytes + n - 1, 1, fds, 1);
    expect_refused(b, "a message announced a descriptor that did not come with its first byte");

    bench_close(state), bench_open(state); /* it came with the body of the frame before */
    n = raw_frame(bytes, plain, "\x08\x01");
    raw_send(b, bytes, n - 1, NULL, 0);
    assert_int_equal(channel_receive(b->c), 0);
    raw_send(b, bytes + n - 1, 1, fds, 1);
    assert_int_equal(channel_receive(b->c), 0);
    raw_send(b, bytes, raw_frame(bytes, enter, "\x08\x01"), NULL, 0);
    assert_int_equal(channel_receive(b->c), 0);
    assert_int_equal(channel_next(b->c, &f), 1);
    assert_int_equal(channel_next(b->c, &f), STATUS_PROTOCOL);
    assert_string_equal(channel_why(b->c), "a descriptor came that no message announced");
}

static void a_reader_that_never_reads_meets_the_limit(void **state)
{
    bench *b = *state;
    Granary__Error error = GRANARY__ERROR__INIT;
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = 0;
    error.text = text;
    size_t each = FRAME_HEADER_BYTES + granary__error__get_packed_size(&error);
    channel_set_limit(b->c, 100 * each);
    int r = 0, sent = 0;
    while (r == 0 && sent < 100000) {
        r = channel_send(b->c, TYPE(ERROR), 0, 0, &error.base, -1);
        sent += r == 0;
        assert_int_equal(channel_flush(b->c), 0);
    }
    assert_int_equal(r, STATUS_LIMIT);
    assert_true(channel_pending(b->c) > 99 * each && channel_pending(b->c) <= 100 * each);

    /* Once it reads, nothing was lost and nothing is cut. */
    size_t total = 0;
    char *buffer = malloc(1 << 16);
    while (total < (size_t)sent * each) {
        ssize_t n = recv(b->raw, buffer, 1 << 16, MSG_DONTWAIT);
        assert_true(n > 0);
        total += (size_t)n;
        assert_int_equal(channel_flush(b->c), 0);
    }
    free(buffer);
    assert_int_equal(total, (size_t)sent * each);
    assert_int_equal(channel_pending(b->c), 0);
    assert_int_equal(channel_send(b->c, TYPE(ERROR), 0, 0, &error.base, -1), 0);
}

static void too_many_descriptors_wait(void **state)
{
    bench *b = *state;
    int r = 0, sent = 0;
    while (r == 0 && sent < 1000) {
        r = channel_send(b->c, TYPE(AGENT_ENTER), 0, 0, NULL, 0);
        sent += r == 0;
    }
    assert_int_equal(r, STATUS_LIMIT);
    assert_int_equal(sent, 64);
    assert_int_equal(channel_flush(b->c), 0);
    assert_int_equal(channel_pending(b->c), 0);
}

static void a_lost_peer_is_told(void **state)
{
    bench *b = *state;
    close(b->raw);
    b->raw = -1;
    assert_int_equal(channel_send(b->c, TYPE(ERROR), 0, 0, NULL, 0), 0);
    assert_int_equal(channel_flush(b->c), STATUS_LOST); /* and no SIGPIPE */
    assert_int_equal(channel_receive(b->c), STATUS_LOST);
}

static void a_bad_descriptor_stays_the_callers(void **state)
{
    (void)state;
    channel *c = (channel *)1;
    assert_int_equal(channel_create(&c, 9999, PEER_CLIENT), STATUS_SYSTEM);
    assert_ptr_equal(c, (channel *)1);
    channel_destroy(NULL);
}

static void send_text(channel *c, size_t length, int expected)
{
    Granary__Error message = GRANARY__ERROR__INIT;
    char *text = calloc(length + 1, 1);
    memset(text, 'x', length);
    message.text = text;
    assert_int_equal(channel_send(c, TYPE(ERROR), 1, 0, &message.base, -1), expected);
    free(text);
}

static void what_was_reserved_needs_no_memory(void **state)
{
    bench *b = *state;
    channel *peer;
    frame f;
    assert_int_equal(channel_create(&peer, b->raw, PEER_BROKER_TO_CLIENT), 0);
    b->raw = -1;
    no_memory = true;
    assert_int_equal(channel_reserve(peer), STATUS_NO_MEMORY);
    send_text(peer, 10, STATUS_NO_MEMORY);
    assert_int_equal(channel_receive(b->c), STATUS_NO_MEMORY);
    no_memory = false;
    assert_int_equal(channel_reserve(peer), 0);
    assert_int_equal(channel_reserve(b->c), 0);
    no_memory = true;
    assert_int_equal(channel_send(peer, TYPE(GOODBYE), 1, 0, NULL, -1), 0);
    send_text(peer, 60000, 0);
    size_t pending = channel_pending(peer);
    send_text(peer, 60000, STATUS_NO_MEMORY);
    assert_int_equal(channel_pending(peer), pending); /* nothing of it was queued */
    assert_int_equal(channel_flush(peer), 0);
    assert_int_equal(channel_receive(b->c), 0);
    assert_int_equal(channel_next(b->c, &f), 1);
    assert_int_equal(f.header.type, TYPE(GOODBYE));
    no_memory = false;
    send_text(peer, 60000, 0);
    send_text(peer, 60000, 0); /* it grows, and when all is written it is as large as before */
    char sink[4096];
    while (channel_pending(peer) > 0) {
        assert_int_equal(channel_flush(peer), 0);
        while (recv(channel_fd(b->c), sink, sizeof sink, MSG_DONTWAIT) > 0)
            ;
    }
    no_memory = true;
    send_text(peer, 60000, 0);
    no_memory = false;
    channel_destroy(peer);
}

#define WITH_BENCH(t) cmocka_unit_test_setup_teardown(t, bench_open, bench_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(both_sides_speak),
        WITH_BENCH(one_byte_at_a_time),
        WITH_BENCH(bad_headers_are_refused_before_their_body),
        WITH_BENCH(a_request_may_follow_the_hello_at_once),
        WITH_BENCH(the_largest_frame_passes),
        WITH_BENCH(a_truncated_frame_is_no_frame),
        WITH_BENCH(descriptors_come_with_their_frames),
        WITH_BENCH(unannounced_descriptors_are_closed_and_refused),
        WITH_BENCH(a_reader_that_never_reads_meets_the_limit),
        WITH_BENCH(too_many_descriptors_wait),
        WITH_BENCH(a_lost_peer_is_told),
        WITH_BENCH(what_was_reserved_needs_no_memory),
        cmocka_unit_test(a_bad_descriptor_stays_the_callers),
    };
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
