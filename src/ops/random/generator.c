#include <stdatomic.h>
#include <string.h>

#include "ops/random/random.h"

/* The finisher of SplitMix64: every bit of the input changes half of the output's. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 27;
    x *= UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

uint64_t tn_random_key(float seed)
{
    static atomic_uint_fast64_t streams;
    uint32_t bits;
    if (seed == TN_SEED_ABSENT)
        return mix(UINT64_C(0x74656E6F6E000000) + GOLDEN * (uint64_t)atomic_fetch_add(&streams, 1));
    memcpy(&bits, &seed, sizeof bits);
    return mix(bits + GOLDEN);
}

uint64_t tn_random_bits(uint64_t key, uint64_t index)
{
    return mix(mix(index * GOLDEN + key) + key);
}

double tn_random_uniform(uint64_t key, uint64_t index)
{
    return (double)(tn_random_bits(key, index) >> 11) / 9007199254740992.0;
}

/* Box and Muller: numbers 2i and 2i + 1 of the stream make normal number i. */
double tn_random_normal(uint64_t key, uint64_t index)
{
    double radius = sqrt(-2 * log(1 - tn_random_uniform(key, 2 * index)));
    return radius * cos(2 * 3.14159265358979323846 * tn_random_uniform(key, 2 * index + 1));
}
