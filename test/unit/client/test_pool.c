/* Pools against a broker that does what the test says: claims, recalls, growth, restarts, event loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_broker.h"
#include "granary.h"
#include "granary.pb-c.h"

typedef struct {
    fake_broker *fake;
    granary_client *client;
    granary_pool *pool;
    int self; /* pidfd of this process, good enough for a broker that moves nobody */
} world;

static void world_open(world *w, uint32_t capacity, uint32_t min, uint32_t want, bool event_loop)
{
    w->fake = fake_start(capacity);
    w->self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    assert_true(w->self >= 0);
    granary_client_options o = {.socket = fake_socket(w->fake), .program = "test", .event_loop = event_loop};
    assert_int_equal(granary_client_open(&w->client, &o), 0);
    w->pool = granary_pool_open(w->client,
                                &(granary_pool_options){.label = "p", .chunk_size = 4096, .min = min, .want = want});
    assert_non_null(w->pool);
    assert_true(fake_await(w->fake, "ALLOCATE p 4096"));
}

static void world_close(world *w)
{
    granary_pool_close(w->pool);
    granary_client_close(w->client);
    close(w->self);
    fake_stop(w->fake);
}

static granary_slot take(world *w)
{
    granary_slot s = {0};
    assert_int_equal(granary_slot_acquire(w->pool, &s, 5000), 0);
    return s;
}

static granary_slot take_entered(world *w)
{
    granary_slot s = take(w);
    assert_int_equal(granary_slot_enter(w->pool, &s, w->self), 0);
    return s;
}

static void a_slot_keeps_its_claim(void **state)
{
    (void)state;
    world w;
    granary_claim_end end = {.cause = 9};
    world_open(&w, 1, 1, 1, false);
    granary_slot s = take(&w);
    assert_int_equal(s.claim, 0);
    assert_int_equal(s.host, FAKE_HOST);
    assert_int_equal(granary_slot_enter(w.pool, &s, w.self), 0);
    assert_true(fake_await(w.fake, "CLAIM 11 3:1 fd"));
    assert_int_equal(granary_slot_claim(w.pool, &s), 1);
    assert_int_equal(granary_slot_next(w.pool, &s, w.self, &end), 0);
    assert_int_equal(end.cause, 0);
    assert_int_equal(end.peak, 4096);
    assert_true(fake_await(w.fake, "ENTER 1 fresh fd"));
    assert_int_equal(granary_slot_release(w.pool, &s, &end), 0);
    assert_true(fake_await(w.fake, "EMPTY 1"));
    assert_int_equal(granary_slot_release(w.pool, &s, NULL), GRANARY_E_STATE);
    s = take(&w);
    assert_int_equal(s.claim, 1);
    assert_int_equal(granary_slot_enter(w.pool, &s, w.self), 0);
    assert_true(fake_await(w.fake, "ENTER 1 fd"));
    assert_false(fake_seen(w.fake, "CLAIM"));
    assert_int_equal(granary_slot_release(w.pool, &s, NULL), 0);
    granary_pool_close(w.pool);
    w.pool = NULL;
    assert_true(fake_await(w.fake, "CLOSE 1 kill"));
    assert_true(fake_await(w.fake, "RELEASE 11 recall 0 0:1"));
    assert_true(fake_await(w.fake, "WANT 0"));
    granary_client_close(w.client);
    w.client = NULL;
    assert_true(fake_await(w.fake, "GOODBYE"));
    world_close(&w);
}

static void idle_chunks_go_at_once_busy_ones_when_released(void **state)
{
    (void)state;
    world w;
    granary_claim_end end = {0};
    granary_pool_stats stats;
    granary_slot other;
    world_open(&w, 3, 1, 3, false);
    granary_slot a = take_entered(&w), b = take_entered(&w);
    fake_recall(w.fake, 5, 2);
    assert_true(fake_await(w.fake, "RELEASE 11 recall 5 3:1"));
    assert_true(fake_await(w.fake, "OFFER recall 5 items 1 idle 0")); /* the second one is firm */
    granary_pool_stats_get(w.pool, &stats);
    assert_int_equal(stats.wanted_back, 1);
    assert_int_equal(stats.busy, 2);
    assert_int_equal(stats.recalls, 1);
    assert_int_equal(granary_slot_next(w.pool, &a, w.self, NULL), GRANARY_E_STATE);
    assert_int_equal(granary_slot_release(w.pool, &a, &end), 0);
    assert_int_equal(end.peak, 5000); /* told by Close */
    assert_true(fake_await(w.fake, "CLOSE 1 kill"));
    assert_true(fake_await(w.fake, "RELEASE 11 recall 5 3:1"));
    assert_int_equal(granary_slot_acquire(w.pool, &other, 0), GRANARY_E_TIMEOUT);
    assert_int_equal(granary_slot_next(w.pool, &b, w.self, NULL), 0);
    assert_int_equal(fake_held(w.fake), 1);
    granary_pool_stats_get(w.pool, &stats);
    assert_int_equal(stats.held, 1);
    assert_int_equal(stats.wanted_back, 0);
    assert_int_equal(stats.given_back, 2);
    assert_int_equal(granary_slot_release(w.pool, &b, NULL), 0);
    world_close(&w);
}

static void a_withdrawn_recall_makes_slots_usable(void **state)
{
    (void)state;
    world w;
    world_open(&w, 2, 0, 2, false);
    granary_slot a = take_entered(&w), b = take_entered(&w);
    fake_recall(w.fake, 5, 1);
    assert_true(fake_await(w.fake, "OFFER recall 5 items 2 idle 0"));
    assert_int_equal(granary_slot_next(w.pool, &a, w.self, NULL), GRANARY_E_STATE);
    fake_withdraw(w.fake, 5);
    fake_ask(w.fake, 1); /* answered after the withdrawal was handled */
    assert_true(fake_await(w.fake, "OFFER recall 0 items 2"));
    assert_int_equal(granary_slot_next(w.pool, &a, w.self, NULL), 0);
    assert_int_equal(granary_slot_release(w.pool, &a, NULL), 0);
    assert_int_equal(granary_slot_release(w.pool, &b, NULL), 0);
    world_close(&w);
}

static void an_offer_tells_that_its_recall_is_over(void **state)
{
    (void)state;
    world w;
    world_open(&w, 2, 0, 2, false);
    granary_slot a = take_entered(&w), b = take_entered(&w);
    fake_fail(w.fake, GRANARY__MESSAGE_TYPE__TYPE_OFFER, 2); /* OFFER_NONE: the withdrawal was lost */
    fake_recall(w.fake, 5, 1);
    assert_true(fake_await(w.fake, "OFFER recall 5 items 2 idle 0"));
    fake_ask(w.fake, 1); /* answered after that answer was handled */
    assert_true(fake_await(w.fake, "OFFER recall 0 items 2"));
    assert_int_equal(granary_slot_next(w.pool, &a, w.self, NULL), 0);
    assert_int_equal(granary_slot_release(w.pool, &a, NULL), 0);
    assert_int_equal(granary_slot_release(w.pool, &b, NULL), 0);
    assert_true(fake_await(w.fake, "EMPTY"));
    assert_false(fake_seen(w.fake, "RELEASE 11 recall 5"));
    world_close(&w);
}

static void growth_makes_new_slots(void **state)
{
    (void)state;
    world w;
    granary_slot s;
    world_open(&w, 0, 0, 2, false);
    assert_int_equal(granary_slot_acquire(w.pool, &s, 20), GRANARY_E_TIMEOUT);
    fake_capacity(w.fake, 1);
    s = take(&w);
    granary_slot t;
    assert_int_equal(granary_slot_acquire(w.pool, &t, 0), GRANARY_E_TIMEOUT);
    fake_capacity(w.fake, 2);
    t = take(&w);
    assert_int_not_equal(s.id, t.id);
    assert_int_equal(granary_slot_acquire_n(w.pool, 3, &t, 0), GRANARY_E_NEVER);
    world_close(&w);
}

static void a_waiting_pool_tells_its_place(void **state)
{
    (void)state;
    world w;
    granary_slot s;
    granary_pool_stats stats;
    world_open(&w, 1, 2, 4, false);
    granary_pool_stats_get(w.pool, &stats);
    assert_int_equal(stats.place, 1);
    assert_int_equal(stats.held, 0);
    assert_int_equal(granary_slot_acquire(w.pool, &s, 0), GRANARY_E_TIMEOUT);
    fake_capacity(w.fake, 4);
    s = take(&w);
    granary_pool_stats_get(w.pool, &stats);
    assert_int_equal(stats.place, 0);
    assert_int_equal(stats.held, 4);
    world_close(&w);
}

static void less_is_wanted_and_more_again(void **state)
{
    (void)state;
    world w;
    world_open(&w, 4, 1, 4, false);
    granary_slot a = take_entered(&w), b = take_entered(&w);
    assert_int_equal(granary_pool_want(w.pool, 0), GRANARY_E_INVALID);
    assert_int_equal(granary_pool_want(w.pool, 1), 0);
    assert_true(fake_await(w.fake, "RELEASE 11 recall 0 3:2")); /* lowers want by itself */
    assert_int_equal(granary_slot_release(w.pool, &a, NULL), 0);
    assert_true(fake_await(w.fake, "CLOSE 1 kill"));
    assert_true(fake_await(w.fake, "RELEASE 11 recall 0 3:1"));
    assert_int_equal(granary_slot_next(w.pool, &b, w.self, NULL), 0);
    assert_false(fake_seen(w.fake, "WANT"));
    assert_int_equal(granary_pool_want(w.pool, 3), 0);
    assert_true(fake_await(w.fake, "WANT 3"));
    world_close(&w);
}

static void a_restart_of_the_broker_is_not_noticed(void **state)
{
    (void)state;
    world w;
    world_open(&w, 2, 0, 2, false);
    granary_slot a = take_entered(&w);
    fake_break(w.fake);
    assert_true(fake_await(w.fake, "DROPPED"));
    assert_int_equal(granary_slot_next(w.pool, &a, w.self, NULL), 0);
    assert_true(fake_await(w.fake, "HELLO 7"));
    assert_true(fake_await(w.fake, "ENTER 1 fresh fd")); /* its descriptor came along again */
    fake_recall(w.fake, 5, 2);
    assert_true(fake_await(w.fake, "RELEASE 11 recall 5 3:1"));
    fake_break(w.fake);
    assert_true(fake_await(w.fake, "HELLO 7"));
    assert_int_equal(granary_slot_next(w.pool, &a, w.self, NULL), GRANARY_E_STATE); /* still wanted back */
    assert_int_equal(granary_slot_release(w.pool, &a, NULL), 0);
    assert_true(fake_await(w.fake, "RELEASE 11 recall 5 3:1"));
    assert_int_equal(fake_held(w.fake), 0);
    world_close(&w);
}

static void a_forgotten_session_is_over(void **state)
{
    (void)state;
    world w;
    granary_slot a, b;
    world_open(&w, 1, 0, 2, false);
    a = take_entered(&w);
    fake_forget(w.fake);
    assert_int_equal(granary_slot_acquire(w.pool, &b, 5000), GRANARY_E_LOST);
    assert_string_equal(granary_client_error(w.client),
                        "the broker no longer knows this session: its allocations are over");
    assert_int_equal(granary_slot_release(w.pool, &a, NULL), GRANARY_E_LOST);
    world_close(&w);
}

static void nonsense_ends_the_session(void **state)
{
    (void)state;
    world w;
    granary_slot a, b;
    world_open(&w, 1, 0, 2, false);
    a = take(&w);
    fake_nonsense(w.fake, GRANARY__MESSAGE_TYPE__TYPE_CHANGED);
    assert_int_equal(granary_slot_acquire(w.pool, &b, 5000), GRANARY_E_PROTOCOL);
    assert_string_equal(granary_client_error(w.client), "the broker sent a malformed or unexpected CHANGED");
    (void)a;
    world_close(&w);
}

static void an_ended_allocation_ends_the_pool(void **state)
{
    (void)state;
    world w;
    granary_slot s;
    world_open(&w, 1, 0, 2, false);
    fake_end(w.fake, GRANARY_E_ENDED);
    while (granary_slot_acquire(w.pool, &s, 5000) == 0)
        ;
    assert_int_equal(granary_slot_acquire(w.pool, &s, 5000), GRANARY_E_ENDED);
    assert_string_equal(granary_client_error(w.client), "as the test said");
    world_close(&w);
}

static void *interrupt_later(void *data)
{
    world *w = data;
    usleep(20000); /* so that the wait has begun, most of the time; either order must end it */
    granary_pool_interrupt(w->pool);
    return NULL;
}

static void an_interrupt_ends_the_wait(void **state)
{
    (void)state;
    world w;
    granary_slot s;
    pthread_t thread;
    for (int loop = 0; loop < 2; loop++) {
        world_open(&w, 0, 0, 2, loop == 1);
        assert_int_equal(pthread_create(&thread, NULL, interrupt_later, &w), 0);
        assert_int_equal(granary_slot_acquire(w.pool, &s, 5000), GRANARY_E_INTERRUPTED);
        pthread_join(thread, NULL);
        world_close(&w);
    }
}

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
}

static void an_event_loop_never_waits(void **state)
{
    (void)state;
    world w;
    granary_slot s;
    granary_slot_answer answer;
    world_open(&w, 0, 0, 1, true);
    assert_int_equal(granary_slot_acquire(w.pool, &s, 0), GRANARY_E_TIMEOUT);
    fake_capacity(w.fake, 1);
    while (granary_slot_acquire(w.pool, &s, 0) != 0) {
        wait_readable(granary_pool_fd(w.pool));
        assert_int_equal(granary_pool_dispatch(w.pool), 0);
    }
    assert_int_equal(granary_slot_take(w.pool, &answer), GRANARY_WAITING);
    assert_int_equal(granary_slot_start(w.pool, &s, GRANARY_SLOT_ENTER, w.self, 41), 0);
    assert_int_equal(granary_slot_start(w.pool, &s, GRANARY_SLOT_ENTER, w.self, 42), GRANARY_E_STATE);
    while (granary_slot_take(w.pool, &answer) != 0) {
        wait_readable(granary_pool_fd(w.pool));
        assert_int_equal(granary_pool_dispatch(w.pool), 0);
    }
    assert_int_equal(answer.tag, 41);
    assert_int_equal(answer.status, 0);
    assert_int_equal(answer.call, GRANARY_SLOT_ENTER);
    assert_int_equal(granary_slot_start(w.pool, &s, GRANARY_SLOT_RELEASE, -1, 43), 0);
    while (granary_slot_take(w.pool, &answer) != 0) {
        wait_readable(granary_pool_fd(w.pool));
        assert_int_equal(granary_pool_dispatch(w.pool), 0);
    }
    assert_int_equal(answer.tag, 43);
    assert_int_equal(answer.end.peak, 4096);
    assert_int_equal(granary_pool_allocation(w.pool), 11);
    world_close(&w);
}

static void a_refused_claim_is_told_and_the_slot_stays(void **state)
{
    (void)state;
    world w;
    world_open(&w, 1, 0, 1, false);
    granary_slot s = take(&w);
    fake_fail(w.fake, GRANARY__MESSAGE_TYPE__TYPE_CLAIM, GRANARY_E_AGENT);
    assert_int_equal(granary_slot_enter(w.pool, &s, w.self), GRANARY_E_AGENT);
    assert_int_equal(granary_slot_enter(w.pool, &s, w.self), 0);
    assert_int_equal(granary_slot_release(w.pool, &s, NULL), 0);
    world_close(&w);
}

static void slots_of_several_chunks_take_the_place_of_small_ones(void **state)
{
    (void)state;
    world w;
    world_open(&w, 2, 0, 2, false);
    granary_slot a = take_entered(&w), b = take_entered(&w), big;
    granary_claim_end end;
    assert_int_equal(granary_slot_release(w.pool, &a, &end), 0);
    assert_int_equal(granary_slot_release(w.pool, &b, &end), 0);
    assert_int_equal(granary_slot_acquire_n(w.pool, 2, &big, 5000), 0);
    assert_true(fake_await(w.fake, "CLOSE"));
    assert_true(fake_await(w.fake, "CLOSE"));
    assert_int_equal(big.chunks, 2);
    assert_int_equal(granary_slot_enter(w.pool, &big, w.self), 0);
    assert_true(fake_await(w.fake, "CLAIM 11 3:2 fd"));
    assert_int_equal(fake_claims(w.fake), 1);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_keeps_its_claim),
        cmocka_unit_test(idle_chunks_go_at_once_busy_ones_when_released),
        cmocka_unit_test(a_withdrawn_recall_makes_slots_usable),
        cmocka_unit_test(an_offer_tells_that_its_recall_is_over),
        cmocka_unit_test(growth_makes_new_slots),
        cmocka_unit_test(a_waiting_pool_tells_its_place),
        cmocka_unit_test(less_is_wanted_and_more_again),
        cmocka_unit_test(a_restart_of_the_broker_is_not_noticed),
        cmocka_unit_test(a_forgotten_session_is_over),
        cmocka_unit_test(nonsense_ends_the_session),
        cmocka_unit_test(an_ended_allocation_ends_the_pool),
        cmocka_unit_test(an_interrupt_ends_the_wait),
        cmocka_unit_test(an_event_loop_never_waits),
        cmocka_unit_test(a_refused_claim_is_told_and_the_slot_stays),
        cmocka_unit_test(slots_of_several_chunks_take_the_place_of_small_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
