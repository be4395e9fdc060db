/*
 * journal.c - any bytes as the blobs of a journal: refused as corrupt, or books that hold together.
 *
 * The input is a list of records, most of them made of choices through record_encode(), so that they get past
 * record_decode(); the others are bytes as they come. What loads must pass core_check() and export to something that
 * loads to the same; it must stand the recovery, some ticks, and their records on top.
 */
#include <stdlib.h>

#include "books.h"
#include "fuzz.h"

#include "base/status.h"

#define RECORDS_MAX 256u
#define CLOCK_MAX   ((ms_t)1 << 50) /* no machine has run for so long: a deadline behind it does not come */

static ms_t deadline(fuzz_input *in)
{
    return fuzz_byte(in) & 1 ? MS_NEVER : fuzz_count(in);
}

static void text(fuzz_input *in, char *to, size_t size)
{
    uint8_t b = fuzz_byte(in);
    if (b >= 0xe0) {
        fuzz_text(in, to, size);
        return;
    }
    to[0] = (char)('a' + b % 5);
}

static void make_terms(fuzz_input *in, allocation_terms *t)
{
    text(in, t->label, sizeof t->label);
    if (fuzz_below(in, 4) == 0)
        text(in, t->filter, sizeof t->filter);
    t->chunk_size = fuzz_below(in, 8) ? MIB(1 + fuzz_below(in, 64)) : fuzz_count(in);
    t->want = (chunks_t)fuzz_count(in);
    t->min = (chunks_t)fuzz_count(in);
    t->flags = (uint32_t)fuzz_number(in, 2);
    t->priority = (int8_t)fuzz_byte(in);
    t->notice_ms = fuzz_count(in);
    t->wait_ms = deadline(in);
}

static void make_session(fuzz_input *in, record_session *s)
{
    s->id.v = fuzz_count(in);
    s->user.v = fuzz_below(in, 4);
    s->pid = (int32_t)fuzz_count(in);
    s->state = 1 + fuzz_below(in, 2);
    s->grace_until = deadline(in);
    s->acked.v = fuzz_count(in);
}

static void make_claim(fuzz_input *in, record_claim *c)
{
    c->gen.v = fuzz_count(in);
    c->allocation.v = fuzz_count(in);
    c->host.v = fuzz_below(in, 6);
    c->chunks = (chunks_t)fuzz_count(in);
    c->state = 1 + fuzz_below(in, 4);
    c->closing_until = deadline(in);
    c->kill = fuzz_byte(in) & 1;
    c->opener.v = fuzz_count(in);
    c->opened_by.v = fuzz_count(in);
    c->root.pid = (int32_t)fuzz_below(in, 3);
    c->root.start = fuzz_below(in, 3);
    text(in, c->command, sizeof c->command);
}

static void make_recall(fuzz_input *in, record_recall *r)
{
    r->id.v = fuzz_count(in);
    r->allocation.v = fuzz_count(in);
    r->reason = 1 + fuzz_below(in, 5);
    r->beneficiary.v = fuzz_count(in);
    r->host.v = fuzz_below(in, 4) ? fuzz_below(in, 6) : UINT32_MAX;
    r->asked = (chunks_t)fuzz_count(in);
    r->released = (chunks_t)fuzz_count(in);
    r->withdrawn = (chunks_t)fuzz_count(in);
    r->revoked = (chunks_t)fuzz_count(in);
    r->deadline = deadline(in);
    r->overdue = fuzz_byte(in) & 1;
}

static void make_host(fuzz_input *in, record_host *h)
{
    h->id.v = fuzz_below(in, 6);
    h->name[0] = (char)('a' + h->id.v % 5); /* mostly the one that belongs to the number */
    if (fuzz_below(in, 8) == 0)
        text(in, h->name, sizeof h->name);
    text(in, h->boot_id, sizeof h->boot_id);
    h->total = fuzz_below(in, 4) ? GIB(fuzz_below(in, 16)) : fuzz_count(in);
    h->draining = fuzz_below(in, 4) == 0;
}

static void make_rest(fuzz_input *in, core_record *r)
{
    switch (r->kind) {
    case RECORD_COUNTERS:
        r->counters = (record_counters){fuzz_count(in), fuzz_count(in), fuzz_count(in), fuzz_count(in), 0};
        r->counters.host = fuzz_below(in, 8);
        return;
    case RECORD_ALLOCATION_STATE:
        r->allocation_state = (record_allocation_state){.id = {fuzz_count(in)}, .state = 1 + fuzz_below(in, 3)};
        r->allocation_state.version = fuzz_count(in);
        r->allocation_state.want = (chunks_t)fuzz_count(in);
        r->allocation_state.wait_until = deadline(in);
        r->allocation_state.no_growth_for.v = fuzz_below(in, 4) ? 0 : fuzz_count(in);
        return;
    case RECORD_HOLDING:
        r->holding.allocation.v = fuzz_count(in);
        r->holding.host.v = fuzz_below(in, 6);
        r->holding.held = (chunks_t)fuzz_count(in);
        r->holding.returning = (chunks_t)(fuzz_below(in, 3) ? 0 : fuzz_count(in));
        r->holding.returning_until = deadline(in);
        return;
    case RECORD_ANSWER:
        r->answer = (record_answer){.session = {fuzz_count(in)}, .number = {fuzz_count(in)}};
        r->answer.status = (int8_t)fuzz_byte(in);
        r->answer.allocation.v = fuzz_count(in);
        r->answer.claim.v = fuzz_count(in);
        return;
    default: /* the ends: of a session, an allocation, a claim, a recall */
        r->session_end.v = fuzz_count(in);
    }
}

static void make(fuzz_input *in, core_record *r)
{
    *r = (core_record){.kind = 1 + fuzz_below(in, RECORD_KINDS - 1)};
    switch (r->kind) {
    case RECORD_HOST:
        make_host(in, &r->host);
        return;
    case RECORD_SESSION:
        make_session(in, &r->session);
        return;
    case RECORD_ALLOCATION:
        r->allocation.id.v = fuzz_count(in);
        r->allocation.owner.v = fuzz_count(in);
        r->allocation.user.v = fuzz_below(in, 4);
        make_terms(in, &r->allocation.terms);
        r->allocation.since = fuzz_count(in);
        return;
    case RECORD_CLAIM:
        make_claim(in, &r->claim);
        return;
    case RECORD_RECALL:
        make_recall(in, &r->recall);
        return;
    default:
        make_rest(in, r);
    }
}

/* Appends one record to the blob, or bytes that claim to be some. */
static void append(fuzz_input *in, books_bytes *blob)
{
    if (fuzz_byte(in) >= 0xf0) {
        size_t n;
        const uint8_t *from = fuzz_block(in, 255, &n);
        books_append(blob, from, n);
        return;
    }
    core_record record, read;
    uint8_t bytes[RECORD_BYTES_MAX];
    size_t used = 0;
    make(in, &record);
    size_t n = record_encode(&record, bytes, sizeof bytes);
    if (n == 0)
        return;                                       /* no record that there can be: terms that are not known */
    if (record_decode(bytes, n, &read, &used) == 0) { /* what is read is written the same */
        uint8_t again[RECORD_BYTES_MAX];
        assert(used == n && record_encode(&read, again, sizeof again) == n && memcmp(again, bytes, n) == 0);
    }
    books_append(blob, bytes, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static books first, second;
    fuzz_input in = {.at = data, .left = size};
    bool same_boot = fuzz_byte(&in) & 1;
    ms_t now = fuzz_count(&in) % CLOCK_MAX;
    books_start(&first);
    for (unsigned i = 0; i < RECORDS_MAX && in.left > 0; i++)
        append(&in, &first.journal);

    size_t loaded = 0;
    int r = books_load(&first, &first.journal, &loaded);
    assert(r == 0 || r == STATUS_CORRUPT || r == STATUS_LIMIT);
    if (r < 0) /* what came before the bad record may be the first half of a change: nobody goes on with it */
        return 0;
    if (core_recover(first.core, now, same_boot, &first.effects) < 0)
        return 0;
    books_keep(&first);
    books_check(&first);
    for (int i = 0; i < 8 && core_next_deadline(first.core) < CLOCK_MAX; i++) {
        now = core_next_deadline(first.core) > now ? core_next_deadline(first.core) : now;
        books_step(&first, now, &(core_event){.kind = EVENT_TICK});
    }
    books_prove_replay(&first, &second);
    return 0;
}
