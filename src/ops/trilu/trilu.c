/* Trilu: the upper or lower triangle of the matrices in the last two axes; zeros elsewhere. */
#include "ops/trilu/trilu.h"

#include <string.h>

#include "ir/op.h"

#define TYPES (TN_DTS_NUMBER | TN_DTS_COMPLEX | TN_DT(BOOL) | TN_DT(STRING))
static const tn_field fields[] = {TN_INT(tn_trilu_params, upper, 1)};
static const tn_port ins[] = {{"input", TYPES, 'T', 0}, {"k", TN_DT(I64), 0, TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"output", TYPES, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    TN_CHECK(f->in[0].rank < 0 || f->in[0].rank >= 2, TN_INVALID,
             "the input has rank %d, at least 2 is needed", f->in[0].rank);
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_trilu_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    const tn_tensor *k_in = l->problem->in_count > 1 ? &l->problem->in[1] : NULL;
    bool given = k_in && k_in->dtype != TN_DTYPE_NONE && tn_tensor_count(k_in) > 0;
    int64_t k = given ? tn_load_i64(k_in->dtype, k_in->data, 0) : 0;
    int64_t columns = x->dim[x->rank - 1], rows = x->dim[x->rank - 2];
    int64_t bytes = tn_tensor_bytes(y);
    if (bytes <= 0) return NULL;
    memset(y->data, 0, (size_t)bytes);
    for (int64_t row = 0; row < tn_tensor_count(x) / columns; row++) {
        /* The first column on or right of the diagonal, within the row; k may be any number. */
        int64_t low = -(row % rows), high = columns - row % rows;
        int64_t split = (k < low ? low : k > high ? high : k) - low;
        int64_t begin = params->upper ? split : 0, end = split + 1;
        if (k < low) end = 0;
        if (params->upper || end > columns) end = columns;
        if (end > begin)
            tn_copy_elements(x->dtype, y->data, row * columns + begin, x->data,
                             row * columns + begin, end - begin);
    }
    return NULL;
}

extern const tn_case tn_trilu_cases[];

const tn_op tn_op_trilu = {
    .name = "Trilu",
    .since = 14,
    .about = "upper or lower triangle of the matrices in the last two axes",
    .in = ins,
    .in_count = 2,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_trilu_params),
    .infer = infer,
    .reference = reference,
    .cases = tn_trilu_cases,
};
