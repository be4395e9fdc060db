/*
 * quantity.h - whole numbers from text, and sizes and spans in a form that reads back exactly.
 *
 * Pure. Reading sizes and spans is base/size.h; showing them to people too.
 */
#ifndef GRANARY_DAEMON_QUANTITY_H
#define GRANARY_DAEMON_QUANTITY_H

#include <stddef.h>

#include "base/units.h"

#define QUANTITY_TEXT_MAX 24u

/* A whole number from `least` to `most`; else STATUS_INVALID with a sentence in `why`. */
int quantity_count(const char *text, uint64_t least, uint64_t most, char *why, size_t why_size, uint64_t *ret);

/* "700M", "4097": what size_parse() reads back as the same number. Returns `to`. */
const char *quantity_bytes(bytes_t bytes, char to[QUANTITY_TEXT_MAX]);

/* "90s", "500ms": the same for duration_parse(). */
const char *quantity_span(ms_t span, char to[QUANTITY_TEXT_MAX]);

/* Copies at most size - 1 bytes, never half a character; what is not printable becomes '?'. */
void quantity_clean(char *to, size_t size, const char *from);

#endif
