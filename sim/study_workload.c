/*
 * study_workload.c - what is asked of the hosts: tasks of pools, firm requests, drains, foreign memory.
 *
 * The workload `published` follows published figures as far as they were at hand:
 *   - batch instances finish within 1003 s in the 99th percentile: C. Jiang and others, Characteristics of Co-Allocated
 *     Online Services and Batch Jobs in Internet Data Centers: A Case Study From Alibaba Cloud, IEEE Access 7, 2019
 *     (abstract);
 *   - sizes of batch jobs are about Zipf distributed: C. Jiang and others, Characterizing Co-located Workloads in
 * Alibaba Cloud Datacenters, IEEE Transactions on Cloud Computing, 2020 (abstract);
 *   - durations and sizes have extremely heavy tails: M. Tirmazi and others, Borg: the Next Generation, EuroSys 2020
 *     (abstract: the top 1 % of jobs use over 99 % of the resources).
 * Assumed, for want of a figure: that durations are lognormal with sigma 1.5 (with the percentile above the median is
 * 31 s), chunk sizes, and all about firm requests.
 */
#include "study.h"

#include <math.h>
#include <string.h>

#define SPREAD                                                                                                         \
    {                                                                                                                  \
        {GIB(4), 1, 8, false},                                                                                         \
    }

static const workload workloads[] = {
    {.name = "equal",
     .about = "all tasks last 20 s; firm requests of 1 to 8 chunks of 4 GiB on any hosts",
     .task = {SHAPE_EQUAL, 20, 0, 0},
     .chunks = {GIB(4)},
     .firm = SPREAD,
     .firm_load = 0.10,
     .firm_hold = {SHAPE_EXPONENTIAL, 60, 0, 300}},
    {.name = "heavy-tail",
     .about =
         "tasks last by a Pareto distribution, alpha 1.5, mean 20 s before it is cut at 1000 s; firm requests as in "
         "equal",
     .task = {SHAPE_PARETO, 20, 1.5, 1000},
     .chunks = {GIB(4)},
     .firm = SPREAD,
     .firm_load = 0.10,
     .firm_hold = {SHAPE_EXPONENTIAL, 60, 0, 300}},
    {.name = "mixed-sizes",
     .about =
         "pools with chunks of 1, 2, 4 and 8 GiB, tasks of exponential length, mean 20 s; firm requests of one chunk "
         "of 4, 8, 16 or 24 GiB",
     .task = {SHAPE_EXPONENTIAL, 20, 0, 0},
     .chunks = {GIB(1), GIB(2), GIB(4), GIB(8)},
     .firm = {{GIB(4), 1, 1, true}, {GIB(8), 1, 1, true}, {GIB(16), 1, 1, true}, {GIB(24), 1, 1, true}},
     .firm_load = 0.10,
     .firm_hold = {SHAPE_EXPONENTIAL, 60, 0, 300},
     .hosts_matter = true},
    {.name = "one-host",
     .about =
         "tasks of lognormal length, median 12 s, sigma 1; firm requests of 5 to 8 chunks of 4 GiB, all on one host",
     .task = {SHAPE_LOGNORMAL, 12, 1, 0},
     .chunks = {GIB(4)},
     .firm = {{GIB(4), 5, 8, true}},
     .firm_load = 0.10,
     .firm_hold = {SHAPE_EXPONENTIAL, 60, 0, 300},
     .hosts_matter = true},
    {.name = "drains",
     .about =
         "as one-host with firm requests of 2 to 4 chunks on one host; each host is drained twice an hour, and is back "
         "30 s after it is empty",
     .task = {SHAPE_LOGNORMAL, 12, 1, 0},
     .chunks = {GIB(4)},
     .firm = {{GIB(4), 2, 4, true}},
     .firm_load = 0.08,
     .firm_hold = {SHAPE_EXPONENTIAL, 60, 0, 300},
     .drains = 2,
     .hosts_matter = true},
    {.name = "bursts",
     .about = "as equal with tasks of exponential length, mean 20 s; six times an hour foreign processes take 8 to 16 "
              "GiB of "
              "a host for about a minute",
     .task = {SHAPE_EXPONENTIAL, 20, 0, 0},
     .chunks = {GIB(4)},
     .firm = SPREAD,
     .firm_load = 0.08,
     .firm_hold = {SHAPE_EXPONENTIAL, 60, 0, 300},
     .bursts = 6},
    {.name = "published",
     .about =
         "batch tasks as published of Alibaba's and Google's clusters: lognormal, median 31 s, 99th percentile 1003 s; "
         "pools' sizes by Zipf's law, chunks of 1 to 8 GiB; firm requests of 4 to 24 GiB on one host",
     .task = {SHAPE_LOGNORMAL, 31, 1.5, 3600},
     .chunks = {GIB(1), GIB(2), GIB(4), GIB(8)},
     .zipf = true,
     .firm = {{GIB(4), 1, 2, true}, {GIB(8), 1, 2, true}, {GIB(12), 1, 2, true}},
     .firm_load = 0.10,
     .firm_hold = {SHAPE_EXPONENTIAL, 120, 0, 600},
     .hosts_matter = true},
};

size_t workload_count(void)
{
    return sizeof workloads / sizeof *workloads;
}

const workload *workload_at(size_t i)
{
    return &workloads[i];
}

const workload *workload_find(const char *name)
{
    for (size_t i = 0; i < workload_count(); i++)
        if (strcmp(workloads[i].name, name) == 0)
            return &workloads[i];
    return NULL;
}

static double seconds(const shape *s, rng *dice)
{
    switch (s->kind) {
    case SHAPE_EQUAL:
        return s->mean;
    case SHAPE_EXPONENTIAL:
        return rng_exponential(dice, s->mean);
    case SHAPE_PARETO: /* least such that the mean is as told: least * alpha / (alpha - 1) */
        return s->mean * (s->tail - 1) / s->tail * pow(1 - rng_unit(dice), -1 / s->tail);
    case SHAPE_LOGNORMAL:
        return rng_lognormal(dice, s->mean, s->tail);
    }
    return 0;
}

ms_t shape_throw(const shape *s, rng *dice)
{
    double v = seconds(s, dice);
    if (s->most > 0 && v > s->most)
        v = s->most;
    ms_t ms = (ms_t)(v * 1000);
    return ms ? ms : 1;
}

ms_t workload_task(const workload *w, uint64_t seed, uint32_t pool, uint64_t k)
{
    rng dice = rng_named(seed, "task", (uint64_t)pool << 36 | k);
    return shape_throw(&w->task, &dice);
}

static size_t firm_sizes(const workload *w)
{
    size_t n = 0;
    while (n < SIZES_MAX && w->firm[n].chunk_size)
        n++;
    return n;
}

double workload_firm_bytes(const workload *w)
{
    size_t n = firm_sizes(w);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)w->firm[i].chunk_size * (w->firm[i].least + w->firm[i].most) / 2;
    return sum / (double)n;
}

firm_request workload_firm(const workload *w, uint64_t seed, uint32_t hosts, uint64_t i, ms_t before)
{
    rng dice = rng_named(seed, "firm", i);
    double together = w->firm_load * (double)hosts * (double)HOST_BYTES / workload_firm_bytes(w);
    double between = w->firm_hold.mean * 1000 / together; /* ms: Little's law */
    const firm_size *size = &w->firm[rng_below(&dice, firm_sizes(w))];
    firm_request r = {
        .chunk_size = size->chunk_size,
        .chunks = (chunks_t)rng_between(&dice, size->least, size->most),
        .one_host = size->one_host,
        .hold = shape_throw(&w->firm_hold, &dice),
        .at = before + (ms_t)rng_exponential(&dice, between),
    };
    return r;
}
