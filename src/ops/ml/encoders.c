/* OneHotEncoder: a new last axis with a 1 at the place of the element's category.
 * FeatureVectorizer: the columns of all inputs side by side, as f32. */
#include <string.h>

#include "ops/ml/ml.h"

/* ---- OneHotEncoder ----------------------------------------------------------------------------*/

static const tn_field one_hot_fields[] = {TN_INT(tn_ml_one_hot_params, zeros, 1)};
static const tn_port one_hot_ins[] = {
    {"X", TN_ML_NUMBERS | TN_DT(STRING), 0, 0},
    {"categories", TN_DT(I64) | TN_DT(STRING), 0, 0},
};
static const tn_port float_outs[] = {{"Y", TN_DT(F32), 0, 0}};

static tn_status infer_one_hot(tn_infer *f)
{
    const tn_type *x = &f->in[0], *categories = &f->in[1];
    tn_expr dim[TN_RANK_MAX];
    TN_CHECK((x->dtype == TN_DTYPE_STRING) == (categories->dtype == TN_DTYPE_STRING), TN_INVALID,
             "X is %s, the categories are %s", tn_dtype_name(x->dtype),
             tn_dtype_name(categories->dtype));
    TN_CHECK(categories->rank == 1 && x->rank < TN_RANK_MAX, TN_INVALID,
             "the categories must be a list and X have at most %d axes", TN_RANK_MAX - 1);
    for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
    if (x->rank >= 0) dim[x->rank] = categories->dim[0];
    tn_infer_set(f, 0, TN_DTYPE_F32, x->rank < 0 ? -1 : x->rank + 1, dim);
    return NULL;
}

/* Numbers are cut to integers first. */
static bool is_category(const tn_tensor *x, int64_t at, const tn_tensor *categories, int64_t k)
{
    if (x->dtype != TN_DTYPE_STRING) {
        int64_t value;
        if (tn_dtype_kind_of(x->dtype) == TN_KIND_I) value = tn_load_i64(x->dtype, x->data, at);
        else tn_store_f64(TN_DTYPE_I64, &value, 0, tn_load_f64(x->dtype, x->data, at));
        return value == tn_load_i64(TN_DTYPE_I64, categories->data, k);
    }
    const tn_string *a = (const tn_string *)x->data + at,
                    *b = (const tn_string *)categories->data + k;
    return a->bytes == b->bytes && (a->bytes == 0 || !memcmp(a->text, b->text, a->bytes));
}

static tn_status reference_one_hot(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_ml_one_hot_params *params = p->params;
    const tn_tensor *x = &p->in[0], *categories = &p->in[1];
    int64_t count = tn_tensor_count(categories);
    float *y = p->out[0].data;
    for (int64_t i = 0; i < tn_tensor_count(x); i++) {
        bool found = false;
        for (int64_t k = 0; k < count; k++) {
            bool hit = !found && is_category(x, i, categories, k);
            y[i * count + k] = hit;
            found = found || hit;
        }
        TN_CHECK(found || params->zeros, TN_INVALID, "element %lld is none of the %lld categories",
                 (long long)i, (long long)count);
    }
    return NULL;
}

static tn_status upgrade_one_hot(tn_graph *graph, tn_node *node)
{
    tn_tensor strings;
    TN_TRY(tn_table_find(node, "cats_strings", &strings));
    TN_TRY(tn_table_move(graph, node, strings.dtype ? "cats_strings" : "cats_int64s", 1));
    tn_table_drop(node, "cats_strings|cats_int64s");
    return NULL;
}

static tn_status restore_one_hot(tn_node *node)
{
    return tn_table_restore(node, 1, "cats_int64s", NULL, "cats_strings");
}

/* ---- FeatureVectorizer ------------------------------------------------------------------------*/

static const tn_port vectorizer_ins[] = {{"X", TN_ML_NUMBERS, 'T', TN_PORT_VARIADIC}};

/* [rows, columns] of one input: one axis is one row. */
static void shape_of(const tn_tensor *x, int64_t *rows, int64_t *columns)
{
    *rows = x->rank == 2 ? x->dim[0] : 1;
    *columns = x->rank > 0 ? x->dim[x->rank - 1] : 1;
}

static tn_status infer_vectorizer(tn_infer *f)
{
    tn_expr dim[2] = {TN_EXPR_NONE, tn_expr_const(f->exprs, 0)};
    char text[128];
    for (int i = 0; i < f->in_count; i++) {
        const tn_type *x = &f->in[i];
        TN_CHECK(x->rank <= 2 && x->rank != 0, TN_INVALID,
                 "input %d must have one axis or two: it is %s", i,
                 tn_type_text(f->exprs, x, text, sizeof text));
        tn_expr rows = x->rank == 2   ? x->dim[0]
                       : x->rank == 1 ? tn_expr_const(f->exprs, 1)
                                      : TN_EXPR_NONE;
        int64_t a, b;
        TN_CHECK(!tn_expr_is_const(f->exprs, rows, &a) || !tn_expr_is_const(f->exprs, dim[0], &b) ||
                     a == b,
                 TN_INVALID, "input %d has %lld rows, another has %lld", i, (long long)a,
                 (long long)b);
        if (!dim[0] || tn_expr_is_const(f->exprs, rows, &a)) dim[0] = rows;
        dim[1] = tn_expr_add(f->exprs, dim[1], x->rank > 0 ? x->dim[x->rank - 1] : TN_EXPR_NONE);
    }
    for (int i = 0; i < 2; i++)
        if (!dim[i]) dim[i] = tn_infer_fresh(f);
    tn_infer_set(f, 0, TN_DTYPE_F32, 2, dim);
    return NULL;
}

static tn_status reference_vectorizer(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    int64_t at = 0, rows, columns;
    for (int i = 0; i < p->in_count; i++, at += columns) {
        shape_of(&p->in[i], &rows, &columns);
        TN_CHECK(rows == y->dim[0] && columns <= y->dim[1] - at, TN_INVALID,
                 "input %d has %lld rows of %lld columns", i, (long long)rows, (long long)columns);
        for (int64_t row = 0; row < rows; row++)
            tn_convert_elements(y->dtype, y->data, row * y->dim[1] + at, p->in[i].dtype,
                                p->in[i].data, row * columns, columns);
    }
    return NULL;
}

/* inputdimensions repeats the inputs' columns; to cut or fill them is not what models do. */
static tn_status upgrade_vectorizer(tn_graph *graph, tn_node *node)
{
    const int64_t *columns;
    int64_t count, have;
    TN_TRY(tn_table_ints(node, "inputdimensions", &columns, &count));
    for (int i = 0; i < node->in_count && i < count; i++) {
        const tn_type *x = node->in[i] ? &node->in[i]->type : NULL;
        if (!x || x->rank < 1 || !tn_expr_is_const(graph->exprs, x->dim[x->rank - 1], &have))
            continue;
        TN_CHECK(have == columns[i], TN_UNSUPPORTED,
                 "input %d has %lld columns, inputdimensions says %lld", i, (long long)have,
                 (long long)columns[i]);
    }
    tn_node_remove_attr(node, "inputdimensions");
    return NULL;
}

/* What inputdimensions says is in the shapes, where those are known; readers may ask for it. */
static tn_status restore_vectorizer(tn_node *node)
{
    int64_t *columns = TN_NEW_ARRAY(node->graph->arena, int64_t, node->in_count);
    TN_CHECK(columns, TN_OUT_OF_MEMORY, "no memory for an attribute");
    for (int i = 0; i < node->in_count; i++) {
        const tn_type *x = &node->in[i]->type;
        if (x->rank < 1 || !tn_expr_is_const(node->graph->exprs, x->dim[x->rank - 1], &columns[i]))
            return NULL;
    }
    const tn_attr attr = {
        .name = "inputdimensions", .kind = TN_ATTR_INTS, .count = node->in_count, .ints = columns};
    return tn_node_set_attr(node, &attr);
}

/* ---- Operators --------------------------------------------------------------------------------*/

static const tn_case one_hot_cases[] = {
    {.problem = "OneHotEncoder i32[2]={7,5} i64[3]={5,6,7}", .expect = "f32[2,3]={0,0,1,1,0,0}"},
    {.problem = "OneHotEncoder string[1,2]={\"b\",\"x\"} string[2]={\"a\",\"b\"}",
     .expect = "f32[1,2,2]={0,1,0,0}"},
    {.problem = "OneHotEncoder f32[2,3] i64[4]={0,1,2,3}", .lo = 0, .hi = 5},
    {0},
};
static const tn_case vectorizer_cases[] = {
    {.problem = "FeatureVectorizer i64[2,2]={1,2,3,4} i64[2,1]={5,6}",
     .expect = "f32[2,3]={1,2,5,3,4,6}"},
    {.problem = "FeatureVectorizer f64[3] f64[1,4]"},
    {0},
};

const tn_op tn_op_one_hot_encoder = {
    .name = "OneHotEncoder",
    .domain = TN_ML,
    .since = 1,
    .about = "a new last axis with a 1 at the place of the element's category",
    .in = one_hot_ins,
    .in_count = TN_COUNT(one_hot_ins),
    .out = float_outs,
    .out_count = TN_COUNT(float_outs),
    .field = one_hot_fields,
    .field_count = TN_COUNT(one_hot_fields),
    .params_bytes = sizeof(tn_ml_one_hot_params),
    .infer = infer_one_hot,
    .reference = reference_one_hot,
    .upgrade = {{TN_OPSET_EVERY, upgrade_one_hot}},
    .restore = restore_one_hot,
    .cases = one_hot_cases,
};

const tn_op tn_op_feature_vectorizer = {
    .name = "FeatureVectorizer",
    .domain = TN_ML,
    .since = 1,
    .about = "the columns of all inputs side by side, as f32",
    .in = vectorizer_ins,
    .in_count = TN_COUNT(vectorizer_ins),
    .out = float_outs,
    .out_count = TN_COUNT(float_outs),
    .infer = infer_vectorizer,
    .reference = reference_vectorizer,
    .upgrade = {{TN_OPSET_EVERY, upgrade_vectorizer}},
    .restore = restore_vectorizer,
    .cases = vectorizer_cases,
};
