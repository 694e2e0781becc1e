/* float32 to 16 bits, node by node: operands come from the 16-bit twin of each value, results get a
 * Cast back for whoever still needs float32. What nobody needs goes with drop_dead. */
#include "passes/lower_precision.h"

#include <math.h>
#include <string.h>

#include "passes/passes.h"

/* Sums of products, whose kernels add in float32; normalisations and softmax, whose statistics are
 * float32; what only moves values or changes them within the range of the type. Others (powers,
 * exponentials, sums of many values) stay in float32. */
static const char *const lowered[] = {
    "Abs",
    "Add",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "EmbeddingNorm",
    "Erf",
    "Expand",
    "Flatten",
    "FusedConv",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Linear",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "PackedAttention",
    "Pad",
    "RMSNormalization",
    "RecurrentStack",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Sub",
    "Swish",
    "Tanh",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
    "WindowAttention",
};

bool tn_node_rounds(const tn_node *node)
{
    return !strcmp(node->op->name, "QuantizeLinear") ||
           !strcmp(node->op->name, "DynamicQuantizeLinear");
}

static bool is_rounded(const tn_value *value, const tn_map *names)
{
    if (!value || tn_dtype_kind_of(value->type.dtype) != TN_KIND_F) return false;
    for (int64_t i = 0; i < value->use_count; i++) {
        const tn_node *user = value->use[i].node;
        if (tn_node_rounds(user)
                ? value->use[i].index == 0
                : user->out_count && user->out[0] && tn_map_has(names, user->out[0]->name))
            return true;
    }
    return false;
}

/* From behind: what reads a value is known before the value. */
tn_status tn_find_rounded(const tn_graph *graph, tn_map *names)
{
    for (const tn_node *node = graph->last; node; node = node->prev)
        for (int32_t k = 0; k < node->out_count; k++)
            if (node->out[0] && is_rounded(node->out[k], names))
                TN_TRY(tn_map_put(names, node->out[0]->name, names));
    return NULL;
}

typedef struct lowering {
    tn_graph *graph;
    tn_dtype dtype;
    double largest;
    const tn_map *held;
    tn_map rounded;
    tn_value **twin; /* by value id: the same in 16 bits */
    int64_t twin_count;
} lowering;

static bool is_listed(const tn_op *op)
{
    if (op->domain && strcmp(op->domain, "tenon")) return false;
    for (size_t i = 0; i < TN_COUNT(lowered); i++)
        if (!strcmp(lowered[i], op->name)) return true;
    return false;
}

static bool is_f32(const tn_value *value)
{
    return value && value->type.kind == TN_TYPE_TENSOR && value->type.dtype == TN_DTYPE_F32;
}

static const tn_port *port_of(const tn_port *port, int count, int index)
{
    return &port[index < count ? index : count - 1];
}

/* A number that the type cannot hold would become infinite. */
static bool fits(const lowering *l, const tn_value *constant)
{
    const float *at = constant->constant.data;
    for (int64_t i = 0; i < tn_tensor_count(&constant->constant); i++)
        if (isfinite(at[i]) && fabs((double)at[i]) > l->largest) return false;
    return true;
}

/* Its float32 operands that the schema lets be 16-bit ones become so, and at least one result. */
static bool can_lower(const lowering *l, const tn_node *node)
{
    const tn_op *op = node->op;
    bool any = false;
    if (!is_listed(op) || !node->out_count || !is_f32(node->out[0]) || node->out[0]->known.at)
        return false;
    if (l->held && tn_map_find(l->held, node->out[0]->name)) return false;
    if (tn_map_has(&l->rounded, node->out[0]->name)) return false;
    if (!(port_of(op->out, op->out_count, 0)->types & (UINT32_C(1) << l->dtype))) return false;
    for (int i = 0; i < node->in_count; i++) {
        if (!is_f32(node->in[i])) continue;
        if (!(port_of(op->in, op->in_count, i)->types & (UINT32_C(1) << l->dtype))) continue;
        if (tn_value_is_constant(node->in[i]) && !fits(l, node->in[i])) return false;
        any = true;
    }
    return any;
}

static tn_status remember(lowering *l, const tn_value *value, tn_value *twin)
{
    if ((int64_t)value->id >= l->twin_count) {
        int64_t count = TN_MAX((int64_t)value->id + 1, 2 * l->twin_count);
        tn_value **grown = TN_NEW_ARRAY(l->graph->arena, tn_value *, count);
        TN_CHECK(grown, TN_OUT_OF_MEMORY, "no memory to lower the precision");
        if (l->twin_count) memcpy(grown, l->twin, sizeof(*grown) * (size_t)l->twin_count);
        l->twin = grown;
        l->twin_count = count;
    }
    l->twin[value->id] = twin;
    return NULL;
}

static tn_status cast(lowering *l, tn_value *value, tn_dtype to, tn_node *before, tn_node **out)
{
    TN_TRY(
        tn_graph_add_node(l->graph, tn_op_find(NULL, "Cast"), "", &value, 1, NULL, 1, before, out));
    TN_TRY(tn_node_set_int(*out, "to", to));
    TN_TRY(tn_node_lower(*out));
    return tn_node_infer(*out);
}

static tn_status round_constant(lowering *l, const tn_value *value, tn_value **out)
{
    const tn_tensor *from = &value->constant;
    tn_tensor to = tn_tensor_of(l->dtype, from->dim, from->rank, NULL);
    to.data = tn_arena_alloc(l->graph->arena, (size_t)tn_tensor_bytes(&to) + 1);
    TN_CHECK(to.data, TN_OUT_OF_MEMORY, "no memory for weights of 16 bits");
    TN_TRY(tn_tensor_convert(from, &to));
    return tn_graph_add_constant(l->graph, NULL, &to, false, out);
}

/* A mask that is made of a finite number below the range of the type: attention under -inf is
 * another than under any number, where all keys are masked. */
static bool is_below(const lowering *l, const tn_value *value)
{
    const tn_node *node = value->producer;
    for (int i = 0; node && i < node->in_count; i++) {
        const tn_value *in = node->in[i];
        if (!is_f32(in) || !tn_value_is_constant(in) || tn_tensor_count(&in->constant) != 1)
            continue;
        float number = *(const float *)in->constant.data;
        if (isfinite(number) && (double)number < -l->largest) return true;
    }
    return false;
}

/* Numbers below the range of the type end where it does. */
static tn_status bound(lowering *l, tn_value *value, tn_node *before, tn_value **out)
{
    tn_node *node;
    tn_value *in[] = {value, NULL};
    TN_TRY(tn_graph_add_scalar(l->graph, TN_DTYPE_F32, -l->largest, &in[1]));
    TN_TRY(tn_graph_add_node(l->graph, tn_op_find(NULL, "Max"), "", in, 2, NULL, 1, before, &node));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *out = node->out[0];
    return NULL;
}

static tn_status twin_of(lowering *l, tn_value *value, tn_node *before, tn_value **out)
{
    tn_node *node;
    tn_value *from = value;
    *out = (int64_t)value->id < l->twin_count ? l->twin[value->id] : NULL;
    if (*out) return NULL;
    if (tn_value_is_constant(value)) {
        TN_TRY(round_constant(l, value, out));
    } else {
        if (is_below(l, value)) TN_TRY(bound(l, value, before, &from));
        TN_TRY(cast(l, from, l->dtype, before, &node));
        *out = node->out[0];
    }
    return remember(l, value, *out);
}

/* Readers of a result that is 16 bits now read a Cast of it; lowered ones find their way back. */
static tn_status widen(lowering *l, tn_node *node, tn_value *value)
{
    tn_node *back;
    if (!tn_value_has_users(value)) return NULL;
    TN_TRY(cast(l, value, TN_DTYPE_F32, node->next, &back));
    TN_TRY(tn_value_replace(value, back->out[0]));
    TN_TRY(tn_node_set_input(back, 0, value));
    return remember(l, back->out[0], value);
}

static tn_status lower_node(lowering *l, tn_node *node)
{
    const tn_op *op = node->op;
    for (int i = 0; i < node->in_count; i++) {
        tn_value *twin;
        if (!is_f32(node->in[i])) continue;
        if (!(port_of(op->in, op->in_count, i)->types & (UINT32_C(1) << l->dtype))) continue;
        TN_TRY(twin_of(l, node->in[i], node, &twin));
        TN_TRY(tn_node_set_input(node, i, twin));
    }
    /* What inference finds must not be held against what was true before. */
    for (int i = 0; i < node->out_count; i++)
        if (is_f32(node->out[i])) node->out[i]->type.dtype = TN_DTYPE_NONE;
    TN_TRY(tn_node_infer(node));
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i] && node->out[i]->type.dtype == l->dtype)
            TN_TRY(widen(l, node, node->out[i]));
    return NULL;
}

tn_status tn_lower_precision(tn_graph *graph, tn_dtype dtype, const tn_map *held, tn_lowered *out)
{
    lowering l = {.graph = graph,
                  .dtype = dtype,
                  .largest = dtype == TN_DTYPE_F16 ? 65504 : 3.38e38,
                  .held = held};
    int64_t dropped;
    *out = (tn_lowered){0};
    tn_map_init(&l.rounded, graph->arena);
    TN_TRY(tn_find_rounded(graph, &l.rounded));
    for (tn_node *node = graph->first; node; node = node->next) {
        if (!node->out_count || !is_f32(node->out[0]) || !strcmp(node->op->name, "Cast")) continue;
        bool low = can_lower(&l, node);
        if (low) TN_TRY(tn_node_blame(node, lower_node(&l, node)));
        *(low ? &out->low : &out->kept) += 1;
    }
    return tn_pass_run(graph, tn_pass_find("drop_dead"), &dropped);
}
