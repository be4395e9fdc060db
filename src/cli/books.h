/*
 * books.h - what every reading command does: fetch the snapshot, find names in it, turn it into JSON.
 */
#ifndef GRANARY_CLI_BOOKS_H
#define GRANARY_CLI_BOOKS_H

#include <jansson.h>

#include "client/query.h"
#include "cli/options.h"

/* Connects; on failure says why and returns an exit code, else 0. */
int books_open(const command_call *call, query **ret);

/* Connects, reads the whole books, disconnects. On failure says why and returns an exit code, else 0. */
int books_read(const command_call *call, snapshot **ret);

/* The host's name, or "?". Borrowed from the snapshot. */
const char *books_host_name(const snapshot *s, uint32_t host);

#define BOOKS_USER_MAX 64u
/* The user's name, else the number. Returns `to`. */
const char *books_user_name(uint32_t uid, char to[BOOKS_USER_MAX]);

/* The owner's; of an allocation without an owner the first of its claimed processes, or 0. */
int32_t books_pid_of(const snapshot *s, const Granary__AllocationInfo *a);

/* A waiting request: it is in the queue, not among the allocations. */
bool books_is_waiting(const Granary__AllocationInfo *a);

/* Bytes that the claims of an allocation use now, and the sum of their peaks. */
void books_use_of(const snapshot *s, uint64_t allocation, uint64_t *ret_used, uint64_t *ret_peak);

/* The parts of the snapshot in JSON; bits. */
enum { BOOKS_HOSTS = 1, BOOKS_ALLOCATIONS = 2, BOOKS_QUEUE = 4, BOOKS_RECALLS = 8, BOOKS_ALL = 15 };

/* A new reference, or NULL when out of memory. */
json_t *books_json(const snapshot *s, unsigned parts);

/* Prints and drops `root` (NULL = out of memory, said). Returns an exit code. */
int books_json_print(const command_call *call, json_t *root);

/* books_read, books_json, print: all that --json needs. Returns an exit code. */
int books_json_run(const command_call *call, unsigned parts);

/* Flushes stdout: 0, or an exit code when what was printed did not arrive (a full disk), said. */
int books_flush(const command_call *call);

#endif
