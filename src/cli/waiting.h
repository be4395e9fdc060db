/*
 * waiting.h - what a person sees while a request is in the queue: one line on a terminal, kept up to date.
 */
#ifndef GRANARY_CLI_WAITING_H
#define GRANARY_CLI_WAITING_H

#include <stdbool.h>

#include "granary.h"

typedef struct {
    bool terminal; /* one line, rewritten */
    bool verbose;  /* lines, also when there is no terminal */
    bool shown;    /* a line stands on the terminal */
    unsigned width;
    bool known; /* the last line told when it starts */
    char last[256];
    char reason[160]; /* why it waits, as last told; "" when it does not */
} waiting;

void waiting_init(waiting *w, bool verbose);

/* For granary_allocate(): `userdata` is a waiting. Always 0. */
int waiting_progress(const granary_wait_info *info, void *userdata);

/* Takes the line off the terminal. */
void waiting_clear(waiting *w);

#endif
