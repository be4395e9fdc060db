/*
 * machine_group.c - limits groups as the kernel keeps them: what is charged to whom, and who dies when it is too much.
 *
 * Version 2 kills a whole group at once when its limit does not allow what a process asks for, and tells of it after.
 * Version 1 tells first, and a little later kills one process, the largest; the others go on. Clean page cache and
 * kernel memory that can be dropped go before anybody is killed.
 */
#include <assert.h>
#include <stdlib.h>

#include "judge.h"
#include "machine_inner.h"

#define PER_CENT      10000u   /* of a million */
#define LEFT_MOST     MIB(3)   /* kernel memory that a task leaves, where it can be dropped by order */
#define LEFT_FOR_EVER KIB(900) /* where it cannot: less than what a claim may leave */

machine_group *machine_group_find(const machine *m, uint64_t gen)
{
    machine_group *g = m->groups;
    while (g && g->generation != gen)
        g = g->next;
    return g;
}

machine_group *machine_group_of(const machine *m, uint64_t folder)
{
    machine_group *g = m->groups;
    while (g && g->folder != folder)
        g = g->next;
    return g;
}

machine_group *machine_group_make(machine *m, uint64_t gen, bytes_t limit)
{
    assert(!machine_group_find(m, gen));
    machine_group *g = sim_alloc(sizeof *g), **at = &m->groups;
    *g = (machine_group){.generation = gen, .folder = ++m->folders, .limit = limit};
    while (*at)
        at = &(*at)->next;
    *at = g;
    return g;
}

static void group_free(machine *m, machine_group *g)
{
    machine_group **at = &m->groups;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    clock_cancel(m->sim->clock, &g->oom);
    free(g);
}

void machine_group_drop(machine *m, machine_group *g)
{
    m->in_use -= g->droppable;
    g->used -= g->droppable;
    g->droppable = g->cache = 0;
}

bool machine_group_remove(machine *m, machine_group *g)
{
    if (g->processes || clock_now(m->sim->clock) < g->busy_until)
        return false;
    machine_group_drop(m, g);
    for (ghost *left = m->ghosts; left; left = left->next)
        if (left->group == g) {
            g->used -= left->bytes;
            left->group = NULL;
        }
    assert(g->used == 0);
    group_free(m, g);
    return true;
}

static bool lose(machine *m, machine_group *g)
{
    uint64_t gen = g->generation;
    if (g->used != g->droppable || !machine_group_remove(m, g))
        return false;
    sim_say(m->sim, m->name, "somebody removes the empty group of claim %llu", (unsigned long long)gen);
    return true;
}

static void on_lose(void *context, uint64_t folder)
{
    machine *m = context;
    machine_group *g = machine_group_of(m, folder);
    if (g && lose(m, g))
        m->loses_group = false;
}

void machine_lose_group(machine *m)
{
    if (m->how == ENFORCE_WATCH)
        return;
    for (machine_group *g = m->groups; g; g = g->next)
        if (lose(m, g))
            return;
    m->loses_group = true;
}

void machine_groups_end(machine *m)
{
    while (m->groups)
        group_free(m, m->groups);
    while (m->ghosts) {
        ghost *left = m->ghosts;
        m->ghosts = left->next;
        clock_cancel(m->sim->clock, &left->end);
        free(left);
    }
    m->in_use = 0;
}

bytes_t machine_group_charged(const machine_group *g)
{
    return g->used + g->cache;
}

void machine_groups(const machine *m, void (*visit)(void *context, const group_view *g), void *context)
{
    for (const machine_group *g = m->groups; g; g = g->next) {
        group_view view = {.generation = g->generation,
                           .limit = g->limit,
                           .charged = g->used,
                           .droppable = g->droppable,
                           .processes = g->processes};
        visit(context, &view);
    }
}

/* ---- who is in it ---- */

static void tell(const machine *m, const machine_group *g, group_news what)
{
    if (m->listener.news)
        m->listener.news(m->listener.context, g->folder, what);
}

void machine_group_enter(machine *m, machine_group *g, process *p)
{
    if (p->group == g)
        return;
    if (p->group) {
        p->group->used -= p->anon + p->shared;
        if (--p->group->processes == 0)
            tell(m, p->group, GROUP_POPULATED);
    }
    p->brought += p->anon + p->shared; /* a page stays where it was first touched */
    p->anon = p->shared = 0;
    p->group = g;
    p->in = g->generation;
    if (g->processes++ == 0)
        tell(m, g, GROUP_POPULATED);
}

/* Page cache makes room; the high-water mark follows. */
static void mark(machine_group *g)
{
    bytes_t room = g->limit > g->used ? g->limit - g->used : 0;
    g->cache = g->cache < room ? g->cache : room;
    g->high = machine_group_charged(g) > g->high ? machine_group_charged(g) : g->high;
}

/* What the kernel keeps of a task's files after it. */
static void leave_dirt(machine *m, machine_group *g)
{
    bytes_t most = m->can_reclaim || m->how == ENFORCE_V1 ? LEFT_MOST : LEFT_FOR_EVER;
    bytes_t room = g->limit > g->used ? g->limit - g->used : 0;
    most = room < most ? room : most;
    if (rng_chance(&m->dice, 25 * PER_CENT) && g->droppable < most) {
        bytes_t more = rng_below(&m->dice, most - g->droppable);
        g->droppable += more;
        g->used += more;
        m->in_use += more;
    }
    if (rng_chance(&m->dice, 30 * PER_CENT))
        g->cache = rng_below(&m->dice, MIB(64));
    mark(g);
}

void machine_group_leave(machine *m, process *p)
{
    machine_group *g = p->group;
    bool stays = g && m->how != ENFORCE_WATCH;
    if (g && !stays)
        g->used -= p->anon + p->shared;
    machine_ghost(m, stays ? g : NULL, p->anon, p->plan.teardown);
    machine_ghost(m, NULL, p->brought, p->plan.teardown);
    machine_ghost(m, stays ? g : NULL, p->shared, p->plan.shared_life);
    p->anon = p->brought = p->shared = 0;
    p->group = NULL;
    if (!g)
        return;
    g->processes--;
    if (stays && p->runs)
        leave_dirt(m, g);
    if (g->processes)
        return;
    if (stays && rng_chance(&m->dice, 10 * PER_CENT))
        g->busy_until = clock_now(m->sim->clock) + rng_below(&m->dice, 3000);
    tell(m, g, GROUP_POPULATED);
    if (m->loses_group && stays)
        clock_at(m->sim->clock, clock_now(m->sim->clock) + rng_below(&m->dice, 5000), on_lose, m, g->folder);
    if (!stays)
        group_free(m, g);
}

void machine_group_kill(machine *m, machine_group *g, const char *by)
{
    for (uint32_t i = 0; i < m->n_living; i++)
        if (m->living[i]->group == g)
            machine_kill_one(m, m->living[i], by);
}

/* ---- what is charged ---- */

static void oom_kill(machine *m, machine_group *g, process *p)
{
    p->oom = true;
    g->kills++;
    machine_kill_one(m, p, "the want of memory");
}

/* Version 1: now it kills. */
static void on_oom(void *context, uint64_t folder)
{
    machine *m = context;
    machine_group *g = machine_group_of(m, folder);
    process *victim = NULL;
    g->oom = 0;
    if (g->used + g->wanted <= g->limit)
        return; /* somebody's memory came free meanwhile */
    for (uint32_t i = 0; i < m->n_living; i++) {
        process *p = m->living[i];
        if (p->group == g && !p->killed && (!victim || p->anon > victim->anon))
            victim = p;
    }
    if (victim)
        oom_kill(m, g, victim);
}

static void run_out(machine *m, machine_group *g, bytes_t wanted)
{
    bool one_dies = g->oom != 0, somebody = false;
    for (uint32_t i = 0; i < m->n_living; i++) {
        process *p = m->living[i];
        one_dies |= p->group == g && p->oom;
        somebody |= p->group == g && !p->killed;
    }
    if (one_dies || !somebody)
        return; /* what it has comes free first */
    if (m->how == ENFORCE_V1) {
        g->wanted = wanted;
        g->oom =
            clock_at(m->sim->clock, clock_now(m->sim->clock) + rng_between(&m->dice, 50, 5000), on_oom, m, g->folder);
    } else {
        for (uint32_t i = 0; i < m->n_living; i++)
            if (m->living[i]->group == g && !m->living[i]->killed)
                oom_kill(m, g, m->living[i]);
    }
    tell(m, g, GROUP_MEMORY);
}

bool machine_charge(machine *m, process *p, bytes_t bytes)
{
    machine_group *g = p->group;
    if (g && g->used + bytes > g->limit) {
        machine_group_drop(m, g);
        if (g->used + bytes > g->limit) {
            run_out(m, g, bytes);
            return false;
        }
        if (m->how == ENFORCE_V2)
            tell(m, g, GROUP_MEMORY); /* it came near; nobody was killed */
    }
    m->in_use += bytes;
    if (!g)
        return true;
    g->used += bytes;
    mark(g);
    return true;
}

static void on_ghost_end(void *context, uint64_t argument)
{
    ghost *left = context, **at = &left->machine->ghosts;
    (void)argument;
    while (*at != left)
        at = &(*at)->next;
    *at = left->next;
    left->machine->in_use -= left->bytes;
    if (left->group)
        left->group->used -= left->bytes;
    free(left);
}

void machine_ghost(machine *m, machine_group *g, bytes_t bytes, us_t span)
{
    if (bytes == 0)
        return;
    ghost *left = sim_alloc(sizeof *left);
    *left = (ghost){.next = m->ghosts, .machine = m, .group = g, .bytes = bytes};
    m->ghosts = left;
    if (span != US_NEVER)
        left->end = clock_at(m->sim->clock, clock_now(m->sim->clock) + span, on_ghost_end, left, 0);
}
