/* Reshape-14: the same elements in the same order under another shape.
 *
 * In the shape, 0 copies the input's dim (unless allowzero) and one -1 takes what is left. What is
 * left is found by cancelling equal factors of the input's dims and the target's before dividing:
 * that is exact even where a symbolic dim may be 0, and [N, S, 12, 64] -> [N, S, -1] gives 768. */
#include "ops/reshape/reshape.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_reshape_params, allowzero, 0),
};
static const tn_port ins[] = {{"data", TN_DTS_ANY, 'T', 0}, {"shape", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"reshaped", TN_DTS_ANY, 'T', 0}};

/* A product taken apart: a constant and the factors beside it. */
#define FACTORS_MAX 64
typedef struct factors {
    int64_t constant;
    int count;
    tn_expr at[FACTORS_MAX];
    bool whole; /* false: it did not fit, factors are not to be trusted */
} factors;

static void add_factor(const tn_exprs *exprs, factors *product, tn_expr e)
{
    tn_expr stack[FACTORS_MAX];
    int depth = 0;
    stack[depth++] = e;
    while (depth > 0) {
        tn_expr top = stack[--depth];
        const tn_expr_node *node = tn_expr_get(exprs, top);
        if (node->op == TN_EXPR_OP_CONST) {
            if (!tn_mul_i64(product->constant, node->value, &product->constant))
                product->whole = false;
        } else if (node->op == TN_EXPR_OP_MUL && depth + 2 <= FACTORS_MAX) {
            stack[depth++] = node->a;
            stack[depth++] = node->b;
        } else if (product->count < FACTORS_MAX) {
            product->at[product->count++] = top;
        } else {
            product->whole = false;
        }
    }
}

/* Takes factors that both have out of both. */
static void cancel(factors *a, factors *b)
{
    for (int i = 0; i < a->count; i++) {
        for (int j = 0; j < b->count; j++) {
            if (a->at[i] != b->at[j]) continue;
            a->at[i--] = a->at[--a->count];
            b->at[j] = b->at[--b->count];
            break;
        }
    }
    if (b->constant > 1 && a->constant % b->constant == 0) {
        a->constant /= b->constant;
        b->constant = 1;
    }
}

static tn_expr multiply(tn_exprs *exprs, const factors *product)
{
    tn_expr e = tn_expr_const(exprs, product->constant);
    for (int i = 0; i < product->count; i++) e = tn_expr_mul(exprs, e, product->at[i]);
    return e;
}

/* The dim at `hole`, so that the output holds what the input does. */
static tn_status fill_hole(tn_infer *f, int rank, tn_expr *dim, int hole)
{
    const tn_type *x = &f->in[0];
    factors have = {.constant = 1, .whole = true}, used = {.constant = 1, .whole = true};
    for (int axis = 0; axis < x->rank; axis++) {
        if (!x->dim[axis]) have.whole = false;
        else add_factor(f->exprs, &have, x->dim[axis]);
    }
    for (int axis = 0; axis < rank; axis++) {
        if (axis == hole) continue;
        if (!dim[axis]) used.whole = false;
        else add_factor(f->exprs, &used, dim[axis]);
    }
    if (x->rank < 0 || !have.whole || !used.whole) {
        dim[hole] = tn_infer_fresh(f);
        return NULL;
    }
    cancel(&have, &used);
    if (!have.count && !used.count) {
        TN_CHECK(used.constant != 0, TN_INVALID,
                 "a dim of -1 cannot be told beside a dim of 0; write it out");
        TN_CHECK(have.constant % used.constant == 0, TN_INVALID,
                 "the input's elements do not divide into the shape: %lld over %lld",
                 (long long)have.constant, (long long)used.constant);
    }
    dim[hole] = tn_expr_div(f->exprs, multiply(f->exprs, &have), multiply(f->exprs, &used));
    return NULL;
}

static tn_status check_counts(tn_infer *f, int rank, const tn_expr *dim)
{
    const tn_type *x = &f->in[0];
    int64_t have, want;
    char from[200], to[200];
    if (x->rank < 0) return NULL;
    if (!tn_expr_is_const(f->exprs, tn_infer_product(f, x->dim, 0, x->rank), &have)) return NULL;
    if (!tn_expr_is_const(f->exprs, tn_infer_product(f, dim, 0, rank), &want)) return NULL;
    tn_type target = tn_type_of(x->dtype, rank, dim);
    TN_CHECK(have == want, TN_INVALID, "%s has %lld elements and cannot become %s, which has %lld",
             tn_type_text(f->exprs, x, from, sizeof(from)), (long long)have,
             tn_type_text(f->exprs, &target, to, sizeof(to)), (long long)want);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_reshape_params *params = f->params;
    const tn_type *x = &f->in[0];
    const tn_expr *at;
    tn_expr dim[TN_RANK_MAX] = {0};
    int64_t rank, value;
    int hole = -1;
    if (!tn_infer_exprs(f, 1, &at, &rank)) {
        rank = tn_infer_length(f, 1);
        TN_CHECK(rank <= TN_RANK_MAX, TN_UNSUPPORTED, "rank %lld is above %d", (long long)rank,
                 TN_RANK_MAX);
        tn_infer_set_fresh(f, 0, x->dtype, (int)rank);
        return NULL;
    }
    TN_CHECK(rank <= TN_RANK_MAX, TN_UNSUPPORTED, "rank %lld is above %d", (long long)rank,
             TN_RANK_MAX);
    int unknown_count = 0, unknown = -1;
    for (int axis = 0; axis < rank; axis++) {
        dim[axis] = at[axis];
        if (!at[axis]) {
            unknown = axis;
            unknown_count++;
        }
        if (!tn_expr_is_const(f->exprs, at[axis], &value)) continue;
        TN_CHECK(value >= -1, TN_INVALID, "the shape asks for a dim of %lld", (long long)value);
        if (value == -1) {
            TN_CHECK(hole < 0, TN_INVALID, "the shape has more than one -1");
            hole = axis;
        } else if (value == 0 && !params->allowzero) {
            TN_CHECK(x->rank < 0 || axis < x->rank, TN_INVALID,
                     "dim %d of the shape copies the input's, which has rank %d", axis, x->rank);
            dim[axis] = x->rank < 0 ? tn_infer_fresh(f) : x->dim[axis];
        }
    }
    /* A dim that nobody knows, be it -1, 0 or a number, is what the others leave. */
    if (hole < 0 && unknown_count == 1) hole = unknown;
    for (int axis = 0; axis < rank; axis++)
        if (!dim[axis] && axis != hole) dim[axis] = tn_infer_fresh(f);
    if (hole >= 0) TN_TRY(fill_hole(f, (int)rank, dim, hole));
    TN_TRY(check_counts(f, (int)rank, dim));
    tn_infer_set(f, 0, x->dtype, (int)rank, dim);
    tn_infer_pass_known(f, 0);
    return NULL;
}

/* Reshape-1 had the shape as an attribute. */
static tn_status upgrade_below_5(tn_graph *graph, tn_node *node)
{
    tn_node_remove_attr(node, "consumed_inputs");
    return tn_upgrade_ints_to_input(graph, node, "shape", 1);
}

static const tn_case cases[] = {
    {.problem = "Reshape f32[2,3]={1,2,3,4,5,6} i64[2]={3,2}", .expect = "f32[3,2]={1,2,3,4,5,6}"},
    {.problem = "Reshape f32[2,3,4] i64[3]={0,-1,2}"},
    {.problem = "Reshape{allowzero=1} f32[0,3]={} i64[2]={3,0}", .expect = "f32[3,0]={}"},
    {.problem = "Reshape i64[1]={7} i64[0]={}", .expect = "i64={7}"},
    {.problem = "Reshape u4[3,2]={1,2,3,4,5,6} i64[1]={-1}", .expect = "u4[6]={1,2,3,4,5,6}"},
    {0},
};

const tn_op tn_op_reshape = {
    .name = "Reshape",
    .since = 14,
    .about = "the same elements under another shape; 0 copies a dim, one -1 takes the rest",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_reshape_params),
    .infer = infer,
    .reference = tn_move_same,
    .shape_inputs = 1 << 1,
    .view = true,
    .gradient = tn_gradient_reshape,
    .upgrade = {{5, upgrade_below_5}},
    .cases = cases,
};
