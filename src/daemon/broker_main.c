/*
 * broker_main.c - granary-broker: owns the books. Started by granaryd, with its control socket as descriptor 3.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reserve.h"
#include "daemon/broker.h"
#include "daemon/control.h"

static const struct option known[] = {
    {"state", required_argument, NULL, 's'},     {"socket", required_argument, NULL, 'p'},
    {"config", required_argument, NULL, 'c'},    {"memory", required_argument, NULL, 'm'},
    {"set-aside", required_argument, NULL, 'a'}, {"listen-fd", required_argument, NULL, 'l'},
    {"user-instance", no_argument, NULL, 'u'},   {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},         {NULL, 0, NULL, 0},
};

#define WHAT "granary-broker: keeps the books of memory; granaryd starts it: run `granary up` or granaryd(8)\n"

int main(int argc, char **argv)
{
    broker_options o = {.config = "", .set_aside = UINT64_MAX, .control_fd = CONTROL_FD, .listen_fd = -1};
    for (int which; (which = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (which) {
        case 's':
            o.state = optarg;
            break;
        case 'p':
            o.socket = optarg;
            break;
        case 'c':
            o.config = optarg;
            break;
        case 'm':
            o.memory = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            o.set_aside = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            o.listen_fd = atoi(optarg);
            break;
        case 'u':
            o.user_instance = true;
            break;
        case 'h':
            fputs(WHAT, stdout);
            return EXIT_SUCCESS;
        case 'V':
            puts("granary-broker " VERSION_TEXT);
            return EXIT_SUCCESS;
        default:
            return EXIT_WRONG_USAGE;
        }
    }
    if (!o.state || !o.socket || o.listen_fd < 0) {
        fputs(WHAT, stderr);
        return EXIT_WRONG_USAGE;
    }
    uv_replace_allocator(reserve_malloc, reserve_realloc, reserve_calloc, reserve_free);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C reaches the supervisor, which ends its children in order */
    log_book *log = log_create("broker", LOG_INFO);
    broker *b = log ? calloc(1, sizeof *b) : NULL;
    if (!b) {
        fprintf(stderr, "granary-broker: no memory\n");
        return EXIT_NO_MEMORY;
    }
    int code = broker_open(b, &o, log);
    if (code == 0)
        code = broker_run(b);
    broker_close(b);
    free(b);
    log_destroy(log);
    return code;
}
