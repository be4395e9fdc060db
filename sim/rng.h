/*
 * rng.h - the dice of one run: everything random comes from its seed.
 *
 * Each part has a stream of its own, named when it is made: more dice thrown in one part do not change another's.
 * splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
 */
#ifndef GRANARY_SIM_RNG_H
#define GRANARY_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t state;
} rng;

/* A stream that is made by the seed and the name (and a number, where there are many of a name). */
rng rng_named(uint64_t seed, const char *name, uint64_t number);

uint64_t rng_next(rng *r);
uint64_t rng_below(rng *r, uint64_t n);                    /* 0 .. n-1; n >= 1 */
uint64_t rng_between(rng *r, uint64_t low, uint64_t high); /* both included */
bool rng_chance(rng *r, uint32_t per_million);
double rng_unit(rng *r); /* [0, 1) */
double rng_exponential(rng *r, double mean);
/* exp(mu + sigma * normal): `median` is exp(mu). The usual shape of job durations. */
double rng_lognormal(rng *r, double median, double sigma);

#endif
