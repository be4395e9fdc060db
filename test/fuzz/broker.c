/*
 * broker.c - a whole broker in this process, over a store in memory, with hostile clients and a hostile agent.
 *
 * Each choice is one of: a frame of a client or of the agent, a connection that comes, goes or comes back with its
 * token, time that passes. After each the broker must stand, its books must hold together, and what it says must be
 * frames that a client (or an agent) admits and understands. Time is the input's: driver_now() reads the clock below.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "message.h"

#include "base/status.h"
#include "daemon/broker.h"
#include "daemon/listen.h"
#include "granary.pb-c.h"
#include "store/memory.h"

#define CLIENTS 3u
#define ACTIONS 160u
#define TURNS   3 /* a frame arrives, is answered, its sender is reaped */
#define TYPE(x) GRANARY__MESSAGE_TYPE__TYPE_##x

typedef struct {
    channel *channel; /* NULL: not connected */
    uint64_t session, number;
    uint8_t token[16];
} stranger;

static struct {
    broker b;
    broker_options options;
    log_book *log;
    char directory[64], config[96], socket[96];
    int listen_fd;
    scratch scratch;
    stranger clients[CLIENTS];
    channel *agent;
    uint64_t tag, claim; /* of its last order */
    uint16_t order;
    uint64_t now_ms;
} w;

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    if (id != CLOCK_BOOTTIME)
        return __real_clock_gettime(id, ret);
    *ret = (struct timespec){.tv_sec = (time_t)(w.now_ms / 1000), .tv_nsec = (long)(w.now_ms % 1000) * 1000000};
    return 0;
}

static void remove_all(void)
{
    listen_remove(w.listen_fd, w.socket);
    unlink(w.config);
    rmdir(w.directory);
}

static void prepare(void)
{
    static const char settings[] = "memory = 4G\nset_aside = 0\nlog_level = error\nconnections = 8\n"
                                   "connections_per_user = 8\nmax_hosts = 2\nmax_sessions = 6\nmax_allocations = 12\n"
                                   "max_claims = 12\nmax_recalls = 12\n";
    char why[512] = "";
    if (w.log)
        return;
    const char *where = getenv("TMPDIR");
    snprintf(w.directory, sizeof w.directory, "%.40s/granary-fuzz-XXXXXX", where ? where : "/tmp");
    char *made = mkdtemp(w.directory);
    assert(made);
    snprintf(w.config, sizeof w.config, "%s/granary.conf", w.directory);
    snprintf(w.socket, sizeof w.socket, "%s/socket", w.directory);
    FILE *f = fopen(w.config, "w");
    assert(f);
    fputs(settings, f);
    fclose(f);
    int r = listen_open(w.socket, false, &w.listen_fd, why, sizeof why);
    assert(r == 0);
    atexit(remove_all);
    w.log = log_create("broker", LOG_ERROR);
    r = scratch_init(&w.scratch, (size_t)8 << 20);
    assert(w.log && r == 0);
}

static void turns(void)
{
    for (int i = 0; i < TURNS; i++)
        uv_run(&w.b.loop, UV_RUN_NOWAIT);
}

/* ---- what the broker says ---- */

static void heard(stranger *s, const frame *f)
{
    const ProtobufCMessageDescriptor *d = message_of(f->header.type);
    ProtobufCMessage *m = d ? protobuf_c_message_unpack(d, &w.scratch.allocator, f->header.length, f->body) : NULL;
    assert(m && m->n_unknown_fields == 0);
    if (f->fd >= 0)
        close(f->fd);
    if (s && f->header.type == TYPE(WELCOME)) {
        const Granary__Welcome *welcome = (const Granary__Welcome *)m;
        assert(welcome->session != 0 && welcome->token.len == sizeof s->token);
        s->number = welcome->reattached ? s->number : 0;
        s->session = welcome->session;
        memcpy(s->token, welcome->token.data, sizeof s->token);
        channel_set_state(s->channel, PEER_BROKER_TO_CLIENT);
    }
    if (d == &granary__agent_claim__descriptor) {
        w.tag = ((const Granary__AgentClaim *)m)->tag;
        w.claim = ((const Granary__AgentClaim *)m)->claim;
        w.order = f->header.type;
    }
    if (!s && f->header.type == TYPE(AGENT_WELCOME))
        channel_set_state(w.agent, PEER_BROKER_TO_AGENT);
    scratch_reset(&w.scratch);
}

static void listen_to(channel **c, stranger *s)
{
    frame f;
    int r;
    if (!*c)
        return;
    int ended = channel_receive(*c);
    while ((r = channel_next(*c, &f)) == 1)
        heard(s, &f);
    assert(r == 0); /* the broker says nothing that may not be said */
    if (ended == 0)
        return;
    channel_destroy(*c);
    *c = NULL;
}

static void judge(void)
{
    char why[256] = "";
    turns();
    assert(!w.b.failed && !w.b.ending);
    if (core_check(w.b.driver.core, why, sizeof why) < 0) {
        fprintf(stderr, "core_check: %s\n", why);
        abort();
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        listen_to(&w.clients[i].channel, &w.clients[i]);
    listen_to(&w.agent, NULL);
}

/* ---- what it hears ---- */

/* A peer that is gone already cannot be written to. */
static void write_to(channel *c, const uint8_t *bytes, size_t n, int fd)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        control.header =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    }
    if (n > 0)
        (void)!sendmsg(channel_fd(c), &message, MSG_NOSIGNAL);
}

static void say(channel *c, uint16_t type, const ProtobufCMessage *m)
{
    int r = channel_send(c, type, 0, 0, m, -1);
    assert(r == 0);
    (void)channel_flush(c);
}

static void say_as(stranger *s, uint16_t type, uint64_t number, const ProtobufCMessage *m)
{
    int r = channel_send(s->channel, type, number, number > 8 ? number - 8 : 0, m, -1);
    assert(r == 0);
    (void)channel_flush(s->channel);
}

static void connect_client(stranger *s, fuzz_input *in)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    Granary__Hello m = GRANARY__HELLO__INIT;
    channel_destroy(s->channel);
    s->channel = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(to.sun_path, w.socket, sizeof w.socket);
    int r = connect(fd, (struct sockaddr *)&to, sizeof to);
    assert(r == 0);
    r = channel_create(&s->channel, fd, PEER_BROKER_TO_CLIENT_NEW);
    assert(r == 0);
    uint8_t how = fuzz_byte(in);
    if (how >= 0xe0)
        return; /* says no hello: its frames come before it */
    m.version = PROTOCOL_VERSION;
    if (how & 1 && s->session) {
        m.session = s->session;
        m.token = (ProtobufCBinaryData){.len = sizeof s->token, .data = s->token};
    }
    say(s->channel, TYPE(HELLO), &m.base);
}

static void connect_agent(fuzz_input *in)
{
    int ends[2];
    Granary__AgentHello m = GRANARY__AGENT_HELLO__INIT;
    Granary__AgentSample sample = GRANARY__AGENT_SAMPLE__INIT;
    channel_destroy(w.agent);
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
    assert(r == 0);
    link_connect(&w.b, ends[0]);
    r = channel_create(&w.agent, ends[1], PEER_BROKER_TO_AGENT_NEW);
    assert(r == 0);
    uint8_t how = fuzz_byte(in);
    if (how >= 0xe0)
        return;
    m.version = PROTOCOL_VERSION;
    m.host = w.b.local_host;
    m.boot_id = (char *)(uintptr_t)(how & 1 ? "boot-2" : "boot-1");
    m.broker_id = w.b.store->meta.broker_id;
    m.physical = m.total = GIB(4);
    m.cores = 4;
    m.limited = (how & 6) != 6;
    say(w.agent, TYPE(AGENT_HELLO), &m.base);
    say(w.agent, TYPE(AGENT_SAMPLE), &sample.base);
}

static void client_speaks(stranger *s, fuzz_input *in)
{
    static uint8_t bytes[FRAME_HEADER_BYTES + MESSAGE_MAX];
    uint8_t what = fuzz_byte(in);
    uint16_t type = what < 0xf0 ? 1 + what % TYPE(EMPTY) : message_type(in);
    bool again = fuzz_byte(in) >= 0xf0;
    uint64_t number = again ? fuzz_count(in) : ++s->number;
    size_t n = message_frame(in, type, number, number > 8 ? number - 8 : 0, bytes);
    bool with_fd = (type == TYPE(CLAIM) || type == TYPE(ENTER)) && fuzz_byte(in) & 1;
    int fd = with_fd ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    if (with_fd) {
        frame_header header;
        frame_header_decode(bytes, &header);
        header.flags = FRAME_HAS_FD;
        frame_header_encode(&header, bytes);
    }
    write_to(s->channel, bytes, n, fd);
    if (fd >= 0)
        close(fd);
}

/* What a client that means well would say: the paths behind a grant are met by these. */
static void client_asks(stranger *s, fuzz_input *in)
{
    Granary__Allocate allocate = GRANARY__ALLOCATE__INIT;
    Granary__Terms terms = GRANARY__TERMS__INIT;
    Granary__Claim claim = GRANARY__CLAIM__INIT;
    Granary__Release release = GRANARY__RELEASE__INIT;
    Granary__Extent part = GRANARY__EXTENT__INIT, *extents[] = {&part};
    Granary__Offer offer = GRANARY__OFFER__INIT;
    Granary__OfferItem item = GRANARY__OFFER_ITEM__INIT, *items[] = {&item};
    Granary__Close end = GRANARY__CLOSE__INIT;
    uint64_t some = 1 + fuzz_below(in, 8), number = ++s->number;
    switch (fuzz_below(in, 6)) {
    case 0:
    case 1:
        terms.label = (char *)(uintptr_t) "a";
        terms.chunk_size = MIB(256) * (1 + fuzz_below(in, 8));
        terms.want = 1 + fuzz_below(in, 8);
        terms.min = fuzz_byte(in) % (terms.want + 1);
        terms.flags = (uint32_t)fuzz_number(in, 2) & 0x4ff;
        terms.notice_ms = 1000;
        allocate.terms = &terms;
        say_as(s, TYPE(ALLOCATE), number, &allocate.base);
        return;
    case 2:
        claim.allocation = some;
        claim.chunks = fuzz_below(in, 4);
        claim.command = (char *)(uintptr_t) "task";
        say_as(s, TYPE(CLAIM), number, &claim.base);
        return;
    case 3:
        release.allocation = some;
        release.recall = fuzz_below(in, 4);
        part.chunks = 1 + fuzz_below(in, 4);
        release.extents = extents;
        release.n_extents = 1;
        say_as(s, TYPE(RELEASE), number, &release.base);
        return;
    case 4:
        offer.allocation = some;
        offer.recall = fuzz_below(in, 4);
        item.known = fuzz_byte(in) & 1;
        item.free_in_ms = fuzz_byte(in);
        offer.items = items;
        offer.n_items = 1;
        say_as(s, TYPE(OFFER), number, &offer.base);
        return;
    default:
        end.claim = some;
        end.kill = fuzz_byte(in) & 1;
        say_as(s, TYPE(CLOSE), number, &end.base);
    }
}

static void agent_speaks(fuzz_input *in)
{
    static uint8_t bytes[FRAME_HEADER_BYTES + MESSAGE_MAX];
    uint8_t what = fuzz_byte(in);
    if (what < 0x60) { /* as an agent would */
        uint16_t answer = w.order == TYPE(AGENT_OPEN)    ? TYPE(AGENT_OPENED)
                          : w.order == TYPE(AGENT_ENTER) ? TYPE(AGENT_ENTERED)
                          : w.order == TYPE(AGENT_LIMIT) ? TYPE(AGENT_LIMITED)
                                                         : TYPE(AGENT_EMPTIED);
        Granary__AgentAnswer m = GRANARY__AGENT_ANSWER__INIT;
        Granary__AgentClaimUse drained = GRANARY__AGENT_CLAIM_USE__INIT;
        Granary__AgentSample sample = GRANARY__AGENT_SAMPLE__INIT;
        m.claim = drained.claim = what & 1 ? w.claim : 1 + fuzz_below(in, 8);
        m.tag = w.tag;
        if (what < 0x20)
            say(w.agent, TYPE(AGENT_DRAINED), &drained.base);
        else if (what < 0x50)
            say(w.agent, answer, &m.base);
        sample.in_use = MIB(16) * fuzz_byte(in);
        if (what >= 0x50)
            say(w.agent, TYPE(AGENT_SAMPLE), &sample.base);
        return;
    }
    uint16_t type = what < 0xf0 ? (uint16_t)(TYPE(AGENT_SAMPLE) + what % (TYPE(AGENT_EMPTIED) - TYPE(AGENT_SAMPLE) + 1))
                                : message_type(in);
    size_t n = message_frame(in, type, 0, 0, bytes);
    write_to(w.agent, bytes, n, -1);
}

static void time_passes(fuzz_input *in)
{
    static const uint32_t spans[] = {1, 20, 100, 1000, 10000, 40000, 70000};
    w.now_ms += spans[fuzz_byte(in) % 7];
    for (int i = 0; i < 100 && driver_wait(&w.b.driver) == 0; i++) {
        broker_step(&w.b, &(core_event){.kind = EVENT_TICK});
        broker_turn(&w.b);
    }
}

static void act(fuzz_input *in)
{
    uint8_t what = fuzz_byte(in);
    stranger *s = &w.clients[what % CLIENTS];
    if (what < 0xa0) {
        if (s->channel && what < 0x60)
            client_asks(s, in);
        else if (s->channel)
            client_speaks(s, in);
        else
            connect_client(s, in);
    } else if (what < 0xd8) {
        if (w.agent)
            agent_speaks(in);
        else
            connect_agent(in);
    } else if (what < 0xe8) {
        channel_destroy(s->channel);
        s->channel = NULL;
    } else if (what < 0xec) {
        connect_agent(in);
    } else {
        time_passes(in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t plainly[] = {0};
    fuzz_input in = {.at = data, .left = size}, plain = {.at = plainly, .left = 1};
    store *s;
    prepare();
    w.now_ms = 1000000;
    w.tag = w.claim = 0;
    w.order = 0;
    w.agent = NULL;
    memset(w.clients, 0, sizeof w.clients);
    int r = store_memory_open(&s, "0123456789abcdef0123456789abcdef");
    assert(r == 0);
    w.options = (broker_options){.state = w.directory,
                                 .socket = w.socket,
                                 .config = w.config,
                                 .set_aside = UINT64_MAX,
                                 .control_fd = -1,
                                 .listen_fd = w.listen_fd,
                                 .store = s};
    r = broker_open(&w.b, &w.options, w.log);
    assert(r == 0);
    connect_agent(&plain);
    judge();
    for (unsigned i = 0; i < ACTIONS && in.left > 0; i++) {
        act(&in);
        judge();
    }
    broker_close(&w.b);
    for (unsigned i = 0; i < CLIENTS; i++)
        channel_destroy(w.clients[i].channel);
    channel_destroy(w.agent);
    return 0;
}
