/* Values to run a network with when all we have is the network. Floats are random; integers are
 * where it matters what they mean: an index must lie inside its table, a mask is 0 or 1, a length
 * must not exceed its sequence. So an integer input is followed through nodes that only move or
 * convert it, and the narrowest range that a reader asks for is used. */
#include <string.h>

#include "build/stage.h"

typedef struct range {
    int64_t lo, hi; /* [lo, hi) */
} range;

static bool only_moves(const tn_node *node)
{
    static const char *const names[] = {"Cast",    "Identity", "Reshape",   "Unsqueeze", "Squeeze",
                                        "Flatten", "Expand",   "Transpose", "Slice",     "Concat",
                                        "Split",   "Tile",     "Dropout"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (!strcmp(node->op->name, names[i])) return true;
    return false;
}

static int64_t dim_of(const tn_value *value, int64_t axis, const int64_t *values)
{
    if (!value || value->type.rank < 1) return -1;
    if (axis < 0) axis += value->type.rank;
    if (axis < 0 || axis >= value->type.rank) return -1;
    tn_expr e = value->type.dim[axis];
    int64_t dim = -1;
    if (value->kind == TN_VALUE_CONSTANT) return value->constant.dim[axis];
    if (e == TN_EXPR_NONE) return -1;
    if (tn_expr_is_const(value->graph->exprs, e, &dim)) return dim;
    return values ? values[e] : -1;
}

static bool is_one_of(const char *name, const char *a, const char *b, const char *c)
{
    return !strcmp(name, a) || !strcmp(name, b) || !strcmp(name, c);
}

static void narrow(const tn_use *use, const int64_t *values, range *r)
{
    const tn_node *node = use->node;
    const char *op = node->op->name;
    int64_t limit = -1;
    if (use->index == 1 && is_one_of(op, "Gather", "GatherElements", "ScatterElements"))
        limit = dim_of(node->in[0], tn_node_int_attr(node, "axis", 0), values);
    else if (use->index == 4 && is_one_of(op, "LSTM", "GRU", "RNN")) {
        limit = dim_of(node->in[0], tn_node_int_attr(node, "layout", 0) ? 1 : 0, values) + 1;
        r->lo = 1;
    }
    if (limit > 0 && (r->hi < 0 || limit < r->hi)) r->hi = limit;
}

/* Breadth first over what `input` is moved to. */
static tn_status find_range(const tn_graph *graph, const tn_value *input, const int64_t *values,
                            range *r)
{
    tn_arena arena;
    tn_status status = NULL;
    tn_arena_init(&arena);
    bool *seen = TN_NEW_ARRAY(&arena, bool, graph->next_id);
    const tn_value **queue = TN_NEW_ARRAY(&arena, const tn_value *, graph->next_id);
    int64_t head = 0, tail = 0;
    *r = (range){0, -1};
    if (!seen || !queue) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory to look at the inputs");
    else queue[tail++] = input;
    while (head < tail) {
        const tn_value *value = queue[head++];
        for (int64_t i = 0; i < value->use_count; i++) {
            const tn_node *node = value->use[i].node;
            narrow(&value->use[i], values, r);
            if (!only_moves(node)) continue;
            for (int32_t k = 0; k < node->out_count; k++) {
                if (!node->out[k] || seen[node->out[k]->id]) continue;
                seen[node->out[k]->id] = true;
                queue[tail++] = node->out[k];
            }
        }
    }
    tn_arena_fini(&arena);
    if (r->hi < 0) r->hi = 2;
    if (r->lo >= r->hi) r->lo = 0;
    return status;
}

/* Floats that are called a mask are 0 and 1. */
static bool is_mask(const tn_value *input)
{
    return input->type.dtype == TN_DTYPE_F32 && strstr(input->name, "mask");
}

static void round_mask(tn_tensor *t)
{
    float *at = t->data;
    for (int64_t i = 0, count = tn_tensor_count(t); i < count; i++) at[i] = at[i] < 0.5f ? 0 : 1;
}

static tn_status fill(const tn_graph *graph, const tn_value *input, const int64_t *values,
                      int attempt, int draw, uint64_t seed, tn_tensor *t)
{
    static const double low[TN_GATE_DRAWS] = {-1, 0, -4}, high[TN_GATE_DRAWS] = {1, 1, 4};
    tn_dtype_kind kind = tn_dtype_kind_of(t->dtype);
    range r;
    if (kind == TN_KIND_S || tn_tensor_count(t) == 0) return NULL; /* empty texts */
    if (is_mask(input)) {
        TN_TRY(tn_tensor_fill_random(t, seed, 0, 1));
        round_mask(t);
        return NULL;
    }
    if (kind == TN_KIND_F || kind == TN_KIND_C)
        return tn_tensor_fill_random(t, seed, low[draw], high[draw]);
    TN_TRY(find_range(graph, input, values, &r));
    if (kind == TN_KIND_B) r = (range){0, 2};
    if (attempt == 1) r = (range){TN_MIN(r.hi - 1, INT64_C(1)), TN_MIN(r.hi - 1, INT64_C(1)) + 1};
    if (attempt == 2) r = (range){0, 1};
    return tn_tensor_fill_random(t, seed, (double)r.lo, (double)r.hi);
}

tn_status tn_gate_inputs(const tn_graph *graph, const tn_shape_set *set, const int64_t *values,
                         int attempt, int draw, tn_tensor *out)
{
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_value *input = graph->input[i];
        TN_TRY(tn_tensor_new(input->type.dtype, set->dim[i], set->rank[i], &out[i]));
        uint64_t seed = (uint64_t)i + 1 + ((uint64_t)draw << 32);
        TN_TRY_NOTE(fill(graph, input, values, attempt, draw, seed, &out[i]),
                    "while making values for input '%s'", input->name);
    }
    return NULL;
}

tn_status tn_build_fill_input(const tn_graph *graph, const tn_tensor *inputs, int64_t index,
                              uint64_t seed)
{
    tn_arena arena;
    tn_shape_set set = {.name = "given"};
    int64_t *values = NULL;
    tn_tensor filled = inputs[index];
    tn_arena_init(&arena);
    set.rank = TN_NEW_ARRAY(&arena, int32_t, graph->input_count);
    set.dim = tn_arena_alloc(&arena, sizeof(*set.dim) * (size_t)graph->input_count);
    tn_status status = NULL;
    if (!set.rank || !set.dim) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for shapes");
    for (int64_t i = 0; i < graph->input_count && !status; i++) {
        set.rank[i] = inputs[i].rank;
        memcpy(set.dim[i], inputs[i].dim, sizeof(set.dim[i]));
    }
    /* Shapes that the graph does not take are for its run to complain about. */
    if (!status && tn_shapes_values(graph, &set, &arena, &values)) values = NULL;
    if (!status)
        status = fill(graph, graph->input[index], values, 0, 0, (uint64_t)index + 1 + (seed << 32),
                      &filled);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
