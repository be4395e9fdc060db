/*
 * study.c - granary-sim study: all ways on all workloads, in tables and plots.
 *
 * Each run is a process of its own, as many at once as asked for; results come in the order of the plan. The same seed
 * gives the same tables, but for the time that the broker took, which has tables of its own.
 */
#include "number.h"
#include "study.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_WRONG = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: granary-sim study [--hosts N] [--workload W] [--policy P] [--seed N] [--out DIR] [--jobs N] [--quick]\n"
    "\n"
    "Runs the ways of giving memory back on the same seeded workloads, and compares them. Without options: all ways, "
    "all\n"
    "workloads, 10 and 1000 hosts, and two workloads on 100000.\n"
    "\n"
    "  --hosts N      only on so many hosts, 1 to 100000\n"
    "  --workload W   only this one\n"
    "  --policy P     only this way\n"
    "  --seed N       default 1\n"
    "  --seconds N    measured, of virtual time; default: 14400 on up to 100 hosts, 240 on up to 5000, else 10\n"
    "  --out DIR      write tables (Markdown) and plots (SVG) there, not the tables to standard output\n"
    "  --jobs N       runs at once; default 2\n"
    "  --quick        10 hosts, half an hour of virtual time, each run twice: checks that both are the same, and the "
    "goals\n"
    "  --trace        of one run: what is decided, on standard error\n"
    "\n"
    "Exit status: 0 done, 1 a goal was missed (--quick) or a run failed, 2 the command line is wrong.\n";

typedef struct {
    uint32_t hosts; /* 0 = the usual */
    const workload *work;
    study_way way;
    uint64_t seed, jobs, seconds;
    const char *out;
    bool quick, trace;
} options;

static const struct {
    const char *name, *about;
} ways[WAYS] = {
    [WAY_1] = {"1", "the broker picks: the client answers a recall by `release_n`, with what is busy"},
    [WAY_2] = {"2", "the client picks: it gives the next task's chunk that ends where the recall accepts it"},
    [WAY_2_ANY] = {"2-anywhere", "the client picks alone: it gives whatever ends next, wherever that is"},
    [WAY_2A] = {"2a", "the client picks alone, on the host where it holds fewest chunks"},
    [WAY_3] = {"3", "negotiated by the library, which estimates from ended tasks"},
    [WAY_3_TOLD] = {"3-told", "the same, and the program tells when each task will end"},
    [WAY_KILL] = {"kill-newest", "the newest started tasks are killed at once, and done again"},
    [WAY_STATIC] = {"static",
                    "nothing is given back: pools are sized once, room is kept for twice the mean firm demand"},
};

const char *way_name(study_way way)
{
    return ways[way].name;
}

const char *way_about(study_way way)
{
    return ways[way].about;
}

study_way way_find(const char *name)
{
    unsigned i = 0;
    while (i < WAYS && strcmp(ways[i].name, name) != 0)
        i++;
    return (study_way)i;
}

/* ---- the command line ---- */

static void __attribute__((noreturn)) refuse_name(const char *what, const char *name)
{
    fprintf(stderr, "granary-sim: there is no %s '%s'; there are:", what, name);
    if (strcmp(what, "workload") == 0)
        for (size_t i = 0; i < workload_count(); i++)
            fprintf(stderr, " %s", workload_at(i)->name);
    else
        for (unsigned i = 0; i < WAYS; i++)
            fprintf(stderr, " %s", ways[i].name);
    fprintf(stderr, "\n");
    exit(EXIT_USAGE);
}

static options parse(int argc, char **argv)
{
    enum { HOSTS, WORKLOAD, POLICY, SEED, SECONDS, OUT, JOBS, QUICK, TRACE, HELP };
    static const struct option names[] = {{"hosts", required_argument, NULL, HOSTS},
                                          {"workload", required_argument, NULL, WORKLOAD},
                                          {"policy", required_argument, NULL, POLICY},
                                          {"seed", required_argument, NULL, SEED},
                                          {"seconds", required_argument, NULL, SECONDS},
                                          {"out", required_argument, NULL, OUT},
                                          {"jobs", required_argument, NULL, JOBS},
                                          {"quick", no_argument, NULL, QUICK},
                                          {"trace", no_argument, NULL, TRACE},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    options o = {.way = WAYS, .seed = 1, .jobs = 2};
    for (int c, index; (c = getopt_long(argc, argv, "", names, &index)) != -1;) {
        switch (c) {
        case HOSTS:
            o.hosts = (uint32_t)number("hosts", optarg, 1, 100000);
            break;
        case WORKLOAD:
            o.work = workload_find(optarg);
            if (!o.work)
                refuse_name("workload", optarg);
            break;
        case POLICY:
            o.way = way_find(optarg);
            if (o.way == WAYS)
                refuse_name("policy", optarg);
            break;
        case SEED:
            o.seed = number("seed", optarg, 0, UINT64_MAX);
            break;
        case SECONDS:
            o.seconds = number("seconds", optarg, 1, 86400);
            break;
        case OUT:
            o.out = optarg;
            break;
        case JOBS:
            o.jobs = number("jobs", optarg, 1, 64);
            break;
        case QUICK:
            o.quick = true;
            break;
        case TRACE:
            o.trace = true;
            break;
        case HELP:
            fputs(usage, stdout);
            exit(0);
        default:
            fprintf(stderr, "Try: granary-sim study --help\n");
            exit(EXIT_USAGE);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "granary-sim: '%s' is not understood here\nTry: granary-sim study --help\n", argv[optind]);
        exit(EXIT_USAGE);
    }
    return o;
}

/* ---- the plan ---- */

static run_plan plan_for(const options *o, const workload *work, study_way way, uint32_t hosts)
{
    ms_t seconds = hosts <= 100 ? 14400 : hosts <= 5000 ? 240 : 10;
    if (o->quick)
        seconds = 1800;
    if (o->seconds)
        seconds = o->seconds;
    return (run_plan){.work = work,
                      .way = way,
                      .hosts = hosts,
                      .seed = o->seed,
                      .warm = hosts <= 100    ? 150000
                              : hosts <= 5000 ? 90000
                                              : 30000,
                      .span = seconds * 1000,
                      .tail = hosts <= 5000 ? 600000 : 60000,
                      .sample_ms = hosts <= 5000 ? 1000 : 10000,
                      .bound = hosts <= 100,
                      .trace = o->trace ? stderr : NULL};
}

static size_t plan_all(const options *o, run_plan *plans, size_t room)
{
    static const uint32_t sizes[] = {10, 1000, 100000};
    size_t n = 0;
    for (int s = 0; s < 3; s++) {
        uint32_t hosts = o->hosts ? o->hosts : sizes[s];
        if ((o->hosts && s > 0) || (o->quick && s > 0 && !o->hosts))
            break;
        for (size_t i = 0; i < workload_count(); i++) {
            const workload *work = workload_at(i);
            bool large = strcmp(work->name, "equal") == 0 || strcmp(work->name, "one-host") == 0;
            if (o->work ? work != o->work : !o->hosts && hosts > 1000 && !large)
                continue;
            for (unsigned way = 0; way < WAYS && n < room; way++)
                if (o->way == WAYS || o->way == way)
                    plans[n++] = plan_for(o, work, (study_way)way, hosts);
        }
    }
    return n;
}

/* ---- runs ---- */

typedef struct {
    pid_t pid;
    int from;
} worker;

static void worker_start(worker *k, const run_plan *plan)
{
    int fds[2];
    fflush(NULL);
    if (pipe(fds) < 0 || (k->pid = fork()) < 0) {
        fprintf(stderr, "granary-sim: cannot start a run: %s\n", strerror(errno));
        exit(EXIT_WRONG);
    }
    if (k->pid == 0) {
        run_result r = study_run(plan);
        _Static_assert(sizeof r <= 4096, "one write is all or nothing");
        exit(write(fds[1], &r, sizeof r) == (ssize_t)sizeof r ? 0 : EXIT_WRONG);
    }
    close(fds[1]);
    k->from = fds[0];
}

static bool worker_finish(worker *k, const run_plan *plan, run_result *ret)
{
    int status = 0;
    bool told = read(k->from, ret, sizeof *ret) == (ssize_t)sizeof *ret;
    close(k->from);
    if (waitpid(k->pid, &status, 0) == k->pid && told && status == 0)
        return true;
    fprintf(stderr, "granary-sim: the run of way %s on %s with %u hosts failed (status %d)\n", way_name(plan->way),
            plan->work->name, plan->hosts, status);
    return false;
}

/* Returns how many have results: those whose run failed are left out. */
static size_t run_all(const options *o, const run_plan *plans, size_t n, run_result *results)
{
    worker workers[64];
    size_t begun = 0, ended = 0, good = 0;
    for (; ended < n; ended++) {
        for (; begun < n && begun - ended < o->jobs; begun++)
            worker_start(&workers[begun % o->jobs], &plans[begun]);
        if (worker_finish(&workers[ended % o->jobs], &plans[ended], &results[good]))
            good++;
        if (!o->quick)
            fprintf(stderr, "%zu of %zu: %s, %u hosts, way %s\n", ended + 1, n, plans[ended].work->name,
                    plans[ended].hosts, way_name(plans[ended].way));
    }
    return good;
}

/* ---- what comes of it ---- */

static FILE *open_in(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "granary-sim: cannot write '%s': %s\n", path, strerror(errno));
        exit(EXIT_WRONG);
    }
    return f;
}

static void close_out(FILE *f, const char *name)
{
    bool bad = ferror(f);
    if (fclose(f) != 0 || bad) {
        fprintf(stderr, "granary-sim: cannot write %s: %s\n", name, strerror(errno));
        exit(EXIT_WRONG);
    }
}

static void write_out(const char *folder, const run_result *r, size_t n)
{
    static const struct {
        plot_kind kind;
        const char *name;
    } plots[] = {{PLOT_WAIT, "wait"}, {PLOT_USE, "use"}, {PLOT_LOST, "lost"}};
    if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
        fprintf(stderr, "granary-sim: cannot make the folder '%s': %s\n", folder, strerror(errno));
        exit(EXIT_USAGE);
    }
    FILE *f = open_in(folder, "study-tables.md");
    tables_write(f, r, n);
    close_out(f, "study-tables.md");
    f = open_in(folder, "study-cpu.md");
    tables_write_cpu(f, r, n);
    close_out(f, "study-cpu.md");
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && r[i].hosts == r[i - 1].hosts)
            continue;
        for (size_t k = 0; k < sizeof plots / sizeof *plots; k++) {
            char name[64];
            snprintf(name, sizeof name, "study-%s-%u.svg", plots[k].name, r[i].hosts);
            f = open_in(folder, name);
            plot_write(f, r, n, r[i].hosts, plots[k].kind);
            close_out(f, name);
        }
    }
}

static char *table_text(const run_result *r, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        exit(EXIT_WRONG);
    tables_write(f, r, n);
    fclose(f);
    return text;
}

static const run_result *of_way(const run_result *r, size_t n, const char *work, study_way way)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(r[i].work, work) == 0 && r[i].way == way)
            return &r[i];
    return NULL;
}

static int __attribute__((format(printf, 1, 2))) miss(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("missed: ", stdout);
    vprintf(format, args);
    va_end(args);
    return 1;
}

/*
 * The goals that hold at this size, where a percentile is of some tens of requests. Of one run of way 3: returns how
 * many it missed, beside way 2 (NULL: not run).
 */
static int goals_missed(const run_result *r, const run_result *two)
{
    const char *way = way_name((study_way)r->way);
    const workload *work = workload_find(r->work);
    int missed = 0;
    if (r->killed)
        missed += miss("%s: way %s lost %" PRIu64 " tasks\n", r->work, way, r->killed);
    if (r->served < r->firm)
        missed += miss("%s: way %s served %" PRIu64 " of %" PRIu64 "\n", r->work, way, r->served, r->firm);
    if (r->in_tasks < 0.95)
        missed += miss("%s: way %s used %.1f %% of the memory\n", r->work, way, r->in_tasks * 100);
    if (two && r->wait_mean > two->wait_mean * 1.15)
        missed +=
            miss("%s: way %s waits %.1f s, way 2 %.1f s\n", r->work, way, r->wait_mean / 1000, two->wait_mean / 1000);
    if (two && r->way == WAY_3_TOLD && work->hosts_matter && r->wait_mean * 1.5 > two->wait_mean)
        missed += miss("%s: way %s waits %.1f s, more than two thirds of way 2's %.1f s\n", r->work, way,
                       r->wait_mean / 1000, two->wait_mean / 1000);
    return missed;
}

static int all_missed(const run_result *r, size_t n)
{
    int missed = 0;
    for (size_t i = 0; i < n; i++)
        if (r[i].way == WAY_3 || r[i].way == WAY_3_TOLD)
            missed += goals_missed(&r[i], of_way(r, n, r[i].work, WAY_2));
    return missed;
}

static int quick(const options *o, const run_plan *plans, size_t n, const run_result *first)
{
    run_result *second = calloc(n, sizeof *second);
    if (!second)
        return EXIT_WRONG;
    if (run_all(o, plans, n, second) != n)
        return EXIT_WRONG;
    char *a = table_text(first, n), *b = table_text(second, n);
    bool same = strcmp(a, b) == 0;
    int missed = all_missed(first, n);
    fputs(a, stdout);
    printf("\n%s; %d goals missed\n", same ? "both times the same" : "NOT THE SAME when run again", missed);
    free(a);
    free(b);
    free(second);
    return same && missed == 0 ? 0 : EXIT_WRONG;
}

int study_main(int argc, char **argv)
{
    enum { RUNS_MAX = 3 * WAYS * 16 };
    options o = parse(argc, argv);
    static run_plan plans[RUNS_MAX];
    static run_result results[RUNS_MAX];
    size_t n = plan_all(&o, plans, RUNS_MAX);
    size_t good = run_all(&o, plans, n, results);
    if (o.quick)
        return good == n ? quick(&o, plans, n, results) : EXIT_WRONG;
    if (o.out) {
        write_out(o.out, results, good);
    } else {
        tables_write(stdout, results, good);
        tables_write_cpu(stdout, results, good);
    }
    return good == n ? 0 : EXIT_WRONG;
}
