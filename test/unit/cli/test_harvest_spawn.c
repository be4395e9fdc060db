/* test_harvest_spawn.c - children behind granary-gate: what they get, and what happens when one cannot be made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/harvest/spawn.h"

static const char *gate_program; /* argv[1] */

typedef struct {
    harvest_spawner spawner;
    granary_gate gate;
    int out; /* our end of its standard output */
} play;

static void play_begin(play *p)
{
    setenv("GRANARY_CLAIM", "an outer one", 1);
    setenv("KEPT", "as it was", 1);
    *p = (play){.out = -1};
    p->spawner = (harvest_spawner){.program = "/no/granary"};
    snprintf(p->spawner.gate, sizeof p->spawner.gate, "%s", gate_program);
    assert_int_equal(harvest_spawner_environ(&p->spawner, "books", "/a/socket"), STATUS_OK);
}

static int play_spawn(play *p, char *const argv[])
{
    const struct sigaction normal = {.sa_handler = SIG_DFL};
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t mask;
    int ends[2];
    sigemptyset(&mask);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const harvest_child child = {
        .argv = argv, .in = null, .out = ends[1], .err = ends[1], .mask = &mask, .pipe_action = &normal};
    const int status = harvest_spawn(&p->spawner, &child, &p->gate);
    close(ends[1]);
    close(null);
    p->out = ends[0];
    return status;
}

/* What it wrote until it ended, and its wait status. */
static int play_end(play *p, char *to, size_t size)
{
    size_t used = 0;
    ssize_t n;
    int status = 0;
    while ((n = read(p->out, to + used, size - 1 - used)) > 0)
        used += (size_t)n;
    to[used] = 0;
    assert_int_equal(waitpid(p->gate.pid, &status, 0), p->gate.pid);
    close(p->out);
    granary_gate_finish(&p->gate);
    harvest_spawner_finish(&p->spawner);
    return status;
}

static void test_it_waits_and_then_has_its_numbers(void **state)
{
    char *argv[] = {
        "sh",
        "-c",
        "echo $0 $1 $GRANARY_CLAIM $GRANARY_ALLOCATION $GRANARY_SOCKET $KEPT; env | grep -c ^GRANARY_CLAIM; "
        "for n in 3 4 5 6 7 8 9 10 11 12; do test -e /proc/$$/fd/$n && echo $n is open; done; "
        "test $(ps -o pgid= -p $$) = $$ && echo leads; readlink /proc/$$/fd/0",
        "name",
        "a b",
        NULL};
    char text[512];
    play p;
    (void)state;
    play_begin(&p);
    assert_int_equal(play_spawn(&p, argv), STATUS_OK);
    struct pollfd wrote = {.fd = p.out, .events = POLLIN}, ended = {.fd = p.gate.pidfd, .events = POLLIN};
    assert_int_equal(poll(&wrote, 1, 20), 0);
    assert_int_equal(poll(&ended, 1, 0), 0);
    p.gate.claim = 18446744073709551615u;
    assert_int_equal(harvest_spawn_open(&p.gate, 0), STATUS_OK);
    assert_int_equal(play_end(&p, text, sizeof text), 0);
    assert_string_equal(text, "name a b books.18446744073709551615 0 /a/socket as it was\n1\nleads\n/dev/null\n");
}

static void test_a_gate_that_closes_ends_it(void **state)
{
    char *argv[] = {"sh", "-c", "echo ran", NULL};
    char text[64];
    play p;
    (void)state;
    play_begin(&p);
    assert_int_equal(play_spawn(&p, argv), STATUS_OK);
    close(p.gate.fd);
    p.gate.fd = -1;
    assert_int_equal(play_end(&p, text, sizeof text), 125 << 8);
    assert_string_equal(text, "");
}

static void test_a_dead_one_is_noticed_when_its_gate_opens(void **state)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    char *argv[] = {"true", NULL};
    char text[64];
    play p;
    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    play_begin(&p);
    assert_int_equal(play_spawn(&p, argv), STATUS_OK);
    kill(p.gate.pid, SIGKILL);
    struct pollfd ended = {.fd = p.gate.pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 10000), 1);
    assert_int_equal(harvest_spawn_open(&p.gate, 1), STATUS_DEAD);
    assert_int_equal(play_end(&p, text, sizeof text), SIGKILL);
}

/* A script without a first line is nothing that the kernel executes: exec-task of the granary program is. */
static void test_what_the_kernel_does_not_execute_goes_to_exec_task(void **state)
{
    char script[] = "/var/tmp/granary-spawn-XXXXXX", expected[128], text[256];
    char *argv[] = {script, "word", NULL};
    play p;
    (void)state;
    const int fd = mkstemp(script);
    assert_true(fd >= 0 && dprintf(fd, "exit 1\n") > 0 && fchmod(fd, 0755) == 0);
    close(fd);
    play_begin(&p);
    snprintf(p.spawner.program, sizeof p.spawner.program, "/bin/echo");
    assert_int_equal(play_spawn(&p, argv), STATUS_OK);
    p.gate.claim = 7;
    assert_int_equal(harvest_spawn_open(&p.gate, 5), STATUS_OK);
    assert_int_equal(play_end(&p, text, sizeof text), 0);
    snprintf(expected, sizeof expected, "exec-task %s word\n", script);
    assert_string_equal(text, expected);
    unlink(script);
}

static void test_a_file_that_is_not_there_goes_to_exec_task(void **state)
{
    char *argv[] = {"no-such-program-here", "word", NULL}, text[256];
    play p;
    (void)state;
    play_begin(&p);
    snprintf(p.spawner.program, sizeof p.spawner.program, "/bin/echo");
    assert_int_equal(play_spawn(&p, argv), STATUS_OK);
    assert_int_equal(harvest_spawn_open(&p.gate, 5), STATUS_OK);
    assert_int_equal(play_end(&p, text, sizeof text), 0);
    assert_string_equal(text, "exec-task no-such-program-here word\n");
}

/* What was not found is looked up again for the next task. */
static void test_a_program_that_came_later_is_found(void **state)
{
    char folder[] = "/var/tmp/granary-spawn-XXXXXX", path[64], text[256];
    char *argv[] = {path, "found", NULL};
    play p;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/later", folder);
    play_begin(&p);
    assert_int_equal(play_spawn(&p, argv), STATUS_OK);
    kill(p.gate.pid, SIGKILL);
    assert_int_equal(waitpid(p.gate.pid, NULL, 0), p.gate.pid);
    granary_gate_finish(&p.gate);
    close(p.out);
    assert_int_equal(symlink("/bin/echo", path), 0);
    assert_int_equal(play_spawn(&p, argv), STATUS_OK);
    assert_int_equal(harvest_spawn_open(&p.gate, 5), STATUS_OK);
    assert_int_equal(play_end(&p, text, sizeof text), 0);
    assert_string_equal(text, "found\n");
    unlink(path);
    rmdir(folder);
}

static void test_a_gate_that_cannot_be_executed(void **state)
{
    char *argv[] = {"true", NULL};
    play p;
    (void)state;
    play_begin(&p);
    snprintf(p.spawner.gate, sizeof p.spawner.gate, "/no/such/gate");
    assert_int_equal(play_spawn(&p, argv), STATUS_NOT_FOUND);
    assert_int_equal(errno, ENOENT);
    close(p.out);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    harvest_spawner_finish(&p.spawner);
}

static void test_too_many_words(void **state)
{
    enum { WORDS = 60 };
    char *argv[WORDS + 2] = {"true"}, *word = malloc(120000);
    play p;
    (void)state;
    assert_non_null(word);
    memset(word, 'x', 119999);
    word[119999] = 0;
    for (int i = 1; i <= WORDS; i++)
        argv[i] = word;
    play_begin(&p);
    assert_int_equal(play_spawn(&p, argv), STATUS_LIMIT);
    assert_int_equal(errno, E2BIG);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    close(p.out);
    harvest_spawner_finish(&p.spawner);
    free(word);
}

static void test_the_gate_is_beside_the_program_or_in_libexec(void **state)
{
    char root[] = "/var/tmp/granary-spawn-XXXXXX", program[64], path[3][128], why[1024], expected[1024];
    harvest_spawner s;
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(program, sizeof program, "%s/bin/granary", root);
    const char *const folders[] = {"bin", "libexec", "libexec/granary"};
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", root, folders[i]);
        assert_int_equal(mkdir(path[i], 0700), 0);
    }
    assert_int_equal(harvest_spawner_init(&s, program, why, sizeof why), STATUS_NOT_FOUND);
    snprintf(expected, sizeof expected, "%s/bin/../libexec/granary/granary-gate", root);
    assert_int_equal(symlink("/bin/true", expected), 0);
    assert_int_equal(harvest_spawner_init(&s, program, why, sizeof why), STATUS_OK);
    assert_string_equal(s.gate, expected);
    assert_string_equal(s.program, program);
    unlink(expected);
    snprintf(expected, sizeof expected, "%s/bin/granary-gate", root);
    assert_int_equal(symlink("/bin/true", expected), 0);
    assert_int_equal(harvest_spawner_init(&s, program, why, sizeof why), STATUS_OK);
    assert_string_equal(s.gate, expected);
    unlink(expected);
    for (int i = 3; i-- > 0;)
        rmdir(path[i]);
    rmdir(root);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s GATE\n", argv[0]);
        return 2;
    }
    gate_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_waits_and_then_has_its_numbers),
        cmocka_unit_test(test_a_gate_that_closes_ends_it),
        cmocka_unit_test(test_a_dead_one_is_noticed_when_its_gate_opens),
        cmocka_unit_test(test_what_the_kernel_does_not_execute_goes_to_exec_task),
        cmocka_unit_test(test_a_file_that_is_not_there_goes_to_exec_task),
        cmocka_unit_test(test_a_program_that_came_later_is_found),
        cmocka_unit_test(test_a_gate_that_cannot_be_executed),
        cmocka_unit_test(test_too_many_words),
        cmocka_unit_test(test_the_gate_is_beside_the_program_or_in_libexec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
