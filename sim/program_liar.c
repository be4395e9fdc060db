/*
 * program_liar.c - clients that break a rule each. The books must hold, and nobody else may be harmed.
 */
#include "hands.h"

#include "base/status.h"

typedef struct {
    hands hands; /* the first: hands.c works on it */
    clock_job job;
} state;

static void next(client_node *c);

/* Whatever comes of it: nobody looks. */
static void ask(client_node *c, const core_event *e)
{
    request_start(c, e, NULL, NULL);
}

/* Something of an allocation that is not its own, or is not there. */
static void steal(client_node *c)
{
    rng *dice = &c->dice;
    allocation_id id = {rng_between(dice, 1, 20)};
    extent given = {.host = {(uint32_t)rng_below(dice, c->sim->n_hosts)}, .chunks = (chunks_t)rng_between(dice, 1, 4)};
    static const event_kind kinds[] = {EVENT_RELEASE,  EVENT_WANT,           EVENT_CANCEL, EVENT_CLAIM,
                                       EVENT_CLOSE,    EVENT_EMPTY,          EVENT_SHRINK, EVENT_DRAIN,
                                       EVENT_TRANSFER, EVENT_RELEASE_FOREIGN};
    core_event e = {.kind = kinds[rng_below(dice, sizeof kinds / sizeof *kinds)]};
    switch (e.kind) {
    case EVENT_RELEASE:
        e.release.id = id;
        e.release.recall.v = rng_below(dice, 30);
        e.release.extents = &given;
        e.release.n = 1;
        break;
    case EVENT_WANT:
        e.want.id = id;
        e.want.want = given.chunks;
        break;
    case EVENT_CANCEL:
        e.cancel.id = id;
        break;
    case EVENT_CLAIM:
        e.claim.id = id;
        e.claim.host = given.host;
        e.claim.chunks = given.chunks;
        break;
    case EVENT_CLOSE:
        e.close.gen.v = rng_between(dice, 1, 60);
        e.close.kill = true;
        break;
    case EVENT_EMPTY:
        e.empty.gen.v = rng_between(dice, 1, 60);
        break;
    case EVENT_SHRINK:
        e.shrink.gen.v = rng_between(dice, 1, 60);
        e.shrink.chunks = given.chunks;
        break;
    case EVENT_DRAIN:
        e.drain.host = given.host;
        break;
    case EVENT_TRANSFER:
        e.transfer.id = id;
        e.transfer.to.v = c->session;
        break;
    default:
        /* What the same user may: then it is a recall. */
        e.release_foreign.id = id;
        e.release_foreign.count = given.chunks;
        break;
    }
    if (e.kind == EVENT_RELEASE_FOREIGN && rng_chance(dice, 700000))
        return;
    ask(c, &e);
}

/* More than it has, where it is not, for recalls of others. */
static void boast(client_node *c)
{
    rng *dice = &c->dice;
    offer_item items[40];
    core_event e = {.kind = EVENT_OFFER};
    e.offer.id.v = rng_chance(dice, 700000) ? c->set.id.v : rng_between(dice, 1, 20);
    e.offer.recall.v = rng_below(dice, 30);
    e.offer.n = (uint32_t)rng_between(dice, 1, 40);
    e.offer.items = items;
    for (uint32_t i = 0; i < e.offer.n; i++)
        items[i] = (offer_item){.host = {(uint32_t)rng_below(dice, c->sim->n_hosts + 1)},
                                .free_in = rng_chance(dice, 500000) ? 0 : rng_below(dice, 100)};
    ask(c, &e);
}

/* An old number, or one far ahead, with whatever contents. */
static void repeat(client_node *c)
{
    core_event e = {.kind = EVENT_WANT};
    e.want.id = c->set.id;
    e.want.want = (chunks_t)rng_below(&c->dice, 30);
    e.request.number.v = rng_below(&c->dice, c->next_number + 3);
    e.request.acked.v = rng_below(&c->dice, c->next_number + 3);
    if (c->connection && !c->give_up_at)
        net_send(c->connection, true, message_of_request(&e));
}

/* What it holds, while its tasks run on: once, or twice. */
static void release_now(client_node *c, uint64_t recall)
{
    for (uint32_t i = 0; i < c->set.n_extents; i++)
        if (c->set.extents[i].chunks) {
            hands_release(c, recall, c->set.extents[i].host, 1);
            if (c->plan.kind == CLIENT_TWICE)
                hands_release(c, recall, c->set.extents[i].host, 1);
            return;
        }
}

static void lie(void *context, uint64_t argument)
{
    client_node *c = context;
    state *s = c->state;
    (void)argument;
    s->job = 0;
    if (c->over)
        return;
    switch (c->plan.kind) {
    case CLIENT_THIEF:
        steal(c);
        break;
    case CLIENT_BOASTER:
        boast(c);
        break;
    case CLIENT_REPEATER:
        repeat(c);
        break;
    case CLIENT_TWICE:
    case CLIENT_EARLY:
        if (rng_chance(&c->dice, 200000))
            release_now(c, 0);
        break;
    default:
        break;
    }
    next(c);
}

static void next(client_node *c)
{
    state *s = c->state;
    us_t at = client_clock(c) + rng_between(&c->dice, US_OF_MS(20), US_OF_MS(800));
    if (!c->over)
        s->job = clock_at(c->sim->clock, at > c->stalled_until ? at : c->stalled_until, lie, c, 0);
}

static void on_start(client_node *c)
{
    hands_start(c);
    next(c);
}

static void on_recall(client_node *c, const effect_push *p)
{
    if (c->plan.kind == CLIENT_SILENT)
        return;
    if (c->plan.kind == CLIENT_EARLY || c->plan.kind == CLIENT_TWICE)
        release_now(c, p->recall.v);
    else
        hands_recalled(c, p);
}

static void on_finish(client_node *c)
{
    state *s = c->state;
    clock_cancel(c->sim->clock, &s->job);
}

const program program_liar = {
    .room = sizeof(state),
    .start = on_start,
    .changed = hands_changed,
    .ended = hands_ended,
    .recall = on_recall,
    .withdraw = hands_withdrawn,
    .settle = hands_settle,
    .finish = on_finish,
};
