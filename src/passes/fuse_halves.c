/* For cards: a half of a transformer's layer, from the norm of its input to the sum with it, as one
 * node where a kernel keeps all of it on the card's multiprocessors.
 *
 *     Linear(Linear(LayerNormalization(x)), residual x)                   ->  FeedForward
 *     Linear(WindowAttention(Linear(LayerNormalization(x))), residual x)  ->  WindowBlock
 *
 * Only of 16-bit elements, and of sizes that such kernels take: what was held back in float32 stays
 * in parts. The last node of a half is turned into the new one, so that its result keeps its name.
 */
#include <string.h>

#include "ops/feed_forward/feed_forward.h"
#include "ops/window_block/window_block.h"
#include "passes/epilogue.h"

enum { X, W, BIAS, RESIDUAL };
enum { SCALE = 1, SHIFT };

static bool is_op(const tn_node *node, const char *name)
{
    return node && !strcmp(node->op->name, name);
}

static tn_value *input(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

static bool all_constant(const tn_node *node, int first, int end)
{
    for (int i = first; i < end; i++)
        if (input(node, i) && !tn_value_is_constant(node->in[i])) return false;
    return true;
}

/* What gives the first input of a node, if nobody else reads it and it has that name. */
static tn_node *behind(const tn_node *node, const char *name)
{
    tn_value *value = node->in[0];
    return value->kind == TN_VALUE_NODE && value->use_count == 1 && !value->output_count &&
                   is_op(value->producer, name) && value->producer->out[0] == value
               ? value->producer
               : NULL;
}

/* A Linear of constants, with a residual or without. */
static bool is_linear(const tn_node *node, bool residual)
{
    return is_op(node, "Linear") && all_constant(node, W, RESIDUAL) &&
           (input(node, RESIDUAL) != NULL) == residual;
}

/* Over the last axis alone, of x. */
static bool is_norm(const tn_node *node, const tn_value *x)
{
    int64_t axis = tn_node_int_attr(node, "axis", -1);
    return node->in[X] == x && all_constant(node, SCALE, SHIFT + 1) &&
           (axis == -1 || axis == x->type.rank - 1) && node->in[SCALE]->type.rank == 1 &&
           tn_type_equals(&node->in[SCALE]->type,
                          input(node, SHIFT) ? &node->in[SHIFT]->type : &node->in[SCALE]->type);
}

static bool size_of(const tn_value *value, int axis, int64_t *out)
{
    return tn_expr_is_const(value->graph->exprs, value->type.dim[axis], out);
}

/* Rows of the last axis; -1: not known. */
static int64_t rows_of(const tn_value *x)
{
    int64_t rows = 1, size;
    for (int i = 0; i < x->type.rank - 1; i++)
        if (!size_of(x, i, &size) || !tn_mul_i64(rows, size, &rows)) return -1;
    return rows;
}

/* The Linear that ends a half of x, in 16 bits. */
static bool is_end(const tn_node *node)
{
    if (!is_linear(node, true)) return false;
    const tn_dtype dtype = node->out[0]->type.dtype;
    return (dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16) &&
           !tn_node_find_attr(node, "activation") && node->in[RESIDUAL]->type.rank >= 2 &&
           tn_type_equals(&node->in[RESIDUAL]->type, &node->out[0]->type);
}

/* The node becomes the half: inputs x, scale, shift and so on. */
static tn_status become(tn_node *node, const char *op, const tn_node *norm, tn_value *const *in,
                        int count)
{
    const tn_attr *epsilon = tn_node_find_attr(norm, "epsilon");
    tn_node_set_op(node, tn_op_find("tenon", op));
    for (int i = 0; i < count; i++) TN_TRY(tn_node_set_input(node, i, in[i]));
    tn_node_trim_inputs(node);
    if (epsilon) TN_TRY(tn_node_set_attr(node, epsilon));
    TN_TRY(tn_node_lower(node));
    return tn_node_infer(node);
}

static tn_status feed_forward(tn_node *end, int64_t *changed)
{
    tn_node *first = behind(end, "Linear");
    tn_node *norm = first && is_linear(first, false) ? behind(first, "LayerNormalization") : NULL;
    tn_value *x = end->in[RESIDUAL];
    int64_t width, hidden;
    if (!norm || !is_norm(norm, x) || !size_of(first->in[W], 0, &width) ||
        !size_of(first->in[W], 1, &hidden) || !tn_feed_forward_fits(rows_of(x), width, hidden))
        return NULL;
    tn_value *in[TN_FF_INS] = {
        x,          norm->in[SCALE], input(norm, SHIFT), first->in[W], input(first, BIAS),
        end->in[W], input(end, BIAS)};
    tn_epilogue epilogue = tn_epilogue_of_node(first);
    TN_TRY(tn_epilogue_set(end, &epilogue));
    ++*changed;
    return become(end, "FeedForward", norm, in, TN_FF_INS);
}

static tn_status window_block(tn_node *end, int64_t *changed)
{
    static const char *const names[] = {"heads", "scale", "mask", "window", "shift"};
    tn_node *attention = behind(end, "WindowAttention");
    tn_node *first = attention ? behind(attention, "Linear") : NULL;
    tn_node *norm = first && is_linear(first, false) ? behind(first, "LayerNormalization") : NULL;
    tn_value *x = end->in[RESIDUAL];
    int64_t width;
    if (!norm || !is_norm(norm, x) || tn_node_find_attr(first, "activation") ||
        !all_constant(attention, 1, attention->in_count) || !size_of(first->in[W], 0, &width) ||
        !tn_window_block_fits(attention->params, rows_of(x), width))
        return NULL;
    tn_value *in[TN_WB_INS] = {x,
                               norm->in[SCALE],
                               input(norm, SHIFT),
                               first->in[W],
                               input(first, BIAS),
                               input(attention, 1),
                               end->in[W],
                               input(end, BIAS)};
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        const tn_attr *attr = tn_node_find_attr(attention, names[i]);
        if (attr) TN_TRY(tn_node_set_attr(end, attr));
    }
    ++*changed;
    return become(end, "WindowBlock", norm, in, TN_WB_INS);
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    for (tn_node *node = graph->first; node; node = node->next) {
        if (is_end(node)) TN_TRY(feed_forward(node, changed));
        if (is_end(node)) TN_TRY(window_block(node, changed));
    }
    return NULL;
}

const tn_pass tn_pass_fuse_halves = {
    .name = "fuse_halves",
    .about = "halves of transformer layers, from the norm to the sum, as one node each",
    .run = run,
    .only_engines = true,
    .only_cards = true,
};
