/*
 * main.c - granary-agent: measures this host, puts processes under limits, watches them die. Decides nothing.
 *
 * Started by granaryd with a control socket as descriptor 3; when that reaches its end the agent ends, and tasks
 * go on under their limits. See docs/architecture.md for the control messages.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/options.h"
#include "agent/watchpid.h"
#include "agent/whois.h"
#include "base/reserve.h"
#include "base/status.h"

typedef struct {
    uv_loop_t loop;
    agent_options options;
    procfs proc;
    backend *backend;
    watchpid *set;
    agent_link *link;
    uv_poll_t control;
    uv_signal_t term, interrupt;
    uv_timer_t relink;
    bool stopping;
    int code; /* exit status */
} agent;

/* A link may end though both sides live on, when one has no memory for it. Whoever restarts makes a new one: waited for
 * first. */
#define RELINK_MS       200u
#define RELINK_AGAIN_MS 1000u
#define STARVED_MAX     25u /* links in a row: some seconds of want; another process may fare better */

/* Giving back the page cache of ended claims: slow, seldom. */
#define POOL_THREADS      2
#define POOL_THREADS_TEXT "2"

static const char usage[] =
    "granary-agent: measures a host and keeps its claims under their limits; granaryd starts it: run `granary up` or "
    "granaryd(8)\n"
    "  --host NAME        this host's name\n"
    "  --memory BYTES     lease no more than this (told to the broker)\n"
    "  --sample-ms MS     measure this often, whatever the broker says\n"
    "  --watch            measure only, even where limits are possible\n"
    "  --books ID         the broker's id, to find its groups before the first welcome\n"
    "  --proc-root DIR    instead of /proc\n"
    "  --cgroup-root DIR  put before the mount points of control groups\n"
    "  --link-fd N        serve the broker on this socket, without a supervisor\n";

static void agent_stop(agent *a)
{
    if (a->stopping)
        return;
    a->stopping = true;
    agent_link_stop(a->link);
    watchpid_stop(a->set);
    uv_close((uv_handle_t *)&a->relink, NULL);
    if (a->options.link_fd < 0)
        uv_close((uv_handle_t *)&a->control, NULL);
    uv_close((uv_handle_t *)&a->term, NULL);
    uv_close((uv_handle_t *)&a->interrupt, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    agent_stop(handle->data);
}

/* Asks the supervisor for a link, until one is up. */
static void on_relink(uv_timer_t *timer)
{
    agent *a = timer->data;
    if (agent_link_is_up(a->link))
        uv_timer_stop(timer);
    else if (send(AGENT_CONTROL_FD, "L", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
        agent_stop(a); /* the supervisor is gone */
}

static void on_lost(void *context)
{
    agent *a = context;
    if (a->stopping)
        return;
    if (agent_link_starved(a->link) >= STARVED_MAX) {
        fprintf(stderr, "granary-agent: no memory to speak with the broker: it ends, and is started again\n");
        a->code = EXIT_NO_MEMORY;
        agent_stop(a); /* the groups stay, and are found again */
    } else if (a->options.link_fd >= 0)
        agent_stop(a); /* nobody will bring another one */
    else
        uv_timer_start(&a->relink, on_relink, RELINK_MS, RELINK_AGAIN_MS);
}

/* One datagram; its descriptor, if any, is the caller's. Returns the kind, 0 for none, -1 at the end. */
static int control_receive(int fd, int *ret_fd)
{
    char kind;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &kind, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    *ret_fd = -1;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    return got == 0 ? -1 : kind;
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    agent *a = poll->data;
    int fd = -1;
    (void)events;
    int kind = status < 0 ? -1 : control_receive(AGENT_CONTROL_FD, &fd);
    if (kind == 'L' && fd >= 0) {
        if (agent_link_up(a->link, fd) < 0) {
            fprintf(stderr, "granary-agent: the link to the broker cannot be used: another is asked for\n");
            on_lost(a);
        }
        return;
    }
    if (fd >= 0)
        close(fd);
    if (kind == -1 || kind == 'Q')
        agent_stop(a);
}

/* Every claim costs some ten descriptors. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* with less, opening claims fails earlier, with a clear answer */
    }
}

static void *pool_stack(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

static void pool_work(uv_work_t *work)
{
    (void)work;
}

/*
 * The pool's threads are made with its first job, and libuv aborts when one cannot be: so all are made now, on stacks
 * that threads of ours have left in libc's cache, and later a job costs no memory.
 */
static int pool_prepare(uv_loop_t *loop)
{
    static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    static uv_work_t first;
    pthread_t threads[POOL_THREADS];
    int n = 0;
    if (setenv("UV_THREADPOOL_SIZE", POOL_THREADS_TEXT, 1) < 0)
        return STATUS_NO_MEMORY;
    pthread_mutex_lock(&gate);
    while (n < POOL_THREADS && pthread_create(&threads[n], NULL, pool_stack, &gate) == 0)
        n++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    if (n < POOL_THREADS || uv_queue_work(loop, &first, pool_work, NULL) < 0)
        return STATUS_NO_MEMORY;
    return 0;
}

static int agent_prepare(agent *a)
{
    const agent_options *o = &a->options;
    procfs_memory memory = {0};
    int r = procfs_open(&a->proc, o->proc_root);
    if (r == 0)
        r = procfs_meminfo(&a->proc, &memory);
    if (r < 0) {
        fprintf(stderr, "granary-agent: %s/meminfo cannot be read: is /proc mounted?\n", o->proc_root);
        return r;
    }
    whois_find_gate(&a->proc);
    backend_options where = {
        .proc = &a->proc, .cgroup_root = o->cgroup_root, .watch = o->watch, .supervised = o->link_fd < 0};
    bytes_t total = backend_total(&where, memory.total); /* before a leaf of our own */
    if (o->memory && o->memory < total)
        total = o->memory;
    r = pool_prepare(&a->loop);
    if (r == 0)
        r = backend_create(&a->backend, &where);
    if (r == 0)
        r = watchpid_create(&a->set, &a->loop);
    if (r < 0)
        return r;
    link_options link = {.loop = &a->loop,
                         .proc = &a->proc,
                         .backend = a->backend,
                         .host = o->host,
                         .books = o->books,
                         .physical = memory.total,
                         .total = total,
                         .sample_ms = o->sample_ms,
                         .lost = on_lost,
                         .context = a};
    return agent_link_create(&a->link, &link, a->set);
}

static int agent_listen(agent *a)
{
    uv_signal_init(&a->loop, &a->term);
    uv_signal_init(&a->loop, &a->interrupt);
    uv_timer_init(&a->loop, &a->relink);
    a->term.data = a->interrupt.data = a->relink.data = a;
    uv_signal_start(&a->term, on_signal, SIGTERM);
    uv_signal_start(&a->interrupt, on_signal, SIGINT);
    if (a->options.link_fd >= 0)
        return agent_link_up(a->link, a->options.link_fd);
    if (uv_poll_init(&a->loop, &a->control, AGENT_CONTROL_FD) < 0) {
        fprintf(stderr, "granary-agent: descriptor 3 is not a control socket: granaryd starts this program\n");
        return STATUS_SYSTEM;
    }
    a->control.data = a;
    uv_poll_start(&a->control, UV_READABLE, on_control);
    return send(AGENT_CONTROL_FD, "R", 1, MSG_NOSIGNAL) == 1 ? 0 : STATUS_LOST;
}

int main(int argc, char **argv)
{
    static agent a;
    const char *why;
    if (agent_options_parse(&a.options, argc, argv, &why) < 0) {
        fprintf(stderr, "granary-agent: %s\n", why);
        return 2;
    }
    if (a.options.help) {
        fputs(usage, stdout);
        return 0;
    }
    if (a.options.version) {
        puts("granary-agent " VERSION_TEXT);
        return 0;
    }
    uv_replace_allocator(reserve_malloc, reserve_realloc, reserve_calloc, reserve_free);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    int looped = uv_loop_init(&a.loop);
    if (looped < 0) {
        fprintf(stderr, "granary-agent: cannot start: no memory or no descriptors for its loop\n");
        return looped == UV_ENOMEM ? EXIT_NO_MEMORY : 1;
    }
    int r = agent_prepare(&a);
    if (r == 0)
        r = agent_listen(&a);
    if (r < 0) {
        fprintf(stderr, "granary-agent: cannot start: %s\n", status_text(r));
        return r == STATUS_NO_MEMORY ? EXIT_NO_MEMORY : 1; /* the kernel takes back what was opened */
    }
    uv_run(&a.loop, UV_RUN_DEFAULT);
    agent_link_destroy(a.link);
    watchpid_destroy(a.set);
    backend_destroy(a.backend);
    procfs_close(&a.proc);
    return uv_loop_close(&a.loop) == 0 ? a.code : 1;
}
