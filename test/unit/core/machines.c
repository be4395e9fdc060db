/* machines.c - agents that answer late or refuse, tasks that end, hosts that reboot. */
#include "walk.h"

#include <stdio.h>

static group *group_find(machine *m, generation g)
{
    for (uint32_t i = 0; i < m->n_groups; i++)
        if (m->groups[i].gen.v == g.v)
            return &m->groups[i];
    return NULL;
}

static void group_remove(machine *m, group *g)
{
    *g = m->groups[--m->n_groups];
}

/* The judge: no machine is asked to hold more than was sold there, and no sum is above its total by a grant. */
void machine_judge(sim *s)
{
    for (int i = 0; i < HOSTS; i++) {
        host_view v = world_view(&s->w, s->m[i].id);
        bytes_t groups = 0;
        for (uint32_t k = 0; k < s->m[i].n_groups; k++) {
            claim_view c;
            if (view_claim_by_gen(s->w.core, s->m[i].groups[k].gen, &c) < 0)
                continue;
            allocation_view a = world_allocation(&s->w, c.allocation);
            if (c.chunks)
                groups += s->m[i].groups[k].bytes;
            else
                assert_int_equal(s->m[i].groups[k].bytes, drain_tolerance(a.terms->chunk_size));
            s->gated += c.chunks == 0;
        }
        assert_true(groups <= v.granted + v.returning + v.quarantine);
        if (s->m[i].foreign == 0 && v.foreign == 0 && !s->reloads)
            assert_int_equal(v.overdraft, 0);
    }
}

void machine_obeys(sim *s, machine *m)
{
    if (!m->n_orders || !m->connected)
        return;
    effect_order o = m->orders[0];
    memmove(m->orders, m->orders + 1, --m->n_orders * sizeof(o));
    group *g = group_find(m, o.gen);
    bool refuse = walk_below(s, 20) == 0;
    switch (o.kind) {
    case ORDER_OPEN:
        if (!refuse && !g && m->n_groups < GROUPS)
            m->groups[m->n_groups++] = (group){o.gen, o.bytes, false, true};
        world_answer(&s->w, EVENT_CLAIM_OPENED, o.host, o.gen, refuse ? STATUS_DEAD : 0, o.tag);
        break;
    case ORDER_ENTER:
        world_answer(&s->w, EVENT_CLAIM_ENTERED, o.host, o.gen, refuse ? STATUS_DEAD : 0, o.tag);
        break;
    case ORDER_EMPTY:
        world_answer(&s->w, EVENT_CLAIM_EMPTIED, o.host, o.gen, 0, o.tag);
        break;
    case ORDER_LIMIT:
        if (g && !refuse)
            g->bytes = o.bytes;
        world_answer(&s->w, EVENT_CLAIM_LIMITED, o.host, o.gen, refuse || !g ? STATUS_STATE : 0, o.tag);
        break;
    case ORDER_END:
        if (g) {
            g->ending = true;
            g->running = g->running && !o.kill;
        }
        return;
    case ORDER_EXPECT:
        if (!g && m->n_groups < GROUPS)
            m->groups[m->n_groups++] = (group){o.gen, o.bytes, o.ending, false};
        else if (g)
            g->ending |= o.ending;
        if (g && o.kill)
            g->running = false;
        return;
    case ORDER_CLOSE:
        if (g)
            group_remove(m, g);
        return;
    default:
        return;
    }
    walk_absorb(s);
}

void machine_task_ends(sim *s, machine *m)
{
    if (!m->connected || !m->n_groups)
        return;
    group *g = &m->groups[walk_below(s, m->n_groups)];
    for (uint32_t i = 0; i < m->n_groups && !g->ending && walk_below(s, 4); i++)
        g = &m->groups[i];
    core_event e = {.kind = EVENT_CLAIM_USE,
                    .use = {.host = m->id, .gen = g->gen, .used = 1000, .peak = 2000, .processes = g->running}};
    g->running = false;
    walk_step(s, &e);
    if (!g->ending || walk_below(s, 4) == 0)
        return;
    e.kind = EVENT_CLAIM_DRAINED;
    s->drained++;
    walk_step(s, &e);
}

void machine_hello(sim *s, machine *m, bool reboot)
{
    if (reboot) {
        m->n_groups = 0;
        m->boots++;
    }
    m->n_orders = 0;
    m->connected = true;
    char name[8];
    snprintf(name, sizeof(name), "host%u", (unsigned)(m - s->m) % HOSTS);
    snprintf(m->boot, sizeof(m->boot), "b%u", m->boots);
    core_event e = {.kind = EVENT_HOST_HELLO, .hello = {.physical = m->total, .total = m->total, .cores = 4}};
    memcpy(e.hello.name, name, sizeof(name));
    memcpy(e.hello.boot_id, m->boot, sizeof(m->boot));
    walk_step(s, &e);
    host_view v;
    assert_int_equal(view_host_by_name(s->w.core, name, &v), 0);
    m->id = v.id;
    core_event sample = {.kind = EVENT_HOST_SAMPLE, .sample = {m->id, m->foreign, 0}};
    walk_step(s, &sample);
}
