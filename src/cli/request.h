/*
 * request.h - the options by which a person asks for memory: the same for `run`, `plan` and `claim`.
 */
#ifndef GRANARY_CLI_REQUEST_H
#define GRANARY_CLI_REQUEST_H

#include "cli/options.h"
#include "granary.h"

typedef struct {
    uint64_t chunk_size; /* 0: not given */
    uint32_t chunks;     /* 0: not given, one */
    bool now;
    uint64_t timeout_ms; /* 0: for ever */
    const char *label;
    int32_t priority;
    const char *hosts;
} request_options;

#define REQUEST_OPTIONS 7u

/* Fills `table` with REQUEST_OPTIONS rows that write to `r`; returns their number. */
size_t request_table(request_options *r, option *table);

/* The request; `label` is used when none was given. Borrows the texts. */
void request_fill(const request_options *r, const char *label, granary_request *ret);

/* Says why granary_client_open() failed with `status`; returns the exit code. */
int request_no_broker(const command_call *call, int status);

#endif
