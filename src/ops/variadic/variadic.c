/* Max, Min, Sum and Mean over their inputs. The running value is kept wide in scratch, so that
 * 16-bit sums round once. */
#include <math.h>

#include "ir/gradient.h"
#include "ops/elementwise/elementwise.h"

typedef double (*variadic_f)(double so_far, double x);
typedef int64_t (*variadic_i)(int64_t so_far, int64_t x, bool is_unsigned);

static double max_f(double so_far, double x)
{
    return so_far > x || isnan(so_far) ? so_far : x;
}

static double min_f(double so_far, double x)
{
    return so_far < x || isnan(so_far) ? so_far : x;
}

static double sum_f(double so_far, double x)
{
    return so_far + x;
}

static int64_t max_i(int64_t so_far, int64_t x, bool is_unsigned)
{
    return (is_unsigned ? (uint64_t)so_far > (uint64_t)x : so_far > x) ? so_far : x;
}

static int64_t min_i(int64_t so_far, int64_t x, bool is_unsigned)
{
    return (is_unsigned ? (uint64_t)so_far < (uint64_t)x : so_far < x) ? so_far : x;
}

static tn_expr known_max(tn_exprs *exprs, const tn_expr *in, int count)
{
    tn_expr top = in[0];
    for (int k = 1; k < count; k++) top = tn_expr_max(exprs, top, in[k]);
    return top;
}

static tn_expr known_min(tn_exprs *exprs, const tn_expr *in, int count)
{
    tn_expr low = in[0];
    for (int k = 1; k < count; k++) low = tn_expr_min(exprs, low, in[k]);
    return low;
}

static tn_status infer_variadic(tn_infer *f, tn_known_map known)
{
    int rank;
    tn_expr dim[TN_RANK_MAX];
    TN_TRY(tn_infer_broadcast(f, 0, f->in_count, &rank, dim));
    tn_infer_set(f, 0, f->in[0].dtype, rank, dim);
    if (known) tn_elementwise_known(f, f->in_count, known);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return (size_t)tn_tensor_count(&p->out[0]) * sizeof(double);
}

static tn_status fold_floats(const tn_launch *l, variadic_f f, bool mean)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    double *sum = l->scratch;
    tn_walk w;
    for (int k = 0; k < p->in_count; k++) {
        const tn_tensor *x = &p->in[k];
        TN_TRY(tn_walk_init(&w, y, &x, 1));
        for (int64_t at = 0; at < w.count; at++, tn_walk_next(&w)) {
            double value = tn_load_f64(x->dtype, x->data, w.at[0]);
            sum[at] = k == 0 ? value : f(sum[at], value);
        }
    }
    for (int64_t at = 0; at < tn_tensor_count(y); at++)
        tn_store_f64(y->dtype, y->data, at, mean ? sum[at] / p->in_count : sum[at]);
    return NULL;
}

/* The output is wide enough for the running value of a maximum. */
static tn_status fold_integers(const tn_launch *l, variadic_i i)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    bool is_unsigned = tn_dtype_kind_of(y->dtype) == TN_KIND_U;
    tn_walk w;
    for (int k = 0; k < p->in_count; k++) {
        const tn_tensor *x = &p->in[k];
        TN_TRY(tn_walk_init(&w, y, &x, 1));
        for (int64_t at = 0; at < w.count; at++, tn_walk_next(&w)) {
            int64_t value = tn_load_i64(x->dtype, x->data, w.at[0]);
            if (k > 0) value = i(tn_load_i64(y->dtype, y->data, at), value, is_unsigned);
            tn_store_i64(y->dtype, y->data, at, value);
        }
    }
    return NULL;
}

/* The gradient of a maximum goes to the inputs that are it, in equal shares. */
static void gradient_extreme(tn_gradient *g)
{
    tn_value *y = g->node->out[0], *ties = NULL;
    tn_attr to = tn_attr_int("to", y->type.dtype);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < g->node->in_count; i++) {
            tn_value *is = tn_gradient_op(g, "Equal", TN_IN(g->node->in[i], y), TN_PLAIN);
            is = tn_gradient_op(g, "Cast", TN_IN(is), &to, 1);
            tn_named more[] = {{.name = "is", .value = is}, {.name = "ties", .value = ties}};
            if (pass == 1) tn_gradient_give(g, i, tn_gradient_write(g, "dy * is / ties", more, 2));
            else ties = ties ? tn_gradient_op(g, "Add", TN_IN(ties, is), TN_PLAIN) : is;
        }
    }
}

static void gradient_sum(tn_gradient *g)
{
    for (int i = 0; i < g->node->in_count; i++) tn_gradient_give(g, i, g->dy[0]);
}

static void gradient_mean(tn_gradient *g)
{
    tn_named n = {.name = "n", .number = g->node->in_count};
    tn_value *share = tn_gradient_write(g, "dy / n", &n, 1);
    for (int i = 0; i < g->node->in_count; i++) tn_gradient_give(g, i, share);
}

#define ROW(c, title, opset, types, f, i, mean, known, rule, text)                                 \
    extern const tn_case tn_##c##_cases[];                                                         \
    static const tn_port in_##c[] = {{"data", types, 'T', TN_PORT_VARIADIC}};                      \
    static const tn_port out_##c[] = {{"result", types, 'T', 0}};                                  \
    static tn_status infer_##c(tn_infer *infer)                                                    \
    {                                                                                              \
        return infer_variadic(infer, known);                                                       \
    }                                                                                              \
    static tn_status reference_##c(const tn_launch *l)                                             \
    {                                                                                              \
        bool floats = tn_dtype_kind_of(l->problem->in[0].dtype) == TN_KIND_F;                      \
        return floats ? fold_floats(l, f, mean) : fold_integers(l, i);                             \
    }                                                                                              \
    const tn_op tn_op_##c = {                                                                      \
        .name = title,                                                                             \
        .since = opset,                                                                            \
        .about = text,                                                                             \
        .in = in_##c,                                                                              \
        .in_count = 1,                                                                             \
        .out = out_##c,                                                                            \
        .out_count = 1,                                                                            \
        .infer = infer_##c,                                                                        \
        .reference = reference_##c,                                                                \
        .scratch_bytes = scratch_bytes,                                                            \
        .gradient = rule,                                                                          \
        .cases = tn_##c##_cases,                                                                   \
    };
#include "ops/variadic/variadic.def"
