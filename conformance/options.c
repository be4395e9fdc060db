/* options.c - reading the command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

#define ROUNDS_DEFAULT 5
#define ROUNDS_MAX     1000000u
#define WAIT_DEFAULT_S 10
#define WAIT_MAX_S     600

const char options_help[] =
    "Usage: granary-conformance [options] -- CLIENT-PROGRAM [ARGUMENT...]\n"
    "Plays the broker for a client program, once for each case, with lost, late, repeated, reordered and withdrawn\n"
    "messages and restarts, and says which rule of the protocol the client broke.\n"
    "\n"
    "  --only CASE      this case alone; may be given again\n"
    "  --seed N         random scripts alone, from this seed on\n"
    "  --rounds N       so many random scripts; 5, with --seed 1\n"
    "  --strict         what a client SHOULD do counts like what it MUST do\n"
    "  --wait SECONDS   how long the client may take for what is due; 10\n"
    "  --json           the results as one JSON document\n"
    "  --verbose        tell every message, on standard error\n"
    "  --list           the cases, with what each does\n"
    "  --rules          the rules, with where each is written\n"
    "  --version, --help\n"
    "\n"
    "The program finds in its environment what it is to do: GRANARY_SOCKET, GRANARY_KIT_LABEL, GRANARY_KIT_CHUNK,\n"
    "GRANARY_KIT_MIN, GRANARY_KIT_WANT, GRANARY_KIT_TASKS and GRANARY_KIT_TASK: see granary-conformance(1).\n"
    "\n"
    "Exit status: 0 every rule held, 1 one was broken, 2 wrong usage or the program cannot be started, 3 the kit\n"
    "itself failed.\n";

enum {
    OPT_ONLY = 256,
    OPT_SEED,
    OPT_ROUNDS,
    OPT_STRICT,
    OPT_WAIT,
    OPT_JSON,
    OPT_VERBOSE,
    OPT_LIST,
    OPT_RULES,
    OPT_VERSION,
    OPT_HELP
};

static const struct option long_options[] = {
    {"only", required_argument, NULL, OPT_ONLY},     {"seed", required_argument, NULL, OPT_SEED},
    {"rounds", required_argument, NULL, OPT_ROUNDS}, {"strict", no_argument, NULL, OPT_STRICT},
    {"wait", required_argument, NULL, OPT_WAIT},     {"json", no_argument, NULL, OPT_JSON},
    {"verbose", no_argument, NULL, OPT_VERBOSE},     {"list", no_argument, NULL, OPT_LIST},
    {"rules", no_argument, NULL, OPT_RULES},         {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},           {NULL, 0, NULL, 0},
};

static bool number_read(const char *text, uint64_t most, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value > most)
        return false;
    *ret = value;
    return true;
}

static int option_take(options *o, int which, const char *value, char *why, size_t size)
{
    uint64_t seconds;
    switch (which) {
    case OPT_ONLY:
        if (o->n_only == ONLY_MAX)
            return snprintf(why, size, "--only: at most %d cases can be named", ONLY_MAX), STATUS_INVALID;
        o->only[o->n_only++] = value;
        return 0;
    case OPT_SEED:
        o->seeded = true;
        if (number_read(value, UINT64_MAX, &o->seed))
            return 0;
        return snprintf(why, size, "--seed '%s': a seed is a whole number from 0", value), STATUS_INVALID;
    case OPT_ROUNDS:
        if (number_read(value, ROUNDS_MAX, &o->rounds))
            return 0;
        return snprintf(why, size, "--rounds '%s': a whole number up to %u", value, ROUNDS_MAX), STATUS_INVALID;
    case OPT_WAIT:
        if (number_read(value, WAIT_MAX_S, &seconds) && seconds > 0) {
            o->wait_ms = seconds * 1000;
            return 0;
        }
        return snprintf(why, size, "--wait '%s': whole seconds from 1 to %d", value, WAIT_MAX_S), STATUS_INVALID;
    default:
        break;
    }
    o->strict |= which == OPT_STRICT;
    o->json |= which == OPT_JSON;
    o->verbose |= which == OPT_VERBOSE;
    o->list |= which == OPT_LIST;
    o->rules |= which == OPT_RULES;
    o->version |= which == OPT_VERSION;
    o->help |= which == OPT_HELP;
    return 0;
}

int options_parse(options *ret, int argc, char **argv, char *why, size_t size)
{
    options o = {.seed = 1, .rounds = UINT64_MAX, .wait_ms = WAIT_DEFAULT_S * 1000};
    int which;
    opterr = 0;
    while ((which = getopt_long(argc, argv, "+:", long_options, NULL)) != -1) {
        if (which == '?')
            return snprintf(why, size, "unknown option '%s': see --help", argv[optind - 1]), STATUS_INVALID;
        if (which == ':')
            return snprintf(why, size, "%s needs a value: see --help", argv[optind - 1]), STATUS_INVALID;
        int r = option_take(&o, which, optarg, why, size);
        if (r < 0)
            return r;
    }
    bool rounds_given = o.rounds != UINT64_MAX, random = o.n_only == 0;
    for (size_t i = 0; i < o.n_only; i++)
        random |= strcmp(o.only[i], "random") == 0;
    if (!rounds_given)
        o.rounds = o.seeded ? 1 : ROUNDS_DEFAULT;
    o.command = argv + optind;
    bool alone = o.list || o.rules || o.help || o.version;
    if (!alone && !o.command[0])
        return snprintf(why, size, "no client program: give its command line behind --"), STATUS_INVALID;
    if (alone && o.command[0])
        return snprintf(why, size, "'%s': nothing is run with --list, --rules, --help and --version", o.command[0]),
               STATUS_INVALID;
    if (o.seeded && o.n_only > 0)
        return snprintf(why, size, "--seed runs random scripts alone: leave --only out"), STATUS_INVALID;
    if (o.seeded && o.rounds == 0)
        return snprintf(why, size, "--seed with --rounds 0 would run nothing"), STATUS_INVALID;
    if (rounds_given && !random && o.rounds > 0)
        return snprintf(why, size, "--rounds is for random scripts: name the case random, too"), STATUS_INVALID;
    *ret = o;
    return 0;
}
