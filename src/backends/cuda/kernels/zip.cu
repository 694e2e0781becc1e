/* Operators of several inputs, element by element under broadcasting.
 *
 * COUNT operands of the types T0, T1, T2 (a fold has T0 alone) become one of TY, computed in TW; VEC
 * neighbours for each thread. The host has joined the axes to RANK; bit k of LAST: operand k steps
 * along the innermost one, else its element is the same for all VEC. FORM: 0 OP(a, b, mode), 1
 * select, 2 a fold by OP from left to right, which DIVIDE turns into a mean. CUT: a float goes into
 * an integer, toward zero and modulo 2^64. */
#ifndef OP
#define T0 float
#define T1 float
#define T2 float
#define TY float
#define TW float
#define VEC 4
#define RANK 2
#define COUNT 2
#define LAST 3
#define FORM 0
#define DIVIDE 0
#define CUT 0
#define OP op_add
#endif

struct operands { /* mirrored in zip.c */
    const void *in[8];
    void *y;
    uint32 count; /* elements of y */
    int32 mode;
    divider dim[8]; /* the innermost in vectors */
    uint32 step[8][8];
};

/* ---- Functions -------------------------------------------------------------------------------*/

#define PLAIN(name, expression)                                                                    \
    template <class S> static __device__ __forceinline__ S op_##name(S a, S b, int)                \
    {                                                                                              \
        return (S)(expression);                                                                    \
    }
PLAIN(add, a + b)
PLAIN(sub, a - b)
PLAIN(mul, a *b)
PLAIN(prelu, a < 0 ? a * b : a)
PLAIN(bitwise_and, a &b)
PLAIN(bitwise_or, a | b)
PLAIN(bitwise_xor, a ^ b)
PLAIN(and, a &b)
PLAIN(or, a | b)
PLAIN(xor, a ^ b)
PLAIN(equal, a == b)
PLAIN(greater, a > b)
PLAIN(greater_or_equal, a >= b)
PLAIN(less, a < b)
PLAIN(less_or_equal, a <= b)
PLAIN(max, a > b || a != a ? a : b)
PLAIN(min, a < b || a != a ? a : b)
PLAIN(sum, a + b)
PLAIN(mean, a + b)
#undef PLAIN

static __device__ __forceinline__ float op_div(float a, float b, int) { return a / b; }
static __device__ __forceinline__ double op_div(double a, double b, int) { return a / b; }
static __device__ __forceinline__ uint64 op_div(uint64 a, uint64 b, int) { return b ? a / b : 0; }
static __device__ __forceinline__ int64 op_div(int64 a, int64 b, int)
{
    if (b == 0) return 0;
    return b == -1 ? (int64)(0 - (uint64)a) : a / b;
}

template <class S> static __device__ __forceinline__ S mod_float(S a, S b, int of_dividend)
{
    S rest = fmod(a, b);
    return !of_dividend && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
static __device__ __forceinline__ float op_mod(float a, float b, int m)
{
    return mod_float(a, b, m);
}
static __device__ __forceinline__ double op_mod(double a, double b, int m)
{
    return mod_float(a, b, m);
}
static __device__ __forceinline__ uint64 op_mod(uint64 a, uint64 b, int) { return b ? a % b : 0; }
static __device__ __forceinline__ int64 op_mod(int64 a, int64 b, int of_dividend)
{
    if (b == 0) return 0;
    int64 rest = b == -1 ? 0 : a % b;
    return !of_dividend && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* Squares are most of what models raise to a power. */
static __device__ __forceinline__ float op_pow(float a, float b, int)
{
    return b == 2 ? a * a : pow(a, b);
}
static __device__ __forceinline__ double op_pow(double a, double b, int)
{
    return b == 2 ? a * a : pow(a, b);
}
static __device__ __forceinline__ uint64 op_pow(uint64 base, uint64 left, int)
{
    uint64 product = 1;
    for (; left; left >>= 1) {
        if (left & 1) product *= base;
        base *= base;
    }
    return product;
}
static __device__ __forceinline__ int64 op_pow(int64 a, int64 b, int mode)
{
    if (b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? -1 : 0;
    return (int64)op_pow((uint64)a, (uint64)b, mode);
}

static __device__ __forceinline__ uint64 op_bit_shift(uint64 a, uint64 b, int right)
{
    if (b > 63) return 0;
    return right ? a >> b : a << b;
}
static __device__ __forceinline__ int64 op_bit_shift(int64 a, int64 b, int right)
{
    bool beyond = b < 0 || b > 63;
    if (!right) return beyond ? 0 : (int64)((uint64)a << b);
    if (beyond) return a < 0 ? -1 : 0;
    return a >> b;
}

/* ---- The kernel ------------------------------------------------------------------------------*/

/* VEC values of an operand from element `at`; LENGTH of them are there. */
template <bool STEPS, class E>
static __device__ __forceinline__ void fetch(const void *from, uint32 at, uint32 length, TW *value)
{
    const E *x = (const E *)from + at;
    if (!STEPS) {
        TW one = as<TW>(*x);
#pragma unroll
        for (int i = 0; i < VEC; i++) value[i] = one;
    } else if (length >= VEC) {
        vec<E, VEC> in = *(const vec<E, VEC> *)x;
#pragma unroll
        for (int i = 0; i < VEC; i++) value[i] = as<TW>(in.at[i]);
    } else {
#pragma unroll
        for (int i = 0; i < VEC; i++) value[i] = as<TW>(x[i < length ? i : 0]);
    }
}

static __device__ __forceinline__ void store(TW value, TY *y)
{
#if CUT
    *y = (TY)whole((double)value);
#else
    put(value, y);
#endif
}

extern "C" __global__ void __launch_bounds__(256) zip(const __grid_constant__ operands p)
{
    uint32 rest = blockIdx.x * 256 + threadIdx.x, to = rest * VEC, at[COUNT] = {0};
    tn_start_consumer();
    tn_wait_for_producer();
    if (to >= p.count) return;
#pragma unroll
    for (int axis = RANK - 1; axis > 0; axis--) {
        uint32 i;
        rest = divide(rest, p.dim[axis], &i);
#pragma unroll
        for (int k = 0; k < COUNT; k++) at[k] += i * p.step[k][axis];
    }
#pragma unroll
    for (int k = 0; k < COUNT; k++) at[k] += rest * p.step[k][0];
    uint32 length = p.count - to;
    TW value[COUNT][VEC], result[VEC];
    fetch<(LAST & 1) != 0, T0>(p.in[0], at[0], length, value[0]);
#if FORM == 2
#pragma unroll
    for (int k = 1; k < COUNT; k++) {
        if (LAST >> k & 1) fetch<true, T0>(p.in[k], at[k], length, value[k]);
        else fetch<false, T0>(p.in[k], at[k], length, value[k]);
    }
#else
    fetch<(LAST & 2) != 0, T1>(p.in[1], at[1], length, value[1]);
#endif
#if FORM == 1
    fetch<(LAST & 4) != 0, T2>(p.in[2], at[2], length, value[2]);
#endif
#pragma unroll
    for (int i = 0; i < VEC; i++) {
#if FORM == 0
        result[i] = OP(value[0][i], value[1][i], p.mode);
#elif FORM == 1
        result[i] = value[0][i] ? value[1][i] : value[2][i];
#else
        result[i] = value[0][i];
#pragma unroll
        for (int k = 1; k < COUNT; k++) result[i] = OP(result[i], value[k][i], 0);
#if DIVIDE
        result[i] /= COUNT;
#endif
#endif
    }
    TY *y = (TY *)p.y + to;
    vec<TY, VEC> out;
#pragma unroll
    for (int i = 0; i < VEC; i++) store(result[i], &out.at[i]);
    if (length >= VEC) *(vec<TY, VEC> *)y = out;
    else
        for (int i = 0; i < length; i++) y[i] = out.at[i];
}
