/* Products of 16-bit elements that lie in shared memory, in slabs.
 *
 * A matrix lies in slabs of 64 columns, from a multiple of 1024 bytes on: a line of 128 bytes for
 * each row, whose eight parts of 16 bytes are exclusive-ored with the number of the line. So eight
 * lines of one part stand in different banks, and groups of four warps (9.0) read them as they
 * are. */

/* Where the part from this column on lies, in slabs of LINES. */
template <int LINES>
static __device__ __forceinline__ char *slab_part(char *slabs, int line, int column)
{
    return slabs + column / 64 * (LINES * 128) + line * 128 + (column % 64 / 8 ^ line % 8) * 16;
}

/* A row, which eight threads have, is normed and lies in slabs then. */
template <class E, int WIDE, int LINES>
static __device__ __forceinline__ void slab_norm(part_of_row<E, WIDE> &x, const E *affine,
                                                 float epsilon, char *slabs, int line)
{
    norm_part(x, affine, epsilon);
#pragma unroll
    for (int i = 0; i < (WIDE + 63) / 64; i++) {
        int column = i * 64 + threadIdx.x % 8 * 8;
        if (column < WIDE) *(pack<uint32, 4> *)slab_part<LINES>(slabs, line, column) = x.at[i];
    }
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define slab_asm asm volatile
#else
#define slab_asm(...)
#endif
#define SLAB_4(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define SLAB_16(j) SLAB_4(j), SLAB_4(j + 1), SLAB_4(j + 2), SLAB_4(j + 3)
#define SLAB_ADD_32(kind) \
    slab_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;" \
             "wgmma.mma_async.sync.aligned.m64n32k16.f32." kind " {" \
             "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
             "}, %16, %17, add, 1, 1, 0, 0; }" : SLAB_16(0) : "l"(a), "l"(b))
#define SLAB_ADD_96(kind) \
    slab_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;" \
             "wgmma.mma_async.sync.aligned.m64n96k16.f32." kind " {" \
             "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
             "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
             "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
             "}, %48, %49, add, 1, 1, 0, 0; }" \
             : SLAB_16(0), SLAB_16(4), SLAB_16(8) : "l"(a), "l"(b))
template <int N>
static __device__ __forceinline__ void slab_add(half, float (*c)[4], uint64 a, uint64 b)
{
    if constexpr (N == 4) SLAB_ADD_32("f16.f16");
    else SLAB_ADD_96("f16.f16");
}
template <int N>
static __device__ __forceinline__ void slab_add(bf16, float (*c)[4], uint64 a, uint64 b)
{
    if constexpr (N == 4) SLAB_ADD_32("bf16.bf16");
    else SLAB_ADD_96("bf16.bf16");
}
static __device__ __forceinline__ uint64 slab_of(const void *at)
{
    return (uint64)(shared_address(at) >> 4 & 0x3fff) | (uint64)1 << 16 | (uint64)64 << 32 |
           (uint64)1 << 62;
}
/* What this thread wrote, or saw written, is seen by groups after a barrier. */
static __device__ __forceinline__ void slab_written()
{
    slab_asm("fence.proxy.async.shared::cta;" ::: "memory");
}

/* c += a b of four warps; a [64, K], b [8 N, K]. A warp has 16 rows of c. IN_GROUPS: they multiply
 * together. Else each may be alone, and a have LINES rows. */
template <class E, bool IN_GROUPS, int LINES, int N, int K>
static __device__ __forceinline__ void slab_product(const char *left, const char *right,
                                                    float (*c)[4])
{
    if constexpr (IN_GROUPS) {
        static_assert(LINES == 64 && (N == 4 || N == 12), "");
        uint64 a = slab_of(left), b = slab_of(right);
#pragma unroll
        for (int i = 0; i < N; i++) slab_asm("" : SLAB_4(i)::"memory");
        slab_asm("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int k = 0; k < K; k += 16)
            slab_add<N>(E(), c, a + k / 64 * (LINES * 8) + k % 64 / 8,
                        b + k / 64 * (N * 64) + k % 64 / 8);
        slab_asm("wgmma.commit_group.sync.aligned;" ::: "memory");
        slab_asm("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
        for (int i = 0; i < N; i++) slab_asm("" : SLAB_4(i)::"memory");
    } else {
        int lane = threadIdx.x % 32, line = threadIdx.x / 32 % 4 * 16 + lane % 16;
#pragma unroll 3
        for (int k = 0; k < K; k += 32) {
            uint32 x[2][4], w[N][4];
#pragma unroll
            for (int i = 0; i < 2; i++)
                load_matrices<false>(x[i], slab_part<LINES>((char *)left, line,
                                                            k + i * 16 + lane / 16 * 8));
#pragma unroll
            for (int j = 0; j < N; j++)
                load_matrices<false>(w[j], slab_part<N * 8>((char *)right, j * 8 + lane % 8,
                                                            k + lane / 8 * 8));
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < N; j++) multiply_add(E(), c[j], x[i], w[j] + i * 2);
        }
    }
}
