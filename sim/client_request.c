/*
 * client_request.c - as client/request.c does it: numbers without holes, a window, the unanswered sent again.
 */
#include "client_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "judge.h"

#define REST_FIRST US_OF_MS(20)
#define REST_MOST  US_OF_MS(500)

static void append(client_node *c, pending *p)
{
    p->number = c->next_number++;
    p->m->request.request.number.v = p->number;
    p->sent = false;
    p->next = NULL;
    if (c->last)
        c->last->next = p;
    else
        c->first = p;
    c->last = p;
}

void request_start(client_node *c, const core_event *e, request_done done, void *context)
{
    pending *p = sim_alloc(sizeof *p);
    *p = (pending){.client = c, .m = message_of_request(e), .done = done, .context = context};
    append(c, p);
    requests_send(c);
}

void requests_send(client_node *c)
{
    if (!c->connection || !c->welcomed || c->give_up_at || client_deaf(c))
        return; /* give_up_at: no welcome on this connection yet */
    uint64_t acked = (c->first ? c->first->number : c->next_number) - 1;
    for (pending *p = c->first; p && p->number - acked <= REQUESTS_WINDOW; p = p->next) {
        if (p->sent)
            continue;
        p->sent = true;
        p->m->request.request.acked.v = acked;
        judge_asked(c->sim->judges, c->number, p->m);
        net_send(c->connection, true, message_copy(p->m));
    }
}

void requests_unsend(client_node *c)
{
    for (pending *p = c->first; p; p = p->next)
        p->sent = false;
}

static void pending_free(pending *p)
{
    clock_cancel(p->client->sim->clock, &p->job);
    message_destroy(p->m);
    free(p);
}

static pending *take(client_node *c, uint64_t number)
{
    pending *before = NULL;
    for (pending *p = c->first; p; before = p, p = p->next) {
        if (p->number != number)
            continue;
        if (before)
            before->next = p->next;
        else
            c->first = p->next;
        if (c->last == p)
            c->last = before;
        p->next = NULL;
        return p;
    }
    return NULL;
}

/* ---- silent hosts ---- */

static void on_rested(void *context, uint64_t argument)
{
    pending *p = context;
    client_node *c = p->client;
    (void)argument;
    pending **at = &c->resting;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->job = 0;
    append(c, p);
    requests_send(c);
}

static bool is_about_claim(event_kind kind)
{
    return kind == EVENT_CLAIM || kind == EVENT_ENTER || kind == EVENT_EMPTY || kind == EVENT_SHRINK ||
           kind == EVENT_CLOSE;
}

/* True: it is asked again, under a new number, in a while. */
static bool rests(client_node *c, pending *p, int status)
{
    event_kind kind = p->m->request.kind;
    us_t now = client_clock(c);
    bool closing = status == STATUS_STATE && p->silent_until && kind == EVENT_CLAIM && p->m->request.claim.chunks > 0;
    if (!is_about_claim(kind) || !(status == STATUS_SILENT || closing) || (p->silent_until && now >= p->silent_until))
        return false;
    if (!p->silent_until) {
        p->silent_until = now + SILENT_PATIENCE;
        p->pause = REST_FIRST;
    }
    p->job = clock_at(c->sim->clock, now + p->pause, on_rested, p, 0);
    p->next = c->resting;
    c->resting = p;
    p->pause = p->pause * 2 > REST_MOST ? REST_MOST : p->pause * 2;
    return true;
}

void requests_reply(client_node *c, const message *reply)
{
    pending *p = take(c, reply->reply.reply.number.v);
    if (!p)
        return; /* the answer came twice */
    int status = reply->reply.reply.status;
    if (rests(c, p, status)) {
        requests_send(c);
        return;
    }
    if (p->done)
        p->done(c, status, reply, &p->m->request, p->context);
    pending_free(p);
    if (!c->over)
        requests_send(c);
}

void requests_fail(client_node *c)
{
    while (c->first || c->resting) {
        pending *p = c->first ? take(c, c->first->number) : c->resting;
        if (p == c->resting)
            c->resting = p->next;
        if (p->done)
            p->done(c, STATUS_LOST, NULL, &p->m->request, p->context);
        pending_free(p);
    }
}

void requests_drop(client_node *c)
{
    while (c->first)
        pending_free(take(c, c->first->number));
    while (c->resting) {
        pending *p = c->resting;
        c->resting = p->next;
        pending_free(p);
    }
}

/* ---- the one allocation ---- */

static void on_allocated(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    (void)asked;
    (void)context;
    if (status < 0) {
        c->ended = true;
        if (c->program->ended)
            c->program->ended(c);
        return;
    }
    const message_set *s = &reply->reply.set;
    c->set.id = reply->reply.reply.allocation;
    c->set.version = s->version;
    c->set.state = s->state;
    c->set.want = s->want;
    c->set.n_extents = s->n_extents;
    free(c->set.extents);
    c->set.extents = NULL;
    if (s->n_extents)
        c->set.extents =
            memcpy(sim_alloc(s->n_extents * sizeof *s->extents), s->extents, s->n_extents * sizeof *s->extents);
    c->granted = s->state == ALLOCATION_LIVE;
    if (c->program->changed)
        c->program->changed(c);
}

void request_allocation(client_node *c)
{
    core_event e = {.kind = EVENT_ALLOCATE};
    e.allocate.terms = c->plan.terms;
    c->asked = true;
    request_start(c, &e, on_allocated, NULL);
}
