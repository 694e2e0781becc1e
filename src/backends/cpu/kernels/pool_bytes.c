/* MaxPool of bytes: the largest of the rows under a row of outputs, column by column, and then the
 * largest of what lies under each window. With the channels along memory, as ChannelsLastPool has
 * them, windows are as many numbers side by side. */
#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/pool/pool.h"

enum { ROW_MAX = 8192, GRAIN = 400000 }; /* columns of x; bytes compared worth a thread */
enum { SIDE = 16 };                      /* of them are compared at once */
typedef uint8_t bytes __attribute__((vector_size(SIDE)));

typedef struct job {
    const tn_problem *p;
    tn_window w;
    uint8_t flip; /* 128: the bytes have a sign, and are compared without it */
} job;

static tn_verdict accepts(const tn_problem *p)
{
    tn_window w;
    if (p->in[0].dtype != TN_DTYPE_U8 && p->in[0].dtype != TN_DTYPE_I8)
        return TN_NO("the operands are not bytes");
    if (p->out_count > 1 && p->out[1].dtype != TN_DTYPE_NONE) return TN_NO("Indices are asked for");
    tn_pool_window(p, false, &w);
    return w.in[2] <= ROW_MAX ? TN_YES : TN_NO("its rows are too long");
}

/* to = the larger of it and `other`. */
SIMD_INLINE void take_bytes(uint8_t *to, bytes other)
{
    bytes most;
    memcpy(&most, to, sizeof most);
    bytes wins = (bytes)(other > most);
    most = (other & wins) | (most & ~wins);
    memcpy(to, &most, sizeof most);
}

/* Every stride-th byte, for strides of 1 and 2. */
SIMD_INLINE bytes pick_bytes(const uint8_t *src, int64_t stride)
{
    bytes low, high;
    memcpy(&low, src, sizeof low);
    if (stride == 1) return low;
    memcpy(&high, src + SIDE, sizeof high);
    return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28,
                                   30);
}

/* most[i] and src[i * stride] for i in [0, count): the last ones may be compared twice, which
 * changes nothing. `stride` is a constant where it is 1 or 2; behind src lies a vector more. */
SIMD_INLINE void take_line(const uint8_t *src, int64_t stride, int64_t count, uint8_t flip,
                           uint8_t *most)
{
    if (stride > 2 || count < SIDE) {
        for (int64_t i = 0; i < count; i++) {
            uint8_t value = src[i * stride] ^ flip;
            most[i] = value > most[i] ? value : most[i];
        }
        return;
    }
    for (int64_t i = 0; i < count; i += SIDE) {
        int64_t at = TN_MIN(i, count - SIDE);
        take_bytes(most + at, pick_bytes(src + at * stride, stride) ^ flip);
    }
}

static void pool_row(const job *j, const uint8_t *x, int64_t d, int64_t h, uint8_t *y)
{
    const tn_window *w = &j->w;
    uint8_t most[ROW_MAX + 2 * SIDE]; /* of the column; what lies behind is read, not used */
    memset(most, 0, (size_t)w->in[2]);
    for (int64_t k = 0; k < w->kernel[0] * w->kernel[1]; k++) {
        int64_t in_d = d * w->stride[0] + k / w->kernel[1] * w->dilation[0] - w->pad[0];
        int64_t in_h = h * w->stride[1] + k % w->kernel[1] * w->dilation[1] - w->pad[1];
        if (in_d >= 0 && in_d < w->in[0] && in_h >= 0 && in_h < w->in[1])
            take_line(x + (in_d * w->in[1] + in_h) * w->in[2], 1, w->in[2], j->flip, most);
    }
    memset(y, 0, (size_t)w->out[2]);
    for (int64_t k = 0; k < w->kernel[2]; k++) {
        int64_t begin, end;
        tn_window_range(w, 2, k, &begin, &end);
        if (end <= begin) continue;
        const uint8_t *src = most + begin * w->stride[2] + k * w->dilation[2] - w->pad[2];
        switch (w->stride[2]) {
        case 1: take_line(src, 1, end - begin, 0, y + begin); break;
        case 2: take_line(src, 2, end - begin, 0, y + begin); break;
        default: take_line(src, w->stride[2], end - begin, 0, y + begin);
        }
    }
    for (int64_t i = 0; j->flip && i < w->out[2]; i++) y[i] ^= j->flip;
}

static tn_status share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_window *w = &j->w;
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++) {
        const uint8_t *x = (const uint8_t *)j->p->in[0].data + plane * w->in_count;
        uint8_t *y = (uint8_t *)j->p->out[0].data + plane * w->out_count;
        for (int64_t row = 0; row < w->out[0] * w->out[1]; row++)
            pool_row(j, x, row / w->out[1], row % w->out[1], y + row * w->out[2]);
    }
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.p = p, .flip = p->in[0].dtype == TN_DTYPE_I8 ? 128 : 0};
    tn_pool_window(p, false, &j.w);
    int64_t planes = p->in[0].dim[0] * p->in[0].dim[1];
    if (planes == 0 || j.w.out_count == 0) return NULL;
    int64_t work = j.w.out[0] * j.w.out[1] * j.w.in[2] * j.w.kernel[0] * j.w.kernel[1];
    return tn_pool_run(l->pool, planes, 1 + GRAIN / (1 + work), share, &j);
}

/* ---- Channels along memory -------------------------------------------------------------------*/

static tn_verdict accepts_last(const tn_problem *p)
{
    const tn_pool_last_params *params = p->params;
    if (p->in[0].dtype != TN_DTYPE_U8 && p->in[0].dtype != TN_DTYPE_I8)
        return TN_NO("the operands are not bytes");
    return params->average ? TN_NO("it is not the largest that is asked for") : TN_YES;
}

/* A row of outputs, of all channels. */
static void pool_last(const job *j, const uint8_t *x, int64_t channels, int64_t row, uint8_t *y)
{
    const tn_window *w = &j->w;
    int64_t count = w->out[2] * channels;
    memset(y, 0, (size_t)count);
    for (int64_t k = 0; k < w->kernel_count; k++) {
        int64_t across = k % w->kernel[2], line = k / w->kernel[2], begin, end;
        int64_t d = row / w->out[1] * w->stride[0] + line / w->kernel[1] * w->dilation[0];
        int64_t h = row % w->out[1] * w->stride[1] + line % w->kernel[1] * w->dilation[1];
        d -= w->pad[0];
        h -= w->pad[1];
        if (d < 0 || d >= w->in[0] || h < 0 || h >= w->in[1]) continue;
        tn_window_range(w, 2, across, &begin, &end);
        int64_t first = across * w->dilation[2] - w->pad[2];
        const uint8_t *src = x + ((d * w->in[1] + h) * w->in[2] + first) * channels;
        for (int64_t i = begin; i < end; i++)
            take_line(src + i * w->stride[2] * channels, 1, channels, j->flip, y + i * channels);
    }
    for (int64_t i = 0; j->flip && i < count; i++) y[i] ^= j->flip;
}

static tn_status share_last(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_tensor *x = &j->p->in[0], *y = &j->p->out[0];
    int64_t channels = x->dim[x->rank - 1], rows = j->w.out[0] * j->w.out[1];
    (void)thread;
    for (int64_t at = begin; at < end; at++)
        pool_last(j, (const uint8_t *)x->data + at / rows * j->w.in_count * channels, channels,
                  at % rows, (uint8_t *)y->data + at * j->w.out[2] * channels);
    return NULL;
}

static tn_status launch_last(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    job j = {.p = p, .flip = p->in[0].dtype == TN_DTYPE_I8 ? 128 : 0};
    tn_pool_last_window(p, &j.w);
    int64_t work = j.w.kernel_count * j.w.out[2] * y->dim[y->rank - 1];
    if (tn_tensor_count(y) == 0) return NULL;
    return tn_pool_run(l->pool, y->dim[0] * j.w.out[0] * j.w.out[1], 1 + GRAIN / (1 + work),
                       share_last, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_pool_bytes)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_pool_bytes)[] = {
    {
        .name = "cpu.maxpool.i8.rows." TN_VARIANT_TEXT,
        .op = "MaxPool",
        .revision = 1,
        .accepts = accepts,
        .launch = launch,
    },
    {
        .name = "cpu.channelslastpool.i8.pixels." TN_VARIANT_TEXT,
        .op = "ChannelsLastPool",
        .revision = 1,
        .accepts = accepts_last,
        .launch = launch_last,
    },
    {0},
};
