/* ---- Products of warpgroups (9.0a) ----
 *
 * A warpgroup is four warps, the first a multiple of four. c[64,N] += a[64,16] b[16,N], where warp
 * w holds rows 16 w and on of a and c as multiply_add has them, and b lies in shared memory,
 * swizzled as the copy engine writes boxes of that many bytes a row: N rows of 16 columns, or, if
 * TURNED, 16 rows of N columns. Products go on by themselves: from warpgroup_begin on, until
 * warpgroup_wait says that they are done, nobody touches c, a and b. */
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define WARPGROUPS_MULTIPLY 1
#else
#define WARPGROUPS_MULTIPLY 0
#endif
static __device__ __forceinline__ void warpgroup_begin()
{
#if WARPGROUPS_MULTIPLY
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
static __device__ __forceinline__ void warpgroup_commit()
{
#if WARPGROUPS_MULTIPLY
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
/* Until at most so many of the committed are under way. */
template <int LEFT> static __device__ __forceinline__ void warpgroup_wait()
{
#if WARPGROUPS_MULTIPLY
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
#endif
}
/* Keeps the compiler from moving what makes these registers, or what reads them, beyond here: to be
 * said of c before warpgroup_begin and after warpgroup_wait. */
template <int N> static __device__ __forceinline__ void warpgroup_hold(float (*c)[4])
{
#if WARPGROUPS_MULTIPLY
#pragma unroll
    for (int i = 0; i < N / 8; i++)
        asm volatile("" : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])::"memory");
#endif
}
/* b, for rows of 128, 64 or 32 bytes, eight of them after another. It begins at a multiple of eight
 * rows, or within the first by whole sixteens of columns; what lies n bytes further on is n / 16
 * more. */
template <int ROW_BYTES> static __device__ __forceinline__ uint64 warpgroup_tile(uint32 at)
{
    constexpr uint64 SWIZZLE = ROW_BYTES == 128 ? 1 : ROW_BYTES == 64 ? 2 : 3;
    constexpr uint64 NEXT = 8 * ROW_BYTES >> 4; /* eight rows, whichever way they are read */
    return SWIZZLE << 62 | NEXT << 32 | NEXT << 16 | (at >> 4 & 0x3fff);
}
#if WARPGROUPS_MULTIPLY
#define WARPGROUP_FOUR(c) "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3])
#define WARPGROUP_16(c)                                                                            \
    WARPGROUP_FOUR((c)[0]), WARPGROUP_FOUR((c)[1]), WARPGROUP_FOUR((c)[2]), WARPGROUP_FOUR((c)[3])
#define WARPGROUP_PRODUCT(E, type)                                                                 \
    template <int N, bool TURNED>                                                                  \
    static __device__ __forceinline__ void warpgroup_multiply(E, float (*c)[4], const uint32 *a,   \
                                                          uint64 b, bool add)                      \
    {                                                                                              \
        static_assert(N == 64 || N == 32, "columns");                                              \
        if constexpr (N == 64)                                                                     \
            asm volatile("{ .reg .pred p; setp.ne.b32 p, %37, 0;\n"                                \
                         "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " "           \
                         "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
                         "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, "  \
                         "%30, %31}, {%32, %33, %34, %35}, %36, p, 1, 1, %38; }"                   \
                         : WARPGROUP_16(c), WARPGROUP_16(c + 4)                                    \
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add),      \
                           "n"(TURNED)                                                             \
                         : "memory");                                                              \
        else                                                                                       \
            asm volatile("{ .reg .pred p; setp.ne.b32 p, %21, 0;\n"                                \
                         "wgmma.mma_async.sync.aligned.m64n32k16.f32." type "." type " "           \
                         "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15},"\
                         "{%16, %17, %18, %19}, %20, p, 1, 1, %22; }"                              \
                         : WARPGROUP_16(c)                                                         \
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add),      \
                           "n"(TURNED)                                                             \
                         : "memory");                                                              \
    }
WARPGROUP_PRODUCT(half, "f16")
WARPGROUP_PRODUCT(bf16, "bf16")
#else
template <int N, bool TURNED, class E>
static __device__ __forceinline__ void warpgroup_multiply(E, float (*c)[4], const uint32 *a,
                                                          uint64 b, bool add)
{
}
#endif
