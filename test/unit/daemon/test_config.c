#include "cmocka_all.h"

#include "base/status.h"
#include "daemon/config.h"

static int read_text(config *c, const char *text, char *why, size_t size)
{
    FILE *stream = fmemopen((void *)text, strlen(text), "r");
    config_init(c);
    int r = config_read_stream(c, stream, "granary.conf", why, size);
    fclose(stream);
    return r;
}

static void test_every_kind_of_key(void **state)
{
    (void)state;
    config c;
    char why[512] = "";
    const char *text = "# a comment\n"
                       "memory = 3G   # behind a value\n"
                       "set_aside=512M\n"
                       "durability = power\n"
                       "sample_ms = 250\n"
                       "grace = 90s\n"
                       "max_hosts = 128\n"
                       "log_level = debug\n"
                       "user = nobody\n"
                       "\n"
                       "[host node1]\n"
                       "total = 8G\n"
                       "home = yes\n"
                       "labels = gpu,rack=7\n"
                       "[host *]\n"
                       "permanent = yes\n"
                       "[user 1000]\n"
                       "weight = 3\n"
                       "quota = 4G\n"
                       "[user *]\n"
                       "weight = 2\n";
    assert_int_equal(read_text(&c, text, why, sizeof why), 0);
    assert_int_equal(c.memory, GIB(3));
    assert_int_equal(c.set_aside, MIB(512));
    assert_true(c.power);
    assert_int_equal(c.sample_ms, 250);
    assert_int_equal(c.timers.grace_ms, 90000);
    assert_int_equal(c.limits.hosts, 128);
    assert_int_equal(c.limits.sessions, 4096);
    assert_int_equal(c.log_level, LOG_DEBUG);
    assert_string_equal(c.user, "nobody");
    assert_int_equal(c.n_hosts, 2);
    const event_config_host *h = config_host(&c, "node1");
    assert_non_null(h);
    assert_int_equal(h->total, GIB(8));
    assert_true(h->home);
    assert_int_equal(h->set_aside, UINT64_MAX);
    assert_string_equal(h->labels, "gpu,rack=7");
    assert_true(config_host(&c, "*")->permanent);
    assert_null(config_host(&c, "node2"));
    assert_int_equal(c.n_users, 2);
    assert_int_equal(c.users[0].user.v, 1000);
    assert_int_equal(c.users[0].weight, 3);
    assert_int_equal(c.users[0].quota, GIB(4));
    assert_int_equal(c.users[1].user.v, UINT32_MAX);
    config_finish(&c);
}

static void test_printing_reads_back(void **state)
{
    (void)state;
    config a, b;
    char why[512] = "", *first = NULL, *second = NULL;
    size_t n;
    assert_int_equal(
        read_text(&a, "memory=3G\nask=7ms\n[host x]\nset_aside=0\ncores=4\n[user root]\nquota=1G\n", why, sizeof why),
        0);
    FILE *out = open_memstream(&first, &n);
    config_print(&a, out);
    fclose(out);
    assert_int_equal(read_text(&b, first, why, sizeof why), 0);
    out = open_memstream(&second, &n);
    config_print(&b, out);
    fclose(out);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "memory = 3G\n"));
    assert_non_null(strstr(first, "ask = 7ms\n"));
    assert_non_null(strstr(first, "\n[host x]\nset_aside = 0\ncores = 4\nhome = no\n"));
    assert_non_null(strstr(first, "\n[user root]\nweight = 1\nquota = 1G\n"));
    free(first);
    free(second);
    config_finish(&a);
    config_finish(&b);
}

static void test_errors_say_where_and_what(void **state)
{
    (void)state;
    const struct {
        const char *text, *why;
    } cases[] = {
        {"\nmemry = 3G\n",
         "granary.conf:2: the key \"memry\" is not known before the first section; known are: user, state,"},
        {"memory = lots\n", "granary.conf:1: memory: "},
        {"memory = 1K\n", "granary.conf:1: memory: \"1K\" is smaller than is possible here"},
        {"durability = full\n", "granary.conf:1: durability: \"full\" is neither power nor process"},
        {"just words\n", "granary.conf:1: \"just words\" is neither \"key = value\" nor a [section]"},
        {"[hosts a]\n", "granary.conf:1: the section [hosts a] is not known; write [host NAME] or [user NAME]"},
        {"[host a\n", "granary.conf:1: \"[host a\" lacks the closing ]"},
        {"[host a]\n[host a]\n", "granary.conf:2: there is another section [host a] above; join them"},
        {"[host a]\nweight = 3\n",
         "granary.conf:2: the key \"weight\" is not known in a [host] section; known are: total,"},
        {"[host a]\nhome = maybe\n", "granary.conf:2: home: \"maybe\" is neither yes nor no"},
        {"[user no-such-user-here]\n", "granary.conf:1: [user no-such-user-here]: there is no such user"},
        {"[user 0]\n[user root]\n",
         "granary.conf:2: there is another section for user root above ([user 0]); join them"},
        {"ask = 10s\nnotice = 5s\n", "granary.conf: ask must be shorter than notice"},
        {"connections = 5\n", "granary.conf: connections_per_user is larger than connections; lower it"},
        {"\002\033[2J\n", "granary.conf:1: \"??[2J\" is neither \"key = value\" nor a [section]"}, /* cannot be seen */
        {"sample_ms = 5\n", "granary.conf:1: sample_ms: \"5\" is not a whole number from 10 to 60000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config c;
        char why[512] = "";
        assert_int_equal(read_text(&c, cases[i].text, why, sizeof why), STATUS_INVALID);
        if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
            fail_msg("said: %s\nnot:  %s", why, cases[i].why);
        config_finish(&c);
    }
}

static void test_a_missing_file(void **state)
{
    (void)state;
    config c;
    char why[512] = "";
    config_init(&c);
    assert_int_equal(config_read(&c, "/nonexistent/granary.conf", why, sizeof why), STATUS_SYSTEM);
    assert_string_equal(
        why, "/nonexistent/granary.conf: cannot be opened: No such file or directory; name another file with --config");
    config_finish(&c);
}

static void test_a_long_line(void **state)
{
    (void)state;
    config c;
    char why[512] = "", text[3000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(read_text(&c, text, why, sizeof why), STATUS_INVALID);
    assert_string_equal(why, "granary.conf:1: the line is longer than 1022 characters");
    config_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_key),
        cmocka_unit_test(test_printing_reads_back),
        cmocka_unit_test(test_errors_say_where_and_what),
        cmocka_unit_test(test_a_missing_file),
        cmocka_unit_test(test_a_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
