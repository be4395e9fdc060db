/* test_pool.c - pool.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/pool.h"

static void test_take_and_give(void **state)
{
    (void)state;
    _Alignas(64) uint8_t block[256];
    memset(block, 0xa5, sizeof(block));
    arena a;
    pool p;
    arena_init(&a, block, sizeof(block));
    pool_init(&p, &a, 20, 3);
    uint64_t *x = pool_take(&p), *y = pool_take(&p), *z = pool_take(&p);
    assert_ptr_equal((uint8_t *)y, (uint8_t *)x + 24); /* rounded up to whole pointers */
    assert_int_equal(x[2], 0);
    assert_null(pool_take(&p));
    assert_int_equal(pool_left(&p), 0);
    y[1] = 7;
    pool_give(&p, y);
    assert_int_equal(pool_left(&p), 1);
    assert_ptr_equal(pool_take(&p), y);
    assert_int_equal(y[0], 0);
    assert_int_equal(y[1], 0);
    pool_give(&p, x);
    pool_give(&p, z);
    assert_int_equal(p.used, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_take_and_give)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
