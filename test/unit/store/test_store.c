/* store: a failed store answers nothing but its failure. */
#include "folder.h"

#include "store/memory.h"

static int stop_at_first(void *userdata, const uint8_t *data, size_t size)
{
    (void)data, (void)size;
    return ++*(int *)userdata == 2 ? 42 : 0;
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    store *s;
    assert_int_equal(store_memory_open(&s, "0123"), 0);
    assert_int_equal(put_text(s, "one"), 0);
    assert_null(store_failure(s));
    store_memory_fail_after(s, 0);
    assert_int_equal(put_text(s, "two"), STATUS_SYSTEM);
    assert_string_equal(store_failure(s), "the store was told to fail here");
    store_memory_fail_after(s, UINT64_MAX); /* the disk is well again: too late */
    assert_int_equal(put_text(s, "three"), STATUS_SYSTEM);
    assert_int_equal(store_snapshot_begin(s), STATUS_SYSTEM);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"x", 1), STATUS_SYSTEM);
    assert_int_equal(store_snapshot_end(s), STATUS_SYSTEM);
    assert_int_equal(store_reserve(s, 5), STATUS_SYSTEM);
    char all[16] = "";
    assert_int_equal(store_load(s, gather_one, all), STATUS_SYSTEM);
    assert_int_equal(store_journal_bytes(s), 3);
    store_close(s);
    store_close(NULL);
}

static void loading_stops_when_told(void **state)
{
    (void)state;
    store *s;
    int seen = 0;
    assert_int_equal(store_memory_open(&s, "0123"), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(put_text(s, "x"), 0);
    assert_int_equal(store_load(s, stop_at_first, &seen), 42);
    assert_int_equal(seen, 2);
    store_close(s);
}

static void a_notice_is_given_once(void **state)
{
    (void)state;
    store *s;
    assert_int_equal(store_memory_open(&s, "0123"), 0);
    assert_null(store_notice(s));
    strcpy(s->notice, "careful");
    s->notice_waits = true;
    assert_string_equal(store_notice(s), "careful");
    assert_null(store_notice(s));
    store_close(s);
}

static void a_reserve_never_sinks(void **state)
{
    (void)state;
    store *s;
    assert_int_equal(store_memory_open(&s, "0123"), 0);
    assert_int_equal(store_reserve(s, 100), 0);
    assert_int_equal(store_reserve(s, 50), 0);
    assert_true(s->meta.reserved == 100);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(loading_stops_when_told),
        cmocka_unit_test(a_notice_is_given_once),
        cmocka_unit_test(a_reserve_never_sinks),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
