/*
 * step.c - the one switch over events, and the settling after it.
 *
 * A step: the event, then every due deadline, then settling in this order: phases of hello, orphans, hosts in trouble,
 * who can never be served, the queue, growth, fairness. Settling starts a decision only while there is room for its
 * effects; what is left over makes core_next_deadline() say "at once". Last come the pushes of what changed, and the
 * records.
 */
#include <assert.h>

#include "core/allocation.h"
#include "core/claim.h"
#include "core/core.h"
#include "core/emit.h"
#include "core/grow.h"
#include "core/holding.h"
#include "core/host.h"
#include "core/queue.h"
#include "core/plan.h"
#include "core/recall.h"
#include "core/request.h"
#include "core/session.h"
#include "core/step.h"
#include "core/trouble.h"
#include "core/user.h"

/* Rounds of the queue in one step: a grant may free what it held too much. */
#define QUEUE_ROUNDS 4

static void handle_request(core *c, const core_event *e)
{
    session *s = request_admit(c, e);
    if (!s)
        return;
    switch (e->kind) {
    case EVENT_ALLOCATE:
        allocation_on_allocate(c, s, e);
        return;
    case EVENT_CANCEL:
        allocation_on_cancel(c, s, e);
        return;
    case EVENT_WANT:
        allocation_on_want(c, s, e);
        return;
    case EVENT_RELEASE:
        release_on_release(c, s, e);
        return;
    case EVENT_RELEASE_N:
        release_on_release_n(c, s, e);
        return;
    case EVENT_OFFER:
        recall_on_offer(c, s, e);
        return;
    case EVENT_CLAIM:
        claim_on_claim(c, s, e);
        return;
    case EVENT_ENTER:
        claim_on_enter(c, s, e);
        return;
    case EVENT_SHRINK:
        claim_on_shrink(c, s, e);
        return;
    case EVENT_EMPTY:
        claim_on_empty(c, s, e);
        return;
    case EVENT_CLOSE:
        claim_on_close(c, s, e);
        return;
    case EVENT_TRANSFER:
        session_on_transfer(c, s, e);
        return;
    case EVENT_RECALL_OUTCOME:
        recall_on_outcome(c, s, e);
        return;
    case EVENT_DRAIN:
        host_on_drain(c, s, e, true);
        return;
    case EVENT_UNDRAIN:
        host_on_drain(c, s, e, false);
        return;
    case EVENT_RELEASE_FOREIGN:
        release_on_foreign(c, s, e);
        return;
    default:
        assert(!"core_step() checked the kind");
    }
}

static void handle(core *c, const core_event *e)
{
    switch (e->kind) {
    case EVENT_TICK:
        return;
    case EVENT_CONFIG_HOST:
        host_configure(c, &e->config_host);
        return;
    case EVENT_CONFIG_USER:
        user_configure(c, &e->config_user);
        return;
    case EVENT_HOST_HELLO:
        host_on_hello(c, &e->hello);
        return;
    case EVENT_HOST_GONE:
        host_on_gone(c, e->gone);
        return;
    case EVENT_HOST_SAMPLE:
        host_on_sample(c, &e->sample);
        return;
    case EVENT_CLAIM_OPENED:
        claim_on_opened(c, &e->answer);
        return;
    case EVENT_CLAIM_ENTERED:
        claim_on_entered(c, &e->answer);
        return;
    case EVENT_CLAIM_LIMITED:
        claim_on_limited(c, &e->answer);
        return;
    case EVENT_CLAIM_EMPTIED:
        claim_on_emptied(c, &e->answer);
        return;
    case EVENT_CLAIM_USE:
        claim_on_use(c, &e->use);
        return;
    case EVENT_CLAIM_DRAINED:
        claim_on_drained(c, &e->use);
        return;
    case EVENT_SESSION_OPEN:
        session_on_open(c, &e->session);
        return;
    case EVENT_SESSION_REATTACH:
        session_on_reattach(c, &e->session);
        return;
    case EVENT_SESSION_BROKEN:
        session_on_broken(c, &e->session);
        return;
    case EVENT_SESSION_END:
        session_on_end(c, &e->session);
        return;
    default:
        handle_request(c, e);
    }
}

static void fire(core *c, heap_node *n)
{
    switch (n->kind) {
    case DUE_HOST:
        host_due(c, container_of(n, host, due));
        return;
    case DUE_SESSION:
        session_due(c, container_of(n, session, due));
        return;
    case DUE_WAIT:
        allocation_due(c, container_of(n, allocation, due));
        return;
    case DUE_LOOK:
        queue_look(c, container_of(n, allocation, look));
        return;
    case DUE_HOLDING:
        claim_cover_debt(c, container_of(n, holding, due));
        return;
    case DUE_CLAIM:
        claim_due(c, container_of(n, claim, due));
        return;
    case DUE_PLAN:
        plan_due(c, container_of(n, plan_wait, due));
        return;
    case DUE_RECALL:
        recall_due(c, container_of(n, recall, due));
        return;
    case DUE_REST:
        heap_set(&c->deadlines, n, MS_NEVER);
        c->freed = true;
        return;
    default:
        assert(!"an unknown deadline");
    }
}

static void fire_due(core *c)
{
    for (heap_node *n; (n = heap_first(&c->deadlines)) && n->at <= c->now;) {
        if (emit_room(c) < ROOM_FOR_DECISION) {
            c->more = true;
            return;
        }
        fire(c, n);
        if (c->more)
            return;
    }
}

static void settle(core *c)
{
    c->more = !host_settle(c);
    if (!c->more)
        allocation_sweep(c);
    if (!c->more)
        c->more = !trouble_settle(c);
    if (!c->more && (c->doubt || c->doubts_done != c->doubts))
        c->more = !queue_doubt(c);
    if (c->more)
        return;
    c->more = !list_empty(&c->trouble); /* what trouble is left when memory became free is looked at below */
    if (!c->freed)
        return;
    bool done = true;
    for (int i = 0; i < QUEUE_ROUNDS && c->n_waiting && c->freed && done; i++) {
        c->freed = false;
        done = queue_settle(c);
    }
    c->freed = false;
    if (done && c->n_hungry)
        done = grow_settle(c);
    if (done && c->n_hungry)
        fairness_settle(c);
    bool late = c->freed && c->n_waiting; /* growth gave back what was held for it: the queue has not seen that */
    c->freed = !done || late;
    c->more = c->freed || !list_empty(&c->trouble);
}

void step_begin(core *c, ms_t now, core_effects *effects)
{
    effects->count = 0;
    c->effects = effects;
    c->now = now > c->now ? now : c->now; /* a clock that steps back changes nothing */
    c->more = c->changed = c->plan_told = false;
    c->n_notes = 0;
    for (int i = 0; i < VIEWS; i++)
        c->view_places[i] = (view_place){0};
}

void step_finish(core *c)
{
    settle(c);
    allocation_flush(c);
    emit_marks(c);
    if (c->changed)
        c->sequence++;
    c->effects = NULL;
}

int core_step(core *c, ms_t now, const core_event *event, core_effects *effects)
{
    if (!c || !event || !effects || !effects->items || effects->capacity < EFFECTS_MAX || !c->recovered ||
        event->kind < EVENT_TICK || event->kind >= EVENT_KINDS)
        return STATUS_INVALID;
    step_begin(c, now, effects);
    handle(c, event);
    bool cut;
    fire_due(c);
    cut = c->more;
    step_finish(c);
    c->more |= cut;
    return STATUS_OK;
}

ms_t core_next_deadline(const core *c)
{
    if (c->more)
        return 0;
    const heap_node *n = heap_first(&c->deadlines);
    return n ? n->at : MS_NEVER;
}

uint64_t core_sequence(const core *c)
{
    return c->sequence;
}
