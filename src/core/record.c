/*
 * record.c - records to and from bytes.
 *
 * A record is u16 length of what follows, u8 kind, then its fields in the order below. A number is its value + 1 (so
 * that "never" and "none", all bits set, become 0) in groups of seven bits, low ones first, the top bit set in all but
 * the last byte, in as few bytes as can be: most are one or two, and the journal is a third of what it would be.
 * Choices are one byte; a text is one byte of length and its bytes. One list of fields serves both directions, so that
 * they cannot differ.
 */
#include "core/record.h"

#include <string.h>

#include "base/status.h"

typedef struct {
    uint8_t *to;         /* writing, or NULL */
    const uint8_t *from; /* reading */
    size_t at, size;
    bool failed;
} codec;

static bool room(codec *c, size_t n)
{
    if (c->failed || c->size - c->at < n)
        c->failed = true;
    return !c->failed;
}

/* One byte. */
static uint8_t byte(codec *c, uint8_t v)
{
    if (!room(c, 1))
        return v;
    if (c->to)
        c->to[c->at] = v;
    else
        v = c->from[c->at];
    c->at++;
    return v;
}

#define GROUPS_MAX 10u /* of seven bits in 64 */

static void number_write(codec *c, uint64_t v)
{
    uint8_t *to = c->to;
    size_t at = c->at;
    for (; v >= 0x80 && at < c->size; v >>= 7)
        to[at++] = (uint8_t)(v | 0x80);
    if (at == c->size) {
        c->failed = true;
        return;
    }
    to[at] = (uint8_t)v;
    c->at = at + 1;
}

/* The only way to write a value of at most `most` is the one that is accepted. */
static uint64_t number_read(codec *c, uint64_t most)
{
    uint64_t v = 0;
    for (size_t n = 0; n < GROUPS_MAX && room(c, 1); n++) {
        uint64_t group = c->from[c->at] & 0x7f;
        bool last = (c->from[c->at++] & 0x80) == 0;
        if (n == GROUPS_MAX - 1 && group > 1)
            break; /* more than 64 bits */
        v |= group << 7 * n;
        if (!last)
            continue;
        c->failed |= v > most || (n > 0 && group == 0);
        return v;
    }
    c->failed = true;
    return 0;
}

static void u64(codec *c, uint64_t *v)
{
    if (c->to)
        number_write(c, *v + 1);
    else
        *v = number_read(c, UINT64_MAX) - 1;
}

static void u32(codec *c, uint32_t *v)
{
    if (c->to)
        number_write(c, (uint32_t)(*v + 1));
    else
        *v = (uint32_t)number_read(c, UINT32_MAX) - 1;
}

static void i32(codec *c, int32_t *v)
{
    uint32_t bits = (uint32_t)*v;
    u32(c, &bits);
    if (!c->to)
        *v = (int32_t)bits;
}

static void flag(codec *c, bool *v)
{
    uint8_t n = byte(c, *v ? 1 : 0);
    c->failed |= n > 1;
    *v = n == 1;
}

/* A value from `low` to `high` in one byte. */
static uint32_t choice(codec *c, uint32_t v, uint32_t low, uint32_t high)
{
    uint32_t n = byte(c, (uint8_t)v);
    c->failed |= n < low || n > high;
    return n;
}

static void raw(codec *c, uint8_t *bytes, size_t n)
{
    if (!room(c, n))
        return;
    if (c->to)
        memcpy(c->to + c->at, bytes, n);
    else
        memcpy(bytes, c->from + c->at, n);
    c->at += n;
}

/* `size` counts the final NUL. */
static void text(codec *c, char *s, size_t size)
{
    size_t n = 0;
    if (c->to)
        while (n < size && s[n])
            n++;
    n = byte(c, (uint8_t)n);
    if (n >= size)
        c->failed = true;
    if (c->failed)
        return;
    raw(c, (uint8_t *)s, n);
    if (!c->to && !c->failed) {
        memset(s + n, 0, size - n);
        for (size_t i = 0; i < n; i++)
            c->failed |= s[i] == 0;
    }
}

static void terms(codec *c, allocation_terms *t)
{
    text(c, t->label, sizeof(t->label));
    text(c, t->filter, sizeof(t->filter));
    u64(c, &t->chunk_size);
    u32(c, &t->want);
    u32(c, &t->min);
    u32(c, &t->flags);
    i32(c, &t->priority);
    u64(c, &t->notice_ms);
    u64(c, &t->wait_ms);
    c->failed |= (t->flags & ~(uint32_t)TERM_ALL) != 0;
}

static void host_fields(codec *c, record_host *r)
{
    u32(c, &r->id.v);
    text(c, r->name, sizeof(r->name));
    text(c, r->boot_id, sizeof(r->boot_id));
    u64(c, &r->total);
    flag(c, &r->draining);
}

static void session_fields(codec *c, record_session *r)
{
    u64(c, &r->id.v);
    raw(c, r->token, sizeof(r->token));
    u32(c, &r->user.v);
    i32(c, &r->pid);
    u64(c, &r->pid_start);
    r->state = (session_state)choice(c, r->state, SESSION_ATTACHED, SESSION_DETACHED);
    u64(c, &r->grace_until);
    u64(c, &r->acked.v);
}

static void state_fields(codec *c, record_allocation_state *r)
{
    u64(c, &r->id.v);
    r->state = (allocation_state)choice(c, r->state, ALLOCATION_WAITING, ALLOCATION_ENDING);
    u64(c, &r->version);
    u32(c, &r->want);
    u64(c, &r->wait_until);
    u64(c, &r->no_growth_for.v);
}

static void holding_fields(codec *c, record_holding *r)
{
    u64(c, &r->allocation.v);
    u32(c, &r->host.v);
    u32(c, &r->held);
    u32(c, &r->returning);
    u64(c, &r->returning_until);
}

/* At the end of a claim, and only if there is one: the same claim is the same bytes in every journal. */
static void root_fields(codec *c, claim_root *r)
{
    if (c->to ? r->pid == 0 : c->failed || c->at == c->size)
        return;
    i32(c, &r->pid);
    u64(c, &r->start);
    c->failed |= r->pid <= 0;
}

static void claim_fields(codec *c, record_claim *r)
{
    u64(c, &r->gen.v);
    u64(c, &r->allocation.v);
    u32(c, &r->host.v);
    u32(c, &r->chunks);
    r->state = (claim_state)choice(c, r->state, CLAIM_OPENING, CLAIM_QUARANTINED);
    u64(c, &r->closing_until);
    flag(c, &r->kill);
    u64(c, &r->opener.v);
    u64(c, &r->opened_by.v);
    text(c, r->command, sizeof(r->command));
    root_fields(c, &r->root);
}

static void recall_fields(codec *c, record_recall *r)
{
    u64(c, &r->id.v);
    u64(c, &r->allocation.v);
    r->reason = (recall_reason)choice(c, r->reason, RECALL_FOR_WAITER, RECALL_FOR_OPERATOR);
    u64(c, &r->beneficiary.v);
    u32(c, &r->host.v);
    u32(c, &r->asked);
    u32(c, &r->released);
    u32(c, &r->withdrawn);
    u32(c, &r->revoked);
    u64(c, &r->deadline);
    flag(c, &r->overdue);
}

static void answer_fields(codec *c, record_answer *r)
{
    u64(c, &r->session.v);
    u64(c, &r->number.v);
    i32(c, &r->status);
    u64(c, &r->allocation.v);
    u64(c, &r->claim.v);
    u64(c, &r->recall.v);
    u32(c, &r->chunks);
}

static void fields(codec *c, core_record *r)
{
    switch (r->kind) {
    case RECORD_COUNTERS:
        u64(c, &r->counters.allocation);
        u64(c, &r->counters.session);
        u64(c, &r->counters.recall);
        u64(c, &r->counters.generation);
        u64(c, &r->counters.host);
        return;
    case RECORD_HOST:
        host_fields(c, &r->host);
        return;
    case RECORD_SESSION:
        session_fields(c, &r->session);
        return;
    case RECORD_SESSION_END:
        u64(c, &r->session_end.v);
        return;
    case RECORD_ALLOCATION:
        u64(c, &r->allocation.id.v);
        u64(c, &r->allocation.owner.v);
        u32(c, &r->allocation.user.v);
        terms(c, &r->allocation.terms);
        u64(c, &r->allocation.since);
        return;
    case RECORD_ALLOCATION_STATE:
        state_fields(c, &r->allocation_state);
        return;
    case RECORD_ALLOCATION_END:
        u64(c, &r->allocation_end.v);
        return;
    case RECORD_HOLDING:
        holding_fields(c, &r->holding);
        return;
    case RECORD_CLAIM:
        claim_fields(c, &r->claim);
        return;
    case RECORD_CLAIM_END:
        u64(c, &r->claim_end.v);
        return;
    case RECORD_RECALL:
        recall_fields(c, &r->recall);
        return;
    case RECORD_RECALL_END:
        u64(c, &r->recall_end.v);
        return;
    case RECORD_ANSWER:
        answer_fields(c, &r->answer);
        return;
    default:
        c->failed = true;
    }
}

size_t record_encode(const core_record *record, uint8_t *to, size_t size)
{
    if (size < 3)
        return 0;
    codec c = {.to = to, .at = 3, .size = size};
    /* Writing changes no field: the cast serves the one list of fields. */
    fields(&c, (core_record *)(uintptr_t)record);
    if (c.failed)
        return 0;
    to[0] = (uint8_t)(c.at - 2);
    to[1] = (uint8_t)((c.at - 2) >> 8);
    to[2] = (uint8_t)record->kind;
    return c.at;
}

int record_decode(const uint8_t *from, size_t size, core_record *ret, size_t *ret_used)
{
    if (size < 3)
        return STATUS_CORRUPT;
    size_t length = (size_t)from[0] | (size_t)from[1] << 8;
    if (length < 1 || length > size - 2)
        return STATUS_CORRUPT;
    core_record r;
    memset(&r, 0, sizeof(r));
    r.kind = (record_kind)from[2];
    codec c = {.from = from, .at = 3, .size = length + 2};
    fields(&c, &r);
    if (c.failed || c.at != c.size)
        return STATUS_CORRUPT;
    *ret = r;
    *ret_used = c.at;
    return STATUS_OK;
}
