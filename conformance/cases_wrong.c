/* cases_wrong.c - what a newer, confused or hostile broker might send. */
#include "cases.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

/* Field 1000, a varint: nobody knows it. */
static const uint8_t unknown_field[] = {0xc0, 0x3e, 0x05};

static void send_bytes(stage *s, uint16_t type, const ProtobufCMessage *m, const uint8_t *more, size_t n_more)
{
    size_t n;
    uint8_t *bytes = wire_pack(type, ++s->wire.pushes, m, more, n_more, &n);
    if (bytes)
        wire_write(&s->wire, bytes, n);
    free(bytes);
}

static void unknown_fields(stage *s)
{
    BEGIN(s);
    Granary__Recall m = GRANARY__RECALL__INIT;
    told_state t;
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 0);
    m.recall = x->id;
    m.allocation = ALLOCATION;
    m.count = 1;
    m.any_host = true;
    m.notice_ms = NOTICE;
    x->told++;
    send_bytes(s, TYPE(RECALL), &m.base, unknown_field, sizeof unknown_field);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_UNKNOWN, "a recall with a field that it does not know was not answered");
    s->books.held[0] += 1;
    s->books.version++;
    told_state_fill(&t, &s->books);
    send_bytes(s, TYPE(CHANGED), &t.state.base, unknown_field, sizeof unknown_field);
    SOON(s, stage_running(s) == 2, RULE_UNKNOWN, "a grow with a field that it does not know was not used");
    QUIET(s);
}

/* After a frame that no broker sends: skipped, or the connection is closed. Whoever closes may attach again, or end. */
static void after_refusal(stage *s)
{
    s->end = END_EITHER;
    s->broke = true;
    QUIET(s);
    if (s->subject.ended || s->wire.fd < 0)
        return;
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1); /* it skipped the frame: it must be in step */
    QUIET(s);
    stage_end_task(s, 0);
    if (s->wire.fd >= 0)
        SOON(s, x->released == 1 || s->wire.fd < 0 || s->subject.ended, RULE_REFUSE,
             "it neither closed the connection nor understood the next frame");
}

static void unknown_type(stage *s)
{
    BEGIN(s);
    Granary__Withdraw m = GRANARY__WITHDRAW__INIT;
    m.recall = 1;
    send_bytes(s, 120, &m.base, NULL, 0);
    after_refusal(s);
}

static void not_for_clients(stage *s)
{
    BEGIN(s);
    Granary__AgentClaim m = GRANARY__AGENT_CLAIM__INIT;
    m.claim = 1;
    m.kill = true;
    send_bytes(s, TYPE(AGENT_END), &m.base, NULL, 0);
    after_refusal(s);
}

static void too_long(stage *s)
{
    BEGIN(s);
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header h = {.length = 0xfffffff0u, .type = TYPE(RECALL), .number = ++s->wire.pushes};
    frame_header_encode(&h, bytes);
    wire_write(&s->wire, bytes, sizeof bytes);
    s->end = END_EITHER;
    s->broke = true;
    uint64_t serial = s->wire.serial;
    SOON(s, s->subject.ended || s->wire.fd < 0 || s->wire.serial != serial, RULE_REFUSE,
         "a header announced a body of 4 GiB, and it waits for it");
    if (s->wire.serial == serial && s->wire.fd >= 0)
        stage_break(s); /* nothing can be told on this stream any more */
}

static void torn_body(stage *s)
{
    BEGIN(s);
    static const uint8_t body[] = {0x08, 0xff, 0xff}; /* a varint without its end */
    uint8_t bytes[FRAME_HEADER_BYTES + sizeof body];
    frame_header h = {.length = sizeof body, .type = TYPE(RECALL), .number = ++s->wire.pushes};
    frame_header_encode(&h, bytes);
    memcpy(bytes + FRAME_HEADER_BYTES, body, sizeof body);
    wire_write(&s->wire, bytes, sizeof bytes);
    after_refusal(s);
}

static void unknown_names(stage *s)
{
    BEGIN(s);
    Granary__Recall r = GRANARY__RECALL__INIT;
    Granary__Withdraw w = GRANARY__WITHDRAW__INIT;
    Granary__Prefer p = GRANARY__PREFER__INIT;
    Granary__ClaimOver o = GRANARY__CLAIM_OVER__INIT;
    Granary__ClaimEnded e = GRANARY__CLAIM_ENDED__INIT;
    r.recall = w.recall = p.recall = 9000;
    r.allocation = w.allocation = p.allocation = o.allocation = e.allocation = 4711;
    r.count = 2;
    r.any_host = true;
    r.notice_ms = NOTICE;
    o.claim = e.claim = 4712;
    stage_push(s, TYPE(RECALL), &r.base);
    stage_push(s, TYPE(PREFER), &p.base);
    stage_push(s, TYPE(WITHDRAW), &w.base);
    stage_push(s, TYPE(CLAIM_OVER), &o.base);
    stage_push(s, TYPE(CLAIM_ENDED), &e.base);
    stage_ask(s, 4711, 1);
    w.allocation = ALLOCATION;
    p.allocation = ALLOCATION;
    stage_push(s, TYPE(WITHDRAW), &w.base);
    stage_push(s, TYPE(PREFER), &p.base);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
    UNTIL(s, stage_running(s) == 2, "go on when messages named what it does not know");
}

static void closes(stage *s)
{
    BEGIN(s);
    Granary__Error e = GRANARY__ERROR__INIT;
    e.status = STATUS_LOST;
    e.text = (char[]){"the broker is about to restart"};
    wire_send(&s->wire, TYPE(ERROR), 0, &e.base);
    stage_break(s);
    if (!stage_reattach(s))
        return;
    stage_end_task(s, 0);
    QUIET(s);
}

static const script scripts[] = {
    {"unknown-fields", "sends fields that the client does not know", unknown_fields, {1, 2, 6, {2}}, END_DONE},
    {"unknown-type", "sends a frame of an unknown type", unknown_type, {1, 2, 6, {2}}, END_EITHER},
    {"unknown-names",
     "names allocations, claims and recalls that there are not",
     unknown_names,
     {1, 2, 6, {2}},
     END_DONE},
    {"not-for-clients", "sends what only an agent gets", not_for_clients, {1, 2, 6, {2}}, END_EITHER},
    {"too-long", "announces a body of 4 GiB", too_long, {1, 2, 6, {2}}, END_EITHER},
    {"torn-body", "sends a body that cannot be read", torn_body, {1, 2, 6, {2}}, END_EITHER},
    {"error-and-close", "says an Error, and closes the connection", closes, {1, 2, 6, {2}}, END_EITHER},
};

const script_list wrong_scripts = {scripts, sizeof scripts / sizeof *scripts};
