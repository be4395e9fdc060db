/*
 * study_scale.c - granary-sim scale: what a decision costs, and the books' memory, as the fleet grows.
 *
 * Way 3 on hosts of 40 GiB with chunks of 4 GiB: 100000 hosts hold a million chunks, each in a claim. Every step of the
 * core is timed, with the thread's processor clock.
 */
#include "study.h"
#include "study_world.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "Usage: granary-sim scale [--hosts N]... [--seconds N] [--workload W] [--seed N]\n"
                            "\n"
                            "Runs way 3 and tells the time of each kind of decision, and memory. Default: 1000, 10000 "
                            "and 100000 hosts with ten\n"
                            "chunks each, 10 measured seconds of virtual time, the workload one-host.\n"
                            "\n"
                            "Exit status: 0 done, 2 the command line is wrong.\n";

static const char *const kinds[EVENT_KINDS] = {
    [EVENT_TICK] = "a deadline",
    [EVENT_HOST_SAMPLE] = "a host's sample",
    [EVENT_CLAIM_OPENED] = "a claim was opened",
    [EVENT_CLAIM_ENTERED] = "a task's process entered",
    [EVENT_CLAIM_DRAINED] = "a claim drained",
    [EVENT_ALLOCATE] = "allocate",
    [EVENT_WANT] = "want",
    [EVENT_RELEASE] = "release",
    [EVENT_OFFER] = "offer",
    [EVENT_CLAIM] = "claim",
    [EVENT_ENTER] = "enter",
    [EVENT_CLOSE] = "close",
};

void scale_tell(world *w, uint32_t hosts)
{
    printf("\n## %u hosts, %u claims\n\nBooks: %.0f MiB of arena, %.0f bytes a host. %" PRIu64
           " steps, %.2f s of processor time: %.2f us a step.\n\n"
           "| event | steps | p50 us | p99 us | max us |\n|---|--:|--:|--:|--:|\n",
           hosts, w->n_tasks - w->n_spare, (double)w->arena_bytes / (double)MIB(1), (double)w->arena_bytes / hosts,
           w->sum.steps, (double)w->sum.cpu_ns / 1e9,
           w->sum.steps ? (double)w->sum.cpu_ns / (double)w->sum.steps / 1e3 : 0);
    for (int i = 0; i < EVENT_KINDS; i++) {
        series *s = &w->sum.kinds[i];
        if (s->n == 0)
            continue;
        double p50 = percentile(s->values, s->n, 0.5), p99 = percentile(s->values, s->n, 0.99);
        printf("| %s | %zu | %.1f | %.1f | %.1f |\n", kinds[i] ? kinds[i] : "other", s->n, p50 / 1e3, p99 / 1e3,
               s->values[s->n - 1] / 1e3);
    }
    fflush(stdout);
}

static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-') || v < least || v > most) {
        fprintf(stderr, "granary-sim: --%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'\n", option,
                least, most, text);
        exit(2);
    }
    return v;
}

int scale_main(int argc, char **argv)
{
    enum { HOSTS, SECONDS, WORKLOAD, SEED, HELP };
    static const struct option names[] = {{"hosts", required_argument, NULL, HOSTS},
                                          {"seconds", required_argument, NULL, SECONDS},
                                          {"workload", required_argument, NULL, WORKLOAD},
                                          {"seed", required_argument, NULL, SEED},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    uint32_t sizes[8] = {1000, 10000, 100000}, n = 0;
    run_plan plan = {.way = WAY_3, .seed = 1, .warm = 8000, .span = 10000, .tail = 0, .sample_ms = 10000, .time = true};
    plan.work = workload_find("one-host");
    for (int c, index; (c = getopt_long(argc, argv, "", names, &index)) != -1;) {
        if (c == HOSTS && n < 8) {
            sizes[n++] = (uint32_t)number("hosts", optarg, 1, 100000);
        } else if (c == SECONDS) {
            plan.span = number("seconds", optarg, 1, 3600) * 1000;
        } else if (c == SEED) {
            plan.seed = number("seed", optarg, 0, UINT64_MAX);
        } else if (c == HELP) {
            fputs(usage, stdout);
            return 0;
        } else if (c == WORKLOAD && (plan.work = workload_find(optarg))) {
            continue;
        } else {
            fprintf(stderr, "granary-sim: the command line is not understood\nTry: granary-sim scale --help\n");
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "granary-sim: '%s' is not understood here\nTry: granary-sim scale --help\n", argv[optind]);
        return 2;
    }
    printf("# What a decision takes\n\nMade by `granary-sim scale`: %s; %ju s measured. Not reproducible.\n",
           plan.work->about, (uintmax_t)(plan.span / 1000));
    for (uint32_t i = 0; i < (n ? n : 3); i++) {
        plan.hosts = sizes[i];
        study_run(&plan);
    }
    return 0;
}
