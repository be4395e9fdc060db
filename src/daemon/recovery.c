#include "daemon/recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"

typedef struct {
    driver *driver;
    uint64_t records;
    core_record counters;
    recovered_session *sessions;
    uint32_t n_sessions, capacity;
} loading;

static int load_blob(void *userdata, const uint8_t *data, size_t size)
{
    loading *l = userdata;
    size_t at = 0;
    while (at < size) {
        core_record record;
        size_t used;
        int r = record_decode(data + at, size - at, &record, &used);
        if (r == 0)
            r = core_load(l->driver->core, &record);
        if (r < 0)
            return r;
        at += used;
        l->records++;
    }
    return 0;
}

/* Looks through the loaded state for the counters and the sessions. */
static int look(void *userdata, const core_record *record)
{
    loading *l = userdata;
    if (record->kind == RECORD_COUNTERS)
        l->counters = *record;
    if (record->kind != RECORD_SESSION)
        return 0;
    if (l->n_sessions == l->capacity) {
        uint32_t capacity = l->capacity ? l->capacity * 2 : 64;
        recovered_session *sessions = realloc(l->sessions, capacity * sizeof *sessions);
        if (!sessions)
            return STATUS_NO_MEMORY;
        l->sessions = sessions;
        l->capacity = capacity;
    }
    l->sessions[l->n_sessions++] = (recovered_session){
        .session = record->session.id, .pid = record->session.pid, .pid_start = record->session.pid_start};
    return 0;
}

/* Numbers below `reserved` may have been given out by commits that the machine lost. */
static int counters_raise(driver *d, loading *l)
{
    uint64_t reserved = d->store->meta.reserved;
    l->counters.kind = RECORD_COUNTERS;
    if (reserved > 0 && l->counters.counters.session < reserved - 1)
        l->counters.counters.session = reserved - 1;
    if (reserved > 0 && l->counters.counters.generation < reserved - 1)
        l->counters.counters.generation = reserved - 1;
    int r = core_load(d->core, &l->counters);
    if (r == 0)
        driver_record(d, &l->counters);
    return r;
}

static const char *sentence(int status)
{
    switch (status) {
    case STATUS_CORRUPT:
        return "the journal fails its checks: restore the state directory from a copy, or move it away and start anew";
    case STATUS_LIMIT:
        return "the journal holds more than the tables in granary.conf (max_...) have room for: raise them";
    case STATUS_NO_MEMORY:
        return "no memory left to load the journal";
    default:
        return "the journal cannot be read";
    }
}

int recovery_run(driver *d, const char *boot_id, recovered *ret, char *why, size_t why_size)
{
    loading l = {.driver = d};
    int r = store_load(d->store, load_blob, &l);
    if (r == 0)
        r = core_export(d->core, look, &l);
    if (r == 0)
        r = counters_raise(d, &l);
    if (r == 0)
        r = core_recover(d->core, driver_now(), strcmp(d->store->meta.boot_id, boot_id) == 0, &d->effects);
    if (r < 0) {
        free(l.sessions);
        const char *detail = store_failure(d->store);
        snprintf(why, why_size, "%s%s%s (after %llu %s)", sentence(r), detail ? ": " : "", detail ? detail : "",
                 (unsigned long long)l.records, text_plural(l.records, "record", "records"));
        return r;
    }
    driver_perform(d, &d->effects);
    *ret = (recovered){.records = l.records, .sessions = l.sessions, .n_sessions = l.n_sessions};
    return d->failed;
}
