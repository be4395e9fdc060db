/*
 * Which deaths of its children granaryd mends, and which it ends with; and its loop, in a process of its own, with
 * children that are forks of it: they tell what happens to them. How long it waits: test_child.c.
 */
#include "cmocka_all.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/reserve.h"
#include "base/status.h"
#include "daemon/child.h"
#include "daemon/supervisor.h"

#define EXITED(code)   __W_EXITCODE(code, 0)
#define KILLED(signal) __W_EXITCODE(0, signal)

static void test_what_no_restart_mends(void **state)
{
    (void)state;
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_ORDERLY)), EXIT_ORDERLY); /* it was idle */
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_WRONG_USAGE)), EXIT_WRONG_USAGE);
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_RUNNING)), EXIT_RUNNING);
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_STATE)), EXIT_STATE);
}

static void test_what_is_started_again(void **state)
{
    (void)state;
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_OTHER)), -1);
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_STORE)), -1); /* the disk may have room again */
    assert_int_equal(supervisor_verdict(true, EXITED(EXIT_NO_MEMORY)), -1);
    assert_int_equal(supervisor_verdict(true, EXITED(126)), -1);
    assert_int_equal(supervisor_verdict(true, EXITED(255)), -1);
    assert_int_equal(supervisor_verdict(true, KILLED(SIGKILL)), -1);
    assert_int_equal(supervisor_verdict(true, KILLED(SIGABRT)), -1);
}

static void test_an_agent_is_always_started_again(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++)
        assert_int_equal(supervisor_verdict(false, EXITED(code)), -1);
    assert_int_equal(supervisor_verdict(false, KILLED(SIGSEGV)), -1);
}

/* ---- the loop ---- */

#define BOOKS       "0123456789abcdef0123456789abcdef"
#define STARTS_MOST 16u
#define IDLE        1000 /* ends orderly when it has been linked */

typedef enum { BROKER, AGENT } part;
typedef enum { STARTED, LINKED, RELOADED, ASKED, HAPPENINGS } happening;

typedef struct {
    part who;
    happening what;
    pid_t pid;
} report;

/* What the children do. */
static struct {
    int exits[STARTS_MOST]; /* the broker, with its n-th start: this status at once; 0 = lives */
    bool deaf, crashes;     /* when asked to end */
} script;

static unsigned starts; /* of the broker; the supervisor's process counts */
static int told[2] = {-1, -1}, ready[2] = {-1, -1};
static char folder[64];
static pid_t granaryd;

/* What was told so far. */
static unsigned seen[2][HAPPENINGS];
static pid_t latest[2];
static part first;

static void tell(part who, happening what)
{
    report r = {who, what, getpid()};
    if (send(told[1], &r, sizeof r, 0) != sizeof r)
        _exit(99);
}

static void __attribute__((noreturn)) play(part who, int control)
{
    int code = who == BROKER && starts <= STARTS_MOST ? script.exits[starts - 1] : 0;
    tell(who, STARTED);
    if (code && code != IDLE)
        _exit(code);
    if (who == BROKER)
        control_send_books(control, BOOKS);
    control_send(control, CONTROL_READY);
    for (;;) {
        control_message m;
        struct pollfd said = {.fd = control, .events = POLLIN};
        if (poll(&said, 1, -1) < 0 || control_receive(control, &m) < 0)
            _exit(98);
        if (m.kind == CONTROL_LINK && m.fd >= 0)
            tell(who, LINKED);
        else if (m.kind == CONTROL_RELOAD)
            tell(who, RELOADED);
        else if (m.kind == CONTROL_QUIT)
            tell(who, ASKED);
        if (m.kind == CONTROL_QUIT && script.crashes)
            kill(getpid(), SIGUSR1);
        if ((m.kind == CONTROL_QUIT && !script.deaf) || code == IDLE)
            _exit(0);
    }
}

int __wrap_child_start(child *c, uv_loop_t *loop, const child_command *command, uv_poll_cb on_control, void *userdata);

int __wrap_child_start(child *c, uv_loop_t *loop, const child_command *command, uv_poll_cb on_control, void *userdata)
{
    part who = strcmp(command->program, "granary-broker") == 0 ? BROKER : AGENT;
    int pair[2];
    starts += who == BROKER;
    if (control_pair(pair) < 0)
        return STATUS_SYSTEM;
    c->pid = fork();
    if (c->pid == 0) {
        close(pair[0]);
        play(who, pair[1]);
    }
    close(pair[1]);
    c->control = pair[0];
    c->poll = malloc(sizeof *c->poll);
    uv_poll_init(loop, c->poll, pair[0]);
    c->poll->data = userdata;
    uv_poll_start(c->poll, UV_READABLE, on_control);
    c->started = uv_hrtime() / 1000000;
    c->ready = false;
    return 0;
}

static void __attribute__((noreturn)) run_granaryd(void)
{
    static config c;
    options o = {.memory = GIB(1), .set_aside = UINT64_MAX, .ready_fd = ready[1], .user_instance = true};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that failed leaves nothing */
    (void)unshare(CLONE_NEWNET);      /* the machine's lock is of a network namespace: others may hold theirs */
    config_init(&c);
    c.memory = o.memory;
    snprintf(c.state, sizeof c.state, "%s/state", folder);
    snprintf(c.socket, sizeof c.socket, "%s/socket", folder);
    _exit(supervisor_run(&o, &c, "", log_create("supervisor", LOG_ERROR)));
}

static int begin(void **state)
{
    (void)state;
    alarm(60);
    memset(&script, 0, sizeof script);
    memset(seen, 0, sizeof seen);
    strcpy(folder, "/tmp/granary-supervisor.XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, told), 0);
    assert_int_equal(pipe(ready), 0);
    return 0;
}

static void start(void)
{
    granaryd = fork();
    if (granaryd == 0) {
        close(told[0]);
        run_granaryd();
    }
    close(told[1]);
    close(ready[1]);
}

/* False: all that could tell are gone. */
static bool hear(void)
{
    report r;
    ssize_t got = recv(told[0], &r, sizeof r, 0);
    if (got != sizeof r)
        return false;
    if (seen[BROKER][STARTED] + seen[AGENT][STARTED] == 0)
        first = r.who;
    seen[r.who][r.what]++;
    latest[r.who] = r.pid;
    return true;
}

static void await(part who, happening what, unsigned times)
{
    while (seen[who][what] < times)
        assert_true(hear());
}

static void await_links(unsigned times)
{
    await(BROKER, LINKED, times);
    await(AGENT, LINKED, times);
}

/* Waits until granaryd and its children are gone. Its exit code; whether it said that it is ready. */
static int ended(bool *ret_ready)
{
    int status;
    char byte;
    while (hear())
        ;
    assert_int_equal(waitpid(granaryd, &status, 0), granaryd);
    assert_true(WIFEXITED(status));
    *ret_ready = read(ready[0], &byte, 1) == 1 && byte == 'R';
    return WEXITSTATUS(status);
}

static int finish(void **state)
{
    char path[128];
    (void)state;
    close(told[0]);
    close(ready[0]);
    snprintf(path, sizeof path, "%s/state/lock", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/state", folder);
    rmdir(path);
    alarm(0);
    return rmdir(folder);
}

static void test_the_agent_follows_the_broker_and_both_are_asked_to_end(void **state)
{
    (void)state;
    bool told_ready;
    start();
    await_links(1);
    assert_int_equal(kill(granaryd, SIGTERM), 0);
    assert_int_equal(ended(&told_ready), EXIT_ORDERLY);
    assert_true(told_ready);
    assert_int_equal(first, BROKER);
    for (part who = BROKER; who <= AGENT; who++) {
        assert_int_equal(seen[who][STARTED], 1);
        assert_int_equal(seen[who][LINKED], 1);
        assert_int_equal(seen[who][ASKED], 1);
        assert_int_equal(seen[who][RELOADED], 0);
    }
}

static void test_one_that_dies_is_started_and_linked_again(void **state)
{
    (void)state;
    bool told_ready;
    start();
    await_links(1);
    assert_int_equal(kill(latest[BROKER], SIGKILL), 0);
    await_links(2);
    assert_int_equal(seen[AGENT][STARTED], 1);
    assert_int_equal(kill(latest[AGENT], SIGKILL), 0);
    await_links(3);
    assert_int_equal(seen[AGENT][STARTED], 2);
    assert_int_equal(seen[BROKER][STARTED], 2);
    assert_int_equal(kill(granaryd, SIGINT), 0);
    assert_int_equal(ended(&told_ready), EXIT_ORDERLY);
    assert_int_equal(seen[BROKER][LINKED], 3);
    assert_int_equal(seen[AGENT][LINKED], 3);
}

static void test_only_the_broker_reads_its_configuration_again(void **state)
{
    (void)state;
    bool told_ready;
    start();
    await_links(1);
    assert_int_equal(kill(granaryd, SIGHUP), 0);
    await(BROKER, RELOADED, 1);
    assert_int_equal(kill(granaryd, SIGTERM), 0);
    assert_int_equal(ended(&told_ready), EXIT_ORDERLY);
    assert_int_equal(seen[BROKER][RELOADED], 1);
    assert_int_equal(seen[AGENT][RELOADED], 0);
}

static void dies_always(int code, int expected, unsigned times)
{
    bool told_ready;
    for (unsigned i = 0; i < STARTS_MOST; i++)
        script.exits[i] = code;
    start();
    assert_int_equal(ended(&told_ready), expected);
    assert_false(told_ready);
    assert_int_equal(seen[BROKER][STARTED], times);
    assert_int_equal(seen[AGENT][STARTED], 0);
}

static void test_a_broker_that_always_dies_is_given_up(void **state)
{
    (void)state;
    dies_always(EXIT_OTHER, EXIT_OTHER, 6);
}

static void test_a_full_disk_is_told_by_the_exit_code(void **state)
{
    (void)state;
    dies_always(EXIT_STORE, EXIT_STORE, 6);
}

static void test_a_shortage_before_it_served_is_not_waited_for(void **state)
{
    (void)state;
    dies_always(EXIT_NO_MEMORY, EXIT_OTHER, 6);
}

static void test_what_no_restart_mends_ends_it_at_once(void **state)
{
    (void)state;
    dies_always(EXIT_STATE, EXIT_STATE, 1);
}

static void test_a_shortage_after_it_served_is_waited_for(void **state)
{
    (void)state;
    bool told_ready;
    for (unsigned i = 1; i <= 5; i++)
        script.exits[i] = EXIT_NO_MEMORY;
    start();
    await_links(1);
    assert_int_equal(kill(latest[BROKER], SIGKILL), 0);
    await_links(2);
    assert_int_equal(seen[BROKER][STARTED], 7);
    assert_int_equal(kill(granaryd, SIGTERM), 0);
    assert_int_equal(ended(&told_ready), EXIT_ORDERLY);
}

static void test_an_idle_broker_takes_the_agent_with_it(void **state)
{
    (void)state;
    bool told_ready;
    script.exits[0] = IDLE;
    start();
    assert_int_equal(ended(&told_ready), EXIT_ORDERLY);
    assert_int_equal(seen[BROKER][STARTED], 1);
    assert_int_equal(seen[AGENT][STARTED], 1);
    assert_int_equal(seen[AGENT][ASKED], 1);
}

static void test_a_child_that_crashes_at_its_end_is_told(void **state)
{
    (void)state;
    bool told_ready;
    script.crashes = true;
    start();
    await_links(1);
    assert_int_equal(kill(granaryd, SIGTERM), 0);
    assert_int_equal(ended(&told_ready), EXIT_OTHER);
}

static void test_a_child_that_does_not_hear_is_made_to_end(void **state)
{
    (void)state;
    bool told_ready;
    struct timespec from, to;
    script.deaf = true;
    start();
    await_links(1);
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(kill(granaryd, SIGTERM), 0);
    assert_int_equal(ended(&told_ready), EXIT_ORDERLY);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 >= 4990);
    assert_int_equal(seen[BROKER][ASKED], 1);
    assert_int_equal(seen[AGENT][ASKED], 1);
}

#define LOOP(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_no_restart_mends),
        cmocka_unit_test(test_what_is_started_again),
        cmocka_unit_test(test_an_agent_is_always_started_again),
        LOOP(test_the_agent_follows_the_broker_and_both_are_asked_to_end),
        LOOP(test_one_that_dies_is_started_and_linked_again),
        LOOP(test_only_the_broker_reads_its_configuration_again),
        LOOP(test_a_broker_that_always_dies_is_given_up),
        LOOP(test_a_full_disk_is_told_by_the_exit_code),
        LOOP(test_a_shortage_before_it_served_is_not_waited_for),
        LOOP(test_what_no_restart_mends_ends_it_at_once),
        LOOP(test_a_shortage_after_it_served_is_waited_for),
        LOOP(test_an_idle_broker_takes_the_agent_with_it),
        LOOP(test_a_child_that_crashes_at_its_end_is_told),
        LOOP(test_a_child_that_does_not_hear_is_made_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
