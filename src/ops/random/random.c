/* RandomUniform, RandomNormal, RandomUniformLike, RandomNormalLike, Bernoulli and Multinomial, all
 * of opset 22 (before it they knew fewer types). See random.h for what a seed means. */
#include "ops/random/random.h"

#include "ir/op.h"
#include "ops/wide/wide.h"

#define SEED TN_FLOAT(tn_random_params, seed, TN_SEED_ABSENT)
#define SHAPE                                                                                      \
    {                                                                                              \
        .name = "shape", .kind = TN_FIELD_INTS, .required = true,                                  \
        .offset = offsetof(tn_random_params, shape)                                                \
    }

static const tn_field uniform_fields[] = {
    SHAPE,
    TN_DTYPE_FIELD(tn_random_params, dtype, TN_DTYPE_F32),
    TN_FLOAT(tn_random_params, low, 0),
    TN_FLOAT(tn_random_params, high, 1),
    SEED,
};
static const tn_field normal_fields[] = {
    SHAPE,
    TN_DTYPE_FIELD(tn_random_params, dtype, TN_DTYPE_F32),
    TN_FLOAT(tn_random_params, mean, 0),
    TN_FLOAT(tn_random_params, scale, 1),
    SEED,
};
static const tn_field uniform_like_fields[] = {
    TN_DTYPE_FIELD(tn_random_params, dtype, TN_DTYPE_NONE),
    TN_FLOAT(tn_random_params, low, 0),
    TN_FLOAT(tn_random_params, high, 1),
    SEED,
};
static const tn_field normal_like_fields[] = {
    TN_DTYPE_FIELD(tn_random_params, dtype, TN_DTYPE_NONE),
    TN_FLOAT(tn_random_params, mean, 0),
    TN_FLOAT(tn_random_params, scale, 1),
    SEED,
};
static const tn_field bernoulli_fields[] = {
    TN_DTYPE_FIELD(tn_random_params, dtype, TN_DTYPE_NONE),
    SEED,
};
static const tn_field multinomial_fields[] = {
    TN_DTYPE_FIELD(tn_random_params, dtype, TN_DTYPE_I32),
    TN_INT(tn_random_params, sample_size, 1),
    SEED,
};
static const tn_port any_ins[] = {{"input", TN_DTS_ANY, 0, 0}};
static const tn_port float_ins[] = {{"input", TN_DTS_FLOAT, 0, 0}};
static const tn_port float_outs[] = {{"output", TN_DTS_FLOAT, 0, 0}};
static const tn_port index_outs[] = {{"output", TN_DTS_INDEX, 0, 0}};
static const tn_port number_outs[] = {{"output", TN_DTS_NUMBER | TN_DT(BOOL), 0, 0}};

/* ---- Types ------------------------------------------------------------------------------------*/

/* The type asked for, or the input's. */
static tn_status dtype_of(const tn_infer *f, tn_dtype *out)
{
    const tn_random_params *params = f->params;
    char set[160];
    *out = (tn_dtype)params->dtype;
    if (*out == TN_DTYPE_NONE && f->in_count > 0) *out = f->in[0].dtype;
    TN_CHECK(f->op->out[0].types >> *out & 1, TN_INVALID, "the output would be %s; it must be %s",
             tn_dtype_name(*out), tn_dtypes_text(f->op->out[0].types, set, sizeof set));
    return NULL;
}

static tn_status infer_shape(tn_infer *f)
{
    const tn_random_params *params = f->params;
    tn_dtype dtype;
    tn_expr dim[TN_RANK_MAX];
    TN_TRY(dtype_of(f, &dtype));
    TN_CHECK(params->shape.count >= 0 && params->shape.count <= TN_RANK_MAX, TN_INVALID,
             "shape has %d dims; the limit is %d", params->shape.count, TN_RANK_MAX);
    for (int i = 0; i < params->shape.count; i++) {
        TN_CHECK(params->shape.at[i] >= 0, TN_INVALID, "dim %d of shape is %lld", i,
                 (long long)params->shape.at[i]);
        dim[i] = tn_expr_const(f->exprs, params->shape.at[i]);
    }
    tn_infer_set(f, 0, dtype, params->shape.count, dim);
    return NULL;
}

static tn_status infer_like(tn_infer *f)
{
    tn_dtype dtype;
    TN_TRY(dtype_of(f, &dtype));
    tn_infer_set(f, 0, dtype, f->in[0].rank, f->in[0].dim);
    return NULL;
}

static tn_status infer_multinomial(tn_infer *f)
{
    const tn_random_params *params = f->params;
    const tn_type *x = &f->in[0];
    tn_dtype dtype;
    char text[128];
    TN_TRY(dtype_of(f, &dtype));
    TN_CHECK(x->rank < 0 || x->rank == 2, TN_INVALID, "input must be [batch, classes]: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    TN_CHECK(params->sample_size >= 0, TN_INVALID, "sample_size is %lld",
             (long long)params->sample_size);
    tn_expr dim[2] = {x->rank == 2 ? x->dim[0] : tn_infer_fresh(f),
                      tn_expr_const(f->exprs, params->sample_size)};
    tn_infer_set(f, 0, dtype, 2, dim);
    return NULL;
}

/* ---- Kernels ----------------------------------------------------------------------------------*/

/* Rounding to a narrow type must not reach the upper bound, which is none of the numbers. */
static double below(double value, double low, double high, tn_dtype dtype)
{
    uint64_t bytes[2];
    tn_store_f64(dtype, bytes, 0, value);
    return low < high && tn_load_f64(dtype, bytes, 0) >= high ? low : value;
}

static tn_status reference_uniform(const tn_launch *l)
{
    const tn_random_params *params = l->problem->params;
    const tn_tensor *y = &l->problem->out[0];
    uint64_t key = tn_random_key(params->seed);
    double low = params->low, high = params->high;
    for (int64_t i = 0; i < tn_tensor_count(y); i++) {
        double value = low + (high - low) * tn_random_uniform(key, (uint64_t)i);
        tn_store_f64(y->dtype, y->data, i, below(value, low, high, y->dtype));
    }
    return NULL;
}

static tn_status reference_normal(const tn_launch *l)
{
    const tn_random_params *params = l->problem->params;
    const tn_tensor *y = &l->problem->out[0];
    uint64_t key = tn_random_key(params->seed);
    for (int64_t i = 0; i < tn_tensor_count(y); i++)
        tn_store_f64(y->dtype, y->data, i,
                     params->mean + params->scale * tn_random_normal(key, (uint64_t)i));
    return NULL;
}

static tn_status reference_bernoulli(const tn_launch *l)
{
    const tn_random_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    uint64_t key = tn_random_key(params->seed);
    for (int64_t i = 0; i < tn_tensor_count(y); i++)
        tn_store_f64(y->dtype, y->data, i,
                     tn_random_uniform(key, (uint64_t)i) < tn_load_f64(x->dtype, x->data, i));
    return NULL;
}

static size_t multinomial_scratch_bytes(const tn_problem *p)
{
    return tn_wide_bytes(p->in[0].dim[1]);
}

/* The input holds logarithms of weights; a number in [0, sum) falls on the class whose share it is
 * in. */
static tn_status reference_multinomial(const tn_launch *l)
{
    const tn_random_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t classes = x->dim[1], samples = y->dim[1];
    uint64_t key = tn_random_key(params->seed);
    double *share = l->scratch;
    if (tn_tensor_count(y) == 0) return NULL;
    TN_CHECK(classes > 0, TN_INVALID, "there are no classes to draw from");
    for (int64_t row = 0; row < y->dim[0]; row++) {
        double top = -INFINITY, sum = 0;
        int64_t last = 0;
        tn_load_f64s(x->dtype, x->data, row * classes, classes, share);
        for (int64_t k = 0; k < classes; k++) top = fmax(top, share[k]);
        for (int64_t k = 0; k < classes; k++) {
            double weight = share[k] == top ? 1 : exp(share[k] - top);
            if (weight > 0) last = k;
            sum += weight;
            share[k] = sum;
        }
        TN_CHECK(isfinite(sum), TN_INVALID, "row %lld holds no logarithms of weights",
                 (long long)row);
        for (int64_t i = 0; i < samples; i++) {
            double at = sum * tn_random_uniform(key, (uint64_t)(row * samples + i));
            int64_t k = 0;
            while (k < last && at >= share[k]) k++;
            tn_store_i64(y->dtype, y->data, row * samples + i, k);
        }
    }
    return NULL;
}

/* ---- Operators --------------------------------------------------------------------------------*/

/* What is certain whatever the numbers are. */
static const tn_case uniform_cases[] = {
    {.problem = "RandomUniform{shape=[2], low=3, high=3}", .expect = "f32[2]={3,3}"},
    {.problem = "RandomUniform{shape=[4,0], dtype=f64, seed=2}", .expect = "f64[4,0]={}"},
    {.problem = "RandomUniform{shape=[3,100], seed=1}"},
    {0},
};
static const tn_case normal_cases[] = {
    {.problem = "RandomNormal{shape=[2], scale=0, mean=-1.5}", .expect = "f32[2]={-1.5,-1.5}"},
    {.problem = "RandomNormal{shape=[3,100], dtype=f16, seed=1}"},
    {0},
};
static const tn_case uniform_like_cases[] = {
    {.problem = "RandomUniformLike{low=2, high=2, dtype=f64} i64[1,2]={0,0}",
     .expect = "f64[1,2]={2,2}"},
    {.problem = "RandomUniformLike f16[3,100]"},
    {0},
};
static const tn_case normal_like_cases[] = {
    {.problem = "RandomNormalLike{scale=0, mean=2} f16[1,2]={0,0}", .expect = "f16[1,2]={2,2}"},
    {.problem = "RandomNormalLike f32[3,100]"},
    {0},
};
static const tn_case bernoulli_cases[] = {
    {.problem = "Bernoulli f32[4]={0,1,1,0}", .expect = "f32[4]={0,1,1,0}"},
    {.problem = "Bernoulli{dtype=bool, seed=0} f64[2]={1,0}", .expect = "bool[2]={1,0}"},
    {.problem = "Bernoulli{dtype=i64} f32[30]", .lo = 0, .hi = 1},
    {0},
};
static const tn_case multinomial_cases[] = {
    {.problem = "Multinomial{sample_size=3} f32[2,3]={-inf,0,-inf,0,-inf,-inf}",
     .expect = "i32[2,3]={1,1,1,0,0,0}"},
    {.problem = "Multinomial{sample_size=50, dtype=i64, seed=3} f64[2,10]"},
    {0},
};

const tn_op tn_op_random_uniform = {
    .name = "RandomUniform",
    .since = 22,
    .about = "numbers evenly from [low, high); of our own generator",
    .out = float_outs,
    .out_count = 1,
    .field = uniform_fields,
    .field_count = TN_COUNT(uniform_fields),
    .params_bytes = sizeof(tn_random_params),
    .infer = infer_shape,
    .reference = reference_uniform,
    .impure = true,
    .cases = uniform_cases,
};

const tn_op tn_op_random_normal = {
    .name = "RandomNormal",
    .since = 22,
    .about = "numbers of the normal distribution; of our own generator",
    .out = float_outs,
    .out_count = 1,
    .field = normal_fields,
    .field_count = TN_COUNT(normal_fields),
    .params_bytes = sizeof(tn_random_params),
    .infer = infer_shape,
    .reference = reference_normal,
    .impure = true,
    .cases = normal_cases,
};

const tn_op tn_op_random_uniform_like = {
    .name = "RandomUniformLike",
    .since = 22,
    .about = "numbers evenly from [low, high), in the input's shape",
    .in = any_ins,
    .in_count = 1,
    .out = float_outs,
    .out_count = 1,
    .field = uniform_like_fields,
    .field_count = TN_COUNT(uniform_like_fields),
    .params_bytes = sizeof(tn_random_params),
    .infer = infer_like,
    .reference = reference_uniform,
    .shape_inputs = 1,
    .impure = true,
    .cases = uniform_like_cases,
};

const tn_op tn_op_random_normal_like = {
    .name = "RandomNormalLike",
    .since = 22,
    .about = "numbers of the normal distribution, in the input's shape",
    .in = any_ins,
    .in_count = 1,
    .out = float_outs,
    .out_count = 1,
    .field = normal_like_fields,
    .field_count = TN_COUNT(normal_like_fields),
    .params_bytes = sizeof(tn_random_params),
    .infer = infer_like,
    .reference = reference_normal,
    .shape_inputs = 1,
    .impure = true,
    .cases = normal_like_cases,
};

const tn_op tn_op_bernoulli = {
    .name = "Bernoulli",
    .since = 22,
    .about = "1 with the probability that the input gives, else 0",
    .in = float_ins,
    .in_count = 1,
    .out = number_outs,
    .out_count = 1,
    .field = bernoulli_fields,
    .field_count = TN_COUNT(bernoulli_fields),
    .params_bytes = sizeof(tn_random_params),
    .infer = infer_like,
    .reference = reference_bernoulli,
    .impure = true,
    .cases = bernoulli_cases,
};

const tn_op tn_op_multinomial = {
    .name = "Multinomial",
    .since = 22,
    .about = "classes drawn by weights whose logarithms are given",
    .in = float_ins,
    .in_count = 1,
    .out = index_outs,
    .out_count = 1,
    .field = multinomial_fields,
    .field_count = TN_COUNT(multinomial_fields),
    .params_bytes = sizeof(tn_random_params),
    .infer = infer_multinomial,
    .reference = reference_multinomial,
    .scratch_bytes = multinomial_scratch_bytes,
    .impure = true,
    .cases = multinomial_cases,
};
