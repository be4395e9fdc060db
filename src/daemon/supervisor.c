#include "daemon/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/reserve.h"
#include "base/status.h"
#include "daemon/child.h"
#include "daemon/listen.h"
#include "daemon/locks.h"
#include "daemon/strangers.h"

#define END_WITHIN_MS 5000

typedef struct {
    const options *options;
    const config *config;
    const char *config_path;
    log_book *log;
    identity who;
    int lock_fd, machine_fd, listen_fd;

    uv_loop_t loop;
    uv_signal_t signals[4];
    uv_poll_t machine;
    uv_timer_t broker_timer, agent_timer, end_timer;
    child broker, agent;
    char books[33];      /* told by the broker; "" before */
    char numbers[3][24]; /* of arguments */
    bool told_ready, ending;
    int exit_code;
} supervisor;

static void agent_start(supervisor *s);
static void on_broker_timer(uv_timer_t *timer);
static void on_agent_timer(uv_timer_t *timer);

/* ---- ending ---- */

static void end_check(supervisor *s)
{
    if (s->ending && s->broker.pid == 0 && s->agent.pid == 0)
        uv_stop(&s->loop);
}

static void on_end_timer(uv_timer_t *timer)
{
    supervisor *s = timer->data;
    log_write(s->log, LOG_WARNING, "a child did not end when asked to: it is made to");
    if (s->broker.pid)
        kill(s->broker.pid, SIGKILL);
    if (s->agent.pid)
        kill(s->agent.pid, SIGKILL);
}

static void end(supervisor *s, int code)
{
    if (s->ending)
        return;
    s->ending = true;
    s->exit_code = code;
    control_send(s->broker.control, CONTROL_QUIT);
    control_send(s->agent.control, CONTROL_QUIT);
    uv_timer_stop(&s->broker_timer);
    uv_timer_stop(&s->agent_timer);
    uv_timer_start(&s->end_timer, on_end_timer, END_WITHIN_MS, 0);
    end_check(s);
}

/* ---- links ---- */

static void link_make(supervisor *s)
{
    int ends[2];
    if (s->broker.pid == 0 || s->agent.pid == 0 || s->ending)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        log_write(s->log, LOG_ERROR, "no link between broker and agent: %s", strerror(errno));
        end(s, EXIT_OTHER);
        return;
    }
    /* A child that is gone already is started again, and a link with it. */
    if (control_send_link(s->broker.control, ends[0]) == 0)
        (void)control_send_link(s->agent.control, ends[1]);
    close(ends[0]);
    close(ends[1]);
}

static void tell_ready(supervisor *s)
{
    if (s->told_ready)
        return;
    s->told_ready = true;
    if (s->options->ready_fd < 0)
        return;
    if (write(s->options->ready_fd, "R", 1) != 1)
        log_write(s->log, LOG_DEBUG, "nobody waits at --ready-fd any more");
    close(s->options->ready_fd);
}

/* Handles what a child says. False: its end is closed; its death follows. */
static bool take(supervisor *s, child *from)
{
    control_message m;
    int r = control_receive(from->control, &m);
    if (r <= 0)
        return r == 0;
    if (m.fd >= 0)
        close(m.fd);
    if (m.kind == CONTROL_READY) {
        from->ready = true;
        if (from == &s->broker)
            tell_ready(s);
    } else if (m.kind == CONTROL_LINK) {
        link_make(s);
    } else if (m.kind == CONTROL_BOOKS && from == &s->broker) {
        memcpy(s->books, m.books, sizeof s->books);
        if (s->agent.pid == 0 && !uv_is_active((uv_handle_t *)&s->agent_timer))
            agent_start(s);
        else
            link_make(s);
    }
    return true;
}

static void on_broker(uv_poll_t *poll, int status, int events)
{
    supervisor *s = poll->data;
    (void)events;
    if (status < 0 || !take(s, &s->broker))
        uv_poll_stop(poll);
}

static void on_agent(uv_poll_t *poll, int status, int events)
{
    supervisor *s = poll->data;
    (void)events;
    if (status < 0 || !take(s, &s->agent))
        uv_poll_stop(poll);
}

/* ---- starting ---- */

static void start(supervisor *s, child *c, const child_command *command, uv_poll_cb on_control)
{
    int r = child_start(c, &s->loop, command, on_control, s);
    if (r < 0 && r != STATUS_NOT_FOUND && s->told_ready) { /* it has served before: a shortage, which ends */
        int64_t pause = child_pause(c, uv_hrtime() / 1000000, true);
        log_write(s->log, LOG_WARNING, "status=%s %s cannot be started now: tried again in %d ms", status_name(r),
                  command->program, (int)pause);
        if (c == &s->broker)
            uv_timer_start(&s->broker_timer, on_broker_timer, (uint64_t)pause, 0);
        else
            uv_timer_start(&s->agent_timer, on_agent_timer, (uint64_t)pause, 0);
    } else if (r < 0) {
        log_write(s->log, LOG_ERROR,
                  "status=%s %s cannot be started: it is neither beside granaryd nor in libexec/granary, or "
                  "there is no memory",
                  status_name(r), command->program);
        end(s, EXIT_OTHER);
    }
}

static void broker_start(supervisor *s)
{
    snprintf(s->numbers[0], sizeof s->numbers[0], "%" PRIu64, s->options->memory);
    snprintf(s->numbers[1], sizeof s->numbers[1], "%" PRIu64, s->options->set_aside);
    child_command command = {
        .program = "granary-broker",
        .descriptors = {s->listen_fd, s->lock_fd},
        .who = &s->who,
        .arguments = {"granary-broker", "--state", (char *)s->config->state, "--socket", (char *)s->config->socket,
                      "--config", (char *)s->config_path, "--memory", s->numbers[0], "--set-aside", s->numbers[1],
                      "--listen-fd", "4", s->options->user_instance ? "--user-instance" : NULL},
    };
    start(s, &s->broker, &command, on_broker);
}

static void agent_start(supervisor *s)
{
    child_command command = {
        .program = "granary-agent",
        .descriptors = {-1, -1},
        .arguments = {"granary-agent", "--books", s->books},
    };
    start(s, &s->agent, &command, on_agent);
    if (!s->ending)
        link_make(s);
}

static void on_broker_timer(uv_timer_t *timer)
{
    broker_start(timer->data);
}

static void on_agent_timer(uv_timer_t *timer)
{
    agent_start(timer->data);
}

/* ---- deaths ---- */

int supervisor_verdict(bool is_broker, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_OTHER;
    if (is_broker && WIFEXITED(status) && code != EXIT_OTHER && code != EXIT_STORE && code <= EXIT_STORE)
        return code; /* idle, or what no restart would mend */
    return -1;
}

static void on_death(supervisor *s, child *c, const char *name, uv_timer_t *timer, uv_timer_cb again, int status)
{
    bool exited = WIFEXITED(status);
    int number = exited ? WEXITSTATUS(status) : WTERMSIG(status);
    child_forget(c);
    if (s->ending) {
        if (!exited && number != SIGKILL) {
            log_write(s->log, LOG_ERROR, "child=%s signal=%d it died while it ended", name, number);
            s->exit_code = EXIT_OTHER;
        }
        end_check(s);
        return;
    }
    int code = supervisor_verdict(c == &s->broker, status);
    if (code >= 0) {
        end(s, code);
        return;
    }
    bool shortage = exited && number == EXIT_NO_MEMORY && s->told_ready; /* else nobody waits but for the answer */
    int64_t pause = child_pause(c, uv_hrtime() / 1000000, shortage);
    if (pause < 0) {
        bool starved = exited && number == EXIT_NO_MEMORY;
        log_write(s->log, LOG_ERROR, "child=%s %s=%d %sit dies whenever it is started: granaryd gives up", name,
                  exited ? "status" : "signal", number, starved ? "there is no memory for it: " : "");
        end(s, exited && number == EXIT_STORE ? EXIT_STORE : EXIT_OTHER);
        return;
    }
    log_write(s->log, LOG_WARNING, "child=%s %s=%d it died and is started again in %d ms", name,
              exited ? "status" : "signal", number, (int)pause);
    uv_timer_start(timer, again, (uint64_t)pause, 0);
}

static void on_children(supervisor *s)
{
    int status;
    if (s->broker.pid && waitpid(s->broker.pid, &status, WNOHANG) == s->broker.pid)
        on_death(s, &s->broker, "granary-broker", &s->broker_timer, on_broker_timer, status);
    if (s->agent.pid && waitpid(s->agent.pid, &status, WNOHANG) == s->agent.pid)
        on_death(s, &s->agent, "granary-agent", &s->agent_timer, on_agent_timer, status);
}

static void on_signal(uv_signal_t *handle, int number)
{
    supervisor *s = handle->data;
    if (number == SIGCHLD)
        on_children(s);
    else if (number == SIGHUP)
        control_send(s->broker.control, CONTROL_RELOAD);
    else
        end(s, EXIT_ORDERLY);
}

static void on_machine(uv_poll_t *poll, int status, int events)
{
    supervisor *s = poll->data;
    (void)events;
    if (status == 0)
        locks_machine_answer(s->machine_fd, s->config->socket);
}

/* ---- life ---- */

/* A directory of somebody else is not made ours: before anything in it is changed. */
static int check_strangers(const supervisor *s, char *why, size_t why_size)
{
    const char *state = s->config->state;
    char name[128];
    bool journal;
    if (!strangers_find(state, name, sizeof name, &journal))
        return 0;
    if (!journal) {
        snprintf(why, why_size,
                 "the state directory %s holds no journal of Granary, but \"%s\": give --state a directory that is "
                 "empty or not there yet, or move away what is in this one",
                 state, name);
        return STATUS_CORRUPT;
    }
    log_write(s->log, LOG_WARNING, "state=%s \"%s\" is no file of Granary: it is left alone", state, name);
    return 0;
}

/* Takes everything that only one broker may have. An EXIT_* code. */
static int take_locks(supervisor *s, char *why, size_t why_size)
{
    const config *c = s->config;
    if (identity_choose(c->user, &s->who, why, why_size) < 0)
        return EXIT_WRONG_USAGE;
    int r = locks_machine(LOCKS_MACHINE, &s->machine_fd, why, why_size);
    if (r == STATUS_BUSY && c->memory == 0)
        return EXIT_RUNNING;
    if (r < 0 && r != STATUS_BUSY)
        return EXIT_OTHER;
    if (check_strangers(s, why, why_size) < 0)
        return EXIT_STATE;
    r = locks_state(c->state, s->who.uid, s->who.gid, &s->lock_fd, why, why_size);
    if (r < 0)
        return r == STATUS_BUSY ? EXIT_RUNNING : EXIT_STATE;
    bool everybody = geteuid() == 0 && !s->options->user_instance;
    r = listen_open(c->socket, everybody, &s->listen_fd, why, why_size);
    if (r < 0)
        return r == STATUS_BUSY ? EXIT_RUNNING : EXIT_OTHER;
    return 0;
}

static int open_loop(supervisor *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    if (uv_loop_init(&s->loop) < 0)
        return STATUS_SYSTEM;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        if (uv_signal_start(&s->signals[i], on_signal, numbers[i]) < 0)
            return STATUS_SYSTEM;
    }
    uv_timer_init(&s->loop, &s->broker_timer);
    uv_timer_init(&s->loop, &s->agent_timer);
    uv_timer_init(&s->loop, &s->end_timer);
    s->broker_timer.data = s->agent_timer.data = s->end_timer.data = s;
    if (s->machine_fd < 0)
        return 0;
    if (uv_poll_init(&s->loop, &s->machine, s->machine_fd) < 0)
        return STATUS_SYSTEM;
    s->machine.data = s;
    return uv_poll_start(&s->machine, UV_READABLE, on_machine) < 0 ? STATUS_SYSTEM : 0;
}

static void close_left(uv_handle_t *handle, void *userdata)
{
    (void)userdata;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void finish(supervisor *s)
{
    uv_walk(&s->loop, close_left, NULL);
    while (uv_loop_close(&s->loop) == UV_EBUSY) /* a stop that came before the loop ran ends the first run at once */
        uv_run(&s->loop, UV_RUN_DEFAULT);
    listen_remove(s->listen_fd, s->config->socket);
    close(s->listen_fd);
    close(s->lock_fd);
    if (s->machine_fd >= 0)
        close(s->machine_fd);
}

int supervisor_run(const options *o, const config *c, const char *config_path, log_book *log)
{
    static const child none = {.control = -1};
    char why[PATH_MAX + 512] = "";
    supervisor s = {.options = o,
                    .config = c,
                    .config_path = config_path,
                    .log = log,
                    .lock_fd = -1,
                    .machine_fd = -1,
                    .listen_fd = -1,
                    .broker = none,
                    .agent = none};
    if (o->ready_fd >= 0 && fcntl(o->ready_fd, F_SETFD, FD_CLOEXEC) < 0) {
        log_write(log, LOG_ERROR, "--ready-fd %d is not an open descriptor", o->ready_fd);
        return EXIT_WRONG_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    int code = take_locks(&s, why, sizeof why);
    if (code) {
        log_write(log, LOG_ERROR, "%s", why);
        return code; /* the kernel gives the locks back */
    }
    if (geteuid() == 0 && !s.who.drop)
        log_write(log, LOG_WARNING,
                  "the broker keeps root: name a user in granary.conf, or make a user called granary");
    if (open_loop(&s) < 0) {
        log_write(log, LOG_ERROR, "the supervisor cannot start: %s", strerror(errno));
        return EXIT_OTHER;
    }
    log_write(log, LOG_INFO, "pid=%d socket=%s state=%s granaryd starts", (int)getpid(), c->socket, c->state);
    broker_start(&s);
    if (!s.ending)
        uv_run(&s.loop, UV_RUN_DEFAULT);
    finish(&s);
    log_write(log, LOG_INFO, "code=%d granaryd ends", s.exit_code);
    return s.exit_code;
}
