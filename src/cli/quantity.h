/*
 * quantity.h - sizes as people write them. Pure.
 */
#ifndef GRANARY_CLI_QUANTITY_H
#define GRANARY_CLI_QUANTITY_H

#include <stdint.h>

/* "700M", "1.5G", "512MiB", "1048576". 0 and the bytes, or STATUS_INVALID with a sentence in `*ret_why` (static). */
int quantity_size_parse(const char *text, uint64_t *ret_bytes, const char **ret_why);

#endif
