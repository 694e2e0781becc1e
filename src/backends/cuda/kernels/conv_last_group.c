/* ChannelsLastConv of 16-bit elements on compute capability 9.0 (conv_last_group.cu, and for few
 * channels conv_last_narrow.cu). The copy engine walks through x, the weights and y by maps that
 * the driver makes of them for each launch; elsewhere, and for windows that it cannot walk through,
 * our other tiles do the work. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"

extern const tn_cuda_source tn_cuda_source_conv_last_group, tn_cuda_source_conv_last_narrow;
extern const tn_cuda_source tn_cuda_source_conv_last_turned;

enum { LINE = 128, STEP = 64, PLATE = 64 }; /* bytes; channels; rows and columns of y */
enum { SHARED_MAX = 227 << 10 };            /* of a multiprocessor of 9.0 */

typedef struct shape { /* as the kernel takes it */
    tn_cu_map x, w, y, residual, more_x, more_w;
    const void *bias, *residual_at;
    void *y_at;
    int32_t m, n, tiles, tiles_n;
    int32_t steps, parts, channels;
    int32_t stride[2], pad[2], dilation[2];
    int32_t own_steps, more_stride[2];
    int32_t weights, backwards;
    tn_cuda_divider out[2], by_parts, by_width;
    int32_t taps[2], tap_bytes[2], place_bytes, size[2];
    float act_alpha, act_beta;
} shape;

typedef struct tile {
    int groups, n; /* groups of four warps have 64 rows each */
    int stages, tiles_y, splits, blocks;
    /* Columns of products are pixels, so many of each group's: 0: no. Narrow: tiles of their own
     * for each group, with 64 channels at most. */
    int narrow, turned;
} tile;

enum { PLACES = 2 }; /* of such tiles for what their windows reach, once for all taps */

static bool is_once(const tile *t)
{
    return t->narrow || t->turned;
}

/* Of the tiles that a group or all of a block's groups have. */
static int64_t rows_of_tile(const tile *t)
{
    if (t->turned) return (int64_t)t->turned * t->groups;
    return t->narrow ? t->narrow : 64 * t->groups;
}

/* Where rows of tiles are pixels of x in a row, with zeros between: from one line of them, or
 * sample, to the next. */
static int64_t line_of(const tn_window *w, int axis)
{
    int64_t reach = (w->kernel[axis] - 1) * w->dilation[axis];
    int64_t end = w->out[axis] + reach - w->in[axis] - w->pad[axis];
    return w->in[axis] + TN_MAX(w->pad[axis], end);
}

/* Of such rows how many a tile's windows reach, in eights. */
static int64_t reach_of(const tn_window *w, const tile *t)
{
    int64_t down = (w->kernel[1] - 1) * w->dilation[1],
            across = (w->kernel[2] - 1) * w->dilation[2];
    return (rows_of_tile(t) + down * line_of(w, 2) + across + 7) / 8 * 8;
}

static int64_t rows_of(const tn_problem *p, const tn_window *w, const tile *t)
{
    int64_t samples = p->out[0].dim[0];
    if (!is_once(t)) return samples * w->out_count;
    return (samples - 1) * line_of(w, 1) * line_of(w, 2) + (w->out[1] - 1) * line_of(w, 2) +
           w->out[2];
}

/* A residual comes while products are made, and has some stages' room. */
static int stages_of(const tn_problem *p, const tile *t)
{
    return t->turned && tn_cuda_has(p, 3) ? t->stages - 2 : t->stages;
}

static size_t shared_bytes(const tn_problem *p, const tile *t, const tn_window *w)
{
    size_t rows = (size_t)rows_of_tile(t), columns = (size_t)t->n;
    size_t stages = (size_t)stages_of(p, t), tiles_y = (size_t)t->tiles_y;
    if (is_once(t)) {
        size_t kept = t->turned && tn_cuda_has(p, 3) ? columns / STEP : 1;
        size_t x = PLACES * (size_t)reach_of(w, t) + kept * rows, groups = (size_t)t->groups;
        if (t->turned) return (stages * columns + x) * LINE + 2 * (stages + PLACES) * 8;
        return ((size_t)w->kernel_count * columns + groups * x) * LINE +
               (1 + 2 * groups * PLACES) * 8;
    }
    size_t rest = rows * columns * (t->splits > 1 ? 4 : 2 * tiles_y);
    return stages * (rows + columns) * LINE + rest + (2 * stages + 1 + 3 * tiles_y) * 8;
}

/* ---- Questions -------------------------------------------------------------------------------*/

/* What the copy engine's instructions can say. */
static tn_verdict fits(const tn_problem *p, tn_window *w)
{
    const tn_conv_last_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t channels = p->in[1].dim[p->in[1].rank - 1];
    tn_conv_last_window(p, w);
    tn_verdict no = tn_cuda_conv_last_fits(p, w);
    if (no) return no;
    if (y->dtype == TN_DTYPE_F32) return TN_NO("the operands are not f16 or bf16");
    if (params->x_first) return TN_NO("x has its channels elsewhere");
    if (params->fused.conv.group != 1) return TN_NO("there are groups");
    if (tn_tensor_count(x) == 0 || tn_tensor_count(y) == 0) return TN_NO("there is nothing to do");
    if (channels % 8 || y->dim[y->rank - 1] % 8)
        return TN_NO("the channels are not whole vectors of 16 bytes");
    if (w->kernel_count > 1 && channels % STEP)
        return TN_NO("the channels of a tap are not a multiple of 64");
    if (tn_cuda_has(p, TN_CONV_LAST_X2)) {
        tn_window more;
        tn_conv_last_more(p, &more);
        if (p->in[TN_CONV_LAST_W2].dim[y->rank - 1] % 8 || channels % STEP)
            return TN_NO("the channels are not whole vectors of 16 bytes, or steps");
        if (more.stride[1] > 8 || more.stride[2] > 8)
            return TN_NO("the window is too wide for the copy engine");
    }
    for (int i = 1; i < 3; i++) {
        int64_t reach = (w->out[i] - 1) * w->stride[i] + 1 - w->pad[i] - w->in[i];
        if (w->stride[i] > 8 || (w->kernel[i] - 1) * w->dilation[i] > 255 || w->pad[i] > 128 ||
            w->pad[i] < -127 || reach < -128 || reach > 127)
            return TN_NO("the window is too wide for the copy engine");
    }
    return TN_YES;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Of the second product. */
static int64_t more_steps(const tn_problem *p)
{
    const tn_tensor *w = &p->in[TN_CONV_LAST_W2];
    return tn_cuda_has(p, TN_CONV_LAST_W2) ? ceil_div(w->dim[w->rank - 1], STEP) : 0;
}

/* Are windows side by side, and is there room for what a tile of them reaches? */
static tn_verdict fits_once(const tn_problem *p, const tn_window *w, const tile *t)
{
    const int64_t most = 1024; /* that the copy engine brings at once */
    if (w->kernel_count == 1) return TN_NO("there is one tap");
    for (int i = 1; i < 3; i++) {
        int64_t more = line_of(w, i) - w->out[i];
        if (w->stride[i] != 1 || w->pad[i] < 0) return TN_NO("the windows are not side by side");
        if (more < 0 || more > 127 || line_of(w, i) - w->in[i] - w->pad[i] > 127)
            return TN_NO("the window is too wide for the copy engine");
    }
    if (reach_of(w, t) > most || shared_bytes(p, t, w) > SHARED_MAX / (size_t)t->blocks)
        return TN_NO("the windows of a tile reach too far");
    return TN_YES;
}

static tn_verdict accepts(const tn_problem *p, const tile *t)
{
    enum { MULTIPROCESSORS = 132, NARROW_TAPS = 9 }; /* of the card that this is for; */
    tn_window w;
    tn_verdict no = fits(p, &w);
    if (!no && is_once(t) && tn_cuda_has(p, TN_CONV_LAST_X2))
        no = TN_NO("there is a second product");
    if (!no && is_once(t)) no = fits_once(p, &w, t);
    if (!no && t->narrow &&
        (p->in[1].dim[p->in[1].rank - 1] != STEP || p->out[0].dim[p->out[0].rank - 1] > t->n))
        no = TN_NO("the channels are not 64");
    if (!no && t->narrow && w.kernel_count > NARROW_TAPS)
        no = TN_NO("the weights do not fit the registers");
    if (no) return no;
    int64_t m = rows_of(p, &w, t), n = p->out[0].dim[p->out[0].rank - 1];
    int64_t tiles = ceil_div(m, rows_of_tile(t)) * ceil_div(n, t->n);
    int64_t parts = ceil_div(p->in[1].dim[p->in[1].rank - 1], STEP);
    int64_t steps = parts * w.kernel_count + more_steps(p);
    if (m > INT32_MAX / 2) return TN_CUDA_TOO_LARGE;
    if (t->n > 64 && n <= t->n / 2) return TN_NO("the tile is too wide for so few channels");
    if (t->groups > 1 && m <= 64) return TN_NO("half of every tile would be empty");
    if (t->splits > 1 && tiles * t->splits > 2 * MULTIPROCESSORS)
        return TN_NO("there is work enough without summing in parts");
    if (t->splits > 1 && steps < 2 * t->splits)
        return TN_NO("the sums are too short to be made in parts");
    if (t->groups * t->n > 64 && t->splits == 1 && tiles < MULTIPROCESSORS / (is_once(t) ? 16 : 3))
        return TN_NO("the tile is too large for so few pixels");
    return TN_YES;
}

/* ---- Maps ------------------------------------------------------------------------------------*/

static int type_of(const tn_tensor *t)
{
    return t->dtype == TN_DTYPE_F16 ? TN_CU_MAP_F16 : TN_CU_MAP_BF16;
}

tn_status tn_cuda_map_rows(const tn_tensor *t, const void *at, int64_t rows, int64_t columns,
                           int64_t box_rows, tn_cu_map *out)
{
    const char *why;
    uint64_t dim[2] = {(uint64_t)columns, (uint64_t)rows}, step[1] = {(uint64_t)columns * 2};
    uint32_t box[2] = {PLATE, (uint32_t)box_rows}, stride[2] = {1, 1};
    TN_CU("mapping a tensor", tn_cu_open(&why)->map_tiled(
                                  out, type_of(t), 2, (tn_cu_pointer)(uintptr_t)at, dim, step, box,
                                  stride, 0, TN_CU_MAP_SWIZZLE_128, TN_CU_MAP_PROMOTE_256, 0));
    return NULL;
}

tn_status tn_cuda_map_windows(const tn_tensor *t, const void *at, const int64_t *lower,
                              const int64_t *upper, const int64_t *stride, int64_t rows,
                              tn_cu_map *out)
{
    const char *why;
    int64_t height = t->rank == 4 ? t->dim[1] : 1, width = t->dim[t->rank - 2];
    uint64_t channels = (uint64_t)t->dim[t->rank - 1], line = channels * 2;
    uint64_t dim[4] = {channels, (uint64_t)width, (uint64_t)height, (uint64_t)t->dim[0]};
    uint64_t step[3] = {line, line * dim[1], line * dim[1] * dim[2]};
    uint32_t strides[4] = {1, (uint32_t)stride[1], (uint32_t)stride[0], 1};
    int from[2] = {(int)lower[1], (int)lower[0]}, to[2] = {(int)upper[1], (int)upper[0]};
    TN_CU("mapping windows",
          tn_cu_open(&why)->map_windows(out, type_of(t), 4, (tn_cu_pointer)(uintptr_t)at, dim, step,
                                        from, to, STEP, (uint32_t)rows, strides, 0,
                                        TN_CU_MAP_SWIZZLE_128, TN_CU_MAP_PROMOTE_256, 0));
    return NULL;
}

tn_status tn_cuda_map_more(const tn_problem *p, int64_t rows, int32_t *stride, tn_cu_map *out)
{
    const tn_tensor *x = &p->in[TN_CONV_LAST_X2];
    const int64_t lower[2] = {0, 0};
    int64_t upper[2];
    tn_window more;
    tn_conv_last_more(p, &more);
    for (int i = 0; i < 2; i++) {
        upper[i] = (more.out[1 + i] - 1) * more.stride[1 + i] + 1 - more.in[1 + i];
        stride[i] = (int32_t)more.stride[1 + i];
    }
    return tn_cuda_map_windows(x, x->data, lower, upper, more.stride + 1, rows, out);
}

/* The other x's single pixels, and their weights. */
static tn_status map_more(const tn_problem *p, const tile *t, shape *s)
{
    const tn_tensor *w = &p->in[TN_CONV_LAST_W2];
    TN_TRY(tn_cuda_map_more(p, 64 * t->groups, s->more_stride, &s->more_x));
    return tn_cuda_map_rows(w, w->data, s->n, w->dim[w->rank - 1], t->n, &s->more_w);
}

/* x, y and what is added to it, where each tap of a window is brought by itself: */
static tn_status map_taps(const tn_problem *p, const tn_window *w, const tile *t, shape *s)
{
    const tn_tensor *y = &p->out[0];
    int64_t lower[2], upper[2];
    for (int i = 0; i < 2; i++) {
        lower[i] = -w->pad[1 + i];
        upper[i] = (w->out[1 + i] - 1) * w->stride[1 + i] + 1 - w->pad[1 + i] - w->in[1 + i];
    }
    TN_TRY(tn_cuda_map_windows(&p->in[0], p->in[0].data, lower, upper, w->stride + 1,
                               64 * t->groups, &s->x));
    TN_TRY(tn_cuda_map_rows(y, y->data, s->m, s->n, PLATE, &s->y));
    return s->residual_at ? tn_cuda_map_rows(y, s->residual_at, s->m, s->n, PLATE, &s->residual)
                          : NULL;
}

/* and where all taps come at once. */
static tn_status map_places(const tn_problem *p, const tn_window *w, const tile *t, shape *s)
{
    const int64_t one[2] = {1, 1};
    int64_t lower[2], upper[2];
    for (int i = 0; i < 2; i++) {
        lower[i] = -w->pad[1 + i];
        upper[i] = line_of(w, 1 + i) - w->pad[1 + i] - w->in[1 + i];
        s->out[i] = tn_cuda_divider_of(line_of(w, 1 + i));
        s->taps[i] = (int32_t)w->kernel[1 + i];
        s->size[i] = (int32_t)w->out[1 + i];
    }
    s->tap_bytes[1] = (int32_t)w->dilation[2] * LINE;
    s->tap_bytes[0] = (int32_t)(w->dilation[1] * line_of(w, 2)) * LINE;
    s->place_bytes = (int32_t)reach_of(w, t) * LINE;
    return tn_cuda_map_windows(&p->in[0], p->in[0].data, lower, upper, one, reach_of(w, t), &s->x);
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status fill(const tn_problem *p, const tn_window *w, const tile *t, shape *s)
{
    const tn_conv_last_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    int64_t m = rows_of(p, w, t), n = y->dim[y->rank - 1];
    int64_t channels = p->in[1].dim[p->in[1].rank - 1], parts = ceil_div(channels, STEP);
    memset(s, 0, sizeof *s);
    s->bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL;
    s->residual_at = tn_cuda_has(p, 3) ? p->in[3].data : NULL;
    s->y_at = y->data;
    s->m = (int32_t)m;
    s->n = (int32_t)n;
    s->tiles_n = (int32_t)ceil_div(n, t->n);
    s->tiles = (int32_t)(ceil_div(m, rows_of_tile(t)) * s->tiles_n);
    s->parts = (int32_t)parts;
    s->own_steps = (int32_t)(parts * w->kernel_count);
    s->steps = s->own_steps + (int32_t)more_steps(p);
    s->channels = (int32_t)channels;
    for (int i = 0; i < 2; i++) {
        s->stride[i] = (int32_t)w->stride[1 + i];
        s->pad[i] = (int32_t)w->pad[1 + i];
        s->dilation[i] = (int32_t)w->dilation[1 + i];
        s->out[i] = tn_cuda_divider_of(w->out[1 + i]);
    }
    s->weights =
        p->in_constant >> 1 & 1 && (!more_steps(p) || p->in_constant >> TN_CONV_LAST_W2 & 1);
    s->by_parts = tn_cuda_divider_of(parts);
    s->by_width = tn_cuda_divider_of(w->kernel[2]);
    s->act_alpha = params->fused.epilogue.alpha;
    s->act_beta = params->fused.epilogue.beta;
    TN_TRY(tn_cuda_map_rows(y, p->in[1].data, n, channels * w->kernel_count, t->n, &s->w));
    if (more_steps(p)) TN_TRY(map_more(p, t, s));
    return is_once(t) ? map_places(p, w, t, s) : map_taps(p, w, t, s);
}

static bool runs_here(const tn_launch *l, const tile *t, tn_window *w)
{
    const char *why;
    const tn_problem *p = l->problem;
    const tn_cu *cu = tn_cu_open(&why);
    uintptr_t places = (uintptr_t)p->out[0].data;
    for (int i = 0; i < p->in_count; i++)
        if (tn_cuda_has(p, i)) places |= (uintptr_t)p->in[i].data;
    return tn_cuda_stream_of(l)->card->major == 9 && cu->map_tiled && cu->map_windows &&
           places % 16 == 0 && !fits(p, w) &&
           (!is_once(t) || (!more_steps(p) && !fits_once(p, w, t)));
}

static tn_status launch(const tn_launch *l, const tile *t)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_cuda_function *function;
    char options[280];
    tn_window w;
    shape s;
    if (!runs_here(l, t, &w)) return tn_cuda_conv_last_run(l);
    if (t->turned)
        snprintf(options, sizeof options,
                 "-DTYPE=%s -DGROUPS=%d -DPIXELS=%d -DCHANNELS=%d -DSTAGES=%d "
                 "-DRESIDUAL=%d -DACT=%d",
                 tn_cuda_type(p->out[0].dtype), t->groups, t->turned, t->n / STEP, stages_of(p, t),
                 tn_cuda_has(p, 3), (int)params->fused.epilogue.kind);
    else if (t->narrow)
        snprintf(options, sizeof options,
                 "-DTYPE=%s -DGROUPS=%d -DPIXELS=%d -DTAPS_ACROSS=%d -DTAPS=%d "
                 "-DRESIDUAL=%d -DACT=%d",
                 tn_cuda_type(p->out[0].dtype), t->groups, t->narrow, (int)w.kernel[2],
                 (int)w.kernel_count, tn_cuda_has(p, 3), (int)params->fused.epilogue.kind);
    else
        snprintf(options, sizeof options,
                 "-DTYPE=%s -DGROUPS=%d -DBN=%d -DSTAGES=%d -DTILES_Y=%d "
                 "-DMORE=%d -DSPLITS=%d -DBLOCKS=%d -DRESIDUAL=%d -DACT=%d",
                 tn_cuda_type(p->out[0].dtype), t->groups, t->n, t->stages, t->tiles_y,
                 more_steps(p) > 0, t->splits, t->blocks, tn_cuda_has(p, 3),
                 (int)params->fused.epilogue.kind);
    const tn_cuda_source *source = &tn_cuda_source_conv_last_group;
    const char *entry = "conv_last_group";
    if (t->narrow) source = &tn_cuda_source_conv_last_narrow, entry = "conv_last_narrow";
    if (t->turned) source = &tn_cuda_source_conv_last_turned, entry = "conv_last_turned";
    TN_TRY(tn_cuda_function_get(card, source, entry, options, shared_bytes(p, t, &w), &function));
    if (card->wishes) return NULL;
    TN_TRY(fill(p, &w, t, &s));
    s.backwards = tn_cuda_turn(l);
    int64_t most = t->splits > 1 ? s.tiles : card->multiprocessors * t->blocks;
    int64_t turns = t->narrow ? ceil_div(s.tiles, t->groups) : s.tiles;
    int64_t blocks = TN_MIN(turns, most) * t->splits;
    tn_cuda_grid grid = {.grid = {(unsigned)blocks},
                         .block = {(unsigned)(128 * t->groups + (t->narrow ? 128 : 64))},
                         .shared_bytes = shared_bytes(p, t, &w),
                         .cluster = t->splits > 1 ? (unsigned)t->splits : 0,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

/* name, groups, columns, stages, tiles of y, splits, blocks on a multiprocessor at once, narrow,
 * turned */
#define TILES(X)                                                                                   \
    X(64x64, 1, 64, 5, 2, 1, 2, 0, 0)                                                              \
    X(128x64, 2, 64, 3, 2, 1, 2, 0, 0)                                                             \
    X(128x64_deep, 2, 64, 4, 1, 1, 2, 0, 0)                                                        \
    X(192x64, 3, 64, 5, 2, 1, 1, 0, 0)                                                             \
    X(64x128, 1, 128, 8, 2, 1, 1, 0, 0)                                                            \
    X(128x128, 2, 128, 5, 2, 1, 1, 0, 0)                                                           \
    X(192x128, 3, 128, 4, 1, 1, 1, 0, 0)                                                           \
    X(192x192, 3, 192, 3, 1, 1, 1, 0, 0)                                                           \
    X(64x64_k2, 1, 64, 5, 1, 2, 2, 0, 0)                                                           \
    X(64x64_k4, 1, 64, 5, 1, 4, 2, 0, 0)                                                           \
    X(64x64_k8, 1, 64, 5, 1, 8, 2, 0, 0)                                                           \
    X(128x128_k2, 2, 128, 5, 1, 2, 1, 0, 0)                                                        \
    X(narrow_104, 2, 64, 0, 0, 1, 1, 104, 0)                                                       \
    X(t208x128, 2, 128, 7, 0, 1, 1, 0, 104)                                                        \
    X(t112x128, 1, 128, 9, 0, 1, 1, 0, 112)

#define ANSWERS(name, ...)                                                                         \
    static const tile tile_##name = {__VA_ARGS__};                                                 \
    static tn_verdict accepts_##name(const tn_problem *p)                                          \
    {                                                                                              \
        return accepts(p, &tile_##name);                                                           \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, &tile_##name);                                                            \
    }
TILES(ANSWERS)

#define ROW(tile_name, ...)                                                                        \
    {                                                                                              \
        .name = "cuda.channelslastconv.half.group_" #tile_name,                                    \
        .op = "ChannelsLastConv",                                                                  \
        .revision = 3,                                                                             \
        .needs = TN_SM90,                                                                          \
        .accepts = accepts_##tile_name,                                                            \
        .launch = launch_##tile_name,                                                              \
    },

extern const tn_tactic tn_cuda_conv_last_group[];
const tn_tactic tn_cuda_conv_last_group[] = {TILES(ROW){0}};
