/* TreeEnsemble-5, and TreeEnsembleRegressor and TreeEnsembleClassifier, which it came to replace:
 * each row of X falls through every tree to a leaf; the votes of the leaves are summed (or
 * averaged, or the least or largest taken) for each target.
 *
 *     node: feature, comparison with its threshold -> child for true, child for false
 *
 * NaN takes the side that the comparison gives, or the true one where the node says so. The
 * classifier gives the label of the best class and the scores; see finish_pair for two classes with
 * one score. */
#include <math.h>

#include "ops/ml/ml.h"
#include "ops/wide/wide.h"

static const tn_field ensemble_fields[] = {
    TN_INT(tn_ml_tree_params, aggregate_function, TN_ML_SUM),
    TN_INT(tn_ml_tree_params, post_transform, TN_ML_NONE),
    TN_INT(tn_ml_tree_params, n_targets, 1),
};
static const tn_field regressor_fields[] = {
    TN_ENUM(tn_ml_tree_params, aggregate_function, TN_ML_SUM, "AVERAGE|SUM|MIN|MAX"),
    TN_ENUM(tn_ml_tree_params, post_transform, TN_ML_NONE, TN_ML_TRANSFORMS),
    TN_INT(tn_ml_tree_params, n_targets, 1),
};
static const tn_field classifier_fields[] = {
    TN_ENUM(tn_ml_tree_params, post_transform, TN_ML_NONE, TN_ML_TRANSFORMS),
};
#define TABLES                                                                                     \
    {"nodes", TN_DT(I64), 0, 0}, {"splits", TN_DTS_FLOAT, 0, 0}, {"leaves", TN_DT(I64), 0, 0},     \
        {"targets", TN_DT(I64), 0, 0}, {"weights", TN_DTS_FLOAT, 0, 0},                            \
        {"roots", TN_DT(I64), 0, 0}, {"members", TN_DTS_FLOAT, 0, TN_PORT_OPTIONAL},               \
    {                                                                                              \
        "base", TN_DTS_FLOAT, 0, TN_PORT_OPTIONAL                                                  \
    }
static const tn_port ensemble_ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}, TABLES};
static const tn_port ensemble_outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};
static const tn_port regressor_ins[] = {{"X", TN_ML_NUMBERS, 0, 0}, TABLES};
static const tn_port regressor_outs[] = {{"Y", TN_DT(F32), 0, 0}};
static const tn_port classifier_ins[] = {
    {"X", TN_ML_NUMBERS, 0, 0}, TABLES, {"labels", TN_DT(I64) | TN_DT(STRING), 'L', 0}};
static const tn_port classifier_outs[] = {{"Y", TN_DT(I64) | TN_DT(STRING), 'L', 0},
                                          {"Z", TN_DT(F32), 0, 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_ml_tree_params *params = params_out;
    (void)node;
    TN_CHECK(params->aggregate_function >= TN_ML_AVERAGE && params->aggregate_function <= TN_ML_MAX,
             TN_INVALID, "aggregate_function %lld is outside [0, 3]",
             (long long)params->aggregate_function);
    TN_CHECK(params->post_transform >= TN_ML_NONE && params->post_transform <= TN_ML_PROBIT,
             TN_INVALID, "post_transform %lld is outside [0, 4]",
             (long long)params->post_transform);
    TN_CHECK(params->n_targets >= 1 && params->n_targets <= INT32_MAX, TN_INVALID,
             "n_targets is %lld", (long long)params->n_targets);
    return NULL;
}

static tn_status rows_of(tn_infer *f, tn_expr *rows)
{
    const tn_type *x = &f->in[TN_TREE_X];
    char text[128];
    TN_CHECK(x->rank < 0 || x->rank == 2, TN_INVALID, "X must be [rows, features]: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    *rows = x->rank == 2 ? x->dim[0] : TN_EXPR_NONE;
    if (!*rows) *rows = tn_infer_fresh(f);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_ml_tree_params *params = f->params;
    tn_dtype dtype = f->op->out[0].var ? f->in[TN_TREE_X].dtype : TN_DTYPE_F32;
    tn_expr dim[2] = {TN_EXPR_NONE, tn_expr_const(f->exprs, params->n_targets)};
    TN_TRY(rows_of(f, &dim[0]));
    tn_infer_set(f, 0, dtype, 2, dim);
    return NULL;
}

static tn_status infer_classifier(tn_infer *f)
{
    const tn_type *labels = &f->in[TN_TREE_LABELS];
    tn_expr dim[2];
    TN_TRY(rows_of(f, &dim[0]));
    TN_CHECK(labels->rank == 1, TN_INVALID, "the class labels must be a list");
    dim[1] = labels->dim[0];
    int64_t classes;
    TN_CHECK(!tn_expr_is_const(f->exprs, dim[1], &classes) || classes >= 2, TN_UNSUPPORTED,
             "there must be two classes or more, not %lld", (long long)classes);
    tn_infer_set(f, 0, labels->dtype, 1, dim);
    tn_infer_set(f, 1, TN_DTYPE_F32, 2, dim);
    return NULL;
}

/* ---- Falling through trees --------------------------------------------------------------------*/

typedef struct forest {
    const tn_problem *p;
    const int64_t *node, *first, *target, *root;
    int64_t nodes, leaves, votes, trees, features, targets;
    double *score; /* of each target */
    double *seen;  /* how many votes each has */
} forest;

static forest forest_of(const tn_problem *p, int64_t targets, void *scratch)
{
    forest f = {.p = p, .targets = targets, .features = p->in[TN_TREE_X].dim[1]};
    f.node = p->in[TN_TREE_NODES].data;
    f.first = p->in[TN_TREE_LEAVES].data;
    f.target = p->in[TN_TREE_TARGETS].data;
    f.root = p->in[TN_TREE_ROOTS].data;
    f.nodes = tn_tensor_count(&p->in[TN_TREE_NODES]) / TN_NODE_COLUMNS;
    f.leaves = tn_tensor_count(&p->in[TN_TREE_LEAVES]) - 1;
    f.votes = tn_tensor_count(&p->in[TN_TREE_TARGETS]);
    f.trees = tn_tensor_count(&p->in[TN_TREE_ROOTS]);
    f.score = tn_wide_take(&scratch, targets);
    f.seen = tn_wide_take(&scratch, targets);
    return f;
}

static tn_status check_tables(const forest *f)
{
    const tn_problem *p = f->p;
    TN_CHECK(tn_tensor_count(&p->in[TN_TREE_SPLITS]) >= f->nodes && f->leaves >= 0 &&
                 tn_tensor_count(&p->in[TN_TREE_WEIGHTS]) == f->votes,
             TN_INVALID, "the tables of %lld nodes and %lld votes do not agree",
             (long long)f->nodes, (long long)f->votes);
    for (int64_t i = 0; i < f->leaves; i++)
        TN_CHECK(f->first[i] >= 0 && f->first[i] <= f->first[i + 1] && f->first[i + 1] <= f->votes,
                 TN_INVALID, "the votes of leaf %lld are not in the table", (long long)i);
    for (int64_t i = 0; i < f->votes; i++)
        TN_CHECK(f->target[i] >= 0 && f->target[i] < f->targets, TN_INVALID,
                 "a leaf votes for %lld of %lld", (long long)f->target[i], (long long)f->targets);
    return NULL;
}

static bool is_member(const forest *f, int64_t at, double x)
{
    const tn_tensor *members = &f->p->in[TN_TREE_MEMBERS];
    int64_t count = tn_wide_has(f->p, TN_TREE_MEMBERS) ? tn_tensor_count(members) : 0;
    for (; at >= 0 && at < count; at++) {
        double member = tn_load_f64(members->dtype, members->data, at);
        if (isnan(member)) return false;
        if (member == x) return true;
    }
    return false;
}

static bool holds(const forest *f, int64_t node, double x)
{
    const int64_t *row = f->node + node * TN_NODE_COLUMNS;
    const tn_tensor *splits = &f->p->in[TN_TREE_SPLITS];
    double split = tn_load_f64(splits->dtype, splits->data, node);
    if (isnan(x) && row[TN_NODE_MISSING_TRUE]) return true;
    switch (row[TN_NODE_MODE]) {
    case TN_BRANCH_LEQ: return x <= split;
    case TN_BRANCH_LT: return x < split;
    case TN_BRANCH_GTE: return x >= split;
    case TN_BRANCH_GT: return x > split;
    case TN_BRANCH_EQ: return x == split;
    case TN_BRANCH_NEQ: return x != split;
    default: return is_member(f, row[TN_NODE_MEMBERS], x);
    }
}

/* The leaf where a row ends; no path is longer than there are nodes. */
static tn_status find_leaf(const forest *f, int64_t row, int64_t root, int64_t *leaf)
{
    const tn_tensor *x = &f->p->in[TN_TREE_X];
    int64_t at = root;
    for (int64_t steps = 0; at >= 0; steps++) {
        TN_CHECK(at < f->nodes && steps < f->nodes, TN_INVALID,
                 "node %lld of %lld: a tree does not end", (long long)at, (long long)f->nodes);
        const int64_t *node = f->node + at * TN_NODE_COLUMNS;
        int64_t feature = node[TN_NODE_FEATURE];
        TN_CHECK(feature >= 0 && feature < f->features, TN_INVALID,
                 "a tree asks for feature %lld; X has %lld", (long long)feature,
                 (long long)f->features);
        double value = tn_load_f64(x->dtype, x->data, row * f->features + feature);
        at = node[holds(f, at, value) ? TN_NODE_TRUE : TN_NODE_FALSE];
    }
    *leaf = -1 - at;
    TN_CHECK(*leaf < f->leaves, TN_INVALID, "a tree leads to leaf %lld; there are %lld",
             (long long)*leaf, (long long)f->leaves);
    return NULL;
}

/* score[] of one row; a target without votes has 0. */
static tn_status score_row(const forest *f, int64_t row, int64_t aggregate)
{
    const tn_tensor *weights = &f->p->in[TN_TREE_WEIGHTS];
    for (int64_t k = 0; k < f->targets; k++) f->score[k] = f->seen[k] = 0;
    for (int64_t t = 0; t < f->trees; t++) {
        int64_t leaf;
        TN_TRY(find_leaf(f, row, f->root[t], &leaf));
        for (int64_t v = f->first[leaf]; v < f->first[leaf + 1]; v++) {
            double weight = tn_load_f64(weights->dtype, weights->data, v);
            int64_t k = f->target[v];
            bool first = f->seen[k]++ == 0;
            if (aggregate == TN_ML_MIN && !first) f->score[k] = fmin(f->score[k], weight);
            else if (aggregate == TN_ML_MAX && !first) f->score[k] = fmax(f->score[k], weight);
            else f->score[k] += weight;
        }
    }
    for (int64_t k = 0; k < f->targets && aggregate == TN_ML_AVERAGE; k++)
        f->score[k] /= (double)f->trees;
    return NULL;
}

static double base_of(const tn_problem *p, int64_t target)
{
    const tn_tensor *base = &p->in[TN_TREE_BASE];
    if (!tn_wide_has(p, TN_TREE_BASE) || target >= tn_tensor_count(base)) return 0;
    return tn_load_f64(base->dtype, base->data, target);
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t bytes = tn_wide_bytes(p->out[p->out_count - 1].dim[1]);
    return tn_wide_add(bytes, bytes);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_ml_tree_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    forest f = forest_of(p, y->dim[1], l->scratch);
    TN_TRY(check_tables(&f));
    for (int64_t row = 0; row < y->dim[0]; row++) {
        TN_TRY(score_row(&f, row, params->aggregate_function));
        for (int64_t k = 0; k < f.targets; k++) f.score[k] += base_of(p, k);
        tn_ml_finish((tn_ml_transform)params->post_transform, f.score, f.targets);
        tn_store_f64s(y->dtype, y->data, row * f.targets, f.targets, f.score);
    }
    return NULL;
}

/* ---- The classifier ---------------------------------------------------------------------------*/

/* Which of two classes all votes are for; -1 if for both, or if there are other than two. */
static int64_t only_class(const forest *f)
{
    if (f->targets != 2 || f->votes == 0) return -1;
    for (int64_t v = 1; v < f->votes; v++)
        if (f->target[v] != f->target[0]) return -1;
    return f->target[0];
}

static bool all_positive(const tn_tensor *weights)
{
    for (int64_t v = 0; v < tn_tensor_count(weights); v++)
        if (tn_load_f64(weights->dtype, weights->data, v) < 0) return false;
    return true;
}

/* Two classes, votes for one of them: a probability (of weights all >= 0) or a margin. Votes for
 * the first class mean the second, whose opposite the first becomes: so makers of models write a
 * single score. */
static int64_t finish_pair(const tn_ml_tree_params *params, int64_t only, bool probability,
                           double *score)
{
    double vote = score[only];
    bool logistic = params->post_transform == TN_ML_LOGISTIC,
         probit = params->post_transform == TN_ML_PROBIT;
    if (only == 1) {
        tn_ml_finish((tn_ml_transform)params->post_transform, score, 2);
        return vote > (probability ? 0.5 : 0);
    }
    score[1] = vote;
    score[0] = probability && !logistic ? 1 - vote : -vote;
    if (logistic || probit) tn_ml_finish((tn_ml_transform)params->post_transform, score, 2);
    return vote > (probability && !logistic ? 0.5 : 0);
}

static tn_status reference_classifier(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_ml_tree_params *params = p->params;
    const tn_tensor *labels = &p->in[TN_TREE_LABELS], *y = &p->out[0], *z = &p->out[1];
    forest f = forest_of(p, z->dim[1], l->scratch);
    TN_TRY(check_tables(&f));
    int64_t only = only_class(&f);
    bool probability = only >= 0 && all_positive(&p->in[TN_TREE_WEIGHTS]);
    for (int64_t row = 0; row < y->dim[0]; row++) {
        int64_t label;
        TN_TRY(score_row(&f, row, TN_ML_SUM));
        for (int64_t k = 0; k < f.targets; k++) f.score[k] += base_of(p, k);
        if (only >= 0) {
            label = finish_pair(params, only, probability, f.score);
        } else {
            label = tn_ml_top(f.score, f.targets);
            tn_ml_finish((tn_ml_transform)params->post_transform, f.score, f.targets);
        }
        if (tn_wide_wants(p, 0)) tn_copy_elements(y->dtype, y->data, row, labels->data, label, 1);
        if (tn_wide_wants(p, 1))
            tn_store_f64s(z->dtype, z->data, row * f.targets, f.targets, f.score);
    }
    return NULL;
}

/* ---- Upgrades ---------------------------------------------------------------------------------*/

static tn_status upgrade_regressor(tn_graph *graph, tn_node *node)
{
    return tn_tree_upgrade_old(graph, node, "target");
}

static tn_status upgrade_classifier(tn_graph *graph, tn_node *node)
{
    tn_tensor labels;
    TN_TRY(tn_tree_upgrade_old(graph, node, "class"));
    TN_TRY(tn_table_find(node, "classlabels_strings", &labels));
    TN_TRY(tn_table_move(graph, node, labels.dtype ? "classlabels_strings" : "classlabels_int64s",
                         TN_TREE_LABELS));
    tn_table_drop(node, "classlabels_strings|classlabels_int64s");
    return NULL;
}

/* One node: feature 0 <= 2 ? leaf 0 : (feature 1 > 5 ? leaf 1 : leaf 2). */
#define SMALL_TREE                                                                                 \
    " i64[2,6]={0,0,-1,1,1,0,1,3,-2,-3,0,0} f32[2]={2,5} i64[4]={0,1,2,3} i64[3]={0,1,0} "         \
    "f32[3]={10,20,30} i64[1]={0}"
static const tn_case ensemble_cases[] = {
    {.problem = "TreeEnsemble{n_targets=2} f32[4,2]={2,0,3,6,3,5,nan,0}" SMALL_TREE,
     .expect = "f32[4,2]={10,0,0,20,30,0,10,0}"},
    /* In {3, 7}: 1, else 2; a second tree that is leaf 1 alone; the mean of both. */
    {.problem =
         "TreeEnsemble{aggregate_function=0} f64[2,1]={7,4} i64[1,6]={0,6,-1,-2,0,0} f64[1]={0} "
         "i64[3]={0,1,2} i64[2]={0,0} f64[2]={1,2} i64[2]={0,-2} f64[3]={3,7,nan}",
     .expect = "f64[2,1]={1.5,2}"},
    {0},
};
static const tn_case regressor_cases[] = {
    {.problem =
         "TreeEnsembleRegressor{n_targets=2, aggregate_function=MAX} i64[2,2]={2,0,3,6}" SMALL_TREE
         " none f32[2]={1,2}",
     .expect = "f32[2,2]={11,2,1,22}"},
    {0},
};
static const tn_case classifier_cases[] = {
    {.problem = "TreeEnsembleClassifier f32[2,2]={2,0,3,6}" SMALL_TREE
                " none none string[2]={\"a\",\"b\"} -> 2",
     .expect = "string[2]={\"a\",\"b\"} f32[2,2]={10,0,0,20}"},
    /* A single score, once below 0: a margin. Then never: a probability. */
    {.problem = "TreeEnsembleClassifier{post_transform=LOGISTIC} f32[2,1]={0,1} "
                "i64[1,6]={0,1,-1,-2,0,0} f32[1]={0.5} "
                "i64[3]={0,1,2} i64[2]={0,0} f32[2]={-1,0} i64[1]={0} none none i64[2]={7,8} -> 2",
     .expect = "i64[2]={7,7} f32[2,2]={0.7310586,0.2689414,0.5,0.5}"},
    {.problem =
         "TreeEnsembleClassifier f32[2,1]={0,1} i64[1,6]={0,1,-1,-2,0,0} f32[1]={0.5} "
         "i64[3]={0,1,2} i64[2]={0,0} f32[2]={0.25,0.75} i64[1]={0} none none i64[2]={7,8} -> 2",
     .expect = "i64[2]={7,8} f32[2,2]={0.75,0.25,0.25,0.75}"},
    {0},
};

const tn_op tn_op_tree_ensemble = {
    .name = "TreeEnsemble",
    .domain = TN_ML,
    .since = 5,
    .about = "votes of the leaves that each row reaches in every tree, by target",
    .in = ensemble_ins,
    .in_count = TN_COUNT(ensemble_ins),
    .out = ensemble_outs,
    .out_count = TN_COUNT(ensemble_outs),
    .field = ensemble_fields,
    .field_count = TN_COUNT(ensemble_fields),
    .params_bytes = sizeof(tn_ml_tree_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{TN_OPSET_EVERY, tn_tree_upgrade}},
    .restore = tn_tree_restore,
    .cases = ensemble_cases,
};

const tn_op tn_op_tree_ensemble_regressor = {
    .name = "TreeEnsembleRegressor",
    .domain = TN_ML,
    .since = 3,
    .about = "votes of the leaves that each row reaches in every tree, by target",
    .in = regressor_ins,
    .in_count = TN_COUNT(regressor_ins),
    .out = regressor_outs,
    .out_count = TN_COUNT(regressor_outs),
    .field = regressor_fields,
    .field_count = TN_COUNT(regressor_fields),
    .params_bytes = sizeof(tn_ml_tree_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{TN_OPSET_EVERY, upgrade_regressor}},
    .cases = regressor_cases,
};

const tn_op tn_op_tree_ensemble_classifier = {
    .name = "TreeEnsembleClassifier",
    .domain = TN_ML,
    .since = 3,
    .about = "the class with most votes of the leaves that each row reaches, and the votes",
    .in = classifier_ins,
    .in_count = TN_COUNT(classifier_ins),
    .out = classifier_outs,
    .out_count = TN_COUNT(classifier_outs),
    .field = classifier_fields,
    .field_count = TN_COUNT(classifier_fields),
    .params_bytes = sizeof(tn_ml_tree_params),
    .infer = infer_classifier,
    .reference = reference_classifier,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{TN_OPSET_EVERY, upgrade_classifier}},
    .cases = classifier_cases,
};
