/*
 * strangers.h - files in a state directory that no part of Granary makes there.
 */
#ifndef GRANARY_DAEMON_STRANGERS_H
#define GRANARY_DAEMON_STRANGERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The first by name of the strange files in `directory`, fit to be shown, into `name` (cut when too long). Returns
 * whether there is one; false also for a directory that does not exist or cannot be read: who opens it says so.
 * `*ret_journal`: whether a journal is there. What this process has as its standard error, a log that was put there, is
 * not strange, nor is lost+found.
 */
bool strangers_find(const char *directory, char *name, size_t size, bool *ret_journal);

#endif
