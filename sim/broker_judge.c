/*
 * broker_judge.c - what the judges hear of the broker, and two judgements over its own state: core_check() after each
 * step, and the journal that replays to the same bytes (I7).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "broker_node.h"
#include "faults.h"
#include "judge.h"

/* ---- told as it happens ---- */

void tell_records(broker_node *b)
{
    if (b->recovering)
        return;
    while (b->judged < b->driver.blob_used) {
        core_record r;
        size_t used;
        if (record_decode(b->driver.blob + b->judged, b->driver.blob_used - b->judged, &r, &used) < 0) {
            sim_wrong(b->sim, "a record of the broker cannot be read back");
            b->judged = b->driver.blob_used;
            return;
        }
        judge_record(b->sim->judges, &r);
        b->judged += used;
    }
}

/* Moments at which faults like to strike. */
static const char *const moments[NOTE_KINDS] = {
    [NOTE_GRANTED] = "grant",
    [NOTE_GREW] = "grant",
    [NOTE_RECALL] = "recall",
    [NOTE_PREFERRED] = "recall",
    [NOTE_GIVEN] = "given",
    [NOTE_WITHDRAWN] = "given",
    [NOTE_CLAIMED] = "claim",
    [NOTE_CLAIM_ENDED] = "closing",
    [NOTE_OVERDRAFT] = "overdraft",
    [NOTE_REVOKED] = "revoke",
    [NOTE_HOST_SUSPECT] = "host",
    [NOTE_HOST_UP] = "host",
    [NOTE_SESSION_DETACHED] = "detached",
    [NOTE_QUARANTINED] = "closing",
};

static void note_now(broker_node *b, const effect_note *note)
{
    judge_note(b->sim->judges, note);
    if (b->sim->faults && moments[note->kind])
        faults_moment(b->sim->faults, moments[note->kind]);
}

void tell_note(broker_node *b, const effect_note *note)
{
    if (!b->recovering) {
        tell_records(b);
        note_now(b, note);
        return;
    }
    b->early = sim_grow(b->early, (b->n_early + 1) * sizeof *b->early);
    b->early[b->n_early++] = *note;
}

void tell_step(broker_node *b, const core_event *event)
{
    char why[256];
    tell_records(b);
    if (b->options.check && core_check(b->driver.core, why, sizeof why) < 0)
        sim_wrong(b->sim, "core_check after event %d: %s", (int)event->kind, why);
    if (event->kind == EVENT_HOST_SAMPLE)
        judge_sample(b->sim->judges, event->sample.host, event->sample.in_use, event->sample.claims_used,
                     broker_now(b));
    judge_stepped(b->sim->judges);
}

void tell_restart(broker_node *b)
{
    if (b->life > 1)
        judge_restarted(b->sim->judges);
    tell_records(b);
    for (uint32_t i = 0; i < b->n_early; i++)
        note_now(b, &b->early[i]);
    b->n_early = 0;
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
