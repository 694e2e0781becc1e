/* The operators of ai.onnx.ml: features, encoders, linear models, trees. Their tables are inputs
 * behind X (ops/tables.h). */
#ifndef TN_OPS_ML_H
#define TN_OPS_ML_H

#include "ops/tables.h"

#define TN_ML "ai.onnx.ml"
#define TN_ML_NUMBERS (TN_DT(F32) | TN_DT(F64) | TN_DT(I64) | TN_DT(I32))

#define TN_ML_TRANSFORMS "NONE|SOFTMAX|LOGISTIC|SOFTMAX_ZERO|PROBIT"
typedef enum tn_ml_transform {
    TN_ML_NONE,
    TN_ML_SOFTMAX,
    TN_ML_LOGISTIC,
    TN_ML_SOFTMAX_ZERO,
    TN_ML_PROBIT
} tn_ml_transform;
/* What happens to a row of scores at the end. */
void tn_ml_finish(tn_ml_transform transform, double *score, int64_t count);
int64_t tn_ml_top(const double *score, int64_t count); /* the first largest */

typedef struct tn_ml_norm_params {
    int64_t norm;
} tn_ml_norm_params;

typedef struct tn_ml_threshold_params {
    float threshold, pad;
} tn_ml_threshold_params;

typedef struct tn_ml_one_hot_params {
    int64_t zeros; /* 0: an element of no category is an error */
} tn_ml_one_hot_params;

typedef struct tn_ml_linear_params {
    int64_t post_transform, targets;
    int64_t multi_class; /* changes nothing */
} tn_ml_linear_params;

/* One struct for the three operators on trees. */
typedef struct tn_ml_tree_params {
    int64_t aggregate_function, post_transform, n_targets;
} tn_ml_tree_params;
enum { TN_ML_AVERAGE, TN_ML_SUM, TN_ML_MIN, TN_ML_MAX };

/* Inputs of an operator on trees, by number. Each node is a row of the first table; a child below 0
 * is leaf -1 - child. Leaf k votes with rows [leaves[k], leaves[k + 1]) of targets and weights. */
enum {
    TN_TREE_X,
    TN_TREE_NODES,
    TN_TREE_SPLITS,
    TN_TREE_LEAVES,
    TN_TREE_TARGETS,
    TN_TREE_WEIGHTS,
    TN_TREE_ROOTS,   /* node, or leaf if below 0, of each tree */
    TN_TREE_MEMBERS, /* sets of values, each ended by a NaN */
    TN_TREE_BASE,    /* added to the scores; one each */
    TN_TREE_LABELS   /* of classes: integers or strings */
};
enum {
    TN_NODE_FEATURE,
    TN_NODE_MODE,
    TN_NODE_TRUE,
    TN_NODE_FALSE,
    TN_NODE_MISSING_TRUE,
    TN_NODE_MEMBERS,
    TN_NODE_COLUMNS
};
enum {
    TN_BRANCH_LEQ,
    TN_BRANCH_LT,
    TN_BRANCH_GTE,
    TN_BRANCH_GT,
    TN_BRANCH_EQ,
    TN_BRANCH_NEQ,
    TN_BRANCH_MEMBER
};

/* Attributes to tables: the nodes and leaves of TreeEnsemble, or the older form in which leaves are
 * nodes (prefix "target" or "class" of what names the votes). */
tn_status tn_tree_upgrade(tn_graph *graph, tn_node *node) TN_MUST_USE;
tn_status tn_tree_restore(tn_node *node) TN_MUST_USE;
tn_status tn_tree_upgrade_old(tn_graph *graph, tn_node *node, const char *prefix) TN_MUST_USE;

#endif
