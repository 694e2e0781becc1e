/* What this CPU can do. Bits are found once; the environment variable TN_CPU (scalar, avx2, avx512,
 * all) lowers the ceiling for tests. */
#ifndef TN_BASE_CPU_H
#define TN_BASE_CPU_H

#include <stddef.h>
#include <stdint.h>

#define TN_CPU_FEATURES(X)                                                                         \
    X(AVX2, 0, "avx2")                                                                             \
    X(FMA, 1, "fma")                                                                               \
    X(F16C, 2, "f16c")                                                                             \
    X(AVX512F, 3, "avx512f")                                                                       \
    X(AVX512BW, 4, "avx512bw")                                                                     \
    X(AVX512VL, 5, "avx512vl")                                                                     \
    X(AVX512DQ, 6, "avx512dq")                                                                     \
    X(AVX512VNNI, 7, "avx512vnni")                                                                 \
    X(AVX512BF16, 8, "avx512bf16")                                                                 \
    X(AMX_TILE, 9, "amx_tile")                                                                     \
    X(AMX_BF16, 10, "amx_bf16")                                                                    \
    X(AMX_INT8, 11, "amx_int8")                                                                    \
    X(NEON, 32, "neon")

#define TN_CPU_BIT(name, bit, text) static const uint64_t TN_CPU_##name = UINT64_C(1) << (bit);
TN_CPU_FEATURES(TN_CPU_BIT)
#undef TN_CPU_BIT

uint64_t tn_cpu_features(void);

/* How this thread's floating-point unit works: rounding, and what becomes of denormals. Numbers
 * that small cost some CPUs a hundred cycles each; where they are flushed, they are zeros wherever
 * they are read and where they would come out. */
uint64_t tn_float_mode(void);
void tn_float_mode_set(uint64_t mode);
uint64_t tn_float_mode_flushing(uint64_t mode); /* the same, with denormals flushed */
const char *tn_cpu_name(void);                  /* brand string, or family/model */
int tn_cpu_count(void);                         /* cores this process may use */
size_t tn_cpu_cache_bytes(int level);           /* 1 (data), 2, 3; 0 if not known */

#endif
