/* test_record.c - encoding: fixed bytes, and refusal of what is torn. */
#include "world.h"

static void test_fixed_bytes(void **state)
{
    (void)state;
    core_record r = {.kind = RECORD_HOLDING, .holding = {{0x0102}, {3}, 4, 126, MS_NEVER}};
    const uint8_t expected[] = {7, 0, RECORD_HOLDING, 0x83, 0x02, 4, 5, 127, 0};
    uint8_t bytes[RECORD_BYTES_MAX];
    assert_int_equal(record_encode(&r, bytes, sizeof(bytes)), sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
    for (size_t k = 0; k < sizeof(expected); k++)
        assert_int_equal(record_encode(&r, bytes, k), 0);
}

static void check_holding(uint64_t allocation, uint32_t held, size_t bytes_expected)
{
    core_record r = {.kind = RECORD_HOLDING, .holding = {{allocation}, {0}, held, 0, 0}}, back;
    uint8_t bytes[RECORD_BYTES_MAX];
    size_t n = record_encode(&r, bytes, sizeof(bytes)), used;
    assert_int_equal(n, bytes_expected);
    assert_int_equal(record_decode(bytes, n, &back, &used), 0);
    assert_int_equal(used, n);
    assert_true(back.holding.allocation.v == allocation);
    assert_int_equal(back.holding.held, held);
}

/* Each length that a number can have, and the ends of its range. */
static void test_numbers(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 64; bits++) {
        size_t groups = bits / 7 + 1; /* of 2^bits */
        check_holding(((uint64_t)1 << bits) - 1, 0, 7 + groups);
    }
    check_holding(UINT64_MAX - 1, 0, 7 + 10);
    check_holding(UINT64_MAX, 0, 7 + 1);
    check_holding(0, UINT32_MAX - 1, 7 + 5);
    check_holding(0, UINT32_MAX, 7 + 1);
}

/* A number in more bytes than it needs, or beyond its width, is no record: equal books have equal bytes. */
static void test_odd_numbers(void **state)
{
    (void)state;
    const struct {
        uint8_t bytes[16];
        size_t n;
    } odd[] = {
        {{8, 0, RECORD_CLAIM_END, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 10}, /* does not end */
        {{3, 0, RECORD_CLAIM_END, 0x85, 0x00}, 5},                                /* 5 in two bytes */
        {{11, 0, RECORD_CLAIM_END, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 13}, /* 65 bits */
        {{10, 0, RECORD_HOLDING, 1, 0xff, 0xff, 0xff, 0xff, 0x10, 1, 1, 1}, 12}, /* a host of 33 bits */
    };
    core_record back;
    size_t used;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(record_decode(odd[i].bytes, odd[i].n, &back, &used), STATUS_CORRUPT);
}

static void test_torn(void **state)
{
    (void)state;
    core_record r = {.kind = RECORD_CLAIM, .claim = {.gen = {9}, .chunks = 2, .state = CLAIM_OPEN, .command = "xz -9"}},
                back;
    uint8_t bytes[RECORD_BYTES_MAX];
    size_t n = record_encode(&r, bytes, sizeof(bytes)), used;
    assert_int_equal(record_decode(bytes, n, &back, &used), 0);
    assert_int_equal(used, n);
    assert_string_equal(back.claim.command, "xz -9");
    for (size_t k = 0; k < n; k++)
        assert_int_equal(record_decode(bytes, k, &back, &used), STATUS_CORRUPT);
    bytes[2] = RECORD_KINDS;
    assert_int_equal(record_decode(bytes, n, &back, &used), STATUS_CORRUPT);
    bytes[2] = RECORD_CLAIM_END; /* trailing bytes */
    assert_int_equal(record_decode(bytes, n, &back, &used), STATUS_CORRUPT);
}

/* A claim without a root is the bytes that it was before there were roots; one with a root of no process is none. */
static void test_root_of_a_claim(void **state)
{
    (void)state;
    core_record r = {.kind = RECORD_CLAIM, .claim = {.gen = {9}, .chunks = 2, .state = CLAIM_OPEN, .command = "xz"}},
                back;
    uint8_t bytes[RECORD_BYTES_MAX];
    size_t without = record_encode(&r, bytes, sizeof(bytes)), used;
    assert_int_equal(bytes[without - 1], 'z'); /* the command ends it */
    assert_int_equal(record_decode(bytes, without, &back, &used), 0);
    assert_int_equal(back.claim.root.pid, 0);
    r.claim.root = (claim_root){.pid = 4711, .start = 1u << 20};
    size_t n = record_encode(&r, bytes, sizeof(bytes));
    assert_int_equal(n, without + 2 + 3);
    assert_int_equal(record_decode(bytes, n, &back, &used), 0);
    assert_int_equal(used, n);
    assert_int_equal(back.claim.root.pid, 4711);
    assert_int_equal(back.claim.root.start, 1u << 20);
    for (size_t k = 0; k < n; k++)
        assert_int_equal(record_decode(bytes, k, &back, &used), STATUS_CORRUPT);
    bytes[without] = bytes[without + 1] = 1; /* process 0, written out */
    assert_int_equal(record_decode(bytes, n, &back, &used), STATUS_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixed_bytes), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_odd_numbers), cmocka_unit_test(test_torn),
                                       cmocka_unit_test(test_root_of_a_claim)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
