/* PyTorch's random numbers on the CPU: the same seed gives the same values, draw for draw.
 *
 * The generator is MT19937. What is drawn from it is rounded as PyTorch rounds, so that weights and
 * the order of samples equal those of a script that calls torch.manual_seed(seed).
 */
#ifndef TN_TRAIN_TORCH_RANDOM_H
#define TN_TRAIN_TORCH_RANDOM_H

#include "base/status.h"

#define TN_TORCH_RANDOM_WORDS 624

typedef struct tn_torch_random {
    uint32_t word[TN_TORCH_RANDOM_WORDS];
    int32_t next;     /* TN_TORCH_RANDOM_WORDS: all are used */
    bool normal_kept; /* tensors of fewer than 16 normal values draw them in pairs ... */
    double normal;    /* ... and the second one waits here */
} tn_torch_random;

/* torch.manual_seed: the low 32 bits count. */
void tn_torch_random_seed(tn_torch_random *random, uint64_t seed);
uint32_t tn_torch_random_u32(tn_torch_random *random);
uint64_t tn_torch_random_u64(tn_torch_random *random);
/* torch.empty((), dtype=torch.int64).random_(): in [0, 2^63). */
int64_t tn_torch_random_i64(tn_torch_random *random);

/* tensor.uniform_(from, to) of float32 values. */
void tn_torch_random_uniform(tn_torch_random *random, double from, double to, float *out,
                             int64_t count);
/* torch.randn(count): float32, dense. */
void tn_torch_random_normal(tn_torch_random *random, float *out, int64_t count);
/* torch.randperm(count), for counts below 2^32 / 20. */
tn_status tn_torch_random_permute(tn_torch_random *random, int64_t *out, int64_t count) TN_MUST_USE;

#endif
