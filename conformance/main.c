/*
 * main.c - granary-conformance: plays the broker for a client program, case by case.
 *
 * Under the name in GRANARY_KIT_TASK it is a task (task.h).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/status.h"
#include "cases.h"

enum { EXIT_HELD = 0, EXIT_BROKEN = 1, EXIT_USAGE = 2, EXIT_KIT = 3 };

#define SAID_BYTES   400
#define FOLDER_BYTES 92 /* a socket in it has a name that fits an address */
#define TMPDIR_MAX   (FOLDER_BYTES - sizeof "/granary-kit-XXXXXX")

static char self[300];

static void say_error(const char *what)
{
    fprintf(stderr, "granary-conformance: %s\n", what);
}

static int list_cases(void)
{
    const script *x;
    for (size_t i = 0; (x = script_at(i)); i++)
        printf("%-22s %s\n", x->name, x->sentence);
    printf("%-22s %s\n", "random", "scripts from seeds: see --seed and --rounds");
    return EXIT_HELD;
}

static int list_rules(void)
{
    for (rule_id id = 0; id < RULES; id++)
        printf("%-18s %-6s %-29s %s\n", rule_of(id)->name, rule_level_name(rule_of(id)->level), rule_of(id)->where,
               rule_of(id)->sentence);
    return EXIT_HELD;
}

static void folder_remove(const char *folder)
{
    static const char *const files[] = {"socket", "board", "log", TASK_NAME};
    char path[300];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* Plays one script, or the random one of `seed`. EXIT_HELD (whatever was found), EXIT_USAGE, EXIT_KIT. */
static int play(const options *o, tally *t, const script *x, uint64_t seed)
{
    static stage s; /* large */
    char folder[FOLDER_BYTES], name[64], again[96], said[SAID_BYTES];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/granary-kit-XXXXXX", base && strlen(base) <= TMPDIR_MAX ? base : "/tmp");
    if (!mkdtemp(folder) || stage_open(&s, o, self, folder) < 0) {
        perror("granary-conformance: a private folder with its sockets");
        return EXIT_KIT;
    }
    if (x) {
        snprintf(name, sizeof name, "%s", x->name);
        snprintf(again, sizeof again, "--only %s", x->name);
    } else {
        snprintf(name, sizeof name, "random-%llu", (unsigned long long)seed);
        snprintf(again, sizeof again, "--seed %llu", (unsigned long long)seed);
    }
    if (o->verbose)
        fprintf(stderr, "%s\n", name);
    s.end = x ? x->end : END_DONE;
    if (x)
        s.setup = x->setup;
    else
        random_setup(seed, &s.setup);
    if (x)
        x->play(&s);
    else
        random_play(&s, seed);
    bool started = s.subject.pid > 0;
    if (started) {
        stage_finish(&s);
        subject_said(&s.subject, said, sizeof said);
        tally_add(t, name, &s.report, again, said);
    } else {
        fprintf(stderr, "granary-conformance: '%s' cannot be started: %s\n", o->command[0], strerror(errno));
    }
    stage_close(&s);
    folder_remove(folder);
    return started ? EXIT_HELD : EXIT_USAGE;
}

static bool wanted(const options *o, const char *name)
{
    for (size_t i = 0; i < o->n_only; i++)
        if (strcmp(o->only[i], name) == 0)
            return true;
    return o->n_only == 0;
}

static int play_all(const options *o, tally *t)
{
    const script *x;
    int r = EXIT_HELD;
    for (size_t i = 0; !o->seeded && r == EXIT_HELD && (x = script_at(i)); i++)
        if (wanted(o, x->name))
            r = play(o, t, x, 0);
    for (uint64_t n = 0; n < o->rounds && r == EXIT_HELD && wanted(o, "random"); n++)
        r = play(o, t, NULL, o->seed + n);
    return r;
}

static int check_names(const options *o)
{
    for (size_t i = 0; i < o->n_only; i++)
        if (strcmp(o->only[i], "random") != 0 && !script_find(o->only[i])) {
            fprintf(stderr, "granary-conformance: no case is called '%s': see --list\n", o->only[i]);
            return EXIT_USAGE;
        }
    return EXIT_HELD;
}

int main(int argc, char **argv)
{
    options o;
    char why[200];
    const char *slash = strrchr(argv[0], '/');
    if (strcmp(slash ? slash + 1 : argv[0], TASK_NAME) == 0)
        _exit(task_main(argv[1])); /* there are thousands: nothing is to be cleared up */
    if (options_parse(&o, argc, argv, why, sizeof why) < 0) {
        say_error(why);
        return EXIT_USAGE;
    }
    if (o.help)
        return fputs(options_help, stdout) < 0 ? EXIT_KIT : EXIT_HELD;
    if (o.version)
        return printf("granary-conformance 0.1.0\n") < 0 ? EXIT_KIT : EXIT_HELD;
    if (o.list)
        return list_cases();
    if (o.rules)
        return list_rules();
    if (check_names(&o) != EXIT_HELD)
        return EXIT_USAGE;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    tally *t = tally_create(o.json, o.strict);
    if (n <= 0 || !t) {
        say_error("no memory, or no /proc");
        return EXIT_KIT;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int r = play_all(&o, t);
    if (r == EXIT_HELD && !tally_end(t))
        r = EXIT_BROKEN;
    tally_destroy(t);
    return r;
}
