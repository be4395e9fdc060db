/* test_list.c - list.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

typedef struct {
    int v;
    list_node node;
} item;

static int sum(list_node *head)
{
    int n = 0;
    list_each(i, head, item, node) n = n * 10 + i->v;
    return n;
}

static void test_order(void **state)
{
    (void)state;
    list_node head, other;
    item i[4];
    list_init(&head);
    list_init(&other);
    for (int k = 0; k < 4; k++) {
        i[k].v = k + 1;
        list_init(&i[k].node);
    }
    assert_true(list_empty(&head));
    list_append(&head, &i[1].node);
    list_append(&head, &i[2].node);
    list_push(&head, &i[0].node);
    assert_int_equal(sum(&head), 123);
    list_append(&other, &i[3].node);
    list_splice(&head, &other);
    assert_true(list_empty(&other));
    assert_int_equal(sum(&head), 1234);
    list_splice(&head, &other);
    list_each_safe(k, &head, item, node) if (k->v % 2 == 0) list_remove(&k->node);
    assert_int_equal(sum(&head), 13);
    list_remove(&i[1].node); /* in no list: nothing happens */
    assert_int_equal(sum(&head), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
