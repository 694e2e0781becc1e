/* LinearRegressor and LinearClassifier: X times coefficients [targets, features] transposed, plus
 * intercepts, then the transform. The classifier gives the label of the best class too; with one
 * row of coefficients for two classes its score is that of the second, and the first has its
 * negative. With one class or none the label tells whether the score is above 0 (0.5 after a
 * transform). */
#include "ops/ml/ml.h"

#include "ops/wide/wide.h"

enum { X, COEFFICIENTS, INTERCEPTS, LABELS };

static const tn_field regressor_fields[] = {
    TN_ENUM(tn_ml_linear_params, post_transform, TN_ML_NONE, TN_ML_TRANSFORMS),
    TN_INT(tn_ml_linear_params, targets, 1),
};
static const tn_field classifier_fields[] = {
    TN_ENUM(tn_ml_linear_params, post_transform, TN_ML_NONE, TN_ML_TRANSFORMS),
    TN_INT(tn_ml_linear_params, multi_class, 0),
};
static const tn_port regressor_ins[] = {
    {"X", TN_ML_NUMBERS, 0, 0},
    {"coefficients", TN_DT(F32), 0, 0},
    {"intercepts", TN_DT(F32), 0, TN_PORT_OPTIONAL},
};
static const tn_port regressor_outs[] = {{"Y", TN_DT(F32), 0, 0}};
static const tn_port classifier_ins[] = {
    {"X", TN_ML_NUMBERS, 0, 0},
    {"coefficients", TN_DT(F32), 0, 0},
    {"intercepts", TN_DT(F32), 0, TN_PORT_OPTIONAL},
    {"labels", TN_DT(I64) | TN_DT(STRING), 'L', 0},
};
static const tn_port classifier_outs[] = {{"Y", TN_DT(I64) | TN_DT(STRING), 'L', 0},
                                          {"Z", TN_DT(F32), 0, 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_ml_linear_params *params = params_out;
    (void)node;
    TN_CHECK(params->targets >= 1 && params->targets <= INT32_MAX, TN_INVALID, "targets is %lld",
             (long long)params->targets);
    return NULL;
}

/* X is [rows, features]; a single row may come without its axis. */
static tn_status rows_of(tn_infer *f, tn_expr *rows)
{
    const tn_type *x = &f->in[X];
    char text[128];
    TN_CHECK(x->rank <= 2 && x->rank != 0, TN_INVALID, "X must be [rows, features]: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    *rows = x->rank == 2   ? x->dim[0]
            : x->rank == 1 ? tn_expr_const(f->exprs, 1)
                           : tn_infer_fresh(f);
    return NULL;
}

static tn_status infer_regressor(tn_infer *f)
{
    const tn_ml_linear_params *params = f->params;
    tn_expr dim[2] = {TN_EXPR_NONE, tn_expr_const(f->exprs, params->targets)};
    TN_TRY(rows_of(f, &dim[0]));
    tn_infer_set(f, 0, TN_DTYPE_F32, 2, dim);
    return NULL;
}

/* As many scores as rows of coefficients; two for a pair of classes. */
static tn_status infer_classifier(tn_infer *f)
{
    const tn_type *x = &f->in[X];
    tn_expr dim[2], features = x->rank > 0 ? x->dim[x->rank - 1] : TN_EXPR_NONE;
    int64_t coefficients = tn_infer_length(f, COEFFICIENTS), classes = tn_infer_length(f, LABELS),
            columns, rows;
    TN_TRY(rows_of(f, &dim[0]));
    dim[1] = TN_EXPR_NONE;
    TN_CHECK(classes >= 1, TN_INVALID, "there are no class labels");
    if (coefficients >= 0 && tn_expr_is_const(f->exprs, features, &columns)) {
        TN_CHECK(columns > 0 && coefficients % columns == 0, TN_INVALID,
                 "there are %lld coefficients for %lld features", (long long)coefficients,
                 (long long)columns);
        rows = coefficients / columns;
        TN_CHECK(rows == classes || rows == 1, TN_INVALID,
                 "coefficients of %lld classes have %lld labels", (long long)rows,
                 (long long)classes);
        dim[1] = tn_expr_const(f->exprs, rows == 1 && classes == 2 ? 2 : rows);
    } else if (classes == 2) {
        dim[1] = tn_expr_const(f->exprs, 2);
    }
    if (!dim[1]) dim[1] = tn_infer_fresh(f);
    tn_infer_set(f, 0, f->in[LABELS].dtype, 1, dim);
    tn_infer_set(f, 1, TN_DTYPE_F32, 2, dim);
    return NULL;
}

static tn_status check_sizes(const tn_problem *p, int64_t features, int64_t targets)
{
    TN_CHECK(tn_tensor_count(&p->in[COEFFICIENTS]) == targets * features, TN_INVALID,
             "there are %lld coefficients for %lld targets of %lld features",
             (long long)tn_tensor_count(&p->in[COEFFICIENTS]), (long long)targets,
             (long long)features);
    TN_CHECK(!tn_wide_has(p, INTERCEPTS) || tn_tensor_count(&p->in[INTERCEPTS]) >= targets,
             TN_INVALID, "there are %lld intercepts for %lld targets",
             (long long)tn_tensor_count(&p->in[INTERCEPTS]), (long long)targets);
    return NULL;
}

static double score_of(const tn_problem *p, int64_t row, int64_t features, int64_t target)
{
    const tn_tensor *x = &p->in[X];
    const float *coefficient = (const float *)p->in[COEFFICIENTS].data + target * features;
    double sum = tn_wide_has(p, INTERCEPTS) ? ((const float *)p->in[INTERCEPTS].data)[target] : 0;
    for (int64_t i = 0; i < features; i++)
        sum += coefficient[i] * tn_load_f64(x->dtype, x->data, row * features + i);
    return sum;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return tn_wide_bytes(p->out[p->out_count - 1].dim[1]);
}

static tn_status reference_regressor(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_ml_linear_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    int64_t targets = y->dim[1], features = p->in[X].dim[p->in[X].rank - 1];
    double *score = l->scratch;
    TN_TRY(check_sizes(p, features, targets));
    for (int64_t row = 0; row < y->dim[0]; row++) {
        for (int64_t k = 0; k < targets; k++) score[k] = score_of(p, row, features, k);
        tn_ml_finish((tn_ml_transform)params->post_transform, score, targets);
        tn_store_f64s(y->dtype, y->data, row * targets, targets, score);
    }
    return NULL;
}

/* Without a second class a label other than the only one is 0 or "". */
static void store_label(const tn_problem *p, int64_t row, int64_t label)
{
    const tn_tensor *labels = &p->in[LABELS], *y = &p->out[0];
    if (label < tn_tensor_count(labels))
        tn_copy_elements(y->dtype, y->data, row, labels->data, label, 1);
    else if (y->dtype == TN_DTYPE_STRING) ((tn_string *)y->data)[row] = (tn_string){"", 0};
    else tn_store_i64(y->dtype, y->data, row, 0);
}

static tn_status reference_classifier(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_ml_linear_params *params = p->params;
    const tn_tensor *z = &p->out[1];
    int64_t columns = z->dim[1], features = p->in[X].dim[p->in[X].rank - 1];
    int64_t coefficients = tn_tensor_count(&p->in[COEFFICIENTS]),
            classes = tn_tensor_count(&p->in[LABELS]);
    bool pair = columns == 2 && classes == 2 && coefficients == features;
    double *score = l->scratch;
    TN_TRY(check_sizes(p, features, pair ? 1 : columns));
    for (int64_t row = 0; row < z->dim[0]; row++) {
        for (int64_t k = 0; k < columns && !pair; k++) score[k] = score_of(p, row, features, k);
        if (pair) {
            score[1] = score_of(p, row, features, 0);
            score[0] = -score[1];
        }
        int64_t label = tn_ml_top(score, columns);
        tn_ml_finish((tn_ml_transform)params->post_transform, score, columns);
        if (columns == 1)
            label = score[0] >= (params->post_transform == TN_ML_NONE ? 0 : 0.5) ? 0 : classes;
        if (tn_wide_wants(p, 0)) store_label(p, row, label);
        if (tn_wide_wants(p, 1)) tn_store_f64s(z->dtype, z->data, row * columns, columns, score);
    }
    return NULL;
}

static tn_status upgrade_regressor(tn_graph *graph, tn_node *node)
{
    TN_TRY(tn_table_move(graph, node, "coefficients", COEFFICIENTS));
    return tn_table_move(graph, node, "intercepts", INTERCEPTS);
}

static tn_status upgrade_classifier(tn_graph *graph, tn_node *node)
{
    tn_tensor labels;
    TN_TRY(upgrade_regressor(graph, node));
    TN_TRY(tn_table_find(node, "classlabels_strings", &labels));
    TN_TRY(tn_table_move(graph, node, labels.dtype ? "classlabels_strings" : "classlabels_ints",
                         LABELS));
    tn_table_drop(node, "classlabels_strings|classlabels_ints");
    return NULL;
}

static tn_status restore_regressor(tn_node *node)
{
    TN_TRY(tn_table_restore(node, COEFFICIENTS, NULL, "coefficients", NULL));
    return tn_table_restore(node, INTERCEPTS, NULL, "intercepts", NULL);
}

static tn_status restore_classifier(tn_node *node)
{
    TN_TRY(restore_regressor(node));
    return tn_table_restore(node, LABELS, "classlabels_ints", NULL, "classlabels_strings");
}

static const tn_case regressor_cases[] = {
    {.problem = "LinearRegressor{targets=2} f32[2,2]={1,2,3,4} f32[4]={1,10,0,1} f32[2]={0.5,0}",
     .expect = "f32[2,2]={21.5,2,43.5,4}"},
    {.problem = "LinearRegressor{post_transform=SOFTMAX, targets=3} f64[5,4] f32[12]"},
    {0},
};
static const tn_case classifier_cases[] = {
    {.problem = "LinearClassifier f32[2,2]={1,2,3,-4} f32[4]={1,0,0,1} none i64[2]={7,9} -> 2",
     .expect = "i64[2]={9,7} f32[2,2]={1,2,3,-4}"},
    {.problem = "LinearClassifier{post_transform=LOGISTIC} i32[2,1]={1,-1} f32[1]={1} f32[1]={0} "
                "string[2]={\"no\",\"yes\"} -> 2",
     .expect = "string[2]={\"yes\",\"no\"} f32[2,2]={0.2689414,0.7310586,0.7310586,0.2689414}"},
    {.problem =
         "LinearClassifier{post_transform=SOFTMAX} f32[6,4] f32[12] f32[3] i64[3]={0,1,2} -> 2"},
    {0},
};

const tn_op tn_op_linear_regressor = {
    .name = "LinearRegressor",
    .domain = TN_ML,
    .since = 1,
    .about = "X times coefficients plus intercepts, and a transform",
    .in = regressor_ins,
    .in_count = TN_COUNT(regressor_ins),
    .out = regressor_outs,
    .out_count = TN_COUNT(regressor_outs),
    .field = regressor_fields,
    .field_count = TN_COUNT(regressor_fields),
    .params_bytes = sizeof(tn_ml_linear_params),
    .lower = lower,
    .infer = infer_regressor,
    .reference = reference_regressor,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{TN_OPSET_EVERY, upgrade_regressor}},
    .restore = restore_regressor,
    .cases = regressor_cases,
};

const tn_op tn_op_linear_classifier = {
    .name = "LinearClassifier",
    .domain = TN_ML,
    .since = 1,
    .about = "X times coefficients plus intercepts, a transform, and the label of the best class",
    .in = classifier_ins,
    .in_count = TN_COUNT(classifier_ins),
    .out = classifier_outs,
    .out_count = TN_COUNT(classifier_outs),
    .field = classifier_fields,
    .field_count = TN_COUNT(classifier_fields),
    .params_bytes = sizeof(tn_ml_linear_params),
    .infer = infer_classifier,
    .reference = reference_classifier,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{TN_OPSET_EVERY, upgrade_classifier}},
    .restore = restore_classifier,
    .cases = classifier_cases,
};
