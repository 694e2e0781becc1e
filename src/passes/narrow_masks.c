/* Masks of attention that are the same for every query, though they were written out for all of
 * them: what computes them from numbers and from masks over keys is done for one query.
 *
 *     Where(And(constant of ones [1,1,S,S], keys [B,1,1,S]), 0, -inf)  ->  [B,1,1,S]
 *
 * Attention broadcasts its mask, and kernels are faster where it lies along the keys alone. */
#include <string.h>

#include "passes/passes.h"

enum { DEPTH_MAX = 8 };

static bool is_elementwise(const tn_node *node)
{
    static const char *const names[] = {"Add",
                                        "And",
                                        "Cast",
                                        "Div",
                                        "Equal",
                                        "Greater",
                                        "Less",
                                        "Max",
                                        "Min",
                                        "Mul",
                                        "Neg",
                                        "Not",
                                        "Or",
                                        "Sub",
                                        "Xor",
                                        "Where",
                                        "GreaterOrEqual",
                                        "LessOrEqual"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (!strcmp(node->op->name, names[i])) return node->out_count == 1;
    return false;
}

/* One for all queries already: the axis before the last is of one row. */
static bool is_narrow(const tn_value *value)
{
    const tn_type *t = &value->type;
    return t->rank == 0 || t->rank == 1 ||
           (t->rank > 1 && tn_expr_equals(value->graph->exprs, t->dim[t->rank - 2], 1));
}

/* The first row of each matrix, if all rows of it are alike. */
static tn_status narrow_constant(tn_value *value, tn_value **out)
{
    const tn_tensor *t = &value->constant;
    const int64_t rows = t->dim[t->rank - 2], bytes = tn_dtype_bytes(t->dtype, t->dim[t->rank - 1]);
    const int64_t count = tn_tensor_count(t);
    if (tn_dtype_kind_of(t->dtype) == TN_KIND_S || bytes <= 0 || count <= 0 ||
        tn_tensor_bytes(t) % (rows * bytes))
        return NULL;
    const int64_t matrices = tn_tensor_bytes(t) / (rows * bytes);
    const char *at = t->data;
    for (int64_t row = 0; row < matrices * rows; row++)
        if (memcmp(at + row * bytes, at + row / rows * rows * bytes, (size_t)bytes) != 0)
            return NULL;
    int64_t dim[TN_RANK_MAX];
    memcpy(dim, t->dim, sizeof dim);
    dim[t->rank - 2] = 1;
    char *to = tn_arena_alloc(value->graph->arena, (size_t)(matrices * bytes));
    TN_CHECK(to, TN_OUT_OF_MEMORY, "no memory for a mask");
    for (int64_t m = 0; m < matrices; m++)
        memcpy(to + m * bytes, at + m * rows * bytes, (size_t)bytes);
    tn_tensor narrow = tn_tensor_of(t->dtype, dim, t->rank, to);
    return tn_graph_add_constant(value->graph, NULL, &narrow, false, out);
}

static tn_status narrow(tn_value *value, tn_node *before, int depth, tn_value **out);

/* The same node of narrow operands. */
static tn_status narrow_node(const tn_node *node, tn_node *before, int depth, tn_value **out)
{
    tn_value *in[3] = {NULL};
    tn_node *copy;
    if (node->in_count > (int)TN_COUNT(in)) return NULL;
    for (int i = 0; i < node->in_count; i++) {
        if (node->in[i]) TN_TRY(narrow(node->in[i], before, depth - 1, &in[i]));
        if (!in[i]) return NULL;
    }
    TN_TRY(tn_graph_add_node(node->graph, node->op, node->name, in, node->in_count, NULL, 1, before,
                             &copy));
    for (int i = 0; i < node->attr_count; i++) TN_TRY(tn_node_set_attr(copy, &node->attr[i]));
    TN_TRY(tn_node_lower(copy));
    TN_TRY(tn_node_infer(copy));
    *out = copy->out[0];
    return NULL;
}

/* *out: what broadcasts to the value and is narrow; NULL if it cannot be told. Recursion: at most
 * `depth` deep. */
static tn_status narrow(tn_value *value, tn_node *before, int depth, tn_value **out)
{
    *out = NULL;
    if (value->type.rank < 0 || depth == 0) return NULL;
    if (is_narrow(value)) {
        *out = value;
        return NULL;
    }
    if (tn_value_is_constant(value)) return narrow_constant(value, out);
    if (value->kind != TN_VALUE_NODE) return NULL;
    const tn_node *node = value->producer;
    if (!strcmp(node->op->name, "Expand")) return narrow(node->in[0], before, depth - 1, out);
    return is_elementwise(node) ? narrow_node(node, before, depth, out) : NULL;
}

/* The input that is the mask; -1: the node has none. */
static int mask_of(const tn_node *node)
{
    int at = !strcmp(node->op->name, "PackedAttention") ? 1
             : !strcmp(node->op->name, "Attention")     ? 3
                                                        : -1;
    return at >= 0 && at < node->in_count && node->in[at] ? at : -1;
}

/* As long as it was: a mask may have fewer columns than there are keys. */
static bool fits(const tn_value *narrow, const tn_value *mask)
{
    const tn_type *a = &narrow->type, *b = &mask->type;
    return a->rank > 1 && a->rank <= b->rank && a->dim[a->rank - 1] == b->dim[b->rank - 1];
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    /* Layers share their mask. */
    tn_value *last = NULL, *last_narrow = NULL;
    for (tn_node *node = graph->first; node; node = node->next) {
        int at = mask_of(node);
        if (at < 0 || is_narrow(node->in[at])) continue;
        if (node->in[at] != last) {
            last = node->in[at];
            TN_TRY(narrow(last, node, DEPTH_MAX, &last_narrow));
        }
        if (!last_narrow || !fits(last_narrow, last)) continue;
        TN_TRY(tn_node_set_input(node, at, last_narrow));
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_narrow_masks = {
    .name = "narrow_masks",
    .about = "masks of attention that are the same for every query, for one query",
    .run = run,
    .only_engines = true,
};
