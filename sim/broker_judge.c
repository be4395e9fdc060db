/*
 * broker_judge.c - what the judges hear of the broker as it happens, and core_check() after each step.
 */
#include <inttypes.h>

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

/* In words; and moments at which faults like to strike. */
typedef struct {
    const char *text, *moment;
} note_row;

static const note_row rows[] = {
    [NOTE_HOST_UP] = {"host is up", "host"},
    [NOTE_HOST_SUSPECT] = {"host is suspect", "host"},
    [NOTE_HOST_LOST] = {"host is lost", "host"},
    [NOTE_HOST_REBOOTED] = {"host was started anew", "host"},
    [NOTE_HOST_DRAINING] = {"host is being emptied", "drain"},
    [NOTE_HOST_DRAINED] = {"host is empty", "drain"},
    [NOTE_HOST_UNDRAINED] = {"host takes requests again", NULL},
    [NOTE_OVERDRAFT] = {"foreign memory rose above what is free", "overdraft"},
    [NOTE_GRANTED] = {"granted", "grant"},
    [NOTE_QUEUED] = {"waits", NULL},
    [NOTE_REFUSED] = {"refused", NULL},
    [NOTE_GREW] = {"grew", "grant"},
    [NOTE_ENDED] = {"ended", NULL},
    [NOTE_TIMED_OUT] = {"waited as long as it may", NULL},
    [NOTE_HELD] = {"memory is held", "grant"},
    [NOTE_RECALL] = {"chunks are asked back", "recall"},
    [NOTE_OFFERED] = {"offers", "recall"},
    [NOTE_PREFERRED] = {"prefers", "recall"},
    [NOTE_GIVEN] = {"gave back", "recall"},
    [NOTE_WITHDRAWN] = {"recall withdrawn", "recall"},
    [NOTE_OVERDUE] = {"recall overdue", "recall"},
    [NOTE_RECALL_DONE] = {"recall answered", "recall"},
    [NOTE_REVOKED] = {"taken by force", "revoke"},
    [NOTE_CLAIMED] = {"claimed", "claim"},
    [NOTE_CLAIM_ENDED] = {"claim ended", "closing"},
    [NOTE_QUARANTINED] = {"quarantined", "closing"},
    [NOTE_UNQUARANTINED] = {"free after all", "closing"},
    [NOTE_SESSION_DETACHED] = {"session may come back", "detached"},
    [NOTE_SESSION_LOST] = {"session did not come back", NULL},
    [NOTE_LIMIT_REACHED] = {"a table is full", NULL},
    [NOTE_CLAIM_OVER] = {"claim uses more than its size", NULL},
};

_Static_assert(sizeof rows / sizeof *rows == NOTE_KINDS, "every note has its words");

static void say(const broker_node *b, const effect_note *n)
{
    char line[256];
    host_view h;
    size_t at = (size_t)snprintf(line, sizeof line, "* %s", rows[n->kind].text);
    if (n->host.v != HOST_NONE.v && view_host_by_id(b->driver.core, n->host, &h) == 0)
        at += (size_t)snprintf(line + at, sizeof line - at, ", host %s", h.name);
    if (n->allocation.v)
        at += (size_t)snprintf(line + at, sizeof line - at, ", A%" PRIu64, n->allocation.v);
    if (n->beneficiary.v)
        at += (size_t)snprintf(line + at, sizeof line - at, " for A%" PRIu64, n->beneficiary.v);
    if (n->recall.v)
        at += (size_t)snprintf(line + at, sizeof line - at, ", recall %" PRIu64, n->recall.v);
    if (n->claim.v)
        at += (size_t)snprintf(line + at, sizeof line - at, ", g%" PRIu64, n->claim.v);
    if (n->chunks)
        at += (size_t)snprintf(line + at, sizeof line - at, ", %" PRIu32 " chunks", n->chunks);
    if (n->status < 0)
        snprintf(line + at, sizeof line - at, ", %s", status_name(n->status));
    sim_say(b->sim, "broker", "%s", line);
}

static void note_now(broker_node *b, const effect_note *note)
{
    if (b->sim->plan.trace)
        say(b, note);
    judge_note(b->sim->judges, note);
    if (b->sim->faults && rows[note->kind].moment)
        faults_moment(b->sim->faults, rows[note->kind].moment);
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
