/*
 * pack.c - backwards, so that every length is known when its turn comes.
 *
 * The last field of a message is written first, to the end of the room, and each one before it in front. The length of
 * a message within a message is what was written for it. As in proto3, a zero, an empty text or no message is not
 * written.
 */
#include "proto/pack.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define NUMBER_MAX 10u /* bytes of 64 bits in groups of seven */
#define TAG_MAX    5u

_Static_assert(PACK_SLACK >= NUMBER_MAX + TAG_MAX, "room is asked once for a number and its tag");

enum { WIRE_NUMBER = 0, WIRE_BYTES = 2 };

/* What is written lies from `at` to the end. */
typedef struct {
    uint8_t *begin, *at;
    bool full;
} writer;

/* Whether `bytes` and a number and a tag before them may be written. */
static bool room(writer *w, size_t bytes)
{
    size_t left = (size_t)(w->at - w->begin);
    if (w->full || left < PACK_SLACK || left - PACK_SLACK < bytes)
        w->full = true;
    return !w->full;
}

/* Room was asked for. */
static void put_number(writer *w, uint64_t v)
{
    if (v < 0x80) {
        *--w->at = (uint8_t)v;
        return;
    }
    unsigned bits = 64u - (unsigned)__builtin_clzll(v);
    uint8_t *p = w->at -= (bits + 6) / 7;
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p = (uint8_t)v;
}

static void put_tag(writer *w, uint32_t id, unsigned wire)
{
    put_number(w, (uint64_t)id << 3 | wire);
}

static void put_bytes(writer *w, uint32_t id, const void *bytes, size_t n)
{
    if (!room(w, n))
        return;
    w->at -= n;
    memcpy(w->at, bytes, n);
    put_number(w, n);
    put_tag(w, id, WIRE_BYTES);
}

static void put_fields(writer *w, const ProtobufCMessage *m);

static void put_inner(writer *w, uint32_t id, const ProtobufCMessage *m)
{
    const uint8_t *end = w->at;
    put_fields(w, m);
    if (!room(w, 0))
        return;
    put_number(w, (uint64_t)(end - w->at));
    put_tag(w, id, WIRE_BYTES);
}

/* ---- members, as the generated structs hold them ---- */

/* The number at `member` as it goes over the wire. */
static uint64_t number_at(ProtobufCType type, const void *member)
{
    uint32_t bits;
    switch (type) {
    case PROTOBUF_C_TYPE_UINT64:
        return *(const uint64_t *)member;
    case PROTOBUF_C_TYPE_UINT32:
        return *(const uint32_t *)member;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)member != 0;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        return (uint64_t)(int64_t) * (const int32_t *)member;
    case PROTOBUF_C_TYPE_SINT32:
        bits = *(const uint32_t *)member;
        return bits << 1 ^ (0u - (bits >> 31));
    default:
        assert(!"a kind of number that the schema does not use");
        return 0;
    }
}

static size_t number_size(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_UINT64 ? sizeof(uint64_t) : sizeof(uint32_t);
}

_Static_assert(sizeof(protobuf_c_boolean) == sizeof(uint32_t), "number_size() knows two sizes");

#define KIND(type)       (1u << PROTOBUF_C_TYPE_##type)
#define KINDS_OF_32_BITS (KIND(UINT32) | KIND(INT32) | KIND(SINT32) | KIND(BOOL) | KIND(ENUM))
#define KINDS_OF_NUMBERS (KINDS_OF_32_BITS | KIND(UINT64))

static bool is_number(ProtobufCType type)
{
    return 1u << type & KINDS_OF_NUMBERS;
}

/* Zero, no bytes or no message: most members of most messages. */
static bool is_unset(ProtobufCType type, const void *member)
{
    return 1u << type & KINDS_OF_32_BITS ? *(const uint32_t *)member == 0 : *(const uint64_t *)member == 0;
}

_Static_assert(sizeof(void *) == sizeof(uint64_t) && sizeof(size_t) == sizeof(uint64_t) &&
                   offsetof(ProtobufCBinaryData, len) == 0,
               "is_unset() reads a number, a pointer and a length alike");

static void put_list(writer *w, const ProtobufCFieldDescriptor *f, const void *list, size_t n)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *const *items = list;
        while (n > 0 && !w->full)
            put_inner(w, f->id, items[--n]);
        return;
    }
    assert(is_number(f->type) && (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED));
    const uint8_t *end = w->at, *items = list;
    size_t size = number_size(f->type);
    while (n > 0 && room(w, 0))
        put_number(w, number_at(f->type, items + --n * size));
    if (!room(w, 0))
        return;
    put_number(w, (uint64_t)(end - w->at));
    put_tag(w, f->id, WIRE_BYTES);
}

static void put_single(writer *w, const ProtobufCFieldDescriptor *f, const void *member)
{
    if (is_number(f->type)) {
        if (!room(w, 0))
            return;
        put_number(w, number_at(f->type, member));
        put_tag(w, f->id, WIRE_NUMBER);
    } else if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(const char *const *)member;
        if (*text)
            put_bytes(w, f->id, text, strlen(text));
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *data = member;
        put_bytes(w, f->id, data->data, data->len);
    } else {
        put_inner(w, f->id, *(const ProtobufCMessage *const *)member);
    }
}

/* A field of a newer schema, as it came. */
static void put_unknown(writer *w, const ProtobufCMessageUnknownField *f)
{
    if (!room(w, f->len))
        return;
    w->at -= f->len;
    memcpy(w->at, f->data, f->len);
    put_tag(w, f->tag, f->wire_type);
}

static void put_fields(writer *w, const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    const uint8_t *base = (const uint8_t *)m;
    for (unsigned i = m->n_unknown_fields; i-- > 0;)
        put_unknown(w, &m->unknown_fields[i]);
    for (unsigned i = d->n_fields; i-- > 0;) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const void *member = base + f->offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)(base + f->quantifier_offset);
            if (n > 0)
                put_list(w, f, *(const void *const *)member, n);
        } else if (!is_unset(f->type, member)) {
            assert(f->label == PROTOBUF_C_LABEL_NONE && !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF));
            put_single(w, f, member);
        }
    }
}

size_t pack_message(const ProtobufCMessage *message, uint8_t *to, size_t size)
{
    writer w = {.begin = to, .at = to + size};
    put_fields(&w, message);
    return w.full ? PACK_NO_ROOM : (size_t)(to + size - w.at);
}
