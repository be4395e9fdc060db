#include "daemon/watch.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/broker.h"

struct watch {
    uv_poll_t poll;
    broker *broker;
    session_id session;
    int pidfd;
    watch *next;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void unlink_and_close(broker *b, watch **at)
{
    watch *w = *at;
    *at = w->next;
    b->watches.n--;
    uv_close((uv_handle_t *)&w->poll, on_closed);
    close(w->pidfd);
}

static void dead(watch *w)
{
    broker *b = w->broker;
    core_event event = {.kind = EVENT_SESSION_END, .session = {.session = w->session}};
    watch_stop(b, event.session.session);
    broker_step(b, &event);
}

static void on_dead(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    dead(poll->data);
}

void watch_collect(broker *b)
{
    watch *w = b->watches.first;
    while (w) {
        watch *next = w->next;
        if (process_alive(w->pidfd)) {
            w = next;
        } else {
            dead(w);
            w = b->watches.first; /* the step may have ended others */
        }
    }
}

void watch_start(broker *b, session_id session, int pidfd)
{
    watch *w = pidfd < 0 ? NULL : calloc(1, sizeof *w);
    if (!w || uv_poll_init(&b->loop, &w->poll, pidfd) < 0) {
        free(w);
        if (pidfd >= 0)
            close(pidfd);
        return;
    }
    w->poll.data = w;
    w->broker = b;
    w->session = session;
    w->pidfd = pidfd;
    w->next = b->watches.first;
    b->watches.first = w;
    b->watches.n++;
    uv_poll_start(&w->poll, UV_READABLE, on_dead);
}

void watch_stop(broker *b, session_id session)
{
    for (watch **at = &b->watches.first; *at; at = &(*at)->next)
        if ((*at)->session.v == session.v) {
            unlink_and_close(b, at);
            return;
        }
}

void watch_stop_all(broker *b)
{
    while (b->watches.first)
        unlink_and_close(b, &b->watches.first);
}
