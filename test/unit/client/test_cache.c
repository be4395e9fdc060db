/* A program that uses its chunks itself: told to shrink, then the limit, then the chunks; and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>

#include "fake_broker.h"
#include "granary.h"
#include "granary.pb-c.h"

static atomic_ullong shrunk_to, grown_to;

static void shrink(uint64_t bytes, void *userdata)
{
    (void)userdata;
    atomic_store(&shrunk_to, bytes);
}

static void grow(uint64_t bytes, void *userdata)
{
    (void)userdata;
    atomic_store(&grown_to, bytes);
}

static granary_cache *open_one(fake_broker *fake, granary_client *client)
{
    granary_cache *cache = NULL;
    granary_cache_options o = {.label = "c", .chunk_size = 4096, .min = 1, .want = 4, .shrink = shrink, .grow = grow};
    atomic_store(&shrunk_to, 0);
    atomic_store(&grown_to, 0);
    assert_int_equal(granary_cache_open(client, &o, &cache), 0);
    assert_true(fake_await(fake, "CLAIM 11 3:4 fd"));
    assert_int_equal(granary_cache_bytes(cache), 4 * 4096);
    return cache;
}

static void it_shrinks_and_grows(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(4);
    granary_client *client;
    assert_int_equal(granary_client_open(&client, &(granary_client_options){.socket = fake_socket(fake)}), 0);
    granary_cache *cache = open_one(fake, client);
    fake_ask(fake, 2);
    assert_true(fake_await(fake, "OFFER recall 0 items 3 idle 0"));
    fake_fail(fake, GRANARY__MESSAGE_TYPE__TYPE_SHRINK, GRANARY_E_STATE); /* use is still above, once */
    fake_recall(fake, 5, 2);
    assert_true(fake_await(fake, "SHRINK 1 2"));
    assert_int_equal(atomic_load(&shrunk_to), 2 * 4096); /* before the limit */
    assert_int_equal(granary_cache_bytes(cache), 2 * 4096);
    assert_false(fake_seen(fake, "RELEASE"));
    assert_true(fake_await(fake, "SHRINK 1 2"));
    assert_true(fake_await(fake, "RELEASE 11 recall 5 3:2"));
    fake_capacity(fake, 4);
    assert_true(fake_await(fake, "SHRINK 1 4"));
    while (atomic_load(&grown_to) == 0)
        poll(NULL, 0, 5);
    assert_int_equal(atomic_load(&grown_to), 4 * 4096);
    assert_int_equal(granary_cache_bytes(cache), 4 * 4096);
    granary_cache_close(cache);
    assert_true(fake_await(fake, "CLOSE 1"));
    assert_true(fake_await(fake, "RELEASE 11 recall 0 0:4"));
    granary_client_close(client);
    fake_stop(fake);
}

static void an_event_loop_is_called_inside_dispatch(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(4);
    granary_client *client;
    granary_client_options o = {.socket = fake_socket(fake), .event_loop = true};
    assert_int_equal(granary_client_open(&client, &o), 0);
    granary_cache *cache = open_one(fake, client);
    fake_recall(fake, 5, 1);
    while (granary_cache_bytes(cache) != 3 * 4096) {
        struct pollfd p = {.fd = granary_client_fd(client), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        assert_int_equal(granary_client_dispatch(client), 0);
    }
    assert_int_equal(atomic_load(&shrunk_to), 3 * 4096);
    granary_cache_close(cache);
    granary_client_close(client);
    fake_stop(fake);
}

static void a_refused_claim_refuses_the_cache(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(4);
    granary_client *client;
    granary_cache *cache = NULL;
    granary_cache_options o = {.chunk_size = 4096, .want = 4, .shrink = shrink};
    assert_int_equal(granary_client_open(&client, &(granary_client_options){.socket = fake_socket(fake)}), 0);
    fake_fail(fake, GRANARY__MESSAGE_TYPE__TYPE_CLAIM, GRANARY_E_AGENT);
    assert_int_equal(granary_cache_open(client, &o, &cache), GRANARY_E_AGENT);
    assert_null(cache);
    assert_true(fake_await(fake, "RELEASE 11 recall 0 0:4"));
    o.shrink = NULL;
    assert_int_equal(granary_cache_open(client, &o, &cache), GRANARY_E_INVALID);
    granary_client_close(client);
    fake_stop(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_shrinks_and_grows),
        cmocka_unit_test(an_event_loop_is_called_inside_dispatch),
        cmocka_unit_test(a_refused_claim_refuses_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
