/* Attention of com.microsoft, in its three forms, as MatMul and Attention of ONNX.
 *
 * Masks become numbers that are added to the scores: 0 where a key may be seen, mask_filter_value
 * (-10000 by default, not minus infinity) elsewhere, so that a query that sees no key has the same
 * answer as in ONNX Runtime. */
#include "ops/contrib/contrib.h"

typedef struct heads {
    tn_value *q, *k, *v, *past_k, *past_v;
    tn_value *mask, *bias; /* of keys, in integers; of scores. Either may be absent */
} heads;

/* ---- Masks
 * -----------------------------------------------------------------------------------------*/

/* Keys [T] before `end` [B], as [B, T]; from `start` on, if it is not NULL. */
static tn_value *keys_between(tn_rewrite *r, tn_value *total, tn_value *end, tn_value *start)
{
    tn_value *zero = tn_rewrite_scalar(r, TN_DTYPE_I64, 0),
             *one = tn_rewrite_scalar(r, TN_DTYPE_I64, 1);
    tn_value *key = TN_MAKE(r, "Range", zero, tn_rewrite_squeeze(r, total, 0), one);
    end = tn_rewrite_unsqueeze(r, tn_rewrite_cast(r, end, TN_DTYPE_I64), 1);
    tn_value *seen = TN_MAKE(r, "Less", key, end);
    if (!start) return seen;
    start = tn_rewrite_unsqueeze(r, tn_rewrite_cast(r, start, TN_DTYPE_I64), 1);
    return TN_MAKE(r, "And", seen, TN_MAKE(r, "GreaterOrEqual", key, start));
}

/* One axis: [B] the end of each sentence, or [2B] the ends and then the starts. */
static tn_value *mask_of_lengths(tn_rewrite *r, tn_value *mask, tn_value *q, tn_value *total)
{
    tn_exprs *exprs = r->graph->exprs;
    tn_type have = tn_rewrite_type(r, mask), want = tn_rewrite_type(r, q);
    int64_t length, batch;
    if (r->status) return NULL;
    bool known = want.rank > 0 && tn_expr_is_const(exprs, have.dim[0], &length) &&
                 tn_expr_is_const(exprs, want.dim[0], &batch);
    if (!known || length == batch) return keys_between(r, total, mask, NULL);
    TN_REWRITE_CHECK(
        r, length == 2 * batch, TN_UNSUPPORTED,
        "a mask of %lld lengths for a batch of %lld; one or two for each are supported",
        (long long)length, (long long)batch);
    return keys_between(r, total, tn_rewrite_slice(r, mask, 0, 0, batch),
                        tn_rewrite_slice(r, mask, 0, batch, length));
}

/* What is added to scores [B, N, S, T]; NULL: nothing. */
static tn_value *score_bias(tn_rewrite *r, const heads *h, tn_value *total)
{
    double filter = tn_node_float_attr(r->node, "mask_filter_value", -10000);
    tn_dtype dtype = tn_rewrite_type(r, h->q).dtype;
    if (!h->mask || r->status) return h->bias;
    int rank = tn_rewrite_rank(r, h->mask);
    tn_value *seen = NULL;
    TN_REWRITE_CHECK(r, rank >= 1 && rank <= 3, TN_UNSUPPORTED,
                     "a mask of %d axes; lengths [B] and masks [B,T] and [B,S,T] are supported",
                     rank);
    if (rank == 1) {
        seen = mask_of_lengths(r, h->mask, h->q, total);
        rank = 2;
    } else {
        tn_dtype mask_dtype = tn_rewrite_type(r, h->mask).dtype;
        seen = TN_MAKE(r, "Greater", h->mask, tn_rewrite_scalar(r, mask_dtype, 0));
    }
    tn_value *sum = TN_MAKE(r, "Where", seen, tn_rewrite_scalar(r, dtype, 0),
                            tn_rewrite_scalar(r, dtype, filter));
    if (rank == 2) sum = tn_rewrite_unsqueeze(r, sum, 1);
    sum = tn_rewrite_unsqueeze(r, sum, 1);
    return h->bias ? TN_MAKE(r, "Add", sum, h->bias) : sum;
}

/* ---- The heart
 * ------------------------------------------------------------------------------------*/

/* The node of Attention: outputs Y, present key, present value. */
static tn_value *attend(tn_rewrite *r, const heads *h)
{
    int64_t count = tn_node_int_attr(r->node, "num_heads", 0);
    bool causal = tn_node_int_attr(r->node, "unidirectional", 0) != 0;
    TN_REWRITE_CHECK(r, count > 0, TN_INVALID, "num_heads is %lld", (long long)count);
    TN_REWRITE_CHECK(r, !tn_node_int_attr(r->node, "do_rotary", 0), TN_UNSUPPORTED,
                     "do_rotary is not supported");
    TN_REWRITE_CHECK(r, !tn_node_int_attr(r->node, "past_present_share_buffer", 0), TN_UNSUPPORTED,
                     "past_present_share_buffer is not supported");
    tn_value *total = NULL;
    if (h->mask) {
        int rank = tn_rewrite_rank(r, h->k);
        total = tn_rewrite_dim(r, h->k, rank == 4 ? 2 : 1);
        if (h->past_k) total = TN_MAKE(r, "Add", total, tn_rewrite_dim(r, h->past_k, 2));
    }
    tn_value *bias = score_bias(r, h, total);
    tn_value *y = TN_MAKE_OUTS(r, 3, "Attention", h->q, h->k, h->v, bias, h->past_k, h->past_v);
    y = tn_rewrite_int(r, tn_rewrite_int(r, y, "q_num_heads", count), "kv_num_heads", count);
    return tn_rewrite_int(r, tn_contrib_copy(r, y, "scale"), "is_causal", causal);
}

/* x [B, S, Dq + Dk + Dv] in three; sizes NULL: of one size. */
static void split_heads(tn_rewrite *r, tn_value *x, const tn_attr *sizes, heads *h)
{
    bool given = sizes && sizes->kind == TN_ATTR_INTS && sizes->count == 3;
    tn_value *y =
        TN_MAKE_OUTS(r, 3, "Split", x, given ? tn_rewrite_vector(r, sizes->ints, 3) : NULL);
    if (!given) y = tn_rewrite_int(r, y, "num_outputs", 3);
    h->q = tn_rewrite_int(r, y, "axis", 2);
    h->k = tn_rewrite_out(r, y, 1);
    h->v = tn_rewrite_out(r, y, 2);
}

/* past and present are [2, B, N, T, H]: keys, values. */
static tn_status attend_packed(tn_rewrite *r, tn_value *x, heads *h, tn_value *past)
{
    split_heads(r, x, tn_node_find_attr(r->node, "qkv_hidden_sizes"), h);
    if (past) {
        h->past_k = TN_MAKE(r, "Gather", past, tn_rewrite_scalar(r, TN_DTYPE_I64, 0));
        h->past_v = TN_MAKE(r, "Gather", past, tn_rewrite_scalar(r, TN_DTYPE_I64, 1));
    }
    tn_value *y = attend(r, h);
    tn_rewrite_give(r, 0, y);
    if (tn_rewrite_wants(r, 1)) {
        tn_value *key = tn_rewrite_unsqueeze(r, tn_rewrite_out(r, y, 1), 0);
        tn_value *value = tn_rewrite_unsqueeze(r, tn_rewrite_out(r, y, 2), 0);
        tn_rewrite_give(r, 1, tn_rewrite_int(r, TN_MAKE(r, "Concat", key, value), "axis", 0));
    }
    return tn_rewrite_end(r);
}

tn_status tn_contrib_ms_attention(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    heads h = {.mask = tn_rewrite_in(&r, 3), .bias = tn_rewrite_in(&r, 5)};
    tn_value *x = TN_MAKE(&r, "MatMul", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
    if (tn_rewrite_in(&r, 2)) x = TN_MAKE(&r, "Add", x, tn_rewrite_in(&r, 2));
    TN_REWRITE_CHECK(&r, !tn_rewrite_in(&r, 6), TN_UNSUPPORTED,
                     "past_sequence_length is not supported");
    return attend_packed(&r, x, &h, tn_rewrite_in(&r, 4));
}

tn_status tn_contrib_ms_qattention(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    heads h = {.mask = tn_rewrite_in(&r, 5)};
    tn_value *x = tn_contrib_scaled_matmul(
        &r, tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1), tn_rewrite_in(&r, 6), tn_rewrite_in(&r, 7),
        tn_rewrite_in(&r, 3), tn_rewrite_in(&r, 4), tn_rewrite_in(&r, 2));
    return attend_packed(&r, x, &h, tn_rewrite_in(&r, 8));
}

/* ---- MultiHeadAttention
 * ---------------------------------------------------------------------------*/

/* Part `index` of [B, S, N, parts, H], as [B, S, N * H]. */
static tn_value *take_part(tn_rewrite *r, tn_value *x, int64_t index)
{
    const int64_t dim[] = {0, 0, -1};
    tn_value *part = TN_MAKE(r, "Gather", x, tn_rewrite_scalar(r, TN_DTYPE_I64, (double)index));
    return tn_rewrite_reshape(r, tn_rewrite_int(r, part, "axis", 3), dim, 3);
}

/* Elements [begin, end) of the bias; NULL: from the first, to the last. */
static tn_value *part_of_bias(tn_rewrite *r, tn_value *bias, tn_value *begin, tn_value *end)
{
    const int64_t first = 0, last = INT64_MAX;
    if (!begin) begin = tn_rewrite_vector(r, &first, 1);
    if (!end) end = tn_rewrite_vector(r, &last, 1);
    return TN_MAKE(r, "Slice", bias, begin, end, tn_rewrite_vector(r, &first, 1));
}

/* One bias for Q, K and V; keys and values that lie head by head have had theirs. */
static void add_biases(tn_rewrite *r, heads *h, tn_value *bias)
{
    tn_value *width = tn_rewrite_dim(r, h->q, 2), *twice = TN_MAKE(r, "Add", width, width);
    h->q = TN_MAKE(r, "Add", h->q, part_of_bias(r, bias, NULL, width));
    if (tn_rewrite_rank(r, h->k) != 3) return;
    h->k = TN_MAKE(r, "Add", h->k, part_of_bias(r, bias, width, twice));
    h->v = TN_MAKE(r, "Add", h->v, part_of_bias(r, bias, twice, NULL));
}

tn_status tn_contrib_ms_multi_head_attention(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *key = tn_rewrite_in(&r, 1), *value = tn_rewrite_in(&r, 2),
             *bias = tn_rewrite_in(&r, 3);
    heads h = {.q = tn_rewrite_in(&r, 0),
               .k = key,
               .v = value,
               .mask = tn_rewrite_in(&r, 4),
               .bias = tn_rewrite_in(&r, 5),
               .past_k = tn_rewrite_in(&r, 6),
               .past_v = tn_rewrite_in(&r, 7)};
    int rank = tn_rewrite_rank(&r, h.q), key_rank = key ? tn_rewrite_rank(&r, key) : 0;
    TN_REWRITE_CHECK(&r, !tn_rewrite_in(&r, 8) && !tn_rewrite_in(&r, 9), TN_UNSUPPORTED,
                     "past_sequence_length and cache_indirection are not supported");
    if (!key) {
        TN_REWRITE_CHECK(&r, rank == 5, TN_INVALID,
                         "without a key the query must be [B,S,N,3,H]; it has %d axes", rank);
        for (int i = 0; i < 3; i++)
            *(i == 0 ? &h.q : i == 1 ? &h.k : &h.v) = take_part(&r, tn_rewrite_in(&r, 0), i);
    } else if (!value) {
        TN_REWRITE_CHECK(&r, key_rank == 5, TN_INVALID,
                         "without a value the key must be [B,L,N,2,H]; it has %d axes", key_rank);
        h.k = take_part(&r, key, 0);
        h.v = take_part(&r, key, 1);
    }
    if (bias) add_biases(&r, &h, bias);
    tn_value *y = attend(&r, &h);
    for (int i = 0; i < 3; i++) tn_rewrite_give(&r, i, tn_rewrite_out(&r, y, i));
    return tn_rewrite_end(&r);
}

/* ---- RotaryEmbedding
 * ------------------------------------------------------------------------------*/

/* One position is that of the first row: [1] to [B, S]. */
static tn_value *spread_position(tn_rewrite *r, tn_value *x, tn_value *position)
{
    if (tn_rewrite_rank(r, position) != 1) return position;
    int rank = tn_rewrite_rank(r, x);
    tn_value *batch = tn_rewrite_dim(r, x, 0), *rows = tn_rewrite_dim(r, x, rank == 4 ? 2 : 1);
    tn_value *zero = tn_rewrite_scalar(r, TN_DTYPE_I64, 0),
             *one = tn_rewrite_scalar(r, TN_DTYPE_I64, 1);
    tn_value *place = TN_MAKE(r, "Range", zero, tn_rewrite_squeeze(r, rows, 0), one);
    tn_value *shape = tn_rewrite_int(r, TN_MAKE(r, "Concat", batch, rows), "axis", 0);
    return TN_MAKE(r, "Expand", TN_MAKE(r, "Add", place, position), shape);
}

tn_status tn_contrib_ms_rotary_embedding(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    const int64_t perm[] = {0, 2, 1, 3}, flat[] = {0, 0, -1};
    tn_value *x = tn_rewrite_in(&r, 0), *cosine = tn_rewrite_in(&r, 2);
    tn_value *places = spread_position(&r, x, tn_rewrite_in(&r, 1));
    int64_t count = tn_node_int_attr(node, "num_heads", 0), half = 0;
    tn_type cache = tn_rewrite_type(&r, cosine);
    TN_REWRITE_CHECK(&r,
                     tn_node_float_attr(node, "scale", 1) == 1 &&
                         !tn_node_int_attr(node, "is_packed_batching", 0),
                     TN_UNSUPPORTED, "scale and is_packed_batching are not supported");
    /* Without a number of heads, a head is as wide as the caches say. */
    bool split = !count && tn_rewrite_rank(&r, x) == 3;
    if (split) {
        bool known = cache.rank == 2 && tn_expr_is_const(graph->exprs, cache.dim[1], &half);
        TN_REWRITE_CHECK(&r, known && half > 0 && half < INT32_MAX, TN_UNSUPPORTED,
                         "num_heads is not given, so the columns of the caches must be known");
        const int64_t heads_last[] = {0, 0, -1, 2 * half};
        x = tn_rewrite_transpose(&r, tn_rewrite_reshape(&r, x, heads_last, 4), perm, 4);
    }
    tn_value *y = TN_MAKE(&r, "RotaryEmbedding", x, cosine, tn_rewrite_in(&r, 3), places);
    y = tn_contrib_copy(&r, y, "interleaved|num_heads|rotary_embedding_dim");
    if (split) y = tn_rewrite_reshape(&r, tn_rewrite_transpose(&r, y, perm, 4), flat, 3);
    tn_rewrite_give(&r, 0, y);
    return tn_rewrite_end(&r);
}
