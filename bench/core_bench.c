/*
 * core_bench.c - what a grant and a release cost inside the core, by number of hosts.
 *
 * Hosts are half full in random sizes; requests are of random size. One line for each number of hosts:
 *   core hosts=1000 ns_per_pair=... bytes_per_host=... bytes_per_allocation=... bytes_per_claim=...
 * The median of 5 runs. Arguments: the numbers of hosts (default 1000 10000 100000 1000000).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/core.h"

#define RUNS  5
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
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef struct {
    core *core;
    core_effects effects;
    session_id session;
    uint64_t number;
} bench;

static void step(bench *b, const core_event *e)
{
    if (core_step(b->core, 1000, e, &b->effects) != 0)
        abort();
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

static allocation_id allocate(bench *b, bytes_t bytes)
{
    core_event e = request(b, EVENT_ALLOCATE);
    e.allocate.dry_run = false;
    e.allocate.terms = (allocation_terms){.label = "bench",
                                          .chunk_size = bytes,
                                          .want = 1,
                                          .min = 1,
                                          .notice_ms = 1000,
                                          .wait_ms = MS_NEVER,
                                          .flags = TERM_NO_WAIT};
    step(b, &e);
    return reply_of(b)->allocation;
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

static void fill(bench *b, uint32_t hosts)
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
        e.sample = (event_host_sample){{i}, roll() % GIB(64), 0}; /* half full, on average */
        step(b, &e);
    }
    memset(&e, 0, sizeof(e));
    e.kind = EVENT_SESSION_OPEN;
    e.session.user.v = 1000;
    e.session.link = 1;
    step(b, &e);
    b->session = reply_of(b)->session;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
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

static void run(uint32_t hosts)
{
    core_limits limits = {.hosts = hosts,
                          .users = 8,
                          .sessions = 8,
                          .allocations = 1024,
                          .holdings = 1024,
                          .claims = 1024,
                          .recalls = 64,
                          .answers = 512};
    bench b = {.effects = {.capacity = EFFECTS_MAX}};
    size_t size = core_arena_size(&limits);
    void *arena = aligned_alloc(64, size);
    b.effects.items = calloc(EFFECTS_MAX, sizeof(core_effect));
    if (!arena || !b.effects.items || core_init(&b.core, &limits, &core_timers_default, arena, size) != 0 ||
        core_recover(b.core, 1000, true, &b.effects) != 0) {
        printf("core hosts=%u failed: no memory\n", hosts);
        exit(1);
    }
    fill(&b, hosts);
    double ns[RUNS];
    for (int i = 0; i < RUNS; i++)
        ns[i] = measure(&b);
    qsort(ns, RUNS, sizeof(ns[0]), by_value);
    core_limits round = {.hosts = 1u << 17,
                         .users = 8,
                         .sessions = 8,
                         .allocations = 1u << 17,
                         .holdings = 1u << 17,
                         .claims = 1u << 17,
                         .recalls = 64,
                         .answers = 512};
    printf("core hosts=%u ns_per_pair=%.0f bytes_per_host=%.0f bytes_per_allocation=%.0f bytes_per_holding=%.0f "
           "bytes_per_claim=%.0f\n",
           hosts, ns[RUNS / 2], per(&round, offsetof(core_limits, hosts)),
           per(&round, offsetof(core_limits, allocations)), per(&round, offsetof(core_limits, holdings)),
           per(&round, offsetof(core_limits, claims)));
    fflush(stdout);
    free(arena);
    free(b.effects.items);
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {1000, 10000, 100000, 1000000};
    for (int i = 1; i < argc; i++)
        run((uint32_t)strtoul(argv[i], NULL, 10));
    for (size_t i = 0; argc == 1 && i < sizeof(sizes) / sizeof(sizes[0]); i++)
        run(sizes[i]);
    return 0;
}
