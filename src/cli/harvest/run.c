/*
 * run.c - the loop: see run.h.
 */
#include "cli/harvest/run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"
#include "base/text.h"
#include "cli/exits.h"
#include "cli/harvest/seat.h"
#include "cli/harvest/watch.h"
#include "cli/harvest/work.h"

#define KILL_AFTER_MS   5000u /* between TERM and KILL */
#define STATS_EVERY_MS  1000u
#define FILES_PER_JOB   8u /* pipes, gate and pidfd of a running task and of a spare, spool files */
#define FILES_BESIDES   64u
#define FAILED_CODE_MAX 101

int harvest_exit_code(uint64_t failed)
{
    return failed < FAILED_CODE_MAX ? (int)failed : FAILED_CODE_MAX;
}

void harvest_fail(harvest_run *run, int exit_code, const char *format, ...)
{
    va_list args;

    if (run->failure != 0)
        return;
    run->failure = exit_code;
    harvest_report_clear(&run->report);
    fputs("granary harvest: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    harvest_stop(run, STOP_SOON, 0);
}

static void tasks_signal(harvest_run *run, int signal)
{
    for (uint32_t i = 0; i < run->options->jobs; i++) {
        harvest_task *task = run->seats ? run->seats[i].task : NULL;
        if (!task || task->state != TASK_RUNNING)
            continue;
        task->stop = TASK_STOP_ALL;
        harvest_task_signal(task, signal);
    }
}

void harvest_stop(harvest_run *run, stop_level level, uint64_t now_ms)
{
    if (level <= run->stop)
        return;
    run->stop = level;
    harvest_work_drop(run);
    if (level >= STOP_NOW)
        tasks_signal(run, level == STOP_NOW ? SIGTERM : SIGKILL);
    run->kill_ms = level == STOP_NOW ? now_ms + KILL_AFTER_MS : UINT64_MAX;
}

/* ---- before and after ---- */

/* Signals arrive through a descriptor. Returns it, or -1. */
static int signals_open(harvest_run *run)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGWINCH);
    if (sigaction(SIGPIPE, &ignore, &run->nursery.pipe_action) != 0 ||
        sigprocmask(SIG_BLOCK, &mask, &run->nursery.mask) != 0)
        return -1;
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Descriptors for so many tasks; the tasks themselves get the limit that the harvest was given. */
static int files_raise(harvest_run *run)
{
    const rlim_t need = FILES_BESIDES + 2 * HARVEST_WINDOW + (rlim_t)run->options->jobs * FILES_PER_JOB;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return STATUS_SYSTEM;
    run->nursery.files = limit;
    if (limit.rlim_cur >= need)
        return STATUS_OK;
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    run->nursery.files_raised = true;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? STATUS_OK : STATUS_SYSTEM;
}

static void run_init(harvest_run *run, const harvest_options *options, harvest_input *input, harvest_template *template,
                     harvest_joblog *log)
{
    memset(run, 0, sizeof *run);
    run->options = options;
    run->input = input;
    run->template = template;
    run->log = log;
    run->host = "?";
    run->nursery.null_fd = -1;
    run->nursery.results_fd = options->results_fd;
    run->nursery.spool = &run->spool;
    run->nursery.spawner = &run->spawner;
    run->kill_ms = UINT64_MAX;
    run->pause_ms = UINT64_MAX;
    harvest_queue_init(&run->ready);
    harvest_queue_init(&run->big);
    harvest_queue_init(&run->spares);
    harvest_printer_init(&run->printer, &run->spool, options->keep_order);
    harvest_report_init(&run->report, stderr, options->chunk_size, options->jobs, options->quiet, harvest_now_ms());
}

/* Gives back all memory. */
static void pool_close(harvest_run *run)
{
    granary_pool_close(run->pool);
    run->pool = NULL;
    run->stats.held = run->stats.want = run->stats.busy = 0;
}

/* Comes before anything is printed that may have to wait for its reader. */
static void broker_close(harvest_run *run)
{
    pool_close(run);
    granary_client_close(run->client);
    run->client = NULL;
    run->host = "?";
}

static void run_finish(harvest_run *run)
{
    broker_close(run);
    harvest_printer_finish(&run->printer);
    harvest_spawner_finish(&run->spawner);
    if (run->nursery.null_fd >= 0)
        close(run->nursery.null_fd);
    free(run->seats);
}

static int run_prepare(harvest_run *run)
{
    char why[2 * PATH_MAX + 200];
    const int status = harvest_spawner_init(&run->spawner, run->options->program, why, sizeof why);

    if (status < 0) {
        harvest_fail(run, status == STATUS_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE, "%s", why);
        return status;
    }
    if (harvest_spool_open(&run->spool) < 0) {
        harvest_fail(run, EXIT_FAILED,
                     "no folder on a disk for the tasks' output: TMPDIR and /var/tmp are missing, not writable, or in "
                     "memory; set TMPDIR");
        return STATUS_NOT_FOUND;
    }
    run->nursery.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    run->seats = calloc(run->options->jobs, sizeof *run->seats);
    if (run->nursery.null_fd < 0 || files_raise(run) < 0 || !run->seats) {
        harvest_fail(run, EXIT_FAILED, "cannot start: %s", strerror(errno));
        return STATUS_SYSTEM;
    }
    return STATUS_OK;
}

static int broker_open(harvest_run *run)
{
    const granary_client_options options = {.socket = run->options->socket, .event_loop = true};
    const int status = granary_client_open(&run->client, &options);
    char books[GRANARY_BROKER_ID_MAX];

    if (status < 0) {
        harvest_fail(run, exits_of_status(status), "%s", granary_client_error(NULL));
        return status;
    }
    granary_broker_id(run->client, books);
    if (harvest_spawner_environ(&run->spawner, books, run->options->socket) < 0) {
        harvest_fail(run, EXIT_FAILED, "no memory");
        return STATUS_NO_MEMORY;
    }
    if (granary_local_host(run->client) != UINT32_MAX)
        run->host = granary_host_name(run->client, granary_local_host(run->client));
    return STATUS_OK;
}

/* The pool is opened when the first task is there: nothing is asked for nothing. */
static void pool_open(harvest_run *run)
{
    harvest_task *first = harvest_work_next(run);
    const uint64_t left = harvest_input_left(run->input);
    const uint64_t tasks = left == UINT64_MAX ? left : left + 1;
    const granary_pool_options options = {
        .label = run->options->label,
        .chunk_size = run->options->chunk_size,
        .min = run->options->min,
        .want = tasks < run->options->jobs ? (uint32_t)tasks : run->options->jobs,
        .hosts = strcmp(run->host, "?") != 0 ? run->host : NULL,
    };

    if (!first)
        return;
    harvest_work_put_back(run, first);
    run->want = options.want;
    run->pool = granary_pool_open(run->client, &options);
    if (!run->pool)
        harvest_fail(run, EXIT_NEVER, "%s", granary_client_error(run->client));
}

/* ---- the loop ---- */

static void signal_asked(harvest_run *run, int signal, uint64_t now_ms)
{
    const bool again = run->signal != 0;

    if (!again)
        run->signal = signal;
    harvest_report_clear(&run->report);
    if (signal == SIGINT && !again && run->stop < STOP_NOW) {
        fprintf(stderr, "granary harvest: no new tasks; %llu running %s may end (again: stop %s)\n",
                (unsigned long long)run->counts.running, text_plural(run->counts.running, "one", "ones"),
                text_plural(run->counts.running, "it", "them"));
        harvest_stop(run, STOP_SOON, now_ms);
        return;
    }
    harvest_stop(run, run->stop < STOP_NOW ? STOP_NOW : STOP_KILL, now_ms);
}

static void signals_take(harvest_run *run, int fd, uint64_t now_ms)
{
    struct signalfd_siginfo info;
    int status, pid;

    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGWINCH)
            harvest_report_resized(&run->report);
        else if (info.ssi_signo != SIGCHLD)
            signal_asked(run, (int)info.ssi_signo, now_ms);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        (void)harvest_seat_reaped(run, pid, status, now_ms);
}

/* TERM to tasks whose time is over, KILL to those that stay. Returns when to look again. */
static uint64_t deadlines_check(harvest_run *run, uint64_t now_ms)
{
    uint64_t next = UINT64_MAX;

    if (run->stop == STOP_NOW && now_ms >= run->kill_ms)
        harvest_stop(run, STOP_KILL, now_ms);
    if (run->stop == STOP_NOW)
        next = run->kill_ms;
    for (uint32_t i = 0; i < run->options->jobs; i++) {
        harvest_task *task = run->seats[i].task;

        if (!task || task->state != TASK_RUNNING)
            continue;
        if (now_ms >= task->deadline_ms) {
            const bool first = task->stop == TASK_STOP_NONE;
            harvest_task_signal(task, first ? SIGTERM : SIGKILL);
            task->stop = first ? TASK_STOP_TIMEOUT : task->stop;
            task->deadline_ms = first ? now_ms + KILL_AFTER_MS : UINT64_MAX;
        }
        next = task->deadline_ms < next ? task->deadline_ms : next;
    }
    return next;
}

static void counts_refresh(harvest_run *run)
{
    const uint64_t left = harvest_input_left(run->input);
    uint64_t running = 0;

    for (uint32_t i = 0; i < run->options->jobs; i++)
        running += run->seats[i].task != NULL;
    run->counts.running = running;
    run->counts.stopping = run->stop != STOP_NOT;
    run->counts.waiting = left == UINT64_MAX ? left : left + run->ready.count + run->big.count + run->spares.count;
}

static void print(harvest_run *run, int *ret_fd)
{
    int status = STATUS_OK;

    *ret_fd = -1;
    if (harvest_printer_ready(&run->printer)) {
        harvest_report_clear(&run->report);
        status = harvest_printer_pump(&run->printer, ret_fd);
        run->report.open_line = run->printer.open_line;
    }
    run->report.printing = *ret_fd >= 0;
    if (status >= 0)
        return;
    /* Whoever read has seen enough: as SIGPIPE ends other programs without a word, unless the caller ignores it. */
    if (errno == EPIPE && run->nursery.pipe_action.sa_handler != SIG_IGN)
        run->unread = true;
    else
        harvest_fail(run, EXIT_FAILED, "the output of the tasks cannot be written: %s", strerror(errno));
    harvest_stop(run, STOP_NOW, harvest_now_ms());
    harvest_printer_finish(&run->printer);
    harvest_printer_init(&run->printer, &run->spool, false);
    run->printer.out = run->printer.err = run->nursery.null_fd;
}

/* While nothing is held the library asks the broker for each figure: now and then is enough. */
static void stats_refresh(harvest_run *run, uint64_t now_ms)
{
    if (!run->pool || run->lost || (run->used_seats == 0 && now_ms < run->stats_ms))
        return;
    granary_pool_stats_get(run->pool, &run->stats);
    harvest_report_note(&run->report, &run->stats, now_ms);
    run->stats_ms = now_ms + STATS_EVERY_MS;
}

static void broker_dispatch(harvest_run *run)
{
    int status;

    if (run->lost)
        return;
    status = granary_client_dispatch(run->client);
    if (status < 0) {
        harvest_fail(run, EXIT_NO_BROKER, "the broker is gone and did not come back in time; running tasks may end");
        harvest_seat_lost(run);
    }
    stats_refresh(run, harvest_now_ms());
}

/* What is printed may have to wait: a terminal is stopped, a pager stands still. */
static bool has_run_all(const harvest_run *run)
{
    return run->used_seats == 0 && !harvest_work_left(run);
}

/* One round: takes what has arrived, starts what can be started. False: all is done. */
static bool turn(harvest_run *run, int signals, int *ret_print_fd, uint64_t *ret_deadline_ms)
{
    broker_dispatch(run);
    (void)harvest_seat_answers(run);
    signals_take(run, signals, harvest_now_ms());
    if (!run->pool && !run->lost && run->stop == STOP_NOT)
        pool_open(run);
    do /* some answers are there at once */
        harvest_seat_fill(run);
    while (harvest_seat_answers(run));
    harvest_work_prepare(run);
    if (run->pool && has_run_all(run))
        pool_close(run);
    *ret_deadline_ms = deadlines_check(run, harvest_now_ms());
    counts_refresh(run);
    print(run, ret_print_fd);
    if (has_run_all(run) && !harvest_printer_ready(&run->printer))
        return false;
    harvest_report_tick(&run->report, &run->stats, &run->counts, harvest_now_ms());
    return true;
}

static void loop(harvest_run *run, int signals)
{
    harvest_watch watching;
    uint64_t deadline_ms;
    int print_fd;

    if (harvest_watch_init(&watching, run->options->jobs) < 0) {
        harvest_fail(run, EXIT_FAILED, "no memory");
        return;
    }
    while (turn(run, signals, &print_fd, &deadline_ms)) {
        harvest_watch_wait(run, &watching, signals, print_fd, deadline_ms);
        harvest_watch_drain(run, &watching);
    }
    harvest_watch_finish(&watching);
}

static int dry_run(harvest_run *run)
{
    harvest_task *task;

    for (;;) {
        int unused;

        task = harvest_work_next(run);
        print(run, &unused);
        if (!task && !run->input_waits)
            break;
        if (task) {
            puts(task->line);
            harvest_task_destroy(task, &run->spool);
            continue;
        }
        struct pollfd ready = {.fd = harvest_input_fd(run->input), .events = POLLIN};
        (void)poll(&ready, 1, -1);
    }
    if (fflush(stdout) != 0)
        harvest_fail(run, EXIT_FAILED, "standard output: %s", strerror(errno));
    return run->failure ? run->failure : harvest_exit_code(run->counts.failed);
}

/* Then what failed is all that is to be said. */
static bool nothing_ran(const harvest_counts *counts)
{
    return counts->done + counts->skipped + counts->failed + counts->stopped == 0;
}

static int exit_code_of(const harvest_run *run)
{
    if (run->failure)
        return run->failure;
    if (run->signal != 0)
        return EXIT_SIGNALLED + run->signal;
    return run->unread ? EXIT_SIGNALLED + SIGPIPE : harvest_exit_code(run->counts.failed);
}

int harvest_run_all(const harvest_options *options, harvest_input *input, harvest_template *template,
                    harvest_joblog *log)
{
    harvest_run *run = calloc(1, sizeof *run);
    int signals = -1, code;

    if (!run) {
        fputs("granary harvest: no memory\n", stderr);
        return EXIT_FAILED;
    }
    run_init(run, options, input, template, log);
    if (options->dry_run) {
        code = dry_run(run);
        free(run);
        return code;
    }
    if (run_prepare(run) == STATUS_OK && broker_open(run) == STATUS_OK) {
        signals = signals_open(run);
        if (signals < 0)
            harvest_fail(run, EXIT_FAILED, "signals: %s", strerror(errno));
        else
            loop(run, signals);
        broker_close(run);
        harvest_report_clear(&run->report);
        if (!run->unread && !(run->failure && nothing_ran(&run->counts)))
            harvest_report_end(&run->report, &run->counts, harvest_now_ms());
    }
    run_finish(run);
    if (signals >= 0)
        close(signals);
    code = exit_code_of(run);
    free(run);
    return code;
}
