#include "daemon/driver.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/status.h"

#define RESERVE_BLOCK 65536u               /* numbers for one synced write: rare, and 64 bits are many */
#define COMPACT_BYTES ((uint64_t)32 << 20) /* of journal: replayed in well under a second */
#define SNAPSHOT_PART ((size_t)256 << 10)  /* one blob of a snapshot */
#define BLOB_FIRST    ((size_t)64 << 10)

int driver_init(driver *d, const core_limits *limits, const core_timers *timers, store *s, const driver_sink *sink)
{
    size_t size = core_arena_size(limits);
    if (size == 0)
        return STATUS_INVALID;
    /* Pages come as they are touched: large tables cost nothing before they are used. */
    void *arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED)
        return STATUS_NO_MEMORY;
    driver made = {.store = s, .sink = *sink, .arena = arena, .arena_size = size};
    made.effects = (core_effects){.items = calloc(EFFECTS_MAX, sizeof *made.effects.items), .capacity = EFFECTS_MAX};
    made.blob = malloc(BLOB_FIRST);
    made.blob_size = BLOB_FIRST;
    int r = made.effects.items && made.blob ? core_init(&made.core, limits, timers, arena, size) : STATUS_NO_MEMORY;
    if (r < 0) {
        driver_finish(&made);
        return r;
    }
    *d = made;
    return 0;
}

void driver_finish(driver *d)
{
    if (d->arena)
        munmap(d->arena, d->arena_size);
    free(d->effects.items);
    free(d->blob);
    *d = (driver){0};
}

ms_t driver_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (ms_t)t.tv_sec * 1000 + (ms_t)t.tv_nsec / 1000000;
}

/* The highest number that this record shows to have been issued. */
static uint64_t record_number(const core_record *record)
{
    switch (record->kind) {
    case RECORD_COUNTERS:
        return record->counters.session > record->counters.generation ? record->counters.session
                                                                      : record->counters.generation;
    case RECORD_SESSION:
        return record->session.id.v;
    case RECORD_CLAIM:
        return record->claim.gen.v;
    default:
        return 0;
    }
}

void driver_record(driver *d, const core_record *record)
{
    if (d->blob_size - d->blob_used < RECORD_BYTES_MAX) {
        uint8_t *blob = realloc(d->blob, d->blob_size * 2);
        if (!blob) {
            d->failed = STATUS_NO_MEMORY;
            return;
        }
        d->blob = blob;
        d->blob_size *= 2;
    }
    size_t n = record_encode(record, d->blob + d->blob_used, d->blob_size - d->blob_used);
    assert(n > 0 && n <= RECORD_BYTES_MAX);
    d->blob_used += n;
    uint64_t number = record_number(record);
    if (number > d->highest)
        d->highest = number;
}

void driver_perform(driver *d, const core_effects *effects)
{
    d->stepping = true;
    for (uint32_t i = 0; i < effects->count; i++) {
        const core_effect *e = &effects->items[i];
        switch (e->kind) {
        case EFFECT_RECORD:
            driver_record(d, &e->record);
            if (e->record.kind == RECORD_SESSION_END && d->sink.session_over)
                d->sink.session_over(d->sink.userdata, e->record.session_end);
            break;
        case EFFECT_REPLY:
            d->sink.reply(d->sink.userdata, &e->reply);
            break;
        case EFFECT_PUSH:
            d->sink.push(d->sink.userdata, &e->push);
            break;
        case EFFECT_ORDER:
            d->sink.order(d->sink.userdata, &e->order);
            break;
        case EFFECT_NOTE:
            d->sink.note(d->sink.userdata, &e->note);
            break;
        }
    }
    d->stepping = false;
}

int driver_step(driver *d, const core_event *event)
{
    assert(!d->stepping);
    d->now = d->now ? d->now : driver_now();
    int r = core_step(d->core, d->now, event, &d->effects);
    if (r < 0)
        return r;
    d->steps++;
    driver_perform(d, &d->effects);
    return d->failed;
}

bool driver_dirty(const driver *d)
{
    return d->blob_used > 0 || d->failed;
}

/* ---- compaction ---- */

typedef struct {
    driver *driver;
    uint8_t *part;
    size_t used;
    uint64_t total;
} snapshot;

static int snapshot_send(snapshot *s)
{
    int r = s->used ? store_snapshot_put(s->driver->store, s->part, s->used) : 0;
    s->total += s->used;
    s->used = 0;
    return r;
}

static int snapshot_record(void *userdata, const core_record *record)
{
    snapshot *s = userdata;
    if (SNAPSHOT_PART - s->used < RECORD_BYTES_MAX) {
        int r = snapshot_send(s);
        if (r < 0)
            return r;
    }
    s->used += record_encode(record, s->part + s->used, SNAPSHOT_PART - s->used);
    return 0;
}

static int compact(driver *d)
{
    snapshot s = {.driver = d, .part = malloc(SNAPSHOT_PART)};
    if (!s.part)
        return 0; /* the journal grows on; the next turn tries again */
    int r = store_snapshot_begin(d->store);
    if (r == 0)
        r = core_export(d->core, snapshot_record, &s);
    if (r == 0)
        r = snapshot_send(&s);
    if (r == 0)
        r = store_snapshot_end(d->store);
    free(s.part);
    d->snapshot_bytes = s.total;
    return r;
}

int driver_commit(driver *d)
{
    d->now = 0;
    if (d->failed)
        return d->failed;
    if (d->blob_used == 0)
        return 0;
    if (d->highest >= d->store->meta.reserved) {
        int r = store_reserve(d->store, d->highest + RESERVE_BLOCK);
        if (r < 0)
            return r;
    }
    int r = store_commit(d->store, d->blob, d->blob_used);
    if (r < 0)
        return r;
    d->blob_used = 0;
    d->commits++;
    if (store_journal_bytes(d->store) > COMPACT_BYTES + 2 * d->snapshot_bytes)
        return compact(d);
    return 0;
}

int64_t driver_wait(const driver *d)
{
    ms_t due = core_next_deadline(d->core);
    if (due == MS_NEVER)
        return -1;
    ms_t now = driver_now();
    return due <= now ? 0 : (int64_t)(due - now);
}
