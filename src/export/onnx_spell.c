/* Operators that an older opset does not have, as formulas of those that it has. */
#include <string.h>

#include "export/onnx_spell.h"
#include "ir/subgraph.h"

/* ---- Making nodes ----------------------------------------------------------------------------*/

static tn_status add(tn_speller *s, const char *name, tn_value *const *in, int in_count,
                     const tn_attr *attr, tn_value **out)
{
    const tn_op *op = tn_op_find(NULL, name);
    tn_node *node;
    TN_CHECK(op, TN_INTERNAL, "the operator %s is not in the table", name);
    TN_TRY(tn_graph_add_node(s->graph, op, "", in, in_count, NULL, 1, s->before, &node));
    if (attr) TN_TRY(tn_node_set_attr(node, attr));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *out = node->out[0];
    return NULL;
}

tn_value *tn_spell_node(tn_speller *s, const char *op, tn_value *const *in, int in_count,
                        const tn_attr *attr)
{
    tn_value *out = NULL;
    if (!s->status) s->status = add(s, op, in, in_count, attr, &out);
    return s->status ? NULL : out;
}

tn_value *tn_spell1(tn_speller *s, const char *op, tn_value *a)
{
    return tn_spell_node(s, op, &a, 1, NULL);
}

tn_value *tn_spell2(tn_speller *s, const char *op, tn_value *a, tn_value *b)
{
    return tn_spell_node(s, op, (tn_value *[]){a, b}, 2, NULL);
}

tn_value *tn_spell_ints(tn_speller *s, const int64_t *at, int64_t count)
{
    tn_value *out = NULL;
    if (!s->status) s->status = tn_graph_add_ints(s->graph, at, count, &out);
    return s->status ? NULL : out;
}

tn_value *tn_spell_scalar(tn_speller *s, tn_dtype dtype, double value)
{
    tn_value *out = NULL;
    if (!s->status) s->status = tn_graph_add_scalar(s->graph, dtype, value, &out);
    return s->status ? NULL : out;
}

tn_value *tn_spell_cast(tn_speller *s, tn_value *a, tn_dtype dtype)
{
    if (s->status || a->type.dtype == dtype) return a;
    return tn_spell_node(s, "Cast", &a, 1,
                         &(tn_attr){.name = "to", .kind = TN_ATTR_INT, .i = (int64_t)dtype});
}

void tn_spell_replace(tn_speller *s, tn_node *node, int index, tn_value *with)
{
    if (!s->status && index < node->out_count && node->out[index])
        s->status = tn_value_replace(node->out[index], with);
}

/* ---- Formulas --------------------------------------------------------------------------------*/

static tn_value *mean(tn_speller *s, tn_value *x, int axis)
{
    int64_t axes[TN_RANK_MAX], count = 0;
    for (int i = axis; i < x->type.rank; i++) axes[count++] = i;
    return tn_spell2(s, "ReduceMean", x, tn_spell_ints(s, axes, count));
}

/* Normalisations compute in f32 where the data is narrower. */
static tn_dtype wide_type(tn_dtype dtype)
{
    return dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16 ? TN_DTYPE_F32 : dtype;
}

static tn_value *deviation(tn_speller *s, tn_value *x, int axis, double epsilon)
{
    tn_value *variance = mean(s, tn_spell2(s, "Mul", x, x), axis);
    if (s->status) return NULL;
    tn_value *sum = tn_spell2(s, "Add", variance, tn_spell_scalar(s, x->type.dtype, epsilon));
    return tn_spell1(s, "Sqrt", sum);
}

static void spell_layer_norm(tn_speller *s, tn_node *node)
{
    tn_value *x = node->in[0];
    tn_dtype dtype = x->type.dtype, wide = wide_type(dtype);
    int axis = tn_axis_normal(tn_node_int_attr(node, "axis", -1), x->type.rank);
    x = tn_spell_cast(s, x, wide);
    tn_value *average = mean(s, x, axis), *centred = tn_spell2(s, "Sub", x, average);
    if (s->status) return;
    tn_value *root = deviation(s, centred, axis, tn_node_float_attr(node, "epsilon", 1e-5));
    tn_value *y = tn_spell_cast(s, tn_spell2(s, "Div", centred, root), dtype);
    y = tn_spell2(s, "Mul", y, node->in[1]);
    if (node->in_count > 2 && node->in[2]) y = tn_spell2(s, "Add", y, node->in[2]);
    tn_spell_replace(s, node, 0, y);
    if (node->out_count > 1 && node->out[1]) tn_spell_replace(s, node, 1, average);
    if (node->out_count > 2 && node->out[2])
        tn_spell_replace(s, node, 2, tn_spell1(s, "Reciprocal", root));
}

static void spell_rms_norm(tn_speller *s, tn_node *node)
{
    tn_value *x = node->in[0];
    tn_dtype dtype = x->type.dtype;
    int axis = tn_axis_normal(tn_node_int_attr(node, "axis", -1), x->type.rank);
    x = tn_spell_cast(s, x, wide_type(dtype));
    if (s->status) return;
    tn_value *root = deviation(s, x, axis, tn_node_float_attr(node, "epsilon", 1e-5));
    tn_value *y = tn_spell_cast(s, tn_spell2(s, "Div", x, root), dtype);
    tn_spell_replace(s, node, 0, tn_spell2(s, "Mul", y, node->in[1]));
}

static void spell_gelu(tn_speller *s, tn_node *node)
{
    tn_value *x = node->in[0], *inner;
    tn_dtype dtype = x->type.dtype;
    const tn_attr *approximate = tn_node_find_attr(node, "approximate");
    if (approximate && strcmp(approximate->text.text, "tanh") == 0) {
        tn_value *cube = tn_spell2(s, "Mul", tn_spell2(s, "Mul", x, x), x);
        cube = tn_spell2(s, "Mul", cube, tn_spell_scalar(s, dtype, 0.044715));
        inner = tn_spell2(s, "Add", x, cube);
        inner = tn_spell2(s, "Mul", inner, tn_spell_scalar(s, dtype, 0.7978845608028654));
        inner = tn_spell1(s, "Tanh", inner);
    } else {
        inner = tn_spell2(s, "Div", x, tn_spell_scalar(s, dtype, 1.4142135623730951));
        inner = tn_spell1(s, "Erf", inner);
    }
    inner = tn_spell2(s, "Add", inner, tn_spell_scalar(s, dtype, 1));
    tn_value *product = tn_spell2(s, "Mul", x, inner);
    tn_spell_replace(s, node, 0, tn_spell2(s, "Mul", product, tn_spell_scalar(s, dtype, 0.5)));
}

static void spell_hard_swish(tn_speller *s, tn_node *node)
{
    const tn_attr alpha = {.name = "alpha", .kind = TN_ATTR_FLOAT, .f = 1.0 / 6};
    tn_value *gate = tn_spell_node(s, "HardSigmoid", &node->in[0], 1, &alpha);
    tn_spell_replace(s, node, 0, tn_spell2(s, "Mul", node->in[0], gate));
}

static void spell_mish(tn_speller *s, tn_node *node)
{
    tn_value *gate = tn_spell1(s, "Tanh", tn_spell1(s, "Softplus", node->in[0]));
    tn_spell_replace(s, node, 0, tn_spell2(s, "Mul", node->in[0], gate));
}

static void spell_swish(tn_speller *s, tn_node *node)
{
    tn_value *x = node->in[0], *inner = x;
    double alpha = tn_node_float_attr(node, "alpha", 1);
    if (alpha != 1) inner = tn_spell2(s, "Mul", x, tn_spell_scalar(s, x->type.dtype, alpha));
    tn_spell_replace(s, node, 0, tn_spell2(s, "Mul", x, tn_spell1(s, "Sigmoid", inner)));
}

static void spell_cast_like(tn_speller *s, tn_node *node)
{
    const tn_attr to = {.name = "to", .kind = TN_ATTR_INT, .i = (int64_t)node->out[0]->type.dtype};
    tn_spell_replace(s, node, 0, tn_spell_node(s, "Cast", &node->in[0], 1, &to));
}

static void spell_or_equal(tn_speller *s, tn_node *node)
{
    const char *strict = tn_onnx_is_plain(node->op, "LessOrEqual") ? "Less" : "Greater";
    tn_value *a = node->in[0], *b = node->in[1];
    tn_value *above = tn_spell2(s, strict, a, b), *equal = tn_spell2(s, "Equal", a, b);
    tn_spell_replace(s, node, 0, tn_spell2(s, "Or", above, equal));
}

static tn_value *transpose_axes(tn_speller *s, tn_value *x, int a, int b)
{
    int64_t perm[TN_RANK_MAX];
    if (s->status) return NULL;
    for (int i = 0; i < x->type.rank; i++) perm[i] = i == a ? b : i == b ? a : i;
    const tn_attr attr = {
        .name = "perm", .kind = TN_ATTR_INTS, .ints = perm, .count = x->type.rank};
    return tn_spell_node(s, "Transpose", &x, 1, &attr);
}

/* Softmax over an inner axis: its axis goes last and comes back. */
static void spell_flattening(tn_speller *s, tn_node *node)
{
    tn_value *x = node->in[0];
    int rank = x->type.rank, axis = tn_axis_normal(tn_node_int_attr(node, "axis", -1), rank);
    if (rank < 1 || axis < 0 || axis == rank - 1) return;
    x = transpose_axes(s, x, axis, rank - 1);
    const tn_attr last = {.name = "axis", .kind = TN_ATTR_INT, .i = rank - 1};
    x = transpose_axes(s, tn_spell_node(s, node->op->name, &x, 1, &last), axis, rank - 1);
    tn_spell_replace(s, node, 0, x);
}

/* Groups as the channels of an instance normalisation, then the scales by channel. */
static void spell_group_norm(tn_speller *s, tn_node *node)
{
    tn_value *x = node->in[0];
    tn_dtype dtype = x->type.dtype;
    int64_t groups = tn_node_int_attr(node, "num_groups", 1), grouped[] = {0, groups, -1};
    int64_t by_channel[TN_RANK_MAX], rank = x->type.rank;
    double epsilon = tn_node_float_attr(node, "epsilon", 1e-5);
    if (rank < 3) return;
    for (int i = 0; i < rank; i++) by_channel[i] = i == 0 ? -1 : 1;
    tn_value *channels = tn_spell_ints(s, by_channel, rank - 1);
    tn_value *shape = tn_spell1(s, "Shape", x), *count = tn_spell_ints(s, &groups, 1);
    tn_value *one = tn_spell_scalar(s, dtype, 1), *zero = tn_spell_scalar(s, dtype, 0);
    tn_value *ones = tn_spell2(s, "Expand", one, count);
    tn_value *zeros = tn_spell2(s, "Expand", zero, count);
    tn_value *in[] = {tn_spell2(s, "Reshape", x, tn_spell_ints(s, grouped, 3)), ones, zeros};
    const tn_attr attr = {.name = "epsilon", .kind = TN_ATTR_FLOAT, .f = epsilon};
    tn_value *y = tn_spell_node(s, "InstanceNormalization", in, 3, &attr);
    y = tn_spell2(s, "Reshape", y, shape);
    y = tn_spell2(s, "Mul", y, tn_spell2(s, "Reshape", node->in[1], channels));
    y = tn_spell2(s, "Add", y, tn_spell2(s, "Reshape", node->in[2], channels));
    tn_spell_replace(s, node, 0, y);
}

static const struct {
    const char *op;
    int below;
    void (*run)(tn_speller *s, tn_node *node);
    bool needs_rank;
} formulas[] = {
    {"LayerNormalization", 17, spell_layer_norm, true},
    {"RMSNormalization", 23, spell_rms_norm, true},
    {"GroupNormalization", 21, spell_group_norm, true},
    {"Gelu", 20, spell_gelu, false},
    {"HardSwish", 14, spell_hard_swish, false},
    {"Mish", 18, spell_mish, false},
    {"Swish", 24, spell_swish, false},
    {"CastLike", 15, spell_cast_like, false},
    {"LessOrEqual", 12, spell_or_equal, false},
    {"GreaterOrEqual", 12, spell_or_equal, false},
    {"Softmax", 13, spell_flattening, true},
    {"LogSoftmax", 13, spell_flattening, true},
    {"Hardmax", 13, spell_flattening, true},
};

static bool is_read(const tn_node *node)
{
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i] && tn_value_has_users(node->out[i])) return true;
    return false;
}

static tn_status spell_node(tn_graph *graph, tn_node *node, int64_t opset)
{
    for (size_t i = 0; i < TN_COUNT(formulas); i++) {
        if (opset >= formulas[i].below || !tn_onnx_is_plain(node->op, formulas[i].op)) continue;
        if (formulas[i].needs_rank && node->in[0]->type.rank < 0) continue;
        tn_speller s = {.graph = graph, .before = node, .opset = opset};
        formulas[i].run(&s, node);
        TN_TRY(s.status);
        if (!is_read(node)) tn_node_remove(node);
        return NULL;
    }
    return NULL;
}

/* Graphs inside nodes too; recursion is as deep as they are nested. */
static tn_status spell_graph(tn_graph *graph, int64_t opset)
{
    char label[160];
    TN_TRY(tn_onnx_spell_dims(graph, opset));
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        tn_graph *inside;
        next = node->next;
        for (int i = 0; (inside = tn_node_inside(node, i)); i++) TN_TRY(spell_graph(inside, opset));
        tn_node_label(node, label, sizeof(label));
        TN_TRY_NOTE(spell_node(graph, node, opset), "while spelling %s at opset %lld", label,
                    (long long)opset);
    }
    return NULL;
}

tn_status tn_onnx_spell(tn_graph *graph, int64_t opset)
{
    TN_TRY(spell_graph(graph, opset));
    return tn_graph_verify(graph);
}
