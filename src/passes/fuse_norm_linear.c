/* For cards: a normalisation of rows and the product of them as one node, so that no kernel of its
 * own stands between two products.
 *
 *     n = LayerNormalization(x), y = Linear(n)  ->  y, n = NormLinear(x)
 *
 * n stays for whoever else reads it, as long as they come behind the product. Only of few rows:
 * many keep a card busy with the best of products, beside which a normalisation is short. */
#include <string.h>

#include "ops/norm_linear/norm_linear.h"
#include "passes/passes.h"

enum { X, SCALE, SHIFT };                  /* of the normalisation */
enum { W = 1, BIAS, RESIDUAL };            /* of the product */
enum { ROWS_MAX = 2048, PART_BITS = 128 }; /* taken at once */

static tn_value *input(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

static bool is_constant(const tn_node *node, int index, int rank)
{
    const tn_value *value = input(node, index);
    return !value || (tn_value_is_constant(value) && value->type.rank == rank);
}

static bool size_of(const tn_value *value, int axis, int64_t *out)
{
    return tn_expr_is_const(value->graph->exprs, value->type.dim[axis], out);
}

/* Of rows of the last axis, and of no more than are worth it, as far as that is known. */
static bool is_norm(const tn_node *node)
{
    const tn_value *x = input(node, X);
    int64_t rows = 1, size, axis;
    if (strcmp(node->op->name, "LayerNormalization") || node->op->domain || x->type.rank < 2)
        return false;
    if (tn_dtype_bits(x->type.dtype) > 32 || !tn_type_equals(&x->type, &node->out[0]->type))
        return false;
    for (int i = 1; i < node->out_count; i++)
        if (node->out[i]) return false;
    for (int i = 0; i < x->type.rank - 1; i++)
        if (size_of(x, i, &size) && (!tn_mul_i64(rows, size, &rows) || rows > ROWS_MAX))
            return false;
    axis = tn_node_int_attr(node, "axis", -1);
    return (axis == -1 || axis == x->type.rank - 1) && is_constant(node, SCALE, 1) &&
           is_constant(node, SHIFT, 1) && node->in[SCALE]->type.dtype == x->type.dtype &&
           size_of(x, x->type.rank - 1, &size) && size > 0 &&
           size * tn_dtype_bits(x->type.dtype) % PART_BITS == 0;
}

/* The first of those that read the rows, if it multiplies them with what is wide enough: as many
 * tiles of columns as steps of 128 bytes along the rows, which they make. */
static tn_node *product_of(const tn_node *norm)
{
    const tn_value *rows = norm->out[0];
    int64_t width, columns;
    for (tn_node *node = norm->next; node; node = node->next) {
        int reads = 0;
        for (int i = 0; i < node->in_count; i++) reads += node->in[i] == rows;
        if (!reads) continue;
        bool fits = reads == 1 && node->in[X] == rows && !strcmp(node->op->name, "Linear") &&
                    is_constant(node, W, 2) && is_constant(node, BIAS, 1) &&
                    !input(node, RESIDUAL) && size_of(node->in[W], 0, &width) &&
                    size_of(node->in[W], 1, &columns) &&
                    columns * 16 >= width * tn_dtype_bits(rows->type.dtype);
        return fits ? node : NULL;
    }
    return NULL;
}

/* The product becomes both, so that its result keeps its name. */
static tn_status fuse(tn_node *norm, tn_node *product)
{
    tn_value *rows = norm->out[0], *normed;
    bool only = rows->use_count == 1 && !rows->output_count;
    tn_value *in[TN_NL_INS] = {norm->in[X], norm->in[SCALE], input(norm, SHIFT), product->in[W],
                               input(product, BIAS)};
    const tn_attr *epsilon = tn_node_find_attr(norm, "epsilon");
    tn_node_set_op(product, tn_op_find("tenon", "NormLinear"));
    for (int i = 0; i < TN_NL_INS; i++) TN_TRY(tn_node_set_input(product, i, in[i]));
    tn_node_trim_inputs(product);
    if (epsilon) TN_TRY(tn_node_set_attr(product, epsilon));
    if (!only) TN_TRY(tn_node_add_output(product, &normed));
    TN_TRY(tn_node_lower(product));
    TN_TRY(tn_node_infer(product));
    if (!only) TN_TRY(tn_value_replace(rows, normed));
    tn_node_remove(norm);
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    for (tn_node *node = graph->first, *next; node; node = next) {
        tn_node *product = is_norm(node) ? product_of(node) : NULL;
        next = node->next;
        if (!product) continue;
        TN_TRY(fuse(node, product));
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_fuse_norm_linear = {
    .name = "fuse_norm_linear",
    .about = "a normalisation of rows and the product of them as one node",
    .run = run,
    .only_engines = true,
    .only_cards = true,
};
