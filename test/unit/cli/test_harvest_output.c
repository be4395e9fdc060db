#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/status.h"
#include "cli/harvest/output.h"

static harvest_spool spool;
static harvest_printer *printer;
static int out_pipe[2], err_pipe[2];
static char got[4 << 20];

static int setup(void **state)
{
    (void)state;
    assert_int_equal(harvest_spool_open(&spool), 0);
    printer = malloc(sizeof *printer);
    assert_non_null(printer);
    harvest_printer_init(printer, &spool, false);
    assert_int_equal(pipe2(out_pipe, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err_pipe, O_CLOEXEC), 0);
    printer->out = out_pipe[1];
    printer->err = err_pipe[1];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harvest_printer_finish(printer);
    free(printer);
    for (int i = 0; i < 2; i++) {
        close(out_pipe[i]);
        close(err_pipe[i]);
    }
    assert_int_equal(spool.buffered, 0);
    return 0;
}

/* Pumps and reads until nothing is ready; what came out of standard output is in `got`. */
static size_t print_all(void)
{
    size_t n = 0;
    int fd, status;

    assert_int_equal(fcntl(out_pipe[0], F_SETFL, O_NONBLOCK), 0);
    do {
        ssize_t length;
        status = harvest_printer_pump(printer, &fd);
        assert_true(status == STATUS_OK || (status == STATUS_WAITING && fd == out_pipe[1]));
        while ((length = read(out_pipe[0], got + n, sizeof got - 1 - n)) > 0)
            n += (size_t)length;
    } while (status == STATUS_WAITING);
    got[n] = '\0';
    return n;
}

static void put(uint64_t seq, const char *tag, const char *out, size_t length)
{
    harvest_blob blob = HARVEST_BLOB_EMPTY, none = HARVEST_BLOB_EMPTY;

    while (length > 0) {
        const size_t part = length < 10000 ? length : 10000;
        assert_int_equal(harvest_blob_append(&spool, &blob, out, part), 0);
        out += part;
        length -= part;
    }
    assert_int_equal(harvest_printer_put(printer, seq, tag, &blob, &none), 0);
}

static void test_small_stays_in_memory(void **state)
{
    harvest_blob blob = HARVEST_BLOB_EMPTY;
    char bytes[HARVEST_BLOB_MEMORY] = {0};

    (void)state;
    assert_int_equal(harvest_blob_append(&spool, &blob, bytes, sizeof bytes), 0);
    assert_int_equal(blob.fd, -1);
    assert_int_equal(spool.buffered, HARVEST_BLOB_MEMORY);
    assert_int_equal(harvest_blob_append(&spool, &blob, bytes, 1), 0);
    assert_true(blob.fd >= 0);
    assert_int_equal(blob.in_file, HARVEST_BLOB_MEMORY + 1);
    assert_int_equal(spool.buffered, 0);
    harvest_blob_finish(&spool, &blob);
}

static void test_all_blobs_together_are_bounded(void **state)
{
    static harvest_blob blobs[300];
    char bytes[60000] = {0};

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        blobs[i] = HARVEST_BLOB_EMPTY;
        assert_int_equal(harvest_blob_append(&spool, &blobs[i], bytes, sizeof bytes), 0);
        assert_true(spool.buffered <= HARVEST_BUFFERED_MAX);
    }
    assert_int_equal(blobs[0].fd, -1);
    assert_true(blobs[299].fd >= 0);
    for (size_t i = 0; i < 300; i++)
        harvest_blob_finish(&spool, &blobs[i]);
}

static void test_spool_has_no_name_and_is_on_disk(void **state)
{
    harvest_blob blob = HARVEST_BLOB_EMPTY;
    char bytes[HARVEST_BLOB_MEMORY + 1] = {0};
    struct stat stat;

    (void)state;
    assert_int_equal(setenv("TMPDIR", "/dev/shm", 1), 0);
    assert_int_equal(harvest_spool_open(&spool), 0);
    assert_string_equal(spool.folder, "/var/tmp");
    assert_int_equal(setenv("TMPDIR", "/nowhere/at/all", 1), 0);
    assert_int_equal(harvest_spool_open(&spool), 0);
    assert_string_equal(spool.folder, "/var/tmp");
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_int_equal(harvest_blob_append(&spool, &blob, bytes, sizeof bytes), 0);
    assert_int_equal(fstat(blob.fd, &stat), 0);
    assert_int_equal(stat.st_nlink, 0);
    harvest_blob_finish(&spool, &blob);
}

static void test_as_they_end(void **state)
{
    (void)state;
    put(3, NULL, "c\n", 2);
    put(1, NULL, "a\n", 2);
    put(2, NULL, "", 0);
    assert_int_equal(print_all(), 4);
    assert_string_equal(got, "c\na\n");
    assert_false(harvest_printer_ready(printer));
}

static void test_in_order(void **state)
{
    (void)state;
    printer->keep_order = true;
    put(3, NULL, "c\n", 2);
    put(2, NULL, "b\n", 2);
    assert_int_equal(print_all(), 0);
    assert_false(harvest_printer_ready(printer));
    put(1, NULL, "a\n", 2);
    assert_int_equal(print_all(), 6);
    assert_string_equal(got, "a\nb\nc\n");
    assert_true(harvest_printer_room(printer, 3 + HARVEST_WINDOW));
    assert_false(harvest_printer_room(printer, 4 + HARVEST_WINDOW));
}

static void test_window_is_bounded(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= HARVEST_WINDOW; i++) {
        assert_true(harvest_printer_room(printer, i));
        put(i, NULL, "x", 1);
    }
    assert_false(harvest_printer_room(printer, HARVEST_WINDOW + 1));
    assert_int_equal(print_all(), HARVEST_WINDOW);
    assert_true(harvest_printer_room(printer, HARVEST_WINDOW + 1));
}

static void test_tags(void **state)
{
    (void)state;
    put(1, "in\t", "one\n\ntwo", 8);
    put(2, "next\t", "", 0);
    put(3, "x\t", "\n", 1);
    print_all();
    assert_string_equal(got, "in\tone\nin\t\nin\ttwox\t\n");
}

/* A tag longer than the buffer, many lines, a spooled stream. */
static void test_tags_over_buffers(void **state)
{
    char *tag = malloc(70001), *text = malloc(300000);
    size_t n, at = 0;

    (void)state;
    memset(tag, 't', 70000);
    tag[70000] = '\0';
    put(1, tag, "a\nb\n", 4);
    assert_int_equal(print_all(), 2 * 70002);
    for (int i = 0; i < 100000; i++)
        memcpy(text + 3 * i, "ab\n", 3);
    put(2, "T ", text, 300000);
    n = print_all();
    assert_int_equal(n, 500000);
    for (int i = 0; i < 100000; i++, at += 5)
        assert_memory_equal(got + at, "T ab\n", 5);
    free(tag);
    free(text);
}

static void test_reader_that_does_not_read(void **state)
{
    char *text = calloc(1, 2000000);
    int fd = -1;

    (void)state;
    put(1, NULL, text, 2000000);
    assert_int_equal(harvest_printer_pump(printer, &fd), STATUS_WAITING);
    assert_int_equal(fd, out_pipe[1]);
    assert_int_equal(harvest_printer_pump(printer, &fd), STATUS_WAITING);
    assert_int_equal(print_all(), 2000000);
    free(text);
}

static void test_reader_that_is_gone(void **state)
{
    int fd;

    (void)state;
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    close(out_pipe[0]);
    out_pipe[0] = -1;
    put(1, NULL, "x", 1);
    assert_int_equal(harvest_printer_pump(printer, &fd), STATUS_SYSTEM);
    assert_int_equal(errno, EPIPE);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_small_stays_in_memory),
        T(test_all_blobs_together_are_bounded),
        T(test_spool_has_no_name_and_is_on_disk),
        T(test_as_they_end),
        T(test_in_order),
        T(test_window_is_bounded),
        T(test_tags),
        T(test_tags_over_buffers),
        T(test_reader_that_does_not_read),
        T(test_reader_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
