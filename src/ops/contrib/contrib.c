#include "ops/contrib/contrib.h"

#include <string.h>

tn_value *tn_contrib_channels_first(tn_rewrite *r, tn_value *x, bool last)
{
    int64_t perm[TN_RANK_MAX];
    int rank = last ? tn_rewrite_rank(r, x) : 0;
    if (!last || r->status) return x;
    TN_REWRITE_CHECK(r, rank >= 2, TN_INVALID, "it has %d axes, so no channels", rank);
    for (int i = 0; i < rank; i++) perm[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
    return tn_rewrite_transpose(r, x, perm, rank);
}

tn_value *tn_contrib_channels_last(tn_rewrite *r, tn_value *y, int rank, bool last)
{
    int64_t perm[TN_RANK_MAX];
    if (!last || r->status) return y;
    for (int i = 0; i < rank; i++) perm[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
    return tn_rewrite_transpose(r, y, perm, rank);
}

tn_value *tn_contrib_copy(tn_rewrite *r, tn_value *made, const char *names)
{
    for (const char *at = names; at;) {
        const char *end = strchr(at, '|');
        size_t bytes = end ? (size_t)(end - at) : strlen(at);
        for (int i = 0; i < r->node->attr_count; i++) {
            const char *name = r->node->attr[i].name;
            if (strlen(name) == bytes && !memcmp(name, at, bytes))
                made = tn_rewrite_copy(r, made, name, name);
        }
        at = end ? end + 1 : NULL;
    }
    return made;
}

#define FLOAT TN_DTS_FLOAT
#define BYTE (TN_DT(I8) | TN_DT(U8))
#define QUANTIZED (BYTE | TN_DT(I16) | TN_DT(U16) | TN_DT(I4) | TN_DT(U4))
#define CONV_ATTRS "auto_pad|dilations|group|kernel_shape|pads|strides"
#define POOL_ATTRS "auto_pad|ceil_mode|kernel_shape|pads|strides"
#define PORTS(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define IN(name, types, letter)                                                                    \
    {                                                                                              \
        name, types, letter, 0                                                                     \
    }
#define OPT(name, types, letter)                                                                   \
    {                                                                                              \
        name, types, letter, TN_PORT_OPTIONAL                                                      \
    }
#define SCALE(name, flags)                                                                         \
    {                                                                                              \
        name, TN_DT(F32), 0, flags                                                                 \
    }
#define QLINEAR_UNARY                                                                              \
    PORTS(IN("X", BYTE, 'T'), IN("X_scale", TN_DT(F32), 0), OPT("X_zero_point", BYTE, 'T'),        \
          IN("Y_scale", TN_DT(F32), 0), OPT("Y_zero_point", BYTE, 'T'))
#define QLINEAR_BINARY                                                                             \
    PORTS(IN("A", BYTE, 'T'), IN("A_scale", TN_DT(F32), 0), OPT("A_zero_point", BYTE, 'T'),        \
          IN("B", BYTE, 'T'), IN("B_scale", TN_DT(F32), 0), OPT("B_zero_point", BYTE, 'T'),        \
          IN("C_scale", TN_DT(F32), 0), OPT("C_zero_point", BYTE, 'T'))

#define ROW(c, title, inputs, outputs, attributes, text)                                           \
    static const tn_port in_##c[] = inputs, out_##c[] = outputs;                                   \
    const tn_op tn_op_##c = {                                                                      \
        .name = title,                                                                             \
        .domain = "com.microsoft",                                                                 \
        .since = 1,                                                                                \
        .about = text,                                                                             \
        .in = in_##c,                                                                              \
        .in_count = TN_COUNT(in_##c),                                                              \
        .out = out_##c,                                                                            \
        .out_count = TN_COUNT(out_##c),                                                            \
        .own_attrs = attributes,                                                                   \
        .upgrade = {{INT32_MAX, tn_contrib_##c}},                                                  \
    };
#include "ops/contrib/contrib.def"

/* ONNX Runtime puts this one among the operators of ONNX. */
const tn_op tn_op_simplified_layer_norm = {
    .name = "SimplifiedLayerNormalization",
    .since = 1,
    .about = "RMSNormalization, as ONNX Runtime writes it",
    .in = in_ms_rms_norm,
    .in_count = TN_COUNT(in_ms_rms_norm),
    .out = out_ms_rms_norm,
    .out_count = TN_COUNT(out_ms_rms_norm),
    .own_attrs = "axis|epsilon|stash_type",
    .upgrade = {{INT32_MAX, tn_contrib_ms_rms_norm}},
};
