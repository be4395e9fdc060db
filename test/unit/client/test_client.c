/* Opening, plain calls, errors in words, and a broker that goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake_broker.h"
#include "granary.h"
#include "granary.pb-c.h"

static granary_client *open_on(fake_broker *fake)
{
    granary_client *client = NULL;
    assert_int_equal(granary_client_open(&client, &(granary_client_options){.socket = fake_socket(fake)}), 0);
    return client;
}

static void versions_and_sentences(void **state)
{
    (void)state;
    assert_string_equal(granary_version(), "0.1.0");
    assert_string_equal(granary_status_text(GRANARY_E_NEVER), "larger than could ever be granted here");
    assert_string_equal(granary_status_text(-999), "an unknown status");
}

static void nobody_listens(void **state)
{
    (void)state;
    granary_client *client = NULL;
    granary_client_options o = {.socket = "/tmp/granary-nobody-is-here"};
    assert_int_equal(granary_client_open(&client, &o), GRANARY_E_LOST);
    assert_null(client);
    assert_string_equal(granary_client_error(NULL),
                        "no broker answers at /tmp/granary-nobody-is-here: start one with `granary up --socket "
                        "/tmp/granary-nobody-is-here`");
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    o.socket = path;
    assert_int_equal(granary_client_open(&client, &o), GRANARY_E_INVALID);
}

static void a_mute_broker_is_no_broker(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(1);
    granary_client *client = NULL;
    fake_mute(fake, true);
    granary_client_options o = {.socket = fake_socket(fake), .connect_timeout_ms = 50};
    assert_int_equal(granary_client_open(&client, &o), GRANARY_E_LOST);
    fake_stop(fake);
}

static uint32_t hellos(fake_broker *fake)
{
    uint32_t n = 0;
    while (fake_seen(fake, "HELLO 0") && fake_await(fake, "HELLO 0"))
        n++;
    return n;
}

static void a_broker_that_ends_before_its_welcome_is_tried_again(void **state)
{
    (void)state;
    for (int loop = 0; loop < 2; loop++) {
        fake_broker *fake = fake_start(1);
        granary_client *client = NULL;
        granary_client_options o = {.socket = fake_socket(fake), .event_loop = loop};
        fake_slam(fake, 2);
        assert_int_equal(granary_client_open(&client, &o), 0);
        assert_int_equal(hellos(fake), 3);
        granary_client_close(client);
        o.connect_timeout_ms = 250;
        fake_slam(fake, UINT32_MAX);
        assert_int_equal(granary_client_open(&client, &o), GRANARY_E_LOST);
        uint32_t n = hellos(fake);
        assert_true(n >= 1 && n <= 4); /* after 20, 60 and 140 ms: its processor is not kept busy */
        fake_stop(fake);
    }
}

static void a_lease_from_end_to_end(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(4);
    granary_client *client = open_on(fake);
    granary_allocation a;
    granary_claim_end end = {0};
    uint64_t claim = 0;
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    granary_request q = {.label = "l", .chunk_size = 4096, .want = 3};
    assert_int_equal(granary_local_host(client), FAKE_HOST);
    assert_string_equal(granary_host_name(client, FAKE_HOST), "here");
    assert_string_equal(granary_host_name(client, 9), "?");
    assert_int_equal(granary_allocate(client, &q, &a, NULL, NULL), 0);
    assert_true(fake_await(fake, "ALLOCATE l 4096 want 3 min 3 flags 0"));
    assert_int_equal(a.chunks, 3);
    assert_int_equal(a.n_extents, 1);
    assert_int_equal(a.extents[0].host, FAKE_HOST);
    assert_int_equal(granary_claim_open(client, a.id, FAKE_HOST, 0, "c", &claim), GRANARY_E_INVALID);
    assert_int_equal(granary_claim_start(client, a.id, FAKE_HOST, 3, "c", self, &claim), 0);
    assert_true(fake_await(fake, "CLAIM 11 3:3 fd"));
    assert_int_equal(granary_claim_enter(client, claim, -1), GRANARY_E_INVALID);
    assert_int_equal(granary_claim_enter(client, claim, self), 0);
    assert_int_equal(granary_claim_empty(client, claim, &end), 0);
    assert_int_equal(end.peak, 4096);
    assert_int_equal(granary_claim_shrink(client, claim, 2, 1000), 0);
    assert_true(fake_await(fake, "SHRINK 1 2"));
    assert_int_equal(granary_claim_close(client, claim, true, 5000, &end), 0);
    assert_int_equal(end.peak, 5000);
    assert_int_equal(granary_claim_close(client, claim, true, 5000, NULL), GRANARY_E_NOT_FOUND);
    assert_int_equal(granary_release(client, a.id, &(granary_extent){FAKE_HOST, 1}, 1), 0);
    assert_int_equal(granary_release(client, a.id, &(granary_extent){FAKE_HOST, 9}, 1), GRANARY_E_STATE);
    assert_int_equal(granary_release(client, a.id, NULL, 0), 0);
    assert_true(fake_await(fake, "RELEASE 11 recall 0 3:1"));
    assert_true(fake_await(fake, "RELEASE 11 recall 0 3:9"));
    assert_true(fake_await(fake, "RELEASE 11 recall 0 3:2"));
    granary_allocation_finish(&a);
    close(self);
    granary_client_close(client);
    fake_stop(fake);
}

static void bad_requests_say_what_is_wrong(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(4);
    granary_client *client = open_on(fake);
    granary_allocation a = {.id = 77};
    assert_int_equal(granary_allocate(client, &(granary_request){.want = 1}, &a, NULL, NULL), GRANARY_E_INVALID);
    assert_string_equal(granary_client_error(client), "chunk_size is 0: a chunk is at least 1 byte");
    assert_int_equal(granary_allocate(client, &(granary_request){.chunk_size = 1}, &a, NULL, NULL), GRANARY_E_INVALID);
    assert_string_equal(granary_client_error(client), "want is 0: ask for at least 1 chunk");
    assert_int_equal(granary_allocate(client, &(granary_request){.chunk_size = 1, .want = 1, .min = 2}, &a, NULL, NULL),
                     GRANARY_E_INVALID);
    assert_int_equal(granary_allocate(client, &(granary_request){.chunk_size = UINT64_MAX, .want = 2}, &a, NULL, NULL),
                     GRANARY_E_INVALID);
    assert_int_equal(
        granary_allocate(client, &(granary_request){.chunk_size = 1, .want = 1, .flags = 1u << 20}, &a, NULL, NULL),
        GRANARY_E_INVALID);
    assert_string_equal(granary_client_error(client), "flags 0x100000 are not known");
    granary_request both = {.chunk_size = 1, .want = 1, .flags = GRANARY_GROWABLE | GRANARY_KEEP | GRANARY_RECALLABLE};
    assert_int_equal(granary_allocate(client, &both, &a, NULL, NULL), GRANARY_E_INVALID);
    assert_string_equal(granary_client_error(client), "flag KEEP contradicts RECALLABLE and REVOCABLE: leave one out");
    assert_int_equal(granary_allocate(client, &(granary_request){.chunk_size = 10, .want = 200}, &a, NULL, NULL),
                     GRANARY_E_NEVER);
    assert_string_equal(granary_client_error(client),
                        "larger than could ever be granted here: 200 chunks of 10 bytes were "
                        "asked, the most is 1000 bytes");
    assert_int_equal(a.id, 77);
    granary_client_close(client);
    fake_stop(fake);
}

typedef struct {
    fake_broker *fake;
    int calls;
    uint32_t place;
} watcher;

static int watch(const granary_wait_info *info, void *userdata)
{
    watcher *w = userdata;
    w->place = info->place;
    if (w->calls++ == 0)
        fake_capacity(w->fake, 4);
    return 0;
}

static int stop(const granary_wait_info *info, void *userdata)
{
    (void)info;
    (void)userdata;
    return 1;
}

static void a_request_waits_and_tells(void **state)
{
    (void)state;
    watcher w = {.fake = fake_start(1)};
    granary_client *client = open_on(w.fake);
    granary_allocation a;
    granary_request q = {.chunk_size = 4096, .want = 2};
    assert_int_equal(granary_allocate(client, &q, &a, stop, NULL), GRANARY_E_INTERRUPTED);
    assert_true(fake_await(w.fake, "CANCEL"));
    assert_int_equal(granary_allocate(client, &q, &a, watch, &w), 0);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.place, 1);
    assert_int_equal(a.chunks, 2);
    granary_allocation_finish(&a);
    granary_client_close(client);
    fake_stop(w.fake);
}

typedef struct {
    fake_broker *fake;
    granary_client *client;
    uint64_t claim;
    int pidfd, status;
} attacher;

/* All that makes the grant happens in here: nothing is left to wait for when it returns. */
static int attach(const granary_wait_info *info, void *userdata)
{
    attacher *w = userdata;
    w->status = granary_claim_start(w->client, info->allocation, FAKE_HOST, 0, "c", w->pidfd, &w->claim);
    fake_capacity(w->fake, 4);
    assert_int_equal(granary_claim_empty(w->client, w->claim, NULL), 0); /* its answer comes after the grant */
    return 0;
}

static void a_request_waits_attached(void **state)
{
    (void)state;
    for (int loop = 0; loop < 2; loop++) {
        attacher w = {.fake = fake_start(1), .pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), .status = 1};
        granary_client_options o = {.socket = fake_socket(w.fake), .event_loop = loop};
        granary_allocation a;
        struct timespec begin, end;
        assert_int_equal(granary_client_open(&w.client, &o), 0);
        clock_gettime(CLOCK_MONOTONIC, &begin);
        assert_int_equal(granary_allocate(w.client, &(granary_request){.chunk_size = 4096, .want = 2}, &a, attach, &w),
                         0);
        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 < 800); /* no look */
        assert_int_equal(w.status, 0);
        assert_true(fake_await(w.fake, "CLAIM 11 3:0 fd"));
        assert_int_equal(granary_claim_shrink(w.client, w.claim, a.chunks, 1000), 0);
        assert_true(fake_await(w.fake, "SHRINK 1 2"));
        assert_int_equal(granary_claim_close(w.client, w.claim, true, 5000, NULL), 0);
        granary_allocation_finish(&a);
        close(w.pidfd);
        granary_client_close(w.client);
        fake_stop(w.fake);
    }
}

static void use_beyond_a_claims_size_is_told(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(2);
    granary_client *client = open_on(fake);
    granary_allocation a;
    granary_request q = {.chunk_size = 4096, .want = 2};
    uint64_t claim, other;
    assert_int_equal(granary_allocate(client, &q, &a, NULL, NULL), 0);
    assert_int_equal(granary_claim_open(client, a.id, FAKE_HOST, 1, "x", &claim), 0);
    assert_int_equal(granary_claim_open(client, a.id, FAKE_HOST, 1, "y", &other), 0);
    assert_int_equal(granary_claim_over(client, claim), 0);
    fake_over(fake, 999, 7); /* not this client's: nothing to it */
    fake_over(fake, claim, 5000);
    assert_int_equal(granary_claim_empty(client, claim, NULL), 0); /* its answer comes after what was pushed before */
    assert_int_equal(granary_claim_over(client, claim), 5000);
    assert_int_equal(granary_claim_over(client, other), 0);
    assert_int_equal(granary_claim_over(client, 999), 0);
    assert_true(granary_host_limited(client, FAKE_HOST));
    assert_true(granary_host_limited(client, 77)); /* unknown */
    granary_allocation_finish(&a);
    granary_client_close(client);
    fake_stop(fake);
}

static void an_answer_outlives_a_restart(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(2);
    granary_client *client = open_on(fake);
    granary_allocation a;
    granary_request q = {.chunk_size = 4096, .want = 2};
    fake_break(fake);
    assert_int_equal(granary_allocate(client, &q, &a, NULL, NULL), 0);
    assert_true(fake_await(fake, "HELLO 7"));
    assert_true(fake_await(fake, "ALLOCATE"));
    granary_allocation_finish(&a);
    fake_fail(fake, GRANARY__MESSAGE_TYPE__TYPE_EMPTY, GRANARY_E_SILENT); /* the host is just coming back */
    assert_int_equal(granary_claim_empty(client, 1, NULL), 0);
    assert_true(fake_await(fake, "EMPTY 1"));
    assert_true(fake_await(fake, "EMPTY 1"));
    granary_client_close(client);
    fake_stop(fake);
}

static void a_request_that_nobody_read_is_sent_again(void **state)
{
    (void)state;
    fake_broker *fake = fake_start(2);
    granary_client *client = open_on(fake);
    granary_allocation a;
    granary_request q = {.chunk_size = 4096, .want = 2};
    fake_break_unread(fake);
    assert_int_equal(granary_allocate(client, &q, &a, NULL, NULL), 0);
    assert_int_equal(a.chunks, 2);
    assert_true(fake_await(fake, "DROPPED")); /* the kernel reports this as an error */
    assert_true(fake_await(fake, "HELLO 7"));
    assert_true(fake_await(fake, "ALLOCATE"));
    assert_false(fake_seen(fake, "ALLOCATE"));
    granary_allocation_finish(&a);
    granary_client_close(client);
    fake_stop(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_and_sentences),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_mute_broker_is_no_broker),
        cmocka_unit_test(a_lease_from_end_to_end),
        cmocka_unit_test(bad_requests_say_what_is_wrong),
        cmocka_unit_test(a_request_waits_and_tells),
        cmocka_unit_test(a_request_waits_attached),
        cmocka_unit_test(an_answer_outlives_a_restart),
        cmocka_unit_test(use_beyond_a_claims_size_is_told),
        cmocka_unit_test(a_broker_that_ends_before_its_welcome_is_tried_again),
        cmocka_unit_test(a_request_that_nobody_read_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
