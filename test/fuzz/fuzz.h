/*
 * fuzz.h - what every fuzz target has: bytes taken from the front of the input, each as a choice.
 *
 * A target is one file with LLVMFuzzerTestOneInput(). What it finds wrong is an assert: asserts, crashes and the
 * sanitizers' reports all keep the input. It must give the same answer for the same bytes each time, so it reads no
 * clock, keeps nothing from one input to the next that decides anything, and takes every choice from the input. Inputs
 * that end too early give zeros: every input means something.
 */
#ifndef GRANARY_TEST_FUZZ_H
#define GRANARY_TEST_FUZZ_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *at;
    size_t left;
} fuzz_input;

static inline uint8_t fuzz_byte(fuzz_input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

/* Below `n`, which is at least 1 and at most 256. */
static inline uint32_t fuzz_below(fuzz_input *in, uint32_t n)
{
    return fuzz_byte(in) % n;
}

/* The next `n` bytes as a little-endian number. */
static inline uint64_t fuzz_number(fuzz_input *in, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)fuzz_byte(in) << (8 * i);
    return v;
}

/* Small numbers mostly, as names and counts are; now and then any of 64 bits, and those at the ends. */
static inline uint64_t fuzz_count(fuzz_input *in)
{
    uint8_t b = fuzz_byte(in);
    if (b < 0xf0)
        return b;
    if (b < 0xf8)
        return fuzz_number(in, 8);
    static const uint64_t ends[] = {INT32_MAX, (uint64_t)1 << 31, UINT32_MAX,     (uint64_t)1 << 32,
                                    INT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 1, UINT64_MAX};
    return ends[b - 0xf8];
}

/* At most `most` of the next bytes, borrowed: as many as a length in front of them says. */
static inline const uint8_t *fuzz_block(fuzz_input *in, size_t most, size_t *ret_size)
{
    size_t n = (size_t)fuzz_number(in, most > 255 ? 2 : 1);
    n = n < most ? n : most;
    n = n < in->left ? n : in->left;
    const uint8_t *from = in->at;
    in->at += n;
    in->left -= n;
    *ret_size = n;
    return from;
}

/* A text of at most size - 1 bytes, that ends at its first NUL. */
static inline void fuzz_text(fuzz_input *in, char *to, size_t size)
{
    size_t n;
    const uint8_t *from = fuzz_block(in, size - 1, &n);
    if (n > 0)
        memcpy(to, from, n);
    to[n] = '\0';
}

#endif
