/* ---- Copies that go on by themselves, and tensor cores (compute capability 8.0) -------------------*/

/* The address of shared memory in its own space. */
static __device__ __forceinline__ uint32 shared_address(const void *at)
{
    return (uint32)__cvta_generic_to_shared(at);
}
/* 16 bytes from global to shared memory, both aligned; zeros if not `take`. */
static __device__ __forceinline__ void copy_begin(void *to, const void *from, bool take)
{
#if __CUDA_ARCH__ >= 800
    uint32 at = shared_address(to), bytes = take ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes)
                 : "memory");
#endif
}
/* 16 bytes, or 4, likewise aligned; at once where copies cannot go on. */
static __device__ __forceinline__ void copy_four(float4 *to, const float4 *from)
{
#if __CUDA_ARCH__ >= 800
    copy_begin(to, from, true);
#else
    *to = *from;
#endif
}
static __device__ __forceinline__ void copy_float(float *to, const float *from)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(to)), "l"(from)
                 : "memory");
#else
    *to = *from;
#endif
}
/* What was begun since the last of these is one group; wait until at most so many are under way. */
static __device__ __forceinline__ void copy_group()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int LEFT> static __device__ __forceinline__ void copy_wait()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
#endif
}
/* Four 8x8 matrices of 16-bit elements, each lane giving the address of one row: lanes 0-7 those of
 * the first. A lane gets elements 2 * (lane % 4) and the next of row lane / 4 of each matrix, or, if
 * TURNED, of its transpose. */
template <bool TURNED> static __device__ __forceinline__ void load_matrices(uint32 *x, const void *at)
{
    uint32 from = shared_address(at);
    if constexpr (TURNED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(from)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(from)
                     : "memory");
}
/* Two floats as elements of 16 bits, the first in the lower half. */
static __device__ __forceinline__ uint32 pair_of(half, float low, float high)
{
    uint32 y = 0;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
#endif
    return y;
}
static __device__ __forceinline__ uint32 pair_of(bf16, float low, float high)
{
    uint32 y = 0;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
#endif
    return y;
}
/* c[16,8] += a[16,16] b[16,8]. With g = lane / 4 and t = lane % 4 a lane holds of a, two at a time,
 * (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8); of b (2t, g), (2t + 8, g), going down; of c
 * (g, 2t), (g + 8, 2t). */
static __device__ __forceinline__ void multiply_add(half, float *c, const uint32 *a, const uint32 *b)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
static __device__ __forceinline__ void multiply_add(bf16, float *c, const uint32 *a, const uint32 *b)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/* The same of tf32, c[16,8] += a[16,8] b[8,8]: of a (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4),
 * of b (t, g), (t + 4, g). Four matrices of 16 bytes a row are read as those of 16-bit elements. */
static __device__ __forceinline__ void multiply_add(float, float *c, const uint32 *a,
                                                    const uint32 *b)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
/* Four floats to tf32: the multiplier would cut what it does not take. */
static __device__ __forceinline__ void round_tf32(uint32 *x)
{
#if __CUDA_ARCH__ >= 800
    for (int i = 0; i < 4; i++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x[i]) : "f"(__uint_as_float(x[i])));
#endif
}

static __device__ __forceinline__ uint32 tf32_of(float x)
{
    uint32 y = 0;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
#endif
    return y;
}

/* ---- Attention by a warp ----
 *
 * Of MANY times 16 queries a thread holds rows lane / 4 and that plus 8, and of the scores with
 * TILES times 8 keys two columns of every eight, as the results of products lie. Rows of keys and
 * values are LINE elements apart in shared memory; there are whole sixteens of them. Floats are
 * rounded to tf32. Their elements lie in another order in an operand than in a result, which is
 * made good by taking the keys of each eight in the order 0 2 4 6 1 3 5 7. */

/* 16 queries as the first operand; q: a thread's two rows. */
template <class E, int COLS>
static __device__ __forceinline__ void read_queries(const E *const *q, uint32 (*a)[4])
{
    constexpr int STEP = 32 / sizeof(E);
    int t = threadIdx.x % 4;
#pragma unroll
    for (int d = 0; d < COLS / STEP; d++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            if constexpr (sizeof(E) == 2)
                a[d][e] = *(const uint32 *)(q[e % 2] + d * STEP + e / 2 * 8 + 2 * t);
            else a[d][e] = tf32_of(to_float(q[e % 2][d * STEP + e / 2 * 4 + t]));
        }
}

/* scores += queries * keys */
template <class E, int COLS, int LINE, int TILES, int MANY>
static __device__ __forceinline__ void
add_scores(const uint32 (*a)[COLS / (32 / sizeof(E))][4], const E *k, float (*s)[TILES][4])
{
    constexpr int STEP = 32 / sizeof(E);
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < TILES; j += 2)
#pragma unroll
        for (int d = 0; d < COLS / STEP; d++) {
            uint32 b[4];
            if constexpr (sizeof(E) == 2)
                load_matrices<false>(b, k + (j * 8 + lane / 16 * 8 + lane % 8) * LINE + d * STEP +
                                            lane / 8 % 2 * 8);
            else {
                const E *at = k + (j * 8 + lane / 4) * LINE + d * STEP + lane % 4;
#pragma unroll
                for (int e = 0; e < 4; e++)
                    b[e] = tf32_of(to_float(at[e / 2 * 8 * LINE + e % 2 * 4]));
            }
#pragma unroll
            for (int m = 0; m < MANY; m++) {
                multiply_add(E(), s[m][j], a[m][d], b);
                if (j + 1 < TILES) multiply_add(E(), s[m][j + 1], a[m][d], b + 2);
            }
        }
}

/* sum += weights * values */
template <class E, int COLS, int LINE, int TILES, int MANY>
static __device__ __forceinline__ void add_values(const float (*s)[TILES][4], const E *v,
                                                  float (*sum)[COLS / 8][4])
{
    int lane = threadIdx.x % 32;
    if constexpr (sizeof(E) == 2) {
#pragma unroll
        for (int n = 0; n < TILES; n += 2) {
            constexpr bool ODD = TILES % 2;
            uint32 a[MANY][4];
#pragma unroll
            for (int m = 0; m < MANY; m++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const float *x = s[m][ODD && n + 1 == TILES ? n : n + e / 2] + e % 2 * 2;
                    bool none = ODD && n + 1 == TILES && e / 2;
                    a[m][e] = none ? 0 : pair_of(E(), x[0], x[1]);
                }
#pragma unroll
            for (int c = 0; c < COLS / 16; c++) {
                uint32 b[4];
                load_matrices<true>(b, v + (n * 8 + lane % 16) * LINE + c * 16 + lane / 16 * 8);
#pragma unroll
                for (int m = 0; m < MANY; m++) {
                    multiply_add(E(), sum[m][2 * c], a[m], b);
                    multiply_add(E(), sum[m][2 * c + 1], a[m], b + 2);
                }
            }
        }
    } else {
#pragma unroll
        for (int n = 0; n < TILES; n++) {
            uint32 a[MANY][4];
#pragma unroll
            for (int m = 0; m < MANY; m++)
#pragma unroll
                for (int e = 0; e < 4; e++) a[m][e] = tf32_of(s[m][n][e % 2 * 2 + e / 2]);
#pragma unroll
            for (int c = 0; c < COLS / 8; c++) {
                const E *at = v + (n * 8 + lane % 4 * 2) * LINE + c * 8 + lane / 4;
                uint32 b[2] = {tf32_of(to_float(at[0])), tf32_of(to_float(at[LINE]))};
#pragma unroll
                for (int m = 0; m < MANY; m++) multiply_add(E(), sum[m][c], a[m], b);
            }
        }
    }
}

