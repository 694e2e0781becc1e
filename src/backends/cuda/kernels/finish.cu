/* What is left to do behind a library's kernel, in place:
 *
 *     y[i] = activation(y[i] + bias[i / INNER % channels] + residual[i])
 *
 * TYPE: of elements. V: of them at once, which divides the count; where V > 1 it divides `inner`
 * too. ACT: the activation. */
#ifndef TYPE
#define TYPE float
#define V 4
#define ACT 2
#endif
typedef TYPE T;

extern "C" __global__ void __launch_bounds__(256)
    finish(T *y, const T *bias, const T *residual, int64 count, int64 inner, int channels,
           float alpha, float beta)
{
    int64 i = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * V;
    tn_wait_for_producer();
    if (i >= count) return;
    pack<T, V> some = *(const pack<T, V> *)(y + i), more = {};
    float add = bias ? to_float(bias[i / inner % channels]) : 0;
    if (residual) more = *(const pack<T, V> *)(residual + i);
    tn_start_consumer();
#pragma unroll
    for (int v = 0; v < V; v++) {
        float value = to_float(some.at[v]) + add;
        if (residual) value += to_float(more.at[v]);
        if constexpr (sizeof(T) == 2) value = activate_near<ACT>(value, alpha, beta);
        else value = activate<ACT>(value, alpha, beta);
        from_float(value, &some.at[v]);
    }
    *(pack<T, V> *)(y + i) = some;
}
