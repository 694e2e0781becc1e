/* Products of matrices, and attention. */
#include <string.h>

#include "api/network.h"

/* An operand as MatMul takes it. */
static tn_value *operand(const tn_pen *pen, int input, int64_t operation)
{
    tn_value *x = pen->in[input];
    int64_t perm[TN_RANK_MAX], axis = input == 0 ? -2 : -1;
    int rank = tn_pen_rank(pen, input);
    if (pen->draft->failed || operation == TN_MATRIX) return x;
    if (operation == TN_VECTOR)
        return tn_pen_part(pen, "Unsqueeze", TN_IN(x, tn_draft_ints(pen->draft, &axis, 1)),
                           TN_PLAIN);
    if (rank < 2) {
        tn_pen_fail(pen, TN_INVALID, "input %d of rank %d cannot be transposed", input, rank);
        return NULL;
    }
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 2] = rank - 1;
    perm[rank - 1] = rank - 2;
    return tn_pen_part(pen, "Transpose", TN_IN(x), TN_WITH(tn_attr_ints("perm", perm, rank)));
}

static void write_matrix_multiply(tn_pen *pen)
{
    int64_t operation[2] = {tn_pen_int(pen, TN_SET_OPERATION_A, TN_MATRIX),
                            tn_pen_int(pen, TN_SET_OPERATION_B, TN_MATRIX)};
    int64_t gone[2];
    int count = 0;
    for (int i = 0; i < 2; i++) {
        if (operation[i] < 0 || operation[i] > TN_VECTOR)
            tn_pen_fail(pen, TN_INVALID, "there is no matrix operation %lld",
                        (long long)operation[i]);
        if (operation[i] == TN_VECTOR) gone[count++] = i - 2;
    }
    tn_value *a = operand(pen, 0, operation[0]), *b = operand(pen, 1, operation[1]);
    if (!count) pen->out[0] = tn_pen_op(pen, "MatMul", TN_IN(a, b), TN_PLAIN);
    else
        pen->out[0] = tn_pen_op(pen, "Squeeze",
                                TN_IN(tn_pen_part(pen, "MatMul", TN_IN(a, b), TN_PLAIN),
                                      tn_draft_ints(pen->draft, gone, count)),
                                TN_PLAIN);
}

tn_layer *tn_network_add_matrix_multiply(tn_network *network, tn_layer *a,
                                         tn_matrix_operation operation_a, tn_layer *b,
                                         tn_matrix_operation operation_b)
{
    static const tn_layer_kind kind = {
        "matrix_multiply",    TN_HAS(OPERATION_A) | TN_HAS(OPERATION_B), 2, 2, 1,
        write_matrix_multiply};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(a, b));
    tn_layer_keep(layer, TN_SET_OPERATION_A, (int64_t)operation_a);
    tn_layer_keep(layer, TN_SET_OPERATION_B, (int64_t)operation_b);
    return tn_layer_done(layer);
}

static void write_einsum(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "Einsum", pen->in, pen->in_count,
                            TN_WITH(tn_attr_text("equation", pen->layer->text)));
}

tn_layer *tn_network_add_einsum(tn_network *network, tn_layer *const *layers, int count,
                                const char *equation)
{
    static const tn_layer_kind kind = {"einsum", 0, 1, -1, 1, write_einsum};
    tn_layer *layer = tn_layer_add(network, &kind, layers, count);
    if (!layer) return NULL;
    if (equation) layer->text = tn_arena_text(&network->arena, equation, strlen(equation));
    if (!equation) tn_layer_fail(layer, TN_INVALID, "its equation is NULL");
    else if (!layer->text) tn_layer_fail(layer, TN_OUT_OF_MEMORY, "no memory for its equation");
    return tn_layer_done(layer);
}

/* ---- Attention -------------------------------------------------------------------------------*/

static void write_attention(tn_pen *pen)
{
    const tn_kept *scale = tn_layer_find(pen->layer, TN_SET_SCALE);
    tn_attr attr[2] = {tn_attr_int("is_causal", tn_pen_int(pen, TN_SET_CAUSAL, 0) != 0)};
    if (scale) attr[1] = tn_attr_float("scale", scale->real[0]);
    for (int i = 0; i < 3; i++) {
        int rank = tn_pen_rank(pen, i);
        if (rank >= 0 && rank != 4)
            tn_pen_fail(pen, TN_INVALID,
                        "input %d has rank %d, must be [batch, heads, length, size]", i, rank);
    }
    pen->out[0] = tn_pen_op(pen, "Attention", pen->in, 4, attr, scale ? 2 : 1);
}

tn_layer *tn_network_add_attention(tn_network *network, tn_layer *q, tn_layer *k, tn_layer *v)
{
    static const tn_layer_kind kind = {"attention",    TN_HAS(CAUSAL) | TN_HAS(SCALE), 3, 4, 1,
                                       write_attention};
    return tn_layer_add(network, &kind, TN_LAYERS(q, k, v));
}

static void write_rotary_embedding(tn_pen *pen)
{
    pen->out[0] =
        tn_pen_op(pen, "RotaryEmbedding", pen->in, 4,
                  TN_WITH(tn_attr_int("interleaved", tn_pen_int(pen, TN_SET_INTERLEAVED, 0) != 0),
                          tn_attr_int("rotary_embedding_dim", tn_pen_int(pen, TN_SET_ROTATED, 0))));
}

tn_layer *tn_network_add_rotary_embedding(tn_network *network, tn_layer *x, tn_layer *cos,
                                          tn_layer *sin)
{
    static const tn_layer_kind kind = {
        "rotary_embedding", TN_HAS(INTERLEAVED) | TN_HAS(ROTATED), 3, 4, 1, write_rotary_embedding};
    return tn_layer_add(network, &kind, TN_LAYERS(x, cos, sin));
}

static void write_kv_cache_update(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "TensorScatter", pen->in, 3, TN_WITH(tn_attr_int("axis", -2)));
}

tn_layer *tn_network_add_kv_cache_update(tn_network *network, tn_layer *cache, tn_layer *update,
                                         tn_layer *places)
{
    static const tn_layer_kind kind = {"kv_cache_update", 0, 3, 3, 1, write_kv_cache_update};
    return tn_layer_add(network, &kind, TN_LAYERS(cache, update, places));
}
