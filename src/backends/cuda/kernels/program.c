/* Runs of small operators as one launch: program.cu. Nothing here is a tactic: a chain is found
 * among the launches that a plan already has, for the shapes at hand (cuda.h). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/kernels/product.h"
#include "backends/cuda/kernels/recurrent.h"
#include "ops/pool/pool.h"

extern const tn_cuda_source tn_cuda_source_program;

enum { STAGES_MAX = 12, THREADS = 512, WARPS = THREADS / 32, BARRIER_FLOATS = 32 }; /* as there */
enum { SEEN_MAX = 49 }; /* of x by one result of a convolution and what is pooled with it */

/* As in the kernel. */
typedef struct stage_args {
    const void *weight, *bias;
    float alpha, beta;
} stage_args;
typedef struct program_args {
    const void *x;
    void *y;
    int64_t y_sample;
    stage_args of[STAGES_MAX];
} program_args;

/* One stage, of one launch or two, as program.cu has it. */
typedef struct stage {
    stage_args args;
    const void *x;
    void *y;
    int64_t in, out; /* numbers of a sample */
    int64_t in_floats, room_floats;
    double work; /* multiplications */
    int launches;
    char text[160];
} stage;

static int64_t up(int64_t count, int64_t by)
{
    return (count + by - 1) / by;
}

static const void *data_of(const tn_problem *p, int i)
{
    return i < p->in_count && p->in[i].dtype != TN_DTYPE_NONE ? p->in[i].data : NULL;
}

/* All floats, and input i is a weight that lies where it can be copied from, or is absent. */
static bool is_weight(const tn_problem *p, int i)
{
    if (i >= p->in_count || p->in[i].dtype == TN_DTYPE_NONE) return true;
    return p->in[i].dtype == TN_DTYPE_F32 && (p->in_constant >> i & 1) && p->in[i].data &&
           (uintptr_t)p->in[i].data % 16 == 0;
}

static bool are_floats(const tn_problem *p)
{
    return p->in[0].dtype == TN_DTYPE_F32 && p->out[0].dtype == TN_DTYPE_F32 && p->out_count >= 1 &&
           (p->out_count < 2 || p->out[1].dtype == TN_DTYPE_NONE) && p->in[0].rank >= 1 &&
           p->out[0].rank >= 1 && p->in[0].dim[0] == p->out[0].dim[0];
}

static void begin(const tn_problem *p, int64_t batch, stage *out)
{
    *out = (stage){.x = p->in[0].data, .y = p->out[0].data, .launches = 1};
    out->in = tn_tensor_count(&p->in[0]) / batch;
    out->out = tn_tensor_count(&p->out[0]) / batch;
}

/* A window over planes, whose numbers all are small. */
static bool is_small_plane(const tn_window *w)
{
    bool fits = w->in[0] == 1 && w->out[0] == 1 && w->kernel[0] == 1;
    for (int i = 1; i < 3; i++)
        fits = fits && w->in[i] > 0 && w->out[i] > 0 && w->in[i] <= 256 && w->kernel[i] <= 256 &&
               w->stride[i] <= 256 && w->dilation[i] <= 256 && w->pad[i] >= 0 && w->pad[i] <= 256;
    return fits;
}

/* ---- Stages ----------------------------------------------------------------------------------*/

/* Windows that lie one on whole results of a convolution: they are made with them. */
static bool joins_pool(const tn_problem *p, const tn_window *conv, tn_window *w)
{
    const tn_pool_params *params = p->params;
    if (strcmp(p->op, "MaxPool") || !are_floats(p)) return false;
    tn_window_of(&params->window, &p->in[0], NULL, &p->out[0], w);
    if (!is_small_plane(w) || w->kernel_count > 9) return false;
    for (int i = 1; i < 3; i++)
        if (w->in[i] != conv->out[i] || w->pad[i] != 0 || w->dilation[i] != 1 ||
            (w->out[i] - 1) * w->stride[i] + w->kernel[i] > w->in[i])
            return false;
    return true;
}

static int64_t seen_of(const tn_window *w, const tn_window *over)
{
    int64_t seen = 1;
    for (int i = 1; i < 3; i++)
        seen *= (over->kernel[i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
    return seen;
}

/* next: what alone reads the result, or NULL. */
static bool read_conv(const tn_problem *p, const tn_problem *next, int64_t batch, int blocks,
                      stage *out)
{
    const tn_conv_params *params = p->params;
    const tn_fused_conv_params *fused = p->params;
    bool is_fused = !strcmp(p->op, "FusedConv");
    tn_window w, over = {.out = {1, 1, 1}, .kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    if (!is_fused && strcmp(p->op, "Conv")) return false;
    if (!are_floats(p) || !is_weight(p, 1) || !data_of(p, 1) || !is_weight(p, 2) || data_of(p, 3))
        return false;
    tn_conv_window(p, 1, &w);
    if (!is_small_plane(&w)) return false;
    begin(p, batch, out);
    memcpy(over.out, w.out, sizeof over.out);
    tn_window pool;
    if (next && joins_pool(next, &w, &pool) && seen_of(&w, &pool) <= SEEN_MAX) {
        over = pool;
        out->out = tn_tensor_count(&next->out[0]) / batch;
        out->y = next->out[0].data;
        out->launches = 2;
    }
    if (seen_of(&w, &over) > SEEN_MAX) return false;
    int64_t c = p->in[0].dim[1], o = p->out[0].dim[1], per = p->in[1].dim[1];
    int64_t plane = w.in[1] * w.in[2], space = over.out[1] * over.out[2];
    int64_t each = up(out->out, 4 * blocks) * 4, most = (each + space - 2) / space + 1;
    if (each > 8 * THREADS) return false;
    out->args = (stage_args){.weight = data_of(p, 1), .bias = data_of(p, 2)};
    if (is_fused) out->args.alpha = fused->epilogue.alpha, out->args.beta = fused->epilogue.beta;
    out->in_floats = c * (per > 1 ? up(plane - 8, 32) * 32 + 8 : plane);
    out->room_floats = up(TN_MIN(most, o) * per * w.kernel_count, 4) * 4;
    out->work = (double)(out->out * over.kernel[1] * over.kernel[2] * per * w.kernel_count);
    snprintf(out->text, sizeof out->text,
             "conv<%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d>", (int)c,
             (int)w.in[1], (int)w.in[2], (int)o, (int)params->group, (int)w.kernel[1],
             (int)w.kernel[2], (int)w.stride[1], (int)w.stride[2], (int)w.dilation[1],
             (int)w.dilation[2], (int)w.pad[1], (int)w.pad[2], (int)over.kernel[1],
             (int)over.kernel[2], (int)over.stride[1], (int)over.stride[2], (int)over.out[1],
             (int)over.out[2], is_fused ? (int)fused->epilogue.kind : 0);
    return true;
}

static bool read_pool(const tn_problem *p, int64_t batch, stage *out)
{
    bool average = !strcmp(p->op, "AveragePool") || !strcmp(p->op, "GlobalAveragePool");
    bool global = !strncmp(p->op, "Global", 6);
    const tn_pool_params *params = p->params;
    tn_window w;
    if (!average && strcmp(p->op, "MaxPool") && strcmp(p->op, "GlobalMaxPool")) return false;
    if (!are_floats(p) || p->in[0].rank < 3) return false;
    tn_pool_window(p, global, &w);
    if (!is_small_plane(&w)) return false;
    if (average && !global && params->count_include_pad) return false;
    begin(p, batch, out);
    out->in_floats = out->in;
    out->work = (double)(out->out * w.kernel_count);
    snprintf(out->text, sizeof out->text, "pool<%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d>",
             (int)p->in[0].dim[1], (int)w.in[1], (int)w.in[2], (int)w.kernel[1], (int)w.kernel[2],
             (int)w.stride[1], (int)w.stride[2], (int)w.dilation[1], (int)w.dilation[2],
             (int)w.pad[1], (int)w.pad[2], (int)w.out[1], (int)w.out[2], average);
    return true;
}

static bool read_linear(const tn_problem *p, int64_t batch, int blocks, stage *out)
{
    tn_cuda_product x;
    if (strcmp(p->op, "Linear") && strcmp(p->op, "Gemm") && strcmp(p->op, "MatMul")) return false;
    if (!are_floats(p) || !is_weight(p, 1) || !data_of(p, 1) || !is_weight(p, 2)) return false;
    if (p->in[1].rank != 2 || p->in[0].rank < 2) return false;
    tn_cuda_product_of(p, &x);
    if (x.m != batch || x.count != 1 || !x.a_deep || x.b_deep || x.lda != x.k || x.ldb != x.n)
        return false;
    if (x.alpha != 1 || x.residual || (x.c && (x.c_row || x.c_column != 1 || x.beta != 1)))
        return false;
    if (x.k > 1 << 16 || x.n > 1 << 16) return false;
    begin(p, batch, out);
    int64_t columns = up(up(x.n, blocks), 4) * 4, fours = columns / 4;
    int64_t split = fours < WARPS ? WARPS / fours : 1;
    out->args = (stage_args){x.b, x.c, x.epilogue.alpha, x.epilogue.beta};
    out->in_floats = x.k;
    out->room_floats = x.k * (fours % 2 ? columns : columns + 4) + split * columns;
    out->work = (double)(x.k * x.n);
    snprintf(out->text, sizeof out->text, "linear<%d,%d,%d>", (int)x.k, (int)x.n,
             (int)x.epilogue.kind);
    return true;
}

/* ---- Chains ----------------------------------------------------------------------------------*/

typedef struct chain {
    stage at[STAGES_MAX];
    int count;
    int64_t batch;
} chain;

static size_t bytes_of(const chain *c)
{
    int64_t floats = BARRIER_FLOATS;
    for (int i = 0; i < c->count; i++)
        floats += c->at[i].room_floats + up(c->at[i].in_floats, 4) * 4;
    return (size_t)floats * sizeof(float);
}

static int launches_of(const chain *c)
{
    int launches = 0;
    for (int i = 0; i < c->count; i++) launches += c->at[i].launches;
    return launches;
}

/* The plan may have put the last result where the first input was: other samples may not have read
 * the one when the other is written, nor other blocks that have not met. */
static bool overwrites(const chain *c)
{
    if (c->batch == 1 && c->count > 1) return false;
    uintptr_t x = (uintptr_t)c->at[0].x, y = (uintptr_t)c->at[c->count - 1].y;
    uintptr_t x_bytes = (uintptr_t)(c->batch * c->at[0].in) * sizeof(float);
    uintptr_t y_bytes = (uintptr_t)(c->batch * c->at[c->count - 1].out) * sizeof(float);
    return x < y + y_bytes && y < x + x_bytes;
}

/* As many stages as follow one another; hidden: see tn_card_calls. */
static void read_chain(const tn_launch *const *launch, int count, uint64_t hidden, int blocks,
                       chain *out)
{
    const tn_tensor *x = &launch[0]->problem->in[0];
    out->count = 0;
    if (launch[0]->problem->in_count < 1 || x->rank < 1 || x->dim[0] < 1) return;
    out->batch = x->dim[0];
    for (int i = 0; i < count && out->count < STAGES_MAX;) {
        const tn_problem *p = launch[i]->problem;
        bool private = hidden >> i & 1;
        const tn_problem *next = private && i + 1 < count ? launch[i + 1]->problem : NULL;
        stage *s = &out->at[out->count], *last = s - 1;
        if (p->in_count < 1 || p->out_count < 1) return;
        if (p->in[0].dim[0] != out->batch || tn_tensor_count(&p->out[0]) < 1) return;
        if (!read_conv(p, next, out->batch, blocks, s) && !read_pool(p, out->batch, s) &&
            !read_linear(p, out->batch, blocks, s))
            return;
        if (out->count > 0 && (s->x != last->y || s->in != last->out)) return;
        out->count++;
        i += s->launches;
        if (!(hidden >> (i - 1) & 1)) return;
    }
}

/* Nanoseconds that a launch of its own takes beyond its work, that one launch takes at all and one
 * stage, and multiplications a nanosecond of a multiprocessor. Measured on an H100. */
static const double APART_NS = 2000, ONCE_NS = 3000, STAGE_NS = 900, SPEED = 60;

static bool pays(const chain *c, const tn_cuda_card *card, int blocks)
{
    double once = 0, apart = 0;
    int64_t most = card->multiprocessors; /* of which clusters leave some over */
    int64_t clusters = (blocks > 1 ? most - most / 11 : most) / blocks;
    if (clusters < 1) return false;
    int64_t turns = up(c->batch, clusters);
    for (int i = 0; i < c->count; i++) {
        const stage *s = &c->at[i];
        once += STAGE_NS + s->work / (SPEED * blocks);
        apart +=
            APART_NS * s->launches + s->work * (double)c->batch / (SPEED * card->multiprocessors);
    }
    return launches_of(c) > 1 && ONCE_NS + once * (double)turns < apart;
}

static tn_status run(void *stream, const chain *c, int blocks)
{
    enum { EACH = sizeof c->at[0].text + 1 };
    tn_cuda_card *card = ((tn_cuda_stream *)stream)->card;
    const tn_cuda_function *function;
    char options[40 + STAGES_MAX * EACH];
    int used = snprintf(options, sizeof options, "-DBLOCKS=%d -DSTAGES=", blocks);
    program_args args = {
        .x = c->at[0].x, .y = c->at[c->count - 1].y, .y_sample = c->at[c->count - 1].out};
    for (int i = 0; i < c->count; i++) {
        args.of[i] = c->at[i].args;
        used += snprintf(options + used, sizeof options - (size_t)used, i ? ",%s" : "%s",
                         c->at[i].text);
    }
    size_t bytes = bytes_of(c);
    TN_TRY(
        tn_cuda_function_get(card, &tn_cuda_source_program, "program", options, bytes, &function));
    tn_launch l = {.stream = stream};
    tn_cuda_grid grid = {.grid = {(unsigned)(c->batch * blocks)},
                         .block = {THREADS},
                         .shared_bytes = bytes,
                         .cluster = (unsigned)blocks,
                         .overlap = true};
    return tn_cuda_run(&l, function, &grid, (void *[]){&args});
}

tn_status tn_cuda_together(void *stream, const tn_launch *const *launch, int count, uint64_t hidden,
                           int *taken)
{
    const tn_cuda_card *card = ((tn_cuda_stream *)stream)->card;
    int blocks = card->major < 9 ? 1 : card->major <= 10 ? 16 : 8; /* what clusters may have */
    chain c;
    TN_TRY(tn_recurrent_small_together(stream, launch, count, hidden, taken));
    if (*taken || card->major < 8) return NULL;
    read_chain(launch, count, hidden, blocks, &c);
    while (c.count > 0 && (bytes_of(&c) > (size_t)card->shared_bytes_max || overwrites(&c) ||
                           !pays(&c, card, blocks)))
        c.count--;
    if (c.count == 0 || c.batch > INT32_MAX / blocks) return NULL;
    TN_TRY(run(stream, &c, blocks));
    *taken = launches_of(&c);
    return NULL;
}
