/* whois: a process that waits in granary-gate is known by its pidfd and its program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/watchpid.h"
#include "agent/whois.h"
#include "base/status.h"

typedef struct {
    procfs proc;
    pid_t pid;
    int pidfd, gate;
} waiting;

/* A child at its gate, as a harvest makes it. */
static void waiting_begin(waiting *w, const char *program)
{
    char *argv[] = {"granary", "/bin/true", "true", NULL}, *variables[] = {"A=00000000000000000000", "B=0000", NULL};
    char byte;
    int ends[2], ready[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    w->pid = fork();
    if (w->pid == 0) {
        close(ends[1]);
        dup2(ends[0], 3);
        execve(program, argv, variables);
        _exit(1);
    }
    close(ends[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0); /* it has executed the program */
    close(ready[0]);
    w->gate = ends[1];
    assert_int_equal(pidfd_of(w->pid, &w->pidfd), 0);
    assert_int_equal(procfs_open(&w->proc, "/proc"), 0);
}

static void waiting_end(waiting *w)
{
    kill(w->pid, SIGKILL);
    assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
    close(w->gate);
}

static void gate_know(procfs *p, const char *program)
{
    struct stat file;
    assert_int_equal(stat(program, &file), 0);
    p->gate_device = file.st_dev;
    p->gate_file = file.st_ino;
}

static void a_waiting_task(void **state)
{
    waiting w;
    pid_t pid = 0;
    procfs_process process = {0}, read = {0};
    (void)state;
    waiting_begin(&w, GATE_PROGRAM);
    assert_int_equal(whois_waiting(&w.proc, w.pidfd, &pid, &process), STATUS_NOT_FOUND); /* no gate is known */
    gate_know(&w.proc, GATE_PROGRAM);
    int r = whois_waiting(&w.proc, w.pidfd, &pid, &process);
    if (r == STATUS_NOT_FOUND) { /* before Linux 6.13 */
        waiting_end(&w);
        skip();
    }
    assert_int_equal(r, 0);
    assert_int_equal(pid, w.pid);
    assert_int_equal(procfs_process_read(&w.proc, pid, &read), 0);
    assert_int_equal(process.parent, getpid());
    assert_int_equal(process.real, read.real);
    assert_int_equal(process.effective, read.effective);
    assert_int_equal(process.saved, read.saved);
    assert_int_equal(process.threads, read.threads);
    assert_false(process.zombie);
    assert_true(read.resident <= KIB(64)); /* so little that it counts as nothing */
    waiting_end(&w);
    pid = 0;
    assert_int_equal(whois_waiting(&w.proc, w.pidfd, &pid, &process), STATUS_DEAD);
    assert_int_equal(pid, 0);
    close(w.pidfd);
    procfs_close(&w.proc);
}

static void another_program(void **state)
{
    waiting w;
    pid_t pid = 0;
    procfs_process process = {0};
    int self;
    (void)state;
    waiting_begin(&w, GATE_PROGRAM);
    gate_know(&w.proc, "/bin/true");
    assert_int_equal(whois_waiting(&w.proc, w.pidfd, &pid, &process), STATUS_NOT_FOUND);
    gate_know(&w.proc, GATE_PROGRAM);
    assert_int_equal(pidfd_of(getpid(), &self), 0);
    assert_int_equal(whois_waiting(&w.proc, self, &pid, &process), STATUS_NOT_FOUND);
    close(self);
    assert_int_equal(whois_waiting(&w.proc, w.gate, &pid, &process), STATUS_NOT_FOUND); /* a pipe */
    assert_int_equal(pid, 0);
    waiting_end(&w);
    close(w.pidfd);
    procfs_close(&w.proc);
}

/* Beside this test is no such program; and of a folder that stands for /proc no pidfd speaks. */
static void where_there_is_none(void **state)
{
    procfs p;
    (void)state;
    assert_int_equal(procfs_open(&p, "/proc"), 0);
    whois_find_gate(&p);
    assert_int_equal(p.gate_file, 0);
    procfs_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waiting_task),
        cmocka_unit_test(another_program),
        cmocka_unit_test(where_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
