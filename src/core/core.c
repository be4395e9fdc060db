/*
 * core.c - building an empty core, ending a recovery, exporting.
 */
#include "core/core.h"

#include <string.h>

#include "core/books.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/plan.h"
#include "core/recall.h"
#include "core/session.h"
#include "core/step.h"
#include "core/supply.h"
#include "core/trouble.h"
#include "core/verify.h"

/* A holding's key has 20 bits for the host. */
#define HOSTS_MAX (1u << 20)
/* Offers are soft: this many estimates for each holding on average. */
#define ESTIMATES_PER_HOLDING 4u

const core_timers core_timers_default = {
    .suspect_ms = 60000,
    .grace_ms = 30000,
    .age_guard_ms = 60000,
    .notice_ms = 30000,
    .ask_ms = 20,
    .returning_ms = 60000,
    .quarantine_ms = 30000,
};

/* Lays out all tables; with an arena that only measures, tells how large they are. False: the sum overflows. */
static bool layout(core *c, arena *a, const core_limits *l)
{
    uint64_t deadlines =
        (uint64_t)l->hosts + l->sessions + 2ull * l->allocations + l->holdings + l->claims + l->recalls + PLANS_MAX + 2;
    uint64_t estimates = (uint64_t)l->holdings * ESTIMATES_PER_HOLDING;
    if (deadlines > UINT32_MAX / 2 || estimates > UINT32_MAX)
        return false;
    c->hosts = arena_take(a, l->hosts, sizeof(host));
    pool_init(&c->users, a, sizeof(user), l->users);
    pool_init(&c->sessions, a, sizeof(session), l->sessions);
    pool_init(&c->allocations, a, sizeof(allocation), l->allocations);
    pool_init(&c->holdings, a, sizeof(holding), l->holdings);
    pool_init(&c->claims, a, sizeof(claim), l->claims);
    pool_init(&c->recalls, a, sizeof(recall), l->recalls);
    pool_init(&c->answers, a, sizeof(answer), l->answers);
    pool_init(&c->estimates, a, sizeof(estimate), (uint32_t)estimates);
    table_init(&c->host_names, a, l->hosts);
    table_init(&c->user_ids, a, l->users);
    table_init(&c->session_ids, a, l->sessions);
    table_init(&c->allocation_ids, a, l->allocations);
    table_init(&c->claim_gens, a, l->claims);
    table_init(&c->recall_ids, a, l->recalls);
    table_init(&c->holding_keys, a, l->holdings);
    heap_init(&c->deadlines, a, (uint32_t)deadlines);
    for (int i = 0; i < CLASSES; i++)
        tourney_init(&c->by_free[i], a, l->hosts);
    tourney_init(&c->by_hope, a, l->hosts);
    return !a->failed;
}

static bool limits_valid(const core_limits *l)
{
    return l && l->hosts && l->users && l->sessions && l->allocations && l->holdings && l->claims && l->recalls &&
           l->answers && l->hosts <= HOSTS_MAX;
}

static bool timers_valid(const core_timers *t)
{
    return t && t->suspect_ms && t->grace_ms && t->age_guard_ms && t->notice_ms && t->ask_ms && t->returning_ms &&
           t->quarantine_ms && t->ask_ms < t->notice_ms;
}

size_t core_arena_size(const core_limits *limits)
{
    if (!limits_valid(limits))
        return 0;
    arena a;
    arena_init(&a, NULL, 0);
    core *c = arena_take(&a, 1, sizeof(core));
    core measure;
    (void)c;
    return layout(&measure, &a, limits) ? a.used : 0;
}

int core_init(core **ret, const core_limits *limits, const core_timers *timers, void *memory, size_t size)
{
    if (!ret || !limits_valid(limits) || !timers_valid(timers) || !memory || (uintptr_t)memory % ARENA_ALIGN != 0)
        return STATUS_INVALID;
    size_t need = core_arena_size(limits);
    if (need == 0 || size < need)
        return STATUS_INVALID;
    arena a;
    arena_init(&a, memory, size);
    core *c = arena_take(&a, 1, sizeof(core));
    memset(c, 0, sizeof(*c));
    if (!layout(c, &a, limits))
        return STATUS_INVALID;
    c->limits = *limits;
    c->timers = *timers;
    list_node *heads[] = {&c->user_list,   &c->session_list, &c->allocation_list, &c->claim_list,
                          &c->recall_list, &c->queue,        &c->recallable,      &c->sweep,
                          &c->sync,        &c->trouble,      &c->pushes,          &c->debts};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        list_init(heads[i]);
    for (int i = 0; i < NOUNS; i++) {
        list_init(&c->dirty[i]);
        list_init(&c->backlog[i]);
    }
    supply_init(c);
    plan_init(c);
    heap_node_init(&c->fairness_due, DUE_REST);
    heap_node_init(&c->queue_due, DUE_REST);
    c->supply_sequence = 1;
    c->config_default.set_aside = UINT64_MAX;
    c->config_user_default.weight = 1;
    *ret = c;
    return STATUS_OK;
}

/* ---- recovery ---- */

/* The moment `span` after `now`, before MS_NEVER whatever they are. */
static ms_t ms_after(ms_t now, ms_t span)
{
    return span < MS_NEVER - 1 - now ? now + span : MS_NEVER - 1;
}

/* Another boot: the clock began anew, so every span begins anew. */
static void rearm(core *c)
{
    list_each(a, &c->allocation_list, allocation, node)
    {
        a->since = c->now;
        mark_terms(c, a);
        if (a->state == ALLOCATION_WAITING && a->wait_until != MS_NEVER) {
            a->wait_until = ms_after(c->now, a->terms.wait_ms);
            heap_set(&c->deadlines, &a->due, a->wait_until);
        }
        list_each(x, &a->holdings, holding, node)
        {
            if (!x->returning)
                continue;
            x->returning_until = c->now + c->timers.returning_ms;
            heap_set(&c->deadlines, &x->due, x->returning_until);
            mark_holding(c, x);
        }
    }
    list_each(k, &c->claim_list, claim, node)
    {
        if (k->closing_until == MS_NEVER)
            continue;
        claim_deadline(c, k, c->now + c->timers.quarantine_ms);
        mark_claim(c, k);
    }
    list_each(r, &c->recall_list, recall, node)
    {
        if (r->due.pos == 0)
            continue;
        r->r.deadline = ms_after(c->now, r->allocation->terms.notice_ms);
        heap_set(&c->deadlines, &r->due, r->r.deadline);
        mark_recall(c, r);
    }
}

int core_recover(core *c, ms_t now, bool same_boot, core_effects *effects)
{
    if (!c || c->recovered || !effects || effects->capacity < EFFECTS_MAX)
        return STATUS_INVALID;
    c->recovered = true;
    if (verify_books(c) != STATUS_OK)
        return STATUS_CORRUPT;
    list_each(r, &c->recall_list, recall, node) if (recall_recover(c, r) != STATUS_OK) return STATUS_CORRUPT;
    step_begin(c, now, effects);
    list_each(s, &c->session_list, session, node) if (s->state == SESSION_ATTACHED || !same_boot)
        session_set_state(c, s, SESSION_DETACHED, c->now + c->timers.grace_ms);
    if (!same_boot)
        rearm(c);
    list_each(a, &c->allocation_list, allocation, node)
    {
        if (a->state == ALLOCATION_WAITING)
            heap_set(&c->deadlines, &a->look, a->since + c->timers.age_guard_ms);
        if (!a->owner && list_empty(&a->sweep_node))
            list_append(&c->sweep, &a->sweep_node);
    }
    for (uint32_t i = 0; i < c->n_hosts; i++) {
        heap_set(&c->deadlines, &c->hosts[i].due, c->now + c->timers.suspect_ms);
        c->hosts[i].lost = false;
        if (c->hosts[i].draining)
            trouble_mark(c, &c->hosts[i]);
    }
    supply_all(c);
    mark_to_backlog(c);
    step_finish(c);
    return STATUS_OK;
}

/* ---- export ---- */

typedef int (*put_fn)(void *userdata, const core_record *record);

static int export_allocation(const allocation *a, put_fn put, void *userdata)
{
    core_record r;
    record_of_terms(a, &r);
    int status = put(userdata, &r);
    if (status)
        return status;
    record_of_state(a, &r);
    if ((status = put(userdata, &r)))
        return status;
    list_each(x, &a->holdings, holding, node)
    {
        if (x->held == 0 && x->returning == 0)
            continue;
        record_of_holding(x, &r);
        if ((status = put(userdata, &r)))
            return status;
    }
    return STATUS_OK;
}

/* Answers come after what they speak of. */
static int export_answers(const core *c, put_fn put, void *userdata)
{
    core_record r;
    list_each(s, &c->session_list, session, node)
    {
        list_each(a, &s->answers, answer, node)
        {
            r.kind = RECORD_ANSWER;
            r.answer = a->record;
            int status = put(userdata, &r);
            if (status)
                return status;
        }
    }
    return STATUS_OK;
}

int core_export(const core *c, put_fn put, void *userdata)
{
    core_record r = {.kind = RECORD_COUNTERS, .counters = c->counters};
    int status = put(userdata, &r);
    for (uint32_t i = 0; i < c->n_hosts && !status; i++) {
        record_of_host(&c->hosts[i], &r);
        status = put(userdata, &r);
    }
    list_each(s, &c->session_list, session, node)
    {
        if (status)
            return status;
        record_of_session(s, &r);
        status = put(userdata, &r);
    }
    list_each(a, &c->allocation_list, allocation, node)
    {
        if (status)
            return status;
        status = export_allocation(a, put, userdata);
    }
    list_each(k, &c->claim_list, claim, node)
    {
        if (status)
            return status;
        record_of_claim(k, &r);
        status = put(userdata, &r);
    }
    list_each(q, &c->recall_list, recall, node)
    {
        if (status)
            return status;
        record_of_recall(q, &r);
        status = put(userdata, &r);
    }
    return status ? status : export_answers(c, put, userdata);
}
