/* A configuration that is read again: what counts at once, what at the next start, and what is wrong with it. */
#include "bench.h"

#include "daemon/settings.h"

static void reload(bench *t, const char *settings)
{
    bench_configure(t, settings);
    control_send(t->control[1], CONTROL_RELOAD);
    bench_turns(t);
}

/* Writes the whole file. */
static void reload_all(bench *t, const char *text)
{
    FILE *f = fopen(t->config, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    control_send(t->control[1], CONTROL_RELOAD);
    bench_turns(t);
}

static host_view local(bench *t)
{
    host_view v;
    assert_int_equal(view_host_by_id(t->b.driver.core, t->b.link.host, &v), 0);
    return v;
}

static void test_what_is_taken_at_once(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    bench_agent(&t, true);
    assert_int_equal(local(&t).total, GIB(4));
    assert_int_equal(local(&t).free, GIB(4));
    reload_all(&t, "memory = 6G\nset_aside = 1G\nmax_hosts = 4\nmax_sessions = 16\nmax_allocations = 64\n"
                   "connections_per_user = 7\nsample_ms = 50\ncollect = 5s\nlog_level = debug\n[host *]\n"
                   "labels = gpu,rack=7\ncores = 3\n");
    assert_string_equal(bench_log(&t, 0), "the configuration was read again");
    assert_false(bench_logged(&t, "times, tables, connections and durability are taken at the next start"));
    assert_int_equal(local(&t).total, GIB(6));
    assert_int_equal(local(&t).set_aside, GIB(1));
    assert_int_equal(local(&t).free, GIB(5));
    assert_int_equal(local(&t).cores, 3);
    assert_string_equal(local(&t).labels, "gpu,rack=7");
    assert_int_equal(t.b.config.connections_per_user, 7);
    assert_int_equal(t.b.config.sample_ms, 50);
    assert_int_equal(uv_timer_get_repeat(&t.b.collect.timer), 5000);
    assert_true(log_wants(t.log, LOG_DEBUG));
    reload(&t, ""); /* what is left out is at its default again */
    assert_int_equal(local(&t).total, GIB(4));
    assert_int_equal(local(&t).set_aside, 0);
    assert_int_equal(local(&t).cores, 4);
    assert_string_equal(local(&t).labels, "");
    assert_false(log_wants(t.log, LOG_DEBUG));
    bench_close(&t);
}

static void test_what_is_taken_at_the_next_start(void **state)
{
    (void)state;
    static const char *const later[] = {"grace = 1s", "max_claims = 3", "connections = 300", "durability = power"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        bench t;
        bench_open(&t, "connections = 200\nconnections_per_user = 9\ndurability = process");
        config before = t.b.config;
        char settings[128];
        snprintf(settings, sizeof settings, "%s\n%s%s", later[i], i == 2 ? "" : "connections = 200\n",
                 "connections_per_user = 9");
        reload(&t, settings);
        assert_string_equal(bench_log(&t, 0), "the configuration was read again");
        assert_string_equal(bench_log(&t, 1), "times, tables, connections and durability are taken at the next start");
        assert_memory_equal(&t.b.config.timers, &before.timers, sizeof before.timers);
        assert_memory_equal(&t.b.config.limits, &before.limits, sizeof before.limits);
        assert_int_equal(t.b.config.connections, 200);
        assert_int_equal(t.b.peers.capacity, 200);
        assert_false(t.b.config.power);
        bench_close(&t);
    }
}

static void test_a_file_with_an_error_changes_nothing(void **state)
{
    (void)state;
    bench t;
    char line[256];
    bench_open(&t, "");
    bench_agent(&t, true);
    reload_all(&t, "memory = 1G\nset_aside = much\n");
    assert_memory_equal(bench_log(&t, 0), "the configuration stays as it was: ", 35);
    snprintf(line, sizeof line, "%s:2: ", t.config);
    assert_non_null(strstr(bench_log(&t, 0), line));
    assert_int_equal(local(&t).total, GIB(4));
    assert_int_equal(unlink(t.config), 0);
    control_send(t.control[1], CONTROL_RELOAD);
    bench_turns(&t);
    assert_memory_equal(bench_log(&t, 0), "the configuration stays as it was: ", 35);
    assert_int_equal(local(&t).total, GIB(4));
    assert_false(t.b.ending);
    bench_close(&t);
}

static void test_options_win_over_the_file(void **state)
{
    (void)state;
    bench t;
    bench_open(&t, "");
    t.options.memory = GIB(2);
    t.options.set_aside = MIB(512);
    reload(&t, "");
    bench_agent(&t, true);
    assert_int_equal(local(&t).total, GIB(2));
    assert_int_equal(local(&t).set_aside, MIB(512));
    bench_close(&t);
}

/* What one allocation of our user may have. */
static uint64_t quota_of(bench *t, bench_client *c)
{
    const Granary__Reply *r = bench_allocate(t, c, "all", GIB(4), 1, TERM_NO_WAIT);
    assert_int_equal(r->status, STATUS_QUOTA);
    return r->most;
}

static void test_a_user_without_its_section_has_the_default_one(void **state)
{
    (void)state;
    bench t;
    bench_client c;
    char settings[128];
    snprintf(settings, sizeof settings, "[user *]\nquota = 2G\n[user %u]\nquota = 1G", (unsigned)getuid());
    bench_open(&t, settings);
    bench_agent(&t, true);
    bench_join(&t, &c);
    assert_int_equal(quota_of(&t, &c), GIB(1));
    reload(&t, "[user *]\nquota = 2G"); /* its own is gone */
    assert_int_equal(quota_of(&t, &c), GIB(2));
    reload(&t, "[user *]\nquota = 3G"); /* and stays gone */
    assert_int_equal(quota_of(&t, &c), GIB(3));
    reload(&t, "");
    assert_int_equal(bench_allocate(&t, &c, "all", GIB(4), 1, TERM_NO_WAIT)->status, 0);
    bench_leave(&c);
    bench_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken_at_once),
        cmocka_unit_test(test_what_is_taken_at_the_next_start),
        cmocka_unit_test(test_a_file_with_an_error_changes_nothing),
        cmocka_unit_test(test_options_win_over_the_file),
        cmocka_unit_test(test_a_user_without_its_section_has_the_default_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
