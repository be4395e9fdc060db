/*
 * loop.c - turning the client.
 */
#include "client/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "client/cache.h"
#include "client/client.h"
#include "client/pool.h"
#include "client/spawn.h"

#define EVENTS 8 /* socket, wake, timer, and some commands that ended */

static void close_if(int fd)
{
    if (fd >= 0)
        close(fd);
}

static int watch(int epoll, int fd, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, operation, fd, &event) < 0 ? STATUS_SYSTEM : 0;
}

int loop_watch(loop *l, int fd, bool writing, bool add)
{
    return watch(l->inner, fd, EPOLLIN | (writing ? EPOLLOUT : 0), add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
}

void loop_unwatch(loop *l, int fd)
{
    epoll_ctl(l->inner, EPOLL_CTL_DEL, fd, NULL);
}

int loop_init(loop *l, bool threaded)
{
    *l = (loop){.inner = -1, .outer = -1, .wake = -1, .timer = -1, .news = -1, .threaded = threaded, .armed = MS_NEVER};
    l->inner = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (!threaded)
        l->outer = epoll_create1(EPOLL_CLOEXEC);
    bool ok = l->inner >= 0 && l->wake >= 0 && l->news >= 0 && l->timer >= 0 && (threaded || l->outer >= 0);
    ok = ok && watch(l->inner, l->wake, EPOLLIN, EPOLL_CTL_ADD) == 0;
    ok = ok && watch(l->inner, l->timer, EPOLLIN, EPOLL_CTL_ADD) == 0;
    if (!threaded) {
        ok = ok && watch(l->outer, l->inner, EPOLLIN, EPOLL_CTL_ADD) == 0;
        ok = ok && watch(l->outer, l->news, EPOLLIN, EPOLL_CTL_ADD) == 0;
    }
    if (ok)
        return 0;
    int saved = errno;
    loop_finish(l);
    errno = saved;
    return STATUS_SYSTEM;
}

void loop_finish(loop *l)
{
    close_if(l->outer);
    close_if(l->inner);
    close_if(l->wake);
    close_if(l->news);
    close_if(l->timer);
    *l = (loop){.inner = -1, .outer = -1, .wake = -1, .timer = -1, .news = -1};
}

int loop_fd(const loop *l)
{
    return l->threaded ? l->news : l->outer;
}

static void eventfd_drain(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

static void news_clear(loop *l)
{
    if (l->news_told)
        eventfd_drain(l->news);
    l->news_told = false;
}

static void news_tell(loop *l)
{
    uint64_t one = 1;
    if (!l->news_told)
        l->news_told = write(l->news, &one, sizeof one) == (ssize_t)sizeof one;
}

void loop_arm(granary_client *c)
{
    loop *l = &c->loop;
    ms_t link_at = link_deadline(c), cache_at = caches_deadline(c), pool_at = pools_deadline(c);
    ms_t at = link_at < cache_at ? link_at : cache_at;
    at = pool_at < at ? pool_at : at;
    struct itimerspec when = {0};
    if (at == l->armed)
        return;
    l->armed = at;
    if (at != MS_NEVER) {
        when.it_value.tv_sec = (time_t)(at / 1000);
        when.it_value.tv_nsec = (long)(at % 1000) * 1000000 + 1; /* never all zero, which would disarm it */
    }
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

void loop_turn(granary_client *c, int timeout_ms)
{
    loop *l = &c->loop;
    struct epoll_event events[EVENTS];
    pthread_mutex_unlock(&c->lock);
    int n = epoll_wait(l->inner, events, EVENTS, timeout_ms);
    pthread_mutex_lock(&c->lock);

    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == l->timer)
            l->armed = MS_NEVER;
        if (fd == l->wake || fd == l->timer)
            eventfd_drain(fd);
        else if (c->link.channel && fd == link_fd(c))
            link_input(c);
        else
            (void)spawned_ended(c, fd);
    }
    link_tick(c, client_now());
    requests_tick(c, client_now());
    caches_tick(c, client_now());
    pools_tick(c, client_now());
    requests_send(c);
    link_flush(c);
    loop_arm(c);
    if (n > 0) {
        news_tell(l);
        pthread_cond_broadcast(&c->changed);
    }
}

static int span_of(ms_t deadline)
{
    ms_t now = client_now();
    if (deadline == MS_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    return deadline - now > 3600000 ? 3600000 : (int)(deadline - now);
}

static void condition_wait(granary_client *c, int span)
{
    struct timespec at;
    if (span < 0) {
        pthread_cond_wait(&c->changed, &c->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += span / 1000;
    at.tv_nsec += (long)(span % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&c->changed, &c->lock, &at);
}

int loop_wait(granary_client *c, ms_t deadline)
{
    loop *l = &c->loop;
    int span = span_of(deadline);
    if (span == 0)
        return STATUS_TIMEOUT;
    bool turner = !l->threaded || pthread_equal(l->thread, pthread_self());
    if (!turner || l->turning) {
        condition_wait(c, span);
        return 0;
    }
    l->turning = true;
    loop_turn(c, span);
    l->turning = false;
    pthread_cond_broadcast(&c->changed); /* another caller may have to take over */
    return 0;
}

void loop_dispatch(granary_client *c)
{
    if (!c->loop.threaded) {
        loop_turn(c, 0);
        caches_call(c);
    }
    news_clear(&c->loop);
}

static void *thread_run(void *data)
{
    granary_client *c = data;
    pthread_mutex_lock(&c->lock);
    while (!c->loop.stop) {
        loop_turn(c, -1);
        caches_call(c);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int loop_start(granary_client *c)
{
    sigset_t all, before;
    sigfillset(&all); /* the program's handlers run on the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&c->loop.thread, NULL, thread_run, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error ? STATUS_SYSTEM : 0;
}

void loop_stop(granary_client *c)
{
    uint64_t one = 1;
    pthread_mutex_lock(&c->lock);
    c->loop.stop = true;
    pthread_mutex_unlock(&c->lock);
    while (write(c->loop.wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
    pthread_join(c->loop.thread, NULL);
}
