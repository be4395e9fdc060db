#include "fake_broker.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "granary.pb-c.h"
#include "proto/channel.h"

#define LINES  4096
#define CLAIMS 64
static char as_said[] = "as the test said", here[] = "here", no_memory[] = "no memory is free", fake_name[] = "fake";

#define TYPE(x) GRANARY__MESSAGE_TYPE__TYPE_##x

_Thread_local bool fake_thread;

struct fake_broker {
    pthread_mutex_t lock;
    pthread_cond_t heard;
    pthread_t thread;
    int listener, wake;
    bool stop, mute, forget, drop;
    char folder[64], socket[96];
    channel *channel;

    uint32_t capacity;
    bool session;
    uint64_t allocation, version, highest;
    uint32_t want, min, held;
    uint64_t claims[CLAIMS];
    uint32_t n_claims, claim_chunks[CLAIMS];
    uint64_t next_claim;
    struct {
        uint64_t id;
        uint32_t open;
    } recalls[8];
    uint32_t n_recalls;
    uint16_t fail_type;
    int fail_status;

    char lines[LINES][96];
    uint32_t first_line, n_lines;
};

static void line(fake_broker *f, const char *text)
{
    assert(f->n_lines < LINES);
    snprintf(f->lines[f->n_lines++], sizeof f->lines[0], "%s", text);
    pthread_cond_broadcast(&f->heard);
}

static void state_fill(const fake_broker *f, Granary__AllocationState *s, Granary__Extent *e, Granary__Extent **p)
{
    granary__allocation_state__init(s);
    granary__extent__init(e);
    s->id = f->allocation;
    s->version = f->version;
    s->state = f->held >= f->min ? 2 : 1;
    s->want = f->want;
    e->host = FAKE_HOST;
    e->chunks = f->held;
    p[0] = e;
    s->n_extents = f->held > 0 ? 1 : 0;
    s->extents = p;
}

static void send_message(fake_broker *f, uint16_t type, uint64_t number, const void *message)
{
    if (f->channel)
        channel_send(f->channel, type, number, 0, message, -1);
}

static void push_changed(fake_broker *f)
{
    Granary__AllocationState s;
    Granary__Extent e, *p[1];
    f->version++;
    state_fill(f, &s, &e, p);
    send_message(f, TYPE(CHANGED), 0, &s);
}

static void grow(fake_broker *f)
{
    uint32_t before = f->held, open = 0;
    for (uint32_t i = 0; i < f->n_recalls; i++)
        open += f->recalls[i].open;
    while (f->held < f->want && f->held < f->capacity && open == 0)
        f->held++;
    if (f->allocation && f->held != before)
        push_changed(f);
}

typedef struct {
    Granary__Reply reply;
    Granary__AllocationState state;
    Granary__Extent extent, *pointers[1];
} answer;

static void answer_send(fake_broker *f, const frame *in, answer *a)
{
    if (f->allocation) {
        state_fill(f, &a->state, &a->extent, a->pointers);
        a->reply.allocation = &a->state;
    }
    if (f->fail_type == in->header.type && f->fail_status != 0) {
        a->reply.status = f->fail_status;
        a->reply.text = as_said;
        f->fail_status = 0;
    }
    send_message(f, TYPE(REPLY), in->header.number, &a->reply);
}

static void on_hello(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Hello *m = granary__hello__unpack(NULL, in->header.length, in->body);
    Granary__Welcome w = GRANARY__WELCOME__INIT;
    Granary__HostInfo h = GRANARY__HOST_INFO__INIT, *hosts[] = {&h};
    Granary__AllocationState s, *states[] = {&s};
    Granary__Extent e, *p[1];
    Granary__RecallInfo recalls[8], *recall_pointers[8];
    Granary__ClaimInfo claims[CLAIMS], *claim_pointers[CLAIMS];
    static uint8_t token[16] = "sixteen bytes..";
    assert(m);
    snprintf(text, sizeof text, "HELLO %llu", (unsigned long long)m->session);
    line(f, text);
    w.version = 1;
    w.session = 7;
    w.token.data = token;
    w.token.len = sizeof token;
    w.reattached = m->session == 7 && !f->forget;
    w.local_host = here;
    w.broker = fake_name;
    h.id = FAKE_HOST;
    h.name = here;
    w.hosts = hosts;
    w.n_hosts = 1;
    if (w.reattached && f->allocation) {
        state_fill(f, &s, &e, p);
        w.allocations = states;
        w.n_allocations = 1;
        for (uint32_t i = 0; i < f->n_recalls; i++) {
            granary__recall_info__init(&recalls[i]);
            recalls[i].id = f->recalls[i].id;
            recalls[i].allocation = f->allocation;
            recalls[i].asked = f->recalls[i].open;
            recalls[i].any_host = true;
            recalls[i].deadline_ms = 10000;
            recall_pointers[i] = &recalls[i];
        }
        w.recalls = recall_pointers;
        w.n_recalls = f->n_recalls;
        for (uint32_t i = 0; i < f->n_claims; i++) {
            granary__claim_info__init(&claims[i]);
            claims[i].id = f->claims[i];
            claims[i].allocation = f->allocation;
            claims[i].chunks = f->claim_chunks[i];
            claim_pointers[i] = &claims[i];
        }
        w.claims = claim_pointers;
        w.n_claims = f->n_claims;
    }
    send_message(f, TYPE(WELCOME), 0, &w);
    channel_set_state(f->channel, PEER_CLIENT);
    granary__hello__free_unpacked(m, NULL);
}

static void on_allocate(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Allocate *m = granary__allocate__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m && m->terms);
    snprintf(text, sizeof text, "ALLOCATE %s %llu want %u min %u flags %x", m->terms->label,
             (unsigned long long)m->terms->chunk_size, m->terms->want, m->terms->min, m->terms->flags);
    line(f, text);
    if (m->terms->min > 100) {
        a.reply.status = STATUS_NEVER;
        a.reply.most = 100 * m->terms->chunk_size;
    } else {
        f->allocation = 11;
        f->version = 1;
        f->want = m->terms->want;
        f->min = m->terms->min;
        f->held = f->want < f->capacity ? f->want : f->capacity;
        if (f->held < f->min) {
            f->held = 0;
            a.reply.status = STATUS_WAITING;
            a.reply.place = 1;
            a.reply.reason = no_memory;
        }
    }
    answer_send(f, in, &a);
    granary__allocate__free_unpacked(m, NULL);
}

static void recall_answer(fake_broker *f, uint64_t id, uint32_t n)
{
    for (uint32_t i = 0; i < f->n_recalls; i++) {
        if (f->recalls[i].id != id)
            continue;
        f->recalls[i].open -= n < f->recalls[i].open ? n : f->recalls[i].open;
        if (f->recalls[i].open == 0)
            f->recalls[i] = f->recalls[--f->n_recalls];
        return;
    }
}

static void on_release(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Release *m = granary__release__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    uint32_t n = f->held;
    assert(m);
    if (m->n_extents > 0)
        n = m->extents[0]->chunks;
    snprintf(text, sizeof text, "RELEASE %llu recall %llu %u:%u", (unsigned long long)m->allocation,
             (unsigned long long)m->recall, m->n_extents ? m->extents[0]->host : 0, n);
    line(f, text);
    if (n > f->held) {
        a.reply.status = STATUS_STATE;
    } else if (!(f->fail_type == TYPE(RELEASE) && f->fail_status)) {
        f->held -= n;
        f->version++;
        if (m->recall)
            recall_answer(f, m->recall, n);
        else
            f->want = f->want > n ? f->want - n : 0;
        f->capacity -= n < f->capacity ? n : f->capacity; /* somebody else has it now */
    }
    answer_send(f, in, &a);
    granary__release__free_unpacked(m, NULL);
}

static void on_claim(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Claim *m = granary__claim__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m && f->n_claims < CLAIMS);
    snprintf(text, sizeof text, "CLAIM %llu %u:%u %s", (unsigned long long)m->allocation, m->host, m->chunks,
             in->fd >= 0 ? "fd" : "no fd");
    line(f, text);
    if (!(f->fail_type == TYPE(CLAIM) && f->fail_status)) {
        a.reply.claim = ++f->next_claim;
        f->claim_chunks[f->n_claims] = m->chunks;
        f->claims[f->n_claims++] = a.reply.claim;
    }
    answer_send(f, in, &a);
    granary__claim__free_unpacked(m, NULL);
}

static void claim_close(fake_broker *f, const frame *in, uint64_t claim)
{
    answer a = {.reply = GRANARY__REPLY__INIT};
    Granary__ClaimEnded ended = GRANARY__CLAIM_ENDED__INIT;
    uint32_t at = 0;
    while (at < f->n_claims && f->claims[at] != claim)
        at++;
    if (at == f->n_claims) {
        a.reply.status = STATUS_ENDED;
    } else {
        f->n_claims--;
        f->claims[at] = f->claims[f->n_claims];
        f->claim_chunks[at] = f->claim_chunks[f->n_claims];
        a.reply.peak = ended.peak = 5000;
    }
    answer_send(f, in, &a);
    ended.claim = claim;
    ended.allocation = f->allocation;
    if (a.reply.status == 0)
        send_message(f, TYPE(CLAIM_ENDED), 0, &ended);
}

static void on_claim_request(fake_broker *f, const frame *in)
{
    char text[96];
    answer a = {.reply = GRANARY__REPLY__INIT};
    a.reply.peak = 4096;
    if (in->header.type == TYPE(ENTER)) {
        Granary__Enter *m = granary__enter__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "ENTER %llu%s %s", (unsigned long long)m->claim, m->fresh ? " fresh" : "",
                 in->fd >= 0 ? "fd" : "no fd");
        line(f, text);
        granary__enter__free_unpacked(m, NULL);
    } else if (in->header.type == TYPE(EMPTY)) {
        Granary__Empty *m = granary__empty__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "EMPTY %llu", (unsigned long long)m->claim);
        line(f, text);
        granary__empty__free_unpacked(m, NULL);
    } else if (in->header.type == TYPE(SHRINK)) {
        Granary__Shrink *m = granary__shrink__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "SHRINK %llu %u", (unsigned long long)m->claim, m->chunks);
        line(f, text);
        granary__shrink__free_unpacked(m, NULL);
    } else {
        Granary__Close *m = granary__close__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "CLOSE %llu%s", (unsigned long long)m->claim, m->kill ? " kill" : "");
        line(f, text);
        claim_close(f, in, m->claim);
        granary__close__free_unpacked(m, NULL);
        return;
    }
    answer_send(f, in, &a);
}

static void on_offer(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Offer *m = granary__offer__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    size_t idle = 0;
    assert(m);
    for (size_t i = 0; i < m->n_items; i++)
        idle += m->items[i]->known && m->items[i]->free_in_ms == 0;
    snprintf(text, sizeof text, "OFFER recall %llu items %zu idle %zu", (unsigned long long)m->recall, m->n_items,
             idle);
    line(f, text);
    answer_send(f, in, &a);
    granary__offer__free_unpacked(m, NULL);
}

static void on_want(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Want *m = granary__want__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m);
    snprintf(text, sizeof text, "WANT %u", m->want);
    line(f, text);
    f->want = m->want;
    f->version++;
    answer_send(f, in, &a);
    granary__want__free_unpacked(m, NULL);
    grow(f);
}

static void on_transfer(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Transfer *m = granary__transfer__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m);
    snprintf(text, sizeof text, "TRANSFER %llu to %llu", (unsigned long long)m->allocation,
             (unsigned long long)m->session);
    line(f, text);
    answer_send(f, in, &a);
    granary__transfer__free_unpacked(m, NULL);
}

static void on_query(fake_broker *f, const frame *in)
{
    Granary__QueryReply reply = GRANARY__QUERY_REPLY__INIT;
    Granary__HostInfo h = GRANARY__HOST_INFO__INIT, *hosts[] = {&h};
    h.id = FAKE_HOST;
    h.name = here;
    reply.hosts = hosts;
    reply.n_hosts = 1;
    line(f, "QUERY");
    send_message(f, TYPE(QUERY_REPLY), in->header.number, &reply);
}

static void on_frame(fake_broker *f, const frame *in)
{
    answer a = {.reply = GRANARY__REPLY__INIT};
    switch (in->header.type) {
    case TYPE(HELLO):
        on_hello(f, in);
        break;
    case TYPE(ALLOCATE):
        on_allocate(f, in);
        break;
    case TYPE(RELEASE):
        on_release(f, in);
        break;
    case TYPE(CLAIM):
        on_claim(f, in);
        break;
    case TYPE(ENTER):
    case TYPE(EMPTY):
    case TYPE(SHRINK):
    case TYPE(CLOSE):
        on_claim_request(f, in);
        break;
    case TYPE(OFFER):
        on_offer(f, in);
        break;
    case TYPE(WANT):
        on_want(f, in);
        break;
    case TYPE(TRANSFER):
        on_transfer(f, in);
        break;
    case TYPE(QUERY):
        on_query(f, in);
        break;
    case TYPE(GOODBYE):
        line(f, "GOODBYE");
        break;
    default:
        line(f, frame_type_name(in->header.type));
        answer_send(f, in, &a);
        break;
    }
}

static void hang_up(fake_broker *f)
{
    channel_destroy(f->channel);
    f->channel = NULL;
}

static void serve(fake_broker *f)
{
    frame in;
    int r = channel_receive(f->channel), got;
    while ((got = channel_next(f->channel, &in)) == 1) {
        on_frame(f, &in);
        if (in.fd >= 0)
            close(in.fd);
    }
    if (r < 0 || got < 0)
        hang_up(f);
}

static void *run(void *data)
{
    fake_broker *f = data;
    fake_thread = true;
    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        struct pollfd polls[3] = {{.fd = f->wake, .events = POLLIN},
                                  {.fd = f->listener, .events = POLLIN},
                                  {.fd = f->channel && !f->mute ? channel_fd(f->channel) : -1, .events = POLLIN}};
        if (f->channel)
            channel_flush(f->channel);
        pthread_mutex_unlock(&f->lock);
        poll(polls, 3, -1);
        pthread_mutex_lock(&f->lock);
        uint64_t count;
        if (polls[0].revents && read(f->wake, &count, sizeof count) < 0)
            continue;
        if (f->drop) {
            hang_up(f);
            f->drop = false;
            line(f, "DROPPED");
            continue;
        }
        if (polls[1].revents) {
            int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
            hang_up(f);
            if (fd >= 0 && channel_create(&f->channel, fd, PEER_CLIENT_NEW) < 0)
                close(fd);
        } else if (polls[2].revents && f->channel) {
            serve(f);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

fake_broker *fake_start(uint32_t capacity)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    fake_broker *f = calloc(1, sizeof *f);
    assert(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/granary-test-XXXXXX");
    assert(mkdtemp(f->folder));
    snprintf(f->socket, sizeof f->socket, "%s/s", f->folder);
    memcpy(address.sun_path, f->socket, strlen(f->socket) + 1);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    f->wake = eventfd(0, EFD_CLOEXEC);
    f->capacity = capacity;
    assert(f->listener >= 0 && bind(f->listener, (struct sockaddr *)&address, sizeof address) == 0);
    assert(listen(f->listener, 8) == 0);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->heard, NULL);
    assert(pthread_create(&f->thread, NULL, run, f) == 0);
    return f;
}

static void wake(fake_broker *f)
{
    uint64_t one = 1;
    ssize_t n = write(f->wake, &one, sizeof one);
    assert(n == (ssize_t)sizeof one);
}

void fake_stop(fake_broker *f)
{
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    wake(f);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    hang_up(f);
    close(f->listener);
    close(f->wake);
    unlink(f->socket);
    rmdir(f->folder);
    free(f);
}

const char *fake_socket(const fake_broker *f)
{
    return f->socket;
}

#define WITH(f, ...)                                                                                                   \
    do {                                                                                                               \
        pthread_mutex_lock(&(f)->lock);                                                                                \
        __VA_ARGS__;                                                                                                   \
        wake(f);                                                                                                       \
        pthread_mutex_unlock(&(f)->lock);                                                                              \
    } while (0)

void fake_recall(fake_broker *f, uint64_t recall, uint32_t count)
{
    Granary__Recall m = GRANARY__RECALL__INIT;
    m.recall = recall;
    m.allocation = f->allocation;
    m.count = count;
    m.any_host = true;
    m.notice_ms = 60000;
    WITH(f, {
        f->recalls[f->n_recalls].id = recall;
        f->recalls[f->n_recalls++].open = count;
        send_message(f, TYPE(RECALL), 0, &m);
    });
}

void fake_prefer(fake_broker *f, uint64_t recall, uint32_t host, uint32_t count)
{
    Granary__Prefer m = GRANARY__PREFER__INIT;
    Granary__Extent e = GRANARY__EXTENT__INIT, *p[] = {&e};
    m.recall = recall;
    m.allocation = f->allocation;
    e.host = host;
    e.chunks = count;
    m.n_extents = 1;
    m.extents = p;
    WITH(f, send_message(f, TYPE(PREFER), 0, &m));
}

void fake_withdraw(fake_broker *f, uint64_t recall)
{
    Granary__Withdraw m = GRANARY__WITHDRAW__INIT;
    m.recall = recall;
    m.allocation = f->allocation;
    WITH(f, {
        recall_answer(f, recall, UINT32_MAX);
        send_message(f, TYPE(WITHDRAW), 0, &m);
    });
}

void fake_ask(fake_broker *f, uint32_t count)
{
    Granary__Ask m = GRANARY__ASK__INIT;
    m.allocation = f->allocation;
    m.count = count;
    m.any_host = true;
    WITH(f, send_message(f, TYPE(ASK), 0, &m));
}

void fake_capacity(fake_broker *f, uint32_t capacity)
{
    WITH(f, {
        f->capacity = capacity;
        grow(f);
    });
}

void fake_hand(fake_broker *f, uint32_t chunks)
{
    WITH(f, {
        f->allocation = 11;
        f->held = f->want = f->min = chunks;
        push_changed(f);
    });
}

void fake_break(fake_broker *f)
{
    WITH(f, f->drop = true);
}

void fake_forget(fake_broker *f)
{
    WITH(f, {
        f->drop = true;
        f->forget = true;
    });
}

void fake_mute(fake_broker *f, bool mute)
{
    WITH(f, f->mute = mute);
}

void fake_nonsense(fake_broker *f, uint16_t type)
{
    /* A text that is a number: its first field has the wrong wire type. */
    Granary__Reply m = GRANARY__REPLY__INIT;
    uint8_t bad[] = {0xff, 0xff, 0xff};
    ProtobufCMessageUnknownField field = {
        .tag = 1, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = sizeof bad, .data = bad};
    m.base.n_unknown_fields = 1;
    m.base.unknown_fields = &field;
    WITH(f, send_message(f, type, 0, &m));
}

void fake_end(fake_broker *f, int status)
{
    Granary__AllocationEnded m = GRANARY__ALLOCATION_ENDED__INIT;
    Granary__AllocationState s;
    Granary__Extent e, *p[1];
    WITH(f, {
        f->held = 0;
        f->version++;
        state_fill(f, &s, &e, p);
        m.allocation = &s;
        m.status = status;
        m.text = as_said;
        send_message(f, TYPE(ENDED), 0, &m);
    });
}

void fake_over(fake_broker *f, uint64_t claim, uint64_t used)
{
    Granary__ClaimOver m = GRANARY__CLAIM_OVER__INIT;
    m.claim = claim;
    m.allocation = f->allocation;
    m.used = used;
    m.bytes = used / 2;
    WITH(f, send_message(f, TYPE(CLAIM_OVER), 0, &m));
}

void fake_fail(fake_broker *f, uint16_t type, int status)
{
    WITH(f, {
        f->fail_type = type;
        f->fail_status = status;
    });
}

static bool line_find(const fake_broker *f, const char *text, uint32_t *ret_at)
{
    for (uint32_t i = f->first_line; i < f->n_lines; i++)
        if (strncmp(f->lines[i], text, strlen(text)) == 0) {
            *ret_at = i;
            return true;
        }
    return false;
}

bool fake_await(fake_broker *f, const char *text)
{
    struct timespec until;
    uint32_t at = 0;
    bool found;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&f->lock);
    while (!(found = line_find(f, text, &at)))
        if (pthread_cond_timedwait(&f->heard, &f->lock, &until) != 0)
            break;
    if (found)
        f->first_line = at + 1;
    for (uint32_t i = f->first_line; !found && i < f->n_lines; i++)
        fprintf(stderr, "instead of \"%s\": \"%s\"\n", text, f->lines[i]);
    pthread_mutex_unlock(&f->lock);
    return found;
}

bool fake_seen(fake_broker *f, const char *text)
{
    uint32_t at;
    pthread_mutex_lock(&f->lock);
    bool found = line_find(f, text, &at);
    pthread_mutex_unlock(&f->lock);
    return found;
}

uint32_t fake_held(fake_broker *f)
{
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->held;
    pthread_mutex_unlock(&f->lock);
    return n;
}

uint32_t fake_claims(fake_broker *f)
{
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->n_claims;
    pthread_mutex_unlock(&f->lock);
    return n;
}
