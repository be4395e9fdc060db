/*
 * scratch.c - one mapping, filled from its start; see scratch.h.
 */
#include "proto/scratch.h"

#include <string.h>
#include <sys/mman.h>

#include "base/status.h"

#define ALIGNMENT 16u
#define KEEP      ((size_t)1 << 20) /* ordinary messages stay below: no page is taken and given back for each */

static void *allocator_take(void *userdata, size_t size)
{
    return scratch_take(userdata, size);
}

static void allocator_free(void *userdata, void *pointer)
{
    (void)userdata;
    (void)pointer;
}

int scratch_init(scratch *s, size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return STATUS_NO_MEMORY;
    *s = (scratch){.allocator = {.alloc = allocator_take, .free = allocator_free, .allocator_data = s},
                   .base = base,
                   .size = size};
    return 0;
}

void scratch_finish(scratch *s)
{
    if (s->base)
        munmap(s->base, s->size);
    *s = (scratch){0};
}

void scratch_reset(scratch *s)
{
    if (s->used > KEEP)
        madvise(s->base + KEEP, s->size - KEEP, MADV_DONTNEED);
    s->used = 0;
    s->full = false;
}

void *scratch_take(scratch *s, size_t size)
{
    if (size > s->size - s->used || s->size - s->used - size < ALIGNMENT) {
        s->full = true;
        return NULL;
    }
    void *at = s->base + s->used;
    s->used += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

char *scratch_text(scratch *s, const char *text)
{
    static char empty[1] = "";
    size_t size = strlen(text) + 1;
    char *copy = scratch_take(s, size);
    if (!copy)
        return empty;
    memcpy(copy, text, size);
    return copy;
}
