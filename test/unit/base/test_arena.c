/* test_arena.c - arena.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static void test_measures_and_takes(void **state)
{
    (void)state;
    _Alignas(64) uint8_t block[256];
    arena a;
    arena_init(&a, NULL, 0);
    assert_null(arena_take(&a, 3, 10));
    assert_null(arena_take(&a, 1, 65));
    assert_int_equal(a.used, 64 + 128);
    assert_false(a.failed);
    arena_init(&a, block, sizeof(block));
    assert_ptr_equal(arena_take(&a, 3, 10), block);
    assert_ptr_equal(arena_take(&a, 1, 65), block + 64);
    assert_null(arena_take(&a, 1, 65));
    assert_true(a.failed);
    assert_null(arena_take(&a, 1, 1)); /* for good */
}

static void test_overflow(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, NULL, 0);
    assert_null(arena_take(&a, SIZE_MAX / 2, 3));
    assert_true(a.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_measures_and_takes), cmocka_unit_test(test_overflow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
