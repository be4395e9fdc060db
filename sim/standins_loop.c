/*
 * standins_loop.c - the parts of libuv that the agent's claims use, on the run's clock.
 */
#include <assert.h>
#include <stdlib.h>

#include "standins.h"

#define WORK_LEAST 200u /* us of a job in the thread pool */
#define WORK_MOST  20000u

struct work {
    work *next;
    uv_work_t *request;
    clock_job done;
};

static agent_life *life_of(const uv_loop_t *loop)
{
    return loop->data;
}

uint64_t uv_now(const uv_loop_t *loop)
{
    return clock_now(life_of(loop)->sim->clock) / 1000 + CLOCK_EPOCH_MS;
}

/* ---- timers: the job is kept in the handle ---- */

static void on_due(void *context, uint64_t argument)
{
    uv_timer_t *timer = context;
    (void)argument;
    timer->timeout = 0;
    life_enter(life_of(timer->loop));
    timer->timer_cb(timer);
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    timer->loop = loop;
    timer->type = UV_TIMER;
    timer->timeout = 0;
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    clock_cancel(life_of(timer->loop)->sim->clock, &timer->timeout);
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
    sim_clock *c = life_of(timer->loop)->sim->clock;
    us_t due = US_OF_MS(clock_now(c) / 1000 + timeout);
    assert(repeat == 0);
    uv_timer_stop(timer);
    timer->timer_cb = callback;
    timer->timeout = clock_at(c, due > clock_now(c) ? due : clock_now(c), on_due, timer, 0);
    return 0;
}

/* ---- handles that close ---- */

static void close_all(agent_life *l)
{
    clock_cancel(l->sim->clock, &l->turn);
    while (l->closing) {
        uv_handle_t *handle = l->closing;
        l->closing = handle->next_closing;
        if (handle->close_cb)
            handle->close_cb(handle);
    }
}

static void on_turn(void *context, uint64_t argument)
{
    agent_life *l = context;
    (void)argument;
    l->turn = 0;
    life_enter(l);
    close_all(l);
}

void uv_close(uv_handle_t *handle, uv_close_cb callback)
{
    agent_life *l = life_of(handle->loop);
    assert(handle->type == UV_TIMER);
    uv_timer_stop((uv_timer_t *)handle);
    handle->close_cb = callback;
    handle->next_closing = l->closing;
    l->closing = handle;
    if (!l->turn)
        l->turn = clock_at(l->sim->clock, clock_now(l->sim->clock), on_turn, l, 0);
}

/* ---- the thread pool ---- */

static uv_work_t *work_take(agent_life *l, work *w)
{
    work **at = &l->works;
    uv_work_t *request = w->request;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    clock_cancel(l->sim->clock, &w->done);
    free(w);
    return request;
}

static void on_work_done(void *context, uint64_t argument)
{
    work *w = context;
    agent_life *l = life_of(w->request->loop);
    (void)argument;
    w->done = 0;
    uv_work_t *request = work_take(l, w);
    life_enter(l);
    request->work_cb(request);
    request->after_work_cb(request, 0);
}

int uv_queue_work(uv_loop_t *loop, uv_work_t *request, uv_work_cb job, uv_after_work_cb after)
{
    agent_life *l = life_of(loop);
    work *w = sim_alloc(sizeof *w);
    request->loop = loop;
    request->work_cb = job;
    request->after_work_cb = after;
    *w = (work){.next = l->works, .request = request};
    l->works = w;
    us_t when = clock_now(l->sim->clock) + rng_between(&l->dice, WORK_LEAST, WORK_MOST);
    w->done = clock_at(l->sim->clock, when, on_work_done, w, 0);
    return 0;
}

void loop_finish(agent_life *l)
{
    while (l->works) {
        uv_work_t *request = work_take(l, l->works);
        request->after_work_cb(request, UV_ECANCELED);
    }
    close_all(l);
}
