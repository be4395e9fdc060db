#include "cli/harvest_peaks.h"

#include <assert.h>

#include "base/units.h"

#define FINE_BITS 5u
#define FINE      (1u << FINE_BITS)

/* Below FINE each value is its own class; above, the power of two and the next FINE_BITS bits. */
static unsigned class_of(uint64_t value)
{
    unsigned power;

    if (value < FINE)
        return (unsigned)value;
    power = 63u - (unsigned)__builtin_clzll(value);
    return (power - FINE_BITS + 1) * FINE + (unsigned)((value >> (power - FINE_BITS)) & (FINE - 1));
}

/* The largest value of a class. */
static uint64_t class_end(unsigned class)
{
    const unsigned power = class / FINE;

    if (power == 0)
        return class;
    return (((uint64_t)(FINE + class % FINE) + 1) << (power - 1)) - 1;
}

void harvest_peaks_add(harvest_peaks *peaks, uint64_t bytes)
{
    const unsigned class = class_of(bytes);

    assert(class < HARVEST_PEAKS_CLASSES);
    peaks->classes[class]++;
    peaks->count++;
    if (bytes > peaks->max)
        peaks->max = bytes;
}

uint64_t harvest_peaks_at(const harvest_peaks *peaks, unsigned percent)
{
    uint64_t rank, seen = 0;

    assert(percent >= 1 && percent <= 100);
    if (peaks->count == 0)
        return 0;
    rank = (uint64_t)(((__uint128_t)peaks->count * percent + 99) / 100);
    for (unsigned i = 0; i < HARVEST_PEAKS_CLASSES; i++) {
        seen += peaks->classes[i];
        if (seen >= rank)
            return class_end(i) < peaks->max ? class_end(i) : peaks->max;
    }
    return peaks->max;
}

uint64_t harvest_peaks_chunk(const harvest_peaks *peaks)
{
    const uint64_t mib = MIB(1);
    uint64_t wanted;

    if (peaks->count == 0)
        return 0;
    if (peaks->max > UINT64_MAX / 2)
        return UINT64_MAX / mib * mib;
    wanted = peaks->max + peaks->max / 10;
    wanted = (wanted + mib - 1) / mib * mib;
    return wanted ? wanted : mib;
}
