/* Handing an allocation over: both sides, and the child's number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "fake_broker.h"
#include "granary.h"
#include "granary.pb-c.h"

#define TRANSFER GRANARY__MESSAGE_TYPE__TYPE_TRANSFER

typedef struct {
    fake_broker *fake;
    granary_client *client;
} pair;

static pair pair_open(uint32_t capacity)
{
    pair p = {.fake = fake_start(capacity)};
    assert_int_equal(granary_client_open(&p.client, &(granary_client_options){.socket = fake_socket(p.fake)}), 0);
    return p;
}

static void pair_close(pair *p)
{
    granary_client_close(p->client);
    fake_stop(p->fake);
}

static void the_inherited_number_is_a_number(void **state)
{
    static const struct {
        const char *text;
        uint64_t number;
    } cases[] = {{"17", 17},
                 {"18446744073709551615", UINT64_MAX},
                 {"18446744073709551616", 0},
                 {"", 0},
                 {"0", 0},
                 {"017", 0},
                 {"-1", 0},
                 {"12 ", 0},
                 {"x", 0}};
    (void)state;
    unsetenv("GRANARY_ALLOCATION");
    assert_true(granary_inherited_allocation() == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("GRANARY_ALLOCATION", cases[i].text, 1);
        assert_true(granary_inherited_allocation() == cases[i].number);
    }
    unsetenv("GRANARY_ALLOCATION");
}

static void what_was_given_away_is_gone_here(void **state)
{
    (void)state;
    pair p = pair_open(4);
    granary_allocation a;
    granary_request q = {.chunk_size = 4096, .want = 2};
    assert_true(granary_session(p.client) == 7);
    assert_int_equal(granary_transfer(p.client, 11, 9), GRANARY_E_NOT_FOUND);
    assert_int_equal(granary_allocate(p.client, &q, &a, NULL, NULL), 0);
    assert_int_equal(granary_transfer(p.client, 11, 7), GRANARY_E_INVALID);
    assert_string_equal(granary_client_error(p.client),
                        "session 7 is not another one: the receiver's granary_session() tells it");
    fake_fail(p.fake, TRANSFER, GRANARY_E_DENIED);
    assert_int_equal(granary_transfer(p.client, 11, 9), GRANARY_E_DENIED);
    assert_string_equal(granary_client_error(p.client), "as the test said");
    assert_true(fake_await(p.fake, "TRANSFER 11 to 9"));
    assert_int_equal(granary_transfer(p.client, 11, 9), 0);
    assert_true(fake_await(p.fake, "TRANSFER 11 to 9"));
    assert_int_equal(granary_release(p.client, 11, NULL, 0), GRANARY_E_NOT_FOUND);
    assert_int_equal(granary_transfer(p.client, 11, 9), GRANARY_E_NOT_FOUND);
    assert_false(fake_seen(p.fake, "RELEASE"));
    granary_allocation_finish(&a);
    pair_close(&p);
}

static void a_pool_keeps_its_own(void **state)
{
    (void)state;
    pair p = pair_open(4);
    granary_pool *pool =
        granary_pool_open(p.client, &(granary_pool_options){.label = "p", .chunk_size = 4096, .min = 1, .want = 2});
    granary_slot slot;
    assert_non_null(pool);
    assert_int_equal(granary_slot_acquire(pool, &slot, 5000), 0);
    assert_int_equal(granary_transfer(p.client, 11, 9), GRANARY_E_STATE);
    assert_false(fake_seen(p.fake, "TRANSFER"));
    assert_int_equal(granary_slot_release(pool, &slot, NULL), 0);
    granary_pool_close(pool);
    pair_close(&p);
}

static void what_was_given_before_is_taken_at_once(void **state)
{
    (void)state;
    pair p = pair_open(4);
    granary_allocation a;
    fake_hand(p.fake, 3);
    assert_int_equal(granary_release(p.client, 11, NULL, 0), GRANARY_E_NOT_FOUND);
    assert_int_equal(granary_allocation_adopt(p.client, 11, 0, &a), 0);
    assert_true(fake_await(p.fake, "TRANSFER 11 to 7"));
    assert_true(a.id == 11);
    assert_int_equal(a.chunks, 3);
    assert_int_equal(a.extents[0].host, FAKE_HOST);
    granary_allocation_finish(&a);
    assert_int_equal(granary_allocation_adopt(p.client, 11, 0, NULL), 0); /* again: the same */
    fake_break(p.fake);
    assert_true(fake_await(p.fake, "HELLO 7"));
    assert_int_equal(granary_release(p.client, 11, NULL, 0), 0);
    assert_true(fake_await(p.fake, "RELEASE 11 recall 0 3:3"));
    pair_close(&p);
}

static void *adopt(void *data)
{
    pair *p = data;
    granary_allocation a;
    int r = granary_allocation_adopt(p->client, 11, 5000, &a);
    if (r == 0)
        granary_allocation_finish(&a);
    return (void *)(intptr_t)(r < 0 ? r : (int)a.chunks);
}

static void who_asks_before_waits(void **state)
{
    (void)state;
    pair p = pair_open(4);
    pthread_t thread;
    void *answer;
    granary_allocation a = {.id = 77};
    fake_fail(p.fake, TRANSFER, GRANARY_E_DENIED);
    assert_int_equal(granary_allocation_adopt(p.client, 11, 10, &a), GRANARY_E_DENIED);
    assert_true(fake_await(p.fake, "TRANSFER 11 to 7"));
    assert_true(a.id == 77);
    fake_fail(p.fake, TRANSFER, GRANARY_E_DENIED);
    assert_int_equal(pthread_create(&thread, NULL, adopt, &p), 0);
    assert_true(fake_await(p.fake, "TRANSFER 11 to 7"));
    fake_hand(p.fake, 2);
    assert_int_equal(pthread_join(thread, &answer), 0);
    assert_true(fake_await(p.fake, "TRANSFER 11 to 7"));
    assert_int_equal((intptr_t)answer, 2);
    fake_fail(p.fake, TRANSFER, GRANARY_E_NOT_FOUND);
    assert_int_equal(granary_allocation_adopt(p.client, 12, 5000, &a), GRANARY_E_NOT_FOUND);
    pair_close(&p);
}

static void a_claim_of_another_session_is_closed(void **state)
{
    (void)state;
    pair p = pair_open(4);
    uint64_t claim = 0;
    granary_claim_end end = {0};
    fake_hand(p.fake, 2);
    assert_int_equal(granary_claim_start(p.client, 11, FAKE_HOST, 1, "c", -1, &claim), 0); /* as a child: not adopted */
    assert_true(fake_await(p.fake, "CLAIM 11 3:1"));
    fake_break(p.fake);
    assert_true(fake_await(p.fake, "HELLO 7"));
    assert_int_equal(granary_claim_close(p.client, claim, true, 5000, &end), 0);
    assert_true(fake_await(p.fake, "CLOSE 1 kill"));
    assert_true(end.peak == 5000);
    assert_int_equal(fake_claims(p.fake), 0);
    assert_int_equal(granary_claim_close(p.client, 99, true, 5000, &end), GRANARY_E_NOT_FOUND);
    assert_string_equal(granary_client_error(p.client), "claim 99 is not open");
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_inherited_number_is_a_number),
        cmocka_unit_test(what_was_given_away_is_gone_here),
        cmocka_unit_test(a_pool_keeps_its_own),
        cmocka_unit_test(what_was_given_before_is_taken_at_once),
        cmocka_unit_test(who_asks_before_waits),
        cmocka_unit_test(a_claim_of_another_session_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
