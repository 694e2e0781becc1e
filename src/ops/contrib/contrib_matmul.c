/* Products and convolutions with what ONNX Runtime fuses into them. */
#include <string.h>

#include "ops/contrib/contrib.h"

/* ---- Activations behind a product
 * ---------------------------------------------------------------*/

#define ACTIVATION_PARAMS 3
/* Names of an activation's parameters, in the order in which ONNX Runtime lists them. Those of Clip
 * are inputs. */
static const struct {
    const char *name, *attr[ACTIVATION_PARAMS];
} activations[] = {
    {"Relu", {NULL}},
    {"Tanh", {NULL}},
    {"Sigmoid", {NULL}},
    {"Softplus", {NULL}},
    {"Softsign", {NULL}},
    {"HardSwish", {NULL}},
    {"Elu", {"alpha"}},
    {"LeakyRelu", {"alpha"}},
    {"ThresholdedRelu", {"alpha"}},
    {"HardSigmoid", {"alpha", "beta"}},
    {"Selu", {"alpha", "gamma"}},
    {"Clip", {"min", "max"}},
    {"Softmax", {"axis"}},
};

typedef struct activation {
    int count;
    double at[ACTIVATION_PARAMS];
} activation;

/* From a list, or from attributes alpha, beta, gamma; a gap ends them. */
static activation read_activation(const tn_node *node)
{
    static const char *const names[] = {"activation_alpha", "activation_beta", "activation_gamma"};
    const tn_attr *list = tn_node_find_attr(node, "activation_params");
    const tn_attr *axis = tn_node_find_attr(node, "activation_axis");
    activation a = {0};
    if (list && list->kind == TN_ATTR_FLOATS) {
        for (; a.count < list->count && a.count < ACTIVATION_PARAMS; a.count++)
            a.at[a.count] = list->floats[a.count];
        return a;
    }
    for (; a.count < ACTIVATION_PARAMS && tn_node_find_attr(node, names[a.count]); a.count++)
        a.at[a.count] = tn_node_float_attr(node, names[a.count], 0);
    if (!a.count && axis) a = (activation){1, {(double)axis->i}};
    return a;
}

static tn_value *make_clip(tn_rewrite *r, tn_value *y, const activation *a)
{
    tn_dtype dtype = tn_rewrite_type(r, y).dtype;
    return TN_MAKE(r, "Clip", y, a->count > 0 ? tn_rewrite_scalar(r, dtype, a->at[0]) : NULL,
                   a->count > 1 ? tn_rewrite_scalar(r, dtype, a->at[1]) : NULL);
}

static tn_value *activate(tn_rewrite *r, tn_value *y)
{
    const tn_attr *name = tn_node_find_attr(r->node, "activation");
    activation a = read_activation(r->node);
    if (r->status || !name || !name->text.bytes) return y;
    for (size_t i = 0; i < TN_COUNT(activations); i++) {
        const char *known = activations[i].name;
        if (strlen(known) != name->text.bytes || memcmp(known, name->text.text, name->text.bytes))
            continue;
        if (!strcmp(known, "Clip")) return make_clip(r, y, &a);
        y = TN_MAKE(r, known, y);
        if (!strcmp(known, "Softmax"))
            return tn_rewrite_int(r, y, "axis", a.count ? (int64_t)a.at[0] : -1);
        for (int k = 0; k < a.count && activations[i].attr[k]; k++)
            y = tn_rewrite_float(r, y, activations[i].attr[k], a.at[k]);
        return y;
    }
    TN_REWRITE_CHECK(r, false, TN_UNSUPPORTED, "the activation \"%.*s\" is not known",
                     (int)TN_MIN(name->text.bytes, (size_t)60), name->text.text);
    return NULL;
}

/* ---- Products
 * -----------------------------------------------------------------------------------*/

/* [.., M, K] from [.., K, M] (matrix), from [M, .., K] (batch), or from [K, .., M] (both). */
static tn_value *transpose(tn_rewrite *r, tn_value *x, bool matrix, bool batch)
{
    int64_t perm[TN_RANK_MAX];
    int rank = matrix || batch ? tn_rewrite_rank(r, x) : 0;
    if (rank < 2) return x;
    for (int i = 0; i < rank - 2; i++) perm[i] = batch ? i + 1 : i;
    int64_t row = batch ? 0 : rank - 2, column = rank - 1;
    perm[rank - 2] = matrix ? column : row;
    perm[rank - 1] = matrix ? row : column;
    return tn_rewrite_transpose(r, x, perm, rank);
}

static tn_status fused_matmul(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    double alpha = tn_node_float_attr(node, "alpha", 1);
    tn_value *a = transpose(&r, tn_rewrite_in(&r, 0), tn_node_int_attr(node, "transA", 0) != 0,
                            tn_node_int_attr(node, "transBatchA", 0) != 0);
    tn_value *b = transpose(&r, tn_rewrite_in(&r, 1), tn_node_int_attr(node, "transB", 0) != 0,
                            tn_node_int_attr(node, "transBatchB", 0) != 0);
    tn_value *y = TN_MAKE(&r, "MatMul", a, b);
    if (alpha != 1) {
        tn_dtype dtype = tn_rewrite_type(&r, tn_rewrite_in(&r, 0)).dtype;
        y = TN_MAKE(&r, "Mul", y, tn_rewrite_scalar(&r, dtype, alpha));
    }
    tn_rewrite_give(&r, 0, activate(&r, y));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_fused_matmul(tn_graph *graph, tn_node *node)
{
    return fused_matmul(graph, node);
}

tn_status tn_contrib_ms_transpose_matmul(tn_graph *graph, tn_node *node)
{
    return fused_matmul(graph, node);
}

tn_status tn_contrib_ms_fused_matmul_activation(tn_graph *graph, tn_node *node)
{
    return fused_matmul(graph, node);
}

tn_status tn_contrib_ms_fused_gemm(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *y =
        TN_MAKE(&r, "Gemm", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1), tn_rewrite_in(&r, 2));
    y = tn_contrib_copy(&r, y, "alpha|beta|transA|transB");
    tn_rewrite_give(&r, 0, activate(&r, y));
    return tn_rewrite_end(&r);
}

/* The numbers of 2, 4 or 8 bits in bytes, lowest bits first: [.., n] to [.., n * 8 / bits]. */
static tn_value *unpack(tn_rewrite *r, tn_value *bytes, int64_t bits, int64_t rows)
{
    tn_value *part[4], *all;
    int count = (int)(8 / bits);
    int64_t dim[] = {rows, -1};
    tn_value *mask = tn_rewrite_scalar(r, TN_DTYPE_U8, (double)((1 << bits) - 1));
    for (int i = 0; i < count; i++) {
        tn_value *shift = tn_rewrite_scalar(r, TN_DTYPE_U8, (double)(i * bits));
        part[i] = tn_rewrite_text(r, TN_MAKE(r, "BitShift", bytes, shift), "direction", "RIGHT");
        part[i] = tn_rewrite_unsqueeze(r, TN_MAKE(r, "BitwiseAnd", part[i], mask), -1);
    }
    all = tn_rewrite_int(r, tn_rewrite_make(r, "Concat", part, count, 1), "axis", -1);
    return tn_rewrite_reshape(r, all, dim, 2);
}

/* B [N, blocks, bytes] to reals [N, K]: (number - zero point) * scale, block by block. */
static tn_value *widen_weights(tn_rewrite *r, int64_t n, int64_t k, int64_t bits, int64_t block)
{
    tn_value *scales = tn_rewrite_in(r, 2), *zero = tn_rewrite_in(r, 3);
    tn_dtype dtype = tn_rewrite_type(r, scales).dtype;
    int64_t blocks = (k + block - 1) / block;
    int64_t packed[] = {n, -1}, each[] = {n, blocks, block}, one[] = {n, blocks, 1},
            flat[] = {n, -1};
    tn_value *w = unpack(r, tn_rewrite_in(r, 1), bits, n);
    w = tn_rewrite_cast(r, tn_rewrite_reshape(r, w, each, 3), dtype);
    if (!zero) {
        zero = tn_rewrite_scalar(r, dtype, (double)(INT64_C(1) << (bits - 1)));
    } else {
        if (tn_rewrite_type(r, zero).dtype == TN_DTYPE_U8) {
            zero = unpack(r, tn_rewrite_reshape(r, zero, packed, 2), bits, n);
            zero = tn_rewrite_slice(r, zero, 1, 0, blocks);
        }
        zero = tn_rewrite_cast(r, tn_rewrite_reshape(r, zero, one, 3), dtype);
    }
    w = TN_MAKE(r, "Sub", w, zero);
    w = TN_MAKE(r, "Mul", w, tn_rewrite_reshape(r, scales, one, 3));
    w = tn_rewrite_reshape(r, w, flat, 2);
    return blocks * block == k ? w : tn_rewrite_slice(r, w, 1, 0, k);
}

tn_status tn_contrib_ms_matmul_nbits(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    int64_t n = tn_node_int_attr(node, "N", 0), k = tn_node_int_attr(node, "K", 0), perm[] = {1, 0};
    int64_t bits = tn_node_int_attr(node, "bits", 4),
            block = tn_node_int_attr(node, "block_size", 0);
    TN_REWRITE_CHECK(&r, bits == 2 || bits == 4 || bits == 8, TN_INVALID,
                     "bits is %lld; it must be 2, 4 or 8", (long long)bits);
    TN_REWRITE_CHECK(
        &r, n > 0 && k > 0 && n <= INT32_MAX && k <= INT32_MAX && block >= 2 && block <= INT32_MAX,
        TN_INVALID, "N is %lld, K %lld, block_size %lld", (long long)n, (long long)k,
        (long long)block);
    TN_REWRITE_CHECK(&r, !tn_rewrite_in(&r, 4), TN_UNSUPPORTED,
                     "g_idx, which mixes the order of blocks, is not supported");
    if (r.status) return tn_rewrite_end(&r);
    tn_value *w = tn_rewrite_transpose(&r, widen_weights(&r, n, k, bits, block), perm, 2);
    tn_value *y = TN_MAKE(&r, "MatMul", tn_rewrite_in(&r, 0), w);
    if (tn_rewrite_in(&r, 5)) y = TN_MAKE(&r, "Add", y, tn_rewrite_in(&r, 5));
    tn_rewrite_give(&r, 0, y);
    return tn_rewrite_end(&r);
}

/* ---- Convolutions and pools
 * ---------------------------------------------------------------------*/

static tn_status conv(tn_graph *graph, tn_node *node, bool last, bool weights_last)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *x = tn_rewrite_in(&r, 0), *w = tn_rewrite_in(&r, 1), *z = tn_rewrite_in(&r, 3);
    int rank = last ? tn_rewrite_rank(&r, x) : 0;
    x = tn_contrib_channels_first(&r, x, last);
    w = tn_contrib_channels_first(&r, w, weights_last);
    tn_value *y = TN_MAKE(&r, "Conv", x, w, tn_rewrite_in(&r, 2));
    y = tn_contrib_copy(&r, y, "auto_pad|dilations|group|kernel_shape|pads|strides");
    y = tn_contrib_channels_last(&r, y, rank, last);
    if (z) y = TN_MAKE(&r, "Add", y, z);
    tn_rewrite_give(&r, 0, activate(&r, y));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_fused_conv(tn_graph *graph, tn_node *node)
{
    return conv(graph, node, false, false);
}

tn_status tn_contrib_ms_nhwc_fused_conv(tn_graph *graph, tn_node *node)
{
    return conv(graph, node, true, false);
}

tn_status tn_contrib_ms_nhwc_conv(tn_graph *graph, tn_node *node)
{
    return conv(graph, node, true, true);
}

tn_status tn_contrib_ms_nhwc_max_pool(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    int rank = tn_rewrite_rank(&r, tn_rewrite_in(&r, 0));
    tn_value *y = TN_MAKE(&r, "MaxPool", tn_contrib_channels_first(&r, tn_rewrite_in(&r, 0), true));
    y = tn_contrib_copy(&r, y, "auto_pad|ceil_mode|dilations|kernel_shape|pads|strides");
    tn_rewrite_give(&r, 0, tn_contrib_channels_last(&r, y, rank, true));
    return tn_rewrite_end(&r);
}
