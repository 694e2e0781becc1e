/* MT19937 with 32-bit words, and the distributions that networks are born from. */
#include "train/torch_random.h"

#include <math.h>

enum { WORDS = TN_TORCH_RANDOM_WORDS, MIDDLE = 397, BLOCK = 16 };

static const double two_pi = 6.28318530717958647692;

void tn_torch_random_seed(tn_torch_random *random, uint64_t seed)
{
    uint32_t *word = random->word;
    word[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < WORDS; i++)
        word[i] = UINT32_C(1812433253) * (word[i - 1] ^ (word[i - 1] >> 30)) + i;
    random->next = WORDS;
    random->normal_kept = false;
    random->normal = 0;
}

static void make_words(uint32_t *word)
{
    for (int i = 0; i < WORDS; i++) {
        uint32_t pair =
            (word[i] & UINT32_C(0x80000000)) | (word[(i + 1) % WORDS] & UINT32_C(0x7fffffff));
        word[i] = word[(i + MIDDLE) % WORDS] ^ (pair >> 1) ^ (pair & 1 ? UINT32_C(0x9908b0df) : 0);
    }
}

uint32_t tn_torch_random_u32(tn_torch_random *random)
{
    if (random->next >= WORDS) {
        make_words(random->word);
        random->next = 0;
    }
    uint32_t y = random->word[random->next++];
    y ^= y >> 11;
    y ^= (y << 7) & UINT32_C(0x9d2c5680);
    y ^= (y << 15) & UINT32_C(0xefc60000);
    return y ^ (y >> 18);
}

uint64_t tn_torch_random_u64(tn_torch_random *random)
{
    uint64_t high = tn_torch_random_u32(random);
    return high << 32 | tn_torch_random_u32(random);
}

int64_t tn_torch_random_i64(tn_torch_random *random)
{
    return (int64_t)(tn_torch_random_u64(random) & INT64_MAX);
}

/* The span is a float, the rest double: one rounding to float at the end. */
void tn_torch_random_uniform(tn_torch_random *random, double from, double to, float *out,
                             int64_t count)
{
    float begin = (float)from, span = (float)to - begin;
    for (int64_t i = 0; i < count; i++) {
        double x = (tn_torch_random_u32(random) & 0xffffff) * 0x1p-24;
        out[i] = (float)(x * (double)span + (double)begin);
    }
}

/* ---- Normal values ---------------------------------------------------------------------------*/

/* Box-Muller on 16 uniform values: the first half are radii, the second angles. */
static void transform_block(float *at)
{
    for (int i = 0; i < BLOCK / 2; i++) {
        float u1 = 1 - at[i], u2 = at[i + BLOCK / 2];
        float radius = sqrtf(-2 * logf(u1)), theta = (float)two_pi * u2;
        at[i] = radius * cosf(theta);
        at[i + BLOCK / 2] = radius * sinf(theta);
    }
}

static double random_unit(tn_torch_random *random)
{
    return (double)(tn_torch_random_u64(random) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

static double random_normal(tn_torch_random *random)
{
    random->normal_kept = !random->normal_kept;
    if (!random->normal_kept) return random->normal;
    double u1 = random_unit(random), u2 = random_unit(random);
    double radius = sqrt(-2 * log1p(-u2)), theta = two_pi * u1;
    random->normal = radius * sin(theta);
    return radius * cos(theta);
}

void tn_torch_random_normal(tn_torch_random *random, float *out, int64_t count)
{
    if (count < BLOCK) {
        for (int64_t i = 0; i < count; i++) out[i] = (float)random_normal(random);
        return;
    }
    tn_torch_random_uniform(random, 0, 1, out, count);
    for (int64_t i = 0; i + BLOCK <= count; i += BLOCK) transform_block(out + i);
    if (count % BLOCK == 0) return;
    /* The last 16 are drawn again, though some of them are done. */
    float *last = out + count - BLOCK;
    tn_torch_random_uniform(random, 0, 1, last, BLOCK);
    transform_block(last);
}

/* ---- Permutations ----------------------------------------------------------------------------*/

tn_status tn_torch_random_permute(tn_torch_random *random, int64_t *out, int64_t count)
{
    TN_CHECK(count >= 0 && count < UINT32_MAX / 20, TN_UNSUPPORTED,
             "a random order of %lld samples; at most %lld can be shuffled", (long long)count,
             (long long)(UINT32_MAX / 20 - 1));
    for (int64_t i = 0; i < count; i++) out[i] = i;
    for (int64_t i = 0; i < count - 1; i++) {
        int64_t k = i + (int64_t)(tn_torch_random_u32(random) % (uint32_t)(count - i));
        int64_t kept = out[i];
        out[i] = out[k];
        out[k] = kept;
    }
    return NULL;
}
