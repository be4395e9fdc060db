/*
 * size.h - sizes and spans of time as people write them.
 *
 * A size is a number, a fraction allowed, and K, M, G or T (powers of 1024, any case), to which B or iB may
 * be added: 700M, 1.5G, 512MiB, 4096. A span of time is parts of ms, s, m, h, d: 500ms, 10s, 1h30m; a plain
 * number is seconds. Pure.
 *
 * The parsers return 0, or STATUS_INVALID with a sentence in `why` (which may be NULL) that quotes the
 * text and says what to write instead; `*ret` is untouched then.
 */
#ifndef GRANARY_BASE_SIZE_H
#define GRANARY_BASE_SIZE_H

#include <stddef.h>

#include "base/units.h"

#define SIZE_TEXT_MAX     24u  /* any size_format(), with its end */
#define DURATION_TEXT_MAX 24u  /* any duration_format(), with its end */
#define SIZE_WHY_MAX      192u /* fits every sentence of the parsers */

/* 0 is a size. A fraction of a byte is cut. */
int size_parse(const char *text, char *why, size_t why_size, bytes_t *ret);

/* As size_parse(), but refuses 0. */
int size_parse_positive(const char *text, char *why, size_t why_size, bytes_t *ret);

/*
 * "2.0G", "700M", "1.5G", "1100M", "0": exact where at most four digits and a half can say it, else
 * rounded to the nearest tenth ("1.3G"). Returns `to`.
 */
char *size_format(bytes_t size, char to[SIZE_TEXT_MAX]);

/* 0 is a span. A fraction of a millisecond is cut. The answer is below MS_NEVER. */
int duration_parse(const char *text, char *why, size_t why_size, ms_t *ret);

/* "250ms", "3.2s", "42s", "5m", "5m30s", "2h05m", "3d4h"; "never" for MS_NEVER. Cut, not rounded. Returns `to`. */
char *duration_format(ms_t span, char to[DURATION_TEXT_MAX]);

#endif
