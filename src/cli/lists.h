/*
 * lists.h - the tables that several commands show: allocations, claims, the queue, recalls.
 *
 * Each prints a table with `indent` and `width` as table_print(). 0, or STATUS_NO_MEMORY.
 */
#ifndef GRANARY_CLI_LISTS_H
#define GRANARY_CLI_LISTS_H

#include "client/query.h"

int lists_allocations(const snapshot *s, unsigned indent, unsigned width);
int lists_claims(const snapshot *s, unsigned indent, unsigned width);
int lists_queue(const snapshot *s, unsigned indent);
int lists_recalls(const snapshot *s, unsigned indent, unsigned width);

/* Live allocations: those that do not wait. */
size_t lists_live_count(const snapshot *s);

#endif
