/* pack: the same bytes as the library's packer, for every message of the schema with anything in it; never behind its
 * room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "granary.pb-c.h"
#include "proto/pack.h"

#define ROUNDS   400
#define LIST_MAX 4u
#define ROOM_MAX (256u << 10)

static uint64_t seed = 88172645463325252u;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Small numbers and zeros as often as large ones. */
static uint64_t draw_number(void)
{
    unsigned kind = draw() % 4;
    return kind == 0 ? 0 : kind == 1 ? draw() % 300 : draw() >> draw() % 64;
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
    size_t n = draw() % 3 ? draw() % 200 : 0;
    char *text = take(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + draw() % 26);
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
        *(protobuf_c_boolean *)member = draw() % 2;
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
        if (draw() % 3 == 0)
            continue; /* left as it is */
        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
            draw_member(f, member);
            continue;
        }
        size_t n = draw() % (LIST_MAX + 1);
        uint8_t *list = take((n + 1) * size_of(f->type));
        for (size_t k = 0; k < n; k++)
            draw_member(f, list + k * size_of(f->type));
        *(void **)member = list;
        *(size_t *)((uint8_t *)m + f->quantifier_offset) = n;
    }
    return m;
}

static const ProtobufCMessageDescriptor *const all[] = {
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

#define KINDS (sizeof all / sizeof *all)

static uint8_t expected[ROOM_MAX], packed[ROOM_MAX];

static void same_bytes_as_the_library(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t kind = 0; kind < KINDS; kind++) {
            heap.used = 0;
            const ProtobufCMessage *m = draw_message(all[kind]);
            size_t n = protobuf_c_message_pack(m, expected);
            assert_int_equal(pack_message(m, packed, sizeof packed), n);
            assert_memory_equal(packed + sizeof packed - n, expected, n);
        }
}

/* Every smaller room is refused, and no byte in front of it is written. */
static void room_too_small(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        heap.used = 0;
        const ProtobufCMessage *m = draw_message(all[kind]);
        size_t n = protobuf_c_message_pack(m, expected);
        assert_int_equal(pack_message(m, packed, n + PACK_SLACK), n);
        for (size_t size = 0; size < n; size++) {
            memset(packed, 0x5a, 64);
            assert_true(pack_message(m, packed + 64, size) == PACK_NO_ROOM);
            for (size_t i = 0; i < 64; i++)
                assert_int_equal(packed[i], 0x5a);
        }
    }
}

static void an_empty_message(void **state)
{
    (void)state;
    Granary__Goodbye m = GRANARY__GOODBYE__INIT;
    assert_int_equal(pack_message(&m.base, packed, 0), 0);
    Granary__Reply r = GRANARY__REPLY__INIT;
    r.text = NULL; /* as an empty one */
    assert_int_equal(pack_message(&r.base, packed, 0), 0);
}

static void fields_of_a_newer_schema(void **state)
{
    (void)state;
    uint8_t text[] = {3, 'n', 'e', 'w'}, number[] = {0x96, 0x01};
    ProtobufCMessageUnknownField newer[] = {
        {.tag = 90, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = sizeof text, .data = text},
        {.tag = 5000, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = sizeof number, .data = number},
    };
    Granary__Cancel m = GRANARY__CANCEL__INIT;
    m.allocation = 300;
    m.base.n_unknown_fields = 2;
    m.base.unknown_fields = newer;
    size_t n = protobuf_c_message_pack(&m.base, expected);
    assert_int_equal(n, 3 + 2 + 4 + 3 + 2);
    assert_int_equal(pack_message(&m.base, packed, sizeof packed), n);
    assert_memory_equal(packed + sizeof packed - n, expected, n);
    assert_true(pack_message(&m.base, packed, n - 1) == PACK_NO_ROOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_as_the_library),
        cmocka_unit_test(room_too_small),
        cmocka_unit_test(an_empty_message),
        cmocka_unit_test(fields_of_a_newer_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
