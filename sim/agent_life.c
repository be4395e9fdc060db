/*
 * agent_life.c - the agent's own objects in one life of its process; see agent_life.h.
 */
#include "agent_life.h"

#include <assert.h>
#include <stdlib.h>

#include "agent/members.h"
#include "base/status.h"
#include "standins.h"

#define SCRATCH (1u << 20) /* one sample of a full table of a small world */

_Static_assert((int)LIFE_EXPECT == (int)CLAIM_ORDER_EXPECT && (int)LIFE_OPEN == (int)CLAIM_ORDER_OPEN &&
                   (int)LIFE_ENTER == (int)CLAIM_ORDER_ENTER && (int)LIFE_LIMIT == (int)CLAIM_ORDER_LIMIT &&
                   (int)LIFE_EMPTY == (int)CLAIM_ORDER_EMPTY && (int)LIFE_END == (int)CLAIM_ORDER_END &&
                   (int)LIFE_CLOSE == (int)CLAIM_ORDER_CLOSE,
               "orders have the same numbers on both sides");

/* ---- the claims' sink ---- */

static void on_answer(void *context, const claim_order *order, const claim_answer *answer)
{
    const agent_life *l = context;
    life_answer a = {.kind = (life_order_kind)order->kind,
                     .gen = order->generation,
                     .tag = order->tag,
                     .status = answer->status,
                     .cause = (int)answer->cause,
                     .peak = answer->peak,
                     .other = answer->other,
                     .root_pid = answer->root.pid,
                     .root_start = answer->root.start,
                     .text = answer->text};
    if (!l->over)
        l->sink.answer(l->sink.context, &a);
}

static life_use use_of(const claim_view *view)
{
    return (life_use){.gen = view->generation,
                      .used = view->used,
                      .peak = view->peak,
                      .processes = view->processes,
                      .cause = (int)view->cause};
}

static void on_drained(void *context, const claim_view *view)
{
    const agent_life *l = context;
    life_use use = use_of(view);
    if (!l->over)
        l->sink.drained(l->sink.context, &use);
}

static void on_notice(void *context, const char *level, const char *text)
{
    const agent_life *l = context;
    (void)level;
    if (!l->over)
        l->sink.notice(l->sink.context, text);
}

/* ---- life ---- */

agent_life *life_start(sim *s, machine *m, const life_sink *sink)
{
    agent_life *l = sim_alloc(sizeof *l);
    *l = (agent_life){
        .sim = s, .machine = m, .sink = *sink, .dice = rng_named(s->plan.seed, "agent", machine_number(m))};
    l->dice.state += clock_now(s->clock); /* each life its own */
    l->loop.data = l;
    l->set.life = l;
    life_enter(l);
    life_listen(l);
    l->backend = machine_backend_create(l);
    claim_sink from_claims = {.context = l, .answer = on_answer, .drained = on_drained, .notice = on_notice};
    if (scratch_init(&l->scratch, SCRATCH) < 0 || members_prepare() < 0 ||
        claims_create(&l->claims, &l->loop, l->backend, &l->set, &from_claims) < 0)
        abort();
    return l;
}

void life_end(agent_life *l, bool polite)
{
    if (!l)
        return;
    life_enter(l);
    l->over = !polite;
    machine_listen(l->machine, NULL);
    claims_stop(l->claims);
    l->over = true;
    loop_finish(l);
    claims_destroy(l->claims);
    l->backend->ops->destroy(l->backend);
    if (l->set.live)
        sim_wrong(l->sim, "agent %s leaks %u watches", machine_name(l->machine), l->set.live);
    descriptors_finish(l);
    scratch_finish(&l->scratch);
    life_enter(NULL);
    free(l);
}

const char *life_enforcement(const agent_life *l)
{
    return l->backend->ops->name;
}

bool life_limited(const agent_life *l)
{
    return l->backend->ops->limited;
}

/* ---- the link ---- */

int life_groups(agent_life *l, uint64_t **ret, uint32_t *ret_n)
{
    generations found = {0};
    life_enter(l);
    int r = l->backend->ops->books(l->backend, LIFE_BOOKS);
    if (r == 0)
        r = l->backend->ops->list(l->backend, &found);
    if (r < 0)
        return r;
    *ret = found.items;
    *ret_n = found.count;
    return 0;
}

int life_welcome(agent_life *l, uint64_t issued)
{
    life_enter(l);
    return claims_books(l->claims, LIFE_BOOKS, issued);
}

void life_ready(agent_life *l, uint64_t sample_ms)
{
    life_enter(l);
    claims_ready(l->claims, sample_ms);
}

int life_order_take(agent_life *l, const life_order *order)
{
    life_enter(l);
    claim_order o = {.kind = (claim_order_kind)order->kind,
                     .generation = order->gen,
                     .bytes = order->bytes,
                     .chunk_size = order->chunk_size,
                     .uid = order->uid,
                     .tag = order->tag,
                     .root = {.pid = order->root_pid, .start = order->root_start},
                     .by_operator = order->by_operator,
                     .fresh = order->fresh,
                     .kill = order->kill,
                     .ending = order->ending,
                     .running = order->running,
                     .pidfd = order->pid ? descriptor_of_process(order->pid) : -1};
    return claims_order(l->claims, &o);
}

void life_unlink(agent_life *l)
{
    life_enter(l);
    claims_unlink(l->claims);
}

void life_collect(agent_life *l)
{
    life_enter(l);
    claims_collect(l->claims);
}

static int sample_once(agent_life *l, sample *ret)
{
    int r = sample_take(ret, l->claims, &l->proc, &l->scratch);
    for (uint32_t i = 0; r == 0 && i < ret->count; i++) {
        life_use use = use_of(&ret->rows[i].view);
        l->sink.use(l->sink.context, &use);
    }
    scratch_reset(&l->scratch);
    return r;
}

int life_sample(agent_life *l, bytes_t *ret_in_use, bytes_t *ret_claims_used)
{
    sample s;
    life_enter(l);
    claims_retry(l->claims);
    int r = sample_once(l, &s);
    if (r == STATUS_STALE)
        r = sample_once(l, &s);
    if (r == STATUS_STALE) { /* perhaps a group has vanished */
        claims_collect(l->claims);
        r = sample_once(l, &s);
    }
    if (r < 0)
        return r;
    *ret_in_use = s.in_use;
    *ret_claims_used = s.claims_used;
    return 0;
}
