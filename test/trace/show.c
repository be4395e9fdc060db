/* show.c - see show.h. */
#include "show.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"

static const char *const cause_names[] = {"exit", "oom", "killed"};
static const char *const allocation_states[] = {"none", "waiting", "live", "ending"};
static const char *const claim_states[] = {"none", "opening", "open", "closing", "quarantined"};
static const char *const push_names[] = {"none",   "changed",  "ended",       "ask",       "recall",
                                         "prefer", "withdraw", "claim_ended", "claim_over"};
static const char *const order_names[] = {"none",  "welcome", "expect", "ready", "open",
                                          "enter", "limit",   "empty",  "end",   "close"};
static const char *const note_names[] = {
    "none",          "host_up",        "host_suspect", "host_lost",     "host_rebooted",    "host_draining",
    "host_drained",  "host_undrained", "overdraft",    "granted",       "queued",           "refused",
    "grew",          "ended",          "timed_out",    "held",          "recall",           "offered",
    "preferred",     "given",          "withdrawn",    "overdue",       "recall_done",      "revoked",
    "claimed",       "claim_ended",    "quarantined",  "unquarantined", "session_detached", "session_lost",
    "limit_reached", "claim_over",
};
_Static_assert(sizeof note_names / sizeof *note_names == NOTE_KINDS, "every note has a name");

char *show_span(ms_t span, char *to, size_t size)
{
    if (span == MS_NEVER)
        snprintf(to, size, "never");
    else if (span % 1000 == 0)
        snprintf(to, size, "%" PRIu64 "s", span / 1000);
    else
        snprintf(to, size, "%" PRIu64 "ms", span);
    return to;
}

static const char *span_text(ms_t span)
{
    static char text[4][24];
    static unsigned turn;
    turn = (turn + 1) % 4;
    return show_span(span, text[turn], sizeof text[turn]);
}

static const char *size_text(bytes_t size)
{
    static char text[16][SIZE_TEXT_MAX];
    static unsigned turn;
    turn = (turn + 1) % 16;
    return size_format(size, text[turn]);
}

/* A deadline as the time that is left. */
static const char *left_text(const world *w, ms_t deadline)
{
    return span_text(deadline == MS_NEVER ? MS_NEVER : deadline > w->now ? deadline - w->now : 0);
}

static void field(world *w, const char *label, const char *value)
{
    fprintf(w->out, " %s %s", label, value);
}

static void number_field(world *w, const char *label, uint64_t n)
{
    if (n != 0)
        fprintf(w->out, " %s %" PRIu64, label, n);
}

static void size_field(world *w, const char *label, bytes_t n)
{
    if (n != 0)
        field(w, label, size_text(n));
}

static void id_field(world *w, char letter, uint64_t id)
{
    if (id != 0)
        fprintf(w->out, " %c%" PRIu64, letter, id);
}

/* As the daemon adds it to every reply and push about an allocation. */
static void show_set(world *w, allocation_id id)
{
    allocation_view a;
    holding_view h;
    uint32_t cursor = 0;
    bool first = true;
    if (id.v == 0)
        return;
    fprintf(w->out, " %s", world_allocation_name(w, id));
    if (view_allocation_by_id(w->core, id, &a) < 0)
        return;
    fprintf(w->out, " v%" PRIu64 " {", a.version);
    while (view_holding(w->core, id, &cursor, &h))
        if (h.held > 0) {
            fprintf(w->out, "%s%s:%u", first ? "" : " ", world_host_name(w, h.host), h.held);
            first = false;
        }
    fputc('}', w->out);
}

static void show_reply(world *w, const effect_reply *r)
{
    fprintf(w->out, "  reply %s", world_session_name(w, r->session));
    if (r->number.v)
        fprintf(w->out, " #%" PRIu64, r->number.v);
    fprintf(w->out, " %s", status_name(r->status));
    show_set(w, r->allocation);
    id_field(w, 'g', r->claim.v);
    id_field(w, 'r', r->recall.v);
    number_field(w, "chunks", r->chunks);
    size_field(w, "most", r->most);
    if (r->expected_ms && r->expected_ms != MS_NEVER)
        field(w, "expected", span_text(r->expected_ms));
    if (r->cause)
        field(w, "cause", cause_names[r->cause]);
    size_field(w, "peak", r->peak);
    for (uint32_t i = 0; i < r->n_extents; i++)
        fprintf(w->out, "%s%s:%u", i ? " " : " at ", world_host_name(w, r->extents[i].host), r->extents[i].chunks);
    for (uint32_t i = 0; i < r->n_asks; i++)
        fprintf(w->out, "%s%u of %s on %s in %s", i ? ", " : " would ask ", r->asks[i].chunks,
                world_allocation_name(w, r->asks[i].allocation), world_host_name(w, r->asks[i].host),
                span_text(r->asks[i].expected_ms));
    fputs(r->link ? "\n" : " (detached)\n", w->out);
}

static void show_push(world *w, const effect_push *p)
{
    fprintf(w->out, "  push %s %s", world_session_name(w, p->session), push_names[p->kind]);
    id_field(w, 'r', p->recall.v);
    if (p->kind == PUSH_CHANGED || p->kind == PUSH_ENDED)
        show_set(w, p->allocation);
    else
        fprintf(w->out, " %s", world_allocation_name(w, p->allocation));
    if (p->kind == PUSH_ENDED)
        field(w, "status", status_name(p->status));
    size_field(w, "most", p->most);
    if (p->kind == PUSH_RECALL || p->kind == PUSH_ASK) {
        fprintf(w->out, " %u on %s", p->count, p->host.v == HOST_NONE.v ? "any" : world_host_name(w, p->host));
        if (p->kind == PUSH_RECALL)
            fprintf(w->out, " for %s within %s", recall_reason_name(p->reason), left_text(w, p->deadline));
    }
    if (p->kind == PUSH_PREFER)
        fprintf(w->out, " %s:%u%s", world_host_name(w, p->preferred.host), p->preferred.chunks, p->last ? "" : " ...");
    if (p->kind == PUSH_CLAIM_ENDED) {
        id_field(w, 'g', p->claim.v);
        field(w, "cause", cause_names[p->cause]);
        size_field(w, "peak", p->peak);
    }
    if (p->kind == PUSH_CLAIM_OVER) {
        id_field(w, 'g', p->claim.v);
        size_field(w, "used", p->peak);
        size_field(w, "of", p->bytes);
    }
    fputs(p->link ? "\n" : " (detached)\n", w->out);
}

static void show_order(world *w, const effect_order *o)
{
    fprintf(w->out, "  order %s %s", world_host_name(w, o->host), order_names[o->kind]);
    id_field(w, 'g', o->gen.v);
    size_field(w, "bytes", o->bytes);
    size_field(w, "chunk", o->chunk_size);
    if (o->kind == ORDER_OPEN || o->kind == ORDER_ENTER || o->kind == ORDER_EXPECT)
        fprintf(w->out, " uid %u", o->user.v);
    number_field(w, "handle", o->handle);
    bool running = o->running && (o->kind == ORDER_OPEN || o->kind == ORDER_ENTER);
    fprintf(w->out, "%s%s%s%s%s\n", o->by_operator ? " by_operator" : "", running ? " running" : "",
            o->fresh ? " fresh" : "", o->kill ? " kill" : "", o->ending ? " ending" : "");
}

static void show_note(world *w, const effect_note *n)
{
    bool about_host = n->kind <= NOTE_OVERDRAFT;
    fprintf(w->out, "  note %s", note_names[n->kind]);
    if (n->host.v != HOST_NONE.v && (about_host || n->host.v != 0 || n->kind == NOTE_HELD))
        fprintf(w->out, " %s", world_host_name(w, n->host));
    if (n->allocation.v)
        fprintf(w->out, " %s", world_allocation_name(w, n->allocation));
    if (n->beneficiary.v)
        field(w, "for", world_allocation_name(w, n->beneficiary));
    id_field(w, 'r', n->recall.v);
    id_field(w, 'g', n->claim.v);
    number_field(w, "chunks", n->chunks);
    number_field(w, "amount", n->amount);
    if (n->status)
        field(w, "status", status_name(n->status));
    fputc('\n', w->out);
}

static void show_terms(world *w, const allocation_terms *t)
{
    fprintf(w->out, " %u x %s min %u flags %#x notice %s", t->want, size_text(t->chunk_size), t->min, t->flags,
            span_text(t->notice_ms));
}

static void show_record_body(world *w, const core_record *r)
{
    FILE *out = w->out;
    switch (r->kind) {
    case RECORD_COUNTERS:
        fprintf(out,
                "counters allocation %" PRIu64 " session %" PRIu64 " recall %" PRIu64 " generation %" PRIu64
                " host %" PRIu64,
                r->counters.allocation, r->counters.session, r->counters.recall, r->counters.generation,
                r->counters.host);
        break;
    case RECORD_HOST:
        fprintf(out, "host %s total %s boot %s%s", r->host.name, size_text(r->host.total), r->host.boot_id,
                r->host.draining ? " draining" : "");
        break;
    case RECORD_SESSION:
        fprintf(out, "session %s uid %u pid %d %s grace %s acked %" PRIu64, world_session_name(w, r->session.id),
                r->session.user.v, r->session.pid, r->session.state == SESSION_ATTACHED ? "attached" : "detached",
                left_text(w, r->session.grace_until), r->session.acked.v);
        break;
    case RECORD_SESSION_END:
        fprintf(out, "session_end %s", world_session_name(w, r->session_end));
        break;
    case RECORD_ALLOCATION:
        fprintf(out, "allocation %s owner %s uid %u", world_allocation_name(w, r->allocation.id),
                world_session_name(w, r->allocation.owner), r->allocation.user.v);
        show_terms(w, &r->allocation.terms);
        break;
    case RECORD_ALLOCATION_STATE:
        fprintf(out, "allocation_state %s %s v%" PRIu64 " want %u", world_allocation_name(w, r->allocation_state.id),
                allocation_states[r->allocation_state.state], r->allocation_state.version, r->allocation_state.want);
        if (r->allocation_state.wait_until != MS_NEVER)
            field(w, "wait", left_text(w, r->allocation_state.wait_until));
        if (r->allocation_state.no_growth_for.v)
            field(w, "no_growth_for", world_allocation_name(w, r->allocation_state.no_growth_for));
        break;
    case RECORD_ALLOCATION_END:
        fprintf(out, "allocation_end %s", world_allocation_name(w, r->allocation_end));
        break;
    case RECORD_HOLDING:
        fprintf(out, "holding %s@%s held %u returning %u", world_allocation_name(w, r->holding.allocation),
                world_host_name(w, r->holding.host), r->holding.held, r->holding.returning);
        if (r->holding.returning_until != MS_NEVER)
            field(w, "until", left_text(w, r->holding.returning_until));
        break;
    case RECORD_CLAIM:
        fprintf(out, "claim g%" PRIu64 " %s@%s %u %s", r->claim.gen.v, world_allocation_name(w, r->claim.allocation),
                world_host_name(w, r->claim.host), r->claim.chunks, claim_states[r->claim.state]);
        if (r->claim.closing_until != MS_NEVER)
            field(w, "until", left_text(w, r->claim.closing_until));
        break;
    case RECORD_CLAIM_END:
        fprintf(out, "claim_end g%" PRIu64, r->claim_end.v);
        break;
    case RECORD_RECALL:
        fprintf(out, "recall r%" PRIu64 " %s for %s asked %u released %u withdrawn %u revoked %u%s", r->recall.id.v,
                world_allocation_name(w, r->recall.allocation), recall_reason_name(r->recall.reason), r->recall.asked,
                r->recall.released, r->recall.withdrawn, r->recall.revoked, r->recall.overdue ? " overdue" : "");
        break;
    case RECORD_RECALL_END:
        fprintf(out, "recall_end r%" PRIu64, r->recall_end.v);
        break;
    case RECORD_ANSWER:
        fprintf(out, "answer %s #%" PRIu64 " %s", world_session_name(w, r->answer.session), r->answer.number.v,
                status_name(r->answer.status));
        break;
    default:
        fprintf(out, "unknown %d", (int)r->kind);
    }
}

void show_record(world *w, const core_record *record)
{
    fputs("  record ", w->out);
    show_record_body(w, record);
    fputc('\n', w->out);
}

void show_effect(world *w, const core_effect *effect)
{
    switch (effect->kind) {
    case EFFECT_RECORD:
        show_record(w, &effect->record);
        return;
    case EFFECT_REPLY:
        show_reply(w, &effect->reply);
        return;
    case EFFECT_PUSH:
        show_push(w, &effect->push);
        return;
    case EFFECT_ORDER:
        show_order(w, &effect->order);
        return;
    case EFFECT_NOTE:
        show_note(w, &effect->note);
        return;
    }
    fprintf(w->out, "  unknown effect %d\n", (int)effect->kind);
}

static void show_hosts(world *w)
{
    uint32_t cursor = 0;
    host_view h;
    while (view_host(w->core, &cursor, &h)) {
        fprintf(w->out, "  host %s %s total %s aside %s free %s", h.name, host_view_state_name(h.state),
                size_text(h.total), size_text(h.set_aside), size_text(h.free));
        size_field(w, "foreign", h.foreign);
        size_field(w, "granted", h.granted);
        size_field(w, "returning", h.returning);
        size_field(w, "held", h.held);
        size_field(w, "quarantine", h.quarantine);
        size_field(w, "overdraft", h.overdraft);
        stranded_reason reason;
        bytes_t stranded = view_stranded(w->core, h.id, &reason);
        if (stranded)
            fprintf(w->out, " stranded %s (%s)", size_text(stranded), stranded_reason_name(reason));
        fputc('\n', w->out);
    }
}

static void show_allocations(world *w)
{
    uint32_t cursor = 0;
    allocation_view a;
    while (view_allocation(w->core, &cursor, &a)) {
        uint32_t inner = 0;
        holding_view h;
        fprintf(w->out, "  allocation %s %s owner %s want %u has %u", world_allocation_name(w, a.id),
                allocation_states[a.state], world_session_name(w, a.owner), a.want, a.chunks);
        number_field(w, "recalled", a.recalled);
        while (view_holding(w->core, a.id, &inner, &h)) {
            fprintf(w->out, " | %s held %u", world_host_name(w, h.host), h.held);
            number_field(w, "returning", h.returning);
            number_field(w, "claimed", h.claimed);
        }
        fputc('\n', w->out);
    }
}

void show_books(world *w)
{
    uint32_t cursor = 0;
    claim_view claim;
    waiter_view waiter;
    recall_view recall;
    show_hosts(w);
    show_allocations(w);
    while (view_claim(w->core, &cursor, &claim)) {
        fprintf(w->out, "  claim g%" PRIu64 " %s@%s chunks %u %s", claim.gen.v,
                world_allocation_name(w, claim.allocation), world_host_name(w, claim.host), claim.chunks,
                claim_states[claim.state]);
        size_field(w, "used", claim.used);
        size_field(w, "peak", claim.peak);
        fputc('\n', w->out);
    }
    for (cursor = 0; view_waiter(w->core, w->now, &cursor, &waiter);) {
        fprintf(w->out, "  queue %u %s waits %s: %s", waiter.place, world_allocation_name(w, waiter.allocation.id),
                span_text(waiter.waiting_ms), wait_reason_text(waiter.reason));
        size_field(w, "missing", waiter.missing);
        field(w, "expected", span_text(waiter.expected_ms));
        fputc('\n', w->out);
    }
    for (cursor = 0; view_recall(w->core, &cursor, &recall);) {
        const record_recall *r = &recall.record;
        fprintf(w->out, "  recall r%" PRIu64 " %s for %s", r->id.v, world_allocation_name(w, r->allocation),
                recall_reason_name(r->reason));
        if (r->beneficiary.v)
            fprintf(w->out, " of %s", world_allocation_name(w, r->beneficiary));
        fprintf(w->out, ": asked %u released %u withdrawn %u revoked %u%s", r->asked, r->released, r->withdrawn,
                r->revoked, r->overdue ? " overdue" : "");
        number_field(w, "offered", recall.offered);
        number_field(w, "preferred", recall.preferred);
        fputc('\n', w->out);
    }
}
