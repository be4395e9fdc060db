/*
 * The loop of a harvest over real processes and a pool inside the test: what runs, what is printed, what is run
 * again, what the exit code is.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/status.h"
#include "cli/exits.h"
#include "cli/harvest/run.h"
#include "fake_pool.h"

typedef struct {
    char folder[64];
    char out[65536], err[65536];
    harvest_options options;
    bool shell;
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    strcpy(w->folder, "/var/tmp/granary-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->options = (harvest_options){.program = PROGRAM,
                                   .label = "test",
                                   .chunk_size = 1 << 20,
                                   .jobs = 4,
                                   .max_chunks = 4,
                                   .quiet = true,
                                   .results_fd = -1};
    w->shell = true;
    assert_int_equal(setenv("TEST_FOLDER", w->folder, 1), 0);
    fake_reset(4);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static const char *in_folder(const world *w, const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", w->folder, name);
    return path;
}

static void slurp(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t n;

    assert_non_null(file);
    n = fread(to, 1, size - 1, file);
    to[n] = '\0';
    fclose(file);
}

/* Standard output or error into a file, for a while. Returns the old one. */
static int redirect(int fd, const char *path)
{
    const int old = dup(fd), file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(old >= 0 && file >= 0);
    assert_int_equal(dup2(file, fd), fd);
    close(file);
    return old;
}

static void restore(int fd, int old)
{
    assert_int_equal(dup2(old, fd), fd);
    close(old);
}

/* Runs the command over the inputs (a NULL-ended list, or the file `inputs` of the folder when NULL). */
static int run_words(world *w, char **words, size_t n_words, char **inputs, harvest_joblog *log)
{
    harvest_joblog none = {.fd = -1};
    harvest_template template;
    harvest_input input;
    sigset_t mask;
    size_t n = 0;
    int fd = -1, code, out, err;

    assert_int_equal(harvest_template_parse(words, n_words, w->shell, &template), 0);
    if (inputs) {
        while (inputs[n])
            n++;
        harvest_input_words(&input, inputs, n);
    } else {
        fd = open(in_folder(w, "inputs"), O_RDONLY);
        assert_true(fd >= 0);
        assert_int_equal(harvest_input_open(&input, fd, '\n'), 0);
    }
    sigprocmask(SIG_SETMASK, NULL, &mask);
    fflush(stdout);
    out = redirect(1, in_folder(w, "out"));
    err = redirect(2, in_folder(w, "err"));
    code = harvest_run_all(&w->options, &input, &template, log ? log : &none);
    fflush(stdout);
    restore(1, out);
    restore(2, err);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    slurp(in_folder(w, "out"), w->out, sizeof w->out);
    slurp(in_folder(w, "err"), w->err, sizeof w->err);
    harvest_template_finish(&template);
    harvest_input_finish(&input);
    if (fd >= 0)
        close(fd);
    assert_false(fake.client_open);
    if (!fake.lost_after)
        assert_int_equal(fake.busy, 0);
    return code;
}

static int run(world *w, const char *command, char **inputs, harvest_joblog *log)
{
    return run_words(w, (char *[]){(char *)command}, 1, inputs, log);
}

static void test_order_is_kept(void **state)
{
    world *w = *state;
    char *inputs[] = {"0.3", "0.2", "0.1", "0", NULL};

    w->options.keep_order = true;
    assert_int_equal(run(w, "sleep {}; echo {#} {} on {host}", inputs, NULL), 0);
    assert_string_equal(w->out, "1 0.3 on barn\n2 0.2 on barn\n3 0.1 on barn\n4 0 on barn\n");
    assert_string_equal(w->err, "");
    assert_int_equal(fake.busy_most, 4);
}

static void test_output_is_not_mixed(void **state)
{
    world *w = *state;
    char *inputs[] = {"a", "b", "c", "d", NULL};
    char expected[16];

    w->options.tag = true;
    assert_int_equal(run(w, ": {}; for i in 1 2 3; do echo $i; sleep 0.02; done; echo bad >&2", inputs, NULL), 0);
    for (const char *at = w->out; *at; at += 12) {
        (void)snprintf(expected, sizeof expected, "%c\t1\n%c\t2\n%c\t3\n", *at, *at, *at);
        assert_memory_equal(at, expected, 12);
    }
    assert_int_equal(strlen(w->out), 48);
    assert_int_equal(strlen(w->err), 4 * strlen("a\tbad\n"));
}

static void test_large_output_is_spooled(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", NULL};
    FILE *file;
    long length;

    assert_int_equal(run(w, ": {}; head -c 3000000 /dev/zero; exit 0", inputs, NULL), 0);
    file = fopen(in_folder(w, "out"), "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    length = ftell(file);
    fclose(file);
    assert_int_equal(length, 6000000);
}

static void test_failures_are_counted(void **state)
{
    world *w = *state;
    char *inputs[] = {"0", "1", "2", "0", "7", NULL};

    assert_int_equal(run(w, "exit {}", inputs, NULL), 3);
    assert_int_equal(harvest_exit_code(100), 100);
    assert_int_equal(harvest_exit_code(101), 101);
    assert_int_equal(harvest_exit_code(5000), 101);
}

static void test_slot_goes_from_task_to_task(void **state)
{
    world *w = *state;

    FILE *file = fopen(in_folder(w, "inputs"), "w");
    assert_non_null(file);
    for (int i = 1; i <= 200; i++)
        fprintf(file, "%d\n", i);
    fclose(file);
    w->options.keep_order = true;
    assert_int_equal(run(w, "echo {}", NULL, NULL), 0);
    assert_int_equal(fake.entered, 4);
    assert_int_equal(fake.next, 196);
    assert_int_equal(fake.released, 4);
    assert_memory_equal(w->out, "1\n2\n3\n4\n", 8);
    assert_string_equal(w->out + strlen(w->out) - 8, "199\n200\n");
}

static void test_recalled_chunk_is_given_back(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", NULL};

    fake.recall_after = 6;
    w->options.keep_order = true;
    assert_int_equal(run(w, "echo {}", inputs, NULL), 0);
    assert_string_equal(w->out, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    assert_int_equal(fake.given_back, 1);
}

static void test_out_of_memory_gets_more(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", "3", NULL};
    char log_text[4096], why[100];
    harvest_joblog log;

    assert_int_equal(harvest_joblog_open(&log, in_folder(w, "log"), false, why, sizeof why), 0);
    fake.oom_below = 4;
    fake.peak = 7 << 20;
    /* fails until it has been run three times: with 1, 2 and 4 chunks */
    assert_int_equal(run(w, "echo >>$TEST_FOLDER/n{}; test $(wc -l <$TEST_FOLDER/n{}) = 3", inputs, &log), 0);
    harvest_joblog_finish(&log);
    slurp(in_folder(w, "log"), log_text, sizeof log_text);
    size_t lines = 0, fours = 0;
    for (const char *at = log_text; (at = strchr(at, '\n')); at++)
        lines++;
    for (const char *at = log_text; (at = strstr(at, "\t7340032\t4\t3\t")); at++)
        fours++;
    assert_int_equal(lines, 1 + 9);
    assert_int_equal(fours, 3);
}

/* Tasks of two sizes wait at once, and the larger one needs more than may run side by side: the pool hears it first. */
static void test_out_of_memory_in_two_sizes(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", "3", "4", NULL};

    w->options.jobs = 3;
    fake.oom_below = 4;
    assert_int_equal(run(w, "echo >>$TEST_FOLDER/n{}; test $(wc -l <$TEST_FOLDER/n{}) = 3", inputs, NULL), 0);
    assert_int_equal(fake.busy_most, 4);
}

/* Where use is measured only, nothing ends a task that uses more than its chunk: the sum says so. */
static void test_use_above_the_lease_is_told(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", NULL};

    w->options.quiet = false;
    fake.peak = 1 << 20;
    assert_int_equal(run(w, "true {}", inputs, NULL), 0);
    assert_null(strstr(w->err, "more than was leased"));
    fake.peak = 5 << 20;
    assert_int_equal(run(w, "true {}", inputs, NULL), 0);
    assert_non_null(
        strstr(w->err, "2 tasks used more than was leased, which is only measured here: lease it with -m 10M\n"));
}

static void test_out_of_memory_ends_at_the_most(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", NULL};

    fake.oom_below = 100;
    w->options.max_chunks = 3;
    assert_int_equal(run(w, ": {}; echo tried >>$TEST_FOLDER/tries; exit 1", inputs, NULL), 1);
    slurp(in_folder(w, "tries"), w->out, sizeof w->out);
    assert_string_equal(w->out, "tried\ntried\ntried\n");
    assert_int_equal(fake.busy_most, 3);
}

static void test_retries(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", NULL};

    w->options.retries = 2;
    assert_int_equal(run(w, ": {}; echo x >>$TEST_FOLDER/retries; exit 5", inputs, NULL), 1);
    slurp(in_folder(w, "retries"), w->out, sizeof w->out);
    assert_string_equal(w->out, "x\nx\nx\n");
}

static void test_halt_soon(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", "3", "4", "5", "6", NULL};
    const char *why;

    w->options.jobs = 1;
    assert_int_equal(harvest_halt_parse("soon,fail=2", &w->options.halt, &why), 0);
    assert_int_equal(run(w, "echo {}; exit 1", inputs, NULL), 2);
    assert_string_equal(w->out, "1\n2\n");
    assert_non_null(strstr(w->err, "--halt: of 2 tasks that ended 2 failed"));
}

static void test_halt_now_stops_the_others(void **state)
{
    world *w = *state;
    char *inputs[] = {"30", "30", "0.1", NULL};
    const uint64_t start = harvest_now_ms();
    const char *why;

    assert_int_equal(harvest_halt_parse("now,fail=1", &w->options.halt, &why), 0);
    assert_int_equal(run(w, "sleep {}; exit 1", inputs, NULL), 1);
    assert_true(harvest_now_ms() - start < 5000);
}

static void test_timeout_terminates(void **state)
{
    world *w = *state;
    char *inputs[] = {"30", NULL};
    const uint64_t start = harvest_now_ms();

    w->options.timeout_ms = 100;
    assert_int_equal(run(w, "sleep {}", inputs, NULL), 1);
    assert_true(harvest_now_ms() - start < 5000);
}

static void test_environment_and_standard_input(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", NULL};

    assert_int_equal(
        run(w, ": {}; echo $GRANARY_ALLOCATION $GRANARY_CLAIM; wc -c; ls /proc/self/fd | wc -l", inputs, NULL), 0);
    assert_string_equal(w->out, "42 books.1001\n0\n4\n"); /* three streams and the folder that ls reads */
}

static void test_program_that_cannot_be_executed(void **state)
{
    world *w = *state;
    char *inputs[] = {"/nowhere/at/all", NULL};

    w->shell = false;
    assert_int_equal(run(w, "{}", inputs, NULL), 1);
    assert_string_equal(w->err, "granary harvest: cannot execute /nowhere/at/all: No such file or directory\n");
}

static void test_command_that_is_too_long(void **state)
{
    enum { WORD = 90000, STACK = 512 << 10 }; /* a quarter of the stack is for words */
    world *w = *state;
    struct rlimit was;
    char *inputs[] = {"1", malloc(WORD + 1), "3", NULL};

    assert_non_null(inputs[1]);
    memset(inputs[1], 'x', WORD);
    inputs[1][WORD] = '\0';
    w->shell = false;
    w->options.jobs = 1;
    w->options.retries = 2;
    assert_int_equal(getrlimit(RLIMIT_STACK, &was), 0);
    assert_int_equal(setrlimit(RLIMIT_STACK, &(struct rlimit){STACK, was.rlim_max}), 0);
    const int code = run_words(w, (char *[]){"echo", "{#}", "{}", "{}"}, 4, inputs, NULL);
    assert_int_equal(setrlimit(RLIMIT_STACK, &was), 0);
    free(inputs[1]);
    assert_int_equal(code, 1);
    assert_string_equal(w->err, "granary harvest: input 2 cannot be run: its command and the environment together are "
                                "longer than the kernel allows\n");
    assert_string_equal(w->out, "1 1 1\n3 3 3\n");
}

/* A file for granary-gate in a folder of its own, beside which there is "granary". Returns the run's exit code. */
static int run_with_gate(world *w, const char *text, mode_t mode)
{
    char *inputs[] = {"1", NULL}, gate[128];

    (void)snprintf(gate, sizeof gate, "%s/granary-gate", w->folder);
    if (text) {
        const int fd = open(gate, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
        close(fd);
    }
    w->options.program = strdup(in_folder(w, "granary"));
    const int code = run(w, "echo ran", inputs, NULL);
    free((char *)w->options.program);
    assert_string_equal(w->out, "");
    return code;
}

static void test_gate_that_is_missing(void **state)
{
    world *w = *state;
    char expected[512];

    assert_int_equal(run_with_gate(w, NULL, 0), EXIT_NOT_FOUND);
    (void)snprintf(expected, sizeof expected,
                   "granary harvest: granary-gate, in which tasks wait for their memory, is missing: it is neither "
                   "%s/granary-gate nor %s/../libexec/granary/granary-gate; install Granary whole (make install)\n",
                   w->folder, w->folder);
    assert_string_equal(w->err, expected);
}

static void test_gate_that_may_not_be_executed(void **state)
{
    world *w = *state;
    char expected[512];

    assert_int_equal(run_with_gate(w, "text", 0600), EXIT_NOT_RUNNABLE);
    (void)snprintf(expected, sizeof expected,
                   "granary harvest: %s/granary-gate, in which tasks wait for their memory, cannot be executed: "
                   "Permission denied; install Granary again\n",
                   w->folder);
    assert_string_equal(w->err, expected);
}

static void test_gate_that_is_no_program(void **state)
{
    world *w = *state;
    char expected[512];

    assert_int_equal(run_with_gate(w, "of another machine", 0700), EXIT_NOT_RUNNABLE);
    (void)snprintf(expected, sizeof expected,
                   "granary harvest: %s/granary-gate, in which tasks wait for their memory, cannot be executed: "
                   "Exec format error; install Granary again\n",
                   w->folder);
    assert_string_equal(w->err, expected);
}

static void test_input_that_no_program_can_take(void **state)
{
    world *w = *state;

    FILE *file = fopen(in_folder(w, "inputs"), "w");
    assert_non_null(file);
    fprintf(file, "good\nba%cd\n%0140000d\nlast", '\0', 7);
    fclose(file);
    w->options.keep_order = true;
    assert_int_equal(run(w, "echo {}", NULL, NULL), 2);
    assert_string_equal(w->out, "good\nlast\n");
    assert_non_null(strstr(w->err, "input 2 cannot be run: holds a NUL byte"));
    assert_non_null(strstr(w->err, "input 3 cannot be run: longer than the 131071 bytes"));
}

static void test_resume_skips_what_is_done(void **state)
{
    world *w = *state;
    char *inputs[] = {"a", "b", "c", NULL};
    char *others[] = {"a", "x", "c", NULL};
    char why[100];
    harvest_joblog log;

    w->options.keep_order = true;
    assert_int_equal(harvest_joblog_open(&log, in_folder(w, "log"), false, why, sizeof why), 0);
    assert_int_equal(run(w, "echo {}; test {} != b || test -e $TEST_FOLDER/second", inputs, &log), 1);
    harvest_joblog_finish(&log);
    FILE *file = fopen(in_folder(w, "second"), "w");
    fclose(file);
    file = fopen(in_folder(w, "log"), "a");
    fprintf(file, "4\tbarn\t17"); /* torn */
    fclose(file);
    assert_int_equal(harvest_joblog_open(&log, in_folder(w, "log"), true, why, sizeof why), 0);
    assert_int_equal(run(w, "echo {}; test {} != b || test -e $TEST_FOLDER/second", inputs, &log), 0);
    assert_string_equal(w->out, "b\n");
    harvest_joblog_finish(&log);
    assert_int_equal(harvest_joblog_open(&log, in_folder(w, "log"), true, why, sizeof why), 0);
    assert_int_equal(run(w, "echo {}; test {} != b || test -e $TEST_FOLDER/second", others, &log), EXIT_USAGE);
    assert_non_null(strstr(w->err, "the joblog has another command or input as task 2"));
    assert_string_equal(w->out, "");
    harvest_joblog_finish(&log);
}

static void test_interrupt(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", "3", NULL};

    w->options.jobs = 1;
    /* the task itself sends what a terminal would send to the harvest */
    assert_int_equal(run(w, "kill -INT $PPID; sleep 0.1; echo {}", inputs, NULL), 130);
    assert_string_equal(w->out, "1\n");
    assert_non_null(strstr(w->err, "no new tasks"));
}

static void test_second_interrupt_stops_tasks(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", NULL};
    const uint64_t start = harvest_now_ms();

    assert_int_equal(run(w, "kill -INT $PPID; sleep 0.1; kill -INT $PPID; sleep 30", inputs, NULL), 130);
    assert_true(harvest_now_ms() - start < 5000);
}

static void test_lost_broker(void **state)
{
    world *w = *state;
    char *inputs[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};

    fake.lost_after = 6;
    assert_int_equal(run(w, "echo {}", inputs, NULL), EXIT_NO_BROKER);
    assert_non_null(strstr(w->err, "the broker is gone"));
}

static void test_results(void **state)
{
    world *w = *state;
    char *inputs[] = {"../x y", NULL};
    char text[4096];

    w->options.results_fd = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fake.peak = 5;
    assert_int_equal(run(w, "echo out {}; echo err >&2; exit 3", inputs, NULL), 1);
    slurp(in_folder(w, "1-.._x_y/stdout"), text, sizeof text);
    assert_string_equal(text, "out ../x y\n");
    slurp(in_folder(w, "1-.._x_y/stderr"), text, sizeof text);
    assert_string_equal(text, "err\n");
    slurp(in_folder(w, "1-.._x_y/meta"), text, sizeof text);
    assert_non_null(strstr(text, "input\t../x y\n"));
    assert_non_null(strstr(text, "exit\t3\nsignal\t0\noom\t0\npeak_bytes\t5\n"));
    assert_string_equal(w->out, "out ../x y\n");
    assert_string_equal(w->err, "err\n");
    close(w->options.results_fd);
}

static void test_dry_run(void **state)
{
    world *w = *state;
    char *inputs[] = {"it's", "b", NULL};

    w->options.dry_run = w->options.keep_order = true;
    assert_int_equal(run(w, "echo {} {#}", inputs, NULL), 0);
    assert_string_equal(w->out, "echo 'it'\\''s' 1\necho 'b' 2\n");
    assert_int_equal(fake.calls, 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_order_is_kept),
        T(test_output_is_not_mixed),
        T(test_large_output_is_spooled),
        T(test_failures_are_counted),
        T(test_slot_goes_from_task_to_task),
        T(test_recalled_chunk_is_given_back),
        T(test_out_of_memory_gets_more),
        T(test_use_above_the_lease_is_told),
        T(test_out_of_memory_in_two_sizes),
        T(test_out_of_memory_ends_at_the_most),
        T(test_retries),
        T(test_halt_soon),
        T(test_halt_now_stops_the_others),
        T(test_timeout_terminates),
        T(test_environment_and_standard_input),
        T(test_program_that_cannot_be_executed),
        T(test_command_that_is_too_long),
        T(test_gate_that_is_missing),
        T(test_gate_that_may_not_be_executed),
        T(test_gate_that_is_no_program),
        T(test_input_that_no_program_can_take),
        T(test_resume_skips_what_is_done),
        T(test_interrupt),
        T(test_second_interrupt_stops_tasks),
        T(test_lost_broker),
        T(test_results),
        T(test_dry_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
