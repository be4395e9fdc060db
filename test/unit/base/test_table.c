/* test_table.c - table.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"

enum { KEYS = 1000 };

/* Against an array that is obvious. */
static void test_random(void **state)
{
    (void)state;
    arena a;
    table t;
    size_t size = 1u << 20;
    void *block = aligned_alloc(64, size);
    arena_init(&a, block, size);
    table_init(&t, &a, KEYS);
    static int values[KEYS + 1];
    static bool there[KEYS + 1];
    uint32_t n = 0;
    uint64_t x = 12345;
    for (int i = 0; i < 200000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint32_t key = (uint32_t)(x >> 40) % KEYS + 1;
        assert_ptr_equal(table_get(&t, key), there[key] ? &values[key] : NULL);
        if (there[key])
            table_remove(&t, key);
        else
            table_put(&t, key, &values[key]);
        there[key] = !there[key];
        n = there[key] ? n + 1 : n - 1;
        assert_int_equal(t.used, n);
    }
    for (uint32_t key = 1; key <= KEYS; key++)
        assert_ptr_equal(table_get(&t, key), there[key] ? &values[key] : NULL);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
