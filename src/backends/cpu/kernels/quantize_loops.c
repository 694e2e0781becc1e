/* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear and QuantizedAdd between f32 and bytes, a
 * vector at a time. One scale and zero point, or one for each index along an axis: runs of elements
 * that share them. */
#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/quantize/quantize.h"

enum { BLOCK = 2048, GRAIN_BLOCKS = 4 }; /* elements of a block; blocks worth a thread */

typedef uint8_t vu8 __attribute__((vector_size(VF32_LANES)));

/* A scale, a zero point, and the sign of the bytes. */
typedef struct grid {
    float scale;
    int32_t zero;
    bool is_signed;
} grid;

typedef struct job {
    const tn_problem *p;
    tn_quantize_map map;
    int64_t count;
} job;

/* ---- Vectors ---------------------------------------------------------------------------------*/

SIMD_INLINE vf32 load_reals(const uint8_t *src, const grid *g)
{
    const uint8_t flip = g->is_signed ? 128 : 0; /* x + 128, as which it needs no sign */
    vu8 bytes;
    memcpy(&bytes, src, sizeof bytes);
    vi32 wide = __builtin_convertvector(bytes ^ flip, vi32);
    return __builtin_convertvector(wide - (g->zero + flip), vf32) * g->scale;
}

/* Ties to even; NaN gives the zero point. */
SIMD_INLINE void store_bytes(uint8_t *dst, vf32 x, const grid *g)
{
    const float whole = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded */
    int32_t low = (g->is_signed ? -128 : 0) - g->zero;
    x = x / g->scale;
    x = vf32_select((vi32)(x == x), x, (vf32){0});
    x = vf32_min(vf32_max(x, vf32_set1((float)low)), vf32_set1((float)(low + 255)));
    x = x + whole;
    x = x - whole;
    vu8 bytes = __builtin_convertvector(__builtin_convertvector(x, vi32) + g->zero, vu8);
    memcpy(dst, &bytes, sizeof bytes);
}

/* What is left of a run goes through vectors of its own. */
SIMD_INLINE void quantize_run(const float *x, int64_t count, const grid *g, uint8_t *y)
{
    int64_t i = 0;
    uint8_t last[VF32_LANES];
    for (; i + VF32_LANES <= count; i += VF32_LANES) store_bytes(y + i, vf32_load(x + i), g);
    if (i == count) return;
    store_bytes(last, vf32_load_some(x + i, count - i), g);
    memcpy(y + i, last, (size_t)(count - i));
}

SIMD_INLINE void dequantize_run(const uint8_t *x, int64_t count, const grid *g, float *y)
{
    int64_t i = 0;
    uint8_t last[VF32_LANES] = {0};
    for (; i + VF32_LANES <= count; i += VF32_LANES) vf32_store(y + i, load_reals(x + i, g));
    if (i == count) return;
    memcpy(last, x + i, (size_t)(count - i));
    vf32_store_some(y + i, load_reals(last, g), count - i);
}

/* ---- Runs ------------------------------------------------------------------------------------*/

static grid grid_at(const tn_problem *p, int scale, tn_dtype dtype, int64_t index)
{
    const tn_tensor *s = &p->in[scale], *z = scale + 1 < p->in_count ? &p->in[scale + 1] : NULL;
    grid g = {.scale = ((const float *)s->data)[index], .is_signed = dtype == TN_DTYPE_I8};
    if (z && z->dtype != TN_DTYPE_NONE) g.zero = (int32_t)tn_load_i64(z->dtype, z->data, index);
    return g;
}

/* The end of the run that element i is of. */
static int64_t run_end(const job *j, int64_t i, int64_t end)
{
    return j->map.blocks == 1 ? end : TN_MIN((i / j->map.inner + 1) * j->map.inner, end);
}

static tn_status quantize_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const float *x = j->p->in[0].data;
    uint8_t *y = j->p->out[0].data;
    int64_t last = TN_MIN(end * BLOCK, j->count);
    (void)thread;
    for (int64_t i = begin * BLOCK, to; i < last; i = to) {
        grid g = grid_at(j->p, 1, j->p->out[0].dtype, tn_quantize_map_at(&j->map, i));
        to = run_end(j, i, last);
        quantize_run(x + i, to - i, &g, y + i);
    }
    return NULL;
}

static tn_status dequantize_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const uint8_t *x = j->p->in[0].data;
    float *y = j->p->out[0].data;
    int64_t last = TN_MIN(end * BLOCK, j->count);
    (void)thread;
    for (int64_t i = begin * BLOCK, to; i < last; i = to) {
        grid g = grid_at(j->p, 1, j->p->in[0].dtype, tn_quantize_map_at(&j->map, i));
        to = run_end(j, i, last);
        dequantize_run(x + i, to - i, &g, y + i);
    }
    return NULL;
}

static tn_status add_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_problem *p = j->p;
    const uint8_t *a = p->in[0].data, *b = p->in[3].data;
    uint8_t *y = p->out[0].data;
    grid a_grid = grid_at(p, 1, p->in[0].dtype, 0), b_grid = grid_at(p, 4, p->in[3].dtype, 0);
    grid y_grid = grid_at(p, 6, p->out[0].dtype, 0);
    int64_t i = begin * BLOCK, last = TN_MIN(end * BLOCK, j->count);
    (void)thread;
    for (; i + VF32_LANES <= last; i += VF32_LANES) {
        vf32 left = load_reals(a + i, &a_grid), right = load_reals(b + i, &b_grid);
        store_bytes(y + i, left + right, &y_grid);
    }
    if (i == last) return NULL;
    uint8_t some[3][VF32_LANES] = {{0}};
    memcpy(some[0], a + i, (size_t)(last - i));
    memcpy(some[1], b + i, (size_t)(last - i));
    vf32 left = load_reals(some[0], &a_grid), right = load_reals(some[1], &b_grid);
    store_bytes(some[2], left + right, &y_grid);
    memcpy(y + i, some[2], (size_t)(last - i));
    return NULL;
}

/* ---- By the range of x -----------------------------------------------------------------------*/

typedef struct dynamic {
    const float *x;
    uint8_t *y;
    float (*range)[2]; /* of each block: the least number below 0, and the largest above */
    int64_t count;
    grid grid;
} dynamic;

static tn_status range_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const dynamic *d = arg;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        vf32 low = {0}, high = {0};
        for (int64_t i = at * BLOCK; i < TN_MIN((at + 1) * BLOCK, d->count); i += VF32_LANES) {
            vf32 x = vf32_load_some(d->x + i, TN_MIN(d->count - i, VF32_LANES));
            low = vf32_select((vi32)(x < low), x, low); /* NaN counts for nothing */
            high = vf32_select((vi32)(x > high), x, high);
        }
        d->range[at][0] = d->range[at][1] = 0;
        for (int lane = 0; lane < VF32_LANES; lane++) {
            d->range[at][0] = TN_MIN(d->range[at][0], low[lane]);
            d->range[at][1] = TN_MAX(d->range[at][1], high[lane]);
        }
    }
    return NULL;
}

static tn_status dynamic_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const dynamic *d = arg;
    int64_t i = begin * BLOCK, last = TN_MIN(end * BLOCK, d->count);
    (void)thread;
    quantize_run(d->x + i, last - i, &d->grid, d->y + i);
    return NULL;
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

static bool is_byte(const tn_tensor *t)
{
    return t->dtype == TN_DTYPE_U8 || t->dtype == TN_DTYPE_I8;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_quantize_params *params = p->params;
    bool to_bytes = p->op[0] == 'Q';
    if (!is_byte(to_bytes ? &p->out[0] : &p->in[0])) return TN_NO("it is not of bytes");
    if (p->in[1].dtype != TN_DTYPE_F32) return TN_NO("the scale is not f32");
    if ((to_bytes ? &p->in[0] : &p->out[0])->dtype != TN_DTYPE_F32) return TN_NO("it is not f32");
    if (params->block_size) return TN_NO("it has a scale for each block");
    if (params->precision && params->precision != TN_DTYPE_F32)
        return TN_NO("it is not divided in f32");
    return TN_YES;
}

static tn_status run(const tn_launch *l, tn_pool_work work)
{
    const tn_problem *p = l->problem;
    job j = {.p = p, .count = tn_tensor_count(&p->in[0])};
    if (p->params_bytes) tn_quantize_map_of(p->params, &p->in[0], &p->in[1], &j.map);
    return tn_pool_run(l->pool, (j.count + BLOCK - 1) / BLOCK, GRAIN_BLOCKS, work, &j);
}

static tn_status launch_quantize(const tn_launch *l)
{
    return run(l, quantize_share);
}

static tn_status launch_dequantize(const tn_launch *l)
{
    return run(l, dequantize_share);
}

static tn_verdict accepts_dynamic(const tn_problem *p)
{
    return p->in[0].dtype == TN_DTYPE_F32 ? TN_YES : TN_NO("x is not f32");
}

static int64_t blocks_of(const tn_problem *p)
{
    return (tn_tensor_count(&p->in[0]) + BLOCK - 1) / BLOCK;
}

static size_t dynamic_scratch(const tn_problem *p)
{
    return (size_t)blocks_of(p) * sizeof(float[2]);
}

static void *wanted(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE ? p->out[out].data : NULL;
}

static tn_status launch_dynamic(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    dynamic d = {.x = p->in[0].data,
                 .y = wanted(p, 0),
                 .range = l->scratch,
                 .count = tn_tensor_count(&p->in[0])};
    float low = 0, high = 0, *scale = wanted(p, 1);
    uint8_t *zero = wanted(p, 2);
    int64_t blocks = blocks_of(p);
    TN_TRY(tn_pool_run(l->pool, blocks, GRAIN_BLOCKS, range_share, &d));
    for (int64_t i = 0; i < blocks; i++) {
        low = TN_MIN(low, d.range[i][0]);
        high = TN_MAX(high, d.range[i][1]);
    }
    d.grid.scale = high > low ? (high - low) / 255.0f : 1.0f; /* all zeros: any scale will do */
    d.grid.zero = (int32_t)tn_quantize_value(TN_DTYPE_U8, -low / d.grid.scale, 0);
    if (scale) *scale = d.grid.scale;
    if (zero) *zero = (uint8_t)d.grid.zero;
    return d.y ? tn_pool_run(l->pool, blocks, GRAIN_BLOCKS, dynamic_share, &d) : NULL;
}

static tn_verdict accepts_add(const tn_problem *p)
{
    (void)p;
    return TN_YES;
}

static tn_status launch_add(const tn_launch *l)
{
    return run(l, add_share);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_quantize_loops)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_quantize_loops)[] = {
    {
        .name = "cpu.quantizelinear.i8.loop." TN_VARIANT_TEXT,
        .op = "QuantizeLinear",
        .revision = 1,
        .accepts = accepts,
        .launch = launch_quantize,
    },
    {
        .name = "cpu.dequantizelinear.i8.loop." TN_VARIANT_TEXT,
        .op = "DequantizeLinear",
        .revision = 1,
        .accepts = accepts,
        .launch = launch_dequantize,
    },
    {
        .name = "cpu.dynamicquantizelinear.u8.loop." TN_VARIANT_TEXT,
        .op = "DynamicQuantizeLinear",
        .revision = 1,
        .accepts = accepts_dynamic,
        .scratch_bytes = dynamic_scratch,
        .launch = launch_dynamic,
    },
    {
        .name = "cpu.quantizedadd.i8.loop." TN_VARIANT_TEXT,
        .op = "QuantizedAdd",
        .revision = 1,
        .accepts = accepts_add,
        .launch = launch_add,
    },
    {0},
};
