/* FeedForward of narrow rows by one kernel (feed_forward.cu): the weights of a block's share of the
 * middle fit its shared memory, at most 16 blocks share the middle. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "ops/feed_forward/feed_forward.h"

extern const tn_cuda_source tn_cuda_source_feed_forward;

enum { ROWS = 32, PART = 8, THREADS = 256, STEP = 32, SPLITS_MAX = 16 };
enum { SHARED_SM80 = 96 << 10, SHARED_SM90 = 227 << 10 }; /* of every card from there on */
enum { SHARE_MAX = 512, WIDTH_MAX = 512 };                /* what registers hold sums of */

typedef struct problem { /* as the kernel takes it */
    const void *x, *scale, *shift, *bias1, *bias2, *w;
    void *y;
    int32_t rows, tiles;
    float epsilon, alpha, beta;
} problem;

/* How a cluster shares the middle. */
typedef struct sharing {
    int64_t splits, share; /* splits 0: it cannot */
    bool loop;             /* a block takes several tiles */
    size_t weight_bytes, shared_bytes;
} sharing;

static sharing try_splits(const tn_feed_forward_shape *s, int64_t splits, size_t most)
{
    sharing out = {.splits = splits, .share = s->hidden / splits};
    if (s->hidden % splits || out.share % STEP || out.share > SHARE_MAX) return (sharing){0};
    size_t line = (size_t)(s->width + PART), hidden_line = (size_t)(out.share + PART);
    size_t w1 = (size_t)out.share * line * 2,
           rows = (ROWS * (line + hidden_line) + 2 * (size_t)s->width) * 2;
    out.weight_bytes = w1 + (size_t)s->width * hidden_line * 2;
    out.shared_bytes = out.weight_bytes + rows;
    out.loop = true;
    if (splits > 1) {
        /* As the kernel counts tiles of a warp, and places for those of others. */
        int64_t across = s->width % 64 ? 4 : 8, tiles = across / 4 * (s->width / 8 / across);
        size_t room = (size_t)(splits * ((tiles + splits - 1) / splits) * THREADS * 16);
        out.shared_bytes += 16;
        out.loop = out.shared_bytes + room <= most;
        if (out.loop) out.shared_bytes += room;
        else if (room > w1) return (sharing){0};
    }
    return out.shared_bytes <= most ? out : (sharing){0};
}

static sharing share(const tn_feed_forward_shape *s, bool clusters)
{
    sharing out = {0};
    if (s->width % STEP || s->width > WIDTH_MAX || s->width == 0) return out;
    for (int64_t n = 1; n <= (clusters ? SPLITS_MAX : 1) && !out.splits; n *= 2)
        out = try_splits(s, n, clusters ? SHARED_SM90 : SHARED_SM80);
    return out;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* [columns][from, from + count) of w[rows, columns], turned, a line for each column. */
static uint16_t *turn(const uint16_t *w, int64_t columns, int64_t first, int64_t count,
                      int64_t row_first, int64_t row_count, uint16_t *to)
{
    for (int64_t n = 0; n < count; n++) {
        for (int64_t k = 0; k < row_count; k++) to[k] = w[(row_first + k) * columns + first + n];
        memset(to + row_count, 0, PART * sizeof *to);
        to += row_count + PART;
    }
    return to;
}

static tn_status pack(const tn_problem *p, void *dst, bool clusters)
{
    tn_feed_forward_shape s;
    tn_feed_forward_shape_of(p, &s);
    sharing how = share(&s, clusters);
    uint16_t *to = dst;
    for (int64_t i = 0; i < how.splits; i++) {
        to = turn(p->in[TN_FF_W1].data, s.hidden, i * how.share, how.share, 0, s.width, to);
        to = turn(p->in[TN_FF_W2].data, s.width, 0, s.width, i * how.share, how.share, to);
    }
    return NULL;
}

static size_t packed_bytes(const tn_problem *p, bool clusters)
{
    tn_feed_forward_shape s;
    tn_feed_forward_shape_of(p, &s);
    sharing how = share(&s, clusters);
    return (size_t)how.splits * how.weight_bytes;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return UINT64_C(1) << TN_FF_W1 | UINT64_C(1) << TN_FF_W2;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_verdict accepts(const tn_problem *p, bool clusters)
{
    tn_feed_forward_shape s;
    tn_feed_forward_shape_of(p, &s);
    if (tn_cuda_bytes(&p->in[TN_FF_X]) != 2) return TN_NO("the operands are not f16 or bf16");
    for (int i = 1; i < p->in_count; i++)
        if (tn_cuda_has(p, i) && !(p->in_constant >> i & 1))
            return TN_NO("what rows are multiplied with is no constant");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    if (!share(&s, clusters).splits)
        return TN_NO("the weights do not fit the shared memory of a cluster in whole steps");
    return TN_YES;
}

static const void *input(const tn_problem *p, int i)
{
    return tn_cuda_has(p, i) ? p->in[i].data : NULL;
}

static tn_status launch(const tn_launch *l, bool clusters)
{
    const tn_problem *p = l->problem;
    const tn_feed_forward_params *params = p->params;
    const tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_cuda_function *function;
    tn_feed_forward_shape s;
    char options[200];
    tn_feed_forward_shape_of(p, &s);
    sharing how = share(&s, clusters);
    if (s.rows == 0) return NULL;
    bool aligned = ((uintptr_t)p->in[TN_FF_X].data | (uintptr_t)p->out[0].data) % 16 == 0;
    problem args = {
        .x = p->in[TN_FF_X].data,
        .scale = p->in[TN_FF_SCALE].data,
        .shift = input(p, TN_FF_SHIFT),
        .bias1 = input(p, TN_FF_BIAS1),
        .bias2 = input(p, TN_FF_BIAS2),
        .w = l->packed,
        .y = p->out[0].data,
        .rows = (int32_t)s.rows,
        .tiles = (int32_t)((s.rows + ROWS - 1) / ROWS),
        .epsilon = params->epsilon,
        .alpha = params->epilogue.alpha,
        .beta = params->epilogue.beta,
    };
    snprintf(options, sizeof options,
             "-DTYPE=%s -DWIDTH=%d -DSHARE=%d -DSPLITS=%d -DACT=%d -DVX=%d -DLOOP=%d",
             tn_cuda_type(p->in[TN_FF_X].dtype), (int)s.width, (int)how.share, (int)how.splits,
             (int)params->epilogue.kind, aligned ? PART : 1, how.loop);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_feed_forward,
                                "feed_forward", options, how.shared_bytes, &function));
    int64_t groups = args.tiles, room = TN_MAX(card->multiprocessors / how.splits, 1);
    if (how.loop) groups = TN_MIN(groups, room);
    tn_cuda_grid grid = {.grid = {(unsigned)(groups * how.splits)},
                         .block = {THREADS},
                         .shared_bytes = how.shared_bytes,
                         .cluster = how.splits > 1 ? (unsigned)how.splits : 0,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&args});
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

#define TACTIC(name_, clusters)                                                                    \
    static tn_verdict accepts_##name_(const tn_problem *p)                                         \
    {                                                                                              \
        return accepts(p, clusters);                                                               \
    }                                                                                              \
    static size_t packed_bytes_##name_(const tn_problem *p)                                        \
    {                                                                                              \
        return packed_bytes(p, clusters);                                                          \
    }                                                                                              \
    static tn_status pack_##name_(const tn_problem *p, void *dst)                                  \
    {                                                                                              \
        return pack(p, dst, clusters);                                                             \
    }                                                                                              \
    static tn_status launch_##name_(const tn_launch *l)                                            \
    {                                                                                              \
        return launch(l, clusters);                                                                \
    }
TACTIC(block, false)
TACTIC(cluster, true)
#undef TACTIC

#define TACTIC(name_, needs_)                                                                      \
    {                                                                                              \
        .name = "cuda.feed_forward.half." #name_, .op = "FeedForward", .revision = 2,              \
        .needs = needs_, .accepts = accepts_##name_, .packed_bytes = packed_bytes_##name_,         \
        .pack = pack_##name_, .unused = unused, .launch = launch_##name_                           \
    }
extern const tn_tactic tn_cuda_feed_forward[];
const tn_tactic tn_cuda_feed_forward[] = {
    TACTIC(cluster, TN_SM90),
    TACTIC(block, TN_SM80),
    {0},
};
