/*
 * reserve.c - growing inside a static reserve; see reserve.h.
 */
#include "base/reserve.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Alignas(max_align_t) uint8_t room[RESERVE_BYTES];
static bool taken; /* by the one table in it */

void *reserve_malloc(size_t size)
{
    return malloc(size);
}

void *reserve_calloc(size_t n, size_t size)
{
    return calloc(n, size);
}

static void __attribute__((noreturn)) end(void)
{
    static const char why[] = "no memory for the table of watched descriptors: this program ends\n";
    (void)!write(STDERR_FILENO, why, sizeof why - 1);
    _exit(EXIT_NO_MEMORY);
}

void *reserve_realloc(void *p, size_t size)
{
    if (p == room) {
        if (size > sizeof room)
            end();
        return room;
    }
    void *grown = realloc(p, size);
    if (grown || size == 0)
        return grown;
    if (taken || size > sizeof room)
        end();
    if (p) {
        size_t old = malloc_usable_size(p);
        memcpy(room, p, old < size ? old : size);
        free(p);
    }
    taken = true;
    return room;
}

void reserve_free(void *p)
{
    if (p == room)
        taken = false;
    else
        free(p);
}
