/* How MatMul, Gemm and Linear are read: y[batch, m, n] = end(a[., m, k] * b[., k, n]). */
#ifndef TN_BACKENDS_CPU_PRODUCT_H
#define TN_BACKENDS_CPU_PRODUCT_H

#include "backends/cpu/kernels/tile_end.h"
#include "device/device.h"
#include "ops/gemm/gemm.h"
#include "ops/linear/linear.h"
#include "ops/matmul/matmul.h"

typedef struct product {
    tn_matmul_plan plan;
    int64_t b_row, b_column; /* steps of b's elements */
    int64_t a_row, a_column; /* and of a's, one of them 1 */
    tile_end end;
    int64_t matrices; /* of b */
} product;

static const float *product_input(const tn_problem *p, int index)
{
    return index < p->in_count && p->in[index].dtype != TN_DTYPE_NONE ? p->in[index].data : NULL;
}

static void product_read_matmul(const tn_problem *p, product *out)
{
    tn_matmul_plan_of(p, &out->plan);
    out->b_row = out->plan.n;
    out->b_column = out->a_column = 1;
    out->a_row = out->plan.k;
    const tn_tensor *b = &p->in[1];
    out->matrices = b->rank > 2 ? tn_dims_product(b->dim, 0, b->rank - 2) : 1;
}

static void product_read_linear(const tn_problem *p, product *out)
{
    const tn_linear_params *params = p->params;
    product_read_matmul(p, out);
    out->end.function = params->epilogue;
    out->end.bias = product_input(p, 2);
    out->end.bias_column = 1;
    out->end.residual = product_input(p, 3);
}

static void product_read_gemm(const tn_problem *p, product *out)
{
    const tn_gemm_params *params = p->params;
    const tn_tensor *y = &p->out[0], *c = &p->in[2];
    int64_t m = y->dim[0], n = y->dim[1], k = p->in[1].dim[params->transB ? 1 : 0];
    out->plan = (tn_matmul_plan){.m = m, .n = n, .k = k, .batch = 1};
    out->b_row = params->transB ? 1 : n;
    out->b_column = params->transB ? k : 1;
    out->a_row = params->transA ? 1 : k;
    out->a_column = params->transA ? m : 1;
    out->end.alpha = params->alpha;
    out->end.beta = params->beta;
    out->end.bias = product_input(p, 2);
    if (!out->end.bias) return;
    if (c->rank > 0 && c->dim[c->rank - 1] != 1) out->end.bias_column = 1;
    if (c->rank > 1 && c->dim[0] != 1) out->end.bias_row = c->dim[1];
}

static void product_read(const tn_problem *p, product *out)
{
    *out = (product){.matrices = 1, .end = {.alpha = 1, .beta = 1}};
    if (p->op[0] == 'M') product_read_matmul(p, out);
    else if (p->op[0] == 'L') product_read_linear(p, out);
    else product_read_gemm(p, out);
    out->end.y = p->out[0].data;
    tile_end_close(&out->end);
}

/* Is b a weight, packed when the engine is built? */
static inline bool product_is_packed(const tn_problem *p)
{
    return p->in_constant & 2;
}

/* Where the rows [row, ...) of one batch's a and the matrix of its b are. */
static inline const float *product_rows(const product *w, const float *a, int64_t batch,
                                        int64_t row, int64_t *matrix)
{
    int64_t a_at, b_at, size = w->plan.k * w->plan.n;
    tn_matmul_offsets(&w->plan, batch, &a_at, &b_at);
    *matrix = size ? b_at / size : 0;
    return a + a_at + row * w->a_row;
}

#endif
