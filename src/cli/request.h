/*
 * request.h - the options by which a person asks for memory: the same for `run`, `plan` and `claim`, but those about
 * waiting.
 */
#ifndef GRANARY_CLI_REQUEST_H
#define GRANARY_CLI_REQUEST_H

#include "cli/options.h"
#include "granary.h"

#define REQUEST_LABEL_MAX 64u /* what the broker takes, with its end */

typedef struct {
    uint64_t chunk_size; /* 0: not given */
    uint32_t chunks;     /* 0: not given, one */
    bool now;
    uint64_t timeout_ms; /* 0: for ever */
    const char *label;
    int32_t priority;
    const char *hosts;
    char own_label[REQUEST_LABEL_MAX]; /* of request_fill() */
} request_options;

#define REQUEST_OPTIONS      5u
#define REQUEST_WAIT_OPTIONS 2u

/* Fills `table` with REQUEST_OPTIONS rows that write to `r`; returns their number. */
size_t request_table(request_options *r, option *table);

/* The same for those that say how long to wait, REQUEST_WAIT_OPTIONS rows: not for `plan`, which never waits. */
size_t request_wait_table(request_options *r, option *table);

/* The request; when no label was given, it is that of this command. Borrows the texts and `r`. */
void request_fill(request_options *r, const char *command, granary_request *ret);

/*
 * A label for a command: the last part of its program's path, without what follows a blank (a line for the shell),
 * printable, cut to fit. Returns `to`.
 */
char *request_label(const char *command, char to[REQUEST_LABEL_MAX]);

/*
 * What to tell a person about a request that ended with `status`: `why`, the library's or the broker's words, or better
 * ones where this request's options say more. Returns static text or `why`.
 */
const char *request_why(const request_options *r, int status, const char *why);

/* What to tell when the agent does not answer an order for a claim. */
#define REQUEST_AGENT_SILENT                                                                                           \
    "the memory is there, but the agent of this host, which sets the limit, does not answer; Ctrl-C gives up, "        \
    "`granary hosts` and granaryd's log say more"

/* Says why granary_client_open() failed with `status`; returns the exit code. */
int request_no_broker(const command_call *call, int status);

#endif
