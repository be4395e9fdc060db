/*
 * results.h - the folder of --results: for each task a folder SEQ-INPUT with stdout, stderr and meta.
 *
 * INPUT is the input with everything but letters, digits, . _ - + replaced by _, cut to 80 bytes. The number comes
 * first, so that two inputs never share a folder, and no name can begin with a dot or leave the folder.
 */
#ifndef GRANARY_CLI_HARVEST_RESULTS_H
#define GRANARY_CLI_HARVEST_RESULTS_H

#include <stddef.h>
#include <stdint.h>

#define HARVEST_RESULTS_NAME 112u

/* The name of the task's folder. */
void harvest_results_name(uint64_t seq, const char *input, char ret[HARVEST_RESULTS_NAME]);

/* Makes the task's folder and opens both files, empty, for reading and writing; the caller's. Errors: STATUS_SYSTEM. */
int harvest_results_open(int folder, uint64_t seq, const char *input, int *ret_out, int *ret_err);

/* Writes `text` as the task's meta file. Errors: STATUS_SYSTEM. */
int harvest_results_meta(int folder, uint64_t seq, const char *input, const char *text);

#endif
