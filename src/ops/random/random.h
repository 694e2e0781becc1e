/* Random numbers for RandomUniform, RandomNormal (and Like), Bernoulli and Multinomial.
 *
 * The generator is a counter: number i of a stream is a function of the stream's key and i alone,
 * so numbers do not depend on how work is divided. With a seed every launch gives the same numbers;
 * without one each launch of the process takes the next stream. The bits are those of no other
 * runtime. */
#ifndef TN_OPS_RANDOM_H
#define TN_OPS_RANDOM_H

#include <math.h>

#include "device/device.h"

#define TN_SEED_ABSENT INFINITY

/* One struct for the family: an operator reads the members that are its attributes. */
typedef struct tn_random_params {
    tn_ints shape;
    int64_t dtype;       /* 0: of the input */
    int64_t sample_size; /* Multinomial */
    float low, high, mean, scale;
    float seed, pad; /* TN_SEED_ABSENT: a new stream for each launch */
} tn_random_params;

uint64_t tn_random_key(float seed);
uint64_t tn_random_bits(uint64_t key, uint64_t index);
double tn_random_uniform(uint64_t key, uint64_t index); /* [0, 1), 53 bits */
double tn_random_normal(uint64_t key, uint64_t index);  /* mean 0, deviation 1 */

#endif
