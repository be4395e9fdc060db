/*
 * task.c - see task.h.
 */
#include "cli/harvest/task.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/exits.h"
#include "cli/harvest/results.h"

#define DRAIN_SIZE 65536u

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        abort(); /* both clocks exist since Linux 2.6.39 */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t harvest_now_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

uint64_t harvest_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

harvest_task *harvest_task_create(uint64_t seq, char *input)
{
    harvest_task *task = calloc(1, sizeof *task);

    if (!task) {
        free(input);
        return NULL;
    }
    task->seq = seq;
    task->input = input;
    task->chunks = 1;
    task->attempt = 1;
    task->gate = (granary_gate){.pidfd = -1, .fd = -1};
    task->out_fd = task->err_fd = -1;
    task->out = task->err = HARVEST_BLOB_EMPTY;
    task->deadline_ms = UINT64_MAX;
    return task;
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void harvest_task_destroy(harvest_task *task, harvest_spool *spool)
{
    if (!task)
        return;
    fd_close(&task->out_fd);
    fd_close(&task->err_fd);
    harvest_blob_finish(spool, &task->out);
    harvest_blob_finish(spool, &task->err);
    free(task->input);
    free(task->argv);
    free(task->line);
    free(task);
}

/* ---- its process ---- */

typedef struct {
    int ours, theirs;
} stream;

static int stream_open(stream *ret)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return STATUS_SYSTEM;
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
        close(fds[0]);
        close(fds[1]);
        return STATUS_SYSTEM;
    }
    *ret = (stream){fds[0], fds[1]};
    return STATUS_OK;
}

static void stream_close(stream *pair)
{
    fd_close(&pair->ours);
    fd_close(&pair->theirs);
}

/* Both streams: pipes, or files of the results folder that the task writes itself. */
static int streams_open(const harvest_task *task, const harvest_nursery *nursery, stream *ret_out, stream *ret_err)
{
    stream out = {-1, -1}, err = {-1, -1};
    int status;

    if (nursery->results_fd >= 0)
        status = harvest_results_open(nursery->results_fd, task->seq, task->input, &out.theirs, &err.theirs);
    else {
        status = stream_open(&out);
        if (status == STATUS_OK)
            status = stream_open(&err);
    }
    if (status < 0) {
        const int error = errno;
        stream_close(&out);
        stream_close(&err);
        errno = error;
        return status;
    }
    *ret_out = out;
    *ret_err = err;
    return STATUS_OK;
}

static int process_start(harvest_task *task, const harvest_nursery *nursery, int out, int err)
{
    const harvest_child child = {.argv = task->argv,
                                 .in = nursery->null_fd,
                                 .out = out,
                                 .err = err,
                                 .mask = &nursery->mask,
                                 .pipe_action = &nursery->pipe_action,
                                 .files = nursery->files_raised ? &nursery->files : NULL};

    return harvest_spawn(nursery->spawner, &child, &task->gate);
}

int harvest_task_fork(harvest_task *task, const harvest_nursery *nursery)
{
    stream out, err;
    int status;

    assert(task->state == TASK_IDLE);
    status = streams_open(task, nursery, &out, &err);
    if (status < 0)
        return status;
    status = process_start(task, nursery, out.theirs, err.theirs);
    if (status < 0) {
        const int error = errno;
        stream_close(&out);
        stream_close(&err);
        errno = error;
        return status;
    }
    task->state = TASK_GATED;
    task->stop = TASK_STOP_NONE;
    task->out_fd = out.ours;
    task->err_fd = err.ours;
    if (nursery->results_fd < 0) {
        fd_close(&out.theirs);
        fd_close(&err.theirs);
        return STATUS_OK;
    }
    task->out.fd = out.theirs; /* adopted with their lengths when the task has ended */
    task->err.fd = err.theirs;
    return STATUS_OK;
}

int harvest_task_go(harvest_task *task, const harvest_nursery *nursery, uint64_t claim, uint64_t now_ms,
                    uint64_t timeout_ms)
{
    assert(task->state == TASK_GATED);
    task->gate.claim = claim;
    if (harvest_spawn_open(&task->gate, nursery->allocation) < 0)
        return STATUS_DEAD;
    task->state = TASK_RUNNING;
    task->start_ms = now_ms;
    task->start_wall_ms = harvest_wall_ms();
    task->deadline_ms = timeout_ms ? now_ms + timeout_ms : UINT64_MAX;
    return STATUS_OK;
}

void harvest_task_dismiss(harvest_task *task)
{
    assert(task->state == TASK_GATED);
    granary_gate_finish(&task->gate);
    task->gate.pidfd = task->gate.fd = -1;
}

static int pipe_drain(int *fd, harvest_blob *blob, harvest_spool *spool)
{
    static char bytes[DRAIN_SIZE]; /* one for all: the loop has one thread */

    while (*fd >= 0) {
        const ssize_t n = read(*fd, bytes, sizeof bytes);
        int status;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return STATUS_OK;
        if (n <= 0) {
            fd_close(fd);
            return n < 0 ? STATUS_SYSTEM : STATUS_OK;
        }
        status = harvest_blob_append(spool, blob, bytes, (size_t)n);
        if (status < 0)
            return status;
        if ((size_t)n < sizeof bytes)
            return STATUS_OK; /* others wait too; the poll tells when there is more */
    }
    return STATUS_OK;
}

int harvest_task_drain(harvest_task *task, const harvest_nursery *nursery)
{
    const int status = pipe_drain(&task->out_fd, &task->out, nursery->spool);

    return status < 0 ? status : pipe_drain(&task->err_fd, &task->err, nursery->spool);
}

void harvest_task_reaped(harvest_task *task, int wait_status, uint64_t now_ms)
{
    task->runtime_ms = task->state == TASK_RUNNING ? now_ms - task->start_ms : 0;
    task->state = TASK_ENDED;
    task->deadline_ms = UINT64_MAX;
    task->exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0;
    task->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    granary_gate_finish(&task->gate);
    task->gate.pidfd = task->gate.fd = -1;
}

int harvest_task_close(harvest_task *task, const harvest_nursery *nursery)
{
    int status = STATUS_OK;

    assert(task->state == TASK_ENDED);
    if (nursery->results_fd >= 0) {
        int out = task->out.fd, err = task->err.fd;
        task->out = task->err = HARVEST_BLOB_EMPTY;
        status = harvest_blob_adopt(&task->out, out);
        if (harvest_blob_adopt(&task->err, err) < 0)
            status = STATUS_SYSTEM;
        return status;
    }
    for (uint64_t before = 1, after = 0; before != after && status == STATUS_OK;) {
        before = task->out.used + task->out.in_file + task->err.used + task->err.in_file;
        status = harvest_task_drain(task, nursery);
        after = task->out.used + task->out.in_file + task->err.used + task->err.in_file;
    }
    fd_close(&task->out_fd);
    fd_close(&task->err_fd);
    return status;
}

void harvest_task_again(harvest_task *task, harvest_spool *spool)
{
    assert(task->state == TASK_ENDED);
    fd_close(&task->out_fd);
    fd_close(&task->err_fd);
    harvest_blob_finish(spool, &task->out);
    harvest_blob_finish(spool, &task->err);
    task->state = TASK_IDLE;
    task->oom = false;
    task->peak = 0;
    task->exit_code = task->signal = 0;
}

void harvest_task_signal(const harvest_task *task, int signal)
{
    if (task->state == TASK_RUNNING)
        (void)kill(-task->gate.pid, signal); /* gone already: nothing to stop */
}
