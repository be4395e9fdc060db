#include "daemon/notes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "core/view.h"
#include "daemon/broker.h"

typedef enum { AMOUNT_NONE, AMOUNT_BYTES, AMOUNT_SESSION, AMOUNT_WORK } amount_kind;

typedef struct {
    log_level level;
    amount_kind amount;
    const char *text;
    bool routine; /* happens with every request: kept for `granary log`, not printed */
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
    [NOTE_GRANTED] = {LOG_INFO, AMOUNT_NONE, "granted", true},
    [NOTE_QUEUED] = {LOG_INFO, AMOUNT_NONE, "waits in the queue", true},
    [NOTE_REFUSED] = {LOG_INFO, AMOUNT_BYTES, "refused", true},
    [NOTE_GREW] = {LOG_INFO, AMOUNT_NONE, "grew", true},
    [NOTE_ENDED] = {LOG_INFO, AMOUNT_NONE, "ended", true},
    [NOTE_TIMED_OUT] = {LOG_INFO, AMOUNT_NONE, "waited as long as it was allowed to"},
    [NOTE_HELD] = {LOG_INFO, AMOUNT_BYTES, "memory is held for it"},
    [NOTE_RECALL] = {LOG_INFO, AMOUNT_NONE, "chunks are asked back"},
    [NOTE_OFFERED] = {LOG_INFO, AMOUNT_NONE, "offers chunks", true},
    [NOTE_PREFERRED] = {LOG_INFO, AMOUNT_NONE, "of the offer these are preferred", true},
    [NOTE_GIVEN] = {LOG_INFO, AMOUNT_NONE, "gave chunks back", true},
    [NOTE_WITHDRAWN] = {LOG_INFO, AMOUNT_NONE, "the recall is withdrawn"},
    [NOTE_OVERDUE] = {LOG_WARNING, AMOUNT_NONE, "the recall is overdue"},
    [NOTE_RECALL_DONE] = {LOG_INFO, AMOUNT_NONE, "the recall is answered"},
    [NOTE_REVOKED] = {LOG_WARNING, AMOUNT_WORK, "taken by force"},
    [NOTE_CLAIMED] = {LOG_INFO, AMOUNT_NONE, "claimed", true},
    [NOTE_CLAIM_ENDED] = {LOG_INFO, AMOUNT_NONE, "the claim ended", true},
    [NOTE_QUARANTINED] = {LOG_WARNING, AMOUNT_BYTES,
                          "memory stays charged after the end: it is not sold until it is free"},
    [NOTE_UNQUARANTINED] = {LOG_INFO, AMOUNT_BYTES, "the memory is free after all"},
    [NOTE_SESSION_DETACHED] = {LOG_DEBUG, AMOUNT_SESSION, "lost its connection, and may come back"},
    [NOTE_SESSION_LOST] = {LOG_INFO, AMOUNT_SESSION, "did not come back in time: what it holds ends"},
    [NOTE_LIMIT_REACHED] = {LOG_WARNING, AMOUNT_NONE, "a table is full: raise the max_ settings in granary.conf"},
    [NOTE_CLAIM_OVER] = {LOG_WARNING, AMOUNT_BYTES, "uses more than its lease, and nothing limits it here"},
};

_Static_assert(sizeof rows / sizeof *rows == NOTE_KINDS, "every note has its words");

/* A note with the names that it needs, as they are now: the host's, the label, and for whom it is, one behind the
 * other, so that a short note touches little memory. */
typedef struct {
    effect_note note;
    char names[NAME_MAX_HOST + LABEL_MAX + LABEL_MAX];
} named_note;

_Static_assert(sizeof(named_note) <= LOG_TEXT_MAX, "a note is kept as it is");

/* The line that is put together; cut when it does not fit. */
typedef struct {
    char *to;
    size_t size, used;
} line;

static void __attribute__((format(printf, 2, 3))) add(line *l, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(l->to + l->used, l->size - l->used, format, arguments);
    va_end(arguments);
    if (n > 0)
        l->used = l->used + (size_t)n < l->size ? l->used + (size_t)n : l->size - 1;
}

static void add_allocation(line *l, const char *key, allocation_id id, const char *label)
{
    char quoted[2 * LABEL_MAX];
    if (id.v == 0)
        return;
    add(l, "%s=%" PRIu64 " ", key, id.v);
    if (*label)
        add(l, "%s_label=%s ", key, log_quote(label, quoted, sizeof quoted));
}

static void add_amount(line *l, amount_kind kind, uint64_t amount)
{
    char text[SIZE_TEXT_MAX];
    if (kind == AMOUNT_BYTES)
        add(l, "bytes=%" PRIu64 " size=%s ", amount, size_format(amount, text));
    else if (kind == AMOUNT_SESSION)
        add(l, "session=%" PRIu64 " ", amount);
    else if (kind == AMOUNT_WORK)
        add(l, "byte_ms=%" PRIu64 " ", amount);
}

static void in_words(const void *data, char *to, size_t size)
{
    const named_note *n = data;
    const effect_note *note = &n->note;
    const note_row *row = &rows[note->kind];
    const char *host = n->names, *label = host + strlen(host) + 1, *for_label = label + strlen(label) + 1;
    line l = {.to = to, .size = size};
    *to = '\0';
    if (*host)
        add(&l, "host=%s ", host);
    add_allocation(&l, "allocation", note->allocation, label);
    add_allocation(&l, "for", note->beneficiary, for_label);
    if (note->recall.v)
        add(&l, "recall=%" PRIu64 " ", note->recall.v);
    if (note->claim.v)
        add(&l, "claim=%" PRIu64 " ", note->claim.v);
    if (note->chunks)
        add(&l, "chunks=%" PRIu32 " ", note->chunks);
    add_amount(&l, row->amount, note->amount);
    if (note->pid)
        add(&l, "uid=%" PRIu32 " pid=%" PRId32 " ", note->user.v, note->pid);
    if (note->status)
        add(&l, "status=%s ", status_name(note->status));
    add(&l, "%s", row->text);
}

/* Puts a name (NULL: none) at `to`; returns the place behind it. */
static char *put_name(char *to, const char *name)
{
    if (!name) {
        *to = '\0';
        return to + 1;
    }
    size_t size = strlen(name) + 1;
    memcpy(to, name, size);
    return to + size;
}

static const char *label_of(const broker *b, allocation_id id)
{
    return id.v ? view_label(b->driver.core, id) : NULL;
}

static void named(const broker *b, const effect_note *note, named_note *ret)
{
    host_view host;
    bool known = note->host.v != HOST_NONE.v && view_host_by_id(b->driver.core, note->host, &host) == 0;
    ret->note = *note;
    char *to = put_name(ret->names, known ? host.name : NULL);
    to = put_name(to, label_of(b, note->allocation));
    to = put_name(to, label_of(b, note->beneficiary));
    assert(to <= ret->names + sizeof ret->names);
}

void note_write(broker *b, const effect_note *note)
{
    const note_row *row = &rows[note->kind];
    if (!log_wants(b->log, row->level))
        return;
    if (row->routine) {
        b->wall = b->wall ? b->wall : log_wall_ms();
        named(b, note, log_defer(b->log, row->level, b->wall, in_words));
        log_told(b->log);
        return;
    }
    named_note n;
    char text[LOG_TEXT_MAX];
    named(b, note, &n);
    in_words(&n, text, sizeof text);
    log_write(b->log, row->level, "%s", text);
}
