#include "daemon/broker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/reserve.h"
#include "base/status.h"
#include "core/view.h"
#include "daemon/control.h"
#include "daemon/notes.h"
#include "daemon/recovery.h"
#include "daemon/replies.h"
#include "daemon/settings.h"
#include "store/sqlite.h"

#define SCRATCH_BYTES ((size_t)32 << 20) /* the largest message unpacked, or the longest answer before it is sent */

/* ---- the core's sink ---- */

static void on_reply(void *userdata, const effect_reply *reply)
{
    reply_send(userdata, reply);
}

static void on_push(void *userdata, const effect_push *push)
{
    push_send(userdata, push);
}

static void on_order(void *userdata, const effect_order *order)
{
    link_order_add(userdata, order);
}

static void on_note(void *userdata, const effect_note *note)
{
    note_write(userdata, note);
}

static void on_session_over(void *userdata, session_id session)
{
    watch_stop(userdata, session);
}

/* ---- turns ---- */

static int other_code(int status)
{
    return status == STATUS_NO_MEMORY ? EXIT_NO_MEMORY : EXIT_OTHER;
}

void broker_end(broker *b, int code)
{
    if (!b->ending)
        b->exit_code = code;
    b->ending = true;
    b->failed |= code != EXIT_ORDERLY;
    uv_stop(&b->loop);
}

void broker_step(broker *b, const core_event *event)
{
    if (b->failed)
        return;
    int r = driver_step(&b->driver, event);
    if (r == 0)
        return;
    log_write(b->log, LOG_ERROR, "status=%s a step of the core failed (event %d): the broker ends and recovers",
              status_name(r), (int)event->kind);
    broker_end(b, other_code(r));
}

static void on_idle(uv_idle_t *idle)
{
    broker *b = idle->data;
    uv_idle_stop(idle);
    b->idle_active = false;
    peers_work(b);
}

void broker_again(broker *b)
{
    if (b->idle_active)
        return;
    b->idle_active = true;
    uv_idle_start(&b->idle, on_idle);
}

static void on_tick(uv_timer_t *timer)
{
    core_event event = {.kind = EVENT_TICK};
    broker_step(timer->data, &event);
}

/* Arms the timer for the core's next deadline. */
static void arm_tick(broker *b)
{
    int64_t wait = driver_wait(&b->driver);
    if (wait < 0) {
        uv_timer_stop(&b->tick);
        return;
    }
    uint64_t due = uv_now(&b->loop) + (uint64_t)wait;
    bool active = uv_is_active((uv_handle_t *)&b->tick);
    if (active && b->tick_due == due)
        return;
    b->tick_due = due;
    uv_timer_start(&b->tick, on_tick, (uint64_t)wait, 0);
}

void broker_turn(broker *b)
{
    do {
        if (b->failed)
            return;
        int r = driver_commit(&b->driver);
        if (r < 0) {
            const char *why = store_failure(b->store);
            log_write(b->log, LOG_ERROR,
                      "status=%s the journal cannot be written, what was not committed is dropped: %s", status_name(r),
                      why ? why : status_text(r));
            broker_end(b, EXIT_STORE);
            return;
        }
        peers_flush(b);
        link_flush(b);
    } while (peers_reap(b));
    scratch_reset(&b->scratch);
    b->wall = 0;
    arm_tick(b);
}

static void on_prepare(uv_prepare_t *prepare)
{
    broker_turn(prepare->data);
}

static void on_check(uv_check_t *check)
{
    broker_turn(check->data);
}

/* ---- patience: handshakes and idling ---- */

static bool idle_over(broker *b, ms_t now, int64_t *next)
{
    totals_view totals;
    if (!b->options->user_instance || b->config.idle_exit == 0)
        return false;
    view_totals(b->driver.core, &totals);
    if (totals.attached > 0 || totals.allocations > 0 || totals.claims > 0 || b->peers.n > 0)
        b->busy_last = now;
    ms_t idle = now - b->busy_last;
    if (idle >= b->config.idle_exit)
        return true;
    /* Looked at again when it could be over, counted from now if it is busy now. */
    int64_t left = (int64_t)(b->config.idle_exit - idle);
    *next = *next < 0 || left < *next ? left : *next;
    return false;
}

static void on_patience(uv_timer_t *timer)
{
    broker *b = timer->data;
    ms_t now = driver_now();
    int64_t next = peers_patience(b, now);
    if (idle_over(b, now, &next)) {
        log_write(b->log, LOG_INFO, "nobody has used this broker for a while: it ends");
        broker_end(b, EXIT_ORDERLY);
        return;
    }
    if (next >= 0 && (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > (uint64_t)next))
        uv_timer_start(timer, on_patience, (uint64_t)next + 1, 0);
}

/* ---- control ---- */

static void on_control(uv_poll_t *poll, int status, int events)
{
    broker *b = poll->data;
    control_message m = {.fd = -1};
    (void)events;
    int r = status < 0 ? STATUS_LOST : control_receive(b->options->control_fd, &m);
    if (r < 0) {
        log_write(b->log, LOG_WARNING, "the supervisor is gone: the broker ends");
        broker_end(b, EXIT_ORDERLY);
        return;
    }
    if (r == 0)
        return;
    if (m.kind == CONTROL_LINK && m.fd >= 0)
        link_connect(b, m.fd);
    else if (m.fd >= 0)
        close(m.fd);
    if (m.kind == CONTROL_QUIT)
        broker_end(b, EXIT_ORDERLY);
    if (m.kind == CONTROL_RELOAD)
        settings_reload(b);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    broker_end(handle->data, EXIT_ORDERLY);
}

/* ---- life ---- */

/* Each connection needs two descriptors, each watched process one. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* with less, connections wait in the backlog */
    }
}

/* What is amiss with the state directory no restart mends; a shortage of memory may pass. */
static int state_code(int status)
{
    return status == STATUS_NO_MEMORY ? EXIT_NO_MEMORY : EXIT_STATE;
}

static int open_store(broker *b)
{
    char why[1024] = "";
    b->store = b->options->store;
    if (b->store)
        return 0;
    store_sqlite_options where = {.directory = b->options->state, .sync_each_commit = b->config.power};
    int r = store_sqlite_open(&b->store, &where, why, sizeof why);
    if (r < 0)
        log_write(b->log, LOG_ERROR, "status=%s %s", status_name(r), why);
    return r;
}

static int open_books(broker *b)
{
    char why[1024] = "";
    int r = open_store(b);
    if (r < 0)
        return state_code(r);
    driver_sink sink = {.reply = on_reply,
                        .push = on_push,
                        .order = on_order,
                        .note = on_note,
                        .session_over = on_session_over,
                        .userdata = b};
    r = driver_init(&b->driver, &b->config.limits, &b->config.timers, b->store, &sink);
    if (r < 0) {
        log_write(b->log, LOG_ERROR, "status=%s the tables cannot be made: lower max_ settings, or mend the times",
                  status_name(r));
        return r == STATUS_INVALID ? EXIT_WRONG_USAGE : other_code(r);
    }
    recovered found;
    r = recovery_run(&b->driver, b->boot_id, &found, why, sizeof why);
    if (r < 0) {
        log_write(b->log, LOG_ERROR, "status=%s state=%s %s", status_name(r), b->options->state, why);
        return r == STATUS_LIMIT ? EXIT_WRONG_USAGE : state_code(r);
    }
    for (uint32_t i = 0; i < found.n_sessions; i++) {
        const recovered_session *s = &found.sessions[i];
        int pidfd;
        r = s->pid > 0 ? process_open(s->pid, s->pid_start, &pidfd) : STATUS_SYSTEM;
        core_event event = {.kind = EVENT_SESSION_END, .session = {.session = s->session}};
        if (r == 0)
            watch_start(b, s->session, pidfd);
        else if (r == STATUS_DEAD)
            broker_step(b, &event);
    }
    if (found.records > 0)
        log_write(b->log, LOG_INFO, "records=%llu sessions=%u the books are recovered",
                  (unsigned long long)found.records, (unsigned)found.n_sessions);
    free(found.sessions);
    return b->failed ? b->exit_code : 0;
}

static int open_loop(broker *b)
{
    if (uv_loop_init(&b->loop) < 0)
        return STATUS_SYSTEM;
    b->loop_open = true;
    uv_prepare_init(&b->loop, &b->prepare);
    uv_check_init(&b->loop, &b->check);
    uv_idle_init(&b->loop, &b->idle);
    uv_timer_init(&b->loop, &b->tick);
    uv_timer_init(&b->loop, &b->patience);
    collect_init(b);
    uv_signal_init(&b->loop, &b->terminate);
    b->terminate.data = b;
    uv_signal_start(&b->terminate, on_signal, SIGTERM);
    b->prepare.data = b->check.data = b->idle.data = b->tick.data = b->patience.data = b;
    uv_prepare_start(&b->prepare, on_prepare);
    uv_check_start(&b->check, on_check);
    uv_timer_start(&b->patience, on_patience, 0, 0);
    if (b->options->control_fd < 0)
        return 0;
    if (uv_poll_init(&b->loop, &b->control, b->options->control_fd) < 0)
        return STATUS_SYSTEM;
    b->control.data = b;
    return uv_poll_start(&b->control, UV_READABLE, on_control) < 0 ? STATUS_SYSTEM : 0;
}

int broker_open(broker *b, const broker_options *o, log_book *log)
{
    char why[512];
    *b = (broker){.options = o, .log = log, .pidfd = -1, .busy_last = driver_now()};
    int read = settings_read(b, &b->config, why, sizeof why);
    if (read < 0) {
        log_write(log, LOG_ERROR, "%s", why);
        return read == STATUS_NO_MEMORY ? EXIT_NO_MEMORY : EXIT_WRONG_USAGE;
    }
    log_set_level(log, b->config.log_level);
    raise_descriptors();
    if (gethostname(b->local_host, sizeof b->local_host) < 0 || process_boot_id(b->boot_id) < 0) {
        log_write(log, LOG_ERROR, "the host's name or boot id cannot be read: is /proc mounted?");
        return EXIT_OTHER;
    }
    b->local_host[sizeof b->local_host - 1] = '\0';
    int r = scratch_init(&b->scratch, SCRATCH_BYTES);
    if (r == 0)
        r = open_loop(b);
    if (r < 0) {
        log_write(log, LOG_ERROR, "status=%s the broker cannot start", status_name(r));
        return other_code(r);
    }
    b->room.default_notice = b->config.timers.notice_ms;
    int code = open_books(b);
    if (code)
        return code;
    settings_apply(b, NULL);
    r = peers_open(b, o->listen_fd);
    if (r < 0) {
        log_write(log, LOG_ERROR, "status=%s the socket cannot be served", status_name(r));
        return other_code(r);
    }
    control_send_books(o->control_fd, b->store->meta.broker_id);
    return b->failed ? b->exit_code : 0;
}

int broker_run(broker *b)
{
    uv_run(&b->loop, UV_RUN_DEFAULT);
    if (!b->failed)
        broker_turn(b); /* what was answered before the end was asked for still leaves */
    return b->exit_code;
}

static void close_left(uv_handle_t *handle, void *userdata)
{
    (void)userdata;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void broker_close(broker *b)
{
    b->failed = true; /* nothing is stepped any more: the sessions are found again by the next broker */
    log_set_listener(b->log, NULL, NULL);
    peers_close(b);
    watch_stop_all(b);
    collect_finish(b);
    link_close(b);
    if (b->loop_open) {
        uv_walk(&b->loop, close_left, NULL);
        while (uv_loop_close(&b->loop) ==
               UV_EBUSY) /* a stop that came before the loop ran ends the first run at once */
            uv_run(&b->loop, UV_RUN_DEFAULT);
    }
    driver_finish(&b->driver);
    store_close(b->store);
    scratch_finish(&b->scratch);
    config_finish(&b->config);
}
