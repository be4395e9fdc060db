/*
 * work.c - see work.h.
 */
#include "cli/harvest/work.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "base/text.h"
#include "cli/exits.h"
#include "cli/harvest/results.h"
#include "cli/launch.h"

#define SHORT_MS       200.0 /* tasks below this are forked ahead */
#define GATE_DEATHS    3u
#define KILLED_RERUNS  3u
#define ABOVE_TOLD_MAX 10u /* lines about tasks that use too much */

/* ---- queues ---- */

void harvest_queue_init(harvest_queue *queue)
{
    *queue = (harvest_queue){.last = &queue->first};
}

void harvest_queue_put(harvest_queue *queue, harvest_task *task)
{
    task->next = NULL;
    *queue->last = task;
    queue->last = &task->next;
    queue->count++;
}

static void queue_put_first(harvest_queue *queue, harvest_task *task)
{
    task->next = queue->first;
    queue->first = task;
    if (!task->next)
        queue->last = &task->next;
    queue->count++;
}

bool harvest_queue_remove(harvest_queue *queue, harvest_task *task)
{
    for (harvest_task **at = &queue->first; *at; at = &(*at)->next) {
        if (*at != task)
            continue;
        *at = task->next;
        if (!*at)
            queue->last = at;
        queue->count--;
        return true;
    }
    return false;
}

harvest_task *harvest_queue_take(harvest_queue *queue)
{
    harvest_task *task = queue->first;

    if (task)
        (void)harvest_queue_remove(queue, task);
    return task;
}

/* ---- the end of a task ---- */

static void log_row(harvest_run *run, const harvest_task *task)
{
    const harvest_row row = {
        .seq = task->seq,
        .host = run->host,
        .start_ms = task->start_wall_ms,
        .runtime_ms = task->runtime_ms,
        .exit_code = task->exit_code,
        .signal = task->signal,
        .oom = task->oom,
        .peak = task->peak,
        .chunks = task->chunks,
        .attempt = task->attempt,
        .command = task->line,
    };

    if (harvest_joblog_write(run->log, &row) < 0)
        harvest_fail(run, EXIT_FAILED, "the joblog cannot be written: %s", strerror(errno));
}

static void write_meta(harvest_run *run, const harvest_task *task)
{
    char *command = harvest_escape(task->line), *input = harvest_escape(task->input), *text = NULL;
    int length = -1;

    if (command && input)
        length =
            asprintf(&text,
                     "seq\t%" PRIu64 "\ninput\t%s\ncommand\t%s\nhost\t%s\nexit\t%d\nsignal\t%d\noom\t%d\n"
                     "peak_bytes\t%" PRIu64 "\nchunks\t%" PRIu32 "\nattempt\t%" PRIu32 "\nruntime_ms\t%" PRIu64 "\n",
                     task->seq, input, command, run->host, task->exit_code, task->signal, task->oom ? 1 : 0, task->peak,
                     task->chunks, task->attempt, task->runtime_ms);
    if (length < 0)
        harvest_fail(run, EXIT_FAILED, "no memory");
    else if (harvest_results_meta(run->options->results_fd, task->seq, task->input, text) < 0)
        harvest_fail(run, EXIT_FAILED, "the results of task %" PRIu64 " cannot be written: %s", task->seq,
                     strerror(errno));
    if (length >= 0)
        free(text);
    free(command);
    free(input);
}

/* The last attempt is over. */
static void task_conclude(harvest_run *run, harvest_task *task)
{
    char *tag = NULL;

    if (run->options->results_fd >= 0 && task->argv)
        write_meta(run, task);
    if (run->options->tag) {
        char *escaped = harvest_escape(task->input);
        if (!escaped || asprintf(&tag, "%s\t", escaped) < 0)
            tag = NULL;
        free(escaped);
    }
    if ((run->options->tag && !tag) || harvest_printer_put(&run->printer, task->seq, tag, &task->out, &task->err) < 0)
        harvest_fail(run, EXIT_FAILED, "no memory");
    free(tag);
    harvest_task_destroy(task, &run->spool);
}

static bool task_ok(const harvest_task *task)
{
    return task->exit_code == 0 && task->signal == 0;
}

/* Should a failed task be run again? Also prepares it for that. */
static bool task_rerun(harvest_run *run, harvest_task *task, bool killed)
{
    const uint32_t most = run->options->max_chunks;

    if (run->stop != STOP_NOT || task->stop == TASK_STOP_ALL)
        return false;
    if (task->oom && task->stop == TASK_STOP_NONE) {
        if (task->chunks >= most)
            return false; /* once more with as much would end the same way */
        task->chunks = task->chunks <= most / 2 ? task->chunks * 2 : most;
    } else if (killed && task->attempt <= KILLED_RERUNS) {
        /* its chunk was taken by force: not its fault */
    } else if (task->failures < run->options->retries)
        task->failures++;
    else
        return false;
    task->attempt++;
    return true;
}

static void task_queue(harvest_run *run, harvest_task *task)
{
    harvest_queue_put(task->chunks > 1 ? &run->big : &run->ready, task);
}

static void count_end(harvest_run *run, const harvest_task *task)
{
    const harvest_halt *halt = &run->options->halt;

    if (task_ok(task))
        run->counts.done++;
    else if (task->stop == TASK_STOP_ALL)
        run->counts.stopped++;
    else
        run->counts.failed++;
    if (!task_ok(task) && task->oom)
        run->counts.oom++;
    if (run->stop == STOP_NOT && harvest_halt_due(halt, run->counts.done + run->counts.failed, run->counts.failed)) {
        harvest_report_clear(&run->report);
        fprintf(stderr, "granary harvest: --halt: of %" PRIu64 " %s that ended %" PRIu64 " failed, stopping %s\n",
                run->counts.done + run->counts.failed,
                text_plural(run->counts.done + run->counts.failed, "task", "tasks"), run->counts.failed,
                halt->when == HALT_NOW ? "now" : "when the running ones have ended");
        harvest_stop(run, halt->when == HALT_NOW ? STOP_NOW : STOP_SOON, harvest_now_ms());
    }
}

/* Where nothing limits a task: what it used beyond its chunks was foreign memory. Once for a task, and for so many. */
static void tell_above(harvest_run *run, harvest_task *task)
{
    const uint64_t limit = task->chunks * run->options->chunk_size;
    char used[SIZE_TEXT_MAX], leased[SIZE_TEXT_MAX];

    if (task->oom || task->peak <= limit)
        return;
    run->counts.above++;
    if (run->options->quiet || task->told_above || run->told_above > ABOVE_TOLD_MAX)
        return;
    task->told_above = true;
    harvest_report_clear(&run->report);
    if (run->told_above++ == ABOVE_TOLD_MAX)
        fputs("granary harvest: more tasks use more than is leased for them: they are counted at the end\n", stderr);
    else
        fprintf(stderr,
                "granary harvest: task %" PRIu64 " used %s, more than the %s of its lease: this host only measures "
                "('granary hosts' says why)\n",
                task->seq, size_format(task->peak, used), size_format(limit, leased));
}

void harvest_work_ended(harvest_run *run, harvest_task *task, const granary_claim_end *end)
{
    if (harvest_task_close(task, &run->nursery) < 0)
        harvest_fail(run, EXIT_FAILED, "the output of task %" PRIu64 " cannot be kept: %s", task->seq, strerror(errno));
    task->oom = end && end->cause == 1;
    task->peak = end ? end->peak : 0;
    if (task->oom && task->stop == TASK_STOP_NONE) {
        const uint64_t limit = task->chunks * run->options->chunk_size;
        run->counts.died++;
        run->counts.died_with = limit > run->counts.died_with ? limit : run->counts.died_with;
    }
    tell_above(run, task);
    if (task->peak > 0 && !task->oom)
        harvest_peaks_add(&run->report.peaks, task->peak);
    run->mean_ms += ((double)task->runtime_ms - run->mean_ms) / 8;
    log_row(run, task);
    if (!task_ok(task) && task_rerun(run, task, end && end->cause == 2 && task->stop == TASK_STOP_NONE)) {
        run->counts.retried++;
        harvest_task_again(task, &run->spool);
        task_queue(run, task);
        return;
    }
    if (task->peak > 0 && task->oom)
        harvest_peaks_add(&run->report.peaks, task->peak);
    count_end(run, task);
    task_conclude(run, task);
}

/* A task that cannot even be started. */
static void task_refuse(harvest_run *run, harvest_task *task, int exit_code, const char *why)
{
    char *message = NULL;
    const int length = asprintf(&message, "granary harvest: input %" PRIu64 " cannot be run: %s\n", task->seq, why);

    if (length < 0 || harvest_blob_append(&run->spool, &task->err, message, (size_t)length) < 0)
        harvest_fail(run, EXIT_FAILED, "no memory");
    if (length >= 0)
        free(message);
    task->state = TASK_ENDED;
    task->exit_code = exit_code;
    task->start_wall_ms = harvest_wall_ms();
    if (!task->line)
        task->line = strdup("");
    if (!task->line)
        harvest_fail(run, EXIT_FAILED, "no memory");
    else
        log_row(run, task);
    count_end(run, task);
    task_conclude(run, task);
}

void harvest_work_gate_died(harvest_run *run, harvest_task *task)
{
    harvest_task_again(task, &run->spool);
    if (run->stop != STOP_NOT) {
        harvest_task_destroy(task, &run->spool);
        return;
    }
    if (++task->attempt > GATE_DEATHS) {
        task_refuse(run, task, EXIT_FAILED, "its process died before it could run the command");
        return;
    }
    task_queue(run, task);
}

/* ---- the start of a task ---- */

/* The command of this input. False: it cannot be run, and was dealt with. */
static bool task_fill(harvest_run *run, harvest_task *task)
{
    const harvest_fill fill = {.input = task->input, .seq = task->seq, .host = run->host};
    int status = harvest_template_fill(run->template, &fill, &task->argv);

    if (status == STATUS_LIMIT) {
        task_refuse(run, task, EXIT_NOT_RUNNABLE, "a word of its command is longer than the kernel allows");
        return false;
    }
    if (status == STATUS_OK)
        status = harvest_template_line(run->template, task->argv, &task->line);
    if (status == STATUS_OK)
        return true;
    harvest_fail(run, EXIT_FAILED, "no memory");
    harvest_task_destroy(task, &run->spool);
    return false;
}

/* Was it done by an earlier run? True: it is to be skipped, and was dealt with. */
static bool task_known(harvest_run *run, harvest_task *task)
{
    switch (harvest_joblog_known(run->log, task->seq, task->line)) {
    case JOBLOG_NEW:
        return false;
    case JOBLOG_OTHER:
        harvest_fail(run, EXIT_USAGE,
                     "--resume: the joblog has another command or input as task %" PRIu64
                     "; use a joblog of its own, or remove this one. Now it would be: %.200s",
                     task->seq, task->line);
        harvest_task_destroy(task, &run->spool);
        return true;
    case JOBLOG_DONE:
        break;
    }
    run->counts.skipped++;
    if (harvest_printer_put(&run->printer, task->seq, NULL, &task->out, &task->err) < 0)
        harvest_fail(run, EXIT_FAILED, "no memory");
    harvest_task_destroy(task, &run->spool);
    return true;
}

/* A task of the next input; NULL with INPUT_ITEM: that one was dealt with, go on. */
static int task_read(harvest_run *run, harvest_task **ret)
{
    harvest_item item;
    harvest_task *task;
    const int status = harvest_input_next(run->input, &item);

    *ret = NULL;
    if (status != INPUT_ITEM)
        return status;
    task = harvest_task_create(++run->next_seq, item.text);
    if (!task)
        return STATUS_NO_MEMORY;
    if (item.bad)
        task_refuse(run, task, EXIT_NOT_RUNNABLE, item.bad);
    else if (task_fill(run, task) && !task_known(run, task))
        *ret = task;
    return INPUT_ITEM;
}

harvest_task *harvest_work_next(harvest_run *run)
{
    harvest_task *task = NULL;

    if (run->stop != STOP_NOT)
        return NULL;
    task = harvest_queue_take(&run->ready);
    run->input_waits = false;
    while (!task && !run->input_ended && run->stop == STOP_NOT &&
           harvest_printer_room(&run->printer, run->next_seq + 1)) {
        const int status = task_read(run, &task);
        if (status == INPUT_ITEM)
            continue;
        run->input_waits = status == INPUT_AGAIN;
        run->input_ended = status != INPUT_AGAIN;
        if (status == STATUS_SYSTEM)
            harvest_fail(run, EXIT_FAILED, "the inputs cannot be read: %s", strerror(errno));
        else if (status < 0)
            harvest_fail(run, EXIT_FAILED, "no memory");
        break;
    }
    return task;
}

bool harvest_work_fork(harvest_run *run, harvest_task *task)
{
    const int status = harvest_task_fork(task, &run->nursery);

    if (status == STATUS_OK)
        return true;
    if (status == STATUS_LIMIT) {
        task_refuse(run, task, EXIT_NOT_RUNNABLE,
                    "its command and the environment together are longer than the kernel allows");
        return false;
    }
    if (status == STATUS_NOT_FOUND)
        harvest_fail(run, launch_exit_of(errno),
                     "%s, in which tasks wait for their memory, cannot be executed: %s; install Granary again",
                     run->spawner.gate, strerror(errno));
    else
        harvest_fail(run, EXIT_FAILED, "task %" PRIu64 " cannot be started: %s", task->seq,
                     status == STATUS_NO_MEMORY ? "no memory" : strerror(errno));
    harvest_task_destroy(task, &run->spool);
    return false;
}

harvest_task *harvest_work_gated(harvest_run *run)
{
    harvest_task *task = harvest_queue_take(&run->spares);

    if (task)
        return task;
    do
        task = harvest_work_next(run);
    while (task && !harvest_work_fork(run, task));
    return task;
}

void harvest_work_prepare(harvest_run *run)
{
    const uint32_t most = run->options->jobs < HARVEST_SPARES_MAX ? run->options->jobs : HARVEST_SPARES_MAX;

    while (run->mean_ms < SHORT_MS && run->spares.count < most && run->used_seats > 0) {
        harvest_task *task = harvest_work_next(run);
        if (!task)
            return;
        if (harvest_work_fork(run, task))
            harvest_queue_put(&run->spares, task);
    }
}

void harvest_work_put_back(harvest_run *run, harvest_task *task)
{
    if (task->state == TASK_ENDED)
        harvest_work_gate_died(run, task);
    else if (task->chunks > 1)
        queue_put_first(&run->big, task);
    else
        queue_put_first(task->state == TASK_IDLE ? &run->ready : &run->spares, task);
    if (run->stop != STOP_NOT)
        harvest_work_drop(run);
}

static void queue_drop(harvest_run *run, harvest_queue *queue)
{
    for (harvest_task *task = queue->first, *next; task; task = next) {
        next = task->next;
        if (task->state == TASK_GATED) { /* dropped when it is reaped */
            if (task->gate.fd >= 0)
                harvest_task_dismiss(task);
            continue;
        }
        (void)harvest_queue_remove(queue, task);
        harvest_task_destroy(task, &run->spool);
    }
}

void harvest_work_drop(harvest_run *run)
{
    queue_drop(run, &run->ready);
    queue_drop(run, &run->big);
    queue_drop(run, &run->spares);
}

bool harvest_work_left(const harvest_run *run)
{
    if (run->stop != STOP_NOT)
        return run->spares.count > 0 || run->big.count > 0; /* until they are reaped */
    return run->ready.count > 0 || run->big.count > 0 || run->spares.count > 0 || !run->input_ended;
}
