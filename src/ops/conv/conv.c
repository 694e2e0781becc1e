/* Conv-22: y[n,o,.] = B[o] + sum over the input channels c of o's group and the taps k of
 * W[o,c,k] * x[n,c, . * stride + k * dilation - pad]; taps outside x count as zero. */
#include "ops/conv/conv.h"

#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_CONV_FIELDS};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"W", TN_DTS_FLOAT, 'T', 0},
                              {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

tn_status tn_conv_lower(const tn_node *node, void *params_out)
{
    const tn_conv_params *params = params_out;
    (void)node;
    TN_CHECK(params->group >= 1, TN_INVALID, "group is %lld", (long long)params->group);
    return tn_window_check(&params->window);
}

static tn_status check_channels(tn_infer *f, const tn_type *x, const tn_type *w)
{
    const tn_conv_params *params = f->params;
    char text_x[128], text_w[128];
    int64_t channels, each, outputs, taps;
    tn_type_text(f->exprs, x, text_x, sizeof text_x);
    tn_type_text(f->exprs, w, text_w, sizeof text_w);
    TN_CHECK(w->rank == x->rank, TN_INVALID, "W needs as many axes as X: X is %s, W is %s", text_x,
             text_w);
    bool known = tn_expr_is_const(f->exprs, w->dim[1], &each);
    if (known && tn_expr_is_const(f->exprs, x->dim[1], &channels))
        TN_CHECK(channels % params->group == 0 && channels / params->group == each, TN_INVALID,
                 "channels do not match: X is %s, W is %s, group %lld", text_x, text_w,
                 (long long)params->group);
    if (tn_expr_is_const(f->exprs, w->dim[0], &outputs))
        TN_CHECK(outputs % params->group == 0, TN_INVALID,
                 "%lld output channels do not divide into %lld groups: W is %s", (long long)outputs,
                 (long long)params->group, text_w);
    for (int i = 0; i < w->rank - 2 && params->window.kernel_shape.count == w->rank - 2; i++)
        if (tn_expr_is_const(f->exprs, w->dim[2 + i], &taps))
            TN_CHECK(taps == params->window.kernel_shape.at[i], TN_INVALID,
                     "kernel_shape says %lld on spatial axis %d: W is %s",
                     (long long)params->window.kernel_shape.at[i], i, text_w);
    return NULL;
}

tn_status tn_conv_infer(tn_infer *f, int weights, int bias, tn_dtype dtype)
{
    const tn_conv_params *params = f->params;
    const tn_type *x = &f->in[0], *w = &f->in[weights];
    tn_expr dim[TN_RANK_MAX];
    if (x->rank < 0 || w->rank < 0) {
        tn_infer_set(f, 0, dtype, -1, NULL);
        return NULL;
    }
    char text[128];
    TN_CHECK(x->rank >= 3, TN_INVALID, "X needs batch, channels and spatial axes: X is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    TN_TRY(check_channels(f, x, w));
    dim[0] = x->dim[0];
    dim[1] = w->dim[0];
    TN_TRY(tn_window_infer(f, &params->window, x, w->dim + 2, dim + 2));
    if (bias >= 0 && tn_infer_has(f, bias) && f->in[bias].rank >= 0) {
        const tn_type *t = &f->in[bias];
        int64_t count, outputs;
        bool fits = t->rank == 1;
        if (fits && tn_expr_is_const(f->exprs, t->dim[0], &count) &&
            tn_expr_is_const(f->exprs, w->dim[0], &outputs))
            fits = count == outputs;
        char text_w[128];
        TN_CHECK(fits, TN_INVALID, "B is %s: it needs one value for each output channel of W, %s",
                 tn_type_text(f->exprs, t, text, sizeof text),
                 tn_type_text(f->exprs, w, text_w, sizeof text_w));
    }
    tn_infer_set(f, 0, dtype, x->rank, dim);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    return tn_conv_infer(f, 1, 2, f->in[0].dtype);
}

void tn_conv_window(const tn_problem *p, int weights, tn_window *out)
{
    const tn_conv_params *params = p->params;
    tn_window_of(&params->window, &p->in[0], p->in[weights].dim + 2, &p->out[0], out);
}

/* A product for each block of neighbouring outputs of a group: its weights times what each of these
 * reads, one column for each, zeros for the padding. So many blocks are worked at once, each in a
 * slot of its own. */
enum { SLOTS = 16, BLOCK = 64, BLOCK_LEAST = 8, PATCH = 1 << 16 };

typedef struct blocks {
    int64_t taps, outputs; /* that a sum adds, and sums of a group at one place */
    int64_t columns;       /* of a block */
    int64_t count;         /* of blocks in a group */
} blocks;

static blocks blocks_of(const tn_problem *p, const tn_window *w)
{
    const tn_conv_params *params = p->params;
    blocks b = {.outputs = p->out[0].dim[1] / params->group};
    if (!tn_mul_i64(p->in[1].dim[1], w->kernel_count, &b.taps)) b.taps = INT64_MAX / 2;
    int64_t most = TN_MIN(w->out_count / SLOTS, PATCH / TN_MAX(1, b.taps));
    b.columns = TN_MAX(BLOCK_LEAST, TN_MIN(most / BLOCK_LEAST * BLOCK_LEAST, (int64_t)BLOCK));
    b.count = (w->out_count + b.columns - 1) / b.columns;
    return b;
}

size_t tn_conv_wide_bytes(const tn_problem *p)
{
    size_t bytes = 0;
    tn_window w;
    for (int i = 0; i < p->in_count; i++)
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    tn_conv_window(p, 1, &w);
    blocks b = blocks_of(p, &w);
    int64_t slots;
    if (!tn_mul_i64(b.taps + b.outputs, b.columns * SLOTS, &slots)) slots = INT64_MAX;
    return tn_wide_add(bytes, tn_wide_bytes(slots));
}

/* plane += weight * x shifted by one tap. */
static void add_tap(const tn_window *w, const double *x, const int64_t tap[3], double weight,
                    double *plane)
{
    int64_t begin[3], end[3];
    for (int i = 0; i < 3; i++) tn_window_range(w, i, tap[i], &begin[i], &end[i]);
    int64_t stride = w->stride[2], left = tap[2] * w->dilation[2] - w->pad[2];
    for (int64_t d = begin[0]; d < end[0]; d++) {
        int64_t in_d = d * w->stride[0] + tap[0] * w->dilation[0] - w->pad[0];
        for (int64_t h = begin[1]; h < end[1]; h++) {
            int64_t in_h = h * w->stride[1] + tap[1] * w->dilation[1] - w->pad[1];
            const double *restrict src = x + (in_d * w->in[1] + in_h) * w->in[2];
            double *restrict dst = plane + (d * w->out[1] + h) * w->out[2];
            if (stride == 1)
                for (int64_t i = begin[2]; i < end[2]; i++) dst[i] += weight * src[i + left];
            else
                for (int64_t i = begin[2]; i < end[2]; i++)
                    dst[i] += weight * src[i * stride + left];
        }
    }
}

void tn_conv_add_channel(const tn_window *w, const double *x, const double *weights, double *plane)
{
    for (int64_t k = 0; k < w->kernel_count; k++) {
        int64_t tap[3] = {k / w->kernel[2] / w->kernel[1], k / w->kernel[2] % w->kernel[1],
                          k % w->kernel[2]};
        add_tap(w, x, tap, weights[k], plane);
    }
}

typedef struct wide_job {
    const tn_problem *p;
    tn_window w;
    blocks b;
    const double *x, *weights, *bias, *residual;
    const tn_epilogue *epilogue;
    double *slots;
    int64_t first; /* of the blocks that are done now */
} wide_job;

/* What one tap of a channel gives to `count` outputs from `begin`: rows of them, padded. */
static void read_tap(const tn_window *w, const double *x, const int64_t tap[3], int64_t begin,
                     int64_t count, double *to)
{
    int64_t low, high, stride = w->stride[2], left = tap[2] * w->dilation[2] - w->pad[2];
    tn_window_range(w, 2, tap[2], &low, &high);
    for (int64_t at = begin, end = begin + count, next; at < end; at = next) {
        int64_t line = at / w->out[2], from = at - line * w->out[2];
        next = TN_MIN(end, (line + 1) * w->out[2]);
        int64_t until = from + next - at;
        int64_t d = line / w->out[1] * w->stride[0] + tap[0] * w->dilation[0] - w->pad[0];
        int64_t h = line % w->out[1] * w->stride[1] + tap[1] * w->dilation[1] - w->pad[1];
        bool inside = d >= 0 && d < w->in[0] && h >= 0 && h < w->in[1];
        int64_t first = inside ? TN_MIN(TN_MAX(from, low), until) : until;
        int64_t last = inside ? TN_MAX(TN_MIN(until, high), first) : until;
        const double *src = inside ? x + (d * w->in[1] + h) * w->in[2] : x;
        for (int64_t i = from; i < first; i++) *to++ = 0;
        for (int64_t i = first; i < last; i++) *to++ = src[i * stride + left];
        for (int64_t i = last; i < until; i++) *to++ = 0;
    }
}

static void read_patches(const tn_window *w, int64_t channels, const double *x, int64_t begin,
                         int64_t count, double *to)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t k = 0; k < w->kernel_count; k++, to += count) {
            int64_t tap[3] = {k / w->kernel[2] / w->kernel[1], k / w->kernel[2] % w->kernel[1],
                              k % w->kernel[2]};
            read_tap(w, x + c * w->in_count, tap, begin, count, to);
        }
}

static tn_status run_blocks(void *arg, int64_t begin, int64_t end, int thread)
{
    const wide_job *job = arg;
    const tn_problem *p = job->p;
    const tn_conv_params *params = p->params;
    const tn_window *w = &job->w;
    const blocks *b = &job->b;
    const tn_tensor *y = &p->out[0];
    int64_t each = p->in[1].dim[1];
    (void)thread;
    for (int64_t slot = begin; slot < end; slot++) {
        int64_t all = (job->first + slot) / b->count; /* groups of all samples */
        int64_t from = (job->first + slot) % b->count * b->columns, group = all % params->group;
        int64_t count = TN_MIN(b->columns, w->out_count - from);
        double *patches = job->slots + slot * (b->taps + b->outputs) * b->columns;
        double *sums = patches + b->taps * b->columns;
        read_patches(w, each, job->x + all * each * w->in_count, from, count, patches);
        for (int64_t o = 0; o < b->outputs; o++)
            for (int64_t i = 0; i < count; i++)
                sums[o * count + i] = job->bias ? job->bias[group * b->outputs + o] : 0;
        tn_wide_matmul(b->outputs, count, b->taps, job->weights + group * b->outputs * b->taps,
                       b->taps, patches, count, sums, count);
        for (int64_t o = 0; o < b->outputs; o++, sums += count) {
            int64_t to = (all * b->outputs + o) * w->out_count + from;
            for (int64_t i = 0; job->epilogue && i < count; i++) {
                if (job->residual) sums[i] += job->residual[to + i];
                sums[i] = tn_epilogue_of(job->epilogue, sums[i]);
            }
            tn_store_f64s(y->dtype, y->data, to, count, sums);
        }
    }
    return NULL;
}

tn_status tn_conv_run_wide(const tn_launch *l, int residual_index, const tn_epilogue *epilogue)
{
    const tn_problem *p = l->problem;
    const tn_conv_params *params = p->params;
    void *scratch = l->scratch;
    wide_job job = {.p = p, .epilogue = epilogue};
    job.x = tn_wide_load(&scratch, &p->in[0]);
    job.weights = tn_wide_load(&scratch, &p->in[1]);
    if (tn_wide_has(p, 2)) job.bias = tn_wide_load(&scratch, &p->in[2]);
    if (residual_index > 0 && tn_wide_has(p, residual_index))
        job.residual = tn_wide_load(&scratch, &p->in[residual_index]);
    tn_conv_window(p, 1, &job.w);
    job.b = blocks_of(p, &job.w);
    job.slots = scratch;
    int64_t count = p->out[0].dim[0] * params->group * job.b.count;
    for (; job.first < count; job.first += SLOTS)
        TN_TRY(
            tn_pool_run(l->pool, TN_MIN(count - job.first, (int64_t)SLOTS), 1, run_blocks, &job));
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    return tn_conv_run_wide(l, -1, NULL);
}

extern const tn_case tn_conv_cases[];

const tn_op tn_op_conv = {
    .name = "Conv",
    .since = 22,
    .about = "y = W * x + B over sliding windows, 1 to 3 spatial axes, in groups of channels",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_params),
    .lower = tn_conv_lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = tn_conv_wide_bytes,
    .gradient = tn_conv_gradient,
    .cases = tn_conv_cases,
};
