/* EmbeddingNorm, of the domain "tenon": rows of up to three tables, summed and normalised.
 *
 *     X = table0[ids0] + table1[ids1] + table2[ids2]
 *     Y = (X - mean) / sqrt(variance + epsilon) * scale + shift      over the last axis
 *
 * Tables are [V, C], Y is [ids0's axes, C]. The other ids have the last axes of ids0, ones before
 * them aside; a table without ids takes the numbers 0, 1, 2 ... along the last axis. A pass makes
 * it of the Gathers, sums and the LayerNormalization that a transformer for text begins with. */
#include "ops/embedding_norm/embedding_norm.h"

#include <math.h>

#include "ir/op.h"
#include "ops/moving.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_FLOAT(tn_embedding_norm_params, epsilon, 1e-5)};
static const tn_port ins[] = {
    {"scale", TN_DTS_FLOAT, 'T', 0},
    {"shift", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"table0", TN_DTS_FLOAT, 'T', 0},
    {"ids0", TN_DTS_INDEX, 0, 0},
    {"table1", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"ids1", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
    {"table2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"ids2", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

/* ---- Types ------------------------------------------------------------------------------------*/

/* From the last axis on they are those of ids0, until only ones are left. */
static tn_status check_ids(tn_infer *f, int input)
{
    const tn_type *first = &f->in[TN_EN_IDS], *t = &f->in[input];
    int extra = first->rank - t->rank, begin = 0;
    if (t->rank < 0 || first->rank < 0) return NULL;
    TN_CHECK(extra >= 0, TN_INVALID, "%s has more axes than ids0", ins[input].name);
    while (begin < t->rank && tn_expr_equals(f->exprs, t->dim[begin], 1)) begin++;
    for (int i = begin; i < t->rank; i++) TN_TRY(tn_infer_size(f, input, i, first->dim[extra + i]));
    return NULL;
}

static tn_status check_table(tn_infer *f, int input)
{
    const tn_type *table = &f->in[input], *first = &f->in[TN_EN_IDS];
    char text[128];
    int64_t have, want;
    TN_CHECK(table->rank < 0 || table->rank == 2, TN_INVALID, "%s must have 2 axes, it is %s",
             ins[input].name, tn_type_text(f->exprs, table, text, sizeof text));
    if (f->in[TN_EN_SCALE].rank == 1) TN_TRY(tn_infer_size(f, input, 1, f->in[TN_EN_SCALE].dim[0]));
    if (tn_infer_has(f, input + 1)) return check_ids(f, input + 1);
    if (table->rank < 0 || first->rank < 0) return NULL;
    TN_CHECK(first->rank > 0, TN_INVALID, "ids0 is a scalar, along which nothing counts");
    if (tn_expr_is_const(f->exprs, table->dim[0], &have) &&
        tn_expr_is_const(f->exprs, first->dim[first->rank - 1], &want))
        TN_CHECK(want <= have, TN_INVALID, "there are %lld places, and rows for %lld in %s",
                 (long long)want, (long long)have, ins[input].name);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *scale = &f->in[TN_EN_SCALE], *ids = &f->in[TN_EN_IDS];
    tn_expr dim[TN_RANK_MAX];
    for (int i = TN_EN_SCALE; i <= TN_EN_SHIFT; i++)
        TN_CHECK(!tn_infer_has(f, i) || f->in[i].rank < 0 || f->in[i].rank == 1, TN_INVALID,
                 "%s must have 1 axis", ins[i].name);
    if (scale->rank == 1) TN_TRY(tn_infer_size(f, TN_EN_SHIFT, 0, scale->dim[0]));
    for (int i = TN_EN_TABLE; i < f->in_count; i += 2) {
        if (tn_infer_has(f, i)) TN_TRY(check_table(f, i));
        else TN_CHECK(!tn_infer_has(f, i + 1), TN_INVALID, "%s has no table", ins[i + 1].name);
    }
    if (ids->rank < 0 || scale->rank < 0) {
        tn_infer_set(f, 0, scale->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(ids->rank < TN_RANK_MAX, TN_UNSUPPORTED, "ids0 has %d axes", ids->rank);
    for (int i = 0; i < ids->rank; i++) dim[i] = ids->dim[i];
    dim[ids->rank] = scale->dim[0];
    tn_infer_set(f, 0, scale->dtype, ids->rank + 1, dim);
    return NULL;
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

void tn_embedding_norm_shape_of(const tn_problem *p, tn_embedding_norm_shape *out)
{
    const tn_tensor *ids = &p->in[TN_EN_IDS];
    int64_t last = ids->rank > 0 ? ids->dim[ids->rank - 1] : 1;
    *out =
        (tn_embedding_norm_shape){.rows = tn_tensor_count(ids), .width = p->in[TN_EN_SCALE].dim[0]};
    for (int i = TN_EN_TABLE; i < p->in_count; i += 2) {
        if (!tn_wide_has(p, i)) continue;
        const tn_tensor *own = tn_wide_has(p, i + 1) ? &p->in[i + 1] : NULL;
        out->table[out->tables++] =
            (tn_embedding_table){.rows = &p->in[i],
                                 .ids = own,
                                 .count = p->in[i].dim[0],
                                 .period = own ? tn_tensor_count(own) : last};
    }
}

tn_status tn_embedding_row(const tn_embedding_table *table, int64_t r, int64_t *out)
{
    *out = r % table->period;
    if (!table->ids) return NULL;
    return tn_index_load(table->ids, *out, table->count, 0, out);
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t row = tn_wide_bytes(p->in[TN_EN_SCALE].dim[0]);
    return tn_wide_add(tn_wide_add(row, row), tn_wide_add(row, row));
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_embedding_norm_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    void *scratch = l->scratch;
    tn_embedding_norm_shape s;
    tn_embedding_norm_shape_of(p, &s);
    double *sum = tn_wide_take(&scratch, s.width), *row = tn_wide_take(&scratch, s.width);
    const double *scale = tn_wide_load(&scratch, &p->in[TN_EN_SCALE]);
    const double *shift = tn_wide_load(&scratch, &p->in[TN_EN_SHIFT]);
    double mean = 0, variance = 0;
    int64_t at;
    for (int64_t r = 0; r < s.rows; r++) {
        for (int64_t c = 0; c < s.width; c++) sum[c] = 0;
        for (int t = 0; t < s.tables; t++) {
            TN_TRY(tn_embedding_row(&s.table[t], r, &at));
            tn_load_f64s(y->dtype, s.table[t].rows->data, at * s.width, s.width, row);
            for (int64_t c = 0; c < s.width; c++) sum[c] += row[c];
        }
        if (s.width) tn_norm_moments(sum, s.width, &mean, &variance);
        for (int64_t c = 0; c < s.width; c++) {
            sum[c] = (sum[c] - mean) / sqrt(variance + params->epsilon) * scale[c];
            if (shift) sum[c] += shift[c];
        }
        tn_store_f64s(y->dtype, y->data, r * s.width, s.width, sum);
    }
    return NULL;
}

extern const tn_case tn_embedding_norm_cases[];

const tn_op tn_op_embedding_norm = {
    .name = "EmbeddingNorm",
    .domain = "tenon",
    .since = 1,
    .about = "y = norm(table0[ids0] + table1[ids1] + ...), norm over the last axis",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_embedding_norm_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_embedding_norm_cases,
};
