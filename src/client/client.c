/*
 * client.c - opening, closing, errors, and the plain calls about allocations' life.
 */
#include "client/client.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/status.h"
#include "client/find.h"

#define CONNECT_MS 5000 /* default of connect_timeout_ms */
#define GOODBYE_MS 1000 /* how long a close waits for the socket to take what is unsent */

static _Thread_local struct {
    uint64_t serial; /* of the client; 0: of a failed open */
    char text[512];
} last_error;

ms_t client_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (ms_t)now.tv_sec * 1000 + (ms_t)now.tv_nsec / 1000000;
}

ms_t client_deadline(int64_t timeout_ms)
{
    return timeout_ms < 0 ? MS_NEVER : client_now() + (ms_t)timeout_ms;
}

int client_fail(const granary_client *c, int status, const char *format, ...)
{
    char text[sizeof last_error.text]; /* the old text may be among the arguments */
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!text[0])
        snprintf(text, sizeof text, "%s%s%s", status_text(status), status == STATUS_SYSTEM ? ": " : "",
                 status == STATUS_SYSTEM ? strerror(saved) : "");
    memcpy(last_error.text, text, sizeof text);
    last_error.serial = c ? c->serial : 0;
    errno = saved;
    return status;
}

const char *granary_client_error(const granary_client *c)
{
    return last_error.serial == (c ? c->serial : 0) ? last_error.text : "";
}

void client_end(granary_client *c, int status, const char *text)
{
    if (c->over)
        return;
    c->over = status;
    snprintf(c->over_text, sizeof c->over_text, "%s", text && text[0] ? text : status_text(status));
    link_close(c);
    requests_fail(c, status);
    claims_fail(c);
    allocations_fail(c, status, c->over_text);
    pthread_cond_broadcast(&c->changed);
}

int client_wait(granary_client *c, ms_t deadline)
{
    return loop_wait(c, deadline);
}

void client_kick(granary_client *c)
{
    link_flush(c);
    loop_arm(c);
}

static char *program_name(const char *given)
{
    return strdup(given ? given : program_invocation_short_name);
}

static int client_create(const granary_client_options *o, granary_client **ret)
{
    static atomic_uint_fast64_t serials;
    pthread_condattr_t monotonic;
    granary_client *c = calloc(1, sizeof *c);
    if (!c)
        return client_fail(NULL, STATUS_NO_MEMORY, "%s", "");
    int r = loop_init(&c->loop, !o->event_loop);
    if (r < 0) {
        free(c);
        return client_fail(NULL, r, "%s", "");
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    requests_init(&c->requests);
    c->serial = atomic_fetch_add(&serials, 1) + 1;
    c->link.retry_at = MS_NEVER;
    c->link.pause = LINK_PAUSE_MS;
    *ret = c;
    return 0;
}

static void client_destroy(granary_client *c)
{
    requests_fail(c, STATUS_LOST);
    link_finish(c);
    claims_finish(c);
    allocations_finish(c);
    hosts_finish(&c->hosts);
    loop_finish(&c->loop);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Says why no connection came about. */
static int open_failed(granary_client *c, int status)
{
    client_link *l = &c->link;
    char why[FIND_WHY_MAX];
    if (c->over)
        return client_fail(NULL, status, "%s", c->over_text);
    if (!l->socket.path && status != STATUS_INVALID) /* no memory for it */
        return client_fail(NULL, status, "%s", "");
    int reason = status == STATUS_TIMEOUT && l->state != LINK_GREETING ? STATUS_LOST : status;
    find_explain(&l->socket, reason, reason == STATUS_TIMEOUT ? find_pid(link_fd(c)) : 0, why);
    return client_fail(NULL, status == STATUS_TIMEOUT || status == STATUS_NOT_FOUND ? STATUS_LOST : status, "%s", why);
}

/* Connects for the first time, starting a broker if that is ours to do, and waits for the welcome. */
static int client_connect(granary_client *c, bool no_start, ms_t deadline)
{
    client_link *l = &c->link;
    bool started = false;
    while (l->state != LINK_UP && !c->over) {
        ms_t now = client_now();
        int left = now >= deadline ? 0 : (int)(deadline - now);
        if (left == 0)
            return STATUS_TIMEOUT;
        bool rests = l->retry_at != MS_NEVER && now < l->retry_at; /* the last one ended before its welcome */
        if (rests && l->retry_at < deadline)
            left = (int)(l->retry_at - now);
        if (l->state == LINK_GREETING || rests) {
            loop_turn(c, left);
            continue;
        }
        int r = link_connect(c);
        if (r == STATUS_LOST && l->socket.may_start && !no_start && !started) {
            started = true;
            r = find_start(l->socket.path, left);
            if (r < 0 && r != STATUS_BUSY)
                return r;
        } else if (r == STATUS_BUSY || (r == STATUS_LOST && started)) {
            find_await(l->socket.path, left < 20 ? left : 20);
        } else if (r < 0) {
            return r;
        }
    }
    return c->over;
}

int granary_client_open(granary_client **ret, const granary_client_options *options)
{
    const granary_client_options none = {0};
    const granary_client_options *o = options ? options : &none;
    granary_client *c = NULL;
    int r = client_create(o, &c);
    if (r < 0)
        return r;
    assert(c);
    r = find_socket(o->socket, &c->link.socket);
    c->link.program = program_name(o->program);
    if (r == 0 && !c->link.program)
        r = STATUS_NO_MEMORY;
    if (r == 0) {
        pthread_mutex_lock(&c->lock);
        r = client_connect(c, o->no_start,
                           client_deadline(o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CONNECT_MS));
        pthread_mutex_unlock(&c->lock);
    }
    if (r < 0) {
        r = open_failed(c, r);
        client_destroy(c);
        return r;
    }
    if (o->no_start)
        c->link.socket.may_start = false;
    if (c->loop.threaded && (r = loop_start(c)) < 0) {
        client_fail(NULL, r, "%s", "");
        client_destroy(c);
        return r;
    }
    *ret = c;
    return 0;
}

void granary_client_close(granary_client *c)
{
    if (!c)
        return;
    if (c->loop.threaded)
        loop_stop(c);
    if (c->link.state == LINK_UP) {
        Granary__Goodbye goodbye = GRANARY__GOODBYE__INIT;
        ms_t deadline = client_now() + GOODBYE_MS;
        requests_send(c);
        channel_send(c->link.channel, GRANARY__MESSAGE_TYPE__TYPE_GOODBYE, 0, 0, &goodbye.base, -1);
        while (channel_flush(c->link.channel) == 0 && channel_pending(c->link.channel) > 0 && client_now() < deadline) {
            struct pollfd room = {.fd = link_fd(c), .events = POLLOUT};
            poll(&room, 1, GOODBYE_MS);
        }
    }
    client_destroy(c);
}

int granary_client_fd(const granary_client *c)
{
    return loop_fd(&c->loop);
}

int granary_client_timeout(const granary_client *c)
{
    (void)c;
    return -1; /* the timer is behind the descriptor */
}

int granary_client_dispatch(granary_client *c)
{
    pthread_mutex_lock(&c->lock);
    loop_dispatch(c);
    int r = c->over ? client_fail(c, c->over, "%s", c->over_text) : 0;
    pthread_mutex_unlock(&c->lock);
    return r;
}
