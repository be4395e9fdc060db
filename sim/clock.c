/*
 * clock.c - a heap of jobs, and clock_gettime for the objects that ship.
 */
#include "clock.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "sim.h"

typedef struct {
    us_t when;
    uint64_t number; /* rises: equal times keep their order, and no two jobs have one name */
    clock_call call;
    void *context;
    uint64_t argument;
    uint32_t at; /* in the heap */
} job;

struct sim_clock {
    us_t now;
    uint64_t numbers, turns;
    uint32_t n, capacity;
    job *jobs;      /* by slot */
    uint32_t *heap; /* slots, the earliest job first; behind the n-th: free slots */
};

static ms_t shown_ms = CLOCK_EPOCH_MS;

static void grow(sim_clock *c, uint32_t capacity)
{
    c->jobs = sim_grow(c->jobs, capacity * sizeof *c->jobs);
    c->heap = sim_grow(c->heap, capacity * sizeof *c->heap);
    for (uint32_t i = c->capacity; i < capacity; i++) {
        c->heap[i] = i;
        c->jobs[i].number = 0;
    }
    c->capacity = capacity;
}

sim_clock *clock_create(void)
{
    sim_clock *c = sim_alloc(sizeof *c);
    *c = (sim_clock){0};
    grow(c, 1024);
    return c;
}

void clock_destroy(sim_clock *c)
{
    if (!c)
        return;
    free(c->jobs);
    free(c->heap);
    free(c);
}

us_t clock_now(const sim_clock *c)
{
    return c->now;
}

static bool before(const sim_clock *c, uint32_t a, uint32_t b)
{
    const job *x = &c->jobs[c->heap[a]], *y = &c->jobs[c->heap[b]];
    return x->when != y->when ? x->when < y->when : x->number < y->number;
}

static void swap(sim_clock *c, uint32_t a, uint32_t b)
{
    uint32_t slot = c->heap[a];
    c->heap[a] = c->heap[b];
    c->heap[b] = slot;
    c->jobs[c->heap[a]].at = a;
    c->jobs[c->heap[b]].at = b;
}

static void up(sim_clock *c, uint32_t at)
{
    for (; at > 0 && before(c, at, (at - 1) / 2); at = (at - 1) / 2)
        swap(c, at, (at - 1) / 2);
}

static void down(sim_clock *c, uint32_t at)
{
    for (;;) {
        uint32_t first = at, left = 2 * at + 1;
        if (left < c->n && before(c, left, first))
            first = left;
        if (left + 1 < c->n && before(c, left + 1, first))
            first = left + 1;
        if (first == at)
            return;
        swap(c, at, first);
        at = first;
    }
}

/* Takes the job at this place of the heap out; its slot becomes the first free one. */
static void take_out(sim_clock *c, uint32_t at)
{
    c->jobs[c->heap[at]].number = 0;
    swap(c, at, --c->n);
    if (at < c->n) {
        up(c, at);
        down(c, at);
    }
}

clock_job clock_at(sim_clock *c, us_t when, clock_call call, void *context, uint64_t argument)
{
    assert(when >= c->now && when != US_NEVER);
    if (c->n == c->capacity)
        grow(c, c->capacity * 2);
    uint32_t slot = c->heap[c->n];
    c->jobs[slot] = (job){when, ++c->numbers, call, context, argument, c->n};
    up(c, c->n++);
    return c->numbers << 24 | slot;
}

void clock_cancel(sim_clock *c, clock_job *name)
{
    uint32_t slot = *name & 0xffffff;
    if (*name && slot < c->capacity && c->jobs[slot].number == *name >> 24)
        take_out(c, c->jobs[slot].at);
    *name = 0;
}

bool clock_turn(sim_clock *c)
{
    if (c->n == 0)
        return false;
    job due = c->jobs[c->heap[0]];
    take_out(c, 0);
    c->now = due.when;
    c->turns++;
    due.call(due.context, due.argument);
    return true;
}

us_t clock_next(const sim_clock *c)
{
    return c->n ? c->jobs[c->heap[0]].when : US_NEVER;
}

uint64_t clock_turns(const sim_clock *c)
{
    return c->turns;
}

/* ---- what programs see ---- */

ms_t clock_ms(const sim_clock *c, const machine_clock *m)
{
    return (c->now + m->ahead) / 1000 + CLOCK_EPOCH_MS;
}

us_t clock_when(const sim_clock *c, const machine_clock *m, ms_t ms)
{
    if (ms == MS_NEVER || ms > UINT64_MAX / 2000)
        return US_NEVER;
    us_t shown = ms < CLOCK_EPOCH_MS ? 0 : US_OF_MS(ms - CLOCK_EPOCH_MS);
    return shown <= c->now + m->ahead ? c->now : shown - m->ahead;
}

void clock_enter(const sim_clock *c, const machine_clock *m)
{
    shown_ms = clock_ms(c, m);
}

/* The linker sends the calls of every object here. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    (void)id;
    *ret = (struct timespec){.tv_sec = (time_t)(shown_ms / 1000), .tv_nsec = (long)(shown_ms % 1000) * 1000000};
    return 0;
}
