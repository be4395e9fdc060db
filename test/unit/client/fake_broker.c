/* fake_broker.c - the fake broker's thread, its allocation, and what it has heard. */
#include "fake_broker.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fake_inside.h"

_Thread_local bool fake_thread;

void fake_line(fake_broker *f, const char *text)
{
    assert(f->n_lines < LINES);
    snprintf(f->lines[f->n_lines++], sizeof f->lines[0], "%s", text);
    pthread_cond_broadcast(&f->heard);
}

void fake_state_fill(const fake_broker *f, Granary__AllocationState *s, Granary__Extent *e, Granary__Extent **p)
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

void fake_send(fake_broker *f, uint16_t type, uint64_t number, const void *message)
{
    if (f->channel)
        channel_send(f->channel, type, number, 0, message, -1);
}

void fake_push_changed(fake_broker *f)
{
    Granary__AllocationState s;
    Granary__Extent e, *p[1];
    f->version++;
    fake_state_fill(f, &s, &e, p);
    fake_send(f, TYPE(CHANGED), 0, &s);
}

void fake_grow(fake_broker *f)
{
    uint32_t before = f->held, open = 0;
    for (uint32_t i = 0; i < f->n_recalls; i++)
        open += f->recalls[i].open;
    while (f->held < f->want && f->held < f->capacity && open == 0)
        f->held++;
    if (f->allocation && f->held != before)
        fake_push_changed(f);
}

void fake_recall_answered(fake_broker *f, uint64_t id, uint32_t n)
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
        fake_answer(f, &in);
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
        if (f->drop || (f->drop_unread && polls[2].revents)) {
            hang_up(f);
            f->drop = f->drop_unread = false;
            fake_line(f, "DROPPED");
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

void fake_wake(fake_broker *f)
{
    uint64_t one = 1;
    ssize_t n = write(f->wake, &one, sizeof one);
    assert(n == (ssize_t)sizeof one);
}

void fake_stop(fake_broker *f)
{
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    fake_wake(f);
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
