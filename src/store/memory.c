/*
 * memory.c - blobs in two lists: the snapshot and the commits after it. A snapshot is built aside and takes the
 * place of both at once.
 */
#include "store/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

typedef struct {
    uint8_t *data;
    size_t size;
} blob_copy;

typedef struct {
    blob_copy *items;
    size_t n, capacity;
    uint64_t bytes;
} blobs;

typedef struct {
    store base;
    blobs snapshot, journal, aside;
    bool building;
    size_t synced;        /* commits of the journal that no loss of power takes */
    uint64_t writes_left; /* until the disk fails */
} memory_store;

static void blobs_clear(blobs *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->items[i].data);
    free(b->items);
    *b = (blobs){0};
}

static int blobs_add(blobs *b, const uint8_t *data, size_t size)
{
    if (b->n == b->capacity) {
        size_t capacity = b->capacity ? b->capacity * 2 : 16;
        blob_copy *items = realloc(b->items, capacity * sizeof *items);
        if (!items)
            return STATUS_NO_MEMORY;
        b->items = items;
        b->capacity = capacity;
    }
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return STATUS_NO_MEMORY;
    memcpy(copy, data, size);
    b->items[b->n++] = (blob_copy){.data = copy, .size = size};
    b->bytes += size;
    return 0;
}

static int blobs_visit(const blobs *b, int (*blob)(void *userdata, const uint8_t *data, size_t size), void *userdata)
{
    for (size_t i = 0; i < b->n; i++) {
        int r = blob(userdata, b->items[i].data, b->items[i].size);
        if (r != 0)
            return r;
    }
    return 0;
}

static int fail(memory_store *m, int status, const char *why)
{
    m->base.failed = status;
    snprintf(m->base.failure, sizeof m->base.failure, "%s", why);
    return status;
}

/* One write to the disk that there is none of. */
static int write_once(memory_store *m)
{
    if (m->writes_left == 0)
        return fail(m, STATUS_SYSTEM, "the store was told to fail here");
    if (m->writes_left != UINT64_MAX)
        m->writes_left--;
    return 0;
}

static int memory_load(store *s, int (*blob)(void *userdata, const uint8_t *data, size_t size), void *userdata)
{
    memory_store *m = (memory_store *)s;
    int r = blobs_visit(&m->snapshot, blob, userdata);
    return r != 0 ? r : blobs_visit(&m->journal, blob, userdata);
}

static int memory_commit(store *s, const uint8_t *data, size_t size)
{
    memory_store *m = (memory_store *)s;
    assert(!m->building);
    int r = write_once(m);
    if (r < 0)
        return r;
    r = blobs_add(&m->journal, data, size);
    return r < 0 ? fail(m, r, "no memory for a commit") : 0;
}

static int memory_snapshot_begin(store *s)
{
    memory_store *m = (memory_store *)s;
    assert(!m->building);
    m->building = true;
    return 0;
}

static int memory_snapshot_put(store *s, const uint8_t *data, size_t size)
{
    memory_store *m = (memory_store *)s;
    assert(m->building);
    int r = blobs_add(&m->aside, data, size);
    return r < 0 ? fail(m, r, "no memory for a snapshot") : 0;
}

static int memory_snapshot_end(store *s)
{
    memory_store *m = (memory_store *)s;
    assert(m->building);
    int r = write_once(m);
    if (r < 0)
        return r;
    blobs_clear(&m->snapshot);
    blobs_clear(&m->journal);
    m->snapshot = m->aside;
    m->aside = (blobs){0};
    m->building = false;
    m->synced = 0;
    return 0;
}

static int memory_reserve(store *s, uint64_t upto)
{
    memory_store *m = (memory_store *)s;
    int r = write_once(m);
    if (r < 0)
        return r;
    s->meta.reserved = upto;
    m->synced = m->journal.n;
    return 0;
}

static uint64_t memory_journal_bytes(const store *s)
{
    return ((const memory_store *)s)->journal.bytes;
}

static void memory_close(store *s)
{
    memory_store *m = (memory_store *)s;
    blobs_clear(&m->snapshot);
    blobs_clear(&m->journal);
    blobs_clear(&m->aside);
    free(m);
}

static const store_vtable vtable = {
    .load = memory_load,
    .commit = memory_commit,
    .snapshot_begin = memory_snapshot_begin,
    .snapshot_put = memory_snapshot_put,
    .snapshot_end = memory_snapshot_end,
    .reserve = memory_reserve,
    .journal_bytes = memory_journal_bytes,
    .close = memory_close,
};

int store_memory_open(store **ret, const char *broker_id)
{
    memory_store *m = calloc(1, sizeof *m);
    if (!m)
        return STATUS_NO_MEMORY;
    m->base.vtable = &vtable;
    m->writes_left = UINT64_MAX;
    snprintf(m->base.meta.broker_id, sizeof m->base.meta.broker_id, "%.32s", broker_id);
    *ret = &m->base;
    return 0;
}

void store_memory_fail_after(store *s, uint64_t n)
{
    assert(s->vtable == &vtable);
    ((memory_store *)s)->writes_left = n;
}

uint64_t store_memory_lose(store *s, uint64_t n)
{
    assert(s->vtable == &vtable);
    memory_store *m = (memory_store *)s;
    uint64_t lost = 0;
    for (; lost < n && m->journal.n > m->synced; lost++) {
        blob_copy *last = &m->journal.items[--m->journal.n];
        m->journal.bytes -= last->size;
        free(last->data);
    }
    return lost;
}

void store_memory_reopen(store *s, const char *boot_id)
{
    assert(s->vtable == &vtable);
    memory_store *m = (memory_store *)s;
    blobs_clear(&m->aside);
    m->building = false;
    m->writes_left = UINT64_MAX;
    s->failed = 0;
    s->notice_waits = false;
    snprintf(s->meta.boot_id, sizeof s->meta.boot_id, "%s", boot_id);
}
