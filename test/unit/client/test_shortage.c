/*
 * The n-th allocation of memory fails, for every n, alone or with all that follow it for a while: each call either
 * fails cleanly, and works when it is tried again, or does its work; nothing is lost, nothing hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_broker.h"
#include "granary.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

#define LASTS_MS 150 /* longer than the library's first pauses */

static atomic_long left; /* allocations until one fails; 0 = none will */
static atomic_bool failed;
static bool lasting;          /* all that follow fail too, until the call has returned or LASTS_MS are over */
static atomic_llong since_ms; /* the shortage began; 0 = none */

static long long clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool fails(void)
{
    if (fake_thread)
        return false;
    long long since = atomic_load(&since_ms);
    if (since && clock_ms() - since < LASTS_MS)
        return true;
    if (atomic_load(&left) == 0 || atomic_fetch_sub(&left, 1) != 1)
        return false;
    atomic_store(&failed, true);
    if (lasting)
        atomic_store(&since_ms, clock_ms());
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

/* Tries once more, with memory, when the failure was the planned one. */
#define WORKS(call)                                                                                                    \
    do {                                                                                                               \
        int first = (call);                                                                                            \
        atomic_store(&since_ms, 0);                                                                                    \
        if (first == GRANARY_E_NO_MEMORY)                                                                              \
            first = (call);                                                                                            \
        assert_int_equal(first, 0);                                                                                    \
    } while (0)

static void scenario(fake_broker *fake, int self, bool event_loop)
{
    granary_client *client;
    granary_pool *pool;
    granary_slot a, b, c;
    granary_claim_end end;
    granary_client_options o = {.socket = fake_socket(fake), .program = "test", .event_loop = event_loop};
    granary_pool_options q = {.label = "p", .chunk_size = 4096, .want = 3};
    WORKS(granary_client_open(&client, &o));
    pool = granary_pool_open(client, &q);
    atomic_store(&since_ms, 0);
    if (!pool)
        pool = granary_pool_open(client, &q);
    assert_non_null(pool);
    WORKS(granary_slot_acquire(pool, &a, 5000));
    WORKS(granary_slot_enter(pool, &a, self));
    WORKS(granary_slot_acquire(pool, &b, 5000));
    WORKS(granary_slot_enter(pool, &b, self));
    fake_recall(fake, 5, 2);
    WORKS(granary_slot_release(pool, &a, &end));
    if (!event_loop)
        assert_true(fake_await(fake, "RELEASE 11 recall 5"));
    fake_break(fake);
    WORKS(granary_slot_release(pool, &b, &end));
    while (fake_held(fake) > 1) { /* both chunks go */
        if (granary_slot_acquire(pool, &c, 20) == 0)
            WORKS(granary_slot_release(pool, &c, NULL));
    }
    fake_capacity(fake, 3);
    WORKS(granary_slot_acquire(pool, &a, 5000));
    WORKS(granary_slot_acquire(pool, &b, 5000));
    WORKS(granary_slot_acquire(pool, &c, 5000));
    int pid = granary_slot_spawn(pool, &c, (char *[]){"true", NULL});
    if (pid < 0) { /* the slot went back by itself */
        WORKS(granary_slot_acquire(pool, &c, 5000));
        pid = granary_slot_spawn(pool, &c, (char *[]){"true", NULL});
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    WORKS(granary_slot_acquire(pool, &c, 5000));
    granary_pool_close(pool);
    granary_client_close(client);
}

static void every_allocation_may_fail(bool event_loop, long step)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    long n = 1;
    for (;; n += step) {
        fake_broker *fake = fake_start(3);
        atomic_store(&failed, false);
        atomic_store(&left, n);
        scenario(fake, self, event_loop);
        atomic_store(&left, 0);
        atomic_store(&since_ms, 0);
        fake_stop(fake);
        if (!atomic_load(&failed))
            break;
    }
    assert_true(n > 40); /* it did fail, again and again */
    close(self);
}

static void with_a_thread(void **state)
{
    (void)state;
    lasting = false;
    every_allocation_may_fail(false, 1);
}

static void in_an_event_loop(void **state)
{
    (void)state;
    lasting = false;
    every_allocation_may_fail(true, 1);
}

static void for_a_while_with_a_thread(void **state)
{
    (void)state;
    lasting = true;
    every_allocation_may_fail(false, getenv("GRANARY_LONG") ? 1 : 5);
}

static void for_a_while_in_an_event_loop(void **state)
{
    (void)state;
    lasting = true;
    every_allocation_may_fail(true, getenv("GRANARY_LONG") ? 1 : 5);
}

static void for_a_host_that_an_answer_names(void **state)
{
    (void)state;
    lasting = false;
    atomic_store(&failed, true);
    long n = 0;
    while (atomic_load(&failed)) {
        fake_broker *fake = fake_start(0);
        granary_client *client;
        granary_slot slot;
        granary_pool_stats stats;
        assert_int_equal(granary_client_open(&client, &(granary_client_options){.socket = fake_socket(fake)}), 0);
        granary_pool *pool =
            granary_pool_open(client, &(granary_pool_options){.chunk_size = 4096, .min = 1, .want = 1});
        assert_non_null(pool);
        assert_int_equal(granary_claim_empty(client, 1, NULL), 0); /* its answer comes after the pool's */
        atomic_store(&failed, false);
        atomic_store(&left, ++n);
        granary_pool_stats_get(pool, &stats); /* it waits: its place is asked for */
        if (!atomic_load(&failed))
            assert_true(fake_await(fake, "QUERY"));
        fake_capacity(fake, 1);
        WORKS(granary_slot_acquire(pool, &slot, 5000));
        atomic_store(&left, 0);
        assert_true(atomic_load(&failed) || strcmp(granary_host_name(client, FAKE_HOST + 1), "there") == 0);
        granary_pool_close(pool);
        granary_client_close(client);
        fake_stop(fake);
    }
    assert_true(n > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_thread),
        cmocka_unit_test(in_an_event_loop),
        cmocka_unit_test(for_a_while_with_a_thread),
        cmocka_unit_test(for_a_while_in_an_event_loop),
        cmocka_unit_test(for_a_host_that_an_answer_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
