/* test_tourney.c - tourney.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/tourney.h"

/* Against a plain scan, at sizes around the fan's powers. */
static void walk(uint32_t leaves)
{
    arena a;
    tourney t;
    size_t size = 1u << 20;
    void *block = aligned_alloc(64, size);
    memset(block, 0xa5, size);
    uint64_t *plain = calloc(leaves, sizeof(uint64_t));
    arena_init(&a, block, size);
    tourney_init(&t, &a, leaves);
    uint64_t x = leaves;
    for (int i = 0; i < 3000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint32_t at = (uint32_t)(x >> 33) % leaves;
        plain[at] = x >> 62 ? 0 : (x >> 20) % 1000;
        tourney_set(&t, at, plain[at]);
        uint32_t from = (uint32_t)(x >> 13) % leaves, expected = TOURNEY_NONE;
        uint64_t amount = 1 + (x >> 7) % 1000, most = 0;
        for (uint32_t k = 0; k < leaves; k++)
            most = plain[k] > most ? plain[k] : most;
        for (uint32_t k = from; k < leaves && expected == TOURNEY_NONE; k++)
            if (plain[k] >= amount)
                expected = k;
        assert_int_equal(tourney_max(&t), most);
        assert_int_equal(tourney_first(&t, from, amount), expected);
    }
    assert_int_equal(tourney_first(&t, leaves, 1), TOURNEY_NONE);
    free(plain);
    free(block);
}

static void test_sizes(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 2, 15, 16, 17, 255, 256, 257, 300, 4096, 4097};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        walk(sizes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
