#include "daemon/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"
#include "daemon/broker.h"
#include "daemon/query.h"
#include "daemon/session.h"
#include "granary.pb-c.h"

#define SLOT_BITS        20u /* of a link's name; the rest is a serial number */
#define FRAMES_PER_TURN  64u /* of one peer, so that a flood does not starve the others */
#define ACCEPTS_PER_TURN 64u
#define HELLO_WITHIN_MS  5000u
#define UNSENT_HIGH      ((size_t)1 << 20)  /* above it nothing more is done for the peer, nor read from it */
#define UNSENT_LIMIT     ((size_t)16 << 20) /* above it the peer is dropped: some whole snapshots */
#define PAUSE_MS         100u               /* without descriptors: connections wait in the backlog */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_ready(uv_poll_t *poll, int status, int events);
static void on_accept(uv_poll_t *poll, int status, int events);

peer *peers_find(broker *b, uint64_t link)
{
    uint32_t slot = (uint32_t)(link & ((1u << SLOT_BITS) - 1));
    peer *p = slot < b->peers.capacity ? b->peers.table[slot] : NULL;
    return p && p->link == link && p->stage != PEER_DOOMED ? p : NULL;
}

peer *peers_find_session(broker *b, session_id session, const peer *but)
{
    for (uint32_t i = 0; i < b->peers.capacity; i++) {
        peer *p = b->peers.table[i];
        if (p && p != but && p->session.v == session.v)
            return p;
    }
    return NULL;
}

static void poll_for(peer *p, int events)
{
    if (p->events == events)
        return;
    p->events = events;
    if (events)
        uv_poll_start(&p->poll, events, on_ready);
    else
        uv_poll_stop(&p->poll);
}

/* ---- loss and doom ---- */

static void backlog_add(peer *p)
{
    p->backlog = true;
    p->next_backlog = p->broker->peers.backlog;
    p->broker->peers.backlog = p;
    broker_again(p->broker);
}

/* Nobody reads there any more. What was sent before, perhaps a Goodbye, still counts: it is read to its end. */
static void peer_lose(peer *p)
{
    if (p->lost)
        return;
    p->lost = true;
    shutdown(channel_fd(p->channel), SHUT_RDWR); /* so that there is an end */
    poll_for(p, 0);
    if (p->stage != PEER_DOOMED && !p->backlog)
        backlog_add(p);
}

void peer_doom(peer *p)
{
    if (p->stage == PEER_DOOMED)
        return;
    if (p->stage == PEER_FRESH)
        p->broker->peers.n_fresh--;
    query_unfollow(p);
    p->stage = PEER_DOOMED;
    p->next_doomed = p->broker->peers.doomed;
    p->broker->peers.doomed = p;
    poll_for(p, 0);
    broker_again(p->broker);
}

void peer_refuse(peer *p, int status, const char *text)
{
    if (p->stage == PEER_DOOMED)
        return;
    Granary__Error error = GRANARY__ERROR__INIT;
    error.status = status;
    error.text = (char *)text;
    log_write(p->broker->log, LOG_INFO, "uid=%u pid=%d status=%s connection refused: %s", (unsigned)p->process.uid,
              (int)p->process.pid, status_name(status), text);
    peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_ERROR, 0, &error.base);
    peer_doom(p);
}

static void peer_free(peer *p)
{
    peers *all = &p->broker->peers;
    all->table[p->slot] = NULL;
    all->free_slots[all->n_free++] = p->slot;
    all->n--;
    p->broker->busy_last = driver_now();
    uv_close((uv_handle_t *)&p->poll, on_closed);
    channel_destroy(p->channel);
    if (p->process.pidfd >= 0)
        close(p->process.pidfd);
}

/* ---- sending ---- */

void peer_send(peer *p, uint16_t type, uint64_t number, const ProtobufCMessage *message)
{
    if (p->stage == PEER_DOOMED || p->lost)
        return;
    int r = channel_send(p->channel, type, number == PUSH_NUMBER ? ++p->pushes : number, 0, message, -1);
    if (r < 0) {
        log_write(p->broker->log, LOG_WARNING, "uid=%u pid=%d status=%s connection dropped: its answers cannot be kept",
                  (unsigned)p->process.uid, (int)p->process.pid, status_name(r));
        p->lost = true;
        peer_doom(p);
        return;
    }
    if (!p->dirty) {
        p->dirty = true;
        p->next_dirty = p->broker->peers.dirty;
        p->broker->peers.dirty = p;
    }
}

void peers_flush(broker *b)
{
    peer *p = b->peers.dirty;
    b->peers.dirty = NULL;
    while (p) {
        peer *next = p->next_dirty;
        p->dirty = false;
        if (!p->lost && channel_flush(p->channel) < 0)
            peer_lose(p);
        if (!p->lost && p->stage != PEER_DOOMED) {
            size_t pending = channel_pending(p->channel);
            poll_for(p, (pending ? UV_WRITABLE : 0) | (pending < UNSENT_HIGH ? UV_READABLE : 0));
            if (p->stalled && pending < UNSENT_HIGH)
                backlog_add(p);
            p->stalled &= pending >= UNSENT_HIGH;
        }
        p = next;
    }
}

void peers_collect(broker *b)
{
    for (uint32_t i = 0; i < b->peers.capacity; i++) {
        peer *p = b->peers.table[i];
        if (!p || p->stage != PEER_OPEN || p->process.pidfd < 0 || process_alive(p->process.pidfd))
            continue;
        log_write(b->log, LOG_WARNING,
                  "session=%llu pid=%d the process is dead, but its connection is held open: it is ended",
                  (unsigned long long)p->session.v, (int)p->process.pid);
        peer_doom(p);
    }
}

bool peers_reap(broker *b)
{
    peer *p = b->peers.doomed;
    b->peers.doomed = NULL;
    bool stepped = false;
    while (p) {
        peer *next = p->next_doomed;
        assert(!p->dirty);
        if (p->session.v) {
            session_broken(p);
            stepped = true;
        }
        p->reaped = true;
        if (!p->backlog) /* else its turn in that list frees it */
            peer_free(p);
        p = next;
    }
    return stepped;
}

/* ---- receiving ---- */

static void peer_work(peer *p)
{
    for (unsigned i = 0; i < FRAMES_PER_TURN && p->stage != PEER_DOOMED; i++) {
        frame f;
        p->stalled = !p->lost && channel_pending(p->channel) >= UNSENT_HIGH;
        if (p->stalled)
            return; /* goes on when its answers have left */
        int r = channel_next(p->channel, &f);
        if (r < 0) {
            peer_refuse(p, STATUS_PROTOCOL, channel_why(p->channel));
            return;
        }
        if (r == 0) {
            if (p->ended)
                peer_doom(p);
            else if (p->lost)
                backlog_add(p);
            return;
        }
        p->broker->pidfd = f.fd;
        if (p->stage == PEER_FRESH)
            session_hello(p, &f);
        else
            session_request(p, &f);
        if (p->broker->pidfd >= 0)
            close(p->broker->pidfd);
        p->broker->pidfd = -1;
        scratch_reset(&p->broker->scratch);
    }
    if (p->stage != PEER_DOOMED)
        backlog_add(p);
}

static void peer_read(peer *p)
{
    int r = channel_receive(p->channel);
    if (r == STATUS_NO_MEMORY) {
        peer_refuse(p, STATUS_NO_MEMORY, "the broker has no memory left for this message: connect again later");
        return;
    }
    if (r < 0)
        p->lost = p->ended = true; /* whole frames that came before the end still count */
    peer_work(p);
}

void peers_work(broker *b)
{
    peer *p = b->peers.backlog;
    b->peers.backlog = NULL;
    while (p && !b->failed) {
        peer *next = p->next_backlog;
        p->backlog = false;
        if (p->reaped)
            peer_free(p);
        else if (p->lost && p->stage != PEER_DOOMED)
            peer_read(p);
        else
            peer_work(p);
        p = next;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    peer *p = poll->data;
    if (p->broker->failed)
        return;
    if (status < 0) { /* closed by the other side, which had not read all */
        peer_lose(p);
        return;
    }
    if ((events & UV_WRITABLE) && !p->dirty) {
        p->dirty = true;
        p->next_dirty = p->broker->peers.dirty;
        p->broker->peers.dirty = p;
    }
    if (!(events & UV_READABLE) || p->backlog)
        return;
    peer_read(p);
}

/* ---- accepting ---- */

static uint32_t connections_of(const broker *b, uid_t uid)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->peers.capacity; i++)
        if (b->peers.table[i] && b->peers.table[i]->process.uid == uid)
            n++;
    return n;
}

/* One Error, at once and without allocating: no byte of what the other side says was looked at, so no commit is waited
 * for. */
static void turn_away(broker *b, int fd, const process_peer *process, int status, const char *text)
{
    uint8_t bytes[FRAME_HEADER_BYTES + 512];
    Granary__Error error = GRANARY__ERROR__INIT;
    error.status = status;
    error.text = (char *)text;
    size_t body = protobuf_c_message_get_packed_size(&error.base);
    assert(FRAME_HEADER_BYTES + body <= sizeof bytes);
    frame_header header = {.length = (uint32_t)body, .type = GRANARY__MESSAGE_TYPE__TYPE_ERROR};
    frame_header_encode(&header, bytes);
    protobuf_c_message_pack(&error.base, bytes + FRAME_HEADER_BYTES);
    log_write(b->log, LOG_WARNING, "uid=%u pid=%d status=%s connection refused: %s", (unsigned)process->uid,
              (int)process->pid, status_name(status), text);
    if (send(fd, bytes, FRAME_HEADER_BYTES + body, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_write(b->log, LOG_DEBUG, "pid=%d it had gone already", (int)process->pid);
    close(fd);
}

/* Makes the peer; takes over fd and pidfd only when it succeeds. */
static int peer_create(broker *b, int fd, const process_peer *process)
{
    peers *all = &b->peers;
    peer *p = calloc(1, sizeof *p);
    if (!p)
        return STATUS_NO_MEMORY;
    int r = uv_poll_init(&b->loop, &p->poll, fd) < 0 ? STATUS_SYSTEM : 0;
    if (r < 0) {
        free(p);
        return r;
    }
    p->poll.data = p;
    r = channel_create(&p->channel, fd, PEER_CLIENT_NEW);
    if (r < 0) {
        uv_close((uv_handle_t *)&p->poll, on_closed);
        return r;
    }
    channel_set_limit(p->channel, UNSENT_LIMIT);
    p->broker = b;
    p->process = *process;
    p->slot = all->free_slots[--all->n_free];
    p->link = ++all->serial << SLOT_BITS | p->slot;
    p->stage = PEER_FRESH;
    p->operator_ = process->uid == 0 || process->uid == geteuid();
    p->since = driver_now();
    all->table[p->slot] = p;
    all->n++;
    all->n_fresh++;
    poll_for(p, UV_READABLE);
    if (!uv_is_active((uv_handle_t *)&b->patience) || uv_timer_get_due_in(&b->patience) > HELLO_WITHIN_MS)
        uv_timer_start(&b->patience, b->patience.timer_cb, HELLO_WITHIN_MS + 1, 0);
    return 0;
}

static void peer_accept(broker *b, int fd)
{
    process_peer process;
    if (process_of_socket(fd, &process) < 0) {
        close(fd); /* dead already, or not to be identified: it gets nothing */
        return;
    }
    const char *full = NULL;
    if (b->peers.n_free == 0)
        full =
            "the broker has as many connections as it takes: connect again later, or raise connections in granary.conf";
    else if (connections_of(b, process.uid) >= b->config.connections_per_user)
        full = "this user has as many connections as one user may: close some, or raise connections_per_user in "
               "granary.conf";
    if (full)
        turn_away(b, fd, &process, STATUS_BUSY, full);
    else if (peer_create(b, fd, &process) == 0)
        return;
    else
        turn_away(b, fd, &process, STATUS_NO_MEMORY,
                  "the broker has no memory left for this connection: connect again later");
    if (process.pidfd >= 0)
        close(process.pidfd);
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    broker *b = poll->data;
    uv_os_fd_t listening = -1;
    (void)events;
    uv_fileno((uv_handle_t *)poll, &listening);
    for (unsigned i = 0; status == 0 && !b->failed && i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            peer_accept(b, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_write(b->log, LOG_WARNING, "no descriptor left for a new connection: it waits");
            b->peers.paused = true;
            uv_poll_stop(poll);
            uv_timer_start(&b->patience, b->patience.timer_cb, PAUSE_MS, 0);
        }
        return;
    }
}

int64_t peers_patience(broker *b, ms_t now)
{
    int64_t next = -1;
    if (b->peers.paused) {
        b->peers.paused = false;
        uv_poll_start(&b->peers.listener, UV_READABLE, on_accept);
    }
    for (uint32_t i = 0; b->peers.n_fresh > 0 && i < b->peers.capacity; i++) {
        peer *p = b->peers.table[i];
        if (!p || p->stage != PEER_FRESH)
            continue;
        if (now - p->since >= HELLO_WITHIN_MS) {
            peer_refuse(p, STATUS_TIMEOUT, "no Hello came within five seconds of the connection");
            continue;
        }
        int64_t left = (int64_t)(HELLO_WITHIN_MS - (now - p->since));
        next = next < 0 || left < next ? left : next;
    }
    return next;
}

int peers_open(broker *b, int listen_fd)
{
    uint32_t capacity = (uint32_t)b->config.connections;
    b->peers.table = calloc(capacity, sizeof *b->peers.table);
    b->peers.free_slots = calloc(capacity, sizeof *b->peers.free_slots);
    if (!b->peers.table || !b->peers.free_slots)
        return STATUS_NO_MEMORY;
    b->peers.capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++)
        b->peers.free_slots[b->peers.n_free++] = capacity - 1 - i;
    if (uv_poll_init(&b->loop, &b->peers.listener, listen_fd) < 0)
        return STATUS_SYSTEM;
    b->peers.listening = true;
    b->peers.listener.data = b;
    return uv_poll_start(&b->peers.listener, UV_READABLE, on_accept) < 0 ? STATUS_SYSTEM : 0;
}

void peers_close(broker *b)
{
    if (b->peers.listening)
        uv_close((uv_handle_t *)&b->peers.listener, NULL);
    b->peers.listening = false;
    for (uint32_t i = 0; i < b->peers.capacity; i++)
        if (b->peers.table[i])
            peer_free(b->peers.table[i]);
    free(b->peers.table);
    free(b->peers.free_slots);
    b->peers.table = NULL; /* the listener stays as it is until the loop has closed it */
    b->peers.free_slots = NULL;
    b->peers.capacity = b->peers.n = b->peers.n_free = b->peers.n_fresh = b->peers.followers = 0;
    b->peers.dirty = b->peers.backlog = b->peers.doomed = NULL;
}
