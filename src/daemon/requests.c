#include "daemon/requests.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"
#include "core/place.h"
#include "daemon/quantity.h"
#include "granary.pb-c.h"

/* What a reader of one kind of request works with. */
typedef struct {
    request_room *room;
    int (*find_host)(void *userdata, const char *name, host_id *ret);
    void *userdata;
    core_event *event;
    char *why;
    size_t why_size;
} reading;

typedef int (*request_reader)(reading *r, const ProtobufCMessage *message);

static int __attribute__((format(printf, 2, 3))) wrong(reading *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->why, r->why_size, format, arguments);
    va_end(arguments);
    return STATUS_INVALID;
}

/* ---- parts ---- */

static int read_extents(reading *r, Granary__Extent **from, size_t n)
{
    uint64_t sum = 0;
    if (n > EXTENTS_MAX)
        return wrong(r, "more than %u extents in one message: send it in parts", EXTENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (from[i]->chunks == 0)
            return wrong(r, "an extent of 0 chunks: leave it out");
        r->room->extents[i] = (extent){.host = {from[i]->host}, .chunks = from[i]->chunks};
        sum += from[i]->chunks;
    }
    return sum > UINT32_MAX ? wrong(r, "more than %" PRIu32 " chunks in all", UINT32_MAX) : 0;
}

/* Who takes what is left over gives it back when others wait, unless it said that it keeps it. */
static uint32_t read_flags(uint32_t flags)
{
    bool gives = (flags & TERM_GROWABLE) && !(flags & TERM_KEEP);
    return (flags & TERM_ALL) | (gives ? TERM_RECALLABLE : 0);
}

static int read_terms(reading *r, const Granary__Terms *t, allocation_terms *to)
{
    uint64_t all;
    if (!t)
        return wrong(r, "a request without terms");
    if (strlen(t->label) >= LABEL_MAX || !text_printable(t->label))
        return wrong(r, "the label is longer than %u bytes, or holds what cannot be printed: choose another",
                     LABEL_MAX - 1);
    if (strlen(t->filter) >= FILTER_MAX || !text_printable(t->filter))
        return wrong(r, "the list of hosts is longer than %u bytes, or holds what cannot be printed: use labels",
                     FILTER_MAX - 1);
    if (!place_filter_valid(t->filter))
        return wrong(r, "the list of hosts is malformed: write names and labels between single commas, without blanks, "
                        "such as alpha,!beta");
    if (t->chunk_size == 0 || t->want == 0)
        return wrong(r, "0 %s asked for: ask for at least one", t->want ? "bytes a chunk" : "chunks");
    if (__builtin_mul_overflow(t->chunk_size, (uint64_t)t->want, &all) || all > INT64_MAX)
        return wrong(r, "%" PRIu32 " chunks of %" PRIu64 " bytes are more than can be counted: ask for less", t->want,
                     t->chunk_size);
    if (t->flags & ~(uint32_t)(TERM_ALL | TERM_KEEP))
        return wrong(r, "unknown terms (flags %#" PRIx32 "): this broker is older than its client", t->flags);
    if ((t->flags & TERM_KEEP) && (t->flags & (TERM_RECALLABLE | TERM_REVOCABLE)))
        return wrong(r, "chunks cannot be both kept and recallable: leave one of these terms out");
    if (t->min > t->want)
        return wrong(r, "the least (%" PRIu32 " chunks) is more than is wanted (%" PRIu32 ")", t->min, t->want);
    to->chunk_size = t->chunk_size;
    to->want = t->want;
    to->min = t->min || (t->flags & TERM_GROWABLE) ? t->min : t->want;
    to->flags = read_flags(t->flags);
    to->priority = t->priority;
    to->notice_ms = t->notice_ms ? t->notice_ms : r->room->default_notice;
    to->wait_ms = t->wait_ms ? t->wait_ms : MS_NEVER;
    strcpy(to->label, t->label);
    strcpy(to->filter, t->filter);
    return 0;
}

/* ---- one reader for each request ---- */

static int read_allocate(reading *r, const ProtobufCMessage *message)
{
    const Granary__Allocate *m = (const Granary__Allocate *)message;
    return read_terms(r, m->terms, &r->event->allocate.terms);
}

static int read_plan(reading *r, const ProtobufCMessage *message)
{
    r->event->allocate.dry_run = true;
    return read_allocate(r, message);
}

static int read_cancel(reading *r, const ProtobufCMessage *message)
{
    const Granary__Cancel *m = (const Granary__Cancel *)message;
    r->event->cancel.id.v = m->allocation;
    return 0;
}

static int read_want(reading *r, const ProtobufCMessage *message)
{
    const Granary__Want *m = (const Granary__Want *)message;
    r->event->want.id.v = m->allocation;
    r->event->want.want = m->want;
    return 0;
}

static int read_release(reading *r, const ProtobufCMessage *message)
{
    const Granary__Release *m = (const Granary__Release *)message;
    r->event->release.id.v = m->allocation;
    r->event->release.recall.v = m->recall;
    r->event->release.extents = r->room->extents;
    r->event->release.n = (uint32_t)m->n_extents;
    return read_extents(r, m->extents, m->n_extents);
}

static int read_release_n(reading *r, const ProtobufCMessage *message)
{
    const Granary__ReleaseN *m = (const Granary__ReleaseN *)message;
    r->event->release_n.id.v = m->allocation;
    r->event->release_n.recall.v = m->recall;
    r->event->release_n.count = m->count;
    r->event->release_n.busy = r->room->extents;
    r->event->release_n.n = (uint32_t)m->n_busy;
    return read_extents(r, m->busy, m->n_busy);
}

static int read_offer(reading *r, const ProtobufCMessage *message)
{
    const Granary__Offer *m = (const Granary__Offer *)message;
    if (m->n_items > OFFER_MAX)
        return wrong(r, "more than %u chunks in one offer: offer those that end first", OFFER_MAX);
    for (size_t i = 0; i < m->n_items; i++)
        r->room->items[i] = (offer_item){.host = {m->items[i]->host},
                                         .free_in = m->items[i]->known ? m->items[i]->free_in_ms : MS_NEVER};
    r->event->offer.id.v = m->allocation;
    r->event->offer.recall.v = m->recall;
    r->event->offer.items = r->room->items;
    r->event->offer.n = (uint32_t)m->n_items;
    return 0;
}

static int read_claim(reading *r, const ProtobufCMessage *message)
{
    const Granary__Claim *m = (const Granary__Claim *)message;
    r->event->claim.id.v = m->allocation;
    r->event->claim.host.v = m->host;
    r->event->claim.chunks = m->chunks;
    quantity_clean(r->event->claim.command, COMMAND_MAX, m->command);
    return 0;
}

static int read_enter(reading *r, const ProtobufCMessage *message)
{
    const Granary__Enter *m = (const Granary__Enter *)message;
    r->event->enter.gen.v = m->claim;
    r->event->enter.fresh = m->fresh;
    return 0;
}

static int read_empty(reading *r, const ProtobufCMessage *message)
{
    r->event->empty.gen.v = ((const Granary__Empty *)message)->claim;
    return 0;
}

static int read_shrink(reading *r, const ProtobufCMessage *message)
{
    const Granary__Shrink *m = (const Granary__Shrink *)message;
    if (m->chunks == 0)
        return wrong(r, "a claim cannot have 0 chunks: close it instead");
    r->event->shrink.gen.v = m->claim;
    r->event->shrink.chunks = m->chunks;
    return 0;
}

static int read_close(reading *r, const ProtobufCMessage *message)
{
    const Granary__Close *m = (const Granary__Close *)message;
    r->event->close.gen.v = m->claim;
    r->event->close.kill = m->kill;
    return 0;
}

static int read_transfer(reading *r, const ProtobufCMessage *message)
{
    const Granary__Transfer *m = (const Granary__Transfer *)message;
    r->event->transfer.id.v = m->allocation;
    r->event->transfer.to.v = m->session;
    return 0;
}

static int read_outcome(reading *r, const ProtobufCMessage *message)
{
    r->event->outcome.id.v = ((const Granary__RecallOutcome *)message)->recall;
    return 0;
}

static int read_drain(reading *r, const ProtobufCMessage *message)
{
    const Granary__Drain *m = (const Granary__Drain *)message;
    char name[NAME_MAX_HOST];
    quantity_clean(name, sizeof name, m->host);
    if (r->find_host(r->userdata, m->host, &r->event->drain.host) < 0) {
        wrong(r, "there is no host \"%s\": `granary hosts` lists them", name);
        return STATUS_NOT_FOUND;
    }
    return 0;
}

static int read_release_foreign(reading *r, const ProtobufCMessage *message)
{
    const Granary__ReleaseForeign *m = (const Granary__ReleaseForeign *)message;
    r->event->release_foreign.id.v = m->allocation;
    r->event->release_foreign.count = m->chunks;
    return 0;
}

/* ---- table ---- */

typedef struct {
    const ProtobufCMessageDescriptor *descriptor;
    event_kind kind;
    request_reader read;
} request_row;

static const request_row rows[] = {
    [GRANARY__MESSAGE_TYPE__TYPE_ALLOCATE] = {&granary__allocate__descriptor, EVENT_ALLOCATE, read_allocate},
    [GRANARY__MESSAGE_TYPE__TYPE_PLAN] = {&granary__allocate__descriptor, EVENT_ALLOCATE, read_plan},
    [GRANARY__MESSAGE_TYPE__TYPE_CANCEL] = {&granary__cancel__descriptor, EVENT_CANCEL, read_cancel},
    [GRANARY__MESSAGE_TYPE__TYPE_WANT] = {&granary__want__descriptor, EVENT_WANT, read_want},
    [GRANARY__MESSAGE_TYPE__TYPE_RELEASE] = {&granary__release__descriptor, EVENT_RELEASE, read_release},
    [GRANARY__MESSAGE_TYPE__TYPE_RELEASE_N] = {&granary__release_n__descriptor, EVENT_RELEASE_N, read_release_n},
    [GRANARY__MESSAGE_TYPE__TYPE_OFFER] = {&granary__offer__descriptor, EVENT_OFFER, read_offer},
    [GRANARY__MESSAGE_TYPE__TYPE_CLAIM] = {&granary__claim__descriptor, EVENT_CLAIM, read_claim},
    [GRANARY__MESSAGE_TYPE__TYPE_ENTER] = {&granary__enter__descriptor, EVENT_ENTER, read_enter},
    [GRANARY__MESSAGE_TYPE__TYPE_EMPTY] = {&granary__empty__descriptor, EVENT_EMPTY, read_empty},
    [GRANARY__MESSAGE_TYPE__TYPE_SHRINK] = {&granary__shrink__descriptor, EVENT_SHRINK, read_shrink},
    [GRANARY__MESSAGE_TYPE__TYPE_CLOSE] = {&granary__close__descriptor, EVENT_CLOSE, read_close},
    [GRANARY__MESSAGE_TYPE__TYPE_TRANSFER] = {&granary__transfer__descriptor, EVENT_TRANSFER, read_transfer},
    [GRANARY__MESSAGE_TYPE__TYPE_RECALL_OUTCOME] = {&granary__recall_outcome__descriptor, EVENT_RECALL_OUTCOME,
                                                    read_outcome},
    [GRANARY__MESSAGE_TYPE__TYPE_DRAIN] = {&granary__drain__descriptor, EVENT_DRAIN, read_drain},
    [GRANARY__MESSAGE_TYPE__TYPE_UNDRAIN] = {&granary__drain__descriptor, EVENT_UNDRAIN, read_drain},
    [GRANARY__MESSAGE_TYPE__TYPE_RELEASE_FOREIGN] = {&granary__release_foreign__descriptor, EVENT_RELEASE_FOREIGN,
                                                     read_release_foreign},
};

ProtobufCMessage *request_unpack(scratch *s, const ProtobufCMessageDescriptor *descriptor, const frame *f)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(descriptor, &s->allocator, f->header.length, f->body);
    return m && m->n_unknown_fields == 0 ? m : NULL;
}

int request_read(request_room *room, scratch *s, const frame *f,
                 int (*find_host)(void *userdata, const char *name, host_id *ret), void *userdata, core_event *ret,
                 char *why, size_t why_size)
{
    const request_row *row = f->header.type < sizeof rows / sizeof *rows ? &rows[f->header.type] : NULL;
    if (!row || !row->descriptor) {
        snprintf(why, why_size, "%s is no request", frame_type_name(f->header.type));
        return STATUS_PROTOCOL;
    }
    const ProtobufCMessage *m = request_unpack(s, row->descriptor, f);
    if (!m && s->full) {
        snprintf(why, why_size, "the lists in this %s are too long", frame_type_name(f->header.type));
        return STATUS_NO_MEMORY;
    }
    if (!m) {
        snprintf(why, why_size, "the body of this %s is malformed", frame_type_name(f->header.type));
        return STATUS_PROTOCOL;
    }
    *ret = (core_event){.kind = row->kind};
    reading r = {
        .room = room, .find_host = find_host, .userdata = userdata, .event = ret, .why = why, .why_size = why_size};
    return row->read(&r, m);
}
