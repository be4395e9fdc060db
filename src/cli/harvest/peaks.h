/*
 * peaks.h - percentiles of many peaks in 16 KiB.
 *
 * Values are counted in classes, 32 for each power of two: a percentile is the upper end of its class, at most
 * 1/32 above the true value and never above the true maximum, which is kept exactly.
 */
#ifndef GRANARY_CLI_HARVEST_PEAKS_H
#define GRANARY_CLI_HARVEST_PEAKS_H

#include <stdint.h>

#define HARVEST_PEAKS_CLASSES 2048u

typedef struct {
    uint64_t count, max;
    uint64_t classes[HARVEST_PEAKS_CLASSES];
} harvest_peaks;

void harvest_peaks_add(harvest_peaks *peaks, uint64_t bytes);

/* The value that `percent` (1 to 100) of the counted ones do not exceed (nearest rank); 0 when none was counted. */
uint64_t harvest_peaks_at(const harvest_peaks *peaks, unsigned percent);

/*
 * A chunk size for tasks like these: the largest peak and a tenth, rounded up to two digits of M, G or T as a person
 * would write it (86M, 750M, 1.2G, 130G), at least 10M. 0: none counted.
 */
uint64_t harvest_peaks_chunk(const harvest_peaks *peaks);

#endif
