#include "daemon/info.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/broker.h"

/* One message of `type` in the scratch, initialised; NULL when full. */
#define INFO_NEW(b, type, init, name)                                                                                  \
    type *name = scratch_take(&(b)->scratch, sizeof *name);                                                            \
    if (!name)                                                                                                         \
        return NULL;                                                                                                   \
    init(name)

static char *text(broker *b, const char *from)
{
    return scratch_text(&b->scratch, from ? from : "");
}

Granary__Extent **info_extents(broker *b, const extent *from, size_t n)
{
    Granary__Extent **list = scratch_take(&b->scratch, (n + 1) * sizeof *list);
    Granary__Extent *items = scratch_take(&b->scratch, (n + 1) * sizeof *items);
    for (size_t i = 0; list && items && i < n; i++) {
        granary__extent__init(&items[i]);
        items[i].host = from[i].host.v;
        items[i].chunks = from[i].chunks;
        list[i] = &items[i];
    }
    return items ? list : NULL;
}

Granary__PlannedAsk **info_asks(broker *b, const planned_ask *from, size_t n)
{
    Granary__PlannedAsk **list = scratch_take(&b->scratch, (n + 1) * sizeof *list);
    Granary__PlannedAsk *items = scratch_take(&b->scratch, (n + 1) * sizeof *items);
    for (size_t i = 0; list && items && i < n; i++) {
        granary__planned_ask__init(&items[i]);
        items[i].allocation = from[i].allocation.v;
        items[i].host = from[i].host.v;
        items[i].chunks = from[i].chunks;
        items[i].expected_known = from[i].expected_ms != MS_NEVER;
        items[i].expected_ms = items[i].expected_known ? from[i].expected_ms : 0;
        list[i] = &items[i];
    }
    return items ? list : NULL;
}

Granary__AllocationState *info_state(broker *b, allocation_id id)
{
    INFO_NEW(b, Granary__AllocationState, granary__allocation_state__init, m);
    m->id = id.v;
    set_view v;
    if (view_set(b->driver.core, id, &v) < 0)
        return m;
    m->version = v.version;
    m->state = v.state;
    m->want = v.want;
    m->extents = info_extents(b, v.extents, v.n_extents);
    m->n_extents = m->extents ? v.n_extents : 0;
    return m;
}

Granary__HostInfo *info_host(broker *b, const host_view *v)
{
    INFO_NEW(b, Granary__HostInfo, granary__host_info__init, m);
    stranded_reason why = 0;
    bool local = b->link.named && b->link.host.v == v->id.v;
    m->id = v->id.v;
    m->name = text(b, v->name);
    m->state = text(b, host_view_state_name(v->state));
    m->enforcement = text(b, local ? b->link.enforcement : "");
    m->enforcement_reason = text(b, local ? b->link.enforcement_reason : "");
    m->labels = text(b, v->labels);
    m->cores = v->cores;
    m->total = v->total;
    m->set_aside = v->set_aside;
    m->foreign = v->foreign;
    m->granted = v->granted;
    m->returning = v->returning;
    m->held = v->held;
    m->quarantine = v->quarantine;
    m->free = v->free;
    m->overdraft = v->overdraft;
    m->used = v->used;
    m->stranded = view_stranded(b->driver.core, v->id, &why);
    m->stranded_reason = text(b, m->stranded ? stranded_reason_name(why) : "");
    return m;
}

static const char *allocation_state_name(allocation_state state)
{
    switch (state) {
    case ALLOCATION_WAITING:
        return "waiting";
    case ALLOCATION_LIVE:
        return "live";
    case ALLOCATION_ENDING:
        return "ending";
    }
    return "?";
}

static const char *claim_state_name(claim_state state)
{
    switch (state) {
    case CLAIM_OPENING:
        return "opening";
    case CLAIM_OPEN:
        return "open";
    case CLAIM_CLOSING:
        return "closing";
    case CLAIM_QUARANTINED:
        return "quarantined";
    }
    return "?";
}

/* The list of one allocation's holdings, in place. */
static bool info_holdings(broker *b, Granary__AllocationInfo *m, allocation_id id)
{
    holding_view h;
    uint32_t cursor = 0;
    size_t n = 0;
    while (view_holding(b->driver.core, id, &cursor, &h))
        n++;
    m->holdings = scratch_take(&b->scratch, (n + 1) * sizeof *m->holdings);
    cursor = 0;
    while (m->holdings && m->n_holdings < n && view_holding(b->driver.core, id, &cursor, &h)) {
        Granary__HoldingInfo *i = scratch_take(&b->scratch, sizeof *i);
        if (!i)
            return false;
        granary__holding_info__init(i);
        i->host = h.host.v;
        i->chunks = h.held;
        i->returning = h.returning;
        i->claimed = h.claimed;
        m->holdings[m->n_holdings++] = i;
    }
    return m->holdings != NULL;
}

Granary__AllocationInfo *info_allocation(broker *b, const allocation_view *v)
{
    INFO_NEW(b, Granary__AllocationInfo, granary__allocation_info__init, m);
    ms_t now = driver_now();
    m->id = v->id.v;
    m->label = text(b, v->terms->label);
    m->uid = v->user.v;
    m->pid = v->pid;
    m->chunk_size = v->terms->chunk_size;
    m->min = v->terms->min;
    m->want = v->want;
    m->chunks = v->chunks;
    m->flags = v->terms->flags;
    m->state = text(b, allocation_state_name(v->state));
    m->age_ms = now > v->since ? now - v->since : 0;
    m->version = v->version;
    m->priority = v->terms->priority;
    return info_holdings(b, m, v->id) ? m : NULL;
}

Granary__WaiterInfo *info_waiter(broker *b, const waiter_view *v)
{
    INFO_NEW(b, Granary__WaiterInfo, granary__waiter_info__init, m);
    m->allocation = info_allocation(b, &v->allocation);
    m->place = v->place;
    m->waiting_ms = v->waiting_ms;
    m->reason = text(b, wait_reason_text(v->reason));
    m->missing = v->missing;
    m->expected_known = v->expected_ms != MS_NEVER;
    m->expected_ms = m->expected_known ? v->expected_ms : 0;
    return m->allocation ? m : NULL;
}

/* One that only waits for its processes, because its allocation has no owner any more (terms STAY), is open to people.
 */
static claim_state claim_state_shown(const broker *b, const claim_view *v)
{
    allocation_view a;
    bool stays = view_allocation_by_id(b->driver.core, v->allocation, &a) == 0 && a.state == ALLOCATION_LIVE &&
                 a.owner.v == 0 && (a.terms->flags & TERM_STAY);
    return stays && v->state == CLAIM_CLOSING ? CLAIM_OPEN : v->state;
}

Granary__ClaimInfo *info_claim(broker *b, const claim_view *v)
{
    INFO_NEW(b, Granary__ClaimInfo, granary__claim_info__init, m);
    m->id = v->gen.v;
    m->allocation = v->allocation.v;
    m->host = v->host.v;
    m->chunks = v->chunks;
    m->used = v->used;
    m->peak = v->peak;
    m->command = text(b, v->command);
    m->state = text(b, claim_state_name(claim_state_shown(b, v)));
    m->n_pids = link_pids(&b->link, v->gen, &m->pids);
    return m;
}

Granary__RecallInfo *info_recall(broker *b, const recall_view *v)
{
    INFO_NEW(b, Granary__RecallInfo, granary__recall_info__init, m);
    const record_recall *r = &v->record;
    ms_t now = driver_now();
    m->id = r->id.v;
    m->allocation = r->allocation.v;
    m->beneficiary = r->beneficiary.v;
    m->reason = text(b, recall_reason_name(r->reason));
    m->asked = r->asked;
    m->released = r->released;
    m->withdrawn = r->withdrawn;
    m->revoked = r->revoked;
    m->deadline_ms = r->deadline != MS_NEVER && r->deadline > now ? r->deadline - now : 0;
    m->overdue = r->overdue;
    m->offered = v->offered;
    m->preferred = v->preferred;
    m->any_host = r->host.v == HOST_NONE.v;
    m->host = m->any_host ? 0 : r->host.v;
    return m;
}

char *info_broker(broker *b)
{
    char line[PATH_MAX + 64];
    /* granaryd's pid: the one that a person who wants to end it needs. This process would be started again. */
    snprintf(line, sizeof line, "pid %d, state %s", (int)getppid(), b->options->state);
    return text(b, line);
}
