/*
 * program_operator.c - somebody with rights over everything: drains and undrains hosts, takes chunks from others.
 */
#include "client_inner.h"

#define LEAST US_OF_MS(200)
#define MOST  US_OF_MS(5000)

typedef struct {
    clock_job job;
    uint64_t drained; /* hosts, a bit each */
    bool settling;
} state;

static void next(client_node *c);

static void on_answer(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    state *s = c->state;
    (void)status;
    (void)reply;
    (void)asked;
    (void)context;
    if (s->settling && !c->first && !c->resting)
        client_finish(c);
}

static void set_drained(client_node *c, uint32_t host, bool drained)
{
    state *s = c->state;
    core_event e = {.kind = drained ? EVENT_DRAIN : EVENT_UNDRAIN};
    e.drain.host.v = host;
    s->drained = drained ? s->drained | 1u << host : s->drained & ~(1u << host);
    request_start(c, &e, on_answer, NULL);
}

static void act(void *context, uint64_t argument)
{
    client_node *c = context;
    state *s = c->state;
    (void)argument;
    s->job = 0;
    if (c->over)
        return;
    uint32_t host = (uint32_t)rng_below(&c->dice, c->sim->n_hosts);
    if (rng_chance(&c->dice, 600000)) {
        set_drained(c, host, !(s->drained >> host & 1));
    } else {
        core_event e = {.kind = EVENT_RELEASE_FOREIGN};
        e.release_foreign.id.v = rng_between(&c->dice, 1, 20);
        e.release_foreign.count = (chunks_t)rng_below(&c->dice, 4);
        request_start(c, &e, on_answer, NULL);
    }
    next(c);
}

static void next(client_node *c)
{
    state *s = c->state;
    us_t at = client_clock(c) + rng_between(&c->dice, LEAST, MOST);
    if (!c->over && !s->settling)
        s->job = clock_at(c->sim->clock, at > c->stalled_until ? at : c->stalled_until, act, c, 0);
}

/* Leaves every host as it was. */
static void on_settle(client_node *c)
{
    state *s = c->state;
    s->settling = true;
    clock_cancel(c->sim->clock, &s->job);
    for (uint32_t host = 0; host < c->sim->n_hosts; host++)
        if (s->drained >> host & 1)
            set_drained(c, host, false);
    if (!c->first && !c->resting)
        client_finish(c);
}

static void on_finish(client_node *c)
{
    state *s = c->state;
    clock_cancel(c->sim->clock, &s->job);
}

const program program_operator = {
    .room = sizeof(state),
    .start = next,
    .settle = on_settle,
    .finish = on_finish,
};
