/* Softmax and LogSoftmax along any axis. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/softmax/softmax.h"

extern const tn_cuda_source tn_cuda_source_softmax;

/* A thread keeps at most this many elements of a row; a block at most this many warps. */
enum { ELEMENTS_MAX = 32, WARPS_MAX = 16, ROWS_IN_BLOCK = 4 };

static tn_verdict accepts(const tn_problem *p)
{
    if (!tn_cuda_is_float(p->in[0].dtype)) return TN_NO("the operand is no float");
    if (p->in[0].rank == 0) return TN_NO("a scalar has no axis");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status run(const tn_launch *l, const char *entry, const char *options,
                     const tn_cuda_grid *grid, void **args)
{
    const tn_cuda_function *function;
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_softmax, entry, options,
                                0, &function));
    return tn_cuda_run(l, function, grid, args);
}

/* Lengths vary from run to run: warps and elements are powers of two, so that few kernels serve
 * all. */
static tn_status run_rows(const tn_launch *l, bool is_log, int32_t rows, int32_t length)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    char options[160];
    int vector = tn_cuda_vector_dividing(tn_cuda_vector(tn_cuda_bytes(x)), length);
    vector = tn_cuda_vector_at(vector, x->data, tn_cuda_bytes(x));
    vector = tn_cuda_vector_at(vector, y->data, tn_cuda_bytes(x));
    int warps = 1, elements = vector;
    /* Few rows: more threads for each, else more elements for each thread. */
    int elements_first = rows >= 512 ? ELEMENTS_MAX : TN_MAX(vector, 4);
    while (elements < elements_first && warps * 32 * elements < length) elements *= 2;
    while (warps < WARPS_MAX && warps * 32 * elements < length) warps *= 2;
    while (elements < ELEMENTS_MAX && warps * 32 * elements < length) elements *= 2;
    bool kept = warps * 32 * elements >= length;
    snprintf(options, sizeof options, "-DTX=%s -DTW=%s -DVEC=%d -DELEMENTS=%d -DWARPS=%d -DLOG=%d",
             tn_cuda_type(x->dtype), tn_cuda_wide(x->dtype), vector, elements, warps, is_log);
    void *args[] = {(void *)&x->data, (void *)&y->data, &rows, &length};
    tn_cuda_grid grid = {.grid = {(unsigned)rows}, .block = {1024}, .overlap = true};
    if (kept) grid.block[0] = (unsigned)warps * 32;
    if (kept && warps == 1) {
        grid.grid[0] = tn_cuda_blocks(rows, ROWS_IN_BLOCK);
        grid.block[0] = 32 * ROWS_IN_BLOCK;
    }
    return run(l, kept ? "rows" : "stream", options, &grid, args);
}

static tn_status launch(const tn_launch *l, bool is_log)
{
    const tn_problem *p = l->problem;
    const tn_softmax_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    char options[160];
    int axis = tn_axis_normal(params->axis, x->rank);
    if (tn_tensor_count(x) == 0) return NULL;
    int32_t outer = (int32_t)tn_dims_product(x->dim, 0, axis), length = (int32_t)x->dim[axis];
    int32_t inner = (int32_t)tn_dims_product(x->dim, axis + 1, x->rank);
    if (inner == 1) return run_rows(l, is_log, outer, length);
    snprintf(options, sizeof options, "-DTX=%s -DTW=%s -DVEC=1 -DELEMENTS=1 -DWARPS=1 -DLOG=%d",
             tn_cuda_type(x->dtype), tn_cuda_wide(x->dtype), is_log);
    void *args[] = {(void *)&x->data, (void *)&y->data, &outer, &length, &inner};
    tn_cuda_grid grid = {.grid = {tn_cuda_blocks((int64_t)outer * ((inner + 31) / 32), 1)},
                         .block = {256},
                         .overlap = true};
    return run(l, "columns", options, &grid, args);
}

static tn_status launch_softmax(const tn_launch *l)
{
    return launch(l, false);
}

static tn_status launch_log_softmax(const tn_launch *l)
{
    return launch(l, true);
}

extern const tn_tactic tn_cuda_softmax[];
const tn_tactic tn_cuda_softmax[] = {
    {
        .name = "cuda.softmax.float.axis",
        .op = "Softmax",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch_softmax,
    },
    {
        .name = "cuda.logsoftmax.float.axis",
        .op = "LogSoftmax",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch_log_softmax,
    },
    {0},
};
