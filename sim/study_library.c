/*
 * study_library.c - way 3: the library's own pool state between the broker and the tasks.
 */
#include "study_world.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

typedef struct {
    world *w;
    uint32_t index;
} place;

static void release(world *w, pool *p, const pool_message *m)
{
    extent *extents = study_alloc(sizeof *extents);
    *extents = (extent){{m->host}, m->chunks};
    party_ask(w, p->party,
              (asked){.kind = EVENT_RELEASE,
                      .allocation = p->allocation,
                      .recall = m->recall,
                      .host = {m->host},
                      .chunks = m->chunks},
              extents);
}

static void offer(world *w, pool *p, const pool_message *m)
{
    offer_item *items = study_alloc((m->n_items + 1) * sizeof *items);
    for (uint32_t i = 0; i < m->n_items; i++)
        items[i] = (offer_item){{m->items[i].host}, m->items[i].free_in};
    w->sum.recall_messages += MEASURED(w);
    party_ask(w, p->party,
              (asked){.kind = EVENT_OFFER, .allocation = p->allocation, .recall = m->recall, .n = m->n_items}, items);
}

static bool put(void *userdata, const pool_message *m)
{
    const place *at = userdata;
    world *w = at->w;
    pool *p = &w->pools[at->index];
    task *t;
    switch (m->kind) {
    case POOL_RELEASE:
        release(w, p, m);
        break;
    case POOL_OFFER:
        offer(w, p, m);
        break;
    case POOL_CLOSE:
        t = task_of_gen(w, m->claim);
        if (t)
            task_close(w, (uint32_t)(t - w->tasks));
        break;
    case POOL_WANT:
        party_ask(w, p->party, (asked){.kind = EVENT_WANT, .allocation = p->allocation, .chunks = m->chunks}, NULL);
        break;
    }
    return true;
}

#define OUT(w, index) ((pool_out){.put = put, .userdata = &(place){(w), (index)}})

void library_open(world *w, pool *p)
{
    (void)w;
    size_t room = (size_t)p->want * 2 + 16;
    p->lib = study_alloc(sizeof *p->lib);
    pool_state_init(p->lib, 1, p->want);
    pool_state_lend_slots(p->lib, study_alloc(room * sizeof(pool_slot)), room);
}

void library_close(pool *p)
{
    if (!p->lib)
        return;
    free(p->lib->slots);
    free(p->lib->hosts);
    free(p->lib);
}

void library_told(world *w, uint32_t index, const told_set *set)
{
    pool_state *s = w->pools[index].lib;
    pool_extent extents[EXTENTS_MAX];
    for (uint32_t i = 0; i < set->n; i++)
        extents[i] = (pool_extent){set->extents[i].host.v, set->extents[i].chunks, true};
    size_t needed = pool_state_hosts_needed(s, extents, set->n);
    if (needed > s->hosts_capacity) {
        pool_host *old = s->hosts;
        pool_state_lend_hosts(s, study_alloc(needed * 2 * sizeof *old), needed * 2);
        free(old);
    }
    pool_state_hold(s, extents, set->n, set->want, set->live);
}

void library_step(world *w, uint32_t index)
{
    pool *p = &w->pools[index];
    pool_slot slot;
    if (!p->allocation)
        return;
    pool_state_step(p->lib, w->now, OUT(w, index));
    while (pool_state_acquire(p->lib, w->now, 1, &slot, OUT(w, index)) == 0) {
        uint32_t t = task_new(w, index, (host_id){slot.host});
        w->tasks[t].slot = slot.id;
        task_begin(w, index, (host_id){slot.host}, t);
    }
    ms_t due = pool_state_deadline(p->lib);
    if (due != MS_NEVER)
        pool_look_later(w, index, due > w->now ? due - w->now : 1);
}

void library_pushed(world *w, uint32_t index, const effect_push *push)
{
    pool_state *s = w->pools[index].lib;
    ms_t deadline = push->deadline; /* the broker's clock is the client's here */
    pool_recall recall = {.id = push->recall.v,
                          .any_host = push->host.v == HOST_NONE.v,
                          .host = push->host.v,
                          .asked = push->count,
                          .overdue_at = deadline};
    switch (push->kind) {
    case PUSH_ASK:
        pool_state_ask(s, w->now, push->host.v == HOST_NONE.v, push->host.v, OUT(w, index));
        break;
    case PUSH_RECALL:
        pool_state_recall(s, w->now, &recall, OUT(w, index));
        break;
    case PUSH_PREFER:
        pool_state_prefer(s, push->recall.v, push->preferred.host.v, push->preferred.chunks);
        break;
    case PUSH_WITHDRAW:
        pool_state_withdraw(s, push->recall.v);
        break;
    case PUSH_CLAIM_ENDED:
        pool_state_claim_ended(s, push->claim.v, push->cause, push->peak);
        break;
    default:
        return;
    }
    library_step(w, index);
}

void library_answered(world *w, uint32_t index, const asked *what, const job *j)
{
    pool_state *s = w->pools[index].lib;
    switch (what->kind) {
    case EVENT_RELEASE:
        pool_state_released(s, what->recall, what->host.v, what->chunks, j->status == 0);
        break;
    case EVENT_CLOSE:
        pool_state_claim_ended(s, what->claim, 0, 0);
        break;
    case EVENT_WANT:
        pool_state_want_done(s, j->status == 0);
        break;
    default:
        break;
    }
}

void library_task_runs(world *w, uint32_t index, uint32_t t)
{
    const task *it = &w->tasks[t];
    pool_state *s = w->pools[index].lib;
    pool_state_claimed(s, it->slot, it->gen);
    if (w->plan.way == WAY_3_TOLD)
        pool_state_expect(s, w->now, it->slot, it->end - w->now);
}

void library_task_failed(world *w, uint32_t index, uint32_t t)
{
    const task *it = &w->tasks[t];
    pool_state *s = w->pools[index].lib;
    if (it->gen)
        pool_state_claim_ended(s, it->gen, 0, 0);
    if (pool_state_slot(s, it->slot))
        pool_state_release(s, w->now, it->slot, OUT(w, index));
}

void library_task_over(world *w, uint32_t index, uint32_t t)
{
    task *it = &w->tasks[t];
    pool_state *s = w->pools[index].lib;
    const pool_slot *slot = pool_state_slot(s, it->slot);
    if (slot && slot->claim && !pool_state_wanted(s, w->now, it->slot)) {
        pool_state_next(s, w->now, it->slot);
        task_begin(w, index, it->host, t);
        return;
    }
    if (slot)
        pool_state_release(s, w->now, it->slot, OUT(w, index)); /* it closes the claim */
    library_step(w, index);
}
