/*
 * machine.c - a machine and its processes, from their start to their death.
 *
 *   started (waits at its gate, uses nothing) ──go──> runs: grows in steps ──life over, or a kill──> dead
 *
 * What a dead one used is a ghost in its group (machine_group.c) until it has been torn down. Dead processes are kept:
 * a pid names one process for the whole run.
 */
#include "machine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "machine_inner.h"

#define PER_CENT      10000u       /* of a million */
#define PIDS          10000000     /* of one machine; above what a kernel gives, so that no test of real ones is met */
#define STEPS         4u           /* of growth */
#define CHILD_USES    KIB(512)     /* a child that is left behind */
#define STEP_AGAIN    US_OF_MS(50) /* of one that waits for the out-of-memory killer */
#define START_TICK_US 10000u

static void throw_kernel(machine *m)
{
    static const enforcement kinds[] = {ENFORCE_V2, ENFORCE_V2, ENFORCE_V2, ENFORCE_V1, ENFORCE_V1, ENFORCE_WATCH};
    m->how = kinds[rng_below(&m->dice, sizeof kinds / sizeof *kinds)];
    m->kills_at_once = rng_chance(&m->dice, 80 * PER_CENT);
    m->has_high = rng_chance(&m->dice, 80 * PER_CENT);
    m->resets_high = rng_chance(&m->dice, 50 * PER_CENT);
    m->knows_waiting = rng_chance(&m->dice, 50 * PER_CENT);
    m->can_reclaim = rng_chance(&m->dice, 80 * PER_CENT);
    m->refuses = rng_chance(&m->dice, 10 * PER_CENT) ? 2 * PER_CENT : 0;
}

bool machine_refuses(machine *m)
{
    return m->refuses && m->sim->plan.faults && !m->sim->settling && rng_chance(&m->dice, m->refuses);
}

static void name_boot(machine *m)
{
    snprintf(m->boot, sizeof m->boot, "boot-%s-%u", m->name, ++m->boots);
}

machine *machine_create(sim *s, uint32_t number, bytes_t physical)
{
    machine *m = sim_alloc(sizeof *m);
    assert(number < 26);
    *m = (machine){.sim = s,
                   .number = number,
                   .name = {(char)('a' + number)},
                   .dice = rng_named(s->plan.seed, "machine", number),
                   .physical = physical};
    name_boot(m);
    throw_kernel(m);
    m->total = rng_chance(&m->dice, 15 * PER_CENT) ? physical - physical / 8 : physical;
    m->cores = 1u << rng_between(&m->dice, 1, 6);
    return m;
}

void machine_destroy(machine *m)
{
    if (!m)
        return;
    machine_groups_end(m);
    for (uint32_t i = 0; i < m->n_processes; i++) {
        clock_cancel(m->sim->clock, &m->processes[i]->step);
        clock_cancel(m->sim->clock, &m->processes[i]->death);
        free(m->processes[i]);
    }
    free(m->processes);
    free(m->living);
    free(m);
}

void machine_set_enforcement(machine *m, enforcement how)
{
    assert(m->n_processes == 0);
    m->how = how;
}

enforcement machine_enforcement(const machine *m)
{
    return m->how;
}

uint32_t machine_number(const machine *m)
{
    return m->number;
}

const char *machine_name(const machine *m)
{
    return m->name;
}

machine_clock *machine_time(machine *m)
{
    return &m->time;
}

bytes_t machine_physical(const machine *m)
{
    return m->physical;
}

bytes_t machine_total(const machine *m)
{
    return m->total;
}

uint32_t machine_cores(const machine *m)
{
    return m->cores;
}

const char *machine_boot(const machine *m)
{
    return m->boot;
}

void machine_set_foreign(machine *m, bytes_t bytes)
{
    m->foreign = bytes;
    sim_say(m->sim, m->name, "foreign memory is %llu MiB", (unsigned long long)(bytes >> 20));
}

bytes_t machine_foreign(const machine *m)
{
    return m->foreign;
}

bytes_t machine_in_use(const machine *m)
{
    return m->foreign + m->in_use;
}

void machine_listen(machine *m, const machine_listener *l)
{
    m->listener = l ? *l : (machine_listener){0};
}

/* ---- processes ---- */

static int32_t first_pid(const machine *m)
{
    return (int32_t)(m->number + 1) * PIDS;
}

process *machine_find(const machine *m, int32_t pid)
{
    int32_t i = pid - first_pid(m);
    return i >= 0 && (uint32_t)i < m->n_processes ? m->processes[i] : NULL;
}

static process *process_add(machine *m, uint32_t uid, const process_plan *plan)
{
    if (m->n_processes == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 64;
        m->processes = sim_grow(m->processes, m->capacity * sizeof(process *));
        m->living = sim_grow(m->living, m->capacity * sizeof(process *));
    }
    assert(m->n_processes < PIDS);
    process *p = sim_alloc(sizeof *p);
    *p = (process){.pid = first_pid(m) + (int32_t)m->n_processes,
                   .parent = 1,
                   .started = clock_now(m->sim->clock),
                   .start = clock_now(m->sim->clock) / START_TICK_US + 1,
                   .uid = uid,
                   .plan = *plan,
                   .alive = true};
    m->processes[m->n_processes++] = p;
    m->living[m->n_living++] = p;
    return p;
}

int32_t machine_start(machine *m, uint32_t uid, const process_plan *plan,
                      void (*gone)(void *context, int32_t pid, bool oom, bool killed), void *context)
{
    process *p = process_add(m, uid, plan);
    p->gone = gone;
    p->context = context;
    return p->pid;
}

static void forget_living(machine *m, const process *p)
{
    uint32_t i = 0;
    while (m->living[i] != p)
        i++;
    memmove(m->living + i, m->living + i + 1, (--m->n_living - i) * sizeof *m->living);
}

static void die_at(machine *m, process *p, us_t span);

/* Its children are init's now. */
static void leave_child(machine *m, const process *p)
{
    process *child = p->child ? machine_find(m, p->child) : NULL;
    if (!child || !child->alive)
        return;
    child->parent = 1;
    die_at(m, child, p->plan.child_life);
}

static void end(machine *m, process *p)
{
    assert(p->alive);
    p->alive = false;
    clock_cancel(m->sim->clock, &p->step);
    clock_cancel(m->sim->clock, &p->death);
    forget_living(m, p);
    leave_child(m, p);
    machine_group_leave(m, p);
    sim_say(m->sim, m->name, "process %d is dead%s", p->pid, p->oom ? ", out of memory" : p->killed ? ", killed" : "");
    if (m->listener.died)
        m->listener.died(m->listener.context, p->pid);
}

static void tell_gone(process *p)
{
    if (p->gone)
        p->gone(p->context, p->pid, p->oom, p->killed);
}

static void on_death(void *context, uint64_t pid)
{
    machine *m = context;
    process *p = machine_find(m, (int32_t)pid);
    p->death = 0;
    end(m, p);
    tell_gone(p);
}

static void die_at(machine *m, process *p, us_t span)
{
    clock_cancel(m->sim->clock, &p->death);
    if (span != US_NEVER)
        p->death = clock_at(m->sim->clock, clock_now(m->sim->clock) + span, on_death, m, (uint64_t)p->pid);
}

process *machine_child(machine *m, process *parent)
{
    static const process_plan plan = {.from = CHILD_USES, .to = CHILD_USES, .life = US_NEVER, .teardown = 100};
    process *child = process_add(m, parent->uid, &plan);
    child->parent = parent->pid;
    child->names = parent->names;
    child->runs = true;
    child->steps = STEPS;
    if (parent->group)
        machine_group_enter(m, parent->group, child);
    if (machine_charge(m, child, CHILD_USES))
        child->anon = CHILD_USES;
    return child;
}

/* ---- growth ---- */

static bytes_t size_at(const process_plan *plan, uint32_t step)
{
    bytes_t least = plan->from, most = plan->to > least ? plan->to : least;
    return least + (most - least) / STEPS * step + (step == STEPS ? (most - least) % STEPS : 0);
}

static void on_step(void *context, uint64_t pid);

static void step_in(machine *m, process *p, us_t span)
{
    p->step = clock_at(m->sim->clock, clock_now(m->sim->clock) + span, on_step, m, (uint64_t)p->pid);
}

static void grown(machine *m, process *p)
{
    if (p->plan.shared && machine_charge(m, p, p->plan.shared))
        p->shared = p->plan.shared;
    if (p->plan.leaves_child)
        p->child = machine_child(m, p)->pid;
}

static void grow(machine *m, process *p)
{
    bytes_t wanted = size_at(&p->plan, p->steps);
    bytes_t has = p->anon + p->brought;
    if (wanted > has && !machine_charge(m, p, wanted - has)) {
        step_in(m, p, STEP_AGAIN); /* it waits, most likely for its death */
        return;
    }
    if (wanted > has)
        p->anon += wanted - has;
    if (p->steps == STEPS) {
        grown(m, p);
        return;
    }
    p->steps++;
    step_in(m, p, p->plan.grow / STEPS);
}

static void on_step(void *context, uint64_t pid)
{
    machine *m = context;
    process *p = machine_find(m, (int32_t)pid);
    p->step = 0;
    grow(m, p);
}

void machine_go(machine *m, int32_t pid)
{
    process *p = machine_find(m, pid);
    if (!p || !p->alive || p->runs)
        return;
    p->runs = true;
    p->exec_until = clock_now(m->sim->clock) + rng_between(&m->dice, 50, 2000);
    p->names = p->group ? p->group->generation : 0;
    if (!p->killed)
        die_at(m, p, p->plan.life);
    grow(m, p);
}

/* ---- kills ---- */

void machine_kill_one(machine *m, process *p, const char *by)
{
    if (!p->alive || p->killed)
        return;
    p->killed = true;
    sim_say(m->sim, m->name, "process %d is killed by %s", p->pid, by);
    if (m->sim->judges)
        judge_killed(m->sim->judges, m, p->group ? p->group->generation : 0, p->pid, by);
    if (!p->plan.stubborn)
        die_at(m, p, rng_between(&m->dice, 20, 800));
    else if (p->plan.stubborn_for != US_NEVER)
        die_at(m, p, p->plan.stubborn_for);
}

void machine_kill(machine *m, int32_t pid, const char *by)
{
    process *p = machine_find(m, pid);
    if (p)
        machine_kill_one(m, p, by);
}

/* ---- looks ---- */

static process_view see(const process *p)
{
    return (process_view){.pid = p->pid,
                          .start = p->start,
                          .uid = p->uid,
                          .alive = p->alive,
                          .killed = p->killed,
                          .oom = p->oom,
                          .group = p->in,
                          .anon = p->anon + p->brought};
}

bool machine_process(const machine *m, int32_t pid, process_view *ret)
{
    const process *p = machine_find(m, pid);
    if (p)
        *ret = see(p);
    return p != NULL;
}

void machine_each(const machine *m, void (*visit)(void *context, const process_view *p), void *context)
{
    for (uint32_t i = 0; i < m->n_living; i++) {
        process_view view = see(m->living[i]);
        visit(context, &view);
    }
}

uint32_t machine_survivors(const machine *m, uint64_t gen, us_t since)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_living; i++) {
        const process *p = m->living[i];
        n += p->in == gen && p->started < since && !p->plan.stubborn;
    }
    return n;
}

void machine_reboot(machine *m)
{
    uint32_t last = m->n_processes, n = m->n_living;
    process **ended = sim_alloc(n * sizeof *ended); /* who hears of it may start others at once */
    sim_say(m->sim, m->name, "the machine dies");
    machine_listen(m, NULL);
    for (uint32_t i = 0; i < n; i++)
        ended[i] = m->living[i];
    for (uint32_t i = 0; i < n; i++) {
        ended[i]->killed = true;
        ended[i]->child = 0;
        end(m, ended[i]);
    }
    assert(m->n_living == 0 && m->n_processes == last);
    machine_groups_end(m);
    name_boot(m);
    for (uint32_t i = 0; i < n; i++)
        tell_gone(ended[i]);
    free(ended);
}
