/*
 * hands.c - tasks and recalls without the library.
 */
#include "hands.h"

#include <string.h>

#include "base/status.h"

_Static_assert(sizeof((hands){0}.closing) / sizeof(chunks_t) >= SIM_HOSTS, "by host");

chunks_t hands_idle(const client_node *c, host_id host)
{
    const hands *s = c->state;
    chunks_t held = client_held(c, host), busy = tasks_on(c, host) + s->closing[host.v] + s->leaving[host.v];
    return held > busy ? held - busy : 0;
}

/* ---- messages ---- */

static void on_released(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    hands *s = c->state;
    const extent *given = asked->release.extents;
    (void)status;
    (void)reply;
    (void)context;
    s->leaving[given->host.v] -= given->chunks;
    hands_step(c);
}

void hands_release(client_node *c, uint64_t recall, host_id host, chunks_t chunks)
{
    hands *s = c->state;
    extent given = {.host = host, .chunks = chunks};
    core_event e = {.kind = EVENT_RELEASE};
    e.release.id = c->set.id;
    e.release.recall.v = recall;
    e.release.extents = &given;
    e.release.n = 1;
    s->leaving[host.v] += chunks;
    request_start(c, &e, on_released, NULL);
}

static void on_answer(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    (void)status;
    (void)reply;
    (void)asked;
    (void)context;
    hands_step(c);
}

/* Way 1: the broker picks among what is not busy. */
static void release_n(client_node *c, hands_recall *r, chunks_t n)
{
    extent busy[SIM_HOSTS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->set.n_extents; i++) {
        extent e = c->set.extents[i];
        e.chunks -= hands_idle(c, e.host);
        if (e.chunks)
            busy[count++] = e;
    }
    core_event e = {.kind = EVENT_RELEASE_N};
    e.release_n.id = c->set.id;
    e.release_n.recall.v = r->id;
    e.release_n.count = n;
    e.release_n.busy = busy;
    e.release_n.n = count;
    r->left -= n;
    request_start(c, &e, on_answer, NULL);
}

/* ---- recalls ---- */

static void drop_recall(hands *s, uint32_t i)
{
    s->recalls[i] = s->recalls[--s->n_recalls];
}

/* The accepted host with an idle chunk; 2a: where it holds fewest. */
static host_id pick(const client_node *c, const hands_recall *r)
{
    host_id best = HOST_NONE;
    for (uint32_t i = 0; i < c->set.n_extents; i++) {
        host_id h = c->set.extents[i].host;
        if ((r->host.v != HOST_NONE.v && r->host.v != h.v) || hands_idle(c, h) == 0)
            continue;
        if (best.v == HOST_NONE.v || (c->plan.kind == CLIENT_WAY_2A && client_held(c, h) < client_held(c, best)))
            best = h;
    }
    return best;
}

static void answer_recalls(client_node *c)
{
    hands *s = c->state;
    for (uint32_t i = 0; i < s->n_recalls;) {
        hands_recall *r = &s->recalls[i];
        host_id h = r->left ? pick(c, r) : HOST_NONE;
        if (r->left && h.v == HOST_NONE.v) {
            i++;
            continue;
        }
        if (r->left && c->plan.kind == CLIENT_WAY_1) {
            chunks_t idle = hands_idle(c, h);
            release_n(c, r, idle < r->left ? idle : r->left);
            return; /* which it took, the answer tells */
        }
        if (r->left) {
            r->left--;
            hands_release(c, r->id, h, 1);
            continue;
        }
        drop_recall(s, i);
    }
}

void hands_recalled(client_node *c, const effect_push *p)
{
    hands *s = c->state;
    bool known = s->n_recalls == HANDS_RECALLS || s->gave_all;
    for (uint32_t i = 0; i < s->n_recalls; i++)
        known |= s->recalls[i].id == p->recall.v;
    if (!known)
        s->recalls[s->n_recalls++] = (hands_recall){p->recall.v, p->host, p->count};
    hands_step(c);
}

void hands_withdrawn(client_node *c, uint64_t recall)
{
    hands *s = c->state;
    for (uint32_t i = 0; i < s->n_recalls; i++)
        if (s->recalls[i].id == recall) {
            drop_recall(s, i);
            break;
        }
    hands_step(c);
}

void hands_attached(client_node *c, const message *welcome)
{
    hands *s = c->state;
    s->n_recalls = 0;
    for (uint32_t i = 0; i < welcome->welcome.n_recalls && s->n_recalls < HANDS_RECALLS; i++) {
        const record_recall *r = &welcome->welcome.recalls[i];
        if (r->allocation.v == c->set.id.v)
            s->recalls[s->n_recalls++] =
                (hands_recall){r->id.v, r->host, r->asked - r->released - r->withdrawn - r->revoked};
    }
    hands_step(c);
}

/* ---- tasks ---- */

static void on_closed(client_node *c, int status, const message *reply, const core_event *asked, void *context)
{
    hands *s = c->state;
    (void)status;
    (void)reply;
    (void)asked;
    uint64_t what = (uint64_t)(uintptr_t)context; /* host and chunks */
    s->closing[what >> 32] -= (chunks_t)what;
    s->running--;
    hands_step(c);
}

static void on_over(client_node *c, task *t, int status)
{
    hands *s = c->state;
    (void)status;
    if (t->gen.v == 0 || c->ended) {
        s->running--;
        hands_step(c);
        return;
    }
    core_event e = {.kind = EVENT_CLOSE};
    e.close.gen = t->gen;
    e.close.kill = true;
    s->closing[t->host.v] += t->chunks;
    request_start(c, &e, on_closed, (void *)(uintptr_t)((uint64_t)t->host.v << 32 | t->chunks));
}

static void on_claimed(client_node *c, task *t)
{
    (void)c;
    (void)t;
}

static const task_owner hands_tasks = {on_claimed, NULL, on_over};

static bool has_more(const client_node *c)
{
    const hands *s = c->state;
    return !s->settling && s->begun < c->plan.tasks && !c->ended;
}

static void begin_tasks(client_node *c)
{
    hands *s = c->state;
    for (uint32_t i = 0; i < c->set.n_extents && has_more(c); i++) {
        host_id h = c->set.extents[i].host;
        if (c->plan.local_only && h.v != c->plan.home && c->plan.kind != CLIENT_RUN)
            continue;
        chunks_t each = c->plan.kind == CLIENT_RUN ? hands_idle(c, h) : 1;
        while (each && hands_idle(c, h) >= each && (has_more(c) || c->plan.kind == CLIENT_RUN)) {
            s->begun++;
            s->running++;
            task_start(c, &hands_tasks, 0, h, each, (generation){0}, false);
        }
    }
}

/* ---- life ---- */

static void end_when_done(client_node *c)
{
    hands *s = c->state;
    bool unanswered = c->asked && c->set.id.v == 0 && !c->ended;
    if (has_more(c) || s->running || unanswered)
        return;
    if (!s->gave_all && !c->ended && c->set.id.v) {
        core_event cancel = {.kind = EVENT_CANCEL}, all = {.kind = EVENT_RELEASE}, none = {.kind = EVENT_WANT};
        cancel.cancel.id = all.release.id = none.want.id = c->set.id;
        s->gave_all = true;
        if (c->set.state == ALLOCATION_WAITING)
            request_start(c, &cancel, on_answer, NULL);
        request_start(c, &all, on_answer, NULL);
        request_start(c, &none, on_answer, NULL);
        return;
    }
    if (!c->first && !c->resting)
        client_finish(c);
}

void hands_step(client_node *c)
{
    hands *s = c->state;
    if (c->over || client_deaf(c))
        return; /* it steps again when it hears again */
    if (!c->ended && !s->gave_all && c->set.state == ALLOCATION_LIVE) {
        answer_recalls(c);
        begin_tasks(c);
    }
    end_when_done(c);
}

void hands_start(client_node *c)
{
    request_allocation(c);
}

void hands_changed(client_node *c)
{
    hands_step(c);
}

void hands_ended(client_node *c)
{
    hands *s = c->state;
    s->settling = true;
    hands_step(c);
}

void hands_settle(client_node *c)
{
    hands *s = c->state;
    if (c->plan.kind != CLIENT_RUN || s->begun == 0)
        s->settling = true;
    hands_step(c);
}

const program program_ways = {
    .room = sizeof(hands),
    .start = hands_start,
    .attached = hands_attached,
    .changed = hands_changed,
    .ended = hands_ended,
    .recall = hands_recalled,
    .withdraw = hands_withdrawn,
    .settle = hands_settle,
};

/* A firm command gives nothing back before it ends. */
const program program_run = {
    .room = sizeof(hands),
    .start = hands_start,
    .changed = hands_changed,
    .ended = hands_ended,
    .settle = hands_settle,
};
