/* test_reserve.c - reserve.h, with a heap that fails when it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/reserve.h"

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool no_memory;

void *__wrap_realloc(void *p, size_t size)
{
    return no_memory ? NULL : __real_realloc(p, size);
}

static void in_the_heap_while_there_is_memory(void **state)
{
    (void)state;
    char *p = reserve_realloc(NULL, 100);
    char *q = reserve_calloc(5, 10);
    assert_non_null(p);
    assert_non_null(q);
    for (int i = 0; i < 50; i++)
        assert_int_equal(q[i], 0);
    p = reserve_realloc(p, 1000);
    reserve_free(p);
    reserve_free(q);
    reserve_free(reserve_malloc(10));
    reserve_free(NULL);
}

static void a_table_moves_into_the_reserve_and_stays_there(void **state)
{
    (void)state;
    char *p = reserve_realloc(NULL, 100);
    for (int i = 0; i < 100; i++)
        p[i] = (char)i;
    no_memory = true;
    char *in = reserve_realloc(p, 4096);
    for (int i = 0; i < 100; i++)
        assert_int_equal(in[i], i);
    assert_ptr_equal(reserve_realloc(in, RESERVE_BYTES), in);
    memset(in, 7, RESERVE_BYTES);
    no_memory = false;
    assert_ptr_equal(reserve_realloc(in, 8192), in);
    reserve_free(in);
    char *heap = reserve_realloc(NULL, 10);
    assert_ptr_not_equal(heap, in);
    no_memory = true;
    assert_ptr_equal(reserve_realloc(heap, 20), in); /* free again, for the next */
    reserve_free(in);
    no_memory = false;
}

static void ends_with_a_status(void *p, size_t size)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        reserve_realloc(p, size);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_NO_MEMORY);
}

static void what_fits_nowhere_ends_the_process(void **state)
{
    (void)state;
    no_memory = true;
    ends_with_a_status(NULL, RESERVE_BYTES + 1);
    char *in = reserve_realloc(NULL, 16);
    ends_with_a_status(in, RESERVE_BYTES + 1);
    ends_with_a_status(NULL, 16); /* a second table */
    reserve_free(in);
    no_memory = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_heap_while_there_is_memory),
        cmocka_unit_test(a_table_moves_into_the_reserve_and_stays_there),
        cmocka_unit_test(what_fits_nowhere_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
