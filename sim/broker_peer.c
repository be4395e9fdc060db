/*
 * broker_peer.c - the broker's connections, and the sessions of clients on them (daemon/peer.c, session.c).
 *
 * The first message says whether a client or an agent has come. A connection that breaks is doomed and reaped at the
 * end of the turn, after the commit of what it still said.
 */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "broker_node.h"
#include "judge.h"

static void say(const peer *p, const char *arrow, const message *m)
{
    char line[512];
    if (!p->broker->sim->plan.trace)
        return;
    message_show(m, line, sizeof line);
    sim_say(p->broker->sim, "broker", "%s %s: %s", arrow, p->name, line);
}

/* ---- finding ---- */

peer *peers_find(broker_node *b, uint64_t link)
{
    for (peer *p = b->peers; p; p = p->next)
        if (p->link == link && p->stage != PEER_DOOMED)
            return p;
    return NULL;
}

peer *peers_find_host(broker_node *b, host_id host, const peer *but)
{
    for (peer *p = b->peers; p; p = p->next)
        if (p != but && p->stage == PEER_AGENT && p->host.v == host.v)
            return p;
    return NULL;
}

static peer *find_session(broker_node *b, session_id session, const peer *but)
{
    for (peer *p = b->peers; p; p = p->next)
        if (p != but && p->session.v && p->session.v == session.v)
            return p;
    return NULL;
}

/* ---- hello ---- */

/* Steps one of OPEN and REATTACH; the status of its reply. */
static int greet(peer *p, event_kind kind, session_id session, const uint8_t token[16])
{
    core_event e = {.kind = kind};
    e.session =
        (event_session){.session = session, .user = p->user, .pid = p->pid, .operator_ = p->operator_, .link = p->link};
    process_look(p->broker, p->pid, &e.session.pid_start);
    memcpy(e.session.token, token, 16);
    p->greeting = true;
    p->greeting_status = STATUS_LIMIT;
    broker_step(p->broker, &e);
    p->greeting = false;
    return p->greeting_status;
}

/* The session came to this connection: an older one of it is over, without a word to the core. */
static void take_from_older(peer *p)
{
    broker_node *b = p->broker;
    watch_stop(b, p->session);
    peer *older = find_session(b, p->session, p);
    if (!older)
        return;
    sim_say(b->sim, "broker", "session %llu came anew: the older connection of %s is dropped",
            (unsigned long long)p->session.v, older->name);
    older->session.v = 0;
    peer_doom(older);
}

static void on_hello(peer *p, const message *m)
{
    broker_node *b = p->broker;
    uint8_t token[16];
    p->user = m->hello.user;
    p->pid = m->hello.pid;
    p->operator_ = m->hello.operator_;
    bool reattached = false;
    if (m->hello.session) {
        memcpy(token, m->hello.token, sizeof token);
        reattached = greet(p, EVENT_SESSION_REATTACH, (session_id){m->hello.session}, token) == 0;
    }
    if (reattached) {
        take_from_older(p);
    } else {
        uint64_t random[2] = {rng_next(&b->dice), rng_next(&b->dice)};
        memcpy(token, random, sizeof token);
        int r = greet(p, EVENT_SESSION_OPEN, (session_id){0}, token);
        if (r < 0) {
            welcome_refuse(p, r);
            peer_doom(p);
            return;
        }
    }
    p->stage = PEER_CLIENT;
    welcome_send(p, token, reattached);
}

/* ---- what a client says ---- */

static void on_request(peer *p, const message *m)
{
    core_event e = m->request;
    e.request.session = p->session;
    int r = request_look(p->broker, &e);
    if (r < 0)
        reply_refuse(p, e.request.number, r);
    else
        broker_step(p->broker, &e);
}

static void client_arrived(peer *p, const message *m)
{
    switch (m->kind) {
    case MESSAGE_REQUEST:
        on_request(p, m);
        return;
    case MESSAGE_GOODBYE:
        p->goodbye = true;
        peer_doom(p);
        return;
    default:
        peer_doom(p); /* not from a client in this state */
    }
}

static void session_broken(peer *p)
{
    broker_node *b = p->broker;
    bool over = p->goodbye || process_look(b, p->pid, NULL) == PROCESS_DEAD;
    core_event e = {.kind = over ? EVENT_SESSION_END : EVENT_SESSION_BROKEN};
    e.session = (event_session){.session = p->session, .user = p->user, .link = p->link};
    sim_say(b->sim, "broker", "%s is gone: session %llu %s", p->name, (unsigned long long)p->session.v,
            over ? "ends" : "may come back");
    p->session.v = 0;
    if (!over) /* before the step, which may end the session at once */
        watch_start(b, e.session.session, p->pid);
    broker_step(b, &e);
}

/* ---- connections ---- */

static void on_arrived(void *context, connection *c, const message *m)
{
    peer *p = context;
    (void)c;
    if (p->stage == PEER_DOOMED)
        return;
    broker_enter(p->broker);
    say(p, "<", m);
    if (p->stage == PEER_CLIENT)
        client_arrived(p, m);
    else if (p->stage == PEER_AGENT || m->kind == MESSAGE_AGENT_HELLO)
        agent_arrived(p, m);
    else if (m->kind == MESSAGE_CLIENT_HELLO)
        on_hello(p, m);
    else
        peer_doom(p);
}

static void on_broken(void *context, connection *c)
{
    peer *p = context;
    (void)c;
    p->connection = NULL;
    broker_enter(p->broker);
    sim_say(p->broker->sim, "broker", "the connection of %s broke", p->name);
    peer_doom(p);
}

static bool on_accept(void *context, connection *c, const char *name, net_end *ret)
{
    broker_node *b = context;
    peer *p = sim_alloc(sizeof *p), **at = &b->peers;
    *p = (peer){.broker = b, .connection = c, .stage = PEER_FRESH, .link = ++b->links, .host = HOST_NONE};
    snprintf(p->name, sizeof p->name, "%s", name);
    while (*at)
        at = &(*at)->next;
    *at = p;
    *ret = (net_end){.context = p, .arrived = on_arrived, .broken = on_broken};
    return true;
}

void peers_listen(broker_node *b)
{
    net_listen(b->sim->net, &(net_listener){.context = b, .accept = on_accept});
}

static void peer_free(peer *p, bool polite)
{
    if (p->connection)
        net_close(p->connection, false, polite);
    claim_set_finish(&p->telling);
    claim_set_finish(&p->told);
    claim_set_finish(&p->differs);
    free(p);
}

void peers_close(broker_node *b, bool polite)
{
    net_listen(b->sim->net, NULL);
    while (b->peers) {
        peer *p = b->peers;
        b->peers = p->next;
        peer_free(p, polite);
    }
}

void peer_doom(peer *p)
{
    bool agent = p->stage == PEER_AGENT;
    if (p->stage == PEER_DOOMED)
        return;
    p->stage = PEER_DOOMED;
    if (agent)
        agent_broken(p);
}

bool peers_reap(broker_node *b)
{
    bool stepped = false;
    for (peer **at = &b->peers; *at;) {
        peer *p = *at;
        if (p->stage != PEER_DOOMED) {
            at = &p->next;
            continue;
        }
        if (p->session.v) {
            session_broken(p);
            stepped = true;
        }
        *at = p->next;
        peer_free(p, true);
    }
    return stepped;
}

void peers_collect(broker_node *b)
{
    for (peer *p = b->peers; p; p = p->next)
        if (p->stage == PEER_CLIENT && process_look(b, p->pid, NULL) == PROCESS_DEAD) {
            sim_say(b->sim, "broker", "%s is dead, but its connection is held open: it is ended", p->name);
            peer_doom(p);
        }
}

/* ---- letters ---- */

void letter_add(peer *to, message *m)
{
    broker_node *b = to->broker;
    if (b->n_letters == b->letters_capacity) {
        b->letters_capacity = b->letters_capacity ? 2 * b->letters_capacity : 64;
        b->letters = sim_grow(b->letters, b->letters_capacity * sizeof *b->letters);
    }
    b->letters[b->n_letters++] = (letter){.to = to, .m = m};
}

void letters_send(broker_node *b, bool (*some)(broker_node *b))
{
    for (peer *p = b->peers; p; p = p->next)
        p->mute = some && !some(b);
    for (uint32_t i = 0; i < b->n_letters; i++) {
        peer *p = b->letters[i].to;
        message *m = b->letters[i].m;
        if (!p->connection || p->mute) {
            message_destroy(m);
            continue;
        }
        say(p, ">", m);
        judge_sent(b->sim->judges, p->name, m);
        net_send(p->connection, false, m);
    }
    b->n_letters = 0;
}

void letters_drop(broker_node *b)
{
    for (uint32_t i = 0; i < b->n_letters; i++)
        message_destroy(b->letters[i].m);
    b->n_letters = 0;
}
