/* Operators on features, element by element or row by row:
 *
 *     ArrayFeatureExtractor  columns of X by number
 *     Binarizer              x > threshold
 *     Scaler                 (x - offset) * scale, one for all or one for each column
 *     Normalizer             x / max |x|, x / sum |x| or x / sqrt(sum x^2) of its row; x where that
 * is 0 Imputer                x, or another value where x is the one to replace */
#include <math.h>
#include <string.h>

#include "ops/ml/ml.h"
#include "ops/wide/wide.h"

/* ---- ArrayFeatureExtractor --------------------------------------------------------------------*/

#define EXTRACTED (TN_ML_NUMBERS | TN_DT(STRING))
static const tn_port extractor_ins[] = {{"X", EXTRACTED, 'T', 0}, {"Y", TN_DT(I64), 0, 0}};
static const tn_port extractor_outs[] = {{"Z", EXTRACTED, 'T', 0}};

static tn_status infer_extractor(tn_infer *f)
{
    const tn_type *x = &f->in[0], *indices = &f->in[1];
    tn_expr dim[TN_RANK_MAX], count = tn_expr_const(f->exprs, 1);
    char text[128];
    if (x->rank < 0 || indices->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(x->rank >= 1, TN_INVALID, "X must have an axis: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    for (int i = 0; i < indices->rank; i++) count = tn_expr_mul(f->exprs, count, indices->dim[i]);
    int rank = TN_MAX(x->rank, 2);
    dim[0] = tn_expr_const(f->exprs, 1);
    for (int i = 0; i + 1 < x->rank; i++) dim[i] = x->dim[i];
    dim[rank - 1] = count;
    tn_infer_set(f, 0, x->dtype, rank, dim);
    return NULL;
}

static tn_status reference_extractor(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *indices = &l->problem->in[1],
                    *z = &l->problem->out[0];
    int64_t columns = x->dim[x->rank - 1], count = tn_tensor_count(indices);
    int64_t rows = tn_dims_product(x->dim, 0, x->rank - 1);
    for (int64_t k = 0; k < count; k++) {
        int64_t column = tn_load_i64(indices->dtype, indices->data, k);
        TN_CHECK(column >= 0 && column < columns, TN_INVALID, "column %lld is outside [0, %lld)",
                 (long long)column, (long long)columns);
        for (int64_t row = 0; row < rows; row++)
            tn_copy_elements(x->dtype, z->data, row * count + k, x->data, row * columns + column,
                             1);
    }
    return NULL;
}

/* ---- Binarizer --------------------------------------------------------------------------------*/

static const tn_field binarizer_fields[] = {TN_FLOAT(tn_ml_threshold_params, threshold, 0)};
static const tn_port same_ins[] = {{"X", TN_ML_NUMBERS, 'T', 0}};
static const tn_port same_outs[] = {{"Y", TN_ML_NUMBERS, 'T', 0}};

static tn_status infer_same(tn_infer *f)
{
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status reference_binarizer(const tn_launch *l)
{
    const tn_ml_threshold_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    for (int64_t i = 0; i < tn_tensor_count(x); i++)
        tn_store_f64(y->dtype, y->data, i, tn_load_f64(x->dtype, x->data, i) > params->threshold);
    return NULL;
}

/* ---- Scaler -----------------------------------------------------------------------------------*/

static const tn_port scaler_ins[] = {
    {"X", TN_ML_NUMBERS, 0, 0},
    {"offset", TN_DT(F32), 0, TN_PORT_OPTIONAL},
    {"scale", TN_DT(F32), 0, TN_PORT_OPTIONAL},
};
static const tn_port float_outs[] = {{"Y", TN_DT(F32), 0, 0}};

static tn_status infer_float(tn_infer *f)
{
    tn_infer_set(f, 0, TN_DTYPE_F32, f->in[0].rank, f->in[0].dim);
    return NULL;
}

/* Of the column that element i is in; a table of one is for all. */
static double by_column(const tn_tensor *table, int64_t i)
{
    return tn_load_f64(table->dtype, table->data, i % tn_tensor_count(table));
}

static tn_status check_columns(const tn_problem *p, int input)
{
    const tn_tensor *x = &p->in[0];
    int64_t columns = x->rank > 0 ? x->dim[x->rank - 1] : 1;
    if (!tn_wide_has(p, input)) return NULL;
    int64_t count = tn_tensor_count(&p->in[input]);
    TN_CHECK(count == 1 || count == columns, TN_INVALID, "there are %lld values for %lld columns",
             (long long)count, (long long)columns);
    return NULL;
}

static tn_status reference_scaler(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    if (tn_tensor_count(x) == 0) return NULL;
    TN_TRY(check_columns(p, 1));
    TN_TRY(check_columns(p, 2));
    for (int64_t i = 0; i < tn_tensor_count(x); i++) {
        double value = tn_load_f64(x->dtype, x->data, i);
        if (tn_wide_has(p, 1)) value -= by_column(&p->in[1], i);
        if (tn_wide_has(p, 2)) value *= by_column(&p->in[2], i);
        tn_store_f64(y->dtype, y->data, i, value);
    }
    return NULL;
}

static tn_status upgrade_scaler(tn_graph *graph, tn_node *node)
{
    TN_TRY(tn_table_move(graph, node, "offset", 1));
    return tn_table_move(graph, node, "scale", 2);
}

/* ---- Normalizer -------------------------------------------------------------------------------*/

enum { NORM_MAX, NORM_L1, NORM_L2 };
static const tn_field normalizer_fields[] = {
    TN_ENUM(tn_ml_norm_params, norm, NORM_MAX, "MAX|L1|L2")};

static tn_status reference_normalizer(const tn_launch *l)
{
    const tn_ml_norm_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t columns = x->rank > 0 ? x->dim[x->rank - 1] : 1, total = tn_tensor_count(x);
    for (int64_t row = 0; columns > 0 && row < total; row += columns) {
        double size = 0;
        for (int64_t i = row; i < row + columns; i++) {
            double value = fabs(tn_load_f64(x->dtype, x->data, i));
            if (params->norm == NORM_MAX) size = fmax(size, value);
            else size += params->norm == NORM_L1 ? value : value * value;
        }
        if (params->norm == NORM_L2) size = sqrt(size);
        for (int64_t i = row; i < row + columns; i++) {
            double value = tn_load_f64(x->dtype, x->data, i);
            tn_store_f64(y->dtype, y->data, i, size > 0 ? value / size : value);
        }
    }
    return NULL;
}

/* ---- Imputer ----------------------------------------------------------------------------------*/

static const tn_port imputer_ins[] = {
    {"X", TN_ML_NUMBERS, 'T', 0},
    {"imputed", TN_DT(F32) | TN_DT(I64), 0, 0},
    {"replaced", TN_DT(F32) | TN_DT(I64), 0, 0},
};

static tn_status reference_imputer(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *imputed = &p->in[1], *y = &p->out[0];
    bool whole = tn_dtype_kind_of(x->dtype) == TN_KIND_I;
    TN_CHECK(tn_tensor_count(&p->in[2]) == 1, TN_INVALID, "one value is replaced, not %lld",
             (long long)tn_tensor_count(&p->in[2]));
    double replaced = tn_load_f64(p->in[2].dtype, p->in[2].data, 0);
    int64_t replaced_int = tn_load_i64(p->in[2].dtype, p->in[2].data, 0);
    if (tn_tensor_count(x) == 0) return NULL;
    TN_TRY(check_columns(p, 1));
    for (int64_t i = 0; i < tn_tensor_count(x); i++) {
        double value = tn_load_f64(x->dtype, x->data, i);
        bool hit = value == replaced || (isnan(value) && isnan(replaced));
        if (whole) hit = tn_load_i64(x->dtype, x->data, i) == replaced_int;
        if (!hit) tn_copy_elements(x->dtype, y->data, i, x->data, i, 1);
        else if (whole)
            tn_store_i64(y->dtype, y->data, i,
                         tn_load_i64(imputed->dtype, imputed->data, i % tn_tensor_count(imputed)));
        else tn_store_f64(y->dtype, y->data, i, by_column(imputed, i));
    }
    return NULL;
}

/* Whole numbers and others have attributes of their own. */
static tn_status upgrade_imputer(tn_graph *graph, tn_node *node)
{
    bool whole =
        node->in_count > 0 && node->in[0] && tn_dtype_kind_of(node->in[0]->type.dtype) == TN_KIND_I;
    tn_value *replaced;
    TN_TRY(tn_table_move(graph, node, whole ? "imputed_value_int64s" : "imputed_value_floats", 1));
    if (whole) {
        int64_t value = tn_node_int_attr(node, "replaced_value_int64", 0);
        TN_TRY(tn_graph_add_ints(graph, &value, 1, &replaced));
    } else {
        double value = tn_node_float_attr(node, "replaced_value_float", 0);
        TN_TRY(tn_graph_add_scalar(graph, TN_DTYPE_F32, value, &replaced));
    }
    TN_TRY(tn_node_set_input(node, 2, replaced));
    tn_table_drop(
        node,
        "imputed_value_int64s|imputed_value_floats|replaced_value_int64|replaced_value_float");
    return NULL;
}

static tn_status restore_scaler(tn_node *node)
{
    TN_TRY(tn_table_restore(node, 1, NULL, "offset", NULL));
    return tn_table_restore(node, 2, NULL, "scale", NULL);
}

static tn_status restore_imputer(tn_node *node)
{
    const tn_value *replaced = node->in_count > 2 ? node->in[2] : NULL;
    TN_TRY(tn_table_restore(node, 1, "imputed_value_int64s", "imputed_value_floats", NULL));
    if (!replaced) return NULL;
    TN_CHECK(tn_value_is_constant(replaced) && tn_tensor_count(&replaced->constant) == 1,
             TN_UNSUPPORTED, "what it replaces is no constant of one element");
    const tn_tensor *t = &replaced->constant;
    bool whole = t->dtype == TN_DTYPE_I64;
    tn_attr attr = {.name = whole ? "replaced_value_int64" : "replaced_value_float",
                    .kind = whole ? TN_ATTR_INT : TN_ATTR_FLOAT};
    if (whole) attr.i = tn_load_i64(t->dtype, t->data, 0);
    else attr.f = tn_load_f64(t->dtype, t->data, 0);
    TN_TRY(tn_node_set_attr(node, &attr));
    return tn_node_set_input(node, 2, NULL);
}

/* ---- Operators --------------------------------------------------------------------------------*/

static const tn_case extractor_cases[] = {
    {.problem = "ArrayFeatureExtractor f32[2,3]={1,2,3,4,5,6} i64[2]={2,0}",
     .expect = "f32[2,2]={3,1,6,4}"},
    {.problem = "ArrayFeatureExtractor i64[3]={7,8,9} i64[1,2]={1,1}", .expect = "i64[1,2]={8,8}"},
    {.problem = "ArrayFeatureExtractor f64[4,11] i64[5]"},
    {0},
};
static const tn_case binarizer_cases[] = {
    {.problem = "Binarizer{threshold=1} f32[4]={0.5,1,1.5,nan}", .expect = "f32[4]={0,0,1,0}"},
    {.problem = "Binarizer i64[2,5]"},
    {0},
};
static const tn_case scaler_cases[] = {
    {.problem = "Scaler i32[2,2]={1,2,3,4} f32[2]={1,0} f32[2]={10,100}",
     .expect = "f32[2,2]={0,200,20,400}"},
    {.problem = "Scaler f64[5,3] f32[1] f32[1]"},
    {0},
};
static const tn_case normalizer_cases[] = {
    {.problem = "Normalizer f32[2,2]={1,-2,0,0}", .expect = "f32[2,2]={0.5,-1,0,0}"},
    {.problem = "Normalizer{norm=L1} i64[1,2]={1,-3}", .expect = "f32[1,2]={0.25,-0.75}"},
    {.problem = "Normalizer{norm=L2} f32[2]={3,4}", .expect = "f32[2]={0.6,0.8}"},
    {.problem = "Normalizer{norm=L2} f64[3,7]"},
    {0},
};
static const tn_case imputer_cases[] = {
    {.problem = "Imputer f32[2,2]={nan,1,2,nan} f32[2]={5,6} f32={nan}",
     .expect = "f32[2,2]={5,1,2,6}"},
    {.problem = "Imputer i64[3]={0,-1,0} i64[1]={9} i64[1]={0}", .expect = "i64[3]={9,-1,9}"},
    {0},
};

const tn_op tn_op_array_feature_extractor = {
    .name = "ArrayFeatureExtractor",
    .domain = TN_ML,
    .since = 1,
    .about = "columns of X by number",
    .in = extractor_ins,
    .in_count = TN_COUNT(extractor_ins),
    .out = extractor_outs,
    .out_count = TN_COUNT(extractor_outs),
    .infer = infer_extractor,
    .reference = reference_extractor,
    .cases = extractor_cases,
};

const tn_op tn_op_binarizer = {
    .name = "Binarizer",
    .domain = TN_ML,
    .since = 1,
    .about = "1 where x > threshold, else 0",
    .in = same_ins,
    .in_count = TN_COUNT(same_ins),
    .out = same_outs,
    .out_count = TN_COUNT(same_outs),
    .field = binarizer_fields,
    .field_count = TN_COUNT(binarizer_fields),
    .params_bytes = sizeof(tn_ml_threshold_params),
    .infer = infer_same,
    .reference = reference_binarizer,
    .cases = binarizer_cases,
};

const tn_op tn_op_scaler = {
    .name = "Scaler",
    .domain = TN_ML,
    .since = 1,
    .about = "(x - offset) * scale, by column",
    .in = scaler_ins,
    .in_count = TN_COUNT(scaler_ins),
    .out = float_outs,
    .out_count = TN_COUNT(float_outs),
    .infer = infer_float,
    .reference = reference_scaler,
    .upgrade = {{TN_OPSET_EVERY, upgrade_scaler}},
    .restore = restore_scaler,
    .cases = scaler_cases,
};

const tn_op tn_op_normalizer = {
    .name = "Normalizer",
    .domain = TN_ML,
    .since = 1,
    .about = "x divided by the largest, the sum or the length of its row",
    .in = same_ins,
    .in_count = TN_COUNT(same_ins),
    .out = float_outs,
    .out_count = TN_COUNT(float_outs),
    .field = normalizer_fields,
    .field_count = TN_COUNT(normalizer_fields),
    .params_bytes = sizeof(tn_ml_norm_params),
    .infer = infer_float,
    .reference = reference_normalizer,
    .cases = normalizer_cases,
};

const tn_op tn_op_imputer = {
    .name = "Imputer",
    .domain = TN_ML,
    .since = 1,
    .about = "one value replaced by another, by column",
    .in = imputer_ins,
    .in_count = TN_COUNT(imputer_ins),
    .out = same_outs,
    .out_count = TN_COUNT(same_outs),
    .infer = infer_same,
    .reference = reference_imputer,
    .upgrade = {{TN_OPSET_EVERY, upgrade_imputer}},
    .restore = restore_imputer,
    .cases = imputer_cases,
};
