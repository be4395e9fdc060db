/* pack: the same bytes as the library's packer, for every message of the schema with anything in it; never behind its
 * room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "any_message.h"
#include "granary.pb-c.h"
#include "proto/pack.h"

#define ROUNDS 400

static uint8_t expected[ANY_BYTES_MAX], packed[ANY_BYTES_MAX];

static void same_bytes_as_the_library(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t kind = 0; kind < any_kinds_count; kind++) {
            const ProtobufCMessage *m = any_message(kind);
            size_t n = protobuf_c_message_pack(m, expected);
            assert_int_equal(pack_message(m, packed, sizeof packed), n);
            assert_memory_equal(packed + sizeof packed - n, expected, n);
        }
}

/* Every smaller room is refused, and no byte in front of it is written. */
static void room_too_small(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < any_kinds_count; kind++) {
        const ProtobufCMessage *m = any_message(kind);
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
