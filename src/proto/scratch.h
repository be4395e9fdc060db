/*
 * scratch.h - memory for one message at a time, given back all at once.
 *
 * A protobuf-c allocator over one mapping that is touched only as far as it is used: unpacking a
 * request costs no malloc, and no message can make its reader allocate more than the scratch holds.
 */
#ifndef GRANARY_PROTO_SCRATCH_H
#define GRANARY_PROTO_SCRATCH_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    ProtobufCAllocator allocator; /* pass &scratch.allocator; frees are no-ops */
    uint8_t *base;
    size_t size, used;
    bool full; /* an allocation since the last reset did not fit */
} scratch;

/* Maps `size` bytes. STATUS_NO_MEMORY. */
int scratch_init(scratch *s, size_t size);
void scratch_finish(scratch *s); /* a zeroed one is fine */

/* Forgets everything taken; pages beyond a small part go back to the kernel. */
void scratch_reset(scratch *s);

/* Gives back what was taken since scratch.used was `mark`. */
static inline void scratch_return(scratch *s, size_t mark)
{
    s->used = mark;
    s->full = false;
}

/* `size` bytes, aligned for anything, or NULL when full. Not zeroed. */
void *scratch_take(scratch *s, size_t size);

/* A copy of `text` in the scratch, or "" when full. */
char *scratch_text(scratch *s, const char *text);

#endif
