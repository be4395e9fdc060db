#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/status.h"
#include "cli/harvest/joblog.h"

#define HEADER "seq\thost\tstart\truntime_ms\texit\tsignal\toom\tpeak_bytes\tchunks\tattempt\tcommand\n"

static char path[64];

static int setup(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/var/tmp/granary-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void put(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect_file(const char *text)
{
    char got[4096];
    FILE *file = fopen(path, "r");
    size_t n;

    assert_non_null(file);
    n = fread(got, 1, sizeof got - 1, file);
    got[n] = '\0';
    fclose(file);
    assert_string_equal(got, text);
}

static void expect_refused(const char *text, int status, const char *word)
{
    harvest_joblog log;
    char why[200] = "";

    put(text);
    assert_int_equal(harvest_joblog_open(&log, path, true, why, sizeof why), status);
    assert_non_null(strstr(why, word));
    expect_file(text);
}

static void test_row_goes_round(void **state)
{
    const harvest_row row = {.seq = 12,
                             .host = "barn",
                             .start_ms = 1763813636007,
                             .runtime_ms = 99,
                             .exit_code = 3,
                             .signal = 0,
                             .oom = true,
                             .peak = 1234567,
                             .chunks = 2,
                             .attempt = 4,
                             .command = "echo 'a\tb\nc\\' \x01\xff"};
    harvest_joblog log;
    harvest_row got;
    const char *reason;
    char why[200], line[] = "12\tbarn\t1763813636.007\t99\t3\t0\t1\t1234567\t2\t4\techo 'a\\tb\\nc\\\\' \\x01\\xff";

    (void)state;
    assert_int_equal(harvest_joblog_open(&log, path, false, why, sizeof why), 0);
    assert_int_equal(harvest_joblog_write(&log, &row), 0);
    harvest_joblog_finish(&log);
    expect_file(HEADER "12\tbarn\t1763813636.007\t99\t3\t0\t1\t1234567\t2\t4\techo 'a\\tb\\nc\\\\' \\x01\\xff\n");
    assert_int_equal(harvest_joblog_parse(line, &got, &reason), 0);
    assert_int_equal(got.seq, 12);
    assert_string_equal(got.host, "barn");
    assert_int_equal(got.start_ms, 1763813636007);
    assert_int_equal(got.runtime_ms, 99);
    assert_int_equal(got.exit_code, 3);
    assert_int_equal(got.signal, 0);
    assert_true(got.oom);
    assert_int_equal(got.peak, 1234567);
    assert_int_equal(got.chunks, 2);
    assert_int_equal(got.attempt, 4);
    assert_string_equal(got.command, "echo 'a\\tb\\nc\\\\' \\x01\\xff");
}

static void test_resume(void **state)
{
    harvest_joblog log;
    char why[200];

    (void)state;
    put(HEADER "1\th\t1.000\t5\t0\t0\t0\t0\t1\t1\techo a\n"
               "3\th\t1.000\t5\t1\t0\t0\t0\t1\t1\techo c\n"
               "2\th\t1.000\t5\t1\t0\t0\t0\t1\t1\techo b\n"
               "2\th\t2.000\t5\t0\t0\t0\t0\t1\t2\techo b\n"
               "4\th\t1.000\t5\t0\t9\t0\t0\t1\t1\techo d\n"
               "5000\th\t1.000\t5\t0\t0\t0\t0\t1\t1\techo far\n"
               "6\th\t1.000\t5\t0\t0\t0\t0\t1\t1\techo to");
    assert_int_equal(harvest_joblog_open(&log, path, true, why, sizeof why), 0);
    assert_int_equal(harvest_joblog_known(&log, 1, "echo a"), JOBLOG_DONE);
    assert_int_equal(harvest_joblog_known(&log, 1, "echo x"), JOBLOG_OTHER);
    assert_int_equal(harvest_joblog_known(&log, 2, "echo b"), JOBLOG_DONE);
    assert_int_equal(harvest_joblog_known(&log, 3, "echo c"), JOBLOG_NEW);
    assert_int_equal(harvest_joblog_known(&log, 4, "echo d"), JOBLOG_NEW);
    assert_int_equal(harvest_joblog_known(&log, 5, "echo e"), JOBLOG_NEW);
    assert_int_equal(harvest_joblog_known(&log, 6, "echo to"), JOBLOG_NEW);
    assert_int_equal(harvest_joblog_known(&log, 5000, "echo far"), JOBLOG_DONE);
    assert_int_equal(harvest_joblog_known(&log, 0, "echo"), JOBLOG_NEW);
    assert_int_equal(harvest_joblog_known(&log, UINT64_MAX, "echo"), JOBLOG_NEW);
    assert_int_equal(harvest_joblog_write(&log, &(harvest_row){.seq = 6, .host = "h", .command = "echo to"}), 0);
    harvest_joblog_finish(&log);
    assert_int_equal(harvest_joblog_open(&log, path, true, why, sizeof why), 0);
    assert_int_equal(harvest_joblog_known(&log, 6, "echo to"), JOBLOG_DONE);
    harvest_joblog_finish(&log);
}

static void test_resume_without_a_log(void **state)
{
    harvest_joblog log;
    char why[200];

    (void)state;
    assert_int_equal(harvest_joblog_open(&log, path, true, why, sizeof why), 0);
    assert_int_equal(harvest_joblog_known(&log, 1, "x"), JOBLOG_NEW);
    harvest_joblog_finish(&log);
    expect_file(HEADER);
    put("seq\tho"); /* torn inside the very first write */
    assert_int_equal(harvest_joblog_open(&log, path, true, why, sizeof why), 0);
    harvest_joblog_finish(&log);
    expect_file(HEADER);
}

static void test_what_is_no_joblog_is_refused(void **state)
{
    (void)state;
    expect_refused("dear diary\n", STATUS_CORRUPT, "line 1");
    expect_refused(HEADER "1\th\t1.000\t5\t0\t0\t0\t0\t1\techo a\n", STATUS_CORRUPT, "line 2: it does not have 11");
    expect_refused(HEADER "1\th\t1.000\t5\t0\t0\t0\t0\t1\t1\ta\tb\n", STATUS_CORRUPT, "line 2: it does not have 11");
    expect_refused(HEADER "\n", STATUS_CORRUPT, "line 2");
    expect_refused(HEADER "0\th\t1.000\t5\t0\t0\t0\t0\t1\t1\ta\n", STATUS_CORRUPT, "number");
    expect_refused(HEADER "-1\th\t1.000\t5\t0\t0\t0\t0\t1\t1\ta\n", STATUS_CORRUPT, "number");
    expect_refused(HEADER "18446744073709551616\th\t1.000\t5\t0\t0\t0\t0\t1\t1\ta\n", STATUS_CORRUPT, "number");
    expect_refused(HEADER "100000001\th\t1.000\t5\t0\t0\t0\t0\t1\t1\ta\n", STATUS_CORRUPT, "number");
    expect_refused(HEADER "1\th\t1\t5\t0\t0\t0\t0\t1\t1\ta\n", STATUS_CORRUPT, "number");
    expect_refused(HEADER "1\th\t1.000\t5\t256\t0\t0\t0\t1\t1\ta\n", STATUS_CORRUPT, "number");
    expect_refused(HEADER "1\th\t1.000\t5\t0\t0\t2\t0\t1\t1\ta\n", STATUS_CORRUPT, "number");
}

static void test_one_writer(void **state)
{
    harvest_joblog first, second;
    char why[200];

    (void)state;
    assert_int_equal(harvest_joblog_open(&first, path, false, why, sizeof why), 0);
    assert_int_equal(harvest_joblog_open(&second, path, true, why, sizeof why), STATUS_BUSY);
    assert_string_equal(why, "another harvest writes it");
    harvest_joblog_finish(&first);
}

static void test_log_that_cannot_be_written(void **state)
{
    harvest_joblog log;
    char why[200];
    const harvest_row row = {.seq = 1, .host = "h", .command = "c"};

    (void)state;
    assert_int_equal(harvest_joblog_open(&log, "/nowhere/at/all", false, why, sizeof why), STATUS_SYSTEM);
    assert_string_equal(why, "No such file or directory");
    assert_int_equal(harvest_joblog_open(&log, "/dev/full", false, why, sizeof why), STATUS_SYSTEM);
    assert_string_equal(why, "No space left on device");
    log = (harvest_joblog){.fd = open("/dev/full", O_WRONLY | O_CLOEXEC)};
    assert_int_equal(harvest_joblog_write(&log, &row), STATUS_SYSTEM);
    harvest_joblog_finish(&log);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_row_goes_round),       T(test_resume),
        T(test_resume_without_a_log), T(test_what_is_no_joblog_is_refused),
        T(test_one_writer),           T(test_log_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
