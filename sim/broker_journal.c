/*
 * broker_journal.c - the journal is made a snapshot, as the driver does when it has grown to megabytes, which no run
 * here lives to see; and it is replayed into a second core, which must come to the same bytes (I7).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "broker_node.h"

#define SNAPSHOT_PART ((size_t)4096) /* one blob of a snapshot: several even in a small run */

/* ---- snapshots ---- */

typedef struct {
    store *store;
    uint8_t part[SNAPSHOT_PART];
    size_t used;
} snapshot;

static int snapshot_record(void *userdata, const core_record *record)
{
    snapshot *s = userdata;
    int r = 0;
    if (sizeof s->part - s->used < RECORD_BYTES_MAX) {
        r = store_snapshot_put(s->store, s->part, s->used);
        s->used = 0;
    }
    s->used += record_encode(record, s->part + s->used, sizeof s->part - s->used);
    return r;
}

int journal_compact(broker_node *b)
{
    snapshot s = {.store = b->store};
    b->compactions++;
    sim_say(b->sim, "broker", "the journal becomes a snapshot");
    int r = store_snapshot_begin(b->store);
    if (r == 0)
        r = core_export(b->driver.core, snapshot_record, &s);
    if (r == 0)
        r = store_snapshot_put(b->store, s.part, s.used);
    return r == 0 ? store_snapshot_end(b->store) : r;
}

/* ---- the replay ---- */

typedef struct {
    uint8_t *data;
    size_t used, size;
} bytes;

static int bytes_put(void *userdata, const core_record *record)
{
    bytes *to = userdata;
    if (to->size - to->used < RECORD_BYTES_MAX) {
        to->size = to->size ? 2 * to->size : 65536;
        to->data = sim_grow(to->data, to->size);
    }
    to->used += record_encode(record, to->data + to->used, to->size - to->used);
    return 0;
}

static int load(void *userdata, const uint8_t *data, size_t size)
{
    core_record r;
    size_t used;
    for (size_t at = 0; at < size; at += used) {
        int status = record_decode(data + at, size - at, &r, &used);
        if (status == 0)
            status = core_load(userdata, &r);
        if (status < 0)
            return status;
    }
    return 0;
}

/* Names the first record that differs. */
static bool compare(const bytes *here, const bytes *there, char *why, size_t size)
{
    size_t a = 0, b = 0;
    while (a < here->used && b < there->used) {
        core_record x = {0}, y = {0};
        size_t nx = 0, ny = 0;
        if (record_decode(here->data + a, here->used - a, &x, &nx) < 0 ||
            record_decode(there->data + b, there->used - b, &y, &ny) < 0 || nx != ny ||
            memcmp(here->data + a, there->data + b, nx) != 0) {
            snprintf(why, size,
                     "the journal replays to another state: record kind %d here, %d there, number %" PRIu64
                     " here, %" PRIu64 " there",
                     (int)x.kind, (int)y.kind, x.recall_end.v, y.recall_end.v);
            return false;
        }
        a += nx;
        b += ny;
    }
    if (here->used == there->used)
        return true;
    snprintf(why, size, "the journal replays to %s records than there are", a < here->used ? "fewer" : "more");
    return false;
}

bool broker_replays(const broker_node *b, char *why, size_t size)
{
    if (!b->up)
        return true;
    bytes here = {0}, there = {0};
    core *other = NULL;
    size_t arena_size = core_arena_size(&b->options.limits);
    void *arena = aligned_alloc(64, (arena_size + 63) / 64 * 64);
    int r = arena ? core_init(&other, &b->options.limits, &b->options.timers, arena, arena_size) : STATUS_NO_MEMORY;
    if (r == 0)
        r = store_load(b->store, load, other);
    if (r == 0)
        r = load(other, b->driver.blob, b->driver.blob_used);
    if (r == 0)
        r = core_export(other, bytes_put, &there);
    if (r == 0)
        r = core_export(b->driver.core, bytes_put, &here);
    bool same = r == 0 && compare(&here, &there, why, size);
    if (r < 0)
        snprintf(why, size, "the journal does not replay: %s", status_name(r));
    free(arena);
    free(here.data);
    free(there.data);
    return same;
}
