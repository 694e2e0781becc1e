/* Goes before every kernel source. Types by the names that tn_cuda_type gives, without NVIDIA's
 * headers, which a machine with only the run-time compiler does not have. load() and store() go
 * through float (double for double, 64-bit integers stay exact by their own kernels). */
#pragma nv_diag_suppress 177 /* a source does not use all of this */
#pragma nv_diag_suppress 186 /* what is written for all types compares unsigned ones with zero */
typedef signed char int8;
typedef short int16;
typedef int int32;
typedef long long int64;
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long long uint64;
struct half {
    uint16 bits;
};
struct bf16 {
    uint16 bits;
};

static __device__ __forceinline__ float to_float(float x) { return x; }
static __device__ __forceinline__ float to_float(half x)
{
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
static __device__ __forceinline__ float to_float(bf16 x)
{
    return __uint_as_float((uint32)x.bits << 16);
}
static __device__ __forceinline__ void from_float(float x, float *y) { *y = x; }
static __device__ __forceinline__ void from_float(float x, half *y)
{
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y->bits) : "f"(x));
}
static __device__ __forceinline__ void from_float(float x, bf16 *y)
{
    uint32 bits = __float_as_uint(x);
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    y->bits = nan ? 0x7fff : (uint16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* A kernel that was launched with `overlap` runs while the one ahead of it still does; from here on
 * all of that one's work is done and visible. Nothing elsewhere. */
static __device__ __forceinline__ void tn_wait_for_producer()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/* The next kernel may start: its blocks find room as ours end. */
static __device__ __forceinline__ void tn_start_consumer()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

static __device__ __forceinline__ float warp_sum(float x)
{
    for (int k = 16; k > 0; k >>= 1) x += __shfl_xor_sync(0xffffffffu, x, k);
    return x;
}
static __device__ __forceinline__ float warp_max(float x)
{
    for (int k = 16; k > 0; k >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, k));
    return x;
}

/* ---- Sums of products: floats of 16 bits in float, integers modulo 2^bits -------------------------*/

static __device__ __forceinline__ float widen(float x) { return x; }
static __device__ __forceinline__ float widen(half x) { return to_float(x); }
static __device__ __forceinline__ float widen(bf16 x) { return to_float(x); }
static __device__ __forceinline__ double widen(double x) { return x; }
static __device__ __forceinline__ uint32 widen(int32 x) { return (uint32)x; }
static __device__ __forceinline__ uint32 widen(uint32 x) { return x; }
static __device__ __forceinline__ uint64 widen(int64 x) { return (uint64)x; }
static __device__ __forceinline__ uint64 widen(uint64 x) { return x; }
static __device__ __forceinline__ void narrow(float x, float *y) { *y = x; }
static __device__ __forceinline__ void narrow(float x, half *y) { from_float(x, y); }
static __device__ __forceinline__ void narrow(float x, bf16 *y) { from_float(x, y); }
static __device__ __forceinline__ void narrow(double x, double *y) { *y = x; }
static __device__ __forceinline__ void narrow(uint32 x, int32 *y) { *y = (int32)x; }
static __device__ __forceinline__ void narrow(uint32 x, uint32 *y) { *y = x; }
static __device__ __forceinline__ void narrow(uint64 x, int64 *y) { *y = (int64)x; }
static __device__ __forceinline__ void narrow(uint64 x, uint64 *y) { *y = x; }

/* 128 bytes on their way to the second cache. */
static __device__ __forceinline__ void fetch_line(const void *at)
{
    asm volatile("prefetch.global.L2 [%0];" ::"l"(at));
}

/* So many elements side by side, read or written at once. */
template <class E, int N> struct alignas(sizeof(E) * N) pack {
    E at[N];
};

/* The functions of ops/epilogue.h, by their numbers there. */
template <int KIND, class S>
static __device__ __forceinline__ S activate(S x, float alpha, float beta)
{
    if constexpr (KIND == 1) return x < 0 ? (S)0 : x;
    else if constexpr (KIND == 2) return (S)0.5 * x * (1 + erf(x * (S)0.70710678118654752440));
    else if constexpr (KIND == 3)
        return (S)0.5 * x *
               (1 + tanh((S)0.79788456080286535588 * (x + (S)0.044715 * x * x * x)));
    else if constexpr (KIND == 4) return tanh(x);
    else if constexpr (KIND == 5) return 1 / (1 + exp(-x));
    else if constexpr (KIND == 6) return x / (1 + exp(-x));
    else if constexpr (KIND == 7) {
        S gate = x / 6 + (S)0.5;
        return x * (gate < 0 ? (S)0 : gate > 1 ? (S)1 : gate);
    } else if constexpr (KIND == 8) return x < 0 ? alpha * x : x;
    else if constexpr (KIND == 9) {
        if (x < alpha) x = alpha;
        return x > beta ? (S)beta : x;
    } else return x;
}

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

/* Any element as the type To that a kernel computes in, and back, rounded or wrapped once. */
template <class To, class From> static __device__ __forceinline__ To as(From x)
{
    return (To)x;
}
template <class To> static __device__ __forceinline__ To as(half x) { return (To)to_float(x); }
template <class To> static __device__ __forceinline__ To as(bf16 x) { return (To)to_float(x); }
template <class From, class To> static __device__ __forceinline__ void put(From x, To *y)
{
    *y = (To)x;
}
template <class From> static __device__ __forceinline__ void put(From x, half *y)
{
    from_float((float)x, y);
}
template <class From> static __device__ __forceinline__ void put(From x, bf16 *y)
{
    from_float((float)x, y);
}

/* Neighbours, read and written at once as far as 16 bytes go. */
template <class Element, int LENGTH>
struct alignas(sizeof(Element) * LENGTH < 16 ? sizeof(Element) * LENGTH : 16) vec {
    Element at[LENGTH];
};

/* A float that rounds to fewer bits as the wider number would: cut, with its last bit set if
 * anything was cut off. */
static __device__ __forceinline__ float sticky(double x)
{
    float y = __double2float_rz(x);
    return (double)y == x ? y : __uint_as_float(__float_as_uint(y) | 1);
}
static __device__ __forceinline__ float sticky(float x) { return x; }

/* Toward zero and modulo 2^64; what is not finite gives 0. */
static __device__ __forceinline__ uint64 whole(double x)
{
    double cut = trunc(x);
    if (cut - cut != 0) return 0;
    if (fabs(cut) < 9223372036854775808.0) return (uint64)(int64)cut;
    cut = fmod(cut, 18446744073709551616.0);
    return cut < 0 ? 0 - (uint64)-cut : (uint64)cut;
}

/* The widest that moves at once. */
struct alignas(16) uint128 {
    uint64 low, high;
};

/* Division of numbers below 2^31 without dividing: made by tn_cuda_divider_of (index.h). */
struct divider {
    uint32 by, multiply, shift;
};
static __device__ __forceinline__ uint32 divide(uint32 n, const divider &d, uint32 *rest)
{
    uint32 q = (__umulhi(n, d.multiply) + n) >> d.shift;
    *rest = n - q * d.by;
    return q;
}

/* ---- Recurrent cells ---- */

/* The approximations of the hardware, 1 and 2 units in the last place, err by less than 2e-7 here:
 * e^-x is one summand beside 1. Overflow ends in 0 and 1, as it should. */
static __device__ __forceinline__ float exp2_approx(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
static __device__ __forceinline__ float reciprocal_approx(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
static __device__ __forceinline__ float cell_sigmoid(float x)
{
    return reciprocal_approx(1.0f + exp2_approx(-1.44269504f * x));
}
/* 1 - 2 / (1 + e^2x) has no digits left near 0: there a polynomial in x^2, to 8e-8 of tanh x. */
static __device__ __forceinline__ float cell_tanh_of(float x, float exp2x_plus_1_inverse)
{
    float s = x * x, p = -6.27638912e-3f;
    p = fmaf(p, s, 2.11162157e-2f);
    p = fmaf(p, s, -5.38751371e-2f);
    p = fmaf(p, s, 1.33329242e-1f);
    p = fmaf(p, s, -3.33333313e-1f);
    float far = copysignf(fmaf(-2.0f, exp2x_plus_1_inverse, 1.0f), x);
    return fabsf(x) < 0.6f ? fmaf(x * s, p, x) : far;
}
static __device__ __forceinline__ float cell_tanh(float x)
{
    return cell_tanh_of(x, reciprocal_approx(1.0f + exp2_approx(2.88539008f * fabsf(x))));
}
/* The functions of ops/epilogue.h, to 2e-7 of 1 or of x: for results of fewer digits than float. Of
 * erf it is the formula 7.1.26 of Abramowitz and Stegun. */
template <int KIND>
static __device__ __forceinline__ float activate_near(float x, float alpha, float beta)
{
    if constexpr (KIND == 2) {
        float z = fabsf(x) * 0.70710678f, t = reciprocal_approx(fmaf(0.3275911f, z, 1.0f));
        float p = fmaf(1.061405429f, t, -1.453152027f);
        p = fmaf(p, t, 1.421413741f);
        p = fmaf(p, t, -0.284496736f);
        p = fmaf(p, t, 0.254829592f) * t * exp2_approx(z * z * -1.44269504f);
        return 0.5f * x * (x < 0 ? p : 2.0f - p);
    } else if constexpr (KIND == 3)
        return x * cell_sigmoid(1.59576912f * fmaf(0.044715f * x, x * x, x));
    else if constexpr (KIND == 4) return cell_tanh(x);
    else if constexpr (KIND == 5) return cell_sigmoid(x);
    else if constexpr (KIND == 6) return x * cell_sigmoid(x);
    else return activate<KIND>(x, alpha, beta);
}
/* The same for results of 16 bits. GELU is x times the normal distribution to there, 0.5 + x p(x^2)
 * cut to [0, 1], which is within 3.7e-5 of it everywhere: nothing but multiplications and sums. */
template <int KIND, class T>
static __device__ __forceinline__ float activate_for(float x, float alpha, float beta)
{
    if constexpr (KIND == 2 && sizeof(T) == 2) {
        float s = x * x, p = fmaf(4.197401454e-11f, s, -4.248965624e-09f);
        p = fmaf(p, s, 1.902230480e-07f);
        p = fmaf(p, s, -5.006154424e-06f);
        p = fmaf(p, s, 8.711753617e-05f);
        p = fmaf(p, s, -1.071385690e-03f);
        p = fmaf(p, s, 9.695147164e-03f);
        p = fmaf(p, s, -6.615559012e-02f);
        p = fmaf(p, s, 3.988020718e-01f);
        return x * __saturatef(fmaf(x, p, 0.5f));
    } else return activate_near<KIND>(x, alpha, beta);
}
/* Four sums over four neighbouring lanes; lane q of them gets sum q. */
static __device__ __forceinline__ float sum_of_four(const float *x, int q)
{
    bool odd = q & 1, high = q & 2;
    float a = odd ? x[1] : x[0], b = odd ? x[3] : x[2];
    a += __shfl_xor_sync(0xffffffffu, odd ? x[0] : x[1], 1);
    b += __shfl_xor_sync(0xffffffffu, odd ? x[2] : x[3], 1);
    return (high ? b : a) + __shfl_xor_sync(0xffffffffu, high ? a : b, 2);
}

/* One step of a unit, in four neighbouring lanes (q tells which). Lane q has gate q, in the order
 * of ONNX: `x` is what comes from the input, `sum` what comes from h. All four get the next h and c.
 * KIND: 0 LSTM, 1 GRU (the reset after the product), 2 RNN with tanh, 3 RNN with relu. */
template <int KIND>
static __device__ __forceinline__ float cell_step(float sum, float x, int q, float h, float *c)
{
    const uint32 all = 0xffffffffu;
    if constexpr (KIND == 0) {
        float v = sum + x;
        float e = exp2_approx(q == 3 ? 2.88539008f * fabsf(v) : -1.44269504f * v);
        float inverse = reciprocal_approx(1.0f + e);
        float gate = q == 3 ? cell_tanh_of(v, inverse) : inverse;
        float input = __shfl_sync(all, gate, 0, 4), output = __shfl_sync(all, gate, 1, 4);
        float forget = __shfl_sync(all, gate, 2, 4), next = __shfl_sync(all, gate, 3, 4);
        *c = fmaf(forget, *c, input * next);
        return output * cell_tanh(*c);
    } else if constexpr (KIND == 1) {
        float candidate = __shfl_sync(all, x, 2, 4);
        float gate = q < 2 ? cell_sigmoid(sum + x) : sum;
        float update = __shfl_sync(all, gate, 0, 4), reset = __shfl_sync(all, gate, 1, 4);
        float n = cell_tanh(fmaf(reset, __shfl_sync(all, gate, 2, 4), candidate));
        return fmaf(update, h - n, n);
    } else {
        return KIND == 2 ? cell_tanh(sum + x) : fmaxf(sum + x, 0.0f);
    }
}

/* N numbers over four lanes: lane q has those at (4 i + q) * wide + e, for e < wide. */
template <int N> struct recurrent_spread {
    enum {
        wide = N % 16 == 0 ? 4 : N % 8 == 0 ? 2 : 1,
        per = (N + 4 * wide - 1) / (4 * wide) * wide,
        padded = 4 * per,
    };
};

/* ---- Rows of 16-bit elements, and their norm ---- */

/* Two neighbours in a register, the first in the lower half. */
template <class E> static __device__ __forceinline__ float first_of(uint32 two)
{
    return to_float(E{(uint16)two});
}
template <class E> static __device__ __forceinline__ float second_of(uint32 two)
{
    return to_float(E{(uint16)(two >> 16)});
}
/* ONCE: elements read or written at once, at least 2, or 1. */
template <int ONCE, class E> static __device__ __forceinline__ uint32 load_two(const E *at)
{
    if constexpr (ONCE > 1) return *(const uint32 *)at;
    else return (uint32)at[0].bits | (uint32)at[1].bits << 16;
}
template <int ONCE, class E> static __device__ __forceinline__ void store_two(uint32 two, E *at)
{
    if constexpr (ONCE > 1) *(uint32 *)at = two;
    else {
        at[0].bits = (uint16)two;
        at[1].bits = (uint16)(two >> 16);
    }
}

/* A thread's parts of a row of WIDE elements: every eighth 16 bytes. */
template <class E, int WIDE> struct part_of_row {
    pack<uint32, 4> at[(WIDE / 8 + 7) / 8];
};

/* ONCE: elements read at once, 8 or 1. */
template <class E, int WIDE, int ONCE>
static __device__ __forceinline__ part_of_row<E, WIDE> load_part(const E *row, bool inside)
{
    part_of_row<E, WIDE> out = {};
    int part = threadIdx.x % 8;
#pragma unroll
    for (int i = 0; i < (WIDE / 8 + 7) / 8; i++) {
        if (!inside || i * 8 + part >= WIDE / 8) continue;
        const E *from = row + (i * 8 + part) * 8;
        if constexpr (ONCE == 8) out.at[i] = *(const pack<uint32, 4> *)from;
        else
            for (int v = 0; v < 4; v++) out.at[i].at[v] = load_two<1>(from + 2 * v);
    }
    return out;
}

static __device__ __forceinline__ float sum_of_eight(float x)
{
    for (int k = 1; k < 8; k <<= 1) x += __shfl_xor_sync(0xffffffffu, x, k);
    return x;
}

/* Bytes [begin, end), in 16s, on their way to shared memory, as a group. */
template <int THREAD_COUNT>
static __device__ __forceinline__ void copy_range(char *to, const char *from, int begin, int end)
{
    for (int at = begin + threadIdx.x * 16; at < end; at += THREAD_COUNT * 16)
        copy_begin(to + at, from + at, true);
    copy_group();
}

/* The factors of a norm and, behind them, its summands on their way to shared memory. */
template <class E, int WIDE, int THREAD_COUNT>
static __device__ __forceinline__ void copy_affine(const E *scale, const E *shift, E *affine)
{
    for (int i = threadIdx.x; i < 2 * WIDE / 8; i += THREAD_COUNT) {
        const E *from = i < WIDE / 8 ? scale : shift;
        copy_begin(affine + i * 8, from ? from + i * 8 % WIDE : scale, from);
    }
    copy_group();
}

/* Eight threads norm a row. */
template <class E, int WIDE>
static __device__ __forceinline__ void norm_part(part_of_row<E, WIDE> &x, const E *affine,
                                                 float epsilon)
{
    constexpr int EACH = (WIDE / 8 + 7) / 8;
    int part = threadIdx.x % 8;
    float mean = 0, variance = 0;
#pragma unroll
    for (int i = 0; i < EACH * 4; i++)
        mean += first_of<E>(x.at[i / 4].at[i % 4]) + second_of<E>(x.at[i / 4].at[i % 4]);
    mean = sum_of_eight(mean) * (1.0f / WIDE);
#pragma unroll
    for (int i = 0; i < EACH * 4; i++) {
        float a = first_of<E>(x.at[i / 4].at[i % 4]) - mean;
        float b = second_of<E>(x.at[i / 4].at[i % 4]) - mean;
        if (i / 4 * 8 + part < WIDE / 8) variance += a * a + b * b;
    }
    float by = rsqrtf(sum_of_eight(variance) * (1.0f / WIDE) + epsilon);
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        if (i * 8 + part >= WIDE / 8) continue;
        const E *from = affine + (i * 8 + part) * 8;
        pack<uint32, 4> scale = *(const pack<uint32, 4> *)from;
        pack<uint32, 4> shift = *(const pack<uint32, 4> *)(from + WIDE);
#pragma unroll
        for (int v = 0; v < 4; v++) {
            uint32 two = x.at[i].at[v];
            float a = (first_of<E>(two) - mean) * by, b = (second_of<E>(two) - mean) * by;
            x.at[i].at[v] = pair_of(E(), a * first_of<E>(scale.at[v]) + first_of<E>(shift.at[v]),
                                    b * second_of<E>(scale.at[v]) + second_of<E>(shift.at[v]));
        }
    }
}

/* ---- Clusters and barriers in shared memory (9.0) ---- */

/* All threads of all blocks of the cluster: what was written before arriving, in global memory and
 * in anybody's shared memory, is seen after waiting. */
static __device__ __forceinline__ void cluster_arrive()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release;" ::: "memory");
#endif
}
static __device__ __forceinline__ void cluster_wait()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
#endif
}
/* The address, in the window of the cluster, of what lies at `own` (shared_address) in block
 * `rank`. */
static __device__ __forceinline__ uint32 cluster_address(uint32 own, uint32 rank)
{
#if __CUDA_ARCH__ >= 900
    uint32 at;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(own), "r"(rank));
    return at;
#else
    return own;
#endif
}
/* The same as a pointer: a store through it needs no other address made. */
static __device__ __forceinline__ float *cluster_pointer(float *own, uint32 rank)
{
#if __CUDA_ARCH__ >= 900
    float *at;
    asm("mapa.u64 %0, %1, %2;" : "=l"(at) : "l"(own), "r"(rank));
    return at;
#else
    return own;
#endif
}
static __device__ __forceinline__ void cluster_store(uint32 at, float x)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(at), "f"(x) : "memory");
#endif
}
/* Stores and counts the four bytes at a barrier, both of the same block; waits for nothing. */
static __device__ __forceinline__ void cluster_send(uint32 at, float x, uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::
                     "r"(at),
                 "r"(__float_as_uint(x)), "r"(barrier)
                 : "memory");
#endif
}
/* Two or four neighbours at once, aligned so; one message each, which is what sending costs. */
static __device__ __forceinline__ void cluster_store(uint32 at, const float (&x)[2])
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.shared::cluster.v2.f32 [%0], {%1, %2};" ::"r"(at), "f"(x[0]), "f"(x[1])
                 : "memory");
#endif
}
static __device__ __forceinline__ void cluster_store(uint32 at, const float (&x)[4])
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(at), "f"(x[0]), "f"(x[1]),
                 "f"(x[2]), "f"(x[3])
                 : "memory");
#endif
}
static __device__ __forceinline__ void cluster_send(uint32 at, const float (&x)[2], uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::
            "r"(at),
        "r"(__float_as_uint(x[0])), "r"(__float_as_uint(x[1])), "r"(barrier)
        : "memory");
#endif
}
static __device__ __forceinline__ void cluster_send(uint32 at, const float (&x)[4], uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], "
                 "{%1, %2, %3, %4}, [%5];" ::"r"(at),
                 "r"(__float_as_uint(x[0])), "r"(__float_as_uint(x[1])),
                 "r"(__float_as_uint(x[2])), "r"(__float_as_uint(x[3])), "r"(barrier)
                 : "memory");
#endif
}
/* A barrier whose phase ends when so many threads have arrived, or expected bytes and these have
 * come. After making them: barrier_made, then a barrier of the block or the cluster. */
static __device__ __forceinline__ void barrier_make(uint32 barrier, uint32 count = 1)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
#endif
}
static __device__ __forceinline__ void barrier_arrive(uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#endif
}
static __device__ __forceinline__ void barrier_made()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
static __device__ __forceinline__ void barrier_expect(uint32 barrier, uint32 bytes)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
                 : "memory");
#endif
}
/* Until the phase of this parity (0 the first, 1 the second, ...) has ended. */
static __device__ __forceinline__ void barrier_wait(uint32 barrier, uint32 parity)
{
#if __CUDA_ARCH__ >= 900
    uint32 done;
    do
        asm volatile("{ .reg .pred p;\n"
                     "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
    while (!done);
#endif
}
/* The same of what this block's threads and its own copies do: less is to be made visible (waiting
 * for a cluster throws away the first cache). */
static __device__ __forceinline__ void barrier_wait_block(uint32 barrier, uint32 parity)
{
#if __CUDA_ARCH__ >= 900
    uint32 done;
    do
        asm volatile("{ .reg .pred p;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
    while (!done);
#endif
}
/* `bytes`, a multiple of 16 as both addresses are, from global to this block's shared memory,
 * counted at the barrier. */
static __device__ __forceinline__ void copy_bulk(uint32 to, const void *from, uint32 bytes,
                                                 uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
            "r"(to),
        "l"(from), "r"(bytes), "r"(barrier)
        : "memory");
#endif
}
/* A tensor as the copy engine knows it, made by the driver: a parameter of a kernel that is
 * __grid_constant__. */
struct alignas(64) tensor_map {
    uint64 at[16];
};
/* A box of it, of four axes, the first one along memory, from there on to this block's shared
 * memory, all of its bytes counted at the barrier; zeros beyond the tensor. */
static __device__ __forceinline__ void copy_tensor(uint32 to, const tensor_map *map, int x0, int x1,
                                                   int x2, int x3, uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
                 "l"(map), "r"(x0), "r"(x1), "r"(x2), "r"(x3), "r"(barrier)
                 : "memory");
#endif
}
/* The map itself on its way. */
static __device__ __forceinline__ void fetch_map(const tensor_map *map)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#endif
}

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
