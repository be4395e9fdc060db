/*
 * pool_client.c - libgranary, as granary-conformance drives it.
 *
 *     pool_client          granary_slot_spawn() starts each task
 *     pool_client loop     inside a poll loop of its own: granary_slot_start() and granary_slot_take(), slots kept from
 * task to task
 *
 * Exit status 0: every task ran.
 */
#include <granary.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEATS 64

static granary_client *client;
static granary_pool *pool;
static char *task_path;

static void fail(const char *what)
{
    fprintf(stderr, "pool_client: %s: %s\n", what, granary_client_error(client));
    exit(1);
}

static unsigned long number(const char *name)
{
    const char *text = getenv(name);
    if (!text) {
        fprintf(stderr, "pool_client: %s is not set: run it under granary-conformance\n", name);
        exit(2);
    }
    return strtoul(text, NULL, 10);
}

static bool reap(bool wait_for_it)
{
    int status;
    pid_t pid = waitpid(-1, &status, wait_for_it ? 0 : WNOHANG);
    if (pid > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        fprintf(stderr, "pool_client: a task ended with status %d\n", status);
        exit(1);
    }
    return pid > 0;
}

static void run_spawning(unsigned long tasks)
{
    granary_slot slot;
    for (unsigned long i = 0; i < tasks; i++) {
        if (granary_slot_acquire(pool, &slot, GRANARY_FOREVER) != 0)
            fail("no slot");
        if (granary_slot_spawn(pool, &slot, (char *[]){task_path, NULL}) < 0)
            fail("a task could not be started");
        while (reap(false))
            ;
    }
    while (reap(true))
        ;
}

/* ---- in a loop ---- */

typedef struct {
    bool used;
    granary_slot slot;
    granary_gate gate;
} seat;

static seat seats[SEATS];
static unsigned long to_start, running;

static bool child_make(granary_gate *gate)
{
    int pid = granary_gate_fork(gate);
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        granary_gate_wait(gate);
        execl(task_path, task_path, (char *)NULL);
        _exit(127);
    }
    return pid > 0;
}

static void seats_fill(void)
{
    for (int i = 0; i < SEATS && to_start > 0; i++) {
        seat *x = &seats[i];
        if (x->used)
            continue;
        int r = granary_slot_acquire(pool, &x->slot, 0);
        if (r == GRANARY_E_TIMEOUT)
            return;
        if (r < 0)
            fail("no slot");
        if (!child_make(&x->gate) ||
            granary_slot_start(pool, &x->slot, GRANARY_SLOT_ENTER, x->gate.pidfd, (uint64_t)i) < 0)
            fail("a task could not be started");
        x->used = true;
        running++;
        to_start--;
    }
}

static void seat_next(int i)
{
    seat *x = &seats[i];
    granary_gate_finish(&x->gate);
    x->gate.pid = 0;
    if (to_start > 0) {
        if (!child_make(&x->gate))
            fail("fork");
        if (granary_slot_start(pool, &x->slot, GRANARY_SLOT_NEXT, x->gate.pidfd, (uint64_t)i) == 0) {
            to_start--;
            return;
        }
        granary_gate_finish(&x->gate); /* wanted back: the child ends at its gate, and is nobody's task */
        x->gate.pid = 0;
    }
    if (granary_slot_start(pool, &x->slot, GRANARY_SLOT_RELEASE, -1, (uint64_t)i) < 0)
        fail("release");
}

static void answers_take(void)
{
    granary_slot_answer a;
    while (granary_slot_take(pool, &a) == 0) {
        seat *x = &seats[a.tag];
        if (a.status < 0) {
            fprintf(stderr, "pool_client: %s\n", granary_status_text(a.status));
            exit(1);
        }
        if (a.call != GRANARY_SLOT_RELEASE) {
            granary_gate_open(&x->gate);
            continue;
        }
        x->used = false;
        running--;
    }
}

static void children_end(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < SEATS; i++)
            if (seats[i].used && seats[i].gate.pid == pid)
                seat_next(i);
}

static void run_loop(unsigned long tasks, int children)
{
    struct pollfd watched[] = {{.fd = granary_pool_fd(pool), .events = POLLIN}, {.fd = children, .events = POLLIN}};
    to_start = tasks;
    while (to_start > 0 || running > 0) {
        struct signalfd_siginfo info;
        seats_fill();
        poll(watched, 2, -1);
        while (read(children, &info, sizeof info) > 0)
            ;
        children_end();
        if (granary_pool_dispatch(pool) < 0)
            fail("the broker");
        answers_take();
    }
}

int main(int argc, char **argv)
{
    bool loop = argc > 1 && strcmp(argv[1], "loop") == 0;
    unsigned long tasks = number("GRANARY_KIT_TASKS");
    sigset_t ended;
    task_path = getenv("GRANARY_KIT_TASK");
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    if (loop)
        sigprocmask(SIG_BLOCK, &ended, NULL);
    if (granary_client_open(&client, &(granary_client_options){.no_start = true, .event_loop = loop}) < 0)
        fail("no broker");
    pool = granary_pool_open(client, &(granary_pool_options){.label = getenv("GRANARY_KIT_LABEL"),
                                                             .chunk_size = number("GRANARY_KIT_CHUNK"),
                                                             .min = (uint32_t)number("GRANARY_KIT_MIN"),
                                                             .want = (uint32_t)number("GRANARY_KIT_WANT")});
    if (!pool)
        fail("no pool");
    if (loop)
        run_loop(tasks, signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK));
    else
        run_spawning(tasks);
    granary_pool_close(pool);
    granary_client_close(client);
    return 0;
}
