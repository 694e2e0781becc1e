/* Operators of one input, element by element.
 *
 * TX, TY: the types of the elements; TW: what they are computed in; VEC: how many a thread takes, side by
 * side; OP: the function, op_<row of ops/unary/unary.def>. clip has one type. */
#ifndef OP
#define TX float
#define TY float
#define TW float
#define VEC 4
#define OP op_relu
#endif

struct settings { /* mirrored in pointwise.c */
    float alpha, beta, gamma, lambd, bias;
    int32 approximate, detect_negative, detect_positive;
};

#define PLAIN(name, expression)                                                                    \
    template <typename S> static __device__ __forceinline__ S op_##name(S x, const settings &p)    \
    {                                                                                              \
        return expression;                                                                         \
    }
PLAIN(neg, (S)0 - x)
PLAIN(ceil, ceil(x))
PLAIN(floor, floor(x))
PLAIN(round, rint(x))
PLAIN(sqrt, sqrt(x))
PLAIN(reciprocal, 1 / x)
PLAIN(exp, exp(x))
PLAIN(log, log(x))
PLAIN(sin, sin(x))
PLAIN(cos, cos(x))
PLAIN(tan, tan(x))
PLAIN(asin, asin(x))
PLAIN(acos, acos(x))
PLAIN(atan, atan(x))
PLAIN(sinh, sinh(x))
PLAIN(cosh, cosh(x))
PLAIN(tanh, tanh(x))
PLAIN(asinh, asinh(x))
PLAIN(acosh, acosh(x))
PLAIN(atanh, atanh(x))
PLAIN(erf, erf(x))
PLAIN(relu, x < 0 ? (S)0 : x)
PLAIN(not, (S)(x == 0))
PLAIN(bitwise_not, ~x)
PLAIN(sigmoid, 1 / (1 + exp(-x)))
PLAIN(softplus, (x > 0 ? x : (S)0) + log1p(exp(-fabs(x))))
PLAIN(softsign, x / (1 + fabs(x)))
PLAIN(mish, x *tanh((x > 0 ? x : (S)0) + log1p(exp(-fabs(x)))))
PLAIN(leaky_relu, x < 0 ? (S)p.alpha * x : x)
PLAIN(elu, x < 0 ? (S)p.alpha * expm1(x) : x)
PLAIN(selu, (S)p.gamma * (x <= 0 ? (S)p.alpha * expm1(x) : x))
PLAIN(thresholded_relu, x > (S)p.alpha ? x : (S)0)
PLAIN(swish, x / (1 + exp(-(S)p.alpha * x)))
PLAIN(is_nan, (S)(x != x))
#undef PLAIN

/* Minus zero is a value of its own: 0 - x would lose it. */
static __device__ __forceinline__ float op_neg(float x, const settings &) { return -x; }
static __device__ __forceinline__ double op_neg(double x, const settings &) { return -x; }
static __device__ __forceinline__ float op_abs(float x, const settings &) { return fabs(x); }
static __device__ __forceinline__ double op_abs(double x, const settings &) { return fabs(x); }
static __device__ __forceinline__ int64 op_abs(int64 x, const settings &)
{
    return x < 0 ? (int64)(0 - (uint64)x) : x;
}
static __device__ __forceinline__ uint64 op_abs(uint64 x, const settings &) { return x; }

template <typename S> static __device__ __forceinline__ S op_sign(S x, const settings &)
{
    return x > 0 ? (S)1 : x < 0 ? (S)-1 : x;
}

template <typename S> static __device__ __forceinline__ S op_celu(S x, const settings &p)
{
    S low = (S)p.alpha * expm1(x / (S)p.alpha);
    return (x < 0 ? (S)0 : x) + (low > 0 ? (S)0 : low);
}

template <typename S> static __device__ __forceinline__ S op_hard_sigmoid(S x, const settings &p)
{
    S y = (S)p.alpha * x + (S)p.beta;
    return y < 0 ? (S)0 : y > 1 ? (S)1 : y;
}

template <typename S> static __device__ __forceinline__ S op_hard_swish(S x, const settings &)
{
    S gate = x / 6 + (S)0.5;
    return x * (gate < 0 ? (S)0 : gate > 1 ? (S)1 : gate);
}

template <typename S> static __device__ __forceinline__ S op_shrink(S x, const settings &p)
{
    return x < -(S)p.lambd ? x + (S)p.bias : x > (S)p.lambd ? x - (S)p.bias : (S)0;
}

/* Spelled so that nothing cancels far below zero: 1 + erf(u) = erfc(-u), and
 * (1 + tanh(u)) / 2 = 1 / (1 + e^-2u). */
template <typename S> static __device__ __forceinline__ S op_gelu(S x, const settings &p)
{
    if (p.approximate == 0) return (S)0.5 * x * erfc(x * (S)-0.70710678118654752440);
    return x / (1 + exp((S)-1.59576912160573071176 * (x + (S)0.044715 * x * x * x)));
}

template <typename S> static __device__ __forceinline__ S op_is_inf(S x, const settings &p)
{
    bool is = x - x != 0 && x == x;
    return (S)(is && (x > 0 ? p.detect_positive : p.detect_negative) != 0);
}

/* What is left of a thread's VEC elements at the end of the tensor. */
static __device__ __forceinline__ int length_of(int64 at, int64 count)
{
    return count - at < VEC ? (int)(count - at) : VEC;
}

extern "C" __global__ void __launch_bounds__(256)
    pointwise(const TX *x, TY *y, int64 count, settings p)
{
    int64 at = ((int64)blockIdx.x * 256 + threadIdx.x) * VEC;
    tn_start_consumer();
    tn_wait_for_producer();
    if (at >= count) return;
    vec<TX, VEC> in;
    vec<TY, VEC> out;
    int length = length_of(at, count);
    if (length == VEC) in = *(const vec<TX, VEC> *)(x + at);
    else
        for (int i = 0; i < length; i++) in.at[i] = x[at + i];
#pragma unroll
    for (int i = 0; i < VEC; i++) put(OP(as<TW>(in.at[i]), p), &out.at[i]);
    if (length == VEC) *(vec<TY, VEC> *)(y + at) = out;
    else
        for (int i = 0; i < length; i++) y[at + i] = out.at[i];
}

/* Bounds that are NULL do not bind; where low > high, high wins. */
extern "C" __global__ void __launch_bounds__(256)
    clip(const TX *x, const TX *low_at, const TX *high_at, TX *y, int64 count)
{
    int64 at = ((int64)blockIdx.x * 256 + threadIdx.x) * VEC;
    tn_start_consumer();
    tn_wait_for_producer();
    if (at >= count) return;
    vec<TX, VEC> in;
    int length = length_of(at, count);
    TW low = low_at ? as<TW>(*low_at) : (TW)0, high = high_at ? as<TW>(*high_at) : (TW)0;
    if (length == VEC) in = *(const vec<TX, VEC> *)(x + at);
    else
        for (int i = 0; i < length; i++) in.at[i] = x[at + i];
#pragma unroll
    for (int i = 0; i < VEC; i++) {
        TW value = as<TW>(in.at[i]);
        if (low_at && value < low) value = low;
        if (high_at && value > high) value = high;
        put(value, &in.at[i]);
    }
    if (length == VEC) *(vec<TX, VEC> *)(y + at) = in;
    else
        for (int i = 0; i < length; i++) y[at + i] = in.at[i];
}
