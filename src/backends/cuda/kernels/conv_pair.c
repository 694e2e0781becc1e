/* ConvPair of 16-bit elements on compute capability 9.0 (conv_pair.cu): single pixels in both
 * products, and few enough columns of the second for their sums to stay in registers. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"
#include "backends/cuda/kernels/halves.h"
#include "ops/conv_pair/conv_pair.h"

extern const tn_cuda_source tn_cuda_source_conv_pair;

enum { STEP = 64, UNIT = 8 << 10 }; /* channels; bytes of 64 by 64 */
enum {
    SHARED_MAX = 227 << 10
}; /* of a multiprocessor of 9.0: with room for barriers behind the
      last whole unit */

typedef struct shape { /* as the kernel takes it */
    tn_cu_map x, more_x, w, more_w, residual, m, v, y;
    const void *bias, *bias2;
    int32_t tiles, chunks, n, n2;
    int32_t steps, own_steps, stride[2], more_stride[2];
    int32_t weights, keep, writes, backwards;
    tn_cuda_divider out[2];
    float alpha, beta, then_alpha, then_beta;
} shape;

/* How shared memory is shared out among the rings, in units. */
typedef struct layout {
    int64_t steps, own_steps, outs, chunks; /* of 64 columns each: of x, of y, of m */
    int64_t units, x_plates, plates;
    bool keep; /* all units stay */
} layout;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t last(const tn_tensor *t)
{
    return t->dim[t->rank - 1];
}

/* All weights if they fit beside two tiles of x, or one; else x and weights from step to step. */
static bool share_out(const tn_problem *p, int64_t groups, layout *out)
{
    enum { PLATES_MIN = 4, PLATES_MAX = 8, UNITS_MIN = 8 };
    bool more = tn_cuda_has(p, TN_CONV_LAST_W2);
    layout s = {.own_steps = ceil_div(last(&p->in[1]), STEP),
                .outs = ceil_div(last(&p->out[0]), STEP),
                .chunks = ceil_div(p->in[1].dim[0], STEP)};
    s.steps = s.own_steps + (more ? ceil_div(last(&p->in[TN_CONV_LAST_W2]), STEP) : 0);
    int64_t all = s.chunks * (s.steps + s.outs), room = SHARED_MAX / UNIT;
    for (int tiles = 2; tiles > 0; tiles--) {
        int64_t left = room - (tiles * s.steps + PLATES_MIN) * groups;
        s.keep = left >= all;
        s.units = s.keep ? all : left;
        s.x_plates = tiles * s.steps;
        if (s.keep || left >= UNITS_MIN) break;
    }
    if (s.units < UNITS_MIN && !s.keep) return false;
    s.plates = (room - s.units) / groups - s.x_plates;
    if (s.plates > PLATES_MAX) s.plates = PLATES_MAX;
    *out = s;
    return true;
}

static size_t shared_bytes(const layout *s, int64_t groups)
{
    return (size_t)(s->units + (s->x_plates + s->plates) * groups) * UNIT +
           (size_t)(2 * s->units + 2 * s->x_plates + 3 * s->plates) * 8;
}

/* ---- Questions -------------------------------------------------------------------------------*/

static tn_verdict fits(const tn_problem *p, int64_t groups, tn_window *w, layout *s)
{
    const tn_conv_pair_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    tn_tensor between, in[3];
    tn_problem first, second;
    tn_conv_pair_parts(p, &between, in, &first, &second);
    tn_conv_last_window(&first, w);
    tn_verdict no = tn_cuda_conv_last_fits(&first, w);
    if (no) return no;
    if (y->dtype != TN_DTYPE_F16 && y->dtype != TN_DTYPE_BF16)
        return TN_NO("the operands are not f16 or bf16");
    if (params->conv.fused.conv.group != 1) return TN_NO("there are groups");
    if (tn_tensor_count(x) == 0 || tn_tensor_count(y) == 0) return TN_NO("there is nothing to do");
    for (int i = 1; i < 3; i++)
        if (w->kernel[i] != 1 || w->stride[i] > 8 || w->pad[i] ||
            (w->out[i] - 1) * w->stride[i] >= w->in[i])
            return TN_NO("the windows are not pixels of x");
    if (last(x) % 8 || last(&between) % 8 || last(y) % 8)
        return TN_NO("the channels are not whole vectors of 16 bytes");
    if (tn_cuda_has(p, TN_CONV_LAST_X2)) {
        tn_window more;
        tn_conv_last_more(&first, &more);
        if (last(&p->in[TN_CONV_LAST_W2]) % 8 || last(x) % STEP)
            return TN_NO("the channels are not whole vectors of 16 bytes, or steps");
        if (more.stride[1] > 8 || more.stride[2] > 8)
            return TN_NO("the window is too wide for the copy engine");
    }
    if (tn_tensor_count(&between) > INT32_MAX / 2) return TN_CUDA_TOO_LARGE;
    if (last(y) > (groups == 3 ? 2 : 4) * STEP)
        return TN_NO("the sums of so many columns do not fit the registers");
    if (!share_out(p, groups, s)) return TN_NO("the weights leave no room in shared memory");
    return TN_YES;
}

static bool runs_here(const tn_launch *l)
{
    const char *why;
    const tn_problem *p = l->problem;
    const tn_cu *cu = tn_cu_open(&why);
    uintptr_t places = 0;
    for (int i = 0; i < p->in_count; i++)
        if (tn_cuda_has(p, i)) places |= (uintptr_t)p->in[i].data;
    for (int i = 0; i < p->out_count; i++) places |= (uintptr_t)p->out[i].data;
    return tn_cuda_stream_of(l)->card->major == 9 && cu->map_tiled && cu->map_windows &&
           places % 16 == 0;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status map_all(const tn_problem *p, const tn_window *w, int64_t rows, int64_t box,
                         shape *s)
{
    const int64_t lower[2] = {0, 0};
    int64_t upper[2];
    const tn_tensor *x = &p->in[0], *y = &p->out[0], *v = &p->in[TN_CONV_PAIR_V];
    const tn_tensor *more_w = &p->in[TN_CONV_LAST_W2];
    for (int i = 0; i < 2; i++) {
        upper[i] = (w->out[1 + i] - 1) * w->stride[1 + i] + 1 - w->in[1 + i];
        s->stride[i] = (int32_t)w->stride[1 + i];
    }
    TN_TRY(tn_cuda_map_windows(x, x->data, lower, upper, w->stride + 1, box, &s->x));
    TN_TRY(tn_cuda_map_rows(y, p->in[1].data, s->n, last(x), STEP, &s->w));
    TN_TRY(tn_cuda_map_rows(y, v->data, s->n2, s->n, STEP, &s->v));
    TN_TRY(tn_cuda_map_rows(y, y->data, rows, s->n2, box, &s->y));
    if (s->writes) TN_TRY(tn_cuda_map_rows(y, p->out[1].data, rows, s->n, box, &s->m));
    if (tn_cuda_has(p, 3))
        TN_TRY(tn_cuda_map_rows(y, p->in[3].data, rows, s->n, box, &s->residual));
    if (s->steps == s->own_steps) return NULL;
    TN_TRY(tn_cuda_map_rows(y, more_w->data, s->n, last(more_w), STEP, &s->more_w));
    return tn_cuda_map_more(p, box, s->more_stride, &s->more_x);
}

static tn_status fill(const tn_problem *p, int64_t groups, const tn_window *w, const layout *how,
                      shape *s)
{
    const tn_conv_pair_params *params = p->params;
    const tn_epilogue *first = &params->conv.fused.epilogue, *then = &params->then.fused.epilogue;
    int64_t rows = p->out[0].dim[0] * w->out_count, box = 64 * groups;
    memset(s, 0, sizeof *s);
    s->bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL;
    s->bias2 = tn_cuda_has(p, TN_CONV_PAIR_BIAS) ? p->in[TN_CONV_PAIR_BIAS].data : NULL;
    s->tiles = (int32_t)ceil_div(rows, box);
    s->chunks = (int32_t)how->chunks;
    s->n = (int32_t)p->in[1].dim[0];
    s->n2 = (int32_t)last(&p->out[0]);
    s->steps = (int32_t)how->steps;
    s->own_steps = (int32_t)how->own_steps;
    uint64_t weights = 1 << 1 | 1 << TN_CONV_PAIR_V;
    if (how->steps > how->own_steps) weights |= 1 << TN_CONV_LAST_W2;
    s->weights = (p->in_constant & weights) == weights;
    s->keep = how->keep;
    s->writes = tn_cuda_wants(p, 1);
    for (int i = 0; i < 2; i++) s->out[i] = tn_cuda_divider_of(w->out[1 + i]);
    s->alpha = first->alpha;
    s->beta = first->beta;
    s->then_alpha = then->alpha;
    s->then_beta = then->beta;
    return map_all(p, w, rows, box, s);
}

static tn_status launch(const tn_launch *l, int groups)
{
    const tn_problem *p = l->problem;
    const tn_conv_pair_params *params = p->params;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_cuda_function *function;
    char options[280];
    tn_window w;
    layout how;
    shape s;
    if (!runs_here(l) || fits(p, groups, &w, &how)) return tn_cuda_parts_run(l);
    snprintf(options, sizeof options,
             "-DTYPE=%s -DGROUPS=%d -DOUTS=%d -DUNITS=%d -DX_PLATES=%d -DPLATES=%d -DMORE=%d "
             "-DRESIDUAL=%d -DACT=%d -DTHEN=%d",
             tn_cuda_type(p->out[0].dtype), groups, (int)how.outs, (int)how.units,
             (int)how.x_plates, (int)how.plates, how.steps > how.own_steps, tn_cuda_has(p, 3),
             (int)params->conv.fused.epilogue.kind, (int)params->then.fused.epilogue.kind);
    size_t shared = shared_bytes(&how, groups);
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_conv_pair, "conv_pair", options, shared,
                                &function));
    if (card->wishes) return NULL;
    TN_TRY(fill(p, groups, &w, &how, &s));
    s.backwards = tn_cuda_same_turn(l); /* its residual is of the pair before, and wide */
    tn_cuda_grid grid = {.grid = {(unsigned)TN_MIN(s.tiles, card->multiprocessors)},
                         .block = {(unsigned)(128 * groups + 128)},
                         .shared_bytes = shared,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

/* ---- Tactics: groups of four warps, which have 64 rows each ----------------------------------*/

#define TILES(X) X(128, 2) X(192, 3)

#define ANSWERS(name, groups)                                                                      \
    static tn_verdict accepts_##name(const tn_problem *p)                                          \
    {                                                                                              \
        tn_window w;                                                                               \
        layout how;                                                                                \
        return fits(p, groups, &w, &how);                                                          \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, groups);                                                                  \
    }
TILES(ANSWERS)

#define ROW(tile_name, groups)                                                                     \
    {                                                                                              \
        .name = "cuda.convpair.half.group_" #tile_name,                                            \
        .op = "ConvPair",                                                                          \
        .revision = 1,                                                                             \
        .needs = TN_SM90,                                                                          \
        .accepts = accepts_##tile_name,                                                            \
        .scratch_bytes = tn_cuda_parts_scratch,                                                    \
        .launch = launch_##tile_name,                                                              \
    },

extern const tn_tactic tn_cuda_conv_pair[];
const tn_tactic tn_cuda_conv_pair[] = {TILES(ROW){0}};
