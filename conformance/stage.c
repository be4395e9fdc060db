/* stage.c - the life of a case, and its time. */
#include "stage.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"

#define LOOK_MS  3 /* between two looks whether the client is quiet */
#define HELLO_MS 5000

uint64_t stage_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int stage_open(stage *s, const options *o, const char *program, const char *folder)
{
    *s = (stage){.options = o, .folder = folder, .program = program};
    s->wire.listener = s->wire.fd = s->board.listener = -1;
    s->subject.pidfd = s->subject.log = -1;
    s->wire.verbose = o->verbose;
    s->books.ended_known = NEVER_KNOWN;
    int r = board_open(&s->board, folder);
    return r == 0 ? wire_listen(&s->wire, folder) : r;
}

void stage_close(stage *s)
{
    board_close(&s->board);
    wire_finish(&s->wire);
    subject_finish(&s->subject);
    session_finish(&s->session);
}

static void set_number(const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    setenv(name, text, 1);
}

int stage_start(stage *s, const setup *what)
{
    char program[300], log[300];
    s->setup = *what;
    s->books.to_start = what->tasks;
    snprintf(program, sizeof program, "%s/" TASK_NAME, s->folder);
    snprintf(log, sizeof log, "%s/log", s->folder);
    if (symlink(s->program, program) < 0)
        return STATUS_SYSTEM;
    setenv("GRANARY_SOCKET", s->wire.path, 1);
    setenv("GRANARY_KIT_BOARD", s->board.path, 1);
    setenv("GRANARY_KIT_TASK", program, 1);
    setenv("GRANARY_KIT_LABEL", LABEL, 1);
    set_number("GRANARY_KIT_CHUNK", CHUNK);
    set_number("GRANARY_KIT_MIN", what->min);
    set_number("GRANARY_KIT_WANT", what->want);
    set_number("GRANARY_KIT_TASKS", what->tasks);
    return subject_start(&s->subject, s->options->command, log);
}

void stage_say(const stage *s, const char *format, ...)
{
    va_list arguments;
    if (!s->options->verbose)
        return;
    fprintf(stderr, "     ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
}

/* ---- turning ---- */

static void hang_up(stage *s)
{
    wire_break(&s->wire);
    s->greeted = s->welcomed = false;
}

static void turn_wire(stage *s)
{
    wire_frame f;
    int got = 0;
    wire_read(&s->wire);
    while (s->wire.fd >= 0 && (got = wire_next(&s->wire, &f)) == 1) {
        stage_handle(s, &f);
        if (f.fd >= 0)
            close(f.fd);
    }
    if (got == STATUS_PROTOCOL) {
        report_broken(&s->report, RULE_FRAME_BOUNDS, "a header announces a body of %u bytes", f.header.length);
        s->broke = true;
        hang_up(s);
    }
    if (s->wire.n_fds > 0 && s->wire.n == s->wire.start)
        report_broken(&s->report, RULE_DESCRIPTOR, "a descriptor came that no frame announces");
    if (s->wire.fd < 0 || !s->wire.ended)
        return;
    if (s->wire.n > s->wire.start && !s->broke)
        report_broken(&s->report, RULE_BODY, "the connection ended within a frame");
    hang_up(s);
}

static void turn_board(stage *s)
{
    task *t, gone;
    while ((t = board_arrived(&s->board))) {
        turn_wire(s); /* what the client said before it began the task */
        books_begin(&s->books, &s->board, t, &s->report);
        stage_say(s, "task begins on host %u: %u run there, %u chunks held", t->host, board_count(&s->board, t->host),
                  t->host < HOSTS ? s->books.held[t->host] : 0);
    }
    while (board_vanished(&s->board, &gone)) {
        turn_wire(s);
        report_broken(&s->report, RULE_TASK_KILLED, "the task of pid %d on host %u ended before it was told to",
                      (int)gone.pid, gone.host);
        books_end(&s->books, &s->board, gone.host);
    }
}

void stage_turn(stage *s, int ms)
{
    struct pollfd fds[4 + TASKS_MAX];
    nfds_t n = 0;
    fds[n++] = (struct pollfd){.fd = s->wire.fd, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = s->wire.fd < 0 ? s->wire.listener : -1, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = s->board.listener, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = s->subject.ended ? -1 : s->subject.pidfd, .events = POLLIN};
    for (unsigned i = 0; i < s->board.n; i++)
        fds[n++] = (struct pollfd){.fd = s->board.running[i].fd, .events = POLLIN};
    poll(fds, n, ms);
    turn_wire(s);
    if (s->wire.fd < 0 && s->wire.listener >= 0 && wire_accept(&s->wire)) {
        s->greeted = s->welcomed = false;
        s->hello_by = stage_now() + HELLO_MS;
        turn_wire(s);
    }
    turn_board(s);
    if (!s->subject.ended) {
        subject_reap(&s->subject);
        if (s->subject.ended)
            turn_wire(s); /* its last words */
    }
    if (!s->greeted && s->wire.fd >= 0 && stage_now() > s->hello_by)
        report_broken(&s->report, RULE_HELLO_LATE, "it connected, and said no whole HELLO in time");
}

bool stage_goes_on(const stage *s, uint64_t by)
{
    return !s->stopped && !s->subject.ended && stage_now() < by;
}

void stage_stop(stage *s, const char *format, ...)
{
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (s->stopped || s->subject.ended) {
        s->stopped = true;
        return; /* how it ended is judged by stage_finish() */
    }
    s->stopped = true;
    report_broken(&s->report, RULE_HANG, "it did not %s within %llu seconds", what,
                  (unsigned long long)s->options->wait_ms / 1000);
}

/* Is there anything that the stage has not handled yet? */
static bool something_waits(const stage *s)
{
    struct pollfd fds[3] = {{.fd = s->wire.fd, .events = POLLIN},
                            {.fd = s->wire.fd < 0 ? s->wire.listener : -1, .events = POLLIN},
                            {.fd = s->board.listener, .events = POLLIN}};
    return poll(fds, 3, 0) > 0 || wire_unread(&s->wire) > 0;
}

bool stage_quiet(stage *s)
{
    uint64_t by = stage_now() + s->options->wait_ms, before = 0, after = 0;
    bool slept = false;
    while (stage_goes_on(s, by)) {
        stage_turn(s, LOOK_MS);
        bool sleeps = !something_waits(s) && subject_sleeps(&s->subject, &after);
        if (sleeps && slept && before == after && !something_waits(s)) {
            if (s->welcomed)
                books_quiet(&s->books);
            return true;
        }
        slept = sleeps;
        before = after;
    }
    stage_stop(s, "come to rest");
    return false;
}

bool stage_begin(stage *s, const setup *what)
{
    int r = stage_start(s, what);
    uint32_t could = 0;
    for (uint32_t h = 0; h < HOSTS; h++)
        could += what->grant[h];
    could = could < what->tasks ? could : what->tasks;
    uint32_t at_least = what->grant[0] < could ? what->grant[0] : could; /* it need not use other hosts */
    uint64_t by = stage_now() + s->options->wait_ms;
    while (r == 0 && (s->allocates == 0 || stage_running(s) < at_least) && stage_goes_on(s, by))
        stage_turn(s, 50);
    if (s->allocates == 0)
        stage_stop(s, "ask for an allocation");
    else if (stage_running(s) < at_least)
        stage_stop(s, "begin %u tasks in %u chunks (%u run)", at_least, what->grant[0], stage_running(s));
    return !s->stopped && stage_quiet(s);
}

/* ---- the end ---- */

static void judge_end(stage *s, bool hung)
{
    int status = s->subject.status;
    if (hung) {
        report_broken(&s->report, RULE_HANG, "it did not end within %llu seconds, with %u of %u tasks run",
                      (unsigned long long)s->options->wait_ms / 1000, s->board.ended, s->setup.tasks);
        return;
    }
    if (WIFSIGNALED(status)) {
        report_broken(&s->report, RULE_CRASH, "it died of signal %d (%s)", WTERMSIG(status),
                      strsignal(WTERMSIG(status)));
        return;
    }
    bool done = s->board.ended >= s->setup.tasks, zero = WEXITSTATUS(status) == 0;
    if (s->end == END_DONE && !(done && zero))
        report_broken(&s->report, RULE_EXIT, "it exited with %d when %u of %u tasks had run", WEXITSTATUS(status),
                      s->board.ended, s->setup.tasks);
    else if (s->end != END_DONE && zero && !done)
        report_broken(&s->report, RULE_EXIT, "it exited with 0 when %u of %u tasks had run", s->board.ended,
                      s->setup.tasks);
    if (s->end == END_DONE && zero && !s->said_goodbye)
        report_broken(&s->report, RULE_GOODBYE, "its connection ended without GOODBYE");
}

/* Nothing is kept from it any more. */
static void make_way(stage *s)
{
    s->lose = 0;
    s->claim_status = s->release_status = 0;
    s->wire.pieces = false;
    stage_let_go(s, false);
    if (s->hold_welcome)
        stage_welcome(s);
    if (s->wire.listener < 0 && !s->forget)
        stage_return(s);
    for (uint32_t i = 0; i < s->books.n_recalls; i++)
        if (recall_open(&s->books.recalls[i]) > 0)
            stage_withdraw(s, &s->books.recalls[i], true);
}

void stage_finish(stage *s)
{
    uint64_t by = stage_now() + s->options->wait_ms;
    unsigned seen = s->board.ended;
    make_way(s);
    while (!s->subject.ended && stage_now() < by && !(s->stopped && s->report.found[RULE_HANG])) {
        stage_end_all(s);
        if (s->welcomed && s->books.state == BOOKS_WAITING && s->end == END_DONE)
            stage_grow(s, 0, 1);
        else if (s->welcomed && s->books.state == BOOKS_LIVE && s->books.held[0] == 0 && s->books.to_start > 0)
            stage_grow(s, 0, 1);
        stage_turn(s, 20);
        if (s->board.ended != seen)
            by = stage_now() + s->options->wait_ms; /* it goes on */
        seen = s->board.ended;
    }
    if (!s->report.found[RULE_HANG] || s->subject.ended)
        judge_end(s, !s->subject.ended);
}
