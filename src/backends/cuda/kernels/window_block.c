/* WindowBlock by one kernel (window_block.cu): a cluster of a block for each head. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/slab.h"
#include "backends/cuda/kernels/window.h"
#include "ops/window_block/window_block.h"

extern const tn_cuda_source tn_cuda_source_window_block;

enum { HEAD = 32, HEAD_LINE = HEAD + 8, LINE = TN_SLAB_LINE };
enum { SHARED_SM80 = 96 << 10, SHARED_SM90 = 227 << 10 }; /* of every card from there on */

typedef struct problem { /* as the kernel takes it */
    const void *x, *scale, *shift, *bias1, *bias2, *w;
    void *y;
    tn_cuda_tiling all;
    float epsilon;
} problem;

/* ---- Weights ---------------------------------------------------------------------------------
 *
 * For each head: slabs of 64 rows of the columns of its queries, keys and values, a line each, in
 * the order of bytes that the kernel wants; slabs of as many columns of the result; and the table
 * of positions as its threads hold it. */

typedef struct sizes {
    int64_t heads, width, slabs, rows, warps, key_tiles;
    size_t weights, table; /* bytes of a head */
} sizes;

static sizes sizes_of(const tn_problem *p)
{
    tn_window_attention_shape s;
    tn_window_block_shape_of(p, &s);
    sizes out = {.heads = s.heads, .width = s.width, .rows = s.rows};
    out.slabs = tn_slab_count(s.width);
    out.warps = (s.rows + 15) / 16;
    out.key_tiles = (s.rows + 7) / 8;
    out.weights = (size_t)(out.slabs * 4 * HEAD * LINE);
    out.table = (size_t)(out.key_tiles * 2 * out.warps * 32) * sizeof(uint32_t);
    return out;
}

static size_t packed_bytes(const tn_problem *p)
{
    sizes s = sizes_of(p);
    return (size_t)s.heads * (s.weights + s.table);
}

/* Two keys of a row after the other, as results of products lie in a warp's threads. */
static void lay_table(const sizes *s, const uint16_t *table, uint8_t *to)
{
    for (int64_t j = 0; j < s->key_tiles * 2; j++)
        for (int64_t thread = 0; thread < s->warps * 32; thread++)
            for (int64_t e = 0; e < 2; e++, to += 2) {
                int64_t row = thread / 32 * 16 + thread % 32 / 4 + j % 2 * 8;
                int64_t key = j / 2 * 8 + thread % 4 * 2 + e;
                memcpy(to, table + TN_MIN(row, s->rows - 1) * s->rows + TN_MIN(key, s->rows - 1),
                       2);
            }
}

static tn_status pack(const tn_problem *p, void *dst)
{
    sizes s = sizes_of(p);
    const uint16_t *w1 = p->in[TN_WB_W1].data, *w2 = p->in[TN_WB_W2].data;
    memset(dst, 0, packed_bytes(p));
    for (int64_t h = 0; h < s.heads; h++) {
        uint8_t *to = (uint8_t *)dst + (size_t)h * (s.weights + s.table);
        for (int part = 0; part < 3; part++)
            tn_slab_turn(w1, s.width, 3 * s.width, part * s.width + h * HEAD, HEAD, part * HEAD,
                         3 * HEAD, to);
        tn_slab_turn(w2, s.width, s.width, h * HEAD, HEAD, 0, HEAD, to + s.slabs * 3 * HEAD * LINE);
        if (tn_cuda_has(p, TN_WB_TABLE))
            lay_table(&s, (const uint16_t *)p->in[TN_WB_TABLE].data + h * s.rows * s.rows,
                      to + s.weights);
    }
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return UINT64_C(1) << TN_WB_W1 | UINT64_C(1) << TN_WB_W2 | UINT64_C(1) << TN_WB_TABLE;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static size_t shared_bytes(const tn_problem *p)
{
    sizes s = sizes_of(p);
    int64_t padded = s.warps * 16;
    return (size_t)(s.slabs * padded * LINE) + s.weights + s.table +
           (size_t)(2 * padded * HEAD_LINE + 2 * s.width) * sizeof(uint16_t) + 16;
}

static tn_verdict accepts(const tn_problem *p, bool clusters)
{
    tn_window_attention_shape s;
    tn_window_block_shape_of(p, &s);
    if (tn_cuda_bytes(&p->in[TN_WB_X]) != 2) return TN_NO("the operands are not f16 or bf16");
    for (int i = 1; i < p->in_count; i++)
        if (tn_cuda_has(p, i) && !(p->in_constant >> i & 1))
            return TN_NO("what rows are multiplied with is no constant");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    if (!tn_window_block_fits(p->params, -1, s.width))
        return TN_NO("heads are not of 32 columns, or too many, or windows above 64 tokens");
    if (!clusters && s.heads > 1) return TN_NO("there are several heads");
    if (shared_bytes(p) > (clusters ? SHARED_SM90 : SHARED_SM80))
        return TN_NO("the weights of a head take too much memory");
    return TN_YES;
}

static const void *input(const tn_problem *p, int i)
{
    return tn_cuda_has(p, i) ? p->in[i].data : NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_window_block_params *params = p->params;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_cuda_function *function;
    tn_window_attention_shape s;
    char options[200];
    tn_window_block_shape_of(p, &s);
    int64_t warps = (s.rows + 15) / 16;
    if (s.batch * s.windows == 0) return NULL;
    bool aligned = ((uintptr_t)p->in[TN_WB_X].data | (uintptr_t)p->out[0].data) % 16 == 0;
    problem args = {
        .x = p->in[TN_WB_X].data,
        .scale = p->in[TN_WB_SCALE].data,
        .shift = input(p, TN_WB_SHIFT),
        .bias1 = input(p, TN_WB_BIAS1),
        .bias2 = input(p, TN_WB_BIAS2),
        .w = l->packed,
        .y = p->out[0].data,
        .all = tn_cuda_tiling_of(&s),
        .epsilon = params->epsilon,
    };
    snprintf(options, sizeof options,
             "-DTYPE=%s -DHEADS=%d -DROWS=%d -DSIDE=%d -DBIAS=%d -DVX=%d "
             "-DGROUPS=%d",
             tn_cuda_type(p->in[TN_WB_X].dtype), (int)s.heads, (int)s.rows, (int)s.window[1],
             tn_cuda_has(p, TN_WB_TABLE), aligned ? 8 : 1, card->major == 9 && warps == 4);
    size_t shared = shared_bytes(p);
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_window_block, "window_block", options, shared,
                                &function));
    int64_t at_once = (int64_t)((SHARED_SM90 + 1024) / (shared + 1024)) * card->multiprocessors;
    int64_t groups = TN_MIN(args.all.count, TN_MAX(at_once / s.heads, 1));
    tn_cuda_grid grid = {.grid = {(unsigned)(groups * s.heads)},
                         .block = {(unsigned)(warps * (s.width > 128 ? 64 : 32))},
                         .shared_bytes = shared,
                         .cluster = s.heads > 1 ? (unsigned)s.heads : 0,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&args});
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

static tn_verdict accepts_block(const tn_problem *p)
{
    return accepts(p, false);
}

static tn_verdict accepts_cluster(const tn_problem *p)
{
    return accepts(p, true);
}

extern const tn_tactic tn_cuda_window_block[];
const tn_tactic tn_cuda_window_block[] = {
    {
        .name = "cuda.window_block.half.cluster",
        .op = "WindowBlock",
        .revision = 2,
        .needs = TN_SM90,
        .accepts = accepts_cluster,
        .packed_bytes = packed_bytes,
        .pack = pack,
        .unused = unused,
        .launch = launch,
    },
    {
        .name = "cuda.window_block.half.block",
        .op = "WindowBlock",
        .revision = 2,
        .needs = TN_SM80,
        .accepts = accepts_block,
        .packed_bytes = packed_bytes,
        .pack = pack,
        .unused = unused,
        .launch = launch,
    },
    {0},
};
