/*
 * socket_bench.c - requests a second that a broker answers: N connections with P requests in flight each.
 *
 * A request is one allocate or one release of a chunk; a connection keeps P pairs going, each of which allocates,
 * and when that is answered releases. One thread, epoll, no library of ours but the frames.
 *
 *   socket_bench --socket PATH [--connections N] [--in-flight P] [--seconds S]
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "granary.pb-c.h"
#include "proto/channel.h"

#define MOST 4096u

typedef struct {
    channel *channel;
    uint64_t number, acked;
} connection;

static uint64_t answered, failed;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void __attribute__((noreturn)) die(const char *what)
{
    fprintf(stderr, "socket_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_message(connection *c, uint16_t type, const ProtobufCMessage *m)
{
    if (channel_send(c->channel, type, ++c->number, c->acked, m, -1) < 0)
        die("send");
}

static void allocate(connection *c)
{
    Granary__Allocate m = GRANARY__ALLOCATE__INIT;
    Granary__Terms terms = GRANARY__TERMS__INIT;
    terms.label = (char *)"bench";
    terms.chunk_size = 1 << 16;
    terms.want = 1;
    terms.min = 1;
    m.terms = &terms;
    send_message(c, GRANARY__MESSAGE_TYPE__TYPE_ALLOCATE, &m.base);
}

static void release(connection *c, const Granary__AllocationState *a)
{
    Granary__Release m = GRANARY__RELEASE__INIT;
    m.allocation = a->id;
    m.n_extents = a->n_extents;
    m.extents = a->extents;
    send_message(c, GRANARY__MESSAGE_TYPE__TYPE_RELEASE, &m.base);
}

/* What one reply is unpacked into: the measuring must not cost more than the measured. */
static struct {
    _Alignas(16) unsigned char bytes[1 << 16];
    size_t used;
} room;

static void *room_take(void *userdata, size_t size)
{
    (void)userdata;
    void *at = room.bytes + room.used;
    size_t whole = (size + 15) / 16 * 16;
    if (whole > sizeof room.bytes - room.used)
        return NULL;
    room.used += whole;
    return at;
}

static void room_give(void *userdata, void *pointer)
{
    (void)userdata;
    (void)pointer;
}

static void take(connection *c, const frame *f)
{
    static ProtobufCAllocator in_room = {.alloc = room_take, .free = room_give};
    if (f->header.type == GRANARY__MESSAGE_TYPE__TYPE_ERROR) {
        Granary__Error *e = granary__error__unpack(NULL, f->header.length, f->body);
        fprintf(stderr, "socket_bench: the broker says: %s\n", e ? e->text : "?");
        exit(1);
    }
    if (f->header.type != GRANARY__MESSAGE_TYPE__TYPE_REPLY)
        return; /* pushes */
    room.used = 0;
    Granary__Reply *r = granary__reply__unpack(&in_room, f->header.length, f->body);
    if (!r)
        die("a reply is malformed");
    answered++;
    c->acked = f->header.number > c->acked ? f->header.number : c->acked;
    if (r->status != 0 && failed++ == 0)
        fprintf(stderr, "socket_bench: status %d: %s\n", r->status, r->text);
    if (r->status == 0 && r->allocation && r->allocation->n_extents > 0)
        release(c, r->allocation);
    else
        allocate(c);
}

static void receive(connection *c)
{
    frame f;
    int r;
    if (channel_receive(c->channel) < 0)
        die("the broker closed the connection");
    while ((r = channel_next(c->channel, &f)) == 1)
        take(c, &f);
    if (r < 0 || channel_flush(c->channel) < 0)
        die("receive");
}

static void greet(connection *c, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die(path);
    if (channel_create(&c->channel, fd, PEER_BROKER_TO_CLIENT_NEW) < 0)
        die("channel");
    Granary__Hello hello = GRANARY__HELLO__INIT;
    hello.version = PROTOCOL_VERSION;
    hello.program = (char *)"socket_bench";
    if (channel_send(c->channel, GRANARY__MESSAGE_TYPE__TYPE_HELLO, 0, 0, &hello.base, -1) < 0 ||
        channel_flush(c->channel) < 0)
        die("hello");
    frame f;
    int r = 0;
    struct epoll_event none;
    int wait = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event want = {.events = EPOLLIN};
    epoll_ctl(wait, EPOLL_CTL_ADD, fd, &want);
    while (r == 0) {
        if (epoll_wait(wait, &none, 1, 5000) <= 0 || channel_receive(c->channel) < 0)
            die("no welcome");
        r = channel_next(c->channel, &f);
    }
    close(wait);
    if (r < 0 || f.header.type != GRANARY__MESSAGE_TYPE__TYPE_WELCOME)
        die("no welcome");
    channel_set_state(c->channel, PEER_BROKER_TO_CLIENT);
}

typedef struct {
    const char *socket;
    unsigned connections, in_flight;
    double seconds;
} arguments;

static arguments parse(int argc, char **argv)
{
    static const struct option known[] = {{"socket", required_argument, NULL, 's'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"in-flight", required_argument, NULL, 'p'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    arguments a = {.connections = 50, .in_flight = 1, .seconds = 3};
    for (int which; (which = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (which == 's')
            a.socket = optarg;
        else if (which == 'c')
            a.connections = (unsigned)strtoul(optarg, NULL, 10);
        else if (which == 'p')
            a.in_flight = (unsigned)strtoul(optarg, NULL, 10);
        else if (which == 't')
            a.seconds = strtod(optarg, NULL);
    }
    if (!a.socket || a.connections == 0 || a.connections > MOST || a.in_flight == 0 || !(a.seconds > 0)) {
        fprintf(stderr, "usage: socket_bench --socket PATH [--connections N] [--in-flight P] [--seconds S]\n");
        exit(2);
    }
    return a;
}

int main(int argc, char **argv)
{
    static connection connections[MOST];
    arguments a = parse(argc, argv);
    int wait = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < a.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        greet(&connections[i], a.socket);
        epoll_ctl(wait, EPOLL_CTL_ADD, channel_fd(connections[i].channel), &event);
        for (unsigned k = 0; k < a.in_flight; k++)
            allocate(&connections[i]);
        channel_flush(connections[i].channel);
    }
    double start = now(), end = start + a.seconds;
    answered = 0;
    while (now() < end) {
        struct epoll_event events[256];
        int ready = epoll_wait(wait, events, 256, 1000);
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
    double took = now() - start;
    printf("requests\t%.0f\t1/s\n", (double)answered / took);
    for (unsigned i = 0; i < a.connections; i++)
        channel_destroy(connections[i].channel);
    close(wait);
    return failed ? 1 : 0;
}
