/* A backend in memory over real children, and a recorder of what claims answer. */
#ifndef TEST_AGENT_FAKE_H
#define TEST_AGENT_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/claims.h"
#include "base/status.h"

#define FAKE_GROUPS 8
#define FAKE_PIDS   16

typedef struct {
    group base;
    bool exists;
    pid_t pids[FAKE_PIDS];
    uint32_t count;
    bytes_t used, charged, ceiling, limit;
    bool oom;
    int begins, reclaims;
    int busy_removes; /* so many removals fail */
} fake_group;

typedef struct {
    backend base;
    fake_group groups[FAKE_GROUPS];
    uint32_t strangers; /* so many more are listed */
} fake_backend;

typedef struct {
    claim_order_kind kind;
    uint64_t tag;
    int status;
    claim_cause cause;
    bytes_t peak;
    uint64_t other;
} fake_answer;

typedef struct {
    uv_loop_t loop;
    procfs proc;
    fake_backend fake;
    watchpid *set;
    claims *claims;
    fake_answer answers[64];
    uint32_t n_answers;
    claim_view drains[16];
    uint32_t n_drains, n_notices;
    pid_t children[FAKE_PIDS];
    uint32_t n_children;
} world;

static inline fake_group *fake_find(fake_backend *b, uint64_t gen)
{
    for (int i = 0; i < FAKE_GROUPS; i++)
        if (b->groups[i].exists && b->groups[i].base.generation == gen)
            return &b->groups[i];
    return NULL;
}

static inline int fake_books(backend *b, const char *books)
{
    (void)b;
    (void)books;
    return 0;
}

static inline int fake_list(backend *b, generations *ret)
{
    fake_backend *f = (fake_backend *)b;
    *ret = (generations){.items = calloc(FAKE_GROUPS + f->strangers, sizeof *ret->items)};
    for (int i = 0; i < FAKE_GROUPS; i++)
        if (f->groups[i].exists)
            ret->items[ret->count++] = f->groups[i].base.generation;
    for (uint32_t i = 0; i < f->strangers; i++)
        ret->items[ret->count++] = 1000 + i;
    return 0;
}

static inline int fake_open(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made)
{
    fake_backend *f = (fake_backend *)b;
    fake_group *g = fake_find(f, gen);
    *ret_made = !g;
    for (int i = 0; !g && make && i < FAKE_GROUPS; i++)
        if (!f->groups[i].exists) {
            g = &f->groups[i];
            *g = (fake_group){
                .base = {.owner = b, .generation = gen}, .exists = true, .ceiling = UINT64_MAX, .limit = limit};
        }
    if (!g)
        return STATUS_NOT_FOUND;
    *ret = &g->base;
    return 0;
}

static inline void fake_close(group *g)
{
    (void)g;
}

static inline int fake_processes(group *base, pids *to)
{
    fake_group *g = (fake_group *)base;
    for (uint32_t i = 0; i < g->count; i++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)g->pids[i], &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
            assert_int_equal(pids_add(to, g->pids[i]), 0);
    }
    return g->exists ? 0 : STATUS_NOT_FOUND;
}

static inline int fake_remove(group *base)
{
    fake_group *g = (fake_group *)base;
    if (g->busy_removes > 0) {
        g->busy_removes--;
        return STATUS_STATE;
    }
    g->exists = false;
    return 0;
}

static inline int fake_attach(group *base, pid_t pid)
{
    fake_group *g = (fake_group *)base;
    assert_true(g->count < FAKE_PIDS);
    g->pids[g->count++] = pid;
    return 0;
}

static inline int fake_use(group *base, bytes_t *ret)
{
    *ret = ((fake_group *)base)->used;
    return ((fake_group *)base)->exists ? 0 : STATUS_NOT_FOUND;
}

static inline int fake_charged(group *base, bytes_t *ret)
{
    *ret = ((fake_group *)base)->charged;
    return 0;
}

static inline int fake_task_begin(group *base)
{
    ((fake_group *)base)->begins++;
    ((fake_group *)base)->oom = false;
    return 0;
}

static inline int fake_task_end(group *base, bool *ret_oom, bytes_t *ret_ceiling)
{
    *ret_oom = ((fake_group *)base)->oom;
    *ret_ceiling = ((fake_group *)base)->ceiling;
    return 0;
}

static inline int fake_limit(group *base, bytes_t limit)
{
    ((fake_group *)base)->limit = limit;
    return 0;
}

static inline int fake_reclaim_fd(group *base, int *ret)
{
    ((fake_group *)base)->reclaims++;
    *ret = dup(0);
    return *ret < 0 ? STATUS_SYSTEM : 0;
}

static inline int fake_reclaim(int fd, bytes_t most)
{
    (void)fd;
    (void)most;
    return 0;
}

static inline uint32_t fake_events(group *base, group_event ret[GROUP_EVENTS])
{
    (void)base;
    (void)ret;
    return 0;
}

static const backend_ops fake_ops = {
    .name = "fake",
    .limited = true,
    .books = fake_books,
    .list = fake_list,
    .open = fake_open,
    .close = fake_close,
    .remove = fake_remove,
    .attach = fake_attach,
    .processes = fake_processes,
    .use = fake_use,
    .charged = fake_charged,
    .task_begin = fake_task_begin,
    .task_end = fake_task_end,
    .limit = fake_limit,
    .reclaim_fd = fake_reclaim_fd,
    .reclaim = fake_reclaim,
    .events = fake_events,
};

static inline void record_answer(void *context, const claim_order *order, const claim_answer *answer)
{
    world *w = context;
    assert_true(w->n_answers < 64);
    w->answers[w->n_answers++] =
        (fake_answer){order->kind, order->tag, answer->status, answer->cause, answer->peak, answer->other};
}

static inline void record_drained(void *context, const claim_view *view)
{
    world *w = context;
    assert_true(w->n_drains < 16);
    w->drains[w->n_drains++] = *view;
}

static inline void record_notice(void *context, const char *level, const char *text)
{
    (void)level;
    assert_true(strlen(text) > 0);
    ((world *)context)->n_notices++;
}

static inline int world_setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(procfs_open(&w->proc, "/proc"), 0);
    w->fake.base = (backend){.ops = &fake_ops, .proc = &w->proc};
    claim_sink sink = {.context = w, .answer = record_answer, .drained = record_drained, .notice = record_notice};
    assert_int_equal(watchpid_create(&w->set, &w->loop), 0);
    assert_int_equal(claims_create(&w->claims, &w->loop, &w->fake.base, w->set, &sink), 0);
    assert_int_equal(claims_books(w->claims, "books", 0), 0);
    *state = w;
    return 0;
}

static inline int world_teardown(void **state)
{
    world *w = *state;
    for (uint32_t i = 0; i < w->n_children; i++) {
        kill(w->children[i], SIGKILL);
        waitpid(w->children[i], NULL, 0);
    }
    claims_stop(w->claims);
    watchpid_stop(w->set);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    claims_destroy(w->claims);
    watchpid_destroy(w->set);
    procfs_close(&w->proc);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
    return 0;
}

/* A child that waits to be killed; returns its pid and a pidfd for an order. */
static inline pid_t world_child(world *w, int *ret_pidfd)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0);
    assert_int_equal(pidfd_of(pid, ret_pidfd), 0);
    w->children[w->n_children++] = pid;
    return pid;
}

static inline void world_order(world *w, claim_order order)
{
    static const claim_order defaults = {.bytes = MIB(64), .chunk_size = MIB(64)};
    if (!order.bytes)
        order.bytes = defaults.bytes;
    if (!order.chunk_size)
        order.chunk_size = defaults.chunk_size;
    if (!order.pidfd)
        order.pidfd = -1;
    order.uid = getuid();
    claims_order(w->claims, &order);
}

/* Waits for what the loop does next, 5 s at most. */
static inline void world_pause(world *w)
{
    struct pollfd loop = {.fd = uv_backend_fd(&w->loop), .events = POLLIN};
    int until = uv_backend_timeout(&w->loop);
    assert_true(poll(&loop, 1, until < 0 || until > 5000 ? 5000 : until) >= 0);
}

/*
 * Turns the loop until the condition holds. Not with UV_RUN_ONCE: that runs what is due and then blocks, also when
 * what was due has brought what is waited for, and nothing else will come.
 */
#define world_turn_until(w, condition)                                                                                 \
    do {                                                                                                               \
        for (int turn_ = 0; turn_ < 2000 && (uv_run(&(w)->loop, UV_RUN_NOWAIT), !(condition)); turn_++)                \
            world_pause(w);                                                                                            \
    } while (0)

/* Turns the loop until `*count` is `wanted`. */
static inline void world_until(world *w, const uint32_t *count, uint32_t wanted)
{
    world_turn_until(w, *count >= wanted);
    assert_int_equal(*count, wanted);
}

static inline const fake_answer *last_answer(const world *w)
{
    assert_true(w->n_answers > 0);
    return &w->answers[w->n_answers - 1];
}

#endif
