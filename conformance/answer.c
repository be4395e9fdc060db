/* answer.c - every frame that comes: may it come, hello and welcome, queries, goodbye, and requests by their numbers.
 */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static char here[] = LOCAL_HOST, nothing[] = "", broker_name[] = "granary-conformance", broker_id[] = "c0",
            label[] = LABEL, up[] = "up", enforcement[] = "watch", live[] = "live", waiting[] = "waiting",
            why_error[] = "the kit says so", there[] = "there", yonder[] = "yonder", recall_reason[] = "waiter";

/* ---- what may come ---- */

static void judge_refused(stage *s, const frame_header *h)
{
    const char *why = "";
    uint16_t plain = h->flags & (uint16_t)~FRAME_HAS_FD;
    frame_header without = *h;
    without.flags = 0;
    without.length = 0;
    if (frame_admit(PEER_CLIENT, &without, &why) != 0)
        report_broken(&s->report, RULE_MAY_SEND, "type %u (%s): %s", h->type, frame_type_name(h->type), why);
    else if (plain != 0 || h->length > FRAME_BODY_MAX)
        report_broken(&s->report, RULE_FRAME_BOUNDS, "%s with flags %#x and %u bytes", frame_type_name(h->type),
                      h->flags, h->length);
    else
        report_broken(&s->report, RULE_DESCRIPTOR, "a descriptor rides with %s", frame_type_name(h->type));
}

/* False: the frame is not looked at any further. */
static bool admit(stage *s, const wire_frame *f)
{
    const frame_header *h = &f->header;
    const char *why;
    if (s->said_goodbye && s->greeted) {
        report_broken(&s->report, RULE_AFTER_GOODBYE, "%s after GOODBYE", frame_type_name(h->type));
        return false;
    }
    if (!s->greeted && h->type != TYPE(HELLO)) {
        report_broken(&s->report, RULE_HELLO_FIRST, "the first frame is %s", frame_type_name(h->type));
        return false;
    }
    if (!s->greeted && (h->length > FRAME_BODY_MAX_HELLO || h->flags != 0)) {
        report_broken(&s->report, RULE_FRAME_BOUNDS, "HELLO has %u bytes and flags %#x", h->length, h->flags);
        return false;
    }
    if (s->greeted && !s->welcomed) {
        report_broken(&s->report, RULE_BEFORE_WELCOME, "%s came before WELCOME was sent", frame_type_name(h->type));
        return false;
    }
    if (s->greeted && frame_admit(PEER_CLIENT, h, &why) != 0) {
        judge_refused(s, h);
        return false;
    }
    if ((h->flags & FRAME_HAS_FD) && f->fd < 0) {
        report_broken(&s->report, RULE_DESCRIPTOR, "%s says that a descriptor rides along, and none does",
                      frame_type_name(h->type));
        return false;
    }
    return true;
}

static bool has_unknown(const ProtobufCMessage *m)
{
    return m->n_unknown_fields > 0;
}

static ProtobufCMessage *unpack(stage *s, const wire_frame *f, const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, f->header.length, f->body);
    if (!m || has_unknown(m))
        report_broken(&s->report, RULE_BODY, "%s: %s", frame_type_name(f->header.type),
                      m ? "fields that the message does not have" : "its body cannot be read");
    return m;
}

/* ---- hello ---- */

static void fill_host(Granary__HostInfo *h, uint32_t id)
{
    granary__host_info__init(h);
    h->id = id;
    h->name = id == 0 ? here : id == 1 ? there : yonder;
    h->state = up;
    h->enforcement = enforcement;
    h->enforcement_reason = nothing;
    h->stranded_reason = h->labels = nothing;
    h->cores = 8;
    h->total = h->free = 1u << 30;
}

static void fill_recall(Granary__RecallInfo *i, const recall *x)
{
    granary__recall_info__init(i);
    i->id = x->id;
    i->allocation = ALLOCATION;
    i->reason = recall_reason;
    i->asked = x->count;
    i->released = x->released + x->counted;
    i->withdrawn = x->withdrawn;
    i->deadline_ms = x->overdue ? 0 : 60000;
    i->overdue = x->overdue;
    i->any_host = x->host == ANY_HOST;
    i->host = i->any_host ? 0 : x->host;
}

static void add_leases(stage *s, Granary__Welcome *w)
{
    static Granary__RecallInfo recalls[RECALLS_MAX], *recall_pointers[RECALLS_MAX];
    static Granary__ClaimInfo claims[CLAIMS_MAX], *claim_pointers[CLAIMS_MAX];
    books *b = &s->books;
    for (uint32_t i = 0; i < b->n_recalls; i++) {
        recall *x = &b->recalls[i];
        x->late_told |= x->over; /* it is not listed: it is over */
        if (recall_open(x) == 0)
            continue;
        x->told++;
        fill_recall(&recalls[w->n_recalls], x);
        recall_pointers[w->n_recalls] = &recalls[w->n_recalls];
        w->n_recalls++;
    }
    for (uint32_t i = 0; i < b->n_claims; i++) {
        if (!b->claims[i].open)
            continue;
        Granary__ClaimInfo *c = &claims[w->n_claims];
        granary__claim_info__init(c);
        c->id = b->claims[i].id;
        c->allocation = ALLOCATION;
        c->host = b->claims[i].host;
        c->chunks = b->claims[i].chunks;
        c->command = c->state = nothing;
        claim_pointers[w->n_claims++] = c;
    }
    w->recalls = recall_pointers;
    w->claims = claim_pointers;
}

void stage_welcome(stage *s)
{
    Granary__Welcome w = GRANARY__WELCOME__INIT;
    Granary__HostInfo host, *hosts[] = {&host};
    told_state t;
    Granary__AllocationState *states[] = {&t.state};
    s->hold_welcome = false;
    if (!s->greeted || s->welcomed)
        return;
    bool again = s->pending_hello_session != 0 && s->pending_hello_session == s->session.id && !s->forget;
    if (!again) {
        uint64_t moment = s->books.now;
        uint32_t to_start = s->books.to_start;
        session_open(&s->session, s->session.id + 41);
        s->books = (books){.min = s->setup.min,
                           .now = moment,
                           .to_start = to_start,
                           .ended_known = NEVER_KNOWN,
                           .next_recall = s->books.next_recall,
                           .next_claim = s->books.next_claim};
    }
    w.version = PROTOCOL_VERSION;
    w.session = s->session.id;
    w.token.data = s->session.token;
    w.token.len = sizeof s->session.token;
    w.reattached = again;
    fill_host(&host, 0);
    w.hosts = hosts;
    w.n_hosts = 1;
    w.broker = broker_name;
    w.local_host = here;
    w.broker_id = broker_id;
    if (again) {
        w.acked = session_effects(&s->session);
        add_leases(s, &w);
        told_state_fill(&t, &s->books);
        s->books.told = s->books.version;
        w.allocations = states;
        w.n_allocations =
            s->books.state == BOOKS_WAITING || s->books.state == BOOKS_LIVE || s->books.state == BOOKS_ENDING;
        if (s->books.state == BOOKS_GONE)
            s->books.ended_told = true;
    }
    wire_send(&s->wire, TYPE(WELCOME), 0, &w.base);
    s->welcomed = true;
    s->said_goodbye = false;
}

static void on_hello(stage *s, const wire_frame *f)
{
    Granary__Hello *m = (Granary__Hello *)unpack(s, f, &granary__hello__descriptor);
    s->greeted = true;
    s->hellos++;
    if (!m)
        return;
    if (m->version != PROTOCOL_VERSION)
        report_broken(&s->report, RULE_HELLO_VERSION, "HELLO names version %u", m->version);
    bool token = m->token.len == sizeof s->session.token && memcmp(m->token.data, s->session.token, m->token.len) == 0;
    if (m->session != 0 && (m->session != s->session.id || !token))
        report_broken(&s->report, RULE_REATTACH_TOKEN, "HELLO names session %llu with %s token; it was given %llu",
                      (unsigned long long)m->session, token ? "its" : "another", (unsigned long long)s->session.id);
    else if (m->session == 0 && s->session.open && s->broke && !s->said_goodbye && !s->forget &&
             s->books.state != BOOKS_NONE && s->books.state != BOOKS_GONE)
        report_broken(&s->report, RULE_REATTACH, "it opens a new session, and its old one holds %u chunks",
                      books_held(&s->books));
    s->reattaches |= m->session != 0;
    s->pending_hello_session = m->session;
    granary__hello__free_unpacked(m, NULL);
    if (s->error_status != 0) {
        Granary__Error e = GRANARY__ERROR__INIT;
        e.status = s->error_status;
        e.text = why_error;
        wire_send(&s->wire, TYPE(ERROR), 0, &e.base);
        s->broke = true;
        wire_break(&s->wire);
        s->greeted = false;
        return;
    }
    if (!s->hold_welcome)
        stage_welcome(s);
}

/* ---- reading the books ---- */

static void on_query(stage *s, const wire_frame *f)
{
    Granary__Query *m = (Granary__Query *)unpack(s, f, &granary__query__descriptor);
    Granary__QueryReply q = GRANARY__QUERY_REPLY__INIT;
    Granary__HostInfo host[HOSTS], *hosts[HOSTS];
    Granary__AllocationInfo a = GRANARY__ALLOCATION_INFO__INIT, *all[] = {&a};
    Granary__WaiterInfo w = GRANARY__WAITER_INFO__INIT, *queue[] = {&w};
    const books *b = &s->books;
    for (uint32_t h = 0; h < HOSTS; h++) {
        fill_host(&host[h], h);
        hosts[h] = &host[h];
    }
    q.hosts = hosts;
    q.n_hosts = HOSTS;
    a.id = ALLOCATION;
    a.label = label;
    a.chunk_size = CHUNK;
    a.min = b->min;
    a.want = b->want;
    a.chunks = books_held(b);
    a.version = b->version;
    a.state = b->state == BOOKS_WAITING ? waiting : live;
    q.allocations = all;
    q.n_allocations = b->state == BOOKS_LIVE;
    w.allocation = &a;
    w.place = 1;
    w.reason = why_error;
    q.queue = queue;
    q.n_queue = b->state == BOOKS_WAITING;
    q.broker = broker_name;
    q.broker_id = broker_id;
    q.sessions = 1;
    wire_send(&s->wire, TYPE(QUERY_REPLY), f->header.number, &q.base);
    if (m)
        granary__query__free_unpacked(m, NULL);
}

/* ---- requests ---- */

static void on_request(stage *s, const wire_frame *f)
{
    bool again;
    const ProtobufCMessageDescriptor *d = request_descriptor(f->header.type);
    ProtobufCMessage *m = d ? unpack(s, f, d) : NULL;
    request *q = m ? session_take(&s->session, f, s->wire.serial, &s->report, &again) : NULL;
    if (q && (s->lose & (1u << q->type)))
        s->lost_on = s->wire.serial; /* what came behind it cannot have been heard either */
    if (s->lost_on == s->wire.serial) {
        q = NULL;
    } else if (q && again && q->answer) {
        if (!(s->withhold & (1u << q->type)))
            stage_send_answer(s, q);
    } else if (q && !q->deferred) {
        stage_carry_out(s, q, m, f->fd);
    }
    if (m)
        protobuf_c_message_free_unpacked(m, NULL);
}

void stage_answer(stage *s, request *q, Granary__Reply *reply)
{
    told_state t;
    if (s->books.state != BOOKS_NONE && q->type != TYPE(OFFER)) {
        told_state_fill(&t, &s->books);
        reply->allocation = &t.state;
    }
    q->answer_length = granary__reply__get_packed_size(reply);
    q->answer = malloc(q->answer_length + 1);
    if (!q->answer)
        return;
    granary__reply__pack(reply, q->answer);
    q->deferred = false;
    if (!(s->withhold & (1u << q->type)) && s->welcomed && q->arrived_on == s->wire.serial)
        stage_send_answer(s, q);
}

void stage_handle(stage *s, const wire_frame *f)
{
    if (!admit(s, f))
        return;
    switch (f->header.type) {
    case GRANARY__MESSAGE_TYPE__TYPE_HELLO:
        on_hello(s, f);
        return;
    case GRANARY__MESSAGE_TYPE__TYPE_QUERY:
        on_query(s, f);
        return;
    case GRANARY__MESSAGE_TYPE__TYPE_GOODBYE:
        s->said_goodbye = true;
        s->session.open = false;
        return;
    default:
        on_request(s, f);
    }
}
