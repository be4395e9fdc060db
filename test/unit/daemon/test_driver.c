/* The driver and recovery over a store in memory: what is committed when, what is reserved, what a new core finds. */
#include "cmocka_all.h"

#include "base/status.h"
#include "core/view.h"
#include "daemon/recovery.h"
#include "store/memory.h"

static const core_limits limits = {
    .hosts = 4, .users = 4, .sessions = 8, .allocations = 16, .holdings = 16, .claims = 8, .recalls = 8, .answers = 64};

typedef struct {
    unsigned replies, orders;
    session_id session;
    int status;
} seen;

static void on_reply(void *userdata, const effect_reply *reply)
{
    seen *s = userdata;
    s->replies++;
    s->status = reply->status;
    s->session = reply->session;
}

static void on_push(void *userdata, const effect_push *push)
{
    (void)userdata;
    (void)push;
}

static void on_order(void *userdata, const effect_order *order)
{
    (void)order;
    ((seen *)userdata)->orders++;
}

static void on_note(void *userdata, const effect_note *note)
{
    (void)userdata;
    (void)note;
}

static driver make(store *s, seen *to)
{
    driver d;
    driver_sink sink = {.reply = on_reply, .push = on_push, .order = on_order, .note = on_note, .userdata = to};
    assert_int_equal(driver_init(&d, &limits, &core_timers_default, s, &sink), 0);
    return d;
}

static int open_session(driver *d)
{
    core_event event = {.kind = EVENT_SESSION_OPEN};
    event.session = (event_session){.user = {7}, .pid = 42, .pid_start = 99, .link = 5};
    return driver_step(d, &event);
}

static void test_a_step_is_durable_after_its_commit(void **state)
{
    (void)state;
    store *s;
    seen first = {0}, second = {0};
    char why[256];
    recovered found;
    assert_int_equal(store_memory_open(&s, "0123456789abcdef0123456789abcdef"), 0);
    driver d = make(s, &first);
    assert_int_equal(recovery_run(&d, "boot", &found, why, sizeof why), 0);
    assert_int_equal(found.n_sessions, 0);
    assert_int_equal(open_session(&d), 0);
    assert_int_equal(first.replies, 1);
    assert_int_equal(first.status, 0);
    assert_true(driver_dirty(&d));
    assert_int_equal(driver_commit(&d), 0);
    assert_false(driver_dirty(&d));
    assert_true(s->meta.reserved > first.session.v); /* reserved before it was told */
    session_id kept = first.session;
    assert_int_equal(open_session(&d), 0); /* not committed: lost with the broker */
    driver_finish(&d);

    driver e = make(s, &second);
    assert_int_equal(recovery_run(&e, "boot", &found, why, sizeof why), 0);
    assert_int_equal(found.n_sessions, 1);
    assert_int_equal(found.sessions[0].session.v, kept.v);
    assert_int_equal(found.sessions[0].pid, 42);
    assert_int_equal(found.sessions[0].pid_start, 99);
    free(found.sessions);
    uint64_t reserved = s->meta.reserved;
    assert_int_equal(open_session(&e), 0);
    assert_true(second.session.v >= reserved); /* the lost one's number is not given again */
    assert_int_equal(driver_commit(&e), 0);
    assert_true(s->meta.reserved > second.session.v);
    driver_finish(&e);
    store_close(s);
}

static void test_a_failed_commit_stays_failed(void **state)
{
    (void)state;
    store *s;
    seen to = {0};
    char why[256];
    recovered found;
    assert_int_equal(store_memory_open(&s, "0123456789abcdef0123456789abcdef"), 0);
    driver d = make(s, &to);
    assert_int_equal(recovery_run(&d, "boot", &found, why, sizeof why), 0);
    assert_int_equal(driver_commit(&d), 0);
    assert_int_equal(open_session(&d), 0);
    store_memory_fail_after(s, 0);
    assert_int_equal(driver_commit(&d), STATUS_SYSTEM);
    assert_true(driver_dirty(&d));
    assert_int_equal(driver_commit(&d), STATUS_SYSTEM);
    d.failed = STATUS_NO_MEMORY; /* a record that found no room */
    assert_int_equal(driver_commit(&d), STATUS_NO_MEMORY);
    assert_int_equal(open_session(&d), STATUS_NO_MEMORY);
    driver_finish(&d);
    store_close(s);
}

static void test_foreign_bytes_are_corrupt(void **state)
{
    (void)state;
    store *s;
    seen to = {0};
    char why[256] = "";
    recovered found;
    const uint8_t nonsense[] = {1, 2, 3, 4, 5, 6, 7};
    assert_int_equal(store_memory_open(&s, "0123456789abcdef0123456789abcdef"), 0);
    assert_int_equal(store_commit(s, nonsense, sizeof nonsense), 0);
    driver d = make(s, &to);
    assert_int_equal(recovery_run(&d, "boot", &found, why, sizeof why), STATUS_CORRUPT);
    assert_memory_equal(why, "the journal fails its checks: restore the state directory", 57);
    driver_finish(&d);
    store_close(s);
}

static void test_tables_that_cannot_be(void **state)
{
    (void)state;
    store *s;
    driver d;
    driver_sink sink = {0};
    core_limits none = limits;
    none.claims = 0;
    assert_int_equal(store_memory_open(&s, "0123456789abcdef0123456789abcdef"), 0);
    assert_int_equal(driver_init(&d, &none, &core_timers_default, s, &sink), STATUS_INVALID);
    driver_finish(&(driver){0});
    store_close(s);
}

static void test_the_clock_and_the_deadline(void **state)
{
    (void)state;
    store *s;
    seen to = {0};
    char why[256];
    recovered found;
    ms_t before = driver_now();
    assert_true(before > 0);
    assert_int_equal(store_memory_open(&s, "0123456789abcdef0123456789abcdef"), 0);
    driver d = make(s, &to);
    assert_int_equal(recovery_run(&d, "boot", &found, why, sizeof why), 0);
    assert_int_equal(open_session(&d), 0);
    core_event event = {.kind = EVENT_SESSION_BROKEN};
    event.session = (event_session){.session = to.session, .link = 5};
    assert_int_equal(driver_step(&d, &event), 0);
    int64_t wait = driver_wait(&d);
    assert_true(wait > 0 && wait <= (int64_t)core_timers_default.grace_ms);
    driver_finish(&d);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_is_durable_after_its_commit), cmocka_unit_test(test_a_failed_commit_stays_failed),
        cmocka_unit_test(test_foreign_bytes_are_corrupt),          cmocka_unit_test(test_tables_that_cannot_be),
        cmocka_unit_test(test_the_clock_and_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
