/*
 * unpack.c - one walk over the bytes; a list's part is walked twice, to know its length before it is stored.
 *
 * Every read is checked against the end of its own message. Messages nest as deep as the schema says: it has no message
 * within itself.
 */
#include "proto/unpack.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "proto/kinds.h"

#define FIELDS_MAX 64u /* of one message: bits of `seen` */

typedef struct {
    const uint8_t *at, *end;
} reader;

/* A field as it stands in the bytes. */
typedef struct {
    uint32_t id;
    unsigned wire;
    uint64_t number; /* WIRE_NUMBER */
    reader bytes;    /* WIRE_BYTES */
} item;

static inline bool read_number(reader *r, uint64_t *ret)
{
    uint64_t v = 0;
    if (r->at < r->end && *r->at < 0x80) { /* most of them */
        *ret = *r->at++;
        return true;
    }
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t group = *r->at++;
        v |= (uint64_t)(group & 0x7f) << shift;
        if (group < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static inline bool read_item(reader *r, item *ret)
{
    uint64_t tag, n;
    if (!read_number(r, &tag) || tag >> 3 > UINT32_MAX)
        return false;
    ret->id = (uint32_t)(tag >> 3);
    ret->wire = tag & 7;
    if (ret->wire == WIRE_NUMBER)
        return read_number(r, &ret->number);
    if (ret->wire != WIRE_BYTES || !read_number(r, &n) || n > (size_t)(r->end - r->at))
        return false;
    ret->bytes = (reader){r->at, r->at + n};
    r->at += n;
    return true;
}

/* The field of that number, which follows `last` mostly, or is it again. Sets *last to its place. */
static inline const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *d, uint32_t id, unsigned *last)
{
    for (unsigned i = *last; i < d->n_fields; i++)
        if (d->fields[i].id == id) {
            *last = i;
            return &d->fields[i];
        }
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, id);
    if (f)
        *last = (unsigned)(f - d->fields);
    return f;
}

static void *take(const ProtobufCAllocator *arena, size_t size)
{
    return arena->alloc(arena->allocator_data, size);
}

/* ---- members, as the generated structs hold them ---- */

static void store_number(ProtobufCType type, uint64_t v, void *member)
{
    uint32_t low = (uint32_t)v;
    switch (type) {
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)member = v;
        return;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)member = v != 0;
        return;
    case PROTOBUF_C_TYPE_SINT32:
        low = low >> 1 ^ (0u - (low & 1));
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        break;
    default:
        assert(!"a kind of number that the schema does not use");
    }
    *(uint32_t *)member = low;
}

/* One value that is no list, or one of a list that is not packed. */
static bool store_value(const ProtobufCAllocator *arena, const ProtobufCFieldDescriptor *f, const item *it,
                        void *member)
{
    if (kind_is_number(f->type)) {
        if (it->wire == WIRE_NUMBER)
            store_number(f->type, it->number, member);
        return it->wire == WIRE_NUMBER;
    }
    if (it->wire != WIRE_BYTES)
        return false;
    size_t n = (size_t)(it->bytes.end - it->bytes.at);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage *m = unpack_message(f->descriptor, arena, it->bytes.at, n);
        *(ProtobufCMessage **)member = m;
        return m != NULL;
    }
    uint8_t *copy = take(arena, n + 1);
    if (!copy)
        return false;
    memcpy(copy, it->bytes.at, n);
    copy[n] = 0;
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        *(char **)member = (char *)copy;
    } else {
        assert(f->type == PROTOBUF_C_TYPE_BYTES);
        *(ProtobufCBinaryData *)member = (ProtobufCBinaryData){.len = n, .data = copy};
    }
    return true;
}

/* ---- lists ---- */

static bool is_packed(const ProtobufCFieldDescriptor *f, const item *it)
{
    return kind_is_number(f->type) && it->wire == WIRE_BYTES;
}

static size_t item_elements(const ProtobufCFieldDescriptor *f, const item *it)
{
    if (!is_packed(f, it))
        return 1;
    size_t n = 0;
    for (const uint8_t *p = it->bytes.at; p < it->bytes.end; p++)
        n += *p < 0x80;
    return n;
}

/* The elements that stand together from `r` on, behind those that came before. */
static bool store_list(const ProtobufCAllocator *arena, const ProtobufCFieldDescriptor *f, reader *r, void **list,
                       size_t *n_list)
{
    size_t size = kind_size(f->type), n = *n_list, more = 0;
    item it;
    assert(f->type != PROTOBUF_C_TYPE_BYTES);
    for (reader ahead = *r; ahead.at < ahead.end; more += item_elements(f, &it))
        if (!read_item(&ahead, &it))
            return false;
        else if (it.id != f->id)
            break;
    uint8_t *to = take(arena, (n + more) * size);
    if (!to)
        return false;
    if (n > 0)
        memcpy(to, *list, n * size);
    while (r->at < r->end) {
        const uint8_t *start = r->at;
        if (!read_item(r, &it))
            return false;
        if (it.id != f->id) {
            r->at = start;
            break;
        }
        if (!is_packed(f, &it)) {
            if (!store_value(arena, f, &it, to + n++ * size))
                return false;
            continue;
        }
        for (uint64_t v; it.bytes.at < it.bytes.end; store_number(f->type, v, to + n++ * size))
            if (!read_number(&it.bytes, &v))
                return false;
    }
    *list = to;
    *n_list = n;
    return true;
}

/* ---- message ---- */

ProtobufCMessage *unpack_message(const ProtobufCMessageDescriptor *d, const ProtobufCAllocator *arena,
                                 const uint8_t *bytes, size_t size)
{
    assert(d->n_fields <= FIELDS_MAX);
    ProtobufCMessage *m = take(arena, d->sizeof_message);
    if (!m)
        return NULL;
    d->message_init(m);
    uint64_t seen = 0;
    unsigned last = 0;
    for (reader r = {bytes, bytes + size}; r.at < r.end;) {
        const uint8_t *start = r.at;
        item it;
        const ProtobufCFieldDescriptor *f = read_item(&r, &it) ? field_of(d, it.id, &last) : NULL;
        if (!f)
            return NULL;
        uint8_t *member = (uint8_t *)m + f->offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            r.at = start;
            if (!store_list(arena, f, &r, (void **)member, (size_t *)((uint8_t *)m + f->quantifier_offset)))
                return NULL;
            continue;
        }
        assert(f->label == PROTOBUF_C_LABEL_NONE && !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF));
        if ((seen & UINT64_C(1) << last) || !store_value(arena, f, &it, member))
            return NULL;
        seen |= UINT64_C(1) << last;
    }
    return m;
}
