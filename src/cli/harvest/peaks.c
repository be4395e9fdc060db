#include "cli/harvest/peaks.h"

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
    const unsigned __int128 least = MIB(10), wanted = (unsigned __int128)peaks->max + peaks->max / 10;
    unsigned __int128 unit = MIB(1), size;

    if (peaks->count == 0)
        return 0;
    if (wanted <= least)
        return (uint64_t)least;
    while (wanted > unit * 990 && unit < (unsigned __int128)1
                                             << 40) /* what rounds up to 1000 is 1.0 of the next unit */
        unit <<= 10;
    if (wanted <= unit * 99 / 10) { /* tenths of it, cut as the same figure is when it is read */
        const unsigned __int128 tenths = (wanted * 10 + unit - 1) / unit;
        size = tenths * unit / 10;
    } else {
        const unsigned __int128 step = wanted <= unit * 99 ? unit : unit * 10;
        size = (wanted + step - 1) / step * step;
    }
    return size < UINT64_MAX ? (uint64_t)size : UINT64_MAX;
}
