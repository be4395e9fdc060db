/*
 * client.c - any frames from a broker to libgranary, while a program takes slots of a pool and gives them back.
 *
 * One thread: the client is one of event loops, find_connect() is replaced by a socketpair in whose other end the
 * welcome lies already, epoll_wait() is where a call that waits hears its answer, and time is the input's. Answers go
 * to requests that are open, mostly. Judged: the pool's own check, what the client says is admitted and understood by a
 * broker, no slot is handed out twice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "message.h"

#include "base/status.h"
#include "base/units.h"
#include "client/find.h"
#include "client/pool.h"
#include "granary.h"
#include "granary.pb-c.h"
#include "proto/channel.h"
#include "proto/scratch.h"

#define ACTIONS  160u
#define SLOTS    16u
#define OPEN_MAX 32u /* requests that wait for an answer, as far as they are remembered */
#define TYPE(x)  GRANARY__MESSAGE_TYPE__TYPE_##x

static struct {
    fuzz_input in;
    scratch scratch;
    int pidfd;
    uint64_t now_ms;
    channel *broker; /* our end; NULL: it is closed */
    bool known;      /* the session was opened: who connects, reattaches */
    uint64_t open[OPEN_MAX];
    uint16_t types[OPEN_MAX];
    unsigned n_open; /* ever */
    uint64_t allocation, version;
    granary_client *client;
    granary_pool *pool;
    granary_slot slots[SLOTS];
    unsigned n_slots;
} w = {.pidfd = -1};

/* ---- the world ---- */

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    if (id != CLOCK_BOOTTIME)
        return __real_clock_gettime(id, ret);
    *ret = (struct timespec){.tv_sec = (time_t)(w.now_ms / 1000), .tv_nsec = (long)(w.now_ms % 1000) * 1000000};
    return 0;
}

static void say(uint16_t type, uint64_t number, const ProtobufCMessage *m)
{
    int r = channel_send(w.broker, type, number, 0, m, -1);
    assert(r == 0);
    (void)channel_flush(w.broker);
}

static void welcome(void)
{
    Granary__Welcome m = GRANARY__WELCOME__INIT;
    Granary__HostInfo host = GRANARY__HOST_INFO__INIT, *hosts[] = {&host};
    Granary__AllocationState a = GRANARY__ALLOCATION_STATE__INIT, *allocations[] = {&a};
    Granary__Extent part = GRANARY__EXTENT__INIT, *extents[] = {&part};
    static uint8_t token[16] = {7};
    m.version = PROTOCOL_VERSION;
    m.session = 5;
    m.token = (ProtobufCBinaryData){.len = sizeof token, .data = token};
    m.reattached = w.known;
    m.local_host = m.broker_id = m.broker = host.name = (char *)(uintptr_t) "a";
    host.state = (char *)(uintptr_t) "up";
    m.hosts = hosts;
    m.n_hosts = 1;
    if (w.known && w.allocation && fuzz_byte(&w.in) < 0xc0) {
        a.id = w.allocation;
        a.version = ++w.version;
        a.state = 2;
        a.want = 8;
        part.chunks = 1 + fuzz_below(&w.in, 8);
        a.extents = extents;
        a.n_extents = 1;
        m.allocations = allocations;
        m.n_allocations = 1;
    }
    say(TYPE(WELCOME), 0, &m.base);
    channel_set_state(w.broker, PEER_CLIENT_NEW);
}

int __wrap_find_connect(const char *path, int *ret_fd);
int __wrap_find_connect(const char *path, int *ret_fd)
{
    int ends[2];
    (void)path;
    channel_destroy(w.broker);
    w.broker = NULL;
    if (w.known && fuzz_byte(&w.in) >= 0xc0)
        return STATUS_LOST;
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
    assert(r == 0);
    r = channel_create(&w.broker, ends[1], PEER_CLIENT_NEW);
    assert(r == 0);
    w.n_open = 0;
    if (!w.known || fuzz_byte(&w.in) < 0xf0)
        welcome();
    *ret_fd = ends[0];
    return 0;
}

/* ---- the broker's side ---- */

static void listen_to(void)
{
    frame f;
    int r;
    if (!w.broker)
        return;
    int ended = channel_receive(w.broker);
    while ((r = channel_next(w.broker, &f)) == 1) {
        const ProtobufCMessageDescriptor *d = message_of(f.header.type);
        const ProtobufCMessage *m =
            d ? protobuf_c_message_unpack(d, &w.scratch.allocator, f.header.length, f.body) : NULL;
        assert(m && m->n_unknown_fields == 0);
        scratch_reset(&w.scratch);
        if (f.fd >= 0)
            close(f.fd);
        if (f.header.type == TYPE(HELLO)) {
            channel_set_state(w.broker, PEER_CLIENT);
            continue;
        }
        w.open[w.n_open % OPEN_MAX] = f.header.number;
        w.types[w.n_open++ % OPEN_MAX] = f.header.type;
    }
    assert(r == 0); /* the client says nothing that it may not say */
    if (ended == 0)
        return;
    channel_destroy(w.broker);
    w.broker = NULL;
}

/* A plain answer, such as a broker gives. */
static void answer(uint64_t number, uint16_t type)
{
    Granary__Reply m = GRANARY__REPLY__INIT;
    Granary__AllocationState a = GRANARY__ALLOCATION_STATE__INIT;
    Granary__Extent part = GRANARY__EXTENT__INIT, *extents[] = {&part};
    uint8_t how = fuzz_byte(&w.in);
    m.status = how < 0xc0 ? 0 : (int8_t)fuzz_byte(&w.in);
    if (type == TYPE(ALLOCATE))
        w.allocation = 11;
    if (w.allocation && (type == TYPE(ALLOCATE) || how & 1)) {
        a.id = w.allocation;
        a.version = ++w.version;
        a.state = m.status > 0 ? 1 : 2;
        a.want = 8;
        part.chunks = fuzz_below(&w.in, 9);
        a.extents = extents;
        a.n_extents = part.chunks > 0 && a.state == 2;
        m.allocation = &a;
    }
    m.claim = fuzz_below(&w.in, 8);
    m.cause = fuzz_below(&w.in, 4);
    say(TYPE(REPLY), number, &m.base);
}

/* Takes what is open out of the list. */
static unsigned open_take(unsigned which, uint64_t *ret_number)
{
    unsigned last = (w.n_open - 1) % OPEN_MAX;
    uint16_t type = w.types[which];
    *ret_number = w.open[which];
    w.open[which] = w.open[last];
    w.types[which] = w.types[last];
    w.n_open--;
    return type;
}

int __real_epoll_wait(int fd, struct epoll_event *events, int n, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int n, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    uint64_t number;
    if (timeout != 0) { /* somebody waits: the broker answers, or time passes */
        listen_to();
        w.now_ms += timeout > 0 ? (uint64_t)timeout : 1000;
        if (w.broker && w.n_open > 0) {
            uint16_t type = (uint16_t)open_take((w.n_open - 1) % OPEN_MAX, &number);
            answer(number, type);
        }
    }
    return __real_epoll_wait(fd, events, n, 0);
}

/* A plain push about the pool's allocation. */
static void push(void)
{
    Granary__Recall recall = GRANARY__RECALL__INIT;
    Granary__Withdraw withdraw = GRANARY__WITHDRAW__INIT;
    Granary__Ask ask = GRANARY__ASK__INIT;
    Granary__ClaimEnded ended = GRANARY__CLAIM_ENDED__INIT;
    switch (fuzz_below(&w.in, 4)) {
    case 0:
        recall.allocation = w.allocation;
        recall.recall = 1 + fuzz_below(&w.in, 8);
        recall.count = fuzz_below(&w.in, 8);
        recall.any_host = true;
        recall.notice_ms = 1000;
        say(TYPE(RECALL), 1, &recall.base);
        return;
    case 1:
        withdraw.allocation = w.allocation;
        withdraw.recall = 1 + fuzz_below(&w.in, 8);
        say(TYPE(WITHDRAW), 1, &withdraw.base);
        return;
    case 2:
        ask.allocation = w.allocation;
        ask.count = 1 + fuzz_below(&w.in, 8);
        ask.any_host = true;
        say(TYPE(ASK), 1, &ask.base);
        return;
    default:
        ended.allocation = w.allocation;
        ended.claim = fuzz_below(&w.in, 8);
        say(TYPE(CLAIM_ENDED), 1, &ended.base);
    }
}

static void broker_speaks(void)
{
    static uint8_t bytes[FRAME_HEADER_BYTES + MESSAGE_MAX];
    uint8_t what = fuzz_byte(&w.in);
    uint64_t number;
    unsigned n = w.n_open < OPEN_MAX ? w.n_open : OPEN_MAX;
    unsigned which = n > 0 ? (w.n_open - 1 - fuzz_byte(&w.in) % n) % OPEN_MAX : 0;
    if (what < 0x80 && n > 0) {
        uint16_t type = (uint16_t)open_take(which, &number);
        answer(number, type);
        return;
    }
    if (what < 0xb0) {
        push();
        return;
    }
    uint16_t type =
        what < 0xf0 ? (uint16_t)(TYPE(REPLY) + what % (TYPE(CLAIM_OVER) - TYPE(REPLY) + 1)) : message_type(&w.in);
    number = n > 0 ? w.open[which] : fuzz_count(&w.in);
    size_t size = message_frame(&w.in, type, number, 0, bytes);
    (void)!send(channel_fd(w.broker), bytes, size, MSG_NOSIGNAL);
}

/* ---- the program ---- */

static void take_slot(void)
{
    granary_slot slot;
    int r = fuzz_byte(&w.in) < 0xc0 ? granary_slot_acquire(w.pool, &slot, 0)
                                    : granary_slot_acquire_n(w.pool, 1 + fuzz_below(&w.in, 4), &slot, 0);
    if (r < 0)
        return;
    assert(slot.id != 0 && slot.chunks > 0);
    for (unsigned i = 0; i < w.n_slots; i++)
        assert(w.slots[i].id != slot.id); /* nobody has it */
    if (w.n_slots < SLOTS)
        w.slots[w.n_slots++] = slot;
    else
        (void)granary_slot_start(w.pool, &slot, GRANARY_SLOT_RELEASE, -1, 0);
}

static void use_slot(void)
{
    if (w.n_slots == 0)
        return;
    unsigned i = fuzz_byte(&w.in) % w.n_slots;
    granary_slot_call call = GRANARY_SLOT_ENTER + fuzz_below(&w.in, 3);
    if (fuzz_byte(&w.in) < 0x40)
        (void)granary_slot_expect(w.pool, &w.slots[i], (int64_t)fuzz_count(&w.in));
    int r = granary_slot_start(w.pool, &w.slots[i], call, w.pidfd, i);
    if (call == GRANARY_SLOT_RELEASE && (r == 0 || r != GRANARY_E_STATE))
        w.slots[i] = w.slots[--w.n_slots];
}

static void look(void)
{
    granary_pool_stats stats;
    granary_slot_answer taken;
    while (granary_slot_take(w.pool, &taken) == 0)
        ;
    granary_pool_stats_get(w.pool, &stats);
    (void)granary_pool_allocation(w.pool);
    (void)granary_host_name(w.client, (uint32_t)fuzz_byte(&w.in));
}

static void time_passes(void)
{
    static const uint32_t spans[] = {1, 20, 250, 1000, 5000, 61000};
    w.now_ms += spans[fuzz_byte(&w.in) % 6];
}

static void act(void)
{
    uint8_t what = fuzz_byte(&w.in);
    if (what < 0x80) {
        if (w.broker)
            broker_speaks();
        else
            time_passes();
    } else if (what < 0xa8) {
        take_slot();
    } else if (what < 0xd0) {
        use_slot();
    } else if (what < 0xd8) {
        (void)granary_pool_want(w.pool, fuzz_below(&w.in, 12));
    } else if (what < 0xe0) {
        look();
    } else if (what < 0xf8) {
        time_passes();
    } else {
        channel_destroy(w.broker);
        w.broker = NULL;
    }
    (void)granary_client_dispatch(w.client);
    assert(pool_state_check(&w.pool->state));
    listen_to();
}

static void prepare(void)
{
    if (w.pidfd >= 0)
        return;
    w.pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int r = scratch_init(&w.scratch, (size_t)8 << 20);
    assert(w.pidfd >= 0 && r == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    w.in = (fuzz_input){.at = data, .left = size};
    w.broker = NULL;
    w.now_ms = 1000000;
    w.known = false;
    w.n_open = w.n_slots = 0;
    w.allocation = w.version = 0;
    granary_client_options o = {.socket = "/nowhere", .program = "fuzz", .no_start = true, .event_loop = true};
    int r = granary_client_open(&w.client, &o);
    assert(r == 0);
    w.known = true;
    granary_pool_options p = {.label = "fuzz", .chunk_size = MIB(64), .min = fuzz_below(&w.in, 3), .want = 8};
    w.pool = granary_pool_open(w.client, &p);
    for (unsigned i = 0; i < ACTIONS && w.in.left > 0 && w.pool; i++)
        act();
    granary_pool_close(w.pool);
    granary_client_close(w.client);
    channel_destroy(w.broker);
    return 0;
}
