/* Two elements of 16 bits; NaN is larger than anything. */
static __device__ __forceinline__ uint32 larger_of(half, uint32 a, uint32 b)
{
    uint32 y = 0;
#if __CUDA_ARCH__ >= 800
    asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(y) : "r"(a), "r"(b));
#endif
    return y;
}
static __device__ __forceinline__ uint32 larger_of(bf16, uint32 a, uint32 b)
{
    uint32 y = 0;
#if __CUDA_ARCH__ >= 800
    asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(y) : "r"(a), "r"(b));
#endif
    return y;
}
/* Floats come one by one. */
static __device__ __forceinline__ uint32 larger_of(float, uint32 a, uint32) { return a; }
