/*
 * granary-sim - a whole Granary in one process, under virtual time and one seed.
 *
 *   granary-sim run [--seed N] [OPTION]...           one run; --trace tells what happens
 *   granary-sim seeds [--first N] [--count N] [OPTION]...   many, as many at once as there are processors
 *
 * Each seed of `seeds` is a process of its own: one that dies of an assertion is a finding like any other.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "number.h"
#include "sim.h"
#include "study.h"

enum { EXIT_WRONG = 1, EXIT_USAGE = 2 };

typedef struct {
    sim_plan plan;
    uint64_t first, count, jobs;
    uint64_t *seeds; /* of --file, or NULL: first, first + 1, ... */
    bool trace, stop;
} options;

static const char usage[] =
    "Usage: granary-sim run [--seed N] [--trace] [OPTION]...\n"
    "       granary-sim seeds [--first N] [--count N] [--jobs N] [OPTION]...\n"
    "       granary-sim study [OPTION]...    compares the ways of giving back; study --help tells more\n"
    "       granary-sim scale [OPTION]...    what a decision takes in large fleets; scale --help tells more\n"
    "\n"
    "Plays brokers, agents and clients under virtual time, with faults thrown by the seed, and judges every step.\n"
    "The same seed and options are the same run.\n"
    "\n"
    "  --seed N, --first N   the (first) seed; default 1\n"
    "  --count N             how many seeds; default 100\n"
    "  --file FILE           the seeds that lie in this file, one a line; '#' begins a comment\n"
    "  --jobs N              how many at once; default: the processors\n"
    "  --stop                end at the first seed that finds something\n"
    "  --hosts N             machines, 1 to 16; default: thrown\n"
    "  --clients N           clients, 1 to 48; default: thrown\n"
    "  --seconds N           of virtual time in which new things happen, 1 to 86400; default 60\n"
    "  --no-faults           nothing goes wrong\n"
    "  --no-liars            all clients keep the rules\n"
    "  --no-check            the core does not check itself: the judges are alone\n"
    "  --trace               write down what happens, on standard output\n"
    "\n"
    "Exit status: 0 all is well, 1 a judge found something wrong, 2 the command line is.\n";

static void __attribute__((noreturn)) complain(const char *format, const char *what)
{
    fprintf(stderr, "granary-sim: ");
    fprintf(stderr, format, what);
    fprintf(stderr, "\nTry: granary-sim --help\n");
    exit(EXIT_USAGE);
}

static void read_seeds(options *o, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "granary-sim: cannot read '%s': %s\n", path, strerror(errno));
        exit(EXIT_USAGE);
    }
    char line[256], word[64];
    o->count = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s", word) != 1 || *word == '#')
            continue;
        o->seeds = sim_grow(o->seeds, (o->count + 1) * sizeof *o->seeds);
        o->seeds[o->count++] = number("file", word, 0, UINT64_MAX);
    }
    fclose(f);
    if (o->count == 0)
        complain("there is no seed in '%s'", path);
}

enum {
    SEED,
    FIRST,
    COUNT,
    SEEDS_FILE,
    JOBS,
    HOSTS,
    CLIENTS,
    SECONDS,
    NO_FAULTS,
    NO_LIARS,
    NO_CHECK,
    TRACE,
    STOP,
    HELP
};
static const struct option names[] = {{"seed", required_argument, NULL, SEED},
                                      {"first", required_argument, NULL, FIRST},
                                      {"count", required_argument, NULL, COUNT},
                                      {"file", required_argument, NULL, SEEDS_FILE},
                                      {"jobs", required_argument, NULL, JOBS},
                                      {"hosts", required_argument, NULL, HOSTS},
                                      {"clients", required_argument, NULL, CLIENTS},
                                      {"seconds", required_argument, NULL, SECONDS},
                                      {"no-faults", no_argument, NULL, NO_FAULTS},
                                      {"no-liars", no_argument, NULL, NO_LIARS},
                                      {"no-check", no_argument, NULL, NO_CHECK},
                                      {"trace", no_argument, NULL, TRACE},
                                      {"stop", no_argument, NULL, STOP},
                                      {"help", no_argument, NULL, HELP},
                                      {NULL, 0, NULL, 0}};

/* What one option says. False: there is none like it. */
static bool take(options *o, int c, const char *name)
{
    switch (c) {
    case SEED:
    case FIRST:
        o->plan.seed = o->first = number(name, optarg, 0, UINT64_MAX);
        break;
    case COUNT:
        o->count = number(name, optarg, 1, UINT32_MAX);
        break;
    case SEEDS_FILE:
        read_seeds(o, optarg);
        break;
    case JOBS:
        o->jobs = number(name, optarg, 1, 1024);
        break;
    case HOSTS:
        o->plan.hosts = (uint32_t)number(name, optarg, 1, SIM_HOSTS);
        break;
    case CLIENTS:
        o->plan.clients = (uint32_t)number(name, optarg, 1, SIM_CLIENTS);
        break;
    case SECONDS:
        o->plan.busy = US_OF_MS(number(name, optarg, 1, 86400) * 1000);
        break;
    case NO_FAULTS:
        o->plan.faults = false;
        break;
    case NO_LIARS:
        o->plan.liars = false;
        break;
    case NO_CHECK:
        o->plan.unchecked = true;
        break;
    case TRACE:
        o->trace = true;
        break;
    case STOP:
        o->stop = true;
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        return false;
    }
    return true;
}

static options parse(int argc, char **argv)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    options o = {.plan = {.seed = 1, .faults = true, .liars = true, .busy = US_OF_MS(60000), .quiet = US_OF_MS(240000)},
                 .first = 1,
                 .count = 100,
                 .jobs = processors > 0 ? (uint64_t)processors : 1};
    for (int c, index; (c = getopt_long(argc, argv, "", names, &index)) != -1;)
        if (c == '?' || !take(&o, c, names[index].name)) {
            fprintf(stderr, "Try: granary-sim --help\n");
            exit(EXIT_USAGE);
        }
    if (optind < argc)
        complain("'%s' is not understood here", argv[optind]);
    return o;
}

/* The command that plays this seed again. */
static void tell_replay(const options *o, uint64_t seed)
{
    printf("replay: granary-sim run --seed %" PRIu64, seed);
    if (o->plan.hosts)
        printf(" --hosts %u", o->plan.hosts);
    if (o->plan.clients)
        printf(" --clients %u", o->plan.clients);
    printf(" --seconds %llu%s%s%s --trace\n", (unsigned long long)(o->plan.busy / 1000000),
           o->plan.faults ? "" : " --no-faults", o->plan.liars ? "" : " --no-liars",
           o->plan.unchecked ? " --no-check" : "");
}

static int run_one(const options *o)
{
    sim_plan plan = o->plan;
    plan.trace = o->trace ? stdout : NULL;
    sim_outcome r = sim_run(&plan);
    printf("seed %" PRIu64 ": %" PRIu64 " events, %" PRIu64 " messages, %" PRIu64 " steps, %llu s, hash %016" PRIx64
           "\n",
           plan.seed, r.events, r.messages, r.steps, (unsigned long long)(r.ended / 1000000), r.hash);
    if (r.ok)
        return 0;
    printf("seed %" PRIu64 ": WRONG: %s\n", plan.seed, r.wrong);
    if (!o->trace)
        tell_replay(o, plan.seed);
    return EXIT_WRONG;
}

/* ---- many ---- */

typedef struct {
    pid_t pid;
    int from;
    uint64_t seed;
} worker;

static void start(worker *w, const options *o, uint64_t seed)
{
    int fds[2];
    fflush(stdout);
    if (pipe(fds) < 0 || (w->pid = fork()) < 0) {
        fprintf(stderr, "granary-sim: cannot start a run: %s\n", strerror(errno));
        exit(EXIT_WRONG);
    }
    if (w->pid == 0) {
        sim_plan plan = o->plan;
        plan.seed = seed;
        sim_outcome r = sim_run(&plan);
        _Static_assert(sizeof r <= 4096, "one write is all or nothing");
        bool sent = write(fds[1], &r, sizeof r) == (ssize_t)sizeof r;
        exit(sent ? 0 : EXIT_WRONG); /* not _exit(): leaks are looked for */
    }
    close(fds[1]);
    w->from = fds[0];
    w->seed = seed;
}

/* True when all was well. */
static bool finish(worker *w, const options *o, sim_outcome *sum)
{
    sim_outcome r;
    int status;
    bool told = read(w->from, &r, sizeof r) == (ssize_t)sizeof r;
    close(w->from);
    if (waitpid(w->pid, &status, 0) < 0)
        status = -1;
    if (told) {
        sum->events += r.events;
        sum->messages += r.messages;
        sum->steps += r.steps;
    }
    if (told && r.ok && status == 0)
        return true;
    if (told && !r.ok)
        printf("seed %" PRIu64 ": WRONG: %s\n", w->seed, r.wrong);
    else if (WIFSIGNALED(status))
        printf("seed %" PRIu64 ": WRONG: the run died of signal %d\n", w->seed, WTERMSIG(status));
    else
        printf("seed %" PRIu64 ": WRONG: the run ended with status %d\n", w->seed, WEXITSTATUS(status));
    tell_replay(o, w->seed);
    return false;
}

static int run_many(const options *o)
{
    worker *workers = sim_alloc(o->jobs * sizeof *workers);
    sim_outcome sum = {0};
    uint64_t wrong = 0, begun = 0, ended = 0;
    /* In turn: what is printed has the order of the seeds. */
    while (ended < begun || (ended < o->count && !(wrong && o->stop))) {
        while (begun < o->count && !(wrong && o->stop) && begun - ended < o->jobs) {
            start(&workers[begun % o->jobs], o, o->seeds ? o->seeds[begun] : o->first + begun);
            begun++;
        }
        wrong += !finish(&workers[ended % o->jobs], o, &sum);
        ended++;
    }
    free(workers);
    free(o->seeds);
    printf("%" PRIu64 " seeds, %" PRIu64 " wrong; %" PRIu64 " events, %" PRIu64 " messages, %" PRIu64 " steps\n", ended,
           wrong, sum.events, sum.messages, sum.steps);
    return wrong ? EXIT_WRONG : 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        complain("%s", "a command is missing: run, seeds, study or scale");
    const char *command = argv[1];
    if (strcmp(command, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(command, "study") == 0)
        return study_main(argc - 1, argv + 1);
    if (strcmp(command, "scale") == 0)
        return scale_main(argc - 1, argv + 1);
    bool one = strcmp(command, "run") == 0;
    if (!one && strcmp(command, "seeds") != 0)
        complain("'%s' is no command of it", command);
    options o = parse(argc - 1, argv + 1);
    return one ? run_one(&o) : run_many(&o);
}
