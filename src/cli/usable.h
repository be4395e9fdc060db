/*
 * usable.h - how much memory one task may reckon with: usable memory divided by cores.
 */
#ifndef GRANARY_CLI_USABLE_H
#define GRANARY_CLI_USABLE_H

#include "cli/books.h"

/* Usable memory of the largest host that is up, divided by its cores, rounded down to a MiB; 0 when there is no host.
 * Pure. */
uint64_t usable_share(const snapshot *s);

/* Asks the broker, and says on stderr what it chose. On failure says why and returns an exit code, else 0. */
int usable_ask(const command_call *call, uint64_t *ret_bytes);

#endif
