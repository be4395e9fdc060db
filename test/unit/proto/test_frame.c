/* frame: the header's bytes, and who may send what when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "granary.pb-c.h"
#include "proto/frame.h"

#define TYPE(t) ((uint16_t)GRANARY__MESSAGE_TYPE__TYPE_##t)

static void header_has_a_fixed_layout(void **state)
{
    (void)state;
    const frame_header header = {.length = 0x04030201,
                                 .type = 0x0605,
                                 .flags = 0x0807,
                                 .number = 0x100f0e0d0c0b0a09,
                                 .acked = 0x1817161514131211};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_encode(&header, bytes);
    for (unsigned i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], i + 1);
    frame_header back;
    frame_header_decode(bytes, &back);
    assert_true(back.length == header.length && back.type == header.type && back.flags == header.flags);
    assert_true(back.number == header.number && back.acked == header.acked);
}

/* The numbers of one range belong to one sender, after its hello. */
static peer_state sender_of(uint16_t type)
{
    if (type == TYPE(HELLO))
        return PEER_CLIENT_NEW;
    if (type == TYPE(WELCOME))
        return PEER_BROKER_TO_CLIENT_NEW;
    if (type == TYPE(AGENT_WELCOME))
        return PEER_BROKER_TO_AGENT_NEW;
    if (type == TYPE(AGENT_HELLO))
        return PEER_AGENT_NEW;
    if (type < 64)
        return PEER_CLIENT;
    if (type < 128)
        return PEER_BROKER_TO_CLIENT;
    return type < 160 ? PEER_BROKER_TO_AGENT : PEER_AGENT;
}

static bool is_broker(peer_state from)
{
    return from >= PEER_BROKER_TO_CLIENT_NEW;
}

static void every_type_has_its_senders_and_no_others(void **state)
{
    (void)state;
    unsigned known = 0;
    for (uint32_t type = 0; type <= UINT16_MAX; type++) {
        const ProtobufCEnumValue *value =
            protobuf_c_enum_descriptor_get_value(&granary__message_type__descriptor, (int)type);
        bool real = value && type != 0;
        assert_string_equal(frame_type_name((uint16_t)type), real ? value->name + strlen("TYPE_") : "?");
        known += real;
        for (peer_state from = PEER_CLIENT_NEW; from <= PEER_BROKER_TO_AGENT; from++) {
            bool may = real && (type == TYPE(ERROR) ? is_broker(from) : sender_of((uint16_t)type) == from);
            const char *why = NULL;
            int r = frame_admit(from, &(frame_header){.type = (uint16_t)type}, &why);
            assert_int_equal(r, may ? 0 : STATUS_PROTOCOL);
            assert_true(may ? why == NULL : why != NULL);
        }
    }
    assert_int_equal(known, granary__message_type__descriptor.n_values - 1);
}

static void length_is_bounded(void **state)
{
    (void)state;
    static const struct {
        peer_state from;
        uint16_t type;
        uint32_t length;
        int status;
    } rows[] = {
        {PEER_CLIENT_NEW, TYPE(HELLO), 0, 0},
        {PEER_CLIENT_NEW, TYPE(HELLO), 4096, 0},
        {PEER_CLIENT_NEW, TYPE(HELLO), 4097, STATUS_PROTOCOL},
        {PEER_CLIENT_NEW, TYPE(HELLO), UINT32_MAX, STATUS_PROTOCOL},
        {PEER_CLIENT, TYPE(RELEASE), 1u << 20, 0},
        {PEER_CLIENT, TYPE(RELEASE), (1u << 20) + 1, STATUS_PROTOCOL},
        {PEER_CLIENT, TYPE(RELEASE), UINT32_MAX, STATUS_PROTOCOL},
        {PEER_AGENT_NEW, TYPE(AGENT_HELLO), 1u << 20, 0},
        {PEER_AGENT, TYPE(AGENT_SAMPLE), (1u << 20) + 1, STATUS_PROTOCOL},
        {PEER_BROKER_TO_CLIENT_NEW, TYPE(WELCOME), 1u << 20, 0},
        {PEER_BROKER_TO_CLIENT, TYPE(QUERY_REPLY), (1u << 20) + 1, STATUS_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *why = "";
        frame_header header = {.type = rows[i].type, .length = rows[i].length};
        assert_int_equal(frame_admit(rows[i].from, &header, &why), rows[i].status);
    }
}

static void reserved_flags_are_refused(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit < 16; bit++) {
        const char *why = NULL;
        frame_header header = {.type = TYPE(ENTER), .flags = (uint16_t)(1u << bit)};
        assert_int_equal(frame_admit(PEER_CLIENT, &header, &why), STATUS_PROTOCOL);
        assert_string_equal(why, "reserved flags are set: is the other side a newer Granary?");
    }
}

static void descriptors_ride_only_where_they_belong(void **state)
{
    (void)state;
    for (unsigned i = 1; i < granary__message_type__descriptor.n_values; i++) {
        uint16_t type = (uint16_t)granary__message_type__descriptor.values[i].value;
        bool may = type == TYPE(CLAIM) || type == TYPE(ENTER) || type == TYPE(AGENT_OPEN) || type == TYPE(AGENT_ENTER);
        frame_header header = {.type = type, .flags = FRAME_HAS_FD};
        const char *why = NULL;
        peer_state from = type == TYPE(ERROR) ? PEER_BROKER_TO_CLIENT : sender_of(type);
        assert_int_equal(frame_admit(from, &header, &why), may ? 0 : STATUS_PROTOCOL);
        if (!may)
            assert_string_equal(why, "a descriptor rides with a message that takes none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_has_a_fixed_layout),
        cmocka_unit_test(every_type_has_its_senders_and_no_others),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(reserved_flags_are_refused),
        cmocka_unit_test(descriptors_ride_only_where_they_belong),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
