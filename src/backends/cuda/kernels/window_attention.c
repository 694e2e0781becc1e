/* WindowAttention by our own kernels (window_attention.cu). */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/window.h"

extern const tn_cuda_source tn_cuda_source_window_attention;

enum { ANY = 1, FLOATS, TENSOR, MANY }; /* METHOD; the last is TENSOR with several windows */
enum { REPEAT = 4 };                    /* so many */

/* What a block holds. */
enum {
    THREADS = 128,
    TILE = 64, /* queries; 4 in a block of any sizes */
    ANY_TILE = 4,
    ANY_ROWS_MAX = 2048,
    FLOATS_ROWS_MAX = 160,
    FLOATS_HEAD_MAX = 64,
    TENSOR_ROWS_MAX = 256,
    TENSOR_HEAD_MAX = 128,
    SHARED_MAX = 96 << 10 /* what every card has from 8.0 on, less what it keeps */
};

typedef struct problem { /* as the kernel takes it */
    const void *qkv, *bias;
    void *y;
    int32_t width, heads, tiles;
    tn_cuda_tiling all;
} problem;

static size_t shared_bytes(const tn_window_attention_shape *s, int kind, size_t element)
{
    size_t rows = (size_t)s->rows, head = (size_t)s->head;
    if (kind == ANY) return ANY_TILE * rows * sizeof(float);
    size_t stages = kind == MANY ? 2 : 1;
    if (kind >= TENSOR) return stages * 2 * ((rows + 15) / 16 * 16) * (head * element + 16);
    size_t queries = TN_MIN((rows + 15) / 16 * 16, (size_t)TILE), keys = (rows + 7) / 8 * 8;
    size_t weights = (rows + 3) / 4 * 4 + 4;
    return ((queries + 2 * keys) * (head + 4) + queries * weights) * sizeof(float);
}

static tn_verdict fits(const tn_problem *p, int kind)
{
    const tn_tensor *x = &p->in[TN_WATT_QKV];
    tn_window_attention_shape s;
    tn_window_attention_shape_of(p, &s);
    size_t element = tn_cuda_bytes(x);
    if (element > 4) return TN_NO("the operands are not f32, f16 or bf16");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    if (s.rows > ANY_ROWS_MAX) return TN_NO("windows have more than 2048 tokens");
    if (s.head == 0 || s.head > 4096) return TN_NO("heads are of no columns, or above 4096");
    if (kind == FLOATS && (s.head % 4 || s.head > FLOATS_HEAD_MAX || s.rows > FLOATS_ROWS_MAX))
        return TN_NO("heads are no multiple of 4 up to 64, or windows above 160 tokens");
    if (kind >= TENSOR &&
        (s.head % (int64_t)(32 / element) || s.head > TENSOR_HEAD_MAX || s.rows > TENSOR_ROWS_MAX))
        return TN_NO("heads are no whole steps of the tensor cores, or windows above 256 tokens");
    if (shared_bytes(&s, kind, element) > SHARED_MAX)
        return TN_NO("a window takes too much memory");
    return TN_YES;
}

/* Addresses are known only at the launch. */
static bool is_aligned(const tn_problem *p)
{
    uintptr_t at = (uintptr_t)p->in[TN_WATT_QKV].data | (uintptr_t)p->out[0].data;
    return at % 16 == 0;
}

static tn_status launch(const tn_launch *l, int kind)
{
    const tn_problem *p = l->problem;
    const tn_cuda_function *function;
    tn_window_attention_shape s;
    char options[240];
    tn_window_attention_shape_of(p, &s);
    if (s.batch * s.windows * s.width == 0) return NULL;
    if (!is_aligned(p)) kind = ANY;
    int repeat = kind == MANY ? REPEAT : 1;
    bool bias = tn_cuda_has(p, TN_WATT_BIAS);
    bool weight = p->in_constant >> TN_WATT_BIAS & 1;
    snprintf(options, sizeof options,
             "-DTYPE=%s -DHEAD=%d -DROWS=%d -DSIDE=%d -DBIAS=%d -DMETHOD=%d "
             "-DREPEAT=%d",
             tn_cuda_type(p->in[TN_WATT_QKV].dtype), (int)s.head, (int)s.rows, (int)s.window[1],
             !bias    ? 0
             : weight ? 2
                      : 1,
             TN_MIN(kind, TENSOR), repeat);
    size_t shared = shared_bytes(&s, kind, tn_cuda_bytes(&p->in[TN_WATT_QKV]));
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_window_attention,
                                "windows", options, shared, &function));
    int64_t tile = kind == ANY ? ANY_TILE : TILE;
    problem args = {
        .qkv = p->in[TN_WATT_QKV].data,
        .bias = bias ? p->in[TN_WATT_BIAS].data : NULL,
        .y = p->out[0].data,
        .width = (int32_t)s.width,
        .heads = (int32_t)s.heads,
        .tiles = (int32_t)((s.rows + tile - 1) / tile),
        .all = tn_cuda_tiling_of(&s),
    };
    int64_t groups = (args.all.count + repeat - 1) / repeat;
    tn_cuda_grid grid = {.grid = {(unsigned)(groups * args.tiles * s.heads)},
                         .block = {THREADS},
                         .shared_bytes = shared,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&args});
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

static tn_verdict accepts_any(const tn_problem *p)
{
    return fits(p, ANY);
}

static tn_verdict accepts_floats(const tn_problem *p)
{
    return fits(p, FLOATS);
}

static tn_verdict accepts_half(const tn_problem *p)
{
    if (tn_cuda_bytes(&p->in[TN_WATT_QKV]) != 2) return TN_NO("the operands are not f16 or bf16");
    return fits(p, TENSOR);
}

static tn_verdict accepts_half_many(const tn_problem *p)
{
    if (tn_cuda_bytes(&p->in[TN_WATT_QKV]) != 2) return TN_NO("the operands are not f16 or bf16");
    return fits(p, MANY);
}

static tn_verdict accepts_tf32(const tn_problem *p)
{
    if (p->in[TN_WATT_QKV].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    return fits(p, TENSOR);
}

static tn_status launch_any(const tn_launch *l)
{
    return launch(l, ANY);
}

static tn_status launch_floats(const tn_launch *l)
{
    return launch(l, FLOATS);
}

static tn_status launch_tensor(const tn_launch *l)
{
    return launch(l, TENSOR);
}

static tn_status launch_many(const tn_launch *l)
{
    return launch(l, MANY);
}

extern const tn_tactic tn_cuda_window_attention[];
const tn_tactic tn_cuda_window_attention[] = {
    {
        .name = "cuda.window_attention.half.tensor",
        .op = "WindowAttention",
        .revision = 1,
        .needs = TN_SM80,
        .accepts = accepts_half,
        .launch = launch_tensor,
    },
    {
        .name = "cuda.window_attention.half.tensor_many",
        .op = "WindowAttention",
        .revision = 1,
        .needs = TN_SM80,
        .accepts = accepts_half_many,
        .launch = launch_many,
    },
    {
        .name = "cuda.window_attention.tf32.tensor",
        .op = "WindowAttention",
        .revision = 1,
        .needs = TN_SM80,
        .precision = TN_PRECISION_TF32,
        .accepts = accepts_tf32,
        .launch = launch_tensor,
    },
    {
        .name = "cuda.window_attention.any.floats",
        .op = "WindowAttention",
        .revision = 1,
        .needs = TN_SM80,
        .accepts = accepts_floats,
        .launch = launch_floats,
    },
    {
        .name = "cuda.window_attention.any.queries",
        .op = "WindowAttention",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_any,
        .launch = launch_any,
    },
    {0},
};
