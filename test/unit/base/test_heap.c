/* test_heap.c - heap.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/heap.h"

enum { NODES = 100 };

static void test_random(void **state)
{
    (void)state;
    arena a;
    heap h;
    void *block = aligned_alloc(64, 4096);
    arena_init(&a, block, 4096);
    heap_init(&h, &a, NODES);
    static heap_node n[NODES];
    for (int i = 0; i < NODES; i++)
        heap_node_init(&n[i], 1);
    assert_null(heap_first(&h));
    uint64_t x = 99;
    for (int i = 0; i < 100000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        heap_node *k = &n[(x >> 33) % NODES];
        ms_t at = x >> 60 < 4 ? MS_NEVER : x >> 50;
        heap_set(&h, k, at);
        assert_true((k->pos != 0) == (at != MS_NEVER));
        ms_t least = MS_NEVER;
        for (int j = 0; j < NODES; j++)
            least = n[j].at < least ? n[j].at : least;
        assert_true((heap_first(&h) ? heap_first(&h)->at : MS_NEVER) == least);
    }
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
