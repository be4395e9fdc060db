/*
 * store.c - the one way into every implementation: a failed store answers nothing but its failure.
 */
#include "store/store.h"

#include "base/status.h"

int store_load(store *s, int (*blob)(void *userdata, const uint8_t *data, size_t size), void *userdata)
{
    return s->failed ? s->failed : s->vtable->load(s, blob, userdata);
}

int store_commit(store *s, const uint8_t *data, size_t size)
{
    return s->failed ? s->failed : s->vtable->commit(s, data, size);
}

int store_snapshot_begin(store *s)
{
    return s->failed ? s->failed : s->vtable->snapshot_begin(s);
}

int store_snapshot_put(store *s, const uint8_t *data, size_t size)
{
    return s->failed ? s->failed : s->vtable->snapshot_put(s, data, size);
}

int store_snapshot_end(store *s)
{
    return s->failed ? s->failed : s->vtable->snapshot_end(s);
}

int store_reserve(store *s, uint64_t upto)
{
    if (s->failed)
        return s->failed;
    return upto <= s->meta.reserved ? 0 : s->vtable->reserve(s, upto);
}

uint64_t store_journal_bytes(const store *s)
{
    return s->vtable->journal_bytes(s);
}

const char *store_failure(const store *s)
{
    return s->failed ? s->failure : NULL;
}

const char *store_notice(store *s)
{
    if (!s->notice_waits)
        return NULL;
    s->notice_waits = false;
    return s->notice;
}

void store_close(store *s)
{
    if (s)
        s->vtable->close(s);
}
