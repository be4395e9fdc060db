/* test_record.c - encoding: fixed bytes, and refusal of what is torn. */
#include "world.h"

static void test_fixed_bytes(void **state)
{
    (void)state;
    core_record r = {.kind = RECORD_HOLDING, .holding = {{0x0102}, {3}, 4, 5, 6}};
    const uint8_t expected[] = {
        29, 0, RECORD_HOLDING, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
    uint8_t bytes[RECORD_BYTES_MAX];
    assert_int_equal(record_encode(&r, bytes, sizeof(bytes)), sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
    assert_int_equal(record_encode(&r, bytes, sizeof(expected) - 1), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixed_bytes), cmocka_unit_test(test_torn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
