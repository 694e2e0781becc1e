/* Unique-11: the different slices along an axis (or elements of the flattened input), where each
 * came first, which of them every slice is, and how often each comes.
 *
 * The slices' numbers are sorted by what they hold, which puts equal ones side by side, the first
 * of them in front; without `sorted` the groups are then put in order of those. */
#include "ops/unique/unique.h"

#include "ops/moving.h"
#include "ops/sorting.h"

static const tn_field fields[] = {
    TN_INT(tn_unique_params, axis, INT64_MIN),
    TN_INT(tn_unique_params, sorted, 1),
};
static const tn_port ins[] = {{"X", TN_DTS_ANY, 'T', 0}};
static const tn_port outs[] = {
    {"Y", TN_DTS_ANY, 'T', 0},
    {"indices", TN_DT(I64), 0, TN_PORT_OPTIONAL},
    {"inverse_indices", TN_DT(I64), 0, TN_PORT_OPTIONAL},
    {"counts", TN_DT(I64), 0, TN_PORT_OPTIONAL},
};

typedef struct slices {
    const tn_tensor *x;
    int64_t outer, count, inner;
} slices;

static slices slices_of(const tn_tensor *x, const tn_unique_params *params)
{
    if (params->axis == INT64_MIN) return (slices){x, 1, tn_tensor_count(x), 1};
    int axis = tn_axis_normal(params->axis, x->rank);
    return (slices){x, tn_dims_product(x->dim, 0, axis), x->dim[axis],
                    tn_dims_product(x->dim, axis + 1, x->rank)};
}

static int compare_slices(const void *self, int64_t a, int64_t b)
{
    const slices *s = self;
    for (int64_t o = 0; o < s->outer; o++) {
        for (int64_t i = 0; i < s->inner; i++) {
            int order = tn_element_order(s->x->dtype, s->x->data, (o * s->count + a) * s->inner + i,
                                         (o * s->count + b) * s->inner + i);
            if (order) return order;
        }
    }
    return 0;
}

static int compare_numbers(const void *self, int64_t a, int64_t b)
{
    (void)self;
    return (a > b) - (a < b);
}

/* first[g], the first slice of group g, for each of the groups returned. order and spare are work.
 */
static int64_t find_groups(const slices *s, bool sorted, int64_t *order, int64_t *spare,
                           int64_t *first)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < s->count; i++) order[i] = i;
    tn_sort_indices(order, spare, s->count, compare_slices, s);
    for (int64_t i = 0; i < s->count; i++)
        if (i == 0 || compare_slices(s, order[i - 1], order[i])) first[groups++] = order[i];
    if (!sorted) tn_sort_indices(first, spare, groups, compare_numbers, NULL);
    return groups;
}

static tn_status infer(tn_infer *f)
{
    const tn_unique_params *params = f->params;
    const tn_type *x = &f->in[0];
    const tn_tensor *data = &f->data[0];
    bool flat = params->axis == INT64_MIN;
    int axis = 0;
    tn_expr dim[TN_RANK_MAX], different = TN_EXPR_NONE, all = TN_EXPR_NONE;
    if (!flat && x->rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, x->rank, &axis));
    if (data->data || (data->dtype && !tn_tensor_count(data))) {
        slices s = slices_of(data, params);
        int64_t *work = TN_NEW_ARRAY(f->arena, int64_t, s.count);
        int64_t *spare = TN_NEW_ARRAY(f->arena, int64_t, s.count);
        int64_t *first = TN_NEW_ARRAY(f->arena, int64_t, s.count);
        TN_CHECK(work && spare && first, TN_OUT_OF_MEMORY, "no memory to count what is unique");
        different = tn_expr_const(f->exprs, find_groups(&s, params->sorted, work, spare, first));
    }
    if (x->rank >= 0) all = flat ? tn_infer_product(f, x->dim, 0, x->rank) : x->dim[axis];
    if (!different) different = tn_infer_fresh(f);
    if (!all) all = tn_infer_fresh(f);
    for (int k = 0; k < x->rank; k++) dim[k] = x->dim[k];
    dim[axis] = different;
    tn_infer_set(f, 0, x->dtype, flat ? 1 : x->rank, dim);
    tn_infer_set(f, 1, TN_DTYPE_I64, 1, &different);
    tn_infer_set(f, 2, TN_DTYPE_I64, 1, &all);
    tn_infer_set(f, 3, TN_DTYPE_I64, 1, &different);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return (size_t)slices_of(&p->in[0], p->params).count * 3 * sizeof(int64_t);
}

/* Place of a number that is among `count` rising ones. */
static int64_t find_number(const int64_t *at, int64_t count, int64_t number)
{
    int64_t low = 0, high = count - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (at[middle] < number) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void store(const tn_problem *p, int output, int64_t at, int64_t value)
{
    if (p->out_count > output && p->out[output].data)
        tn_store_i64(TN_DTYPE_I64, p->out[output].data, at, value);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_unique_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    slices s = slices_of(x, params);
    if (s.count == 0) return NULL;
    int64_t *order = l->scratch, *spare = order + s.count, *first = spare + s.count;
    int64_t groups = find_groups(&s, params->sorted, order, spare, first);
    int axis = params->axis == INT64_MIN ? 0 : tn_axis_normal(params->axis, x->rank);
    TN_CHECK(!y->data || groups == y->dim[axis], TN_INVALID,
             "there are %lld different slices, %lld were planned", (long long)groups,
             (long long)y->dim[axis]);
    if (y->data) TN_TRY(tn_check_count(y, s.outer * groups * s.inner));
    for (int i = 1; i < p->out_count; i++)
        if (p->out[i].data) TN_TRY(tn_check_count(&p->out[i], i == 2 ? s.count : groups));
    for (int64_t g = 0; g < groups; g++) {
        store(p, 1, g, first[g]);
        for (int64_t o = 0; o < s.outer && y->data; o++)
            tn_copy_elements(x->dtype, y->data, (o * groups + g) * s.inner, x->data,
                             (o * s.count + first[g]) * s.inner, s.inner);
    }
    /* Equal slices stand side by side in order[]. */
    for (int64_t begin = 0, end, run = 0; begin < s.count; begin = end, run++) {
        int64_t g = params->sorted ? run : find_number(first, groups, order[begin]);
        for (end = begin; end < s.count && !compare_slices(&s, order[begin], order[end]); end++)
            store(p, 2, order[end], g);
        store(p, 3, g, end - begin);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Unique f32[6]={2,1,1,3,4,3} -> 4",
     .expect = "f32[4]={1,2,3,4} i64[4]={1,0,3,4} i64[6]={1,0,0,2,3,2} i64[4]={2,1,2,1}"},
    {.problem = "Unique{sorted=0} i32[2,3]={2,1,1,3,4,3} -> 4",
     .expect = "i32[4]={2,1,3,4} i64[4]={0,1,3,4} i64[6]={0,1,1,2,3,2} i64[4]={1,2,2,1}"},
    {.problem = "Unique{axis=0} f32[3,3]={1,0,0,1,0,0,2,3,4} -> 4",
     .expect = "f32[2,3]={1,0,0,2,3,4} i64[2]={0,2} i64[3]={0,0,1} i64[2]={2,1}"},
    {.problem = "Unique{axis=0} f32[3,0]={} -> 4",
     .expect = "f32[1,0]={} i64[1]={0} i64[3]={0,0,0} i64[1]={3}"},
    {.problem = "Unique f32[0]={} -> 4", .expect = "f32[0]={} i64[0]={} i64[0]={} i64[0]={}"},
    {0},
};

const tn_op tn_op_unique = {
    .name = "Unique",
    .since = 11,
    .about = "the different slices along axis, with first places, inverse and counts",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_unique_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
