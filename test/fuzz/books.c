/* books.c - see books.h. */
#include "books.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/view.h"
#include "fuzz.h"

#define SETTLE_MOST 400 /* ticks that follow each other at once */

static const core_limits limits = {.hosts = 5,
                                   .users = 4,
                                   .sessions = 6,
                                   .allocations = 10,
                                   .holdings = 24,
                                   .claims = 16,
                                   .recalls = 12,
                                   .answers = 96};
static const core_timers timers = {.suspect_ms = 20000,
                                   .grace_ms = 5000,
                                   .age_guard_ms = 3000,
                                   .notice_ms = 2000,
                                   .ask_ms = 20,
                                   .returning_ms = 1500,
                                   .quarantine_ms = 1000};

static void *need(void *p, size_t size)
{
    p = p ? p : aligned_alloc(64, (size + 63) / 64 * 64);
    assert(p);
    return p;
}

static void core_make(books *b)
{
    b->arena = need(b->arena, core_arena_size(&limits));
    int r = core_init(&b->core, &limits, &timers, b->arena, core_arena_size(&limits));
    assert(r == 0);
    b->effects.items = need(b->effects.items, EFFECTS_MAX * sizeof *b->effects.items);
    b->effects.capacity = EFFECTS_MAX;
    b->effects.count = 0;
}

void books_start(books *b)
{
    core_make(b);
    b->journal.data = need(b->journal.data, BOOKS_JOURNAL_MAX);
    b->journal.size = 0;
}

void books_append(books_bytes *to, const uint8_t *from, size_t size)
{
    assert(size <= BOOKS_JOURNAL_MAX - to->size);
    if (size > 0)
        memcpy(to->data + to->size, from, size);
    to->size += size;
}

int books_load(books *b, const books_bytes *journal, size_t *ret_used)
{
    for (size_t at = 0; at < journal->size;) {
        core_record record;
        size_t used;
        int r = record_decode(journal->data + at, journal->size - at, &record, &used);
        if (r == 0)
            r = core_load(b->core, &record);
        if (r < 0)
            return r;
        at += used;
        *ret_used = at;
    }
    return 0;
}

static int put(void *userdata, const core_record *record)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    size_t n = record_encode(record, bytes, sizeof bytes);
    assert(n > 0);
    books_append(userdata, bytes, n);
    return 0;
}

void books_keep(books *b)
{
    for (uint32_t i = 0; i < b->effects.count; i++)
        if (b->effects.items[i].kind == EFFECT_RECORD)
            put(&b->journal, &b->effects.items[i].record);
}

/* What effects point to is valid until the next step. */
static void effects_read(const books *b)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->effects.count; i++) {
        const core_effect *x = &b->effects.items[i];
        if (x->kind != EFFECT_REPLY)
            continue;
        for (uint32_t k = 0; k < x->reply.n_extents; k++)
            sum += x->reply.extents[k].chunks;
        for (uint32_t k = 0; k < x->reply.n_asks; k++)
            sum += x->reply.asks[k].chunks;
    }
    volatile uint64_t kept = sum;
    (void)kept;
}

void books_check(const books *b)
{
    char why[512] = "";
    if (core_check(b->core, why, sizeof why) < 0) {
        fprintf(stderr, "core_check: %s\n", why);
        abort();
    }
}

void books_step(books *b, ms_t now, const core_event *event)
{
    int r = core_step(b->core, now, event, &b->effects);
    assert(r == 0 && b->effects.count <= b->effects.capacity);
    books_keep(b);
    effects_read(b);
    books_check(b);
}

void books_settle(books *b, ms_t now)
{
    for (unsigned i = 0; core_next_deadline(b->core) <= now; i++) {
        assert(i < SETTLE_MOST);
        books_step(b, now, &(core_event){.kind = EVENT_TICK});
    }
}

static void differ(const char *what, const books_bytes *a, const books_bytes *b)
{
    size_t at = 0, used = 0, n = 0;
    core_record record = {0};
    while (at < a->size && at < b->size && record_decode(a->data + at, a->size - at, &record, &used) == 0 &&
           at + used <= b->size && memcmp(a->data + at, b->data + at, used) == 0)
        at += used, n++;
    fprintf(stderr, "%s: record %zu, of kind %d, differs (%zu and %zu bytes)\n", what, n, (int)record.kind, a->size,
            b->size);
    abort();
}

void books_prove_replay(books *b, books *other)
{
    static books_bytes live, replayed;
    size_t used = 0;
    live.data = need(live.data, BOOKS_JOURNAL_MAX);
    replayed.data = need(replayed.data, BOOKS_JOURNAL_MAX);
    live.size = replayed.size = 0;
    core_export(b->core, put, &live);
    books_start(other);
    int r = books_load(other, &b->journal, &used);
    assert(r == 0);
    core_export(other->core, put, &replayed);
    if (live.size != replayed.size || memcmp(live.data, replayed.data, live.size) != 0)
        differ("the journal replayed", &live, &replayed);
    books_start(other);
    r = books_load(other, &live, &used);
    assert(r == 0);
    replayed.size = 0;
    core_export(other->core, put, &replayed);
    if (live.size != replayed.size || memcmp(live.data, replayed.data, live.size) != 0)
        differ("the export loaded", &live, &replayed);
    memcpy(b->journal.data, live.data, live.size);
    b->journal.size = live.size;
}
