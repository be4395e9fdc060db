#include "daemon/session.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/status.h"
#include "daemon/broker.h"
#include "daemon/info.h"
#include "daemon/query.h"
#include "daemon/replies.h"

/* ---- welcome ---- */

/* Fills the lists of what a reattached session holds. Full scratch: seen by the caller. */
static void welcome_holdings(broker *b, session_id session, Granary__Welcome *w)
{
    const core *c = b->driver.core;
    totals_view totals;
    view_totals(c, &totals);
    w->allocations = scratch_take(&b->scratch, (totals.allocations + 1) * sizeof *w->allocations);
    w->recalls = scratch_take(&b->scratch, (totals.recalls + 1) * sizeof *w->recalls);
    w->claims = scratch_take(&b->scratch, (totals.claims + 1) * sizeof *w->claims);
    if (!w->allocations || !w->recalls || !w->claims)
        return;
    allocation_view a;
    for (uint32_t cursor = 0; view_allocation(c, &cursor, &a);)
        if (a.owner.v == session.v)
            w->allocations[w->n_allocations++] = info_state(b, a.id);
    recall_view r;
    for (uint32_t cursor = 0; view_recall(c, &cursor, &r);)
        if (view_allocation_by_id(c, r.record.allocation, &a) == 0 && a.owner.v == session.v)
            w->recalls[w->n_recalls++] = info_recall(b, &r);
    claim_view k;
    for (uint32_t cursor = 0; view_claim(c, &cursor, &k);)
        if (view_allocation_by_id(c, k.allocation, &a) == 0 && a.owner.v == session.v)
            w->claims[w->n_claims++] = info_claim(b, &k);
}

static void welcome_send(peer *p, const uint8_t token[16], bool reattached)
{
    broker *b = p->broker;
    Granary__Welcome w = GRANARY__WELCOME__INIT;
    totals_view totals;
    view_totals(b->driver.core, &totals);
    w.version = PROTOCOL_VERSION;
    w.session = p->session.v;
    w.token = (ProtobufCBinaryData){.len = 16, .data = (uint8_t *)token};
    w.reattached = reattached;
    w.acked = reattached ? view_session_seen(b->driver.core, p->session).v : 0;
    w.broker = info_broker(b);
    w.broker_id = b->store->meta.broker_id;
    w.local_host = b->local_host; /* also while its agent is being restarted: requests wait for it */
    w.hosts = scratch_take(&b->scratch, (totals.hosts + 1) * sizeof *w.hosts);
    host_view h;
    for (uint32_t cursor = 0; w.hosts && view_host(b->driver.core, &cursor, &h);)
        w.hosts[w.n_hosts++] = info_host(b, &h);
    if (reattached)
        welcome_holdings(b, p->session, &w);
    if (b->scratch.full)
        peer_refuse(p, STATUS_NO_MEMORY, "the broker has no room for this welcome: connect again later");
    else
        peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_WELCOME, 0, &w.base);
}

/* ---- hello ---- */

/* Steps one of OPEN and REATTACH; the status of its reply. */
static int greet(peer *p, event_kind kind, session_id session, const uint8_t token[16])
{
    core_event event = {.kind = kind};
    event.session = (event_session){
        .session = session,
        .user = {p->process.uid},
        .pid = p->process.pid,
        .pid_start = p->process.start,
        .operator_ = p->operator_,
        .link = p->link,
    };
    memcpy(event.session.token, token, 16);
    p->greeting = true;
    p->greeting_status = STATUS_LIMIT;
    broker_step(p->broker, &event);
    p->greeting = false;
    return p->greeting_status;
}

/* The session came to this connection: an older one of it is over, without a word to the core. */
static void take_from_older(peer *p)
{
    watch_stop(p->broker, p->session);
    peer *older = peers_find_session(p->broker, p->session, p);
    if (older) {
        older->session.v = 0;
        peer_doom(older);
    }
}

void session_hello(peer *p, const frame *f)
{
    broker *b = p->broker;
    const Granary__Hello *m = (const Granary__Hello *)request_unpack(&b->scratch, &granary__hello__descriptor, f);
    uint8_t token[16];
    if (!m) {
        peer_refuse(p, STATUS_PROTOCOL, "the Hello is malformed");
        return;
    }
    if (m->version != PROTOCOL_VERSION) {
        peer_refuse(p, STATUS_VERSION,
                    "this broker speaks version 1 of the protocol: use programs of the same release");
        return;
    }
    bool reattached = false;
    if (m->session && m->token.len == sizeof token) {
        memcpy(token, m->token.data, sizeof token);
        reattached = greet(p, EVENT_SESSION_REATTACH, (session_id){m->session}, token) == 0;
    }
    if (reattached) {
        take_from_older(p);
    } else {
        ssize_t got;
        do
            got = getrandom(token, sizeof token, 0);
        while (got < 0 && errno == EINTR);
        int r = got == sizeof token ? greet(p, EVENT_SESSION_OPEN, (session_id){0}, token) : STATUS_SYSTEM;
        if (r < 0) {
            peer_refuse(p, r,
                        "the broker has as many sessions as it takes: connect again later, or raise max_sessions");
            return;
        }
    }
    if (p->stage != PEER_FRESH)
        return;
    p->stage = PEER_OPEN;
    b->peers.n_fresh--;
    channel_set_state(p->channel, PEER_CLIENT);
    welcome_send(p, token, reattached);
}

/* ---- requests ---- */

static int find_host(void *userdata, const char *name, host_id *ret)
{
    const broker *b = userdata;
    host_view v;
    int r = view_host_by_name(b->driver.core, name, &v);
    if (r == 0)
        *ret = v.id;
    return r;
}

static void request_step(peer *p, const frame *f)
{
    broker *b = p->broker;
    core_event event;
    char why[REQUEST_WHY_MAX] = "";
    int r = request_read(&b->room, &b->scratch, f, find_host, b, &event, why, sizeof why);
    if (r == STATUS_PROTOCOL || r == STATUS_NO_MEMORY) {
        peer_refuse(p, r, why);
        return;
    }
    if (r < 0) {
        reply_refuse(p, f->header.number, r, why);
        return;
    }
    event.request = (event_request){.session = p->session, .number = {f->header.number}, .acked = {f->header.acked}};
    uint64_t handle = f->fd >= 0 ? LINK_HANDLE : 0;
    if (event.kind == EVENT_CLAIM)
        event.claim.handle = handle;
    if (event.kind == EVENT_ENTER)
        event.enter.handle = handle;
    broker_step(b, &event);
}

void session_request(peer *p, const frame *f)
{
    switch (f->header.type) {
    case GRANARY__MESSAGE_TYPE__TYPE_QUERY:
        query_answer(p, f);
        return;
    case GRANARY__MESSAGE_TYPE__TYPE_GOODBYE:
        p->goodbye = true;
        peer_doom(p);
        return;
    default:
        request_step(p, f);
        return;
    }
}

void session_broken(peer *p)
{
    broker *b = p->broker;
    bool dead = p->process.pidfd >= 0 && !process_alive(p->process.pidfd);
    core_event event = {.kind = p->goodbye || dead ? EVENT_SESSION_END : EVENT_SESSION_BROKEN};
    event.session = (event_session){.session = p->session, .user = {p->process.uid}, .link = p->link};
    p->session.v = 0;
    if (event.kind == EVENT_SESSION_BROKEN) { /* before the step, which may end the session at once */
        watch_start(b, event.session.session, p->process.pidfd);
        p->process.pidfd = -1;
    }
    broker_step(b, &event);
}
