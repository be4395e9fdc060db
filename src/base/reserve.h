/*
 * reserve.h - an allocator whose one growing table still grows when the heap has no more.
 *
 * libuv aborts when the table of its watched descriptors cannot grow. Given to uv_replace_allocator() before any other
 * call of it, this allocator grows that table inside a static reserve when the heap fails; what was never touched of
 * the reserve costs nothing. Every other failed allocation is NULL, which libuv hands on as an error. When neither can
 * hold the table the process ends with a sentence and a status, instead of by a signal. Not thread-safe: only the
 * loop's thread grows tables.
 */
#ifndef GRANARY_BASE_RESERVE_H
#define GRANARY_BASE_RESERVE_H

#include <stddef.h>

#define RESERVE_BYTES  ((size_t)8 << 20) /* a pointer for each of a million descriptors, a usual hard limit */
#define EXIT_NO_MEMORY 6                 /* of a broker or an agent: started again, as often as it takes */

void *reserve_malloc(size_t size);
void *reserve_calloc(size_t n, size_t size);
/* Grows a table. Never NULL, but for a size of 0. One that lies in the reserve stays there, until it is freed. */
void *reserve_realloc(void *p, size_t size);
void reserve_free(void *p);

#endif
