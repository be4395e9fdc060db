/* From a journal to a core: cut anywhere, too large for the tables, of this boot or another. */
#include "cmocka_all.h"

#include "base/status.h"
#include "core/view.h"
#include "daemon/recovery.h"
#include "store/memory.h"

#define BOOKS "0123456789abcdef0123456789abcdef"

static const core_limits usual = {
    .hosts = 4, .users = 4, .sessions = 8, .allocations = 16, .holdings = 16, .claims = 8, .recalls = 8, .answers = 64};

static void on_reply(void *userdata, const effect_reply *reply)
{
    (void)userdata;
    assert_int_equal(reply->status, 0);
}

static void on_push(void *userdata, const effect_push *push)
{
    (void)userdata;
    (void)push;
}

static void on_order(void *userdata, const effect_order *order)
{
    (void)userdata;
    (void)order;
}

static void on_note(void *userdata, const effect_note *note)
{
    (void)userdata;
    (void)note;
}

static const driver_sink sink = {.reply = on_reply, .push = on_push, .order = on_order, .note = on_note};

static driver make(store *s, const core_limits *limits)
{
    driver d;
    assert_int_equal(driver_init(&d, limits, &core_timers_default, s, &sink), 0);
    return d;
}

static store *empty(void)
{
    store *s;
    assert_int_equal(store_memory_open(&s, BOOKS), 0);
    return s;
}

/* Adds sessions of processes 101, 102 ... to the journal. */
static void add_sessions(driver *d, int n)
{
    for (int i = 1; i <= n; i++) {
        core_event e = {.kind = EVENT_SESSION_OPEN};
        e.session = (event_session){.user = {7}, .pid = 100 + i, .pid_start = (uint64_t)(200 + i), .link = (uint64_t)i};
        assert_int_equal(driver_step(d, &e), 0);
    }
}

/* The records of three sessions, as one commit would write them. */
static size_t three_sessions(uint8_t *to, size_t size)
{
    char why[256];
    recovered found;
    store *s = empty();
    driver d = make(s, &usual);
    assert_int_equal(recovery_run(&d, "boot", &found, why, sizeof why), 0);
    add_sessions(&d, 3);
    size_t n = d.blob_used;
    assert_true(n <= size);
    memcpy(to, d.blob, n);
    driver_finish(&d);
    store_close(s);
    return n;
}

/* What recovery says of these bytes. */
static int recover(const uint8_t *bytes, size_t n, char why[256], recovered *ret)
{
    store *s = empty();
    assert_int_equal(store_commit(s, bytes, n), 0);
    driver d = make(s, &usual);
    int r = recovery_run(&d, "boot", ret, why, 256);
    driver_finish(&d);
    store_close(s);
    return r;
}

static void test_a_journal_that_was_cut_is_refused_at_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[4096];
    size_t n = three_sessions(bytes, sizeof bytes), whole = 0, boundaries = 0;
    for (size_t cut = 1; cut <= n; cut++) {
        char why[256] = "", expected[256];
        recovered found = {0};
        core_record record;
        size_t used, next = 0, records = 0;
        for (; next < cut && record_decode(bytes + next, cut - next, &record, &used) == 0; next += used)
            records++;
        int r = recover(bytes, cut, why, &found);
        if (next == cut) { /* between two records: a commit that was whole */
            assert_int_equal(r, 0);
            assert_int_equal(found.records, records);
            free(found.sessions);
            boundaries++;
            whole = records;
            continue;
        }
        assert_int_equal(r, STATUS_CORRUPT);
        snprintf(expected, sizeof expected,
                 "the journal fails its checks: restore the state directory from a copy, or move it away and start "
                 "anew (after %zu %s)",
                 whole, whole == 1 ? "record" : "records");
        assert_string_equal(why, expected);
    }
    assert_true(boundaries >= 3 && boundaries < n);
}

static void test_a_bit_that_fell_over_is_never_a_crash(void **state)
{
    (void)state;
    uint8_t bytes[4096];
    size_t n = three_sessions(bytes, sizeof bytes), refused = 0;
    for (size_t at = 0; at < n; at++) {
        char why[256] = "";
        recovered found = {0};
        bytes[at] ^= 0x80;
        int r = recover(bytes, n, why, &found);
        bytes[at] ^= 0x80;
        free(found.sessions);
        assert_true(r == 0 || r == STATUS_CORRUPT || r == STATUS_LIMIT);
        assert_true(r == 0 || *why);
        refused += r != 0;
    }
    assert_true(refused > 0);
}

static void test_tables_that_are_too_small(void **state)
{
    (void)state;
    char why[256];
    recovered found;
    store *s = empty();
    driver d = make(s, &usual);
    assert_int_equal(recovery_run(&d, "boot", &found, why, sizeof why), 0);
    add_sessions(&d, 3);
    assert_int_equal(driver_commit(&d), 0);
    driver_finish(&d);
    core_limits small = usual;
    small.sessions = 2;
    driver e = make(s, &small);
    assert_int_equal(recovery_run(&e, "boot", &found, why, sizeof why), STATUS_LIMIT);
    assert_memory_equal(
        why, "the journal holds more than the tables in granary.conf (max_...) have room for: raise them (after ", 98);
    driver_finish(&e);
    driver f = make(s, &usual); /* nothing was harmed by trying */
    assert_int_equal(recovery_run(&f, "boot", &found, why, sizeof why), 0);
    assert_int_equal(found.n_sessions, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(found.sessions[i].pid, 101 + i);
        assert_int_equal(found.sessions[i].pid_start, 201 + i);
    }
    free(found.sessions);
    driver_finish(&f);
    store_close(s);
}

static void test_a_store_that_cannot_be_read_says_so(void **state)
{
    (void)state;
    char why[256];
    recovered found;
    store *s = empty();
    driver d = make(s, &usual);
    s->failed = STATUS_SYSTEM;
    strcpy(s->failure, "the disk is gone");
    assert_int_equal(recovery_run(&d, "boot", &found, why, sizeof why), STATUS_SYSTEM);
    assert_string_equal(why, "the journal cannot be read: the disk is gone (after 0 records)");
    driver_finish(&d);
    store_close(s);
}

/* When the first tick is due, after a recovery in a boot of that name. */
static int64_t grace_left(store *s, const char *boot)
{
    char why[256];
    recovered found;
    driver d = make(s, &usual);
    assert_int_equal(recovery_run(&d, boot, &found, why, sizeof why), 0);
    assert_int_equal(found.n_sessions, 1);
    free(found.sessions);
    int64_t left = driver_wait(&d);
    driver_finish(&d);
    return left;
}

static void test_deadlines_of_another_boot_are_armed_anew(void **state)
{
    (void)state;
    store *s = empty();
    core_record r = {.kind = RECORD_SESSION};
    uint8_t bytes[RECORD_BYTES_MAX];
    r.session.id.v = 3;
    r.session.user.v = 7;
    r.session.pid = 42;
    r.session.state = SESSION_DETACHED;
    r.session.grace_until = 1; /* long ago, in the boot that wrote it */
    size_t n = record_encode(&r, bytes, sizeof bytes);
    assert_int_equal(store_commit(s, bytes, n), 0);
    store_memory_reopen(s, "first");
    assert_int_equal(grace_left(s, "first"), 0);
    int64_t left = grace_left(s, "second");
    assert_true(left > 0 && left <= (int64_t)core_timers_default.grace_ms);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_journal_that_was_cut_is_refused_at_every_byte),
        cmocka_unit_test(test_a_bit_that_fell_over_is_never_a_crash),
        cmocka_unit_test(test_tables_that_are_too_small),
        cmocka_unit_test(test_a_store_that_cannot_be_read_says_so),
        cmocka_unit_test(test_deadlines_of_another_boot_are_armed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
