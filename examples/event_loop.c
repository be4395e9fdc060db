/*
 * event_loop.c - a pool inside a program's own poll() loop: no thread, and no call that waits.
 *
 *     event_loop 'sleep 1' 'echo hello' ...
 *
 * Watched are the pool (grants, recalls, answers) and a signalfd (ended children). Entering and releasing a slot is
 * started here and its answer taken later, so that many short tasks never wait for each other.
 */
#include <granary.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 8 }; /* tasks at once */

typedef struct {
    bool used;
    granary_slot slot;
    granary_gate gate; /* of the running child */
} task;

typedef struct {
    granary_client *client;
    granary_pool *pool;
    task tasks[MOST];
    char **next; /* commands that have not begun */
    int running, failed;
} work;

static void fail(const work *w, const char *what)
{
    fprintf(stderr, "event_loop: %s: %s\n", what, granary_client_error(w->client));
    exit(1);
}

static void start_what_fits(work *w)
{
    for (int i = 0; i < MOST && *w->next; i++) {
        task *t = &w->tasks[i];
        if (t->used)
            continue;
        int r = granary_slot_acquire(w->pool, &t->slot, 0);
        if (r == GRANARY_E_TIMEOUT)
            return; /* none now: the pool's descriptor tells when to look again */
        if (r < 0)
            fail(w, "no slot");
        const char *command = *w->next++;
        int pid = granary_gate_fork(&t->gate);
        if (pid == 0) {
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, NULL);
            granary_gate_wait(&t->gate);
            execl("/bin/sh", "sh", "-c", command, (char *)NULL);
            _exit(127);
        }
        if (pid < 0 || granary_slot_start(w->pool, &t->slot, GRANARY_SLOT_ENTER, t->gate.pidfd, (uint64_t)i) < 0)
            fail(w, command);
        t->used = true;
        w->running++;
    }
}

static void take_answers(work *w)
{
    granary_slot_answer answer;
    while (granary_slot_take(w->pool, &answer) == 0) {
        task *t = &w->tasks[answer.tag];
        if (answer.call == GRANARY_SLOT_ENTER && answer.status == 0)
            granary_gate_open(&t->gate); /* it is under its limit: go */
        if (answer.call == GRANARY_SLOT_ENTER && answer.status < 0) {
            fprintf(stderr, "event_loop: a task could not be started: %s\n", granary_status_text(answer.status));
            granary_gate_finish(&t->gate); /* the child ends at its gate */
        }
        if (answer.call == GRANARY_SLOT_RELEASE) {
            if (answer.end.cause == 1)
                fprintf(stderr, "event_loop: a task ran out of memory (peak %llu bytes)\n",
                        (unsigned long long)answer.end.peak);
            t->used = false;
            w->running--;
        }
    }
}

static void reap(work *w)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < MOST; i++) {
            task *t = &w->tasks[i];
            if (!t->used || t->gate.pid != pid)
                continue;
            granary_gate_finish(&t->gate);
            w->failed |= !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            if (granary_slot_start(w->pool, &t->slot, GRANARY_SLOT_RELEASE, -1, (uint64_t)i) < 0)
                fail(w, "release");
        }
}

int main(int argc, char **argv)
{
    (void)argc;
    work w = {.next = argv + 1};
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    if (granary_client_open(&w.client, &(granary_client_options){.event_loop = true}) < 0)
        return fprintf(stderr, "event_loop: %s\n", granary_client_error(NULL)), 1;
    w.pool = granary_pool_open(
        w.client, &(granary_pool_options){.label = "event_loop", .chunk_size = GRANARY_MIB(64), .want = MOST});
    if (!w.pool)
        fail(&w, "no pool");

    struct pollfd watched[] = {{.fd = granary_pool_fd(w.pool), .events = POLLIN},
                               {.fd = signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN}};
    while (*w.next || w.running > 0) {
        start_what_fits(&w);
        poll(watched, 2, -1);
        struct signalfd_siginfo info;
        while (read(watched[1].fd, &info, sizeof info) > 0)
            ;
        reap(&w);
        if (granary_pool_dispatch(w.pool) < 0)
            fail(&w, "the broker");
        take_answers(&w);
    }
    granary_pool_close(w.pool);
    granary_client_close(w.client);
    return w.failed;
}
