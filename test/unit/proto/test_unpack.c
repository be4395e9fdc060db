/* unpack: what the library packs comes back whole; what it takes from harmed bytes, and we too, is the same; nothing is
 * read or taken beyond its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "any_message.h"
#include "granary.pb-c.h"
#include "proto/unpack.h"

#define ROUNDS     300
#define HARMED     2000
#define ARENA_SIZE (1u << 20)

static struct {
    size_t used, most;
} arena_state;
static _Alignas(16) uint8_t arena_bytes[ARENA_SIZE];

static void *arena_take(void *userdata, size_t size)
{
    (void)userdata;
    size_t whole = (size + 15) / 16 * 16;
    if (whole > arena_state.most - arena_state.used)
        return NULL;
    void *at = arena_bytes + arena_state.used;
    arena_state.used += whole;
    return memset(at, 0xa5, whole);
}

static const ProtobufCAllocator arena = {.alloc = arena_take};

/* Through a copy of its exact size: a sanitizer sees every byte that is read behind it. */
static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n, size_t room)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    arena_state.used = 0;
    arena_state.most = room;
    ProtobufCMessage *m = unpack_message(d, &arena, copy, n);
    free(copy);
    return m;
}

static uint8_t bytes[ANY_BYTES_MAX], again[ANY_BYTES_MAX];

static void what_was_packed_comes_back(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t kind = 0; kind < any_kinds_count; kind++) {
            size_t n = protobuf_c_message_pack(any_message(kind), bytes);
            const ProtobufCMessage *m = unpack(any_kinds[kind], bytes, n, ARENA_SIZE);
            assert_non_null(m);
            assert_int_equal(protobuf_c_message_pack(m, again), n);
            assert_memory_equal(again, bytes, n);
        }
}

/* One byte changed, taken out, or put in; or the end cut off. */
static size_t harm(size_t n)
{
    size_t at = any_number() % (n + 1);
    switch (any_number() % 4) {
    case 0:
        if (at < n)
            bytes[at] = (uint8_t)any_number();
        return n;
    case 1:
        if (at == n)
            return n;
        memmove(bytes + at, bytes + at + 1, n - at - 1);
        return n - 1;
    case 2:
        memmove(bytes + at + 1, bytes + at, n - at);
        bytes[at] = (uint8_t)any_number();
        return n + 1;
    default:
        return at;
    }
}

static void harmed_bytes_are_refused_or_mean_the_same(void **state)
{
    (void)state;
    unsigned taken = 0, refused = 0;
    for (unsigned round = 0; round < HARMED; round++)
        for (size_t kind = 0; kind < any_kinds_count; kind++) {
            size_t n = protobuf_c_message_pack(any_message(kind), bytes);
            for (uint64_t times = 1 + any_number() % 3; times > 0; times--)
                n = harm(n);
            const ProtobufCMessage *ours = unpack(any_kinds[kind], bytes, n, ARENA_SIZE);
            if (!ours) {
                refused++;
                continue;
            }
            taken++;
            ProtobufCMessage *theirs = protobuf_c_message_unpack(any_kinds[kind], NULL, n, bytes);
            assert_non_null(theirs);
            size_t size = protobuf_c_message_pack(theirs, bytes);
            assert_int_equal(protobuf_c_message_pack(ours, again), size);
            assert_memory_equal(again, bytes, size);
            protobuf_c_message_free_unpacked(theirs, NULL);
        }
    assert_true(taken > HARMED && refused > HARMED);
}

static void an_arena_too_small(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < any_kinds_count; kind++) {
        size_t n = protobuf_c_message_pack(any_message(kind), bytes);
        assert_non_null(unpack(any_kinds[kind], bytes, n, ARENA_SIZE));
        size_t whole = arena_state.used;
        assert_non_null(unpack(any_kinds[kind], bytes, n, whole));
        for (size_t room = 0; room < whole; room += 16)
            assert_null(unpack(any_kinds[kind], bytes, n, room));
    }
}

#define UNPACK(name, ...)                                                                                              \
    ((const void *)unpack(&granary__##name##__descriptor, (const uint8_t[]){__VA_ARGS__},                              \
                          sizeof((const uint8_t[]){__VA_ARGS__}), ARENA_SIZE))

static void what_is_strict(void **state)
{
    (void)state;
    assert_non_null(UNPACK(cancel, 0x08, 5));
    assert_null(UNPACK(cancel, 0x08, 5, 0x08, 6));             /* twice */
    assert_null(UNPACK(cancel, 0x10, 5));                      /* no such field */
    assert_null(UNPACK(cancel, 0x0a, 1, 5));                   /* not a number */
    assert_null(UNPACK(cancel, 0x09, 1, 2, 3, 4, 5, 6, 7, 8)); /* a wire type that we do not use */
    assert_null(UNPACK(cancel, 0x08));                         /* cut */
    assert_null(UNPACK(cancel, 0x08, 0x85));                   /* cut within */
    assert_null(UNPACK(allocate, 0x0a, 2, 0x78, 1));           /* no such field, inside */
    assert_null(UNPACK(allocate, 0x0a, 3, 0x10, 1));           /* longer than what is there */
    assert_null(
        UNPACK(cancel, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1));  /* eleven groups */
    assert_null(UNPACK(hello, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)); /* a huge length */
}

static void lists_come_in_parts(void **state)
{
    (void)state;
    const Granary__AgentHello *h = UNPACK(agent_hello, 0x52, 2, 7, 8, 0x48, 1, 0x50, 0xac, 2, 0x52, 0, 0x52, 1, 9);
    assert_non_null(h);
    assert_int_equal(h->n_groups, 4);
    assert_true(h->groups[0] == 7 && h->groups[1] == 8 && h->groups[2] == 300 && h->groups[3] == 9 && h->limited);
    assert_null(UNPACK(agent_hello, 0x52, 2, 7, 0x88)); /* the last number is cut */
    const Granary__Release *r = UNPACK(release, 0x1a, 2, 0x08, 1, 0x08, 5, 0x1a, 0, 0x1a, 2, 0x10, 3);
    assert_non_null(r);
    assert_int_equal(r->n_extents, 3);
    assert_true(r->allocation == 5 && r->extents[0]->host == 1 && r->extents[1]->host == 0 &&
                r->extents[2]->chunks == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_comes_back), cmocka_unit_test(harmed_bytes_are_refused_or_mean_the_same),
        cmocka_unit_test(an_arena_too_small),         cmocka_unit_test(what_is_strict),
        cmocka_unit_test(lists_come_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
