/* memory: the reference store. */
#include "folder.h"

#include "store/memory.h"

static void a_snapshot_replaces_all_at_once(void **state)
{
    (void)state;
    store *s;
    assert_int_equal(store_memory_open(&s, "0123456789abcdef0123456789abcdefXXXX"), 0);
    assert_string_equal(s->meta.broker_id, "0123456789abcdef0123456789abcdef");
    assert_string_equal(gather(s), "");
    assert_int_equal(put_text(s, "one"), 0);
    assert_int_equal(put_text(s, "two"), 0);
    assert_int_equal(store_journal_bytes(s), 6);
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"both", 4), 0);
    assert_string_equal(gather(s), "one,two,");
    assert_int_equal(store_snapshot_end(s), 0);
    assert_int_equal(store_journal_bytes(s), 0);
    assert_int_equal(put_text(s, "three"), 0);
    assert_int_equal(put_text(s, ""), 0);
    assert_string_equal(gather(s), "both,three,,");
    store_close(s);
}

static void a_crash_keeps_what_was_committed(void **state)
{
    (void)state;
    store *s;
    assert_int_equal(store_memory_open(&s, "0123"), 0);
    store_memory_fail_after(s, 2);
    assert_int_equal(put_text(s, "one"), 0);
    assert_int_equal(store_reserve(s, 7), 0);
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"x", 1), 0);
    assert_int_equal(store_snapshot_end(s), STATUS_SYSTEM);
    store_memory_reopen(s, "boot-2");
    assert_null(store_failure(s));
    assert_string_equal(s->meta.boot_id, "boot-2");
    assert_true(s->meta.reserved == 7);
    assert_string_equal(gather(s), "one,");
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_end(s), 0);
    assert_string_equal(gather(s), "");
    store_close(s);
}

static void a_lost_tail_ends_at_what_was_synced(void **state)
{
    (void)state;
    store *s;
    assert_int_equal(store_memory_open(&s, "0123"), 0);
    assert_int_equal(store_memory_lose(s, 1), 0);
    assert_int_equal(put_text(s, "one"), 0);
    assert_int_equal(put_text(s, "two"), 0);
    assert_int_equal(put_text(s, "three"), 0);
    assert_int_equal(store_memory_lose(s, 1), 1);
    assert_string_equal(gather(s), "one,two,");
    assert_int_equal(store_journal_bytes(s), 6);
    assert_int_equal(store_reserve(s, 7), 0);
    assert_int_equal(put_text(s, "four"), 0);
    assert_int_equal(store_memory_lose(s, 9), 1);
    assert_string_equal(gather(s), "one,two,");
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"both", 4), 0);
    assert_int_equal(store_snapshot_end(s), 0);
    assert_int_equal(put_text(s, "five"), 0);
    assert_int_equal(store_memory_lose(s, 9), 1);
    assert_string_equal(gather(s), "both,");
    store_memory_reopen(s, "boot-2");
    assert_int_equal(put_text(s, "six"), 0);
    assert_string_equal(gather(s), "both,six,");
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_replaces_all_at_once),
        cmocka_unit_test(a_crash_keeps_what_was_committed),
        cmocka_unit_test(a_lost_tail_ends_at_what_was_synced),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
