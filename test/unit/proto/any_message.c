#include "any_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "granary.pb-c.h"

#define LIST_MAX 4u

static uint64_t seed = 88172645463325252u;

uint64_t any_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Small numbers and zeros as often as large ones. */
static uint64_t draw_number(void)
{
    unsigned kind = any_number() % 4;
    return kind == 0 ? 0 : kind == 1 ? any_number() % 300 : any_number() >> any_number() % 64;
}

/* What the messages are made of; all of it is given back at once. */
static struct {
    _Alignas(16) uint8_t bytes[1 << 20];
    size_t used;
} heap;

static void *take(size_t size)
{
    void *at = heap.bytes + heap.used;
    heap.used += (size + 15) / 16 * 16;
    assert_true(heap.used <= sizeof heap.bytes);
    return memset(at, 0, size);
}

static ProtobufCMessage *draw_message(const ProtobufCMessageDescriptor *d);

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_UINT64:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static char *draw_text(void)
{
    size_t n = any_number() % 3 ? any_number() % 200 : 0;
    char *text = take(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + any_number() % 26);
    return text;
}

static void draw_member(const ProtobufCFieldDescriptor *f, void *member)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)member = draw_number();
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(char **)member = draw_text();
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)member = draw_message(f->descriptor);
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData *data = member;
        data->data = (uint8_t *)draw_text();
        data->len = strlen((char *)data->data);
        break;
    }
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)member = any_number() % 2;
        break;
    default:
        *(uint32_t *)member = (uint32_t)draw_number();
    }
}

static ProtobufCMessage *draw_message(const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = take(d->sizeof_message);
    d->message_init(m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        uint8_t *member = (uint8_t *)m + f->offset;
        if (any_number() % 3 == 0)
            continue; /* left as it is */
        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
            draw_member(f, member);
            continue;
        }
        size_t n = any_number() % (LIST_MAX + 1);
        uint8_t *list = take((n + 1) * size_of(f->type));
        for (size_t k = 0; k < n; k++)
            draw_member(f, list + k * size_of(f->type));
        *(void **)member = list;
        *(size_t *)((uint8_t *)m + f->quantifier_offset) = n;
    }
    return m;
}

const ProtobufCMessageDescriptor *const any_kinds[] = {
    &granary__extent__descriptor,
    &granary__hello__descriptor,
    &granary__terms__descriptor,
    &granary__allocate__descriptor,
    &granary__cancel__descriptor,
    &granary__want__descriptor,
    &granary__release__descriptor,
    &granary__release_n__descriptor,
    &granary__offer__descriptor,
    &granary__claim__descriptor,
    &granary__enter__descriptor,
    &granary__empty__descriptor,
    &granary__shrink__descriptor,
    &granary__close__descriptor,
    &granary__transfer__descriptor,
    &granary__recall_outcome__descriptor,
    &granary__drain__descriptor,
    &granary__release_foreign__descriptor,
    &granary__goodbye__descriptor,
    &granary__query__descriptor,
    &granary__welcome__descriptor,
    &granary__allocation_state__descriptor,
    &granary__reply__descriptor,
    &granary__planned_ask__descriptor,
    &granary__error__descriptor,
    &granary__allocation_ended__descriptor,
    &granary__ask__descriptor,
    &granary__recall__descriptor,
    &granary__prefer__descriptor,
    &granary__withdraw__descriptor,
    &granary__claim_ended__descriptor,
    &granary__host_info__descriptor,
    &granary__query_reply__descriptor,
    &granary__agent_hello__descriptor,
    &granary__agent_welcome__descriptor,
    &granary__agent_ready__descriptor,
    &granary__agent_claim__descriptor,
    &granary__agent_answer__descriptor,
    &granary__agent_claim_use__descriptor,
    &granary__agent_sample__descriptor,
    &granary__agent_notice__descriptor,
};

const size_t any_kinds_count = sizeof any_kinds / sizeof *any_kinds;

const ProtobufCMessage *any_message(size_t kind)
{
    heap.used = 0;
    return draw_message(any_kinds[kind]);
}
