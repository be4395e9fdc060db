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
/* Those that still ask for chunks. */
int lists_recalls(const snapshot *s, unsigned indent, unsigned width);

/* Live allocations: those that do not wait. */
size_t lists_live_count(const snapshot *s);

/* Chunks that a recall still asks for; 0 = it is answered, and kept for its client to read. */
uint64_t lists_recall_open(const Granary__RecallInfo *recall);

/* Recalls that still ask for chunks. */
size_t lists_open_recalls(const snapshot *s);

#endif
