/* One pool, many threads, and a broker that asks back and gives again all the while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake_broker.h"
#include "granary.h"

enum { THREADS = 6, TASKS = 40 };

typedef struct {
    granary_pool *pool;
    int self;
    atomic_int done, wrong;
} crowd;

/* cmocka's asserts belong to the main thread: what is wrong here is counted. */
static void *work(void *data)
{
    crowd *c = data;
    for (int i = 0; i < TASKS; i++) {
        granary_slot s;
        granary_claim_end end;
        if (granary_slot_acquire(c->pool, &s, 20000) != 0 || granary_slot_enter(c->pool, &s, c->self) != 0) {
            atomic_fetch_add(&c->wrong, 1);
            return NULL;
        }
        while (i % 3 == 0 && granary_slot_next(c->pool, &s, c->self, &end) == 0 && ++i < TASKS)
            atomic_fetch_add(&c->done, 1);
        if (granary_slot_release(c->pool, &s, i % 2 ? &end : NULL) != 0)
            atomic_fetch_add(&c->wrong, 1);
        atomic_fetch_add(&c->done, 1);
    }
    return NULL;
}

static void many_threads_share_a_pool(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(4);
    granary_client *client;
    granary_client_options o = {.socket = fake_socket(fake), .program = "test"};
    crowd c = {.self = (int)syscall(SYS_pidfd_open, getpid(), 0)};
    pthread_t threads[THREADS];
    granary_pool_stats stats;
    assert_int_equal(granary_client_open(&client, &o), 0);
    c.pool = granary_pool_open(client, &(granary_pool_options){.label = "p", .chunk_size = 4096, .want = 4});
    assert_non_null(c.pool);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &c), 0);
    for (uint64_t recall = 1; recall <= 8; recall++) {
        fake_recall(fake, recall, 2);
        assert_true(fake_await(fake, "RELEASE"));
        fake_withdraw(fake, recall);
        fake_capacity(fake, 4);
        if (recall == 4)
            fake_break(fake);
        granary_pool_stats_get(c.pool, &stats);
        assert_true(stats.held <= 4);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.wrong), 0);
    assert_true(atomic_load(&c.done) >= THREADS * (TASKS - 1));
    granary_pool_stats_get(c.pool, &stats);
    assert_int_equal(stats.busy, 0);
    granary_pool_close(c.pool);
    granary_client_close(client);
    close(c.self);
    fake_stop(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_threads_share_a_pool)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
