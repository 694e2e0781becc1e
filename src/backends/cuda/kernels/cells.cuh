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
        float bent = cell_tanh_of(v, inverse); /* by all lanes: no branch parts them */
        float gate = q == 3 ? bent : inverse;
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

