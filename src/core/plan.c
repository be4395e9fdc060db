/*
 * plan.c - a request without effect.
 *
 * One list holds the allocations whose offers are waited for, by whichever plans: when it is empty every waiting plan
 * is due. A step answers at most one plan, because the lists of an answer are lent from one place.
 */
#include "core/plan.h"

#include <string.h>

#include "core/choose.h"
#include "core/emit.h"
#include "core/holding.h"
#include "core/place.h"
#include "core/recall.h"
#include "core/session.h"
#include "core/user.h"

void plan_init(core *c)
{
    list_init(&c->plan_asked);
    for (uint32_t i = 0; i < PLANS_MAX; i++)
        heap_node_init(&c->plans[i].due, DUE_PLAN);
}

static ms_t from_now(const core *c, ms_t at)
{
    return at > c->now ? at - c->now : 0;
}

/* What was picked goes into the reply. */
static void lend_asks(core *c, effect_reply *r, ms_t by)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->choice.n_picks; i++) {
        const holding *x = c->choice.picks[i].from;
        chunks_t chunks = c->choice.picks[i].n;
        if (chunks == 0)
            continue;
        ms_t at = holding_expected(x, chunks, c->now);
        c->lent_asks[n++] = (planned_ask){
            .allocation = x->allocation->id,
            .host = x->host->id,
            .chunks = chunks,
            .expected_ms = at == MS_NEVER ? MS_NEVER : from_now(c, at),
        };
    }
    r->asks = c->lent_asks;
    r->n_asks = n;
    if (n == 0)
        r->reason = WAIT_RETURNING; /* it would be enough */
    else if (by != MS_NEVER)
        r->expected_ms = from_now(c, by);
}

static void tell(core *c, const session *s, request_no number, const allocation_terms *t, bool fits)
{
    effect_reply *r = emit_reply(c, s, number, fits ? STATUS_OK : STATUS_WAITING);
    ms_t by;
    c->plan_told = true;
    if (!fits) {
        r->most = place_free(c, t);
        if (!user_has_room(s->user, t))
            r->reason = WAIT_QUOTA;
        else if (choose_solve(c, t, &by))
            lend_asks(c, r, by);
        else if (r->most == 0)
            r->reason = place_idle(c, t);
        choose_forget(c);
        return;
    }
    r->expected_ms = 0;
    r->extents = c->lent_plan;
    r->n_extents = c->n_plan;
    memcpy(c->lent_plan, c->plan, c->n_plan * sizeof(extent));
    for (uint32_t i = 0; i < c->n_plan; i++)
        r->chunks += c->plan[i].chunks;
}

static plan_wait *unused(core *c)
{
    for (uint32_t i = 0; i < PLANS_MAX; i++)
        if (c->plans[i].number.v == 0)
            return &c->plans[i];
    return NULL;
}

/* Asks all who could give, but those who are being asked already. False: nobody will answer. */
static bool ask(core *c)
{
    uint32_t n = 0;
    list_each(donor, &c->recallable, allocation, recallable_node)
    {
        if (n >= CHOICE_HOSTS)
            break;
        if (!list_empty(&donor->plan_node) || recall_willing(donor) == 0)
            continue;
        if (donor->asked_for.v == 0) {
            effect_push *p = emit_push(c, PUSH_ASK, donor);
            if (!p)
                continue; /* nobody listens */
            p->count = recall_possible(donor);
        }
        list_append(&c->plan_asked, &donor->plan_node);
        n++;
    }
    return !list_empty(&c->plan_asked);
}

void plan_on_allocate(core *c, session *s, const core_event *e, bool fits)
{
    const allocation_terms *t = &e->allocate.terms;
    ms_t by;
    plan_wait *p = fits || !user_has_room(s->user, t) ? NULL : unused(c);
    if (p && choose_solve(c, t, &by)) {
        bool any = c->choice.n_picks > 0;
        choose_forget(c);
        if (any && ask(c)) {
            p->session = s->id;
            p->number = e->request.number;
            p->terms = *t;
            heap_set(&c->deadlines, &p->due, c->now + c->timers.ask_ms);
            return;
        }
    }
    tell(c, s, e->request.number, t, fits);
}

bool plan_waits(const core *c, const session *s, request_no number)
{
    for (uint32_t i = 0; i < PLANS_MAX; i++)
        if (c->plans[i].number.v && c->plans[i].number.v == number.v && c->plans[i].session.v == s->id.v)
            return true;
    return false;
}

void plan_due(core *c, plan_wait *p)
{
    if (c->plan_told) {
        c->more = true; /* its deadline has passed: the next tick goes on */
        return;
    }
    const session *s = session_find(c, p->session);
    request_no number = p->number;
    p->number.v = 0;
    heap_set(&c->deadlines, &p->due, MS_NEVER);
    bool others = false;
    for (uint32_t i = 0; i < PLANS_MAX; i++)
        others |= c->plans[i].number.v != 0;
    while (!others && !list_empty(&c->plan_asked))
        list_remove(c->plan_asked.next);
    if (s)
        tell(c, s, number, &p->terms, place_find(c, &p->terms, s->user));
}

void plan_offered(core *c, allocation *a)
{
    if (list_empty(&a->plan_node))
        return;
    list_remove(&a->plan_node);
    for (uint32_t i = 0; i < PLANS_MAX && list_empty(&c->plan_asked); i++)
        if (c->plans[i].number.v)
            heap_set(&c->deadlines, &c->plans[i].due, c->now);
}
