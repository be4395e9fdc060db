#include "daemon/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "base/status.h"
#include "daemon/quantity.h"

#define WHY_MAX 256u

const char options_help[] =
    "Usage: granaryd [options]\n"
    "Starts Granary for this machine: the broker and its agent. `granary up` does the same.\n"
    "\n"
    "  --memory SIZE      lease at most this much of the machine (700M, 1.5G)\n"
    "  --set-aside SIZE   of it, keep this much for everything else\n"
    "  --state DIR        where the books are kept\n"
    "  --socket PATH      where clients connect\n"
    "  --config FILE      configuration; default /etc/granary/granary.conf, if it exists\n"
    "  --user-instance    an ordinary user's own broker: ends when it has been idle\n"
    "  --ready-fd N       write one byte to descriptor N when clients can be served\n"
    "  --check-config     print the configuration as parsed, and exit\n"
    "  --version, --help\n"
    "\n"
    "Exit status: 0 orderly end, 2 wrong usage or configuration, 3 already running, 4 state directory\n"
    "cannot be used, 5 the journal cannot be written, 1 anything else.\n";

enum {
    OPT_MEMORY = 256,
    OPT_SET_ASIDE,
    OPT_STATE,
    OPT_SOCKET,
    OPT_CONFIG,
    OPT_USER,
    OPT_READY,
    OPT_CHECK,
    OPT_VERSION
};

static const struct option long_options[] = {
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"set-aside", required_argument, NULL, OPT_SET_ASIDE},
    {"state", required_argument, NULL, OPT_STATE},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"user-instance", no_argument, NULL, OPT_USER},
    {"ready-fd", required_argument, NULL, OPT_READY},
    {"check-config", no_argument, NULL, OPT_CHECK},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Takes one option; else STATUS_INVALID with a sentence about its value. */
static int option_take(options *o, int which, const char *value, char *why, size_t why_size)
{
    uint64_t number;
    int r;
    switch (which) {
    case OPT_MEMORY:
        r = size_parse_positive(value, why, why_size, &o->memory);
        if (r == 0 && o->memory < MIB(1)) {
            snprintf(why, why_size, "\"%s\" is less than 1M", value);
            return STATUS_INVALID;
        }
        return r;
    case OPT_SET_ASIDE:
        return size_parse(value, why, why_size, &o->set_aside);
    case OPT_READY:
        r = quantity_count(value, 0, 1u << 20, why, why_size, &number);
        if (r == 0 &&
            number <= STDERR_FILENO) { /* it is closed once it was told, and would be given to something else */
            snprintf(why, why_size, "%s is a standard stream: give the descriptor of a pipe, 3 or above", value);
            return STATUS_INVALID;
        }
        if (r == 0)
            o->ready_fd = (int)number;
        return r;
    case OPT_STATE:
        o->state = value;
        return 0;
    case OPT_SOCKET:
        o->socket = value;
        return 0;
    case OPT_CONFIG:
        o->config = value;
        return 0;
    case OPT_USER:
        o->user_instance = true;
        return 0;
    case OPT_CHECK:
        o->check_config = true;
        return 0;
    case OPT_VERSION:
        o->version = true;
        return 0;
    default:
        o->help = true;
        return 0;
    }
}

/* Quotes what was typed, as it is. */
static int parse(options *o, int argc, char **argv, char *why, size_t why_size)
{
    *o = (options){.set_aside = UINT64_MAX, .ready_fd = -1};
    optind = 0; /* start anew, also in a test */
    opterr = 0;
    int which, index = 0;
    while ((which = getopt_long(argc, argv, ":h", long_options, &index)) != -1) {
        char wrong[SIZE_WHY_MAX];
        if (which == '?' || which == ':') {
            const char *format = which == ':' ? "%s needs a value" : "%s is not an option of granaryd; see --help";
            snprintf(why, why_size, format, argv[optind - 1]);
            return STATUS_INVALID;
        }
        if (option_take(o, which, optarg, wrong, sizeof wrong) < 0) {
            snprintf(why, why_size, "--%s: %s", long_options[index].name, wrong);
            return STATUS_INVALID;
        }
    }
    if (optind < argc) {
        snprintf(why, why_size, "\"%s\" is not understood: granaryd takes options only; see --help", argv[optind]);
        return STATUS_INVALID;
    }
    return 0;
}

int options_parse(options *o, int argc, char **argv, char *why, size_t why_size)
{
    char quoted[WHY_MAX] = "";
    int r = parse(o, argc, argv, quoted, sizeof quoted);
    if (r < 0)
        quantity_clean(why, why_size, quoted);
    return r;
}

/* Is something left to lease? Limits of groups are found by the agent later. */
static int check_memory(const config *c, char *why, size_t why_size)
{
    char aside[SIZE_TEXT_MAX], all[SIZE_TEXT_MAX];
    bytes_t machine = (bytes_t)sysconf(_SC_PHYS_PAGES) * (bytes_t)sysconf(_SC_PAGESIZE);
    bytes_t total = c->memory && c->memory < machine ? c->memory : machine;
    if (c->set_aside == UINT64_MAX || c->set_aside < total)
        return 0;
    snprintf(why, why_size,
             "--set-aside %s keeps all of the memory (%s, %s): nothing would be left to lease; give less",
             size_format(c->set_aside, aside), size_format(total, all),
             total == machine ? "all that this machine has" : "given by --memory");
    return STATUS_INVALID;
}

/* The user's own directory for one purpose: from the environment, else below `fallback`. */
static int path_fill(char *to, size_t size, const char *format, const char *first, const char *second)
{
    int n = snprintf(to, size, format, first, second);
    return n < 0 || (size_t)n >= size ? STATUS_INVALID : 0;
}

static int default_state(char *to, size_t size, bool system)
{
    const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");
    if (system)
        return path_fill(to, size, "%s%s", "/var/lib/granary", "");
    if (state && *state == '/')
        return path_fill(to, size, "%s/%s", state, "granary");
    if (home && *home == '/')
        return path_fill(to, size, "%s/%s", home, ".local/state/granary");
    return STATUS_INVALID;
}

static int default_socket(char *to, size_t size, bool system)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (system)
        return path_fill(to, size, "%s%s", "/run/granary/granary.sock", "");
    if (runtime && *runtime == '/')
        return path_fill(to, size, "%s/%s", runtime, "granary/granary.sock");
    char uid[16];
    snprintf(uid, sizeof uid, "%u", (unsigned)getuid());
    return path_fill(to, size, "/tmp/granary-%s/%s", uid, "granary.sock");
}

/* Absolute, because the supervisor's children are told the path and a person looks for it later. */
static int path_given(char *to, size_t size, const char *given)
{
    char here[PATH_MAX];
    if (*given == '/')
        return path_fill(to, size, "%s%s", given, "");
    if (!getcwd(here, sizeof here))
        return STATUS_INVALID;
    return path_fill(to, size, "%s/%s", here, given);
}

int options_apply(const options *o, config *c, bool system, char *why, size_t why_size)
{
    int r = 0;
    if (o->memory)
        c->memory = o->memory;
    if (o->set_aside != UINT64_MAX)
        c->set_aside = o->set_aside;
    if (check_memory(c, why, why_size) < 0)
        return STATUS_INVALID;
    if (o->state)
        r = path_given(c->state, sizeof c->state, o->state);
    else if (!*c->state)
        r = default_state(c->state, sizeof c->state, system);
    if (r < 0 || *c->state != '/') {
        snprintf(why, why_size, "no place for the state directory: give --state DIR, or set HOME to an absolute path");
        return STATUS_INVALID;
    }
    if (o->socket)
        r = path_given(c->socket, sizeof c->socket, o->socket);
    else if (!*c->socket)
        r = default_socket(c->socket, sizeof c->socket, system);
    if (r < 0 || *c->socket != '/') {
        snprintf(why, why_size, "the socket needs an absolute path: give --socket PATH");
        return STATUS_INVALID;
    }
    return 0;
}

const char *options_config_path(const options *o, bool system, char *to, size_t size)
{
    if (o->config)
        return o->config;
    const char *home = getenv("HOME"), *dir = getenv("XDG_CONFIG_HOME");
    if (system)
        snprintf(to, size, "/etc/granary/granary.conf");
    else if (dir && *dir == '/')
        snprintf(to, size, "%s/granary/granary.conf", dir);
    else
        snprintf(to, size, "%s/.config/granary/granary.conf", home ? home : "");
    return access(to, F_OK) == 0 ? to : "";
}
