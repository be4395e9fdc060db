/*
 * net.c - streams that may break, and what overtakes them.
 */
#include "net.h"

#include <assert.h>
#include <stdlib.h>

typedef enum { NEAR = 0, FAR = 1 } side;

/* One message on its way, or the news that the connection is broken (`m` NULL). */
typedef struct flight {
    struct flight *next;
    connection *connection;
    side to;
    us_t when;
    message *m;
    clock_job job;
} flight;

struct connection {
    connection *next;
    struct net *net;
    char name[32];
    net_end ends[2];
    bool closed[2]; /* that end hears nothing any more */
    bool broken;    /* nothing new is sent */
    us_t last[2];   /* when the last of the stream arrives at that end */
    us_t stalled_until;
    flight *flights;
};

struct net {
    sim *sim;
    rng dice;
    net_weather weather;
    net_listener listener;
    bool listening;
    connection *connections;
    uint64_t sent;
};

struct net *net_create(sim *s)
{
    struct net *n = sim_alloc(sizeof *n);
    *n = (struct net){
        .sim = s, .dice = rng_named(s->plan.seed, "net", 0), .weather = {.delay_least = 20, .delay_most = 200}};
    return n;
}

void net_set_weather(struct net *n, const net_weather *w)
{
    n->weather = *w;
}

void net_listen(struct net *n, const net_listener *l)
{
    n->listening = l != NULL;
    if (l)
        n->listener = *l;
}

/* ---- connections ---- */

static void flight_end(flight *f)
{
    flight **at = &f->connection->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    clock_cancel(f->connection->net->sim->clock, &f->job);
    message_destroy(f->m);
    free(f);
}

static void connection_free(connection *c)
{
    connection **at = &c->net->connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (c->flights)
        flight_end(c->flights);
    free(c);
}

void net_destroy(struct net *n)
{
    if (!n)
        return;
    while (n->connections)
        connection_free(n->connections);
    free(n);
}

connection *net_connect(struct net *n, const char *name, const net_end *near)
{
    if (!n->listening)
        return NULL;
    connection *c = sim_alloc(sizeof *c), **at = &n->connections;
    *c = (connection){.net = n, .ends[NEAR] = *near};
    snprintf(c->name, sizeof c->name, "%s", name);
    while (*at)
        at = &(*at)->next; /* in the order of their making */
    *at = c;
    if (n->listener.accept(n->listener.context, c, c->name, &c->ends[FAR]))
        return c;
    connection_free(c);
    return NULL;
}

/* ---- on the way ---- */

static void on_arrival(void *context, uint64_t argument)
{
    (void)argument;
    flight *f = context;
    connection *c = f->connection;
    side to = f->to;
    message *m = f->m;
    bool heard = !c->closed[to];
    f->m = NULL;
    f->job = 0;
    flight_end(f);
    if (m) {
        if (heard) {
            sim *s = c->net->sim;
            s->hash = message_hash(m, s->hash);
            c->ends[to].arrived(c->ends[to].context, c, m);
        }
        message_destroy(m);
        return;
    }
    c->closed[to] = true;
    bool last = c->closed[1 - to];
    if (heard)
        c->ends[to].broken(c->ends[to].context, c);
    if (last)
        connection_free(c);
}

static void fly(connection *c, side to, message *m, us_t when)
{
    flight *f = sim_alloc(sizeof *f);
    *f = (flight){.next = c->flights, .connection = c, .to = to, .when = when, .m = m};
    c->flights = f;
    f->job = clock_at(c->net->sim->clock, when, on_arrival, f, 0);
}

static us_t delay(struct net *n)
{
    return rng_between(&n->dice, n->weather.delay_least, n->weather.delay_most);
}

/* When what is sent now arrives, in its turn. */
static us_t in_turn(connection *c, side to)
{
    us_t now = clock_now(c->net->sim->clock), when = now + delay(c->net);
    when = when < c->stalled_until ? c->stalled_until : when;
    when = when < c->last[to] ? c->last[to] : when;
    return c->last[to] = when;
}

void net_send(connection *c, bool from_near, message *m)
{
    struct net *n = c->net;
    const net_weather *w = &n->weather;
    side to = from_near ? FAR : NEAR;
    n->sent++;
    if (c->broken || c->closed[to] || (message_may_be_lost(m) && rng_chance(&n->dice, w->lose))) {
        message_destroy(m);
        return;
    }
    us_t when = in_turn(c, to);
    if (message_may_repeat(m) && rng_chance(&n->dice, w->repeat))
        fly(c, to, message_copy(m), when + rng_below(&n->dice, w->overtake_most + 1));
    if (message_may_be_late(m) && rng_chance(&n->dice, w->overtake))
        when += rng_below(&n->dice, w->overtake_most + 1);
    fly(c, to, m, when);
}

static void tell_broken(connection *c, side to)
{
    if (!c->closed[to])
        fly(c, to, NULL, in_turn(c, to));
}

void net_close(connection *c, bool from_near, bool polite)
{
    side from = from_near ? NEAR : FAR, to = from_near ? FAR : NEAR;
    assert(!c->closed[from]);
    c->closed[from] = true;
    if (!polite)
        net_break(c);
    else if (!c->broken)
        tell_broken(c, to);
    c->broken = true;
    if (c->closed[to])
        connection_free(c);
}

void net_break(connection *c)
{
    if (c->broken)
        return;
    struct net *n = c->net;
    us_t now = clock_now(n->sim->clock);
    c->broken = true;
    for (side to = NEAR; to <= FAR; to++) {
        us_t cut = c->last[to] > now ? rng_between(&n->dice, now, c->last[to]) : now;
        for (flight *f = c->flights, *next; f; f = next) {
            next = f->next;
            if (f->to == to && f->when > cut)
                flight_end(f);
        }
        tell_broken(c, to);
    }
}

void net_stall(connection *c, us_t span)
{
    us_t until = clock_now(c->net->sim->clock) + span;
    c->stalled_until = until > c->stalled_until ? until : c->stalled_until;
}

void net_each(struct net *n, void (*visit)(void *context, connection *c, const char *name), void *context)
{
    for (connection *c = n->connections, *next; c; c = next) {
        next = c->next;
        visit(context, c, c->name);
    }
}

uint64_t net_sent(const struct net *n)
{
    return n->sent;
}
