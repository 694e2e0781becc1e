/* Layer, RMS, instance and group normalisation, and of sums of rows of tables; batch normalisation
 * with given statistics. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "ops/embedding_norm/embedding_norm.h"
#include "ops/norm/norm.h"

extern const tn_cuda_source tn_cuda_source_norm;

/* A thread keeps at most this many elements of a row; a block at most this many warps. */
enum {
    ELEMENTS_MAX = 32,
    WARPS_MAX = 16,
    THREADS = 128, /* of a block, where a warp or less has a row; at most */
    CARD = 132,    /* multiprocessors of a large card */
    MANY_ROWS = 1 << 14,
    MODE_LAYER = 0,
    MODE_RMS,
    MODE_CHANNEL
};

typedef struct table { /* as the kernel takes it, like what follows */
    const void *rows, *ids;
    int32_t count, period, wide;
} table;

typedef struct task {
    const void *x, *scale, *bias;
    void *y, *mean, *inverse;
    int32_t rows, length, groups, each, inner;
    float epsilon;
    int32_t early;
    table of[TN_EN_TABLES]; /* where there are tables */
} task;

typedef struct types {
    tn_dtype x, y, scale, statistics;
    int tables;
} types;

static bool floats_only(const tn_problem *p)
{
    for (int i = 0; i < p->in_count; i++)
        if (tn_cuda_has(p, i) && !tn_cuda_is_float(p->in[i].dtype)) return false;
    for (int i = 0; i < p->out_count; i++)
        if (p->out[i].dtype && !tn_cuda_is_float(p->out[i].dtype)) return false;
    return true;
}

static tn_status run(const tn_launch *l, const char *entry, const char *options,
                     const tn_cuda_grid *grid, void **args)
{
    const tn_cuda_function *function;
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_norm, entry, options, 0,
                                &function));
    return tn_cuda_run(l, function, grid, args);
}

/* f64 anywhere makes the arithmetic double. */
static const char *wide_of(const types *t)
{
    bool wide = t->x == TN_DTYPE_F64 || t->scale == TN_DTYPE_F64 || t->statistics == TN_DTYPE_F64;
    return wide ? "double" : "float";
}

static int vector_of(const task *args, const types *t, int mode)
{
    size_t x = (size_t)tn_dtype_bits(t->x) / 8, y = (size_t)tn_dtype_bits(t->y) / 8;
    size_t scale = (size_t)tn_dtype_bits(t->scale) / 8;
    int vector = tn_cuda_vector(TN_MAX(x, y));
    vector = tn_cuda_vector_dividing(vector, args->length);
    vector = tn_cuda_vector_at(vector, args->x, x);
    vector = tn_cuda_vector_at(vector, args->y, y);
    for (int i = 0; i < t->tables; i++) vector = tn_cuda_vector_at(vector, args->of[i].rows, x);
    if (mode == MODE_CHANNEL) return vector;
    vector = tn_cuda_vector_at(vector, args->scale, scale);
    return args->bias ? tn_cuda_vector_at(vector, args->bias, scale) : vector;
}

static tn_status run_rows(const tn_launch *l, task *args, const types *t, int mode)
{
    char options[240];
    int vector = vector_of(args, t, mode), warps = 1, elements = vector;
    /* A warp needs nobody else for its sums. Few long rows: more threads for each, else more
     * elements for each thread. */
    bool few = args->rows < 1024 && args->length > 32 * ELEMENTS_MAX;
    int elements_first = few ? TN_MAX(vector, 4) : ELEMENTS_MAX;
    while (warps < WARPS_MAX && warps * 32 * elements_first < args->length) warps *= 2;
    while (elements < ELEMENTS_MAX && warps * 32 * elements < args->length) elements += vector;
    bool kept = warps * 32 * elements >= args->length;
    if (!kept) elements = vector;
    /* Short rows: fewer threads for each, and several on their way where there are many. */
    int lanes = 32, repeat = 1;
    while (kept && warps == 1 && lanes > 4 && lanes / 2 * elements >= args->length) lanes /= 2;
    if (kept && warps == 1 && args->rows >= MANY_ROWS) repeat = elements > 16 ? 2 : 4;
    snprintf(options, sizeof options,
             "-DTX=%s -DTY=%s -DTS=%s -DTM=%s -DTW=%s -DVEC=%d -DELEMENTS=%d -DWARPS=%d -DLANES=%d "
             "-DREPEAT=%d -DMODE=%d",
             tn_cuda_type(t->x), tn_cuda_type(t->y), tn_cuda_type(t->scale),
             tn_cuda_type(t->statistics), wide_of(t), vector, elements, kept ? warps : 1, lanes,
             repeat, mode);
    if (t->tables) {
        size_t used = strlen(options);
        snprintf(options + used, sizeof options - used, " -DTABLES=%d", t->tables);
    }
    tn_cuda_grid grid = {.grid = {(unsigned)args->rows}, .block = {1024}, .overlap = true};
    if (kept) grid.block[0] = (unsigned)warps * 32;
    if (kept && warps == 1) {
        unsigned threads = THREADS; /* small blocks spread few rows over the card */
        while (threads > 32 && (int64_t)args->rows * lanes < (int64_t)CARD * threads * repeat)
            threads /= 2;
        grid.grid[0] = tn_cuda_blocks(args->rows, (int64_t)threads / lanes * repeat);
        grid.block[0] = threads;
    }
    return run(l, kept ? "rows" : "stream", options, &grid, (void *[]){args});
}

/* ---- Along the row ---------------------------------------------------------------------------*/

static int64_t row_length(const tn_problem *p)
{
    const tn_layer_norm_params *params = p->params;
    int axis = tn_axis_normal(params->axis, p->in[0].rank);
    return tn_dims_product(p->in[0].dim, axis < 0 ? 0 : axis, p->in[0].rank);
}

/* Is operand i as long as a row, one number for each of its elements? Its axes are then those of X,
 * counted from the last. */
static bool lies_along(const tn_problem *p, int i)
{
    const tn_tensor *x = &p->in[0], *t = &p->in[i];
    if (!tn_cuda_has(p, i)) return true;
    if (tn_tensor_count(t) != row_length(p)) return false;
    for (int k = 1; k <= t->rank && k <= x->rank; k++)
        if (t->dim[t->rank - k] != x->dim[x->rank - k] && t->dim[t->rank - k] != 1) return false;
    return true;
}

static tn_verdict accepts_layer(const tn_problem *p)
{
    if (!floats_only(p)) return TN_NO("an operand is no float");
    if (!lies_along(p, 1) || !lies_along(p, 2))
        return TN_NO("scale or bias is not of a row's length");
    if (tn_cuda_has(p, 2) && p->in[2].dtype != p->in[1].dtype)
        return TN_NO("scale and bias are of two types");
    if (row_length(p) == 0) return TN_NO("rows are empty");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_along(const tn_launch *l, int mode)
{
    const tn_problem *p = l->problem;
    const tn_layer_norm_params *params = p->params;
    int64_t length = row_length(p);
    if (tn_tensor_count(&p->in[0]) == 0) return NULL;
    task args = {.x = p->in[0].data,
                 .scale = p->in[1].data,
                 .bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL,
                 .y = p->out[0].data,
                 .mean = tn_cuda_wants(p, 1) ? p->out[1].data : NULL,
                 .inverse = tn_cuda_wants(p, 2) ? p->out[2].data : NULL,
                 .rows = (int32_t)(tn_tensor_count(&p->in[0]) / length),
                 .length = (int32_t)length,
                 .epsilon = params->epsilon,
                 .early = (p->in_constant & 2) && (!tn_cuda_has(p, 2) || (p->in_constant & 4))};
    types t = {p->in[0].dtype, p->out[0].dtype, p->in[1].dtype, TN_DTYPE_F32, 0};
    for (int i = 1; i < 3; i++)
        if (tn_cuda_wants(p, i)) t.statistics = p->out[i].dtype;
    return run_rows(l, &args, &t, mode);
}

static tn_status launch_layer(const tn_launch *l)
{
    return launch_along(l, MODE_LAYER);
}

static tn_status launch_rms(const tn_launch *l)
{
    return launch_along(l, MODE_RMS);
}

/* ---- Of sums of rows of tables ---------------------------------------------------------------*/

static tn_verdict accepts_embedding(const tn_problem *p)
{
    int64_t width = p->in[TN_EN_SCALE].dim[0];
    if (!tn_cuda_is_float(p->out[0].dtype)) return TN_NO("an operand is no float");
    if (width == 0) return TN_NO("rows are empty");
    if (width > 32 * WARPS_MAX * ELEMENTS_MAX) return TN_NO("rows are of more than 16384 elements");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_embedding(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_embedding_norm_params *params = p->params;
    const uint64_t both = 1u << TN_EN_SCALE | 1u << TN_EN_SHIFT;
    bool shift = tn_cuda_has(p, TN_EN_SHIFT);
    tn_embedding_norm_shape s;
    tn_embedding_norm_shape_of(p, &s);
    if (s.rows == 0) return NULL;
    task args = {.scale = p->in[TN_EN_SCALE].data,
                 .bias = shift ? p->in[TN_EN_SHIFT].data : NULL,
                 .y = p->out[0].data,
                 .rows = (int32_t)s.rows,
                 .length = (int32_t)s.width,
                 .epsilon = params->epsilon,
                 .early = (p->in_constant & both) == (shift ? both : 1u << TN_EN_SCALE)};
    for (int i = 0; i < s.tables; i++) {
        const tn_embedding_table *t = &s.table[i];
        args.of[i] = (table){.rows = t->rows->data,
                             .ids = t->ids ? t->ids->data : NULL,
                             .count = (int32_t)t->count,
                             .period = (int32_t)t->period,
                             .wide = t->ids && t->ids->dtype == TN_DTYPE_I64};
    }
    tn_dtype dtype = p->out[0].dtype;
    types t = {dtype, dtype, dtype, TN_DTYPE_F32, s.tables};
    return run_rows(l, &args, &t, MODE_LAYER);
}

/* ---- By channel ------------------------------------------------------------------------------*/

static tn_verdict accepts_channel(const tn_problem *p)
{
    if (!floats_only(p)) return TN_NO("an operand is no float");
    if (p->in[1].dtype != p->in[2].dtype) return TN_NO("scale and bias are of two types");
    if (p->in[0].rank < 2) return TN_NO("X has no channels");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_channel(const tn_launch *l, int64_t groups, float epsilon)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0];
    int64_t channels = x->dim[1], inner = tn_dims_product(x->dim, 2, x->rank);
    if (tn_tensor_count(x) == 0) return NULL;
    int64_t each = channels / groups;
    task args = {.x = x->data,
                 .scale = p->in[1].data,
                 .bias = p->in[2].data,
                 .y = p->out[0].data,
                 .rows = (int32_t)(x->dim[0] * groups),
                 .length = (int32_t)(each * inner),
                 .groups = (int32_t)groups,
                 .each = (int32_t)each,
                 .inner = (int32_t)inner,
                 .epsilon = epsilon};
    types t = {x->dtype, p->out[0].dtype, p->in[1].dtype, TN_DTYPE_F32, 0};
    return run_rows(l, &args, &t, MODE_CHANNEL);
}

static tn_status launch_instance(const tn_launch *l)
{
    const tn_instance_norm_params *params = l->problem->params;
    return launch_channel(l, l->problem->in[0].dim[1], params->epsilon);
}

static tn_status launch_group(const tn_launch *l)
{
    const tn_group_norm_params *params = l->problem->params;
    return launch_channel(l, params->num_groups, params->epsilon);
}

/* ---- Given statistics ------------------------------------------------------------------------*/

static tn_verdict accepts_batch(const tn_problem *p)
{
    const tn_batch_norm_params *params = p->params;
    if (params->training_mode) return TN_NO("training mode makes statistics");
    for (int i = 1; i < p->out_count; i++)
        if (p->out[i].dtype != TN_DTYPE_NONE) return TN_NO("the statistics are asked for");
    if (!floats_only(p)) return TN_NO("an operand is no float");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_batch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_batch_norm_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t inner = tn_dims_product(x->dim, TN_MIN(2, x->rank), x->rank);
    uint32_t count = (uint32_t)tn_tensor_count(x);
    types t = {x->dtype, y->dtype, p->in[1].dtype, p->in[3].dtype, 0};
    char options[240];
    if (count == 0) return NULL;
    int vector = tn_cuda_vector_dividing(tn_cuda_vector(tn_cuda_bytes(x)), inner);
    vector = tn_cuda_vector_at(vector, x->data, tn_cuda_bytes(x));
    vector = tn_cuda_vector_at(vector, y->data, tn_cuda_bytes(y));
    snprintf(options, sizeof options,
             "-DTX=%s -DTY=%s -DTS=%s -DTM=%s -DTW=%s -DVEC=%d -DELEMENTS=%d -DWARPS=1 "
             "-DLANES=32 -DREPEAT=1 -DMODE=2",
             tn_cuda_type(t.x), tn_cuda_type(t.y), tn_cuda_type(t.scale),
             tn_cuda_type(t.statistics), wide_of(&t), vector, vector);
    tn_cuda_divider by_inner = tn_cuda_divider_of(inner),
                    by_channels = tn_cuda_divider_of(x->rank > 1 ? x->dim[1] : 1);
    float epsilon = params->epsilon;
    void *args[] = {(void *)&x->data,
                    (void *)&p->in[1].data,
                    (void *)&p->in[2].data,
                    (void *)&p->in[3].data,
                    (void *)&p->in[4].data,
                    (void *)&y->data,
                    &count,
                    &by_inner,
                    &by_channels,
                    &epsilon};
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(count, 256 * (int64_t)vector)}, .block = {256}, .overlap = true};
    return run(l, "affine", options, &grid, args);
}

extern const tn_tactic tn_cuda_norm[];
const tn_tactic tn_cuda_norm[] = {
    {
        .name = "cuda.layernormalization.float.rows",
        .op = "LayerNormalization",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_layer,
        .launch = launch_layer,
    },
    {
        .name = "cuda.rmsnormalization.float.rows",
        .op = "RMSNormalization",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_layer,
        .launch = launch_rms,
    },
    {
        .name = "cuda.embeddingnorm.float.rows",
        .op = "EmbeddingNorm",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_embedding,
        .launch = launch_embedding,
    },
    {
        .name = "cuda.instancenormalization.float.rows",
        .op = "InstanceNormalization",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_channel,
        .launch = launch_instance,
    },
    {
        .name = "cuda.groupnormalization.float.rows",
        .op = "GroupNormalization",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_channel,
        .launch = launch_group,
    },
    {
        .name = "cuda.batchnormalization.float.affine",
        .op = "BatchNormalization",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_batch,
        .launch = launch_batch,
    },
    {0},
};
