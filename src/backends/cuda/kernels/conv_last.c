/* ChannelsLastConv by our own kernels: as a product in tiles (conv_last.cu). Which tile, and in how
 * many parts k is summed, is for measuring to say: each is a tactic. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"
#include "ops/wide/wide.h"

extern const tn_cuda_source tn_cuda_source_conv_last;

typedef struct shape { /* as the kernel takes it */
    const void *x, *w, *bias, *residual;
    void *y;
    int32_t m, n, k, tiles_n, w_row;
    int32_t in[2], kernel[2], stride[2], dilation[2], pad[2];
    int32_t channels, y_row, x_sample, x_step[2], x_channel, weights;
    tn_cuda_divider out[2], by_channels, by_width;
    float act_alpha, act_beta;
} shape;

/* each_m x each_n is made by a warp, or, without tensor cores, by a thread. */
typedef struct tile {
    int m, n, each_m, each_n, stages, splits;
    bool tensor;
} tile;

static int threads_of(const tile *t)
{
    return t->m / t->each_m * (t->n / t->each_n) * (t->tensor ? 32 : 1);
}

/* ---- Questions -------------------------------------------------------------------------------*/

static bool is_half(tn_dtype dtype)
{
    return dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16;
}

static int chunk_of(const tn_problem *p) /* elements of 16 bytes */
{
    return is_half(p->out[0].dtype) ? 8 : 4;
}

tn_verdict tn_cuda_conv_last_fits(const tn_problem *p, const tn_window *w)
{
    const tn_conv_last_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    int64_t reach = 1 << 28;
    if (!is_half(y->dtype) && y->dtype != TN_DTYPE_F32)
        return TN_NO("the operands are not f32, f16 or bf16");
    if (p->in[0].dtype != y->dtype && !params->x_first) return TN_NO("x is of another type");
    if (y->rank > 4) return TN_NO("there are more than two spatial axes");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    if (w->kernel_count == 0) return TN_NO("the window is empty");
    for (int i = 1; i < 3; i++)
        if (w->kernel[i] * w->dilation[i] > reach || w->out[i] * w->stride[i] > reach ||
            w->pad[i] > reach || w->pad[i] < -reach)
            return TN_NO("the window reaches too far");
    if (params->fused.conv.group > UINT16_MAX) return TN_NO("there are too many groups");
    return TN_YES;
}

static void fill(const tn_problem *p, const tn_window *w, const tile *t, shape *s)
{
    const tn_conv_last_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t group = params->fused.conv.group, each = p->in[1].dim[p->in[1].rank - 1];
    int64_t n = y->dim[y->rank - 1] / group, k = each * w->kernel_count;
    bool first = params->x_first;
    *s = (shape){
        .x = x->data,
        .w = p->in[1].data,
        .bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL,
        .residual = tn_cuda_has(p, 3) ? p->in[3].data : NULL,
        .y = y->data,
        .m = (int32_t)(y->dim[0] * w->out_count),
        .n = (int32_t)n,
        .k = (int32_t)k,
        .tiles_n = (int32_t)((n + t->n - 1) / t->n),
        .w_row = (int32_t)k,
        .channels = (int32_t)each,
        .y_row = (int32_t)(n * group),
        .x_sample = (int32_t)(each * group * w->in_count),
        .x_channel = first ? (int32_t)w->in_count : 1,
        .weights = p->in_constant >> 1 & 1,
        .by_channels = tn_cuda_divider_of(TN_MAX(each, 1)),
        .by_width = tn_cuda_divider_of(w->kernel[2]),
        .act_alpha = params->fused.epilogue.alpha,
        .act_beta = params->fused.epilogue.beta,
    };
    s->x_step[1] = first ? 1 : (int32_t)(each * group);
    s->x_step[0] = s->x_step[1] * (int32_t)w->in[2];
    for (int i = 0; i < 2; i++) {
        s->in[i] = (int32_t)w->in[1 + i];
        s->kernel[i] = (int32_t)w->kernel[1 + i];
        s->stride[i] = (int32_t)w->stride[1 + i];
        s->dilation[i] = (int32_t)w->dilation[1 + i];
        s->pad[i] = (int32_t)w->pad[1 + i];
        s->out[i] = tn_cuda_divider_of(TN_MAX(w->out[1 + i], 1));
    }
}

static int64_t tiles_of(const tn_problem *p, const shape *s, const tile *t)
{
    const tn_conv_last_params *params = p->params;
    return ((int64_t)s->m + t->m - 1) / t->m * s->tiles_n * params->fused.conv.group;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* Rows of whole chunks; 0: they are that already, or are not known. */
static int64_t padded_row(const tn_problem *p)
{
    const tn_tensor *w = &p->in[1];
    int64_t k = tn_dims_product(w->dim, 1, w->rank), chunk = chunk_of(p);
    return k % chunk && p->in_constant >> 1 & 1 ? (k + chunk - 1) / chunk * chunk : 0;
}

static size_t packed_bytes(const tn_problem *p)
{
    return (size_t)(padded_row(p) * p->in[1].dim[0]) * tn_cuda_bytes(&p->in[1]);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    const tn_tensor *w = &p->in[1];
    size_t row = (size_t)padded_row(p) * tn_cuda_bytes(w);
    size_t bytes = (size_t)tn_dims_product(w->dim, 1, w->rank) * tn_cuda_bytes(w);
    memset(dst, 0, packed_bytes(p));
    for (int64_t o = 0; row && o < w->dim[0]; o++)
        memcpy((char *)dst + (size_t)o * row, (const char *)w->data + (size_t)o * bytes, bytes);
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    return padded_row(p) ? 1u << 1 : 0;
}

/* ---- Choosing --------------------------------------------------------------------------------*/

/* Is the tile worth a try? Few would be idle for the most part, many need no parts. A tactic with
 * packed weights has no other to stand in for it at the shapes of a later run: it is not choosy. */
static tn_verdict accepts(const tn_problem *p, const tile *t)
{
    enum { MULTIPROCESSORS = 132 }; /* about: of a large card */
    tn_window w;
    shape s;
    tn_conv_last_window(p, &w);
    tn_verdict no = tn_cuda_conv_last_fits(p, &w);
    if (no) return no;
    fill(p, &w, t, &s);
    if (!t->tensor && is_half(p->out[0].dtype) && (t->m != 64 || t->splits > 1))
        return TN_NO("tensor cores are better at it, one tile is there for cards without");
    int64_t tiles = tiles_of(p, &s, t), depth = 8 * chunk_of(p);
    if (tiles * t->splits > INT32_MAX) return TN_NO("there are 2^31 blocks or more");
    if (t->n > 32 && s.n <= t->n / 2) return TN_NO("the tile is too wide for so few channels");
    if (padded_row(p)) return TN_YES;
    if (t->splits > 1 && tiles * t->splits > 4 * MULTIPROCESSORS)
        return TN_NO("there is work enough without summing in parts");
    if (t->splits > 1 && s.k < depth * t->splits)
        return TN_NO("the sums are too short to be made in parts");
    if (t->m > 64 && (s.m <= 64 || tiles < MULTIPROCESSORS / 3))
        return TN_NO("the tile is too large for so few pixels");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status launch_one(const tn_launch *l, const tile *t)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    tn_dtype dtype = p->out[0].dtype;
    const tn_cuda_function *function;
    int chunk = chunk_of(p);
    char options[340];
    tn_window w;
    shape s;
    tn_conv_last_window(p, &w);
    fill(p, &w, t, &s);
    if (s.m == 0 || s.y_row == 0) return NULL;
    if (l->packed) {
        s.w = l->packed;
        s.w_row = (int32_t)padded_row(p);
    }
    uint64_t x_bits = tn_cuda_place(s.x, p->in[0].dtype) | (uint64_t)s.channels;
    uint64_t w_bits = tn_cuda_place(s.w, dtype) | (uint64_t)s.w_row;
    uint64_t y_bits = tn_cuda_place(s.y, dtype) | tn_cuda_place(s.bias, dtype) |
                      tn_cuda_place(s.residual, dtype) | (uint64_t)s.n;
    int vx = s.x_channel == 1 && p->in[0].dtype == dtype &&
                     tn_cuda_product_vector(chunk, x_bits) == chunk
                 ? chunk
                 : 1;
    int vw = tn_cuda_product_vector(chunk, w_bits) == chunk ? chunk : 1;
    int vy = tn_cuda_product_vector(chunk, y_bits) == chunk ? chunk : 1;
    snprintf(
        options, sizeof options,
        "-DTYPE=%s -DXTYPE=%s -DTENSOR=%d -DBM=%d -DBN=%d -DTM=%d -DTN=%d -DSTAGES=%d -DSPLITS=%d "
        "-DVX=%d -DVW=%d -DVY=%d -DACT=%d",
        tn_cuda_type(dtype), tn_cuda_type(p->in[0].dtype), t->tensor, t->m, t->n, t->each_m,
        t->each_n, t->stages, t->splits, vx, vw, vy, (int)params->fused.epilogue.kind);
    size_t table = vx == 1 ? 2 * (128 / tn_cuda_bytes(&p->out[0])) * 16 : 0;
    size_t tiles = (size_t)t->stages * (size_t)(t->m + t->n) * 128 + table;
    size_t sums = (size_t)t->m * (size_t)(t->n + 8) * sizeof(float);
    size_t shared = TN_MAX(tiles, sums);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_conv_last, "conv_last",
                                options, shared, &function));
    unsigned groups = (unsigned)params->fused.conv.group;
    unsigned blocks = (unsigned)(tiles_of(p, &s, t) / groups * t->splits);
    tn_cuda_grid grid = {.grid = {blocks, groups},
                         .block = {(unsigned)threads_of(t)},
                         .shared_bytes = shared,
                         .cluster = t->splits > 1 ? (unsigned)t->splits : 0,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

/* X2's product goes to y, and is a residual there for the other one. */
static tn_status launch(const tn_launch *l, const tile *t)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    if (!tn_cuda_has(p, TN_CONV_LAST_X2)) return launch_one(l, t);
    tn_conv_last_params single = {.fused.conv.window.strides = params->more_strides,
                                  .fused.conv.group = 1};
    tn_window_params *window = &single.fused.conv.window;
    window->kernel_shape.count = window->dilations.count = window->pads.count = -1;
    tn_tensor none = {.dtype = TN_DTYPE_NONE}, x = p->in[0], w = p->in[1], y = p->out[0];
    tn_tensor more[4] = {p->in[TN_CONV_LAST_X2], p->in[TN_CONV_LAST_W2], none, p->in[3]};
    tn_tensor own[4] = {x, w, p->in[2], y};
    tn_problem part = *p;
    tn_launch launch = *l;
    launch.problem = &part;
    launch.packed = NULL;
    part.in = more;
    part.in_count = 4;
    part.in_constant = (p->in_constant >> TN_CONV_LAST_W2 & 1) << 1;
    part.params = &single;
    TN_TRY(launch_one(&launch, t));
    launch.packed = l->packed;
    part.in = own;
    part.in_constant = p->in_constant & 6;
    part.params = params;
    return launch_one(&launch, t);
}

tn_status tn_cuda_conv_last_run(const tn_launch *l)
{
    static const tile any = {64, 64, 8, 4, 3, 1, false};
    return launch(l, &any);
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

/* Tensor cores take f32 as tf32, and 16 bits as they are: those come where they are allowed. */
/* name, kind of tile, features, m, n, each_m, each_n, stages, splits */
#define TILES(X)                                                                                   \
    X(tensor_128x64, tensor, TN_SM80, 128, 64, 32, 32, 4, 1)                                       \
    X(tensor_64x64, tensor, TN_SM80, 64, 64, 32, 32, 4, 1)                                         \
    X(tensor_64x32, tensor, TN_SM80, 64, 32, 32, 16, 8, 1)                                         \
    X(tensor_128x128, tensor, TN_SM80, 128, 128, 64, 32, 3, 1)                                     \
    X(tensor_64x64_k2, tensor, TN_SM90, 64, 64, 32, 32, 6, 2)                                      \
    X(tensor_64x64_k4, tensor, TN_SM90, 64, 64, 32, 32, 6, 4)                                      \
    X(tensor_64x64_k8, tensor, TN_SM90, 64, 64, 32, 32, 4, 8)                                      \
    X(tensor_64x32_k2, tensor, TN_SM90, 64, 32, 32, 16, 8, 2)                                      \
    X(tensor_64x32_k4, tensor, TN_SM90, 64, 32, 32, 16, 8, 4)                                      \
    X(tensor_64x32_k8, tensor, TN_SM90, 64, 32, 32, 16, 6, 8)                                      \
    X(any_64x64, plain, TN_SM75, 64, 64, 8, 4, 3, 1)                                               \
    X(any_32x32, plain, TN_SM75, 32, 32, 4, 2, 4, 1)                                               \
    X(any_128x128, plain, TN_SM75, 128, 128, 8, 8, 2, 1)                                           \
    X(any_64x64_k4, plain, TN_SM90, 64, 64, 8, 4, 3, 4)                                            \
    X(any_32x64_k8, plain, TN_SM90, 32, 64, 4, 4, 3, 8)

#define ANSWERS(name, kind, feature, m, n, em, en, stages, splits)                                 \
    static const tile tile_##name = {m, n, em, en, stages, splits, TENSOR_##kind};                 \
    static tn_verdict accepts_##name(const tn_problem *p)                                          \
    {                                                                                              \
        return accepts(p, &tile_##name);                                                           \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, &tile_##name);                                                            \
    }
#define TENSOR_tensor true
#define TENSOR_plain false
#define PRECISION_tensor TN_PRECISION_TF32
#define PRECISION_plain TN_PRECISION_F32
TILES(ANSWERS)

#define ROW(tile_name, kind, feature, m, n, em, en, stages, splits)                                \
    {                                                                                              \
        .name = "cuda.channelslastconv." #tile_name,                                               \
        .op = "ChannelsLastConv",                                                                  \
        .revision = 1,                                                                             \
        .precision = PRECISION_##kind,                                                             \
        .needs = feature,                                                                          \
        .accepts = accepts_##tile_name,                                                            \
        .packed_bytes = packed_bytes,                                                              \
        .pack = pack,                                                                              \
        .unused = unused,                                                                          \
        .launch = launch_##tile_name,                                                              \
    },

extern const tn_tactic tn_cuda_conv_last[];
const tn_tactic tn_cuda_conv_last[] = {TILES(ROW){0}};
