/*
 * core_bench.c - what a grant and a release cost inside the core, by number of hosts, in time of the processor: the
 * core neither waits nor calls the kernel.
 *
 * Hosts are half full in random sizes; requests are of random size. With a queue, on hosts that are full: requests that
 * are granted and released while others wait for more than is free; then a release that lets the first of many waiters
 * of one size go, who is replaced by a new one; growable allocations, each of which grows in its turn.
 *
 * With donors, a recallable allocation on each host, and one firm request that waits for more than any host can give
 * back: what others pay for it with each grant and release, before and after its age guard; and while what it needs is
 * being asked back. The longest step is the decision itself.
 *
 *   core_bench HOSTS
 *   core_bench --waiters N
 *   core_bench --donors N
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/core.h"

#define PAIRS 20000
#define KEPT  64 /* allocations alive at a time in the measured loop */

static uint64_t seed = 88172645463325252u;

static uint64_t roll(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef struct {
    core *core;
    core_effects effects;
    session_id session;
    uint64_t number;
    ms_t now;
    bool watched;     /* each step is measured: reading the clock costs more than a grant */
    uint64_t longest; /* of them, in ns */
    void *arena;
} bench;

static void step(bench *b, const core_event *e)
{
    uint64_t start = b->watched ? now_ns() : 0;
    if (core_step(b->core, b->now, e, &b->effects) != 0)
        abort();
    uint64_t took = b->watched ? now_ns() - start : 0;
    b->longest = took > b->longest ? took : b->longest;
}

static const effect_reply *reply_of(const bench *b)
{
    for (uint32_t i = 0; i < b->effects.count; i++)
        if (b->effects.items[i].kind == EFFECT_REPLY)
            return &b->effects.items[i].reply;
    abort();
}

static core_event request(bench *b, event_kind kind)
{
    core_event e;
    e.kind = kind;
    e.request = (event_request){b->session, {++b->number}, {b->number - 1}};
    return e;
}

static allocation_id allocate_as(bench *b, bytes_t bytes, chunks_t want, chunks_t min, uint32_t flags)
{
    core_event e = request(b, EVENT_ALLOCATE);
    e.allocate.dry_run = false;
    e.allocate.terms = (allocation_terms){.label = "bench",
                                          .chunk_size = bytes,
                                          .want = want,
                                          .min = min,
                                          .notice_ms = 1000,
                                          .wait_ms = MS_NEVER,
                                          .flags = flags};
    step(b, &e);
    return reply_of(b)->allocation;
}

static allocation_id allocate(bench *b, bytes_t bytes)
{
    return allocate_as(b, bytes, 1, 1, TERM_NO_WAIT);
}

static void release(bench *b, allocation_id id)
{
    core_event e = request(b, EVENT_RELEASE);
    e.release.id = id;
    e.release.recall.v = 0;
    e.release.extents = NULL;
    e.release.n = 0;
    step(b, &e);
}

static void fill(bench *b, uint32_t hosts, bool half)
{
    core_event e;
    memset(&e, 0, sizeof(e));
    e.kind = EVENT_CONFIG_HOST;
    strcpy(e.config_host.name, "*");
    step(b, &e);
    for (uint32_t i = 0; i < hosts; i++) {
        memset(&e, 0, sizeof(e));
        e.kind = EVENT_HOST_HELLO;
        snprintf(e.hello.name, sizeof(e.hello.name), "host%u", i);
        strcpy(e.hello.boot_id, "boot");
        e.hello.physical = e.hello.total = GIB(64);
        e.hello.cores = 8;
        step(b, &e);
        memset(&e, 0, sizeof(e));
        e.kind = EVENT_HOST_SAMPLE;
        e.sample = (event_host_sample){{i}, half ? roll() % GIB(64) : 0, 0}; /* half full, on average */
        step(b, &e);
    }
    memset(&e, 0, sizeof(e));
    e.kind = EVENT_SESSION_OPEN;
    e.session.user.v = 1000;
    e.session.link = 1;
    step(b, &e);
    b->session = reply_of(b)->session;
}

static double measure(bench *b)
{
    allocation_id kept[KEPT];
    for (int i = 0; i < KEPT; i++)
        kept[i] = allocate(b, MIB(64) + roll() % GIB(48));
    uint64_t start = now_ns();
    for (int i = 0; i < PAIRS; i++) {
        int k = (int)(roll() % KEPT);
        release(b, kept[k]);
        kept[k] = allocate(b, MIB(64) + roll() % GIB(48));
    }
    double ns = (double)(now_ns() - start) / PAIRS;
    for (int i = 0; i < KEPT; i++)
        release(b, kept[i]);
    return ns;
}

/* Bytes that one more of what `more` counts needs. */
static double per(const core_limits *base, size_t offset)
{
    core_limits more = *base;
    uint32_t *n = (uint32_t *)(void *)((char *)&more + offset);
    *n += 1u << 17;
    return (double)(core_arena_size(&more) - core_arena_size(base)) / (1u << 17);
}

static bench bench_open_for(uint32_t hosts, bool half, uint32_t allocations)
{
    core_limits limits = {.hosts = hosts,
                          .users = 8,
                          .sessions = 8,
                          .allocations = allocations,
                          .holdings = 2 * allocations,
                          .claims = 1024,
                          .recalls = 4096,
                          .answers = 512};
    bench b = {.effects = {.capacity = EFFECTS_MAX}, .now = 1000};
    size_t size = core_arena_size(&limits);
    b.arena = aligned_alloc(64, size);
    b.effects.items = calloc(EFFECTS_MAX, sizeof(core_effect));
    if (!b.arena || !b.effects.items || core_init(&b.core, &limits, &core_timers_default, b.arena, size) != 0 ||
        core_recover(b.core, 1000, true, &b.effects) != 0) {
        printf("core hosts=%u failed: no memory\n", hosts);
        exit(1);
    }
    fill(&b, hosts, half);
    return b;
}

static bench bench_open(uint32_t hosts, bool half)
{
    return bench_open_for(hosts, half, 4096);
}

static void bench_close(bench *b)
{
    free(b->arena);
    free(b->effects.items);
}

/* Full hosts, `waiters` requests for `bytes` that do not fit. */
static void crowd(bench *b, uint32_t hosts, uint32_t waiters, bytes_t bytes)
{
    for (uint32_t i = 0; i < hosts; i++)
        allocate(b, GIB(63));
    for (uint32_t i = 0; i < waiters; i++)
        allocate_as(b, bytes, 1, 1, 0);
}

static double measure_pairs(uint32_t waiters)
{
    bench b = bench_open(100, false);
    crowd(&b, 100, waiters, GIB(2));
    uint64_t start = now_ns();
    for (int i = 0; i < PAIRS; i++)
        release(&b, allocate(&b, MIB(64) + roll() % MIB(512)));
    double ns = (double)(now_ns() - start) / PAIRS;
    bench_close(&b);
    return ns;
}

/* One release, the first of the waiters is granted, a new one comes. */
static double measure_turns(uint32_t waiters)
{
    bench b = bench_open(100, false);
    crowd(&b, 100, 0, 0);
    allocation_id ids[4096];
    uint32_t first = 0, n = 0;
    for (uint32_t i = 0; i < 100 + waiters; i++) /* a hundred fit, one on each host */
        ids[n++] = allocate_as(&b, GIB(1), 1, 1, 0);
    int turns = (int)(4096 - n);
    uint64_t start = now_ns();
    for (int i = 0; i < turns; i++) {
        release(&b, ids[first++]);
        ids[n++] = allocate_as(&b, GIB(1), 1, 1, 0);
    }
    double ns = (double)(now_ns() - start) / turns;
    bench_close(&b);
    return ns;
}

/* One chunk is given up, and somebody grows by it. */
static double measure_growth(uint32_t growable)
{
    bench b = bench_open(100, false);
    for (uint32_t i = 0; i < growable; i++)
        allocate_as(&b, GIB(1), 100, 0, TERM_GROWABLE);
    uint64_t start = now_ns();
    for (int i = 0; i < 2000; i++) {
        core_event e = request(&b, EVENT_RELEASE_N);
        e.release_n.id.v = 1 + roll() % (growable < 63 ? growable : 63);
        e.release_n.recall.v = 0;
        e.release_n.count = 1;
        e.release_n.n = 0;
        e.release_n.busy = NULL;
        step(&b, &e);
    }
    double ns = (double)(now_ns() - start) / 2000;
    bench_close(&b);
    return ns;
}

static void run_crowd(uint32_t n)
{
    printf("pair_waiters\t%.0f\tns\n", measure_pairs(n));
    printf("turn\t%.0f\tns\n", measure_turns(n));
    printf("growth\t%.0f\tns\n", measure_growth(n));
}

/* Pairs for others while the request for `bytes` waits; a millisecond passes with each. */
static void measure_donors(uint32_t n, uint32_t hosts, const char *name, bytes_t bytes, bool aged)
{
    bench b = bench_open_for(hosts, false, n + 64);
    for (uint32_t i = 0; i < n; i++)
        allocate_as(&b, (GIB(64) - MIB(600)) / 15 / (n / hosts), 15, 8,
                    TERM_GROWABLE | TERM_RECALLABLE | TERM_ONE_HOST);
    b.watched = true;
    allocate_as(&b, bytes, 1, 1, 0);
    b.now += aged ? core_timers_default.age_guard_ms : core_timers_default.ask_ms;
    core_event tick = {.kind = EVENT_TICK};
    step(&b, &tick);
    int pairs = PAIRS / 20;
    uint64_t start = 0;
    for (int i = 0; i < 2 * pairs; i++) {
        if (i == pairs) {
            b.watched = false;
            start = now_ns();
        }
        b.now++;
        release(&b, allocate(&b, MIB(64) + roll() % MIB(512)));
    }
    double ns = (double)(now_ns() - start) / pairs;
    printf("pair_%s\t%.0f\tns\n", name, ns);
    printf("longest_%s\t%ju\tns\n", name, (uintmax_t)b.longest);
    bench_close(&b);
}

static void run_donors(uint32_t n)
{
    measure_donors(n, n, "hopeless", GIB(40), false);
    measure_donors(n, n, "hopeless_aged", GIB(40), true);
    measure_donors(n, n, "recalled", GIB(20), false);
    if (n >= 100) {
        measure_donors(n, n / 100, "hopeless_dense", GIB(40), false);
        measure_donors(n, n / 100, "recalled_dense", GIB(20), false);
    }
}

static void run(uint32_t hosts)
{
    const core_limits round = {.hosts = 1u << 17,
                               .users = 8,
                               .sessions = 8,
                               .allocations = 1u << 17,
                               .holdings = 1u << 17,
                               .claims = 1u << 17,
                               .recalls = 64,
                               .answers = 512};
    bench b = bench_open(hosts, true);
    measure(&b); /* warms caches and tables */
    printf("pair\t%.0f\tns\n", measure(&b));
    printf("bytes_per_host\t%.0f\tB\n", per(&round, offsetof(core_limits, hosts)));
    printf("bytes_per_allocation\t%.0f\tB\n", per(&round, offsetof(core_limits, allocations)));
    printf("bytes_per_holding\t%.0f\tB\n", per(&round, offsetof(core_limits, holdings)));
    printf("bytes_per_claim\t%.0f\tB\n", per(&round, offsetof(core_limits, claims)));
    bench_close(&b);
}

int main(int argc, char **argv)
{
    bool waiters = argc == 3 && strcmp(argv[1], "--waiters") == 0;
    bool donors = argc == 3 && strcmp(argv[1], "--donors") == 0;
    uint32_t n = argc == 2 || waiters || donors ? (uint32_t)strtoul(argv[argc - 1], NULL, 10) : 0;
    if (n == 0 || (waiters && n > 2000)) {
        fprintf(stderr, "usage: core_bench HOSTS | core_bench --waiters N (at most 2000) | core_bench --donors N\n");
        return 2;
    }
    if (waiters)
        run_crowd(n);
    else if (donors)
        run_donors(n);
    else
        run(n);
    return 0;
}
