/* Tenon: networks written down layer by layer, without a model file.
 *
 *     tn_network *net;
 *     TRY(tn_network_new("digits", &net));
 *     tn_layer *x = tn_network_add_input(net, "data", TN_DTYPE_F32, TN_DIMS(-1, 1, 28, 28));
 *     x = tn_network_add_convolution(net, x, tn_network_weight(net, checkpoint, "conv1.weight"),
 *                                    tn_network_weight(net, checkpoint, "conv1.bias"));
 *     x = tn_network_add_pooling(net, x, TN_POOL_MAX, TN_DIMS(2, 2));
 *     tn_layer_set_ints(x, TN_SET_STRIDE, TN_DIMS(2, 2));
 *     tn_network_mark_output(net, x, "pooled");
 *     TRY(tn_model_from_network(net, &model));     the first failure of all that stands above
 *     tn_network_free(net);
 *
 * A tn_layer is a layer and, wherever a tensor is asked for, its first output; tn_layer_output
 * gives the others. Layers belong to their network and live as long as it does. A layer call takes
 * what the layer cannot do without; everything else is a setting, which may be changed until the
 * model is made. The names follow TensorRT's INetworkDefinition; where a layer differs, its comment
 * says so.
 *
 * Errors: the first failure of a call that gives a tn_layer (or takes one and gives nothing) stays
 * with the network; such calls then do nothing and give NULL, and tn_network_status and
 * tn_model_from_network tell it. Shapes are worked out when they are asked for (tn_layer_describe)
 * and when the model is made: those failures are told by these calls alone, name the layer, and can
 * be mended with settings.
 *
 * Weights are borrowed: the memory of a tensor given to a network, with any strides, must stay as
 * it is until the last tn_model_from_network or tn_layer_describe. Models copy it and need neither
 * the network nor a checkpoint. All other arguments are copied.
 *
 * Dims of -1 in an input are dynamic. Axes count from 0, from the end where negative. Elementwise
 * layers broadcast as NumPy does. Types are those of ONNX: nothing is converted unasked, and
 * indices are i64.
 *
 * Threads: a network, with its layers, belongs to one thread at a time.
 */
#ifndef TENON_NETWORK_H
#define TENON_NETWORK_H

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A list of whole numbers as two arguments: the numbers and how many there are. */
#define TN_DIMS(...)                                                                               \
    (const int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
/* The same for layers. */
#define TN_LAYERS(...)                                                                             \
    (tn_layer *const[]){__VA_ARGS__},                                                              \
        (int)(sizeof((tn_layer *[]){__VA_ARGS__}) / sizeof(tn_layer *))

typedef struct tn_network tn_network;
typedef struct tn_layer tn_layer;

/* ---- Networks --------------------------------------------------------------------------------*/

/* name may be NULL. */
TN_API TN_MUST_USE tn_status tn_network_new(const char *name, tn_network **out);
TN_API void tn_network_free(tn_network *network);
/* The first failure so far; NULL where all went well. */
TN_API TN_MUST_USE tn_status tn_network_status(const tn_network *network);
/* Make the tensor an output of the network. name NULL: the tensor's own. In order; names are
 * distinct. */
TN_API void tn_network_mark_output(tn_network *network, tn_layer *tensor, const char *name);
/* Write the layers down as a model, for tn_build, tn_model_save and tn_model_simplify. May be
 * called again after changes. All layers are checked; those that no output needs are left out. */
TN_API TN_MUST_USE tn_status tn_model_from_network(tn_network *network, tn_model **out);

/* The tensor of a checkpoint, as a weight; it lives as long as the network, its data as long as the
 * checkpoint. NULL, and a failure of the network, where there is none of that name. */
TN_API const tn_tensor *tn_network_weight(tn_network *network, const tn_checkpoint *checkpoint,
                                          const char *name);

/* ---- Layers ----------------------------------------------------------------------------------*/

/* Output `index` from 0, as a tensor; the layer itself for 0. */
TN_API tn_layer *tn_layer_output(tn_layer *layer, int index);
/* Name, type and shape of a tensor: dims that are not known are -1. The texts live until the next
 * call about this network. The layer and all it reads must be complete. */
TN_API TN_MUST_USE tn_status tn_layer_describe(const tn_layer *tensor, tn_io *out);
/* "pooling". Lives for ever. */
TN_API const char *tn_layer_kind_name(const tn_layer *layer);
/* The name given, or one made of the kind and a number, "pooling_3". Lives as long as the network.
 */
TN_API const char *tn_layer_name(const tn_layer *layer);

/* The setters give the layer they were given. */

/* Messages, reports and the model's nodes and tensors go by it; need not be unique, but for those
 * of inputs, which must. For an output that is not the first: the name of the tensor. */
TN_API tn_layer *tn_layer_set_name(tn_layer *layer, const char *name);
/* The name of a dynamic dim of an input: dims of the same name have the same size. */
TN_API tn_layer *tn_layer_set_dim_name(tn_layer *input, int axis, const char *name);
/* Give the layer another tensor as input `index`, or one of its optional inputs. NULL takes an
 * optional input away. */
TN_API tn_layer *tn_layer_set_input(tn_layer *layer, int index, tn_layer *tensor);

/* All settings, and what they are: whole numbers, one or a list (N), or floats (F); a bool is 0
 * or 1. Which a layer has stands with its call below. */
#define TN_SETTINGS(X)                                                                             \
    X(TYPE, N)           /* the enum that the layer's call takes */                                \
    X(WINDOW, N)         /* sizes of the window, one for each spatial axis */                      \
    X(STRIDE, N)         /* default 1 */                                                           \
    X(DILATION, N)       /* default 1 */                                                           \
    X(PADDING, N)        /* before and behind each spatial axis; default 0 */                      \
    X(PADDING_BEFORE, N) /* each alone */                                                          \
    X(PADDING_BEHIND, N)                                                                           \
    X(PADDING_MODE, N)   /* tn_padding_mode */                                                     \
    X(OUTPUT_PADDING, N) /* added to the size of the output */                                     \
    X(GROUPS, N)         /* of channels; default 1 */                                              \
    X(COUNT_PADDING, N)  /* padding counts in averages; default 0 */                               \
    X(BLEND, F)          /* share of the average in TN_POOL_MAX_AVERAGE; default 0.5 */            \
    X(ALPHA, F)                                                                                    \
    X(BETA, F)                                                                                     \
    X(BIAS, F)                                                                                     \
    X(EPSILON, F) /* default 1e-5 */                                                               \
    X(AXIS, N)                                                                                     \
    X(AXES, N)                                                                                     \
    X(KEEP_DIMS, N)                                                                                \
    X(START, N)                                                                                    \
    X(SIZE, N)                                                                                     \
    X(VALUE, F)           /* what fills; default 0 */                                              \
    X(FIRST_TRANSPOSE, N) /* output axis i is input axis [i] */                                    \
    X(RESHAPE, N)         /* 0: as before, -1: the rest */                                         \
    X(SECOND_TRANSPOSE, N)                                                                         \
    X(ZERO_IS_PLACEHOLDER, N) /* default 1; 0: a dim of 0 is 0 */                                  \
    X(OPERATION_A, N)         /* tn_matrix_operation */                                            \
    X(OPERATION_B, N)                                                                              \
    X(BATCH_DIMS, N) /* leading axes that data and indices share; default 0 */                     \
    X(K, N)                                                                                        \
    X(DEPTH, N)                                                                                    \
    X(DTYPE, N)           /* tn_dtype */                                                           \
    X(SHAPE, N)           /* dims of the output */                                                 \
    X(SCALES, F)          /* size of the output over that of the input, for each axis */           \
    X(COORDINATES, N)     /* tn_resize_coordinates; default TN_COORDINATES_ASYMMETRIC */           \
    X(ROUNDING, N)        /* tn_resize_rounding; default TN_ROUNDING_FLOOR */                      \
    X(CUBIC, F)           /* coefficient; default -0.75 */                                         \
    X(EXCLUDE_OUTSIDE, N) /* cubic: weights outside are zero; default 0 */                         \
    X(EXCLUSIVE, N)       /* without the element itself; default 0 */                              \
    X(REVERSE, N)         /* from the end; default 0 */                                            \
    X(BATCH_AXIS, N)                                                                               \
    X(SEQUENCE_AXIS, N)                                                                            \
    X(INTERPOLATION, N) /* tn_interpolation; default TN_LINEAR */                                  \
    X(ALIGN_CORNERS, N) /* default 0 */                                                            \
    X(OUTSIDE, N)       /* tn_outside */                                                           \
    X(HIDDEN, N)                                                                                   \
    X(LAYERS, N)                                                                                   \
    X(BIDIRECTIONAL, N)                                                                            \
    X(BATCH_FIRST, N) /* [batch, time, ...] instead of [time, batch, ...]; default 0 */            \
    X(CAUSAL, N)      /* default 0 */                                                              \
    X(SCALE, F)                                                                                    \
    X(INTERLEAVED, N)     /* default 0 */                                                          \
    X(ROTATED, N)         /* leading elements that are rotated; default 0: all */                  \
    X(BOX_FORMAT, N)      /* tn_box_format; default TN_BOX_CORNERS */                              \
    X(IOU_THRESHOLD, F)   /* default 0 */                                                          \
    X(SCORE_THRESHOLD, F) /* default: none */                                                      \
    X(SEED, N)

typedef enum tn_setting {
#define TN_SETTING_ENUM(name, kind) TN_SET_##name,
    TN_SETTINGS(TN_SETTING_ENUM)
#undef TN_SETTING_ENUM
        TN_SET_END
} tn_setting;

/* At most TN_RANK_MAX numbers. A setting that the layer does not have is a failure that lists those
 * it has. */
TN_API tn_layer *tn_layer_set_int(tn_layer *layer, tn_setting setting, int64_t value);
TN_API tn_layer *tn_layer_set_ints(tn_layer *layer, tn_setting setting, const int64_t *at,
                                   int count);
TN_API tn_layer *tn_layer_set_float(tn_layer *layer, tn_setting setting, double value);
TN_API tn_layer *tn_layer_set_floats(tn_layer *layer, tn_setting setting, const double *at,
                                     int count);

/* ---- Inputs, constants, types ----------------------------------------------------------------*/

TN_API tn_layer *tn_network_add_input(tn_network *network, const char *name, tn_dtype dtype,
                                      const int64_t *dim, int rank);
TN_API tn_layer *tn_network_add_constant(tn_network *network, const tn_tensor *tensor);
TN_API tn_layer *tn_network_add_identity(tn_network *network, tn_layer *x);
/* Integers wrap, floats are cut toward zero. */
TN_API tn_layer *tn_network_add_cast(tn_network *network, tn_layer *x, tn_dtype dtype);
/* The dims of x, i64 [rank]. */
TN_API tn_layer *tn_network_add_shape(tn_network *network, tn_layer *x);

/* ---- Windows ---------------------------------------------------------------------------------
 *
 * x is [batch, channels, spatial...] with one, two or three spatial axes.
 */
typedef enum tn_padding_mode {
    TN_PADDING_ROUND_DOWN, /* as given; windows that do not fit are left out */
    TN_PADDING_ROUND_UP,   /* pooling: they count where they begin inside */
    TN_PADDING_SAME_UPPER, /* as much as makes the output size / stride, the odd one behind */
    TN_PADDING_SAME_LOWER  /* the odd one before */
} tn_padding_mode;

/* weight [maps, channels / groups, window...]; bias [maps] or NULL. Input 1 and 2 may be set to
 * tensors. Settings: STRIDE, DILATION, PADDING, PADDING_BEFORE, PADDING_BEHIND, PADDING_MODE,
 * GROUPS. */
TN_API tn_layer *tn_network_add_convolution(tn_network *network, tn_layer *x,
                                            const tn_tensor *weight, const tn_tensor *bias);
/* weight [channels, maps / groups, window...]; bias [maps] or NULL. The settings of a convolution,
 * and OUTPUT_PADDING. */
TN_API tn_layer *tn_network_add_deconvolution(tn_network *network, tn_layer *x,
                                              const tn_tensor *weight, const tn_tensor *bias);

typedef enum tn_pool_type {
    TN_POOL_MAX,
    TN_POOL_AVERAGE,
    TN_POOL_MAX_AVERAGE /* (1 - BLEND) * max + BLEND * average */
} tn_pool_type;

/* window NULL and rank 0: the whole of each spatial axis. STRIDE is 1 by default, as in TensorRT
 * and unlike PyTorch. Settings: TYPE, WINDOW, STRIDE, DILATION, PADDING, PADDING_BEFORE,
 * PADDING_BEHIND, PADDING_MODE, COUNT_PADDING, BLEND. */
TN_API tn_layer *tn_network_add_pooling(tn_network *network, tn_layer *x, tn_pool_type type,
                                        const int64_t *window, int rank);
/* y = x W^T + b over the axes of x from AXIS (default 1) on, seen as one; they become [out]. weight
 * [out, in], bias [out] or NULL. (TensorRT's gives [out, 1, 1].) Settings: AXIS. */
TN_API tn_layer *tn_network_add_fully_connected(tn_network *network, tn_layer *x,
                                                const tn_tensor *weight, const tn_tensor *bias);
/* x / (bias + alpha / window * (sum of x^2 over the `window` channels around))^beta. Settings:
 * WINDOW, ALPHA, BETA, BIAS. */
TN_API tn_layer *tn_network_add_lrn(tn_network *network, tn_layer *x, int64_t window, double alpha,
                                    double beta, double bias);

/* Elements added before and behind the last `count` axes; negative numbers cut off. Settings:
 * PADDING_BEFORE, PADDING_BEHIND, VALUE, OUTSIDE (default TN_OUTSIDE_VALUE). */
TN_API tn_layer *tn_network_add_padding(tn_network *network, tn_layer *x, const int64_t *before,
                                        const int64_t *behind, int count);

/* ---- Element by element ----------------------------------------------------------------------*/

/* Columns: name, y in terms of x, a (ALPHA) and b (BETA); then the defaults of a and b. */
typedef enum tn_activation_type {
    TN_ACTIVATION_RELU,         /* max(x, 0) */
    TN_ACTIVATION_SIGMOID,      /* 1 / (1 + e^-x) */
    TN_ACTIVATION_TANH,         /* tanh x */
    TN_ACTIVATION_LEAKY_RELU,   /* x >= 0 ? x : a x;                        0.01 */
    TN_ACTIVATION_ELU,          /* x >= 0 ? x : a (e^x - 1);                1 */
    TN_ACTIVATION_SELU,         /* b (x > 0 ? x : a e^x - a);               1.673..., 1.050... */
    TN_ACTIVATION_SOFTSIGN,     /* x / (1 + |x|) */
    TN_ACTIVATION_SOFTPLUS,     /* a log(e^(b x) + 1);                      1, 1 */
    TN_ACTIVATION_CLIP,         /* max(a, min(b, x));                       no bounds */
    TN_ACTIVATION_HARD_SIGMOID, /* max(0, min(1, a x + b));                 0.2, 0.5 */
    TN_ACTIVATION_SCALED_TANH,  /* a tanh(b x);                             1, 1 */
    TN_ACTIVATION_THRESHOLDED_RELU, /* x > a ? x : 0;                           1 */
    TN_ACTIVATION_GELU_ERF,         /* x / 2 (1 + erf(x / sqrt 2)) */
    TN_ACTIVATION_GELU_TANH,        /* its approximation */
    TN_ACTIVATION_SILU,             /* x sigmoid(x) */
    TN_ACTIVATION_HARD_SWISH,       /* x max(0, min(1, x / 6 + 1/2)) */
    TN_ACTIVATION_MISH              /* x tanh(log(e^x + 1)) */
} tn_activation_type;

/* Settings: TYPE, ALPHA, BETA. */
TN_API tn_layer *tn_network_add_activation(tn_network *network, tn_layer *x,
                                           tn_activation_type type);
/* x >= 0 ? x : slope * x; slope, input 1, broadcasts to x. */
TN_API tn_layer *tn_network_add_parametric_relu(tn_network *network, tn_layer *x, tn_layer *slope);

typedef enum tn_unary_type {
    TN_UNARY_EXP,
    TN_UNARY_LOG,
    TN_UNARY_SQRT,
    TN_UNARY_RECIPROCAL,
    TN_UNARY_ABS,
    TN_UNARY_NEG,
    TN_UNARY_SIN,
    TN_UNARY_COS,
    TN_UNARY_TAN,
    TN_UNARY_SINH,
    TN_UNARY_COSH,
    TN_UNARY_ASIN,
    TN_UNARY_ACOS,
    TN_UNARY_ATAN,
    TN_UNARY_ASINH,
    TN_UNARY_ACOSH,
    TN_UNARY_ATANH,
    TN_UNARY_CEIL,
    TN_UNARY_FLOOR,
    TN_UNARY_ERF,
    TN_UNARY_NOT,
    TN_UNARY_SIGN,
    TN_UNARY_ROUND, /* halves to even */
    TN_UNARY_IS_INF,
    TN_UNARY_IS_NAN
} tn_unary_type;

/* Settings: TYPE. */
TN_API tn_layer *tn_network_add_unary(tn_network *network, tn_layer *x, tn_unary_type type);

typedef enum tn_elementwise_type {
    TN_ELEMENTWISE_SUM,
    TN_ELEMENTWISE_PRODUCT,
    TN_ELEMENTWISE_MAX,
    TN_ELEMENTWISE_MIN,
    TN_ELEMENTWISE_SUB,
    TN_ELEMENTWISE_DIV, /* of integers: toward zero */
    TN_ELEMENTWISE_POW,
    TN_ELEMENTWISE_FLOOR_DIV, /* toward minus infinity */
    TN_ELEMENTWISE_AND,
    TN_ELEMENTWISE_OR,
    TN_ELEMENTWISE_XOR,
    TN_ELEMENTWISE_EQUAL, /* this and the two below give bool */
    TN_ELEMENTWISE_GREATER,
    TN_ELEMENTWISE_LESS
} tn_elementwise_type;

/* Settings: TYPE. */
TN_API tn_layer *tn_network_add_elementwise(tn_network *network, tn_layer *a, tn_layer *b,
                                            tn_elementwise_type type);

typedef enum tn_scale_mode {
    TN_SCALE_UNIFORM,    /* one number each */
    TN_SCALE_CHANNEL,    /* one for each place of AXIS (default 1) */
    TN_SCALE_ELEMENTWISE /* one for each element of the axes from AXIS on */
} tn_scale_mode;

/* (x * scale + shift)^power. Each may be NULL: 0, 1, 1. Settings: TYPE, AXIS. */
TN_API tn_layer *tn_network_add_scale(tn_network *network, tn_layer *x, tn_scale_mode mode,
                                      const tn_tensor *shift, const tn_tensor *scale,
                                      const tn_tensor *power);
/* condition, bool, ? a : b. */
TN_API tn_layer *tn_network_add_select(tn_network *network, tn_layer *condition, tn_layer *a,
                                       tn_layer *b);
/* round(x / scale) in `dtype`, an integer or float8 type, saturated; its zero point is 0 or input
 * 2. scale, input 1: a scalar, or [n] along AXIS (default 1). Settings: AXIS, DTYPE. */
TN_API tn_layer *tn_network_add_quantize(tn_network *network, tn_layer *x, tn_layer *scale,
                                         tn_dtype dtype);
/* (x - zero point) * scale. Zero point: 0 or input 2. Settings: AXIS. */
TN_API tn_layer *tn_network_add_dequantize(tn_network *network, tn_layer *x, tn_layer *scale);

/* ---- Along axes ------------------------------------------------------------------------------*/

typedef enum tn_reduce_type {
    TN_REDUCE_SUM,
    TN_REDUCE_PRODUCT,
    TN_REDUCE_MAX,
    TN_REDUCE_MIN,
    TN_REDUCE_AVERAGE
} tn_reduce_type;

/* count 0: over all axes. Settings: TYPE, AXES, KEEP_DIMS. */
TN_API tn_layer *tn_network_add_reduce(tn_network *network, tn_layer *x, tn_reduce_type type,
                                       const int64_t *axes, int count, bool keep_dims);
/* Settings: AXIS. */
TN_API tn_layer *tn_network_add_softmax(tn_network *network, tn_layer *x, int64_t axis);
/* Along the last axis, over the first bounds[...] elements of each row; the others give 0. bounds:
 * integers of the shape of x, the last dim 1. */
TN_API tn_layer *tn_network_add_ragged_softmax(tn_network *network, tn_layer *x, tn_layer *bounds);
/* Running sums. Settings: AXIS, EXCLUSIVE, REVERSE. */
TN_API tn_layer *tn_network_add_cumulative(tn_network *network, tn_layer *x, int64_t axis);
/* values (output 0) and where they stood, i64 (output 1), in order. Input 1, where set, is k as i64
 * [1]. Settings: TYPE, K, AXIS. */
typedef enum tn_top_k_type { TN_TOP_K_MAX, TN_TOP_K_MIN } tn_top_k_type;
TN_API tn_layer *tn_network_add_top_k(tn_network *network, tn_layer *x, tn_top_k_type type,
                                      int64_t k, int64_t axis);

typedef enum tn_normalization_type {
    TN_NORMALIZATION_LAYER,    /* over the axes from AXIS (default -1) on */
    TN_NORMALIZATION_RMS,      /* the same without the mean */
    TN_NORMALIZATION_INSTANCE, /* over the spatial axes of each channel */
    TN_NORMALIZATION_GROUP     /* over GROUPS groups of channels with their spatial axes */
} tn_normalization_type;

/* (x - mean) / sqrt(variance + EPSILON) * scale + bias. scale and bias (inputs 1 and 2): shaped as
 * the axes from AXIS on, or [channels]; NULL: 1 and 0. Settings: TYPE, AXIS, GROUPS, EPSILON. */
TN_API tn_layer *tn_network_add_normalization(tn_network *network, tn_layer *x,
                                              tn_normalization_type type, const tn_tensor *scale,
                                              const tn_tensor *bias);
/* The same with known mean and variance; all [channels], axis 1 of x. Settings: EPSILON. */
TN_API tn_layer *tn_network_add_batch_normalization(tn_network *network, tn_layer *x,
                                                    const tn_tensor *scale, const tn_tensor *bias,
                                                    const tn_tensor *mean,
                                                    const tn_tensor *variance);

/* ---- Matrices --------------------------------------------------------------------------------*/

typedef enum tn_matrix_operation {
    TN_MATRIX,            /* the last two axes are rows and columns */
    TN_MATRIX_TRANSPOSED, /* columns and rows */
    TN_VECTOR             /* the last axis is a vector, which the product lacks */
} tn_matrix_operation;

/* Axes before those broadcast. Settings: OPERATION_A, OPERATION_B. */
TN_API tn_layer *tn_network_add_matrix_multiply(tn_network *network, tn_layer *a,
                                                tn_matrix_operation operation_a, tn_layer *b,
                                                tn_matrix_operation operation_b);
/* "bij,bjk->bik": products of elements by letters of axes, summed over letters that the right side
 * lacks. */
TN_API tn_layer *tn_network_add_einsum(tn_network *network, tn_layer *const *layers, int count,
                                       const char *equation);
/* softmax(q k^T * SCALE + mask) v over [batch, heads, length, size]; k and v may have fewer heads.
 * SCALE is 1 / sqrt(size) by default, which TensorRT leaves to the caller. Input 3, where set, is
 * the mask: bool, or numbers that are added, broadcast to [batch, heads, query, key]. Settings:
 * CAUSAL, SCALE. */
TN_API tn_layer *tn_network_add_attention(tn_network *network, tn_layer *q, tn_layer *k,
                                          tn_layer *v);
/* x [batch, heads, length, size] turned by the angles whose cosines and sines are [positions, size
 * / 2], picked by input 3, i64 [batch, length], or, without it, [batch, length, size / 2].
 * Settings: INTERLEAVED, ROTATED. */
TN_API tn_layer *tn_network_add_rotary_embedding(tn_network *network, tn_layer *x, tn_layer *cos,
                                                 tn_layer *sin);
/* cache [batch, heads, room, size] with update [batch, heads, length, size] written from
 * places[batch] (i64) on. */
TN_API tn_layer *tn_network_add_kv_cache_update(tn_network *network, tn_layer *cache,
                                                tn_layer *update, tn_layer *places);

/* ---- Shapes ----------------------------------------------------------------------------------*/

/* Transpose, reshape, transpose, each where it is set. Input 1, where set, is the shape as i64
 * instead of RESHAPE. Settings: FIRST_TRANSPOSE, RESHAPE, SECOND_TRANSPOSE, ZERO_IS_PLACEHOLDER. */
TN_API tn_layer *tn_network_add_shuffle(tn_network *network, tn_layer *x);
TN_API tn_layer *tn_network_add_squeeze(tn_network *network, tn_layer *x, const int64_t *axes,
                                        int count);
TN_API tn_layer *tn_network_add_unsqueeze(tn_network *network, tn_layer *x, const int64_t *axes,
                                          int count);
/* Settings: AXIS. */
TN_API tn_layer *tn_network_add_concatenation(tn_network *network, tn_layer *const *layers,
                                              int count, int64_t axis);

/* Elements outside of a tensor. */
typedef enum tn_outside {
    TN_OUTSIDE_REFUSED, /* an error */
    TN_OUTSIDE_WRAP,    /* c a b [a b c] a b */
    TN_OUTSIDE_CLAMP,   /* a a a [a b c] c c */
    TN_OUTSIDE_VALUE,   /* VALUE */
    TN_OUTSIDE_REFLECT  /* c c b [a b c] b a */
} tn_outside;

/* size[i] elements of axis i, from start[i] on, stride[i] apart, which may be negative; stride
 * NULL: 1. A size of -1: to the end, or to the beginning. rank is that of x. Inputs 1, 2 and 3,
 * where set, are start, size and stride as i64 [rank]; input 4 is the value that fills. Settings:
 * START, SIZE, STRIDE, OUTSIDE (default TN_OUTSIDE_REFUSED), VALUE. */
TN_API tn_layer *tn_network_add_slice(tn_network *network, tn_layer *x, const int64_t *start,
                                      const int64_t *size, const int64_t *stride, int rank);

typedef enum tn_interpolation { TN_NEAREST, TN_LINEAR, TN_CUBIC } tn_interpolation;
typedef enum tn_resize_coordinates { /* where output place i lies in the input */
                                     TN_COORDINATES_ALIGN_CORNERS, /* i * (in - 1) / (out - 1) */
                                     TN_COORDINATES_ASYMMETRIC,    /* i * in / out */
                                     TN_COORDINATES_HALF_PIXEL     /* (i + 1/2) * in / out - 1/2 */
} tn_resize_coordinates;
typedef enum tn_resize_rounding {
    TN_ROUNDING_HALF_UP,
    TN_ROUNDING_HALF_DOWN,
    TN_ROUNDING_FLOOR,
    TN_ROUNDING_CEIL
} tn_resize_rounding;

/* One of SHAPE and SCALES must be set, or input 1, the shape as i64. Settings: INTERPOLATION,
 * SHAPE, SCALES, COORDINATES, ROUNDING (of TN_NEAREST), CUBIC, EXCLUDE_OUTSIDE. */
TN_API tn_layer *tn_network_add_resize(tn_network *network, tn_layer *x, tn_interpolation mode);

typedef enum tn_fill_type {
    TN_FILL_LINSPACE,       /* ALPHA + i * BETA (defaults 0, 1); one axis */
    TN_FILL_RANDOM_UNIFORM, /* evenly from [ALPHA, BETA) (0, 1) */
    TN_FILL_RANDOM_NORMAL   /* mean ALPHA, standard deviation BETA (0, 1) */
} tn_fill_type;

/* A tensor made from nothing, f32 unless DTYPE says otherwise. Input 0, where set, is the shape as
 * i64. Random numbers are others in each run; SEED makes them the same. Settings: TYPE, SHAPE,
 * DTYPE, ALPHA, BETA, SEED. */
TN_API tn_layer *tn_network_add_fill(tn_network *network, tn_fill_type type, const int64_t *dim,
                                     int rank);

/* ---- Indices ---------------------------------------------------------------------------------*/

typedef enum tn_gather_type {
    TN_GATHER,         /* slices of AXIS (default 0): the axis becomes the axes of indices */
    TN_GATHER_ELEMENT, /* y[i][j] = x[indices[i][j]][j], for AXIS 0 */
    TN_GATHER_ND       /* the last axis of indices holds places of several axes */
} tn_gather_type;

/* Indices are i32 or i64; negative ones count from the end. Settings: TYPE, AXIS, BATCH_DIMS. */
TN_API tn_layer *tn_network_add_gather(tn_network *network, tn_layer *x, tn_layer *indices,
                                       tn_gather_type type);
typedef enum tn_scatter_type { TN_SCATTER_ELEMENT, TN_SCATTER_ND } tn_scatter_type;
/* x with updates written where a gather of the same type would read. Settings: TYPE, AXIS. */
TN_API tn_layer *tn_network_add_scatter(tn_network *network, tn_layer *x, tn_layer *indices,
                                        tn_layer *updates, tn_scatter_type type);
/* values [off, on] along a new axis of size depth. Settings: DEPTH, AXIS. */
TN_API tn_layer *tn_network_add_one_hot(tn_network *network, tn_layer *indices, tn_layer *values,
                                        int64_t depth, int64_t axis);
/* The places of elements that are not zero, i64 [rank, count]. */
TN_API tn_layer *tn_network_add_non_zero(tn_network *network, tn_layer *x);
typedef enum tn_box_format {
    TN_BOX_CORNERS,    /* x1 y1 x2 y2 */
    TN_BOX_CENTER_SIZE /* x y of the middle, width, height */
} tn_box_format;
/* Boxes by score without those that overlap a better one by more than IOU_THRESHOLD. boxes [batch,
 * boxes, 4], scores [batch, boxes, classes]. Output 0: [count, 3] of batch, class, box; output 1:
 * count, a scalar. Settings: K (per class; input 2, where set), BOX_FORMAT, IOU_THRESHOLD,
 * SCORE_THRESHOLD. */
TN_API tn_layer *tn_network_add_nms(tn_network *network, tn_layer *boxes, tn_layer *scores,
                                    int64_t per_class);
/* The first lengths[b] (i64 [batch]) steps of sample b backward. Settings: BATCH_AXIS (default 1),
 * SEQUENCE_AXIS (default 0). */
TN_API tn_layer *tn_network_add_reverse_sequence(tn_network *network, tn_layer *x,
                                                 tn_layer *lengths);
/* x [batch, channels, in...] at places grid [batch, out..., spatial axes] from -1 to 1. Settings:
 * INTERPOLATION, ALIGN_CORNERS, OUTSIDE: TN_OUTSIDE_VALUE (default, 0), TN_OUTSIDE_CLAMP or
 * TN_OUTSIDE_REFLECT. */
TN_API tn_layer *tn_network_add_grid_sample(tn_network *network, tn_layer *x, tn_layer *grid);

/* ---- Recurrence ------------------------------------------------------------------------------*/

typedef enum tn_rnn_type { TN_RNN_LSTM, TN_RNN_GRU, TN_RNN_TANH, TN_RNN_RELU } tn_rnn_type;

/* `layers` of `hidden` units, each on what the one below gives, x [time, batch, in]. Outputs: y
 * [time, batch, directions * hidden], the last h [layers * directions, batch, hidden], and of an
 * LSTM the last c. Inputs 1 and 2, where set, are the first h and c; input 3 the lengths, i32
 * [batch]. Settings: BATCH_FIRST (of x and y).
 *
 * weights are those of torch.nn.LSTM, GRU or RNN in the order of its state_dict: for each layer,
 * for each direction, weight_ih [gates * hidden, in], weight_hh [gates * hidden, hidden], and, with
 * biases, bias_ih and bias_hh [gates * hidden]; gates in PyTorch's order. count tells whether there
 * are biases. count 0: tn_layer_set_gate gives them. The GRU is PyTorch's, which resets after the
 * product. */
TN_API tn_layer *tn_network_add_rnn(tn_network *network, tn_rnn_type type, tn_layer *x,
                                    int64_t hidden, int64_t layers, bool bidirectional,
                                    const tn_tensor *weights, int count);
TN_API tn_layer *tn_network_add_lstm(tn_network *network, tn_layer *x, int64_t hidden,
                                     int64_t layers, bool bidirectional, const tn_tensor *weights,
                                     int count);

typedef enum tn_cell_gate {
    TN_GATE_INPUT, /* LSTM; the only one of a simple network */
    TN_GATE_FORGET,
    TN_GATE_CELL,
    TN_GATE_OUTPUT,
    TN_GATE_RESET, /* GRU */
    TN_GATE_UPDATE,
    TN_GATE_HIDDEN
} tn_cell_gate;

/* Weight [hidden, in], or [hidden, hidden] if recurrent, and bias [hidden] (NULL: 0) of one gate.
 * index: layer * directions + direction. */
TN_API tn_layer *tn_layer_set_gate(tn_layer *rnn, int index, tn_cell_gate gate, bool recurrent,
                                   const tn_tensor *weight, const tn_tensor *bias);

/* ---- Control flow ----------------------------------------------------------------------------
 *
 * A branch or body is a network of its own. Its inputs stand for the tensors given to it here, in
 * order, and their declared shapes only serve tn_layer_describe. It must outlive this network, and
 * a network cannot stand inside itself.
 */

/* The outputs of one network or of the other, by a bool scalar; both take all of `given` and have
 * as many outputs. */
TN_API tn_layer *tn_network_add_if(tn_network *network, tn_layer *condition, tn_network *then,
                                   tn_network *otherwise, tn_layer *const *given, int count);
/* Run `body` `trips` times (an i64 scalar; NULL: no limit), and while `condition` (a bool scalar;
 * NULL: true) holds. The body's inputs: the iteration (i64 scalar), the condition (bool scalar),
 * the `carried` values, then the `given` tensors. Its outputs: the condition, the carried values,
 * then any that are collected. Outputs here: the carried values at the end, then what was
 * collected, along a new first axis. */
TN_API tn_layer *tn_network_add_loop(tn_network *network, tn_layer *trips, tn_layer *condition,
                                     tn_network *body, tn_layer *const *carried, int carried_count,
                                     tn_layer *const *given, int given_count);

#ifdef __cplusplus
}
#endif
#endif
