/* What a graph costs at given shapes: operations and memory, estimated from types alone. A multiply
 * and an add are two operations. What only moves data counts as none. */
#include <string.h>

#include "build/stage.h"
#include "ir/subgraph.h"

typedef struct estimator {
    const tn_graph *graph;
    const int64_t *values; /* NULL: the shapes cannot be evaluated */
} estimator;

/* -1 where it is not known. */
static int64_t dim_of(const estimator *e, const tn_value *value, int axis)
{
    int64_t number;
    if (!value || axis < 0) axis += value ? value->type.rank : 0;
    if (!value || axis < 0 || axis >= value->type.rank) return -1;
    if (value->kind == TN_VALUE_CONSTANT) return value->constant.dim[axis];
    tn_expr dim = value->type.dim[axis];
    if (tn_expr_is_const(e->graph->exprs, dim, &number)) return number;
    return e->values && dim != TN_EXPR_NONE && e->values[dim] >= 0 ? e->values[dim] : -1;
}

static double count_of(const estimator *e, const tn_value *value)
{
    double count = 1;
    if (!value || value->type.kind != TN_TYPE_TENSOR || value->type.rank < 0) return -1;
    for (int axis = 0; axis < value->type.rank; axis++) {
        int64_t dim = dim_of(e, value, axis);
        if (dim < 0) return -1;
        count *= (double)dim;
    }
    return count;
}

static const tn_value *input(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

static double known(double a, double b)
{
    return a < 0 || b < 0 ? -1 : a * b;
}

/* ---- Operators -------------------------------------------------------------------------------*/

static double cost_matmul(const estimator *e, const tn_node *node)
{
    return 2 * known(count_of(e, node->out[0]), (double)dim_of(e, input(node, 0), -1));
}

static double cost_gemm(const estimator *e, const tn_node *node)
{
    int axis = tn_node_int_attr(node, "transA", 0) ? 0 : 1;
    return 2 * known(count_of(e, node->out[0]), (double)dim_of(e, input(node, 0), axis));
}

/* Each output takes the weights of its channel. */
static double cost_conv(const estimator *e, const tn_node *node)
{
    const tn_value *w = input(node, 1);
    int64_t channels = dim_of(e, w, 0);
    return channels < 1 ? -1
                        : 2 * known(count_of(e, node->out[0]), count_of(e, w)) / (double)channels;
}

/* Each input gives to what the weights of its channel reach. */
static double cost_conv_transpose(const estimator *e, const tn_node *node)
{
    const tn_value *w = input(node, 1);
    int64_t channels = dim_of(e, w, 0);
    return channels < 1 ? -1
                        : 2 * known(count_of(e, input(node, 0)), count_of(e, w)) / (double)channels;
}

static double cost_recurrent(const estimator *e, const tn_node *node)
{
    double steps =
        known((double)dim_of(e, input(node, 0), 0), (double)dim_of(e, input(node, 0), 1));
    double w = count_of(e, input(node, 1)), r = count_of(e, input(node, 2));
    return w < 0 || r < 0 ? -1 : 2 * known(steps, w + r);
}

/* Scores and their use: two products of queries with keys. */
static double cost_attention(const estimator *e, const tn_node *node)
{
    const tn_value *q = input(node, 0), *k = input(node, 1);
    if (!k || k->type.rank < 3) return -1;
    return 4 * known(count_of(e, q), (double)dim_of(e, k, k->type.rank - 2));
}

/* Each token, a row of input 0, goes through all constant matrices of this rank. */
static double cost_tokens(const estimator *e, const tn_node *node, int rank)
{
    double tokens = count_of(e, input(node, 0)), weights = 0;
    int64_t width = dim_of(e, input(node, 0), -1);
    for (int i = 1; i < node->in_count; i++)
        if (node->in[i] && node->in[i]->kind == TN_VALUE_CONSTANT && node->in[i]->type.rank == rank)
            weights += count_of(e, node->in[i]);
    return width < 1 ? -1 : 2 * known(tokens / (double)width, weights);
}

static double cost_feed_forward(const estimator *e, const tn_node *node)
{
    return cost_tokens(e, node, 2);
}

static double cost_recurrent_stack(const estimator *e, const tn_node *node)
{
    return cost_tokens(e, node, 3);
}

/* Queries, keys and values side by side. */
static double cost_packed_attention(const estimator *e, const tn_node *node)
{
    return 4 * known(count_of(e, node->out[0]), (double)dim_of(e, input(node, 0), -2));
}

static double cost_window_attention(const estimator *e, const tn_node *node)
{
    const tn_attr *window = tn_node_find_attr(node, "window");
    if (!window || window->count != 2) return -1;
    return 4 * known(count_of(e, node->out[0]), (double)(window->ints[0] * window->ints[1]));
}

static double cost_window_block(const estimator *e, const tn_node *node)
{
    double attention = cost_window_attention(e, node), products = cost_tokens(e, node, 2);
    return attention < 0 || products < 0 ? -1 : attention + products;
}

static double cost_output(const estimator *e, const tn_node *node)
{
    return count_of(e, node->out[0]);
}

static double cost_input(const estimator *e, const tn_node *node)
{
    return count_of(e, input(node, 0));
}

/* Statistics and a scale: a few operations an element. */
static double cost_norm(const estimator *e, const tn_node *node)
{
    return 8 * count_of(e, input(node, 0));
}

static double cost_window(const estimator *e, const tn_node *node)
{
    const tn_attr *kernel = tn_node_find_attr(node, "kernel_shape");
    double size = 1;
    for (int64_t i = 0; kernel && i < kernel->count; i++) size *= (double)kernel->ints[i];
    return known(count_of(e, node->out[0]), size);
}

static double cost_nothing(const estimator *e, const tn_node *node)
{
    (void)e;
    (void)node;
    return 0;
}

static const struct {
    const char *ops;
    double (*cost)(const estimator *e, const tn_node *node);
} rows[] = {
    {"|MatMul|MatMulInteger|QLinearMatMul|FusedMatMul|Linear|", cost_matmul},
    {"|Gemm|", cost_gemm},
    {"|Conv|ConvInteger|DeformConv|FusedConv|ChannelsLastConv|", cost_conv},
    {"|FeedForward|", cost_feed_forward},
    {"|RecurrentStack|", cost_recurrent_stack},
    {"|PackedAttention|", cost_packed_attention},
    {"|WindowAttention|", cost_window_attention},
    {"|WindowBlock|", cost_window_block},
    {"|ConvTranspose|", cost_conv_transpose},
    {"|LSTM|GRU|RNN|", cost_recurrent},
    {"|Attention|", cost_attention},
    {"|Softmax|LogSoftmax|LayerNormalization|RMSNormalization|GroupNormalization|"
     "InstanceNormalization|BatchNormalization|LpNormalization|MeanVarianceNormalization|",
     cost_norm},
    {"|MaxPool|AveragePool|LpPool|", cost_window},
    {"|ReduceSum|ReduceMean|ReduceMax|ReduceMin|ReduceProd|ReduceL1|ReduceL2|ReduceLogSum|"
     "ReduceLogSumExp|ReduceSumSquare|ArgMax|ArgMin|GlobalAveragePool|GlobalMaxPool|CumSum|",
     cost_input},
    {"|Reshape|Flatten|Squeeze|Unsqueeze|Identity|Transpose|Slice|Split|Concat|Gather|GatherND|"
     "GatherElements|Expand|Tile|Pad|Shape|Size|Dims|ConstantOfShape|Cast|CastLike|Dropout|"
     "ScatterND|ScatterElements|DepthToSpace|SpaceToDepth|Range|EyeLike|If|Loop|Scan|",
     cost_nothing},
};

static double cost_of(const estimator *e, const tn_node *node)
{
    char key[96];
    size_t bytes = strlen(node->op->name);
    if (!node->out_count || !node->out[0] || bytes + 3 > sizeof(key)) return 0;
    key[0] = key[bytes + 1] = '|';
    memcpy(key + 1, node->op->name, bytes);
    key[bytes + 2] = 0;
    for (size_t i = 0; i < TN_COUNT(rows); i++)
        if (strstr(rows[i].ops, key)) return rows[i].cost(e, node);
    return cost_output(e, node);
}

/* ---- Memory ----------------------------------------------------------------------------------*/

static double bytes_of(const estimator *e, const tn_value *value)
{
    double count = count_of(e, value);
    return count < 0 ? 0 : count * tn_dtype_bits(value->type.dtype) / 8;
}

/* The largest sum of values that are alive at once, in the order of the nodes. A view has no memory
 * of its own; its input is kept as long as the view is. */
static tn_status find_peak(const estimator *e, tn_arena *arena, double *peak)
{
    const tn_graph *graph = e->graph;
    int64_t *left = TN_NEW_ARRAY(arena, int64_t, graph->next_id);
    const tn_value **home = TN_NEW_ARRAY(arena, const tn_value *, graph->next_id);
    double alive = 0;
    TN_CHECK(left && home, TN_OUT_OF_MEMORY, "no memory to estimate memory");
    *peak = 0;
    for (int64_t i = 0; i < graph->input_count; i++) home[graph->input[i]->id] = graph->input[i];
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int k = 0; k < node->out_count; k++) {
            const tn_value *value = node->out[k];
            if (!value) continue;
            const tn_value *from = k == 0 && node->op->view ? input(node, 0) : NULL;
            home[value->id] = from && home[from->id] ? home[from->id] : value;
            left[home[value->id]->id] += value->use_count + value->output_count;
        }
    for (const tn_node *node = graph->first; node; node = node->next) {
        for (int k = 0; k < node->out_count; k++)
            if (node->out[k] && home[node->out[k]->id] == node->out[k])
                alive += bytes_of(e, node->out[k]);
        *peak = TN_MAX(*peak, alive);
        for (int i = 0; i < node->in_count; i++) {
            const tn_value *of = node->in[i] ? home[node->in[i]->id] : NULL;
            if (of && of->kind == TN_VALUE_NODE && --left[of->id] == 0) alive -= bytes_of(e, of);
        }
    }
    return NULL;
}

/* ---- All -------------------------------------------------------------------------------------*/

tn_status tn_build_cost(const tn_graph *graph, const tn_build_config *config, tn_arena *arena,
                        tn_cost *out)
{
    const tn_build_config none = {.size = sizeof(none)};
    estimator e = {.graph = graph};
    tn_shape_sets sets;
    int64_t *values;
    tn_text text = {0};
    *out = (tn_cost){0};
    TN_TRY(tn_shapes_of(graph, config ? config : &none, arena, &sets));
    tn_status status = tn_shapes_values(graph, &sets.at[sets.opt], arena, &values);
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) return status;
    if (!status) e.values = values;
    out->node_flops = TN_NEW_ARRAY(arena, double, graph->next_id);
    TN_CHECK(out->node_flops, TN_OUT_OF_MEMORY, "no memory to estimate costs");
    for (const tn_node *node = graph->first; node; node = node->next) {
        double flops = cost_of(&e, node);
        if (flops < 0 || tn_node_has_inside(node)) out->unknown_count++;
        out->node_flops[node->id] = TN_MAX(flops, 0);
        out->flops += TN_MAX(flops, 0);
    }
    TN_TRY(find_peak(&e, arena, &out->activation_bytes));
    tn_shapes_print(graph, &sets.at[sets.opt], &text);
    out->shapes = text.failed ? NULL : tn_arena_text(arena, text.at ? text.at : "", text.bytes);
    tn_text_fini(&text);
    TN_CHECK(out->shapes, TN_OUT_OF_MEMORY, "no memory to print shapes");
    return NULL;
}
