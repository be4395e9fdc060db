/*
 * standins_watch.c - descriptors of an agent, and waiting for them: pidfds, and event files of groups.
 *
 * The machine tells what happened; the loop of the agent hears of it a little later, and now and then much later, when
 * it was not given a processor.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/status.h"
#include "standins.h"

#define FIRST_DESCRIPTOR 1000000 /* no real one is met by mistake */
#define PER_CENT         10000u  /* of a million */

struct watch {
    watchpid *set;
    int fd;
    watch_callback callback;
    void *context;
    clock_job due;
};

static agent_life *here;

void life_enter(agent_life *l)
{
    here = l;
    if (l)
        clock_enter(l->sim->clock, machine_time(l->machine));
}

agent_life *life_here(void)
{
    assert(here);
    return here;
}

/* ---- descriptors ---- */

/* The lowest that is free, as the kernel gives them. */
static int descriptor_add(const descriptor *d)
{
    agent_life *l = life_here();
    uint32_t i = 0;
    while (i < l->n_descriptors && l->descriptors[i].kind)
        i++;
    if (i == l->n_descriptors) {
        l->n_descriptors = l->n_descriptors ? 2 * l->n_descriptors : 32;
        l->descriptors = sim_grow(l->descriptors, l->n_descriptors * sizeof *l->descriptors);
        for (uint32_t k = i; k < l->n_descriptors; k++)
            l->descriptors[k] = (descriptor){0};
    }
    l->descriptors[i] = *d;
    return FIRST_DESCRIPTOR + (int)i;
}

descriptor *descriptor_at(int fd)
{
    agent_life *l = life_here();
    uint32_t i = (uint32_t)(fd - FIRST_DESCRIPTOR);
    assert(fd >= FIRST_DESCRIPTOR && i < l->n_descriptors && l->descriptors[i].kind);
    return &l->descriptors[i];
}

int descriptor_of_process(int32_t pid)
{
    return descriptor_add(&(descriptor){.kind = DESCRIPTOR_PROCESS, .pid = pid});
}

int descriptor_of_news(uint64_t folder, group_news what)
{
    news_file *file = sim_alloc(sizeof *file);
    *file = (news_file){.references = 1, .folder = folder, .what = what};
    return descriptor_add(&(descriptor){.kind = DESCRIPTOR_NEWS, .news = file});
}

int descriptor_of_reclaim(uint64_t folder)
{
    return descriptor_add(&(descriptor){.kind = DESCRIPTOR_RECLAIM, .folder = folder});
}

static void descriptor_end(descriptor *d)
{
    assert(!d->watch);
    if (d->news && --d->news->references == 0)
        free(d->news);
    *d = (descriptor){0};
}

int standin_close(int fd)
{
    descriptor_end(descriptor_at(fd));
    return 0;
}

int standin_fcntl(int fd, int command, ...)
{
    descriptor copy = *descriptor_at(fd);
    assert(command == F_DUPFD_CLOEXEC);
    copy.watch = NULL;
    if (copy.news)
        copy.news->references++;
    return descriptor_add(&copy);
}

void descriptors_finish(agent_life *l)
{
    for (uint32_t i = 0; i < l->n_descriptors; i++)
        if (l->descriptors[i].kind) {
            sim_wrong(l->sim, "agent %s leaks a descriptor of kind %d (process %d)", machine_name(l->machine),
                      l->descriptors[i].kind, l->descriptors[i].pid);
            l->descriptors[i].watch = NULL;
            descriptor_end(&l->descriptors[i]);
        }
    free(l->descriptors);
}

/* ---- pidfds ---- */

int pidfd_of(pid_t pid, int *ret)
{
    const process *p = machine_find(life_here()->machine, pid);
    if (!p || !p->alive)
        return STATUS_DEAD;
    *ret = descriptor_of_process(pid);
    return 0;
}

bool pidfd_dead(int pidfd)
{
    const descriptor *d = descriptor_at(pidfd);
    assert(d->kind == DESCRIPTOR_PROCESS);
    return !machine_find(life_here()->machine, d->pid)->alive;
}

int pidfd_kill(int pidfd)
{
    machine *m = life_here()->machine;
    machine_kill_one(m, machine_find(m, descriptor_at(pidfd)->pid), "agent");
    return 0;
}

/* ---- waiting ---- */

static bool is_due(const descriptor *d)
{
    return d->kind == DESCRIPTOR_NEWS ? d->news->pending : !machine_find(life_here()->machine, d->pid)->alive;
}

static void on_due(void *context, uint64_t argument)
{
    watch *w = context;
    (void)argument;
    w->due = 0;
    life_enter(w->set->life);
    if (is_due(descriptor_at(w->fd)))
        w->callback(w->context, w); /* it may be destroyed by this */
}

static void wake(agent_life *l, watch *w)
{
    us_t late = rng_chance(&l->dice, 2 * PER_CENT) ? 30000 : 300;
    if (!w->due)
        w->due = clock_at(l->sim->clock, clock_now(l->sim->clock) + rng_between(&l->dice, 10, late), on_due, w, 0);
}

static void on_died(void *context, int32_t pid)
{
    agent_life *l = context;
    for (uint32_t i = 0; i < l->n_descriptors; i++) {
        const descriptor *d = &l->descriptors[i];
        if (d->kind == DESCRIPTOR_PROCESS && d->pid == pid && d->watch)
            wake(l, d->watch);
    }
}

static void on_news(void *context, uint64_t folder, group_news what)
{
    agent_life *l = context;
    for (uint32_t i = 0; i < l->n_descriptors; i++) {
        descriptor *d = &l->descriptors[i];
        if (d->kind != DESCRIPTOR_NEWS || d->news->folder != folder || d->news->what != what)
            continue;
        d->news->pending = true;
        if (d->watch)
            wake(l, d->watch);
    }
}

void life_listen(agent_life *l)
{
    machine_listen(l->machine, &(machine_listener){.context = l, .died = on_died, .news = on_news});
}

int watch_create(watch **ret, watchpid *set, int fd, uint32_t events, watch_callback callback, void *context)
{
    descriptor *d = descriptor_at(fd);
    (void)events;
    assert(!d->watch);
    watch *w = sim_alloc(sizeof *w);
    *w = (watch){.set = set, .fd = fd, .callback = callback, .context = context};
    d->watch = w;
    set->live++;
    if (is_due(d))
        wake(set->life, w);
    *ret = w;
    return 0;
}

void watch_destroy(watch *w)
{
    if (!w)
        return;
    assert(w->set->live > 0);
    w->set->live--;
    clock_cancel(w->set->life->sim->clock, &w->due);
    descriptor_at(w->fd)->watch = NULL;
    standin_close(w->fd);
    free(w);
}

int watch_fd(const watch *w)
{
    return w->fd;
}
