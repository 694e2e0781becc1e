/* The operators of two inputs. Floats are computed in double and rounded once (for + - * / that is
 * the correctly rounded result of the narrower type); integers in 64 bits, wrapped by the store. A
 * new member is a row of binary.def and a function here. */
#include "ops/binary/binary.h"

#include <math.h>
#include <string.h>

#include "ir/gradient.h"
#include "ops/elementwise/elementwise.h"

typedef double (*binary_f)(double a, double b, const tn_binary_params *p);
/* is_unsigned is B's; u64 comes bit for bit. */
typedef int64_t (*binary_i)(int64_t a, int64_t b, bool is_unsigned, const tn_binary_params *p);

static const tn_field fields_mod[] = {TN_INT(tn_binary_params, fmod, 0)};
static const tn_field fields_shift[] = {{.name = "direction",
                                         .kind = TN_FIELD_ENUM,
                                         .offset = offsetof(tn_binary_params, direction),
                                         .required = true,
                                         .choices = "LEFT|RIGHT"}};

/* ---- Floats
 * -------------------------------------------------------------------------------------*/

#define PLAIN(name, expression)                                                                    \
    static double name##_f(double a, double b, const tn_binary_params *p)                          \
    {                                                                                              \
        (void)p;                                                                                   \
        return expression;                                                                         \
    }
PLAIN(add, a + b)
PLAIN(sub, a - b)
PLAIN(mul, a *b)
PLAIN(div, a / b)
PLAIN(pow, pow(a, b))
PLAIN(prelu, a < 0 ? a * b : a)
PLAIN(equal, a == b)
PLAIN(greater, a > b)
PLAIN(greater_equal, a >= b)
PLAIN(less, a < b)
PLAIN(less_equal, a <= b)
#undef PLAIN

static double mod_f(double a, double b, const tn_binary_params *p)
{
    double rest = fmod(a, b);
    return !p->fmod && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* ---- Integers
 * -----------------------------------------------------------------------------------*/

#define PLAIN(name, expression)                                                                    \
    static int64_t name##_i(int64_t a, int64_t b, bool is_unsigned, const tn_binary_params *p)     \
    {                                                                                              \
        uint64_t ua = (uint64_t)a, ub = (uint64_t)b;                                               \
        (void)ua, (void)ub, (void)is_unsigned, (void)p;                                            \
        return (int64_t)(expression);                                                              \
    }
PLAIN(add, ua + ub)
PLAIN(sub, ua - ub)
PLAIN(mul, ua *ub)
PLAIN(prelu, !is_unsigned && a < 0 ? ua * ub : ua)
PLAIN(and, ua &ub)
PLAIN(or, ua | ub)
PLAIN(xor, ua ^ ub)
PLAIN(equal, a == b)
PLAIN(greater, is_unsigned ? ua > ub : a > b)
PLAIN(greater_equal, is_unsigned ? ua >= ub : a >= b)
PLAIN(less, is_unsigned ? ua < ub : a < b)
PLAIN(less_equal, is_unsigned ? ua <= ub : a <= b)
#undef PLAIN

/* x / 0 has no meaning in ONNX; 0, as NumPy gives, keeps a bad model from ending the process. */
static int64_t div_i(int64_t a, int64_t b, bool is_unsigned, const tn_binary_params *p)
{
    (void)p;
    if (b == 0) return 0;
    if (is_unsigned) return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t mod_i(int64_t a, int64_t b, bool is_unsigned, const tn_binary_params *p)
{
    if (b == 0) return 0;
    if (is_unsigned) return (int64_t)((uint64_t)a % (uint64_t)b);
    int64_t rest = b == -1 ? 0 : a % b;
    return !p->fmod && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* By squaring, wrapping. A negative exponent truncates 1 / a^|b| to zero unless a is 1 or -1. */
static int64_t pow_i(int64_t a, int64_t b, bool is_unsigned, const tn_binary_params *p)
{
    (void)p;
    if (!is_unsigned && b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? -1 : 0;
    uint64_t base = (uint64_t)a, product = 1;
    for (uint64_t left = (uint64_t)b; left; left >>= 1) {
        if (left & 1) product *= base;
        base *= base;
    }
    return (int64_t)product;
}

static int64_t shift_i(int64_t a, int64_t b, bool is_unsigned, const tn_binary_params *p)
{
    bool beyond = b < 0 || b > 63, right = p->direction == 1;
    if (!right) return beyond ? 0 : (int64_t)((uint64_t)a << b);
    if (is_unsigned || a >= 0) return beyond ? 0 : (int64_t)((uint64_t)a >> b);
    return beyond ? -1 : (int64_t) ~(~(uint64_t)a >> b);
}

/* ---- Known values
 * -------------------------------------------------------------------------------*/

#define KNOWN(name, expression)                                                                    \
    static tn_expr known_##name(tn_exprs *e, const tn_expr *in, int count)                         \
    {                                                                                              \
        tn_expr a = in[0], b = in[1];                                                              \
        (void)count;                                                                               \
        return expression;                                                                         \
    }
KNOWN(add, tn_expr_add(e, a, b))
KNOWN(sub, tn_expr_sub(e, a, b))
KNOWN(mul, tn_expr_mul(e, a, b))
KNOWN(div, tn_elementwise_div(e, a, b))
KNOWN(div_exact, tn_elementwise_div_exact(e, a, b))
KNOWN(equal, tn_expr_eq(e, a, b))
KNOWN(less, tn_expr_lt(e, a, b))
KNOWN(greater, tn_expr_lt(e, b, a))
KNOWN(less_equal, tn_elementwise_not(e, tn_expr_lt(e, b, a)))
KNOWN(greater_equal, tn_elementwise_not(e, tn_expr_lt(e, a, b)))
KNOWN(or, tn_expr_max(e, a, b))
KNOWN(xor, tn_elementwise_not(e, tn_expr_eq(e, a, b)))
#undef KNOWN

/* Both meanings agree where neither side is negative; else only constants would be worth the
 * trouble. */
static tn_expr known_mod(tn_exprs *e, const tn_expr *in, int count)
{
    (void)count;
    bool plain = tn_expr_at_least(e, in[0], 0) && tn_expr_at_least(e, in[1], 1);
    return plain ? tn_expr_mod(e, in[0], in[1]) : TN_EXPR_NONE;
}

/* ---- The operator
 * -------------------------------------------------------------------------------*/

typedef enum binary_result { SAME, TRUTH, LIKE_A } binary_result;

static tn_status infer_binary(tn_infer *f, binary_result result, tn_known_map known)
{
    int rank;
    tn_expr dim[TN_RANK_MAX];
    TN_TRY(tn_infer_broadcast(f, 0, 2, &rank, dim));
    tn_infer_set(f, 0, result == TRUTH ? TN_DTYPE_BOOL : f->in[0].dtype, rank, dim);
    if (known == known_div && tn_dtype_kind_of(f->in[0].dtype) == TN_KIND_F)
        known = known_div_exact;
    if (known) tn_elementwise_known(f, 2, known);
    if (result != LIKE_A || f->in[0].rank < 0) return NULL;
    TN_CHECK(rank <= f->in[0].rank, TN_INVALID, "a slope of rank %d does not broadcast to rank %d",
             f->in[1].rank, f->in[0].rank);
    tn_infer_same(f, 0, 0);
    return NULL;
}

static bool equal_strings(tn_string a, tn_string b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.text, b.text, a.bytes) == 0);
}

/* Elements from here to the end of the last axis, along which operands step by 0 or 1. */
static int64_t run_length(const tn_walk *w)
{
    return w->rank ? w->dim[w->rank - 1] - w->index[w->rank - 1] : 1;
}

static void skip(tn_walk *w, int64_t count)
{
    int last = w->rank - 1;
    for (int k = 0; last >= 0 && k < w->operand_count; k++)
        w->at[k] += w->step[k][last] * (count - 1);
    if (last >= 0) w->index[last] += count - 1;
    tn_walk_next(w);
}

/* `count` elements along the last axis, widened. */
static void load_run(const tn_tensor *t, const tn_walk *w, int operand, int64_t count, double *dst)
{
    int64_t step = w->rank ? w->step[operand][w->rank - 1] : 0;
    tn_load_f64s(t->dtype, t->data, w->at[operand], step ? count : 1, dst);
    for (int64_t k = 1; !step && k < count; k++) dst[k] = dst[0];
}

static void map_floats(const tn_launch *l, binary_f f, tn_walk *w)
{
    const tn_tensor *a = &l->problem->in[0], *b = &l->problem->in[1], *y = &l->problem->out[0];
    double left[256], right[256];
    for (int64_t at = 0; at < w->count;) {
        int64_t count = TN_MIN(run_length(w), (int64_t)TN_COUNT(left));
        load_run(a, w, 0, count, left);
        load_run(b, w, 1, count, right);
        for (int64_t k = 0; k < count; k++) left[k] = f(left[k], right[k], l->problem->params);
        tn_store_f64s(y->dtype, y->data, at, count, left);
        skip(w, count);
        at += count;
    }
}

static tn_status map_binary(const tn_launch *l, binary_f f, binary_i i)
{
    const tn_tensor *a = &l->problem->in[0], *b = &l->problem->in[1], *y = &l->problem->out[0];
    const tn_binary_params *p = l->problem->params;
    tn_dtype_kind kind_a = tn_dtype_kind_of(a->dtype), kind_b = tn_dtype_kind_of(b->dtype);
    tn_walk w;
    TN_TRY(tn_walk_init(&w, y, (const tn_tensor *[]){a, b}, 2));
    if (kind_a == TN_KIND_F || kind_b == TN_KIND_F) {
        map_floats(l, f, &w);
        return NULL;
    }
    for (int64_t at = 0; at < w.count; at++, tn_walk_next(&w)) {
        if (kind_a == TN_KIND_S) {
            const tn_string *left = a->data, *right = b->data;
            tn_store_i64(y->dtype, y->data, at, equal_strings(left[w.at[0]], right[w.at[1]]));
        } else {
            int64_t left = tn_load_i64(a->dtype, a->data, w.at[0]);
            int64_t right = tn_load_i64(b->dtype, b->data, w.at[1]);
            tn_store_i64(y->dtype, y->data, at, i(left, right, kind_b == TN_KIND_U, p));
        }
    }
    return NULL;
}

/* Before opset 7 the slope was a vector along axis 1. */
static tn_status upgrade_prelu_below_7(tn_graph *graph, tn_node *node)
{
    bool one_axis = node->in_count == 2 && node->in[0] && node->in[1] &&
                    node->in[0]->type.rank > 1 && node->in[1]->type.rank == 1;
    return one_axis ? tn_upgrade_align(graph, node, 1) : NULL;
}

/* B may be of another type. Below 0 the logarithm is not there; PyTorch too gives 0 where A is 0.
 */
static void gradient_pow(tn_gradient *g)
{
    tn_value *a = g->node->in[0], *b = g->node->in[1];
    if (b->type.dtype != a->type.dtype)
        b = tn_gradient_op(g, "Cast", TN_IN(b), TN_WITH(tn_attr_int("to", a->type.dtype)));
    tn_named e = {.name = "e", .value = b};
    if (tn_gradient_wants(g, 0)) {
        bool square = tn_value_is_constant(b) && b->type.rank == 0 &&
                      tn_load_f64(b->constant.dtype, b->constant.data, 0) == 2;
        const char *rule = square ? "2 * dy * x" : "dy * e * Pow(x, e - 1)";
        tn_gradient_give(g, 0, tn_gradient_write(g, rule, &e, 1));
    }
    if (tn_gradient_wants(g, 1))
        tn_gradient_give(g, 1, tn_gradient_write(g, "x == 0 ? 0 : dy * y * Log(x)", &e, 1));
}

#define NO_FIELDS .params_bytes = 0
#define FIELDS(list)                                                                               \
    .field = fields_##list, .field_count = TN_COUNT(fields_##list),                                \
    .params_bytes = sizeof(tn_binary_params)
#define NO_UPGRADE .view = false
#define AXIS_BELOW_7 .upgrade = {{7, tn_upgrade_broadcast_axis}}
#define CHANNEL_BELOW_7 .upgrade = {{7, upgrade_prelu_below_7}}

#define DERIVATIVE(formulas) .derivative = formulas
#define RULE(name) .gradient = gradient_##name
#define NO_RULE .gradient = NULL

#define ROW(c, title, opset, types_a, types_b, result, f, i, known, attributes, old, rule, text)   \
    extern const tn_case tn_##c##_cases[];                                                         \
    static const tn_port in_##c[] = {                                                              \
        {"A", types_a, 'T', 0}, {"B", types_b ? (types_b) : (types_a), types_b ? 0 : 'T', 0}};     \
    static const tn_port out_##c[] = {                                                             \
        {"C", result == TRUTH ? TN_DT(BOOL) : (types_a), result == TRUTH ? 0 : 'T', 0}};           \
    static tn_status infer_##c(tn_infer *infer)                                                    \
    {                                                                                              \
        return infer_binary(infer, result, known);                                                 \
    }                                                                                              \
    static tn_status reference_##c(const tn_launch *l)                                             \
    {                                                                                              \
        return map_binary(l, f, i);                                                                \
    }                                                                                              \
    const tn_op tn_op_##c = {                                                                      \
        .name = title,                                                                             \
        .since = opset,                                                                            \
        .about = text,                                                                             \
        .in = in_##c,                                                                              \
        .in_count = 2,                                                                             \
        .out = out_##c,                                                                            \
        .out_count = 1,                                                                            \
        attributes,                                                                                \
        .infer = infer_##c,                                                                        \
        .reference = reference_##c,                                                                \
        old,                                                                                       \
        rule,                                                                                      \
        .cases = tn_##c##_cases,                                                                   \
    };
#include "ops/binary/binary.def"
