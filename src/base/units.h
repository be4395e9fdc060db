/*
 * units.h - quantities and names that must not be mixed.
 *
 * Identifiers are structs, so that the compiler refuses one where another is due.
 * Zero is "none" for every identifier but host_id. Times are milliseconds of CLOCK_BOOTTIME
 * unless the name says wall.
 */
#ifndef GRANARY_BASE_UNITS_H
#define GRANARY_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t bytes_t;  /* an amount of memory */
typedef uint32_t chunks_t; /* a number of chunks of one allocation */
typedef uint64_t ms_t;     /* CLOCK_BOOTTIME milliseconds, or a span of them */

#define MS_NEVER UINT64_MAX /* a deadline that does not come */

typedef struct {
    uint64_t v;
} allocation_id;
typedef struct {
    uint64_t v;
} session_id;
typedef struct {
    uint64_t v;
} recall_id;
typedef struct {
    uint64_t v;
} generation; /* names a claim; never reused */
typedef struct {
    uint64_t v;
} request_no; /* of a session; rises by one */
typedef struct {
    uint32_t v;
} host_id; /* index of a host; rises in order of registration */
typedef struct {
    uint32_t v;
} user_id; /* the kernel's uid */

#define HOST_NONE ((host_id){UINT32_MAX})

#define KIB(n) ((bytes_t)(n) << 10)
#define MIB(n) ((bytes_t)(n) << 20)
#define GIB(n) ((bytes_t)(n) << 30)

/* What may stay charged to a claim of such chunks, once no process is left in it, for it to count as drained. */
static inline bytes_t drain_tolerance(bytes_t chunk_size)
{
    return chunk_size / 256 > MIB(1) ? chunk_size / 256 : MIB(1);
}

/* (host, number of chunks): how a set of chunks is written. */
typedef struct {
    host_id host;
    chunks_t chunks;
} extent;

#endif
