#include "daemon/notes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/size.h"
#include "base/status.h"
#include "core/view.h"
#include "daemon/broker.h"

typedef enum { AMOUNT_NONE, AMOUNT_BYTES, AMOUNT_MS, AMOUNT_SESSION, AMOUNT_WORK } amount_kind;

typedef struct {
    log_level level;
    amount_kind amount;
    const char *text;
} note_row;

static const note_row rows[] = {
    [NOTE_HOST_UP] = {LOG_INFO, AMOUNT_NONE, "the host is up"},
    [NOTE_HOST_SUSPECT] = {LOG_WARNING, AMOUNT_NONE, "the host's agent is gone: nothing new is placed there"},
    [NOTE_HOST_LOST] = {LOG_ERROR, AMOUNT_NONE, "the host stays silent: its chunks stay granted until it is back"},
    [NOTE_HOST_REBOOTED] = {LOG_WARNING, AMOUNT_NONE, "the host was started anew: its claims are over"},
    [NOTE_HOST_DRAINING] = {LOG_INFO, AMOUNT_NONE, "the host is being emptied"},
    [NOTE_HOST_DRAINED] = {LOG_INFO, AMOUNT_NONE, "the host is empty"},
    [NOTE_HOST_UNDRAINED] = {LOG_INFO, AMOUNT_NONE, "the host takes requests again"},
    [NOTE_OVERDRAFT] = {LOG_WARNING, AMOUNT_BYTES, "foreign memory rose above what is free"},
    [NOTE_GRANTED] = {LOG_INFO, AMOUNT_NONE, "granted"},
    [NOTE_QUEUED] = {LOG_INFO, AMOUNT_NONE, "waits in the queue"},
    [NOTE_REFUSED] = {LOG_INFO, AMOUNT_NONE, "refused"},
    [NOTE_GREW] = {LOG_INFO, AMOUNT_NONE, "grew"},
    [NOTE_ENDED] = {LOG_INFO, AMOUNT_NONE, "ended"},
    [NOTE_TIMED_OUT] = {LOG_INFO, AMOUNT_NONE, "waited as long as it was allowed to"},
    [NOTE_HELD] = {LOG_INFO, AMOUNT_BYTES, "memory is held for it"},
    [NOTE_RECALL] = {LOG_INFO, AMOUNT_NONE, "chunks are asked back"},
    [NOTE_OFFERED] = {LOG_INFO, AMOUNT_NONE, "offers chunks"},
    [NOTE_PREFERRED] = {LOG_INFO, AMOUNT_NONE, "of the offer these are preferred"},
    [NOTE_GIVEN] = {LOG_INFO, AMOUNT_NONE, "gave chunks back"},
    [NOTE_WITHDRAWN] = {LOG_INFO, AMOUNT_NONE, "the recall is withdrawn"},
    [NOTE_OVERDUE] = {LOG_WARNING, AMOUNT_NONE, "the recall is overdue"},
    [NOTE_RECALL_DONE] = {LOG_INFO, AMOUNT_NONE, "the recall is answered"},
    [NOTE_REVOKED] = {LOG_WARNING, AMOUNT_WORK, "taken by force"},
    [NOTE_CLAIMED] = {LOG_INFO, AMOUNT_NONE, "claimed"},
    [NOTE_CLAIM_ENDED] = {LOG_INFO, AMOUNT_NONE, "the claim ended"},
    [NOTE_QUARANTINED] = {LOG_WARNING, AMOUNT_BYTES,
                          "memory stays charged after the end: it is not sold until it is free"},
    [NOTE_UNQUARANTINED] = {LOG_INFO, AMOUNT_BYTES, "the memory is free after all"},
    [NOTE_SESSION_DETACHED] = {LOG_DEBUG, AMOUNT_SESSION, "lost its connection, and may come back"},
    [NOTE_SESSION_LOST] = {LOG_INFO, AMOUNT_SESSION, "did not come back in time: what it holds ends"},
    [NOTE_LIMIT_REACHED] = {LOG_WARNING, AMOUNT_NONE, "a table is full: raise the max_ settings in granary.conf"},
};

_Static_assert(sizeof rows / sizeof *rows == NOTE_KINDS, "every note has its words");

/* The line that is put together; cut when it does not fit. */
typedef struct {
    char text[LOG_TEXT_MAX];
    size_t used;
} line;

static void __attribute__((format(printf, 2, 3))) add(line *l, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(l->text + l->used, sizeof l->text - l->used, format, arguments);
    va_end(arguments);
    if (n > 0)
        l->used = l->used + (size_t)n < sizeof l->text ? l->used + (size_t)n : sizeof l->text - 1;
}

static void add_allocation(line *l, const broker *b, const char *key, allocation_id id)
{
    allocation_view v;
    char label[2 * LABEL_MAX];
    if (id.v == 0)
        return;
    add(l, "%s=%" PRIu64 " ", key, id.v);
    if (view_allocation_by_id(b->driver.core, id, &v) == 0)
        add(l, "%s_label=%s ", key, log_quote(v.terms->label, label, sizeof label));
}

static void add_host(line *l, const broker *b, host_id id)
{
    host_view v;
    if (id.v == HOST_NONE.v)
        return;
    if (view_host_by_id(b->driver.core, id, &v) == 0)
        add(l, "host=%s ", v.name);
}

static void add_amount(line *l, amount_kind kind, uint64_t amount)
{
    char text[SIZE_TEXT_MAX];
    if (kind == AMOUNT_BYTES)
        add(l, "bytes=%" PRIu64 " size=%s ", amount, size_format(amount, text));
    else if (kind == AMOUNT_MS)
        add(l, "ms=%" PRIu64 " ", amount);
    else if (kind == AMOUNT_SESSION)
        add(l, "session=%" PRIu64 " ", amount);
    else if (kind == AMOUNT_WORK)
        add(l, "byte_ms=%" PRIu64 " ", amount);
}

void note_write(broker *b, const effect_note *note)
{
    const note_row *row = &rows[note->kind];
    if (!log_wants(b->log, row->level))
        return;
    line l = {0};
    add_host(&l, b, note->host);
    add_allocation(&l, b, "allocation", note->allocation);
    add_allocation(&l, b, "for", note->beneficiary);
    if (note->recall.v)
        add(&l, "recall=%" PRIu64 " ", note->recall.v);
    if (note->claim.v)
        add(&l, "claim=%" PRIu64 " ", note->claim.v);
    if (note->chunks)
        add(&l, "chunks=%" PRIu32 " ", note->chunks);
    add_amount(&l, row->amount, note->amount);
    if (note->status)
        add(&l, "status=%s ", status_name(note->status));
    log_write(b->log, row->level, "%s%s", l.text, row->text);
}
