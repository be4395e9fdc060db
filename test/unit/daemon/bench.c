#include "bench.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "daemon/listen.h"

#define TURNS         8    /* more than any message needs: arrive, be answered, be reaped */
#define TURNS_MOST    4000 /* of waiting for one */
#define GIVE_UP_AFTER 120u /* seconds; under sanitizers on a busy machine */

void bench_configure(bench *t, const char *settings)
{
    FILE *f = fopen(t->config, "w");
    assert_non_null(f);
    fprintf(f, "memory = 4G\nset_aside = 0\nmax_hosts = 4\nmax_sessions = 16\nmax_allocations = 64\n%s\n", settings);
    assert_int_equal(fclose(f), 0);
}

void bench_open(bench *t, const char *settings)
{
    char why[256];
    *t = (bench){.listen_fd = -1};
    alarm(GIVE_UP_AFTER);
    strcpy(t->directory, "/tmp/granary-bench.XXXXXX");
    assert_non_null(mkdtemp(t->directory));
    snprintf(t->config, sizeof t->config, "%s/granary.conf", t->directory);
    snprintf(t->socket, sizeof t->socket, "%s/socket", t->directory);
    bench_configure(t, settings);
    assert_int_equal(listen_open(t->socket, false, &t->listen_fd, why, sizeof why), 0);
    assert_int_equal(control_pair(t->control), 0);
    assert_int_equal(store_memory_open(&t->store, BENCH_BOOKS), 0);
    assert_int_equal(scratch_init(&t->memory, (size_t)64 << 20), 0);
    t->log = log_create("broker", LOG_INFO);
    assert_non_null(t->log);
    t->options = (broker_options){.state = t->directory,
                                  .socket = t->socket,
                                  .config = t->config,
                                  .set_aside = UINT64_MAX,
                                  .control_fd = t->control[0],
                                  .listen_fd = t->listen_fd,
                                  .store = t->store};
    assert_int_equal(broker_open(&t->b, &t->options, t->log), 0);
    assert_int_equal(bench_control(t), CONTROL_BOOKS);
}

void bench_close(bench *t)
{
    broker_close(&t->b);
    channel_destroy(t->agent);
    log_destroy(t->log);
    scratch_finish(&t->memory);
    listen_remove(t->listen_fd, t->socket);
    close(t->listen_fd);
    close(t->control[0]);
    close(t->control[1]);
    unlink(t->config);
    rmdir(t->directory);
    alarm(0);
}

void bench_turns(bench *t)
{
    for (int i = 0; i < TURNS; i++)
        uv_run(&t->b.loop, UV_RUN_NOWAIT);
}

/* ---- the client ---- */

void bench_connect(bench *t, bench_client *c)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", t->socket);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(channel_create(&c->channel, fd, PEER_BROKER_TO_CLIENT_NEW), 0);
    c->number = 0;
}

const Granary__Welcome *bench_hello(bench *t, bench_client *c)
{
    Granary__Hello m = GRANARY__HELLO__INIT;
    m.version = PROTOCOL_VERSION;
    m.session = c->session;
    if (c->session)
        m.token = (ProtobufCBinaryData){.len = sizeof c->token, .data = c->token};
    bench_send(c->channel, TYPE(HELLO), 0, &m.base);
    const Granary__Welcome *w = bench_get(t, c->channel, TYPE(WELCOME), &granary__welcome__descriptor);
    channel_set_state(c->channel, PEER_BROKER_TO_CLIENT);
    c->session = w->session;
    assert_int_equal(w->token.len, sizeof c->token);
    memcpy(c->token, w->token.data, sizeof c->token);
    return w;
}

const Granary__Welcome *bench_join(bench *t, bench_client *c)
{
    *c = (bench_client){0};
    bench_connect(t, c);
    return bench_hello(t, c);
}

void bench_leave(bench_client *c)
{
    channel_destroy(c->channel);
    c->channel = NULL;
}

/* ---- the agent ---- */

void bench_agent_sample(bench *t, uint64_t in_use)
{
    Granary__AgentSample m = GRANARY__AGENT_SAMPLE__INIT;
    m.in_use = in_use;
    bench_send(t->agent, TYPE(AGENT_SAMPLE), 0, &m.base);
    bench_turns(t);
}

void bench_agent(bench *t, bool sampled)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    channel_destroy(t->agent);
    link_connect(&t->b, ends[0]);
    assert_int_equal(channel_create(&t->agent, ends[1], PEER_BROKER_TO_AGENT_NEW), 0);
    if (!sampled)
        return;
    Granary__AgentHello m = GRANARY__AGENT_HELLO__INIT;
    m.version = PROTOCOL_VERSION;
    m.host = t->b.local_host;
    m.boot_id = (char *)BENCH_BOOT;
    m.physical = m.total = GIB(8);
    m.cores = 4;
    m.limited = true;
    m.enforcement = (char *)"cgroup v2";
    bench_send(t->agent, TYPE(AGENT_HELLO), 0, &m.base);
    bench_get(t, t->agent, TYPE(AGENT_WELCOME), &granary__agent_welcome__descriptor);
    channel_set_state(t->agent, PEER_BROKER_TO_AGENT);
    bench_get(t, t->agent, TYPE(AGENT_READY), &granary__agent_ready__descriptor);
    bench_agent_sample(t, 0);
}

void bench_open_leased(bench *t, bench_client *c, uint32_t chunks)
{
    bench_open(t, "");
    bench_agent(t, true);
    bench_join(t, c);
    assert_int_equal(bench_allocate(t, c, "x", GIB(1), chunks, 0)->status, 0);
}

/* ---- frames ---- */

void bench_send(channel *c, uint16_t type, uint64_t number, const ProtobufCMessage *m)
{
    assert_int_equal(channel_send(c, type, number, 0, m, -1), 0);
    assert_int_equal(channel_flush(c), 0);
}

void bench_send_raw(channel *c, uint16_t type, const void *body, size_t size)
{
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header header = {.length = (uint32_t)size, .type = type};
    frame_header_encode(&header, bytes);
    assert_int_equal(send(channel_fd(c), bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
    assert_int_equal(send(channel_fd(c), body, size, MSG_NOSIGNAL), size);
}

const void *bench_get(bench *t, channel *c, uint16_t type, const ProtobufCMessageDescriptor *d)
{
    frame f;
    for (int i = 0; i < TURNS_MOST; i++) {
        (void)channel_receive(c); /* what came before an end is still there */
        int r = channel_next(c, &f);
        assert_true(r >= 0);
        if (r == 0) {
            uv_run(&t->b.loop, i < TURNS ? UV_RUN_NOWAIT : UV_RUN_ONCE);
            continue;
        }
        if (f.header.type != type)
            fail_msg("%s came, where %s was expected", frame_type_name(f.header.type), frame_type_name(type));
        t->with_fd = f.fd >= 0;
        t->number = f.header.number;
        if (f.fd >= 0)
            close(f.fd);
        const void *m = protobuf_c_message_unpack(d, &t->memory.allocator, f.header.length, f.body);
        assert_non_null(m);
        return m;
    }
    fail_msg("%s did not come", frame_type_name(type));
    return NULL;
}

const Granary__Reply *bench_request(bench *t, bench_client *c, uint16_t type, const ProtobufCMessage *m)
{
    bench_send(c->channel, type, ++c->number, m);
    return bench_reply(t, c);
}

const Granary__Reply *bench_allocate(bench *t, bench_client *c, const char *label, uint64_t chunk_size, uint32_t want,
                                     uint32_t flags)
{
    Granary__Allocate m = GRANARY__ALLOCATE__INIT;
    Granary__Terms terms = GRANARY__TERMS__INIT;
    terms.label = (char *)label;
    terms.chunk_size = chunk_size;
    terms.want = want;
    terms.flags = flags;
    m.terms = &terms;
    return bench_request(t, c, TYPE(ALLOCATE), &m.base);
}

const Granary__Reply *bench_release(bench *t, bench_client *c, uint64_t allocation, uint32_t chunks)
{
    Granary__Extent item = GRANARY__EXTENT__INIT, *list[1] = {&item};
    Granary__Release m = GRANARY__RELEASE__INIT;
    item.host = t->b.link.host.v;
    item.chunks = chunks;
    m.allocation = allocation;
    m.n_extents = 1;
    m.extents = list;
    return bench_request(t, c, TYPE(RELEASE), &m.base);
}

const Granary__AgentClaim *bench_claim(bench *t, bench_client *c, uint64_t allocation, uint32_t chunks)
{
    Granary__Claim m = GRANARY__CLAIM__INIT;
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    assert_true(pidfd >= 0);
    m.allocation = allocation;
    m.host = t->b.link.host.v;
    m.chunks = chunks;
    m.command = (char *)"task";
    assert_int_equal(channel_send(c->channel, TYPE(CLAIM), ++c->number, 0, &m.base, pidfd), 0);
    assert_int_equal(channel_flush(c->channel), 0);
    close(pidfd);
    return bench_order(t, OPEN);
}

const Granary__AgentClaim *bench_claim_opened(bench *t, bench_client *c, uint64_t allocation, uint32_t chunks)
{
    const Granary__AgentClaim *o = bench_claim(t, c, allocation, chunks);
    bench_answer(t, TYPE(AGENT_OPENED), o->claim, o->tag, 0, "");
    assert_int_equal(bench_reply(t, c)->status, 0);
    return o;
}

void bench_answer(bench *t, uint16_t type, uint64_t claim, uint64_t tag, int status, const char *text)
{
    Granary__AgentAnswer m = GRANARY__AGENT_ANSWER__INIT;
    m.claim = claim;
    m.tag = tag;
    m.status = status;
    m.text = (char *)text;
    bench_send(t->agent, type, 0, &m.base);
}

void bench_drained(bench *t, uint64_t claim, uint32_t cause, uint64_t peak)
{
    Granary__AgentClaimUse m = GRANARY__AGENT_CLAIM_USE__INIT;
    m.claim = claim;
    m.cause = cause;
    m.peak = peak;
    bench_send(t->agent, TYPE(AGENT_DRAINED), 0, &m.base);
}

void bench_silent(bench *t, channel *c)
{
    frame f;
    bench_turns(t);
    assert_int_equal(channel_receive(c), 0);
    int r = channel_next(c, &f);
    if (r != 0)
        fail_msg("%s came", r > 0 ? frame_type_name(f.header.type) : channel_why(c));
}

void bench_closed(bench *t, channel *c)
{
    frame f;
    bench_turns(t);
    assert_int_equal(channel_receive(c), STATUS_LOST);
    int r = channel_next(c, &f);
    if (r != 0)
        fail_msg("%s came before the end", r > 0 ? frame_type_name(f.header.type) : channel_why(c));
}

void bench_refused(bench *t, channel *c, int status, const char *text)
{
    const Granary__Error *e = bench_get(t, c, TYPE(ERROR), &granary__error__descriptor);
    assert_string_equal(e->text, text);
    assert_int_equal(e->status, status);
    bench_closed(t, c);
}

/* ---- what people and the supervisor hear ---- */

const char *bench_log(bench *t, uint32_t back)
{
    static char text[LOG_TEXT_MAX];
    log_line line;
    return log_at(t->log, back, text, &line) ? text : "";
}

bool bench_logged(bench *t, const char *text)
{
    for (uint32_t back = 0; *bench_log(t, back); back++)
        if (strcmp(bench_log(t, back), text) == 0)
            return true;
    return false;
}

int bench_control(bench *t)
{
    control_message m;
    int r = control_receive(t->control[1], &m);
    assert_true(r >= 0);
    if (r > 0 && m.kind == CONTROL_BOOKS)
        assert_string_equal(m.books, BENCH_BOOKS);
    return r > 0 ? (int)m.kind : 0;
}
