/* ReverseSequence-10: for each batch the first sequence_lens[batch] steps in time run backward, the
 * rest stays. */
#include "ops/reverse_sequence/reverse_sequence.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_reverse_sequence_params, batch_axis, 1),
    TN_INT(tn_reverse_sequence_params, time_axis, 0),
};
static const tn_port ins[] = {{"input", TN_DTS_ANY, 'T', 0}, {"sequence_lens", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"Y", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_reverse_sequence_params *params = f->params;
    int rank = f->in[0].rank, batch, time;
    if (rank >= 0) {
        TN_TRY(tn_infer_axis(f, params->batch_axis, rank, &batch));
        TN_TRY(tn_infer_axis(f, params->time_axis, rank, &time));
        TN_CHECK(batch != time, TN_INVALID, "batch_axis and time_axis are both %d", batch);
    }
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_reverse_sequence_params *params = p->params;
    const tn_tensor *x = &p->in[0], *lens = &p->in[1], *y = &p->out[0];
    int batch = tn_axis_normal(params->batch_axis, x->rank),
        time = tn_axis_normal(params->time_axis, x->rank);
    int64_t step[TN_RANK_MAX], index[TN_RANK_MAX] = {0}, total = tn_tensor_count(x);
    TN_CHECK(tn_tensor_count(lens) == x->dim[batch], TN_INVALID,
             "%lld lengths are given for a batch of %lld", (long long)tn_tensor_count(lens),
             (long long)x->dim[batch]);
    for (int64_t i = 0; i < x->dim[batch]; i++) {
        int64_t length = tn_load_i64(lens->dtype, lens->data, i);
        TN_CHECK(length >= 0 && length <= x->dim[time], TN_INVALID,
                 "length %lld of batch %lld is outside [0, %lld]", (long long)length, (long long)i,
                 (long long)x->dim[time]);
    }
    TN_TRY(tn_check_count(y, total));
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < total; i++, tn_index_next(index, x->dim, x->rank)) {
        int64_t length = tn_load_i64(lens->dtype, lens->data, index[batch]), at = index[time];
        int64_t from = at < length ? length - 1 - at : at;
        tn_copy_elements(x->dtype, y->data, i, x->data, i + (from - at) * step[time], 1);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "ReverseSequence{time_axis=1, batch_axis=0} f32[2,3]={1,2,3,4,5,6} i64[2]={2,3}",
     .expect = "f32[2,3]={2,1,3,6,5,4}"},
    {.problem = "ReverseSequence i8[3,2]={1,2,3,4,5,6} i64[2]={3,1}",
     .expect = "i8[3,2]={5,2,3,4,1,6}"},
    {.problem = "ReverseSequence f32[7,3,4] i64[3]={0,7,5}"},
    {0},
};

const tn_op tn_op_reverse_sequence = {
    .name = "ReverseSequence",
    .since = 10,
    .about = "the first sequence_lens[b] steps of each batch backward",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_reverse_sequence_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
