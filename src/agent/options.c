/*
 * options.c - reading the argument vector; see options.h.
 */
#include "agent/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/cgroup.h"
#include "base/status.h"

enum {
    OPT_HOST = 256,
    OPT_MEMORY,
    OPT_PROC,
    OPT_CGROUP,
    OPT_WATCH,
    OPT_SAMPLE,
    OPT_LINK,
    OPT_BOOKS,
    OPT_HELP,
    OPT_VERSION
};

static const struct option known[] = {
    {"host", required_argument, NULL, OPT_HOST},
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"proc-root", required_argument, NULL, OPT_PROC},
    {"cgroup-root", required_argument, NULL, OPT_CGROUP},
    {"watch", no_argument, NULL, OPT_WATCH},
    {"sample-ms", required_argument, NULL, OPT_SAMPLE},
    {"link-fd", required_argument, NULL, OPT_LINK},
    {"books", required_argument, NULL, OPT_BOOKS},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static bool number(const char *from, uint64_t most, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(from, &end, 10);
    if (*from < '0' || *from > '9' || *end || errno || value > most)
        return false;
    *ret = value;
    return true;
}

static int take(agent_options *o, int option, const char *value, const char **ret_why)
{
    uint64_t n = 0;
    switch (option) {
    case OPT_HOST:
        *ret_why = "--host: a name of 1 to 63 characters is expected";
        if (!*value || strlen(value) >= sizeof o->host)
            return STATUS_INVALID;
        snprintf(o->host, sizeof o->host, "%s", value);
        return 0;
    case OPT_MEMORY:
        *ret_why = "--memory: a number of bytes is expected";
        return number(value, UINT64_MAX, &o->memory) ? 0 : STATUS_INVALID;
    case OPT_PROC:
        o->proc_root = value;
        return 0;
    case OPT_CGROUP:
        *ret_why = "--cgroup-root: the path is too long";
        o->cgroup_root = value;
        return strlen(value) < PATH_MAX / 2 ? 0 : STATUS_INVALID;
    case OPT_WATCH:
        o->watch = true;
        return 0;
    case OPT_SAMPLE:
        *ret_why = "--sample-ms: a number from 10 to 60000 is expected";
        return number(value, 60000, &o->sample_ms) && o->sample_ms >= 10 ? 0 : STATUS_INVALID;
    case OPT_LINK:
        *ret_why = "--link-fd: the number of an open socket is expected";
        if (!number(value, INT_MAX, &n))
            return STATUS_INVALID;
        o->link_fd = (int)n;
        return 0;
    case OPT_BOOKS:
        *ret_why = "--books: 1 to 64 letters, digits, - or _ are expected";
        o->books = value;
        return books_valid(value) ? 0 : STATUS_INVALID;
    case OPT_HELP:
        o->help = true;
        return 0;
    case OPT_VERSION:
        o->version = true;
        return 0;
    default:
        *ret_why = "unknown option, or one without its value; --help lists them";
        return STATUS_INVALID;
    }
}

int agent_options_parse(agent_options *ret, int argc, char **argv, const char **ret_why)
{
    agent_options o = {.proc_root = "/proc", .cgroup_root = "", .books = "", .link_fd = -1};
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(o.host, sizeof o.host, "%.63s", name.nodename);
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        int r = take(&o, option, optarg, ret_why);
        if (r < 0)
            return r;
    }
    if (optind < argc) {
        *ret_why = "the agent takes options only; --help lists them";
        return STATUS_INVALID;
    }
    *ret = o;
    return 0;
}
