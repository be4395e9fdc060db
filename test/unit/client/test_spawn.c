/* Commands in slots, against a broker that does what the test says: each slot comes back by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_broker.h"
#include "granary.h"
#include "granary.pb-c.h"

typedef struct {
    fake_broker *fake;
    granary_client *client;
    granary_pool *pool;
} world;

static world world_open(uint32_t chunks, bool event_loop)
{
    world w = {.fake = fake_start(chunks)};
    const granary_client_options o = {.socket = fake_socket(w.fake), .program = "test", .event_loop = event_loop};
    assert_int_equal(granary_client_open(&w.client, &o), 0);
    w.pool = granary_pool_open(w.client, &(granary_pool_options){.label = "p", .chunk_size = 4096, .want = chunks});
    assert_non_null(w.pool);
    return w;
}

static void world_close(world *w)
{
    granary_pool_close(w->pool);
    granary_client_close(w->client);
    fake_stop(w->fake);
}

static granary_slot take(const world *w)
{
    granary_slot s = {0};
    assert_int_equal(granary_slot_acquire(w->pool, &s, 5000), 0);
    return s;
}

static int spawn_shell(const world *w, const granary_slot *s, const char *command)
{
    const int pid = granary_slot_spawn(w->pool, s, (char *[]){"sh", "-c", (char *)(uintptr_t)command, NULL});
    assert_true(pid > 0);
    return pid;
}

static int exit_of(int pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* More tasks than slots, and nobody says release. */
static void slots_come_back(bool event_loop)
{
    world w = world_open(2, event_loop);
    int pids[6];
    for (int i = 0; i < 6; i++) {
        const granary_slot s = take(&w);
        pids[i] = spawn_shell(&w, &s, i % 2 ? "exit 3" : "exit 0");
    }
    for (int i = 0; i < 6; i++)
        assert_int_equal(exit_of(pids[i]), i % 2 ? 3 : 0);
    assert_int_equal(take(&w).claim > 0, 1);
    assert_int_equal(take(&w).claim > 0, 1); /* both are used again, with the claims that they had */
    assert_int_equal(fake_claims(w.fake), 2);
    world_close(&w);
}

static void slots_come_back_by_the_thread(void **state)
{
    (void)state;
    slots_come_back(false);
}

static void slots_come_back_in_an_event_loop(void **state)
{
    (void)state;
    slots_come_back(true);
}

/* The program's own loop sees the end: its descriptor gets readable, and a dispatch gives the slot back. */
static void an_event_loop_is_told(void **state)
{
    (void)state;
    world w = world_open(1, true);
    granary_slot s = take(&w);
    const int pid = spawn_shell(&w, &s, "exit 0");
    while (granary_slot_acquire(w.pool, &s, 0) != 0) {
        struct pollfd ready = {.fd = granary_pool_fd(w.pool), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 5000), 1);
        assert_int_equal(granary_pool_dispatch(w.pool), 0);
    }
    assert_int_equal(exit_of(pid), 0);
    world_close(&w);
}

static void the_command_knows_its_claim(void **state)
{
    (void)state;
    char books[GRANARY_BROKER_ID_MAX], command[256];
    setenv("GRANARY_CLAIM", "of another one", 1);
    setenv("GRANARY_ALLOCATION", "0", 1);
    world w = world_open(1, false);
    const granary_slot s = take(&w);
    granary_broker_id(w.client, books);
    (void)snprintf(command, sizeof command,
                   "test \"$GRANARY_CLAIM\" = '%s.1' && test \"$GRANARY_ALLOCATION\" = 11 &&"
                   " test \"$(env | grep -cE '^GRANARY_(CLAIM|ALLOCATION)=')\" = 2",
                   books);
    assert_int_equal(exit_of(spawn_shell(&w, &s, command)), 0);
    unsetenv("GRANARY_CLAIM");
    unsetenv("GRANARY_ALLOCATION");
    world_close(&w);
}

static void nothing_but_its_end_releases_it(void **state)
{
    (void)state;
    world w = world_open(1, false);
    granary_slot s = take(&w), other;
    const int pid = spawn_shell(&w, &s, "exec sleep 100");
    assert_int_equal(granary_slot_release(w.pool, &s, NULL), GRANARY_E_STATE);
    assert_string_equal(granary_client_error(w.client),
                        "slot 1 runs a command of granary_slot_spawn(), and goes when it ends");
    assert_int_equal(granary_slot_spawn(w.pool, &s, (char *[]){"true", NULL}), GRANARY_E_STATE);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* the second one is gone, the first one runs on */
    assert_int_equal(granary_slot_acquire(w.pool, &other, 0), GRANARY_E_TIMEOUT);
    kill(pid, SIGKILL);
    s = take(&w);
    assert_int_equal(granary_slot_release(w.pool, &s, NULL), 0); /* handed out anew: the caller's */
    assert_int_equal(exit_of(pid), 1000 + SIGKILL);
    world_close(&w);
}

static void what_cannot_start_gives_its_slot_back(void **state)
{
    (void)state;
    world w = world_open(1, false);
    granary_slot s = take(&w);
    assert_int_equal(granary_slot_spawn(w.pool, &s, (char *[]){NULL}), GRANARY_E_INVALID);
    s = take(&w);
    fake_fail(w.fake, GRANARY__MESSAGE_TYPE__TYPE_CLAIM, GRANARY_E_AGENT);
    assert_int_equal(granary_slot_spawn(w.pool, &s, (char *[]){"true", NULL}), GRANARY_E_AGENT);
    assert_int_equal(waitpid(-1, NULL, 0), -1); /* it ended at its gate, and was reaped */
    assert_int_equal(errno, ECHILD);
    s = take(&w);
    int pid = granary_slot_spawn(w.pool, &s, (char *[]){"/no/such/program", NULL});
    assert_int_equal(exit_of(pid), 127);
    s = take(&w);
    pid = granary_slot_spawn(w.pool, &s, (char *[]){"/etc/passwd", NULL});
    assert_int_equal(exit_of(pid), 126);
    s = take(&w);
    assert_int_equal(granary_slot_release(w.pool, &s, NULL), 0);
    world_close(&w);
}

static void a_wanted_chunk_goes_at_its_end(void **state)
{
    (void)state;
    world w = world_open(2, false);
    int pids[2];
    for (int i = 0; i < 2; i++) {
        const granary_slot s = take(&w);
        pids[i] = spawn_shell(&w, &s, "exec sleep 100");
    }
    fake_recall(w.fake, 5, 1);
    assert_true(fake_await(w.fake, "OFFER recall 5 items 2"));
    kill(pids[1], SIGKILL);
    assert_true(fake_await(w.fake, "RELEASE 11 recall 5 3:1"));
    assert_int_equal(exit_of(pids[1]), 1000 + SIGKILL);
    kill(pids[0], SIGKILL);
    assert_int_equal(exit_of(pids[0]), 1000 + SIGKILL);
    world_close(&w);
}

/* What still runs when the pool is closed runs on; its end is nobody's any more. */
static void a_closed_pool_forgets_them(void **state)
{
    (void)state;
    world w = world_open(1, false);
    const granary_slot s = take(&w);
    const int pid = spawn_shell(&w, &s, "exec sleep 100");
    granary_pool_close(w.pool);
    w.pool = granary_pool_open(w.client, &(granary_pool_options){.label = "q", .chunk_size = 4096, .want = 1});
    assert_non_null(w.pool);
    assert_int_equal(kill(pid, 0), 0);
    kill(pid, SIGKILL);
    assert_int_equal(exit_of(pid), 1000 + SIGKILL);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_come_back_by_the_thread),   cmocka_unit_test(slots_come_back_in_an_event_loop),
        cmocka_unit_test(an_event_loop_is_told),           cmocka_unit_test(the_command_knows_its_claim),
        cmocka_unit_test(nothing_but_its_end_releases_it), cmocka_unit_test(what_cannot_start_gives_its_slot_back),
        cmocka_unit_test(a_wanted_chunk_goes_at_its_end),  cmocka_unit_test(a_closed_pool_forgets_them),
    };
    return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
