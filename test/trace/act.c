/* act.c - the random things that clients, agents and time do. */
#include "player.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

static void doing(run *r, const char *what, unsigned who)
{
    snprintf(r->doing, sizeof r->doing, "%s %u", what, who);
}

static void do_session(run *r)
{
    unsigned i = player_draw(r, CLIENTS);
    for (unsigned j = 0; j < CLIENTS; j++)
        if (!r->clients[j].attached && player_draw(r, 2))
            i = j;
    client *k = &r->clients[i];
    bool alive = model_session_find(&r->model, k->id) != NULL;
    core_event e = {.kind = EVENT_SESSION_OPEN};
    uint32_t what = player_draw(r, 4);
    if (alive && k->attached && player_draw(r, 6))
        return;
    if (alive && k->attached)
        e.kind = what == 0 ? EVENT_SESSION_END : EVENT_SESSION_BROKEN;
    else if (k->id && what != 0)
        e.kind = EVENT_SESSION_REATTACH;
    doing(r, "session event", (unsigned)e.kind);
    if (e.kind == EVENT_SESSION_OPEN) {
        if (k->id && alive)
            return; /* a detached one is not forgotten: its grace must pass */
        *k = (client){.user = 1000 + i / 2, .attached = true};
        for (unsigned b = 0; b < 16; b++)
            k->token[b] = (uint8_t)player_draw(r, 256);
    }
    k->link = e.kind == EVENT_SESSION_OPEN || e.kind == EVENT_SESSION_REATTACH ? ++r->links : k->link;
    e.session =
        (event_session){.session = {k->id}, .user = {k->user}, .pid = (int32_t)i, .link = k->link, .operator_ = i == 0};
    memcpy(e.session.token, k->token, 16);
    k->attached =
        (e.kind == EVENT_SESSION_OPEN || e.kind == EVENT_SESSION_REATTACH) && (alive || e.kind == EVENT_SESSION_OPEN);
    unsigned before = r->model.n_sessions;
    player_step(r, &e);
    if (e.kind == EVENT_SESSION_OPEN && r->model.n_sessions > before)
        k->id = r->model.sessions[before].id;
    else if (e.kind == EVENT_SESSION_OPEN || e.kind == EVENT_SESSION_END)
        *k = (client){0};
    else if (e.kind == EVENT_SESSION_REATTACH && !alive)
        *k = (client){0};
}

static client *some_client(run *r)
{
    client *k = &r->clients[player_draw(r, CLIENTS)];
    return k->attached && model_session_find(&r->model, k->id) ? k : NULL;
}

static client *client_of(run *r, uint64_t session)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (r->clients[i].id == session && r->clients[i].attached)
            return &r->clients[i];
    return NULL;
}

static model_allocation *some_allocation(run *r)
{
    model *m = &r->model;
    unsigned start = m->n_allocations ? player_draw(r, m->n_allocations) : 0;
    for (unsigned i = 0; i < m->n_allocations; i++) {
        model_allocation *a = &m->allocations[(start + i) % m->n_allocations];
        if (a->id)
            return a;
    }
    return NULL;
}

static model_claim *some_claim(run *r)
{
    model *m = &r->model;
    unsigned start = m->n_claims ? player_draw(r, m->n_claims) : 0;
    for (unsigned i = 0; i < m->n_claims; i++) {
        model_claim *k = &m->claims[(start + i) % m->n_claims];
        if (k->gen)
            return k;
    }
    return NULL;
}

/* One client in four lies about what has arrived; it may only harm itself. */
static bool lies(const run *r, const client *k)
{
    return (k - r->clients) % 4 == 3;
}

static void request(run *r, client *k, core_event *e)
{
    if (k->number + 1 == CLIENT_REQUESTS)
        return;
    e->request =
        (event_request){.session = {k->id}, .number = {k->number + 1}, .acked = {lies(r, k) ? k->number : k->acked}};
    k->number++;
    player_step(r, e);
    r->last = k->answered[k->number] ? *e : (core_event){0};
}

/* Who asks about an allocation: its owner, rarely another one. */
static client *asker(run *r, const model_allocation *a)
{
    return player_draw(r, 20) == 0 ? some_client(r) : client_of(r, a->owner);
}

static void do_allocate(run *r)
{
    static const char *const filters[] = {"a", "a,c,d", "!b", "gpu", "gpu,fast", "z", "!gpu"};
    client *k = some_client(r);
    core_event e = {.kind = EVENT_ALLOCATE};
    allocation_terms *t = &e.allocate.terms;
    if (!k)
        return;
    doing(r, "allocate", (unsigned)k->id);
    t->chunk_size = MIB(200) << player_draw(r, 5);
    t->want = 1 + player_draw(r, 12);
    t->min = player_draw(r, 3) ? 1 : 1 + player_draw(r, t->want);
    t->flags = player_draw(r, 2) ? player_draw(r, 2 * TERM_STAY) & TERM_ALL : TERM_GROWABLE | TERM_RECALLABLE;
    if (player_draw(r, 4) == 0)
        strcpy(t->filter, filters[player_draw(r, sizeof filters / sizeof *filters)]);
    t->priority = player_draw(r, 4) ? 0 : (int32_t)player_draw(r, 3) - 1;
    t->notice_ms = 500 + player_draw(r, 3000);
    t->wait_ms = player_draw(r, 3) ? MS_NEVER : player_draw(r, 10000);
    e.allocate.dry_run = player_draw(r, 10) == 0;
    request(r, k, &e);
}

static void do_release(run *r)
{
    model_allocation *a = some_allocation(r);
    client *k = a ? asker(r, a) : NULL;
    recall_view v;
    core_event e = {.kind = EVENT_RELEASE};
    if (!k)
        return;
    doing(r, "release", (unsigned)a->id);
    e.release.id.v = a->id;
    e.release.extents = r->extents;
    for (uint32_t cursor = 0; view_recall(r->core, &cursor, &v);)
        if (v.record.allocation.v == a->id && player_draw(r, 2))
            e.release.recall = v.record.id;
    for (uint32_t h = 0; h < HOSTS; h++)
        if ((a->held[h] && player_draw(r, 2)) || player_draw(r, 30) == 0)
            r->extents[e.release.n++] =
                (extent){{h}, 1 + player_draw(r, a->held[h] + player_draw(r, 20) / 19 + 1) % (a->held[h] + 1)};
    if (e.release.n || player_draw(r, 8) == 0)
        request(r, k, &e);
}

static void do_release_n(run *r)
{
    model_allocation *a = some_allocation(r);
    client *k = a ? asker(r, a) : NULL;
    core_event e = {.kind = EVENT_RELEASE_N};
    if (!k)
        return;
    doing(r, "release_n", (unsigned)a->id);
    e.release_n.id.v = a->id;
    e.release_n.count = player_draw(r, 4);
    e.release_n.busy = r->extents;
    for (uint32_t h = 0; h < HOSTS; h++)
        if (a->held[h] && player_draw(r, 3) == 0)
            r->extents[e.release_n.n++] = (extent){{h}, player_draw(r, a->held[h] + 2)};
    request(r, k, &e);
}

static void do_offer(run *r)
{
    model_allocation *asked = model_allocation_find(&r->model, r->asked);
    model_allocation *a = asked ? asked : some_allocation(r);
    client *k = a ? asker(r, a) : NULL;
    core_event e = {.kind = EVENT_OFFER};
    if (!k)
        return;
    doing(r, "offer", (unsigned)a->id);
    r->asked = 0;
    e.offer.id.v = a->id;
    recall_view v;
    for (uint32_t cursor = 0; view_recall(r->core, &cursor, &v);)
        if (v.record.allocation.v == a->id && player_draw(r, 2))
            e.offer.recall = v.record.id;
    e.offer.items = r->items;
    for (uint32_t h = 0; h < HOSTS; h++)
        for (chunks_t i = 0; i < a->held[h] && e.offer.n < 64; i++)
            if (player_draw(r, 2))
                r->items[e.offer.n++] = (offer_item){{h}, player_draw(r, 4) == 0 ? MS_NEVER : player_draw(r, 5000)};
    request(r, k, &e);
}

static void do_claim(run *r)
{
    model_allocation *a = some_allocation(r);
    client *k = a ? asker(r, a) : NULL;
    core_event e = {.kind = EVENT_CLAIM};
    if (!k)
        return;
    doing(r, "claim", (unsigned)a->id);
    e.claim.id.v = a->id;
    e.claim.host.v = player_draw(r, HOSTS);
    for (uint32_t h = 0; h < HOSTS; h++)
        if (a->held[h] > model_claimed(&r->model, a, h))
            e.claim.host.v = h;
    e.claim.chunks = a->waiting && player_draw(r, 4) ? 0 : player_draw(r, 4);
    e.claim.handle = a->waiting ? player_draw(r, 8) : player_draw(r, 2);
    request(r, k, &e);
}

static void do_claim_request(run *r)
{
    static const event_kind kinds[] = {EVENT_ENTER, EVENT_EMPTY, EVENT_SHRINK, EVENT_CLOSE, EVENT_CLOSE};
    model_claim *c = some_claim(r);
    model_allocation *a = c ? model_allocation_find(&r->model, c->allocation) : NULL;
    client *k = a ? asker(r, a) : NULL;
    core_event e = {.kind = kinds[player_draw(r, 5)]};
    if (!k)
        return;
    doing(r, "claim request", (unsigned)e.kind);
    if (e.kind == EVENT_ENTER)
        e.enter.gen.v = c->gen, e.enter.handle = 1, e.enter.fresh = player_draw(r, 2);
    else if (e.kind == EVENT_EMPTY)
        e.empty.gen.v = c->gen;
    else if (e.kind == EVENT_SHRINK)
        e.shrink.gen.v = c->gen, e.shrink.chunks = player_draw(r, 5);
    else
        e.close.gen.v = c->gen, e.close.kill = player_draw(r, 2);
    request(r, k, &e);
}

static void do_other_request(run *r)
{
    model_allocation *a = some_allocation(r);
    client *k = a ? asker(r, a) : NULL, *to = some_client(r);
    core_event e = {0};
    if (!k)
        return;
    doing(r, "other request", (unsigned)a->id);
    switch (player_draw(r, 4)) {
    case 0:
        e.kind = EVENT_CANCEL;
        e.cancel.id.v = a->id;
        break;
    case 1:
        e.kind = EVENT_WANT;
        e.want.id.v = a->id;
        e.want.want = player_draw(r, 15);
        break;
    case 2:
        if (!to)
            return;
        e.kind = EVENT_TRANSFER;
        e.transfer.id.v = a->id;
        e.transfer.to.v = to->id;
        break;
    default:
        e.kind = EVENT_RELEASE_FOREIGN;
        e.release_foreign.id.v = a->id;
        e.release_foreign.count = player_draw(r, 3);
    }
    request(r, k, &e);
}

static void do_drain(run *r)
{
    client *k = &r->clients[0]; /* the operator */
    core_event e = {.kind = player_draw(r, 3) ? EVENT_UNDRAIN : EVENT_DRAIN};
    if (!k->attached || !model_session_find(&r->model, k->id))
        return;
    e.drain.host.v = player_draw(r, HOSTS);
    if (!r->model.hosts[e.drain.host.v].there)
        return;
    doing(r, "drain or undrain", e.drain.host.v);
    request(r, k, &e);
}

static void do_again(run *r)
{
    const client *k = client_of(r, r->last.request.session.v);
    bool plan = r->last.kind == EVENT_ALLOCATE && r->last.allocate.dry_run; /* has no answer to keep */
    if (r->last.kind == 0 || plan || !k || k->number != r->last.request.number.v)
        return;
    if (r->last.kind == EVENT_RELEASE)
        r->last.release.n = 0; /* what it pointed to is gone; the number decides */
    if (r->last.kind == EVENT_RELEASE_N)
        r->last.release_n.n = 0;
    if (r->last.kind == EVENT_OFFER)
        r->last.offer.n = 0;
    doing(r, "again", (unsigned)r->last.kind);
    if (core_step(r->core, r->now, &r->last, &r->effects) < 0)
        player_wrong(r, "I12", "a repeated request is refused");
    bool answered = false;
    for (uint32_t i = 0; i < r->effects.count; i++) {
        const core_effect *x = &r->effects.items[i];
        answered |= x->kind == EFFECT_REPLY && x->reply.number.v == r->last.request.number.v &&
                    x->reply.status == k->last_status;
        if (x->kind == EFFECT_RECORD || x->kind == EFFECT_ORDER || x->kind == EFFECT_PUSH)
            player_wrong(r, "I12", "a repeated request had a second effect");
    }
    if (!answered)
        player_wrong(r, "I12", "a repeated request got another answer");
    player_judge(r, &(core_event){.kind = EVENT_TICK});
}

static void do_agent(run *r)
{
    unsigned i = player_draw(r, HOSTS);
    agent *a = &r->agents[i];
    doing(r, "agent", i);
    if (!a->connected) {
        core_event e = player_hello(r, i);
        player_step(r, &e);
    } else if (player_draw(r, 60) == 0) {
        agent_gone(a, player_draw(r, 2));
        player_step(r, &(core_event){.kind = EVENT_HOST_GONE, .gone = {i}});
    } else if (a->n_debts && player_draw(r, 2)) {
        core_event e = agent_answer(a, (host_id){i}, player_draw(r, a->n_debts), player_draw(r, UINT32_MAX));
        player_step(r, &e);
    } else {
        bytes_t foreign = player_draw(r, 6) ? MIB(player_draw(r, 500)) : MIB(player_draw(r, 6000));
        bytes_t claims = MIB(player_draw(r, 1000));
        core_event e = {.kind = EVENT_HOST_SAMPLE, .sample = {{i}, foreign + claims, claims}};
        player_step(r, &e);
    }
}

/* A reload: settings of a host, or the defaults; a section that vanished is one of nothing but a name. */
static void do_config_host(run *r)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "z", "*"}, *const labels[] = {"", "gpu", "gpu,fast"};
    unsigned i = player_draw(r, sizeof names / sizeof *names);
    event_config_host *h = &r->settings[i];
    doing(r, "config host", i);
    *h = (event_config_host){.set_aside = UINT64_MAX};
    strcpy(h->name, names[i]);
    if (player_draw(r, 3)) {
        h->total = player_draw(r, 2) ? 0 : MIB(512) << player_draw(r, 6);
        h->set_aside = player_draw(r, 2) ? UINT64_MAX : MIB(player_draw(r, 3000));
        h->cores = player_draw(r, 2) ? 0 : 1 + player_draw(r, 64);
        h->home = player_draw(r, 4) == 0;
        h->permanent = player_draw(r, 4) == 0;
        strcpy(h->labels, labels[player_draw(r, 3)]);
    }
    player_step(r, &(core_event){.kind = EVENT_CONFIG_HOST, .config_host = *h});
}

static void do_config_user(run *r)
{
    unsigned i = player_draw(r, USERS);
    event_config_user *u = &r->user_settings[i];
    doing(r, "config user", i);
    *u = (event_config_user){.user = {i + 1 < USERS ? 1000 + i : UINT32_MAX}, .weight = player_draw(r, 4)};
    if (i + 1 == USERS)
        u->weight++;
    if (u->weight && player_draw(r, 3) == 0)
        u->quota = MIB(500) + MIB(player_draw(r, 8000));
    player_step(r, &(core_event){.kind = EVENT_CONFIG_USER, .config_user = *u});
}

/* What an agent measures in a group; not more than a claim of it may be trusted with. */
static void do_use(run *r)
{
    unsigned i = player_draw(r, HOSTS);
    agent *a = &r->agents[i];
    if (!a->connected || a->n_groups == 0)
        return;
    doing(r, "use", i);
    core_event e = {.kind = EVENT_CLAIM_USE, .use = {.host = {i}, .gen = {a->groups[player_draw(r, a->n_groups)].gen}}};
    e.use.used = MIB(player_draw(r, 3000));
    e.use.peak = e.use.used + MIB(player_draw(r, 100));
    e.use.processes = player_draw(r, 3);
    player_step(r, &e);
}

static void do_time(run *r)
{
    static const uint32_t spans[] = {1, 5, 20, 100, 2000};
    doing(r, "time", 0);
    r->now += player_draw(r, spans[player_draw(r, 5)] + 1);
    if (core_next_deadline(r->core) <= r->now)
        player_step(r, &(core_event){.kind = EVENT_TICK});
}

static void do_restart(run *r)
{
    if (player_draw(r, 6))
        return;
    doing(r, "restart", 0);
    player_restart(r);
}

void act_randomly(run *r)
{
    static const struct {
        void (*act)(run *r);
        uint32_t weight;
    } acts[] = {
        {do_session, 12}, {do_allocate, 12}, {do_release, 8},        {do_release_n, 4},
        {do_offer, 20},   {do_claim, 16},    {do_claim_request, 14}, {do_other_request, 4},
        {do_drain, 2},    {do_again, 6},     {do_agent, 60},         {do_time, 20},
        {do_restart, 1},  {do_use, 8},       {do_config_host, 2},    {do_config_user, 1},
    };
    uint32_t total = 0;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        total += acts[i].weight;
    uint32_t at = player_draw(r, total);
    size_t i = 0;
    for (; at >= acts[i].weight; i++)
        at -= acts[i].weight;
    acts[i].act(r);
}
