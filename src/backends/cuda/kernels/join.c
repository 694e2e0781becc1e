/* Concat and Split: any number of parts, 16 in each launch. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/concat/concat.h"
#include "ops/split/split.h"

extern const tn_cuda_source tn_cuda_source_join;

enum { PARTS = 16 };

typedef struct parts { /* as the kernel takes them */
    void *whole, *part[PARTS];
    uint32_t begin[PARTS + 1], row_units, count;
    int32_t part_count;
    tn_cuda_divider columns;
} parts;

static tn_verdict accepts(const tn_problem *p)
{
    int bits = tn_dtype_bits(p->in[0].dtype);
    if (p->in[0].dtype == TN_DTYPE_STRING || bits % 8) return TN_NO("elements are no whole bytes");
    for (int i = 0; i < p->out_count; i++)
        if (p->out[i].dtype == TN_DTYPE_NONE) return TN_NO("a part is not asked for");
    for (int i = 0; i < p->out_count; i++)
        if (tn_tensor_bytes(&p->out[i]) > INT32_MAX) return TN_NO("2^31 bytes or more");
    if (tn_tensor_bytes(&p->in[0]) > INT32_MAX) return TN_NO("2^31 bytes or more");
    return TN_YES;
}

static size_t unit_at(size_t unit, const void *at)
{
    while (unit > 1 && (uintptr_t)at % unit) unit /= 2;
    return unit;
}

/* The widest access that every part's rows and address allow. */
static size_t unit_of(const tn_tensor *whole, const tn_tensor *part, int count, int axis)
{
    size_t unit = unit_at(16, whole->data);
    for (int i = 0; i < count; i++) {
        int64_t bytes =
            tn_dims_product(part[i].dim, axis, part[i].rank) * (int64_t)tn_cuda_bytes(whole);
        if (tn_tensor_count(&part[i]) == 0) continue;
        while (bytes % (int64_t)unit) unit /= 2;
        unit = unit_at(unit, part[i].data);
    }
    return unit;
}

static tn_status run(const tn_launch *l, const tn_tensor *whole, const tn_tensor *part, int count,
                     int64_t given_axis, bool join)
{
    int axis = tn_axis_normal(given_axis, whole->rank);
    if (tn_tensor_count(whole) == 0) return NULL;
    size_t unit = unit_of(whole, part, count, axis), element = tn_cuda_bytes(whole);
    int64_t rows = tn_dims_product(whole->dim, 0, axis), at = 0;
    int64_t row_bytes = tn_dims_product(whole->dim, axis, whole->rank) * (int64_t)element;
    const char *type = unit == 16 ? "uint128" : tn_cuda_word(unit);
    char options[80];
    const tn_cuda_function *function;
    snprintf(options, sizeof options, "-DUNIT=%s -DJOIN=%d", type, join);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_join, "join", options,
                                0, &function));
    for (int i = 0; i < count;) {
        parts args = {.whole = whole->data, .row_units = (uint32_t)(row_bytes / (int64_t)unit)};
        args.begin[0] = (uint32_t)at;
        for (; i < count && args.part_count < PARTS; i++) {
            if (tn_tensor_count(&part[i]) == 0) continue;
            at +=
                tn_dims_product(part[i].dim, axis, part[i].rank) * (int64_t)element / (int64_t)unit;
            args.part[args.part_count++] = part[i].data;
            args.begin[args.part_count] = (uint32_t)at;
        }
        if (args.part_count == 0) break;
        uint32_t columns = args.begin[args.part_count] - args.begin[0];
        args.columns = tn_cuda_divider_of(columns);
        args.count = (uint32_t)rows * columns;
        tn_cuda_grid grid = {
            .grid = {tn_cuda_blocks(args.count, 256)}, .block = {256}, .overlap = true};
        TN_TRY(tn_cuda_run(l, function, &grid, (void *[]){&args}));
    }
    return NULL;
}

static tn_status launch_concat(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_concat_params *params = p->params;
    return run(l, &p->out[0], p->in, p->in_count, params->axis, true);
}

/* The lengths are in the outputs' dims. */
static tn_status launch_split(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_split_params *params = p->params;
    return run(l, &p->in[0], p->out, p->out_count, params->axis, false);
}

static uint64_t unused_split(const tn_problem *p)
{
    (void)p;
    return UINT64_C(1) << 1;
}

extern const tn_tactic tn_cuda_join[];
const tn_tactic tn_cuda_join[] = {
    {
        .name = "cuda.concat.any.units",
        .op = "Concat",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch_concat,
    },
    {
        .name = "cuda.split.any.units",
        .op = "Split",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .unused = unused_split,
        .launch = launch_split,
    },
    {0},
};
