/*
 * loop.h - who turns the client: its own thread, a blocking call, or the program's event loop.
 *
 * Everything that can wake the client (socket, timer, interrupt) hangs on one epoll descriptor, so
 * that it stays the same while connections come and go. `news` is readable when something was
 * handled that the program has not dispatched yet.
 */
#ifndef GRANARY_CLIENT_LOOP_H
#define GRANARY_CLIENT_LOOP_H

#include <pthread.h>
#include <stdbool.h>

#include "base/units.h"
#include "granary.h"

typedef struct {
    int inner;  /* epoll: socket, wake, timer */
    int outer;  /* what the program watches: epoll of inner and news (event loop), else -1 */
    int wake;   /* eventfd: written by anyone, also by a signal handler */
    int timer;  /* timerfd */
    ms_t armed; /* when it rings */
    int news;   /* eventfd */
    bool news_told;
    bool threaded, stop;
    bool turning; /* one blocking call turns the loop for all */
    pthread_t thread;
} loop;

/* Makes the descriptors. STATUS_SYSTEM. */
int loop_init(loop *l, bool threaded);
void loop_finish(loop *l);

/* Starts the thread of a threaded client, and stops it. STATUS_SYSTEM. */
int loop_start(granary_client *c);
void loop_stop(granary_client *c);

/* The descriptor that the program watches. */
int loop_fd(const loop *l);

/* Waits up to `timeout_ms` without the lock for something to happen, and handles it. Lock held before and after. */
void loop_turn(granary_client *c, int timeout_ms);

/* Waits for a change; see client_wait(). */
int loop_wait(granary_client *c, ms_t deadline);

/* Sets the timer to the nearest deadline. */
void loop_arm(granary_client *c);

/* The program looks: handles what has arrived, without blocking; `news` is silent until the next change. Lock held. */
void loop_dispatch(granary_client *c);

/* Adds or changes a descriptor of the inner epoll. STATUS_SYSTEM. */
int loop_watch(loop *l, int fd, bool writing, bool add);

/* Takes it out, before it is closed: a child that has not run exec yet may hold it open, and then closing does not. */
void loop_unwatch(loop *l, int fd);

#endif
