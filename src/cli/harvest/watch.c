/*
 * watch.c - see watch.h.
 */
#include "cli/harvest/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cli/exits.h"

#define BESIDES 4u /* signals, printing, the broker, inputs */

int harvest_watch_init(harvest_watch *ret, uint32_t jobs)
{
    const size_t most = 2u * jobs + BESIDES;
    harvest_watch watching = {.fds = calloc(most, sizeof *watching.fds), .tasks = calloc(most, sizeof(harvest_task *))};

    if (!watching.fds || !watching.tasks) {
        harvest_watch_finish(&watching);
        return STATUS_NO_MEMORY;
    }
    *ret = watching;
    return STATUS_OK;
}

void harvest_watch_finish(harvest_watch *watching)
{
    free(watching->fds);
    free(watching->tasks);
    *watching = (harvest_watch){0};
}

static void watch_add(harvest_watch *watching, int fd, short events, harvest_task *task)
{
    if (fd < 0)
        return;
    watching->fds[watching->n] = (struct pollfd){.fd = fd, .events = events};
    watching->tasks[watching->n++] = task;
}

static int earlier(uint64_t deadline_ms, uint64_t now_ms, int timeout)
{
    const uint64_t left = deadline_ms > now_ms ? deadline_ms - now_ms : 0;

    if (deadline_ms == UINT64_MAX || (timeout >= 0 && left > (uint64_t)timeout))
        return timeout;
    return left > INT_MAX ? INT_MAX : (int)left;
}

void harvest_watch_wait(harvest_run *run, harvest_watch *watching, int signals, int print_fd, uint64_t deadline_ms)
{
    const uint64_t now = harvest_now_ms();
    int timeout = run->lost ? -1 : granary_client_timeout(run->client);

    watching->n = 0;
    watch_add(watching, signals, POLLIN, NULL);
    watch_add(watching, print_fd, POLLOUT, NULL);
    if (!run->lost)
        watch_add(watching, granary_client_fd(run->client), POLLIN, NULL);
    if (run->input_waits && run->stop == STOP_NOT)
        watch_add(watching, harvest_input_fd(run->input), POLLIN, NULL);
    for (uint32_t i = 0; i < run->options->jobs; i++) {
        harvest_task *task = run->seats[i].task;
        if (task && task->state == TASK_RUNNING) {
            watch_add(watching, task->out_fd, POLLIN, task);
            watch_add(watching, task->err_fd, POLLIN, task);
        }
    }
    timeout = earlier(deadline_ms, now, timeout);
    timeout = earlier(run->pause_ms, now, timeout);
    if (!run->options->quiet)
        timeout = earlier(run->report.next_ms, now, timeout);
    if (poll(watching->fds, watching->n, timeout) < 0 && errno != EINTR)
        harvest_fail(run, EXIT_FAILED, "poll: %s", strerror(errno));
}

void harvest_watch_drain(harvest_run *run, const harvest_watch *watching)
{
    for (nfds_t i = 0; i < watching->n; i++) {
        harvest_task *task = watching->fds[i].revents ? watching->tasks[i] : NULL;

        if (!task || harvest_task_drain(task, &run->nursery) == STATUS_OK)
            continue;
        harvest_fail(run, EXIT_FAILED, "the output of task %llu cannot be kept: %s", (unsigned long long)task->seq,
                     strerror(errno));
        harvest_stop(run, STOP_NOW, harvest_now_ms());
    }
}
