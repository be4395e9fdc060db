/*
 * program_pool.c - way 3: the library's pool, with a task for every slot. What harvest does.
 */
#include "client_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "client/pool_state.h"

typedef struct {
    pool_state pool;
    uint32_t begun, ended;
    bool settling, closing;
    clock_job deadline; /* of the pool's next step */
} state;

static void step(client_node *c);

/* ---- messages out ---- */

static void on_released(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    state *s = c->state;
    const extent *given = asked->release.extents;
    (void)reply;
    (void)context;
    pool_state_released(&s->pool, asked->release.recall.v, given->host.v, given->chunks, status == 0);
    step(c);
}

static void on_want_done(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    state *s = c->state;
    (void)reply;
    (void)asked;
    (void)context;
    pool_state_want_done(&s->pool, status == 0);
    step(c);
}

static void on_closed(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    state *s = c->state;
    uint64_t claim = asked->close.gen.v;
    (void)context;
    if (status == 0 || status == STATUS_ENDED || status == STATUS_NOT_FOUND || status == STATUS_STALE)
        pool_state_claim_ended(&s->pool, claim, reply ? reply->reply.reply.cause : 0,
                               reply ? reply->reply.reply.peak : 0);
    step(c);
}

static void send_release(client_node *c, const pool_message *m)
{
    extent given = {.host = {m->host}, .chunks = m->chunks};
    core_event e = {.kind = EVENT_RELEASE};
    e.release.id = c->set.id;
    e.release.recall.v = m->recall;
    e.release.extents = &given;
    e.release.n = 1;
    request_start(c, &e, on_released, NULL);
}

static void send_offer(client_node *c, const pool_message *m)
{
    offer_item items[POOL_OFFER_MAX];
    core_event e = {.kind = EVENT_OFFER};
    for (uint32_t i = 0; i < m->n_items; i++)
        items[i] = (offer_item){.host = {m->items[i].host}, .free_in = m->items[i].free_in};
    e.offer.id = c->set.id;
    e.offer.recall.v = m->recall;
    e.offer.items = items;
    e.offer.n = m->n_items;
    request_start(c, &e, NULL, NULL);
}

static bool put(void *userdata, const pool_message *m)
{
    client_node *c = userdata;
    core_event e = {0};
    switch (m->kind) {
    case POOL_RELEASE:
        send_release(c, m);
        break;
    case POOL_OFFER:
        send_offer(c, m);
        break;
    case POOL_CLOSE:
        e.kind = EVENT_CLOSE;
        e.close.gen.v = m->claim;
        e.close.kill = true;
        request_start(c, &e, on_closed, NULL);
        break;
    case POOL_WANT:
        e.kind = EVENT_WANT;
        e.want.id = c->set.id;
        e.want.want = m->chunks;
        request_start(c, &e, on_want_done, NULL);
        break;
    }
    return true;
}

static pool_out out(client_node *c)
{
    return (pool_out){.put = put, .userdata = c};
}

/* ---- tasks ---- */

static void on_emptied(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    state *s = c->state;
    uint64_t claim = asked->empty.gen.v;
    (void)reply;
    (void)context;
    if (status == STATUS_ENDED || status == STATUS_NOT_FOUND)
        pool_state_claim_ended(&s->pool, claim, 0, 0);
    else
        pool_state_emptied(&s->pool, claim, status == 0, out(c));
    step(c);
}

static void on_task_claimed(client_node *c, task *t)
{
    state *s = c->state;
    pool_state_claimed(&s->pool, t->slot, t->gen.v);
    if (rng_chance(&c->dice, 300000))
        pool_state_expect(&s->pool, client_ms(c), t->slot, t->expected);
}

static void on_claim_lost(client_node *c, task *t)
{
    state *s = c->state;
    const pool_slot *slot = pool_state_slot(&s->pool, t->slot);
    if (slot && slot->claim)
        pool_state_claim_ended(&s->pool, slot->claim, 0, 0);
}

static void on_task_over(client_node *c, task *t, int status)
{
    state *s = c->state;
    const pool_slot *slot = pool_state_slot(&s->pool, t->slot);
    s->ended++;
    if (!slot || c->ended)
        return;
    uint64_t claim = slot->claim;
    (void)status; /* a task that could not be started leaves its slot like one that ended */
    if (pool_state_release(&s->pool, client_ms(c), t->slot, out(c)) && claim) {
        core_event e = {.kind = EVENT_EMPTY};
        e.empty.gen.v = claim;
        request_start(c, &e, on_emptied, NULL);
    }
    step(c);
}

static const task_owner pool_tasks = {on_task_claimed, on_claim_lost, on_task_over};

static bool has_more(const client_node *c)
{
    const state *s = c->state;
    return !s->settling && s->begun < c->plan.tasks && !c->ended;
}

static void begin_tasks(client_node *c)
{
    state *s = c->state;
    while (has_more(c)) {
        pool_slot slot;
        uint32_t chunks = rng_chance(&c->dice, 50000) && c->plan.terms.want > 1 ? 2 : 1;
        int r = pool_state_acquire(&s->pool, client_ms(c), chunks, &slot, out(c));
        if (r == STATUS_LIMIT) {
            size_t capacity = s->pool.slots_capacity * 2 + 16;
            pool_slot *old = s->pool.slots;
            pool_state_lend_slots(&s->pool, sim_alloc(capacity * sizeof *old), capacity);
            free(old);
            continue;
        }
        if (r != 0)
            return;
        s->begun++;
        task_start(c, &pool_tasks, slot.id, (host_id){slot.host}, slot.chunks, (generation){slot.claim}, false);
    }
}

/* ---- the allocation ---- */

static void on_last_answer(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    (void)status;
    (void)reply;
    (void)asked;
    (void)context;
    step(c);
}

static void give_all(client_node *c)
{
    state *s = c->state;
    s->closing = true;
    core_event cancel = {.kind = EVENT_CANCEL}, all = {.kind = EVENT_RELEASE}, none = {.kind = EVENT_WANT};
    cancel.cancel.id = all.release.id = none.want.id = c->set.id;
    if (c->set.state == ALLOCATION_WAITING)
        request_start(c, &cancel, on_last_answer, NULL);
    for (size_t i = 0; i < s->pool.n_slots; i++) {
        const pool_slot *slot = &s->pool.slots[i];
        core_event close = {.kind = EVENT_CLOSE};
        close.close.gen.v = slot->claim;
        close.close.kill = slot->state != POOL_SLOT_BUSY;
        if (slot->claim && slot->state != POOL_SLOT_CLOSING)
            request_start(c, &close, on_last_answer, NULL);
    }
    request_start(c, &all, on_last_answer, NULL);
    request_start(c, &none, on_last_answer, NULL);
}

/* Everything is done: gives all back, and ends once that is answered. */
static void end_when_done(client_node *c)
{
    state *s = c->state;
    bool unanswered = c->asked && c->set.id.v == 0 && !c->ended;
    if (has_more(c) || s->ended < s->begun || unanswered)
        return;
    if (!s->closing && !c->ended)
        give_all(c);
    if (!c->first && !c->resting)
        client_finish(c);
}

static void on_deadline(void *context, uint64_t argument)
{
    client_node *c = context;
    state *s = c->state;
    (void)argument;
    s->deadline = 0;
    clock_enter(c->sim->clock, machine_time(client_machine(c)));
    step(c);
}

static void step(client_node *c)
{
    state *s = c->state;
    if (c->over)
        return;
    clock_cancel(c->sim->clock, &s->deadline);
    if (client_deaf(c)) {
        s->deadline = clock_at(c->sim->clock, c->stalled_until, on_deadline, c, 0);
        return;
    }
    if (!c->ended && !s->closing && c->set.id.v) {
        pool_state_step(&s->pool, client_ms(c), out(c));
        begin_tasks(c);
        us_t at = clock_when(c->sim->clock, machine_time(client_machine(c)), pool_state_deadline(&s->pool));
        if (at != US_NEVER)
            s->deadline = clock_at(c->sim->clock, at, on_deadline, c, 0);
    }
    end_when_done(c);
}

static void hold(client_node *c)
{
    state *s = c->state;
    pool_extent extents[EXTENTS_MAX];
    for (uint32_t i = 0; i < c->set.n_extents; i++)
        extents[i] = (pool_extent){.host = c->set.extents[i].host.v,
                                   .chunks = c->set.extents[i].chunks,
                                   .usable = !c->plan.local_only || c->set.extents[i].host.v == c->plan.home};
    size_t needed = pool_state_hosts_needed(&s->pool, extents, c->set.n_extents);
    if (needed > s->pool.hosts_capacity) {
        pool_host *old = s->pool.hosts;
        pool_state_lend_hosts(&s->pool, memset(sim_alloc(needed * 2 * sizeof *old), 0, needed * 2 * sizeof *old),
                              needed * 2);
        free(old);
    }
    pool_state_hold(&s->pool, extents, c->set.n_extents, c->set.want, c->set.state == ALLOCATION_LIVE);
}

/* ---- what it is told ---- */

static void on_start(client_node *c)
{
    state *s = c->state;
    pool_state_init(&s->pool, c->plan.terms.min, c->plan.terms.want);
    request_allocation(c);
}

static void on_changed(client_node *c)
{
    state *s = c->state;
    if (!s->closing && !c->ended)
        hold(c);
    step(c);
}

static void on_ended(client_node *c)
{
    state *s = c->state;
    s->settling = true;
    step(c);
}

static void on_ask(client_node *c, const effect_push *p)
{
    state *s = c->state;
    if (!s->closing)
        pool_state_ask(&s->pool, client_ms(c), p->host.v == HOST_NONE.v, p->host.v, out(c));
}

static ms_t later(ms_t now, ms_t span)
{
    return span > MS_NEVER - 1 - now ? MS_NEVER : now + span;
}

static void on_recall(client_node *c, const effect_push *p)
{
    state *s = c->state;
    pool_recall recall = {.id = p->recall.v,
                          .any_host = p->host.v == HOST_NONE.v,
                          .host = p->host.v,
                          .asked = p->count,
                          .overdue_at = later(client_ms(c), p->deadline)};
    if (s->closing)
        return;
    pool_state_recall(&s->pool, client_ms(c), &recall, out(c));
    step(c);
}

static void on_prefer(client_node *c, uint64_t recall, const extent *e, uint32_t n)
{
    state *s = c->state;
    for (uint32_t i = 0; i < n; i++)
        pool_state_prefer(&s->pool, recall, e[i].host.v, e[i].chunks);
    step(c);
}

static void on_withdraw(client_node *c, uint64_t recall)
{
    state *s = c->state;
    pool_state_withdraw(&s->pool, recall);
    step(c);
}

static void on_claim_ended(client_node *c, const effect_push *p)
{
    state *s = c->state;
    pool_state_claim_ended(&s->pool, p->claim.v, p->cause, p->peak);
    step(c);
}

/* Chunks of releases for a recall that the broker has carried out, and whose answers were lost. */
static uint32_t counted(const client_node *c, uint64_t recall, uint64_t seen)
{
    uint32_t chunks = 0;
    for (const pending *p = c->first; p && p->number <= seen; p = p->next)
        if (p->m->request.kind == EVENT_RELEASE && p->m->request.release.recall.v == recall &&
            p->m->request.release.n == 1)
            chunks += p->m->request.release.extents->chunks;
    return chunks;
}

/* The whole truth: only these recalls are open, only these claims exist. */
static void on_attached(client_node *c, const message *m)
{
    state *s = c->state;
    static pool_recall recalls[POOL_RECALLS];
    static uint64_t claims[4096];
    size_t n_recalls = 0, n_claims = 0;
    for (uint32_t i = 0; i < m->welcome.n_recalls && n_recalls < POOL_RECALLS; i++) {
        const record_recall *r = &m->welcome.recalls[i];
        uint32_t over = r->released + r->withdrawn + r->revoked;
        if (r->allocation.v == c->set.id.v)
            recalls[n_recalls++] = (pool_recall){.id = r->id.v,
                                                 .any_host = r->host.v == HOST_NONE.v,
                                                 .host = r->host.v,
                                                 .asked = r->asked - over + counted(c, r->id.v, m->welcome.acked.v),
                                                 .overdue_at = later(client_ms(c), r->deadline)};
    }
    for (uint32_t i = 0; i < m->welcome.n_claims && n_claims < 4096; i++)
        claims[n_claims++] = m->welcome.claims[i].gen.v;
    if (!s->closing)
        pool_state_reattach(&s->pool, recalls, n_recalls, claims, n_claims);
    step(c);
}

static void on_settle(client_node *c)
{
    state *s = c->state;
    s->settling = true;
    step(c);
}

static bool on_check(const client_node *c, char *why, size_t size)
{
    const state *s = c->state;
    if (c->set.id.v == 0 || s->closing || c->ended || pool_state_check(&s->pool))
        return true;
    snprintf(why, size, "the pool's own sums contradict each other");
    return false;
}

static void on_finish(client_node *c)
{
    state *s = c->state;
    free(s->pool.slots);
    free(s->pool.hosts);
}

const program program_pool = {
    .room = sizeof(state),
    .start = on_start,
    .attached = on_attached,
    .changed = on_changed,
    .ended = on_ended,
    .ask = on_ask,
    .recall = on_recall,
    .prefer = on_prefer,
    .withdraw = on_withdraw,
    .claim_ended = on_claim_ended,
    .settle = on_settle,
    .check = on_check,
    .finish = on_finish,
};
