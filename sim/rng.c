#include "rng.h"

#include <math.h>

#define GAMMA 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

rng rng_named(uint64_t seed, const char *name, uint64_t number)
{
    uint64_t state = mix(seed + GAMMA);
    for (; *name; name++)
        state = mix(state ^ (uint64_t)(unsigned char)*name);
    return (rng){mix(state + number * GAMMA)};
}

uint64_t rng_next(rng *r)
{
    return mix(r->state += GAMMA);
}

uint64_t rng_below(rng *r, uint64_t n)
{
    uint64_t uneven = -n % n; /* 2^64 mod n: below it, some remainders would come once more often */
    uint64_t v;
    do
        v = rng_next(r);
    while (v < uneven);
    return v % n;
}

uint64_t rng_between(rng *r, uint64_t low, uint64_t high)
{
    return low + rng_below(r, high - low + 1);
}

bool rng_chance(rng *r, uint32_t per_million)
{
    return rng_below(r, 1000000) < per_million;
}

double rng_unit(rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

double rng_exponential(rng *r, double mean)
{
    return -mean * log1p(-rng_unit(r));
}

double rng_lognormal(rng *r, double median, double sigma)
{
    /* The sum of twelve is normal enough for durations, and needs no cosine. */
    double normal = -6;
    for (unsigned i = 0; i < 12; i++)
        normal += rng_unit(r);
    return median * exp(sigma * normal);
}
