/* Trees from attributes to the tables that the kernel reads (ml.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops/ml/ml.h"
#include "ops/sorting.h"

#define NODES_MAX (INT64_C(1) << 40)

static tn_status new_ints(tn_graph *graph, int64_t count, int64_t **out)
{
    *out = TN_NEW_ARRAY(graph->arena, int64_t, TN_MAX(count, 1));
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for the tables of trees");
    return NULL;
}

static tn_status add_ints(tn_graph *graph, tn_node *node, int index, int64_t *at, int64_t rows,
                          int64_t columns)
{
    int64_t dim[2] = {rows, columns};
    tn_tensor table = tn_tensor_of(TN_DTYPE_I64, dim, columns > 1 ? 2 : 1, at);
    return tn_table_add(graph, node, index, &table);
}

/* A list that has one entry for each of `count`. */
static tn_status need_ints(const tn_node *node, const char *attr, int64_t count,
                           const int64_t **out)
{
    int64_t have;
    TN_TRY(tn_table_ints(node, attr, out, &have));
    TN_CHECK(have == count, TN_INVALID, "%s has %lld entries, not %lld", attr, (long long)have,
             (long long)count);
    return NULL;
}

/* ---- TreeEnsemble -----------------------------------------------------------------------------*/

/* Where the k-th set of members begins goes to the k-th node that asks for membership. */
static tn_status place_members(const tn_node *node, int64_t *nodes, int64_t count)
{
    tn_tensor members;
    int64_t at = 0;
    TN_TRY(tn_table_find(node, "membership_values", &members));
    int64_t total = members.dtype ? tn_tensor_count(&members) : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t *row = nodes + i * TN_NODE_COLUMNS;
        if (row[TN_NODE_MODE] != TN_BRANCH_MEMBER) continue;
        row[TN_NODE_MEMBERS] = at;
        while (at < total && !isnan(tn_load_f64(members.dtype, members.data, at))) at++;
        TN_CHECK(at < total, TN_INVALID,
                 "membership_values has too few sets, or the last does not end in NaN");
        at++;
    }
    return NULL;
}

tn_status tn_tree_upgrade(tn_graph *graph, tn_node *node)
{
    static const char *const names[] = {"nodes_featureids", "nodes_truenodeids",
                                        "nodes_falsenodeids", "nodes_trueleafs",
                                        "nodes_falseleafs"};
    const int64_t *column[5], *missing, *targets, *roots;
    int64_t count, leaves, trees, missing_count, *nodes, *first;
    tn_tensor modes, weights;
    TN_TRY(tn_table_ints(node, names[0], &column[0], &count));
    for (int i = 1; i < 5; i++) TN_TRY(need_ints(node, names[i], count, &column[i]));
    TN_TRY(tn_table_ints(node, "nodes_missing_value_tracks_true", &missing, &missing_count));
    if (missing_count != count) missing = NULL;
    TN_TRY(tn_table_find(node, "nodes_modes", &modes));
    TN_CHECK(modes.dtype && modes.dtype != TN_DTYPE_STRING && tn_tensor_count(&modes) == count &&
                 count < NODES_MAX,
             TN_INVALID, "nodes_modes does not have an entry for each of %lld nodes",
             (long long)count);
    TN_TRY(tn_table_ints(node, "leaf_targetids", &targets, &leaves));
    TN_TRY(tn_table_ints(node, "tree_roots", &roots, &trees));
    TN_TRY(tn_table_find(node, "leaf_weights", &weights));
    TN_CHECK(weights.dtype && tn_tensor_count(&weights) == leaves, TN_INVALID,
             "leaf_weights does not have an entry for each of %lld leaves", (long long)leaves);
    TN_TRY(new_ints(graph, count * TN_NODE_COLUMNS, &nodes));
    TN_TRY(new_ints(graph, leaves + 1, &first));
    for (int64_t i = 0; i < count; i++) {
        int64_t *row = nodes + i * TN_NODE_COLUMNS;
        row[TN_NODE_FEATURE] = column[0][i];
        row[TN_NODE_MODE] = tn_load_i64(modes.dtype, modes.data, i);
        row[TN_NODE_TRUE] = column[3][i] ? -1 - TN_MAX(column[1][i], 0) : column[1][i];
        row[TN_NODE_FALSE] = column[4][i] ? -1 - TN_MAX(column[2][i], 0) : column[2][i];
        row[TN_NODE_MISSING_TRUE] = missing && missing[i];
    }
    for (int64_t i = 0; i <= leaves; i++) first[i] = i;
    TN_TRY(place_members(node, nodes, count));
    TN_TRY(add_ints(graph, node, TN_TREE_NODES, nodes, count, TN_NODE_COLUMNS));
    TN_TRY(add_ints(graph, node, TN_TREE_LEAVES, first, leaves + 1, 1));
    TN_TRY(tn_table_move(graph, node, "nodes_splits", TN_TREE_SPLITS));
    TN_TRY(tn_table_move(graph, node, "leaf_targetids", TN_TREE_TARGETS));
    TN_TRY(tn_table_move(graph, node, "leaf_weights", TN_TREE_WEIGHTS));
    TN_TRY(tn_table_move(graph, node, "tree_roots", TN_TREE_ROOTS));
    TN_TRY(tn_table_move(graph, node, "membership_values", TN_TREE_MEMBERS));
    tn_table_drop(
        node,
        "nodes_featureids|nodes_truenodeids|nodes_falsenodeids|nodes_trueleafs|nodes_falseleafs|"
        "nodes_modes|nodes_missing_value_tracks_true|nodes_hitrates");
    return NULL;
}

/* A column of the nodes' table as an attribute. */
static tn_status restore_column(tn_node *node, const char *name, const int64_t *at, int64_t count)
{
    const tn_attr attr = {.name = name, .kind = TN_ATTR_INTS, .count = count, .ints = at};
    return tn_node_set_attr(node, &attr);
}

static tn_status restore_nodes(tn_node *node, const tn_tensor *table)
{
    enum { FEATURE, TRUE, FALSE, TRUE_LEAF, FALSE_LEAF, MISSING, COLUMNS };
    static const char *const names[COLUMNS] = {
        "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids",
        "nodes_trueleafs",  "nodes_falseleafs",  "nodes_missing_value_tracks_true"};
    int64_t count = tn_tensor_count(table) / TN_NODE_COLUMNS, *column[COLUMNS];
    const int64_t *row = table->data;
    uint8_t *mode = TN_NEW_ARRAY(node->graph->arena, uint8_t, count);
    TN_CHECK(mode, TN_OUT_OF_MEMORY, "no memory for the attributes of trees");
    for (int k = 0; k < COLUMNS; k++) TN_TRY(new_ints(node->graph, count, &column[k]));
    for (int64_t i = 0; i < count; i++, row += TN_NODE_COLUMNS) {
        int64_t yes = row[TN_NODE_TRUE], no = row[TN_NODE_FALSE];
        column[FEATURE][i] = row[TN_NODE_FEATURE];
        column[TRUE_LEAF][i] = yes < 0;
        column[FALSE_LEAF][i] = no < 0;
        column[TRUE][i] = yes < 0 ? -1 - yes : yes;
        column[FALSE][i] = no < 0 ? -1 - no : no;
        column[MISSING][i] = row[TN_NODE_MISSING_TRUE];
        mode[i] = (uint8_t)row[TN_NODE_MODE];
    }
    for (int k = 0; k < COLUMNS; k++) TN_TRY(restore_column(node, names[k], column[k], count));
    const tn_attr modes = {.name = "nodes_modes",
                           .kind = TN_ATTR_TENSOR,
                           .tensor = tn_tensor_of(TN_DTYPE_U8, &count, 1, mode)};
    return tn_node_set_attr(node, &modes);
}

tn_status tn_tree_restore(tn_node *node)
{
    const tn_value *nodes = node->in_count > TN_TREE_NODES ? node->in[TN_TREE_NODES] : NULL;
    TN_CHECK(nodes && tn_value_is_constant(nodes) && nodes->constant.dtype == TN_DTYPE_I64 &&
                 node->in_count > TN_TREE_LEAVES,
             TN_UNSUPPORTED, "its trees are no constants");
    TN_TRY(restore_nodes(node, &nodes->constant));
    TN_TRY(tn_node_set_input(node, TN_TREE_NODES, NULL));
    TN_TRY(tn_node_set_input(node, TN_TREE_LEAVES, NULL)); /* one target a leaf, in order */
    TN_TRY(tn_table_restore_tensor(node, TN_TREE_SPLITS, "nodes_splits"));
    TN_TRY(tn_table_restore(node, TN_TREE_TARGETS, "leaf_targetids", NULL, NULL));
    TN_TRY(tn_table_restore_tensor(node, TN_TREE_WEIGHTS, "leaf_weights"));
    TN_TRY(tn_table_restore(node, TN_TREE_ROOTS, "tree_roots", NULL, NULL));
    return tn_table_restore_tensor(node, TN_TREE_MEMBERS, "membership_values");
}

/* ---- TreeEnsembleRegressor, TreeEnsembleClassifier --------------------------------------------*/

/* Nodes of all trees as the file lists them; leaves are among them. */
typedef struct forest {
    int64_t count;
    const int64_t *tree, *id, *feature, *if_true, *if_false, *missing;
    int64_t *order;  /* positions by tree and id */
    int64_t *number; /* of a node among the inner ones, or -1 - number among the leaves */
    int64_t inner, leaves;
    bool *child; /* somebody's */
} forest;

static int compare_ids(const void *self, int64_t a, int64_t b)
{
    const forest *f = self;
    if (f->tree[a] != f->tree[b]) return f->tree[a] < f->tree[b] ? -1 : 1;
    return (f->id[a] > f->id[b]) - (f->id[a] < f->id[b]);
}

/* The position of a node, -1 if there is none. */
static int64_t find_node(const forest *f, int64_t tree, int64_t id)
{
    int64_t low = 0, high = f->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2, at = f->order[middle];
        if (f->tree[at] < tree || (f->tree[at] == tree && f->id[at] < id)) low = middle + 1;
        else high = middle;
    }
    if (low == f->count || f->tree[f->order[low]] != tree || f->id[f->order[low]] != id) return -1;
    return f->order[low];
}

static int64_t mode_of(const tn_string *text)
{
    static const char *const words[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    for (int i = 0; i < (int)TN_COUNT(words); i++)
        if (text->bytes == strlen(words[i]) && !memcmp(text->text, words[i], text->bytes)) return i;
    return -1;
}

static bool is_leaf(const tn_string *text)
{
    return text->bytes == 4 && !memcmp(text->text, "LEAF", 4);
}

static tn_status read_forest(tn_graph *graph, const tn_node *node, const tn_string *mode,
                             int64_t count, forest *f)
{
    int64_t *spare, missing_count;
    *f = (forest){.count = count};
    TN_TRY(need_ints(node, "nodes_treeids", count, &f->tree));
    TN_TRY(need_ints(node, "nodes_nodeids", count, &f->id));
    TN_TRY(need_ints(node, "nodes_featureids", count, &f->feature));
    TN_TRY(need_ints(node, "nodes_truenodeids", count, &f->if_true));
    TN_TRY(need_ints(node, "nodes_falsenodeids", count, &f->if_false));
    TN_TRY(tn_table_ints(node, "nodes_missing_value_tracks_true", &f->missing, &missing_count));
    if (missing_count != count) f->missing = NULL;
    TN_TRY(new_ints(graph, count, &f->order));
    TN_TRY(new_ints(graph, count, &f->number));
    TN_TRY(new_ints(graph, count, &spare));
    f->child = TN_NEW_ARRAY(graph->arena, bool, count);
    TN_CHECK(f->child, TN_OUT_OF_MEMORY, "no memory for the tables of trees");
    for (int64_t i = 0; i < count; i++) {
        f->order[i] = i;
        f->number[i] = is_leaf(&mode[i]) ? -1 - f->leaves++ : f->inner++;
    }
    tn_sort_indices(f->order, spare, count, compare_ids, f);
    for (int64_t i = 1; i < count; i++)
        TN_CHECK(compare_ids(f, f->order[i - 1], f->order[i]) != 0, TN_INVALID,
                 "tree %lld has two nodes %lld", (long long)f->tree[f->order[i]],
                 (long long)f->id[f->order[i]]);
    return NULL;
}

static tn_status child_of(forest *f, int64_t at, int64_t id, int64_t *out)
{
    int64_t child = find_node(f, f->tree[at], id);
    TN_CHECK(child >= 0, TN_INVALID,
             "node %lld of tree %lld has the child %lld, which is none of its nodes",
             (long long)f->id[at], (long long)f->tree[at], (long long)id);
    f->child[child] = true;
    *out = f->number[child];
    return NULL;
}

/* Inner nodes and their thresholds, in the order of the file. */
static tn_status add_nodes(tn_graph *graph, tn_node *node, forest *f, const tn_string *mode,
                           const tn_tensor *values)
{
    int64_t *nodes, bytes = tn_dtype_bytes(values->dtype, TN_MAX(f->inner, 1));
    TN_TRY(new_ints(graph, f->inner * TN_NODE_COLUMNS, &nodes));
    void *splits = tn_arena_alloc(graph->arena, (size_t)bytes);
    TN_CHECK(splits, TN_OUT_OF_MEMORY, "no memory for the tables of trees");
    for (int64_t i = 0; i < f->count; i++) {
        if (f->number[i] < 0) continue;
        int64_t *row = nodes + f->number[i] * TN_NODE_COLUMNS;
        row[TN_NODE_FEATURE] = f->feature[i];
        row[TN_NODE_MODE] = mode_of(&mode[i]);
        TN_CHECK(row[TN_NODE_MODE] >= 0, TN_INVALID, "nodes_modes has \"%.*s\"",
                 (int)TN_MIN(mode[i].bytes, (size_t)80), mode[i].text);
        TN_TRY(child_of(f, i, f->if_true[i], &row[TN_NODE_TRUE]));
        TN_TRY(child_of(f, i, f->if_false[i], &row[TN_NODE_FALSE]));
        row[TN_NODE_MISSING_TRUE] = f->missing && f->missing[i];
        tn_copy_elements(values->dtype, splits, f->number[i], values->data, i, 1);
    }
    tn_tensor table = tn_tensor_of(values->dtype, &f->inner, 1, splits);
    TN_TRY(add_ints(graph, node, TN_TREE_NODES, nodes, f->inner, TN_NODE_COLUMNS));
    return tn_table_add(graph, node, TN_TREE_SPLITS, &table);
}

static tn_status add_roots(tn_graph *graph, tn_node *node, const forest *f)
{
    int64_t count = 0, *roots;
    TN_TRY(new_ints(graph, f->count, &roots));
    for (int64_t i = 0; i < f->count; i++)
        if (!f->child[i]) roots[count++] = f->number[i];
    return add_ints(graph, node, TN_TREE_ROOTS, roots, count, 1);
}

static tn_status find_prefixed(const tn_node *node, const char *prefix, const char *name,
                               tn_tensor *out)
{
    char attr[64];
    snprintf(attr, sizeof attr, "%s%s_as_tensor", prefix, name);
    TN_TRY(tn_table_find(node, attr, out));
    if (out->dtype) return NULL;
    snprintf(attr, sizeof attr, "%s%s", prefix, name);
    return tn_table_find(node, attr, out);
}

/* Votes sorted by leaf; within a leaf they stay in the order of the file. Votes of inner nodes
 * count for nobody and are left out. */
static tn_status add_votes(tn_graph *graph, tn_node *node, const forest *f, const char *prefix)
{
    tn_tensor part[3], weights;
    static const char *const names[] = {"_treeids", "_nodeids", "_ids"};
    for (int i = 0; i < 3; i++) TN_TRY(find_prefixed(node, prefix, names[i], &part[i]));
    TN_TRY(find_prefixed(node, prefix, "_weights", &weights));
    int64_t count = part[0].dtype ? tn_tensor_count(&part[0]) : 0, *first, *target, *leaf, kept = 0;
    for (int i = 0; i < 3; i++)
        TN_CHECK(count > 0 && part[i].dtype == TN_DTYPE_I64 && tn_tensor_count(&part[i]) == count,
                 TN_INVALID, "%s%s must be %lld integers", prefix, names[i], (long long)count);
    TN_CHECK(weights.dtype && weights.dtype != TN_DTYPE_STRING &&
                 tn_tensor_count(&weights) == count,
             TN_INVALID, "%s_weights does not have an entry for each of %lld votes", prefix,
             (long long)count);
    TN_TRY(new_ints(graph, f->leaves + 2, &first));
    TN_TRY(new_ints(graph, count, &target));
    TN_TRY(new_ints(graph, count, &leaf));
    void *sorted = tn_arena_alloc(graph->arena, (size_t)tn_dtype_bytes(weights.dtype, count));
    TN_CHECK(sorted, TN_OUT_OF_MEMORY, "no memory for the tables of trees");
    const int64_t *tree = part[0].data, *id = part[1].data, *ids = part[2].data;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = find_node(f, tree[i], id[i]);
        TN_CHECK(at >= 0, TN_INVALID, "%s_nodeids has node %lld of tree %lld, which is not there",
                 prefix, (long long)id[i], (long long)tree[i]);
        leaf[i] = f->number[at] < 0 ? -1 - f->number[at] : -1;
        if (leaf[i] >= 0) first[leaf[i] + 2]++, kept++;
    }
    /* first[k + 1] is where the next vote of leaf k goes; at the end that is where leaf k + 1
     * begins. */
    for (int64_t k = 2; k <= f->leaves; k++) first[k] += first[k - 1];
    for (int64_t i = 0; i < count; i++) {
        if (leaf[i] < 0) continue;
        int64_t to = first[leaf[i] + 1]++;
        target[to] = ids[i];
        tn_copy_elements(weights.dtype, sorted, to, weights.data, i, 1);
    }
    tn_tensor table = tn_tensor_of(weights.dtype, &kept, 1, sorted);
    TN_TRY(add_ints(graph, node, TN_TREE_LEAVES, first, f->leaves + 1, 1));
    TN_TRY(add_ints(graph, node, TN_TREE_TARGETS, target, kept, 1));
    return tn_table_add(graph, node, TN_TREE_WEIGHTS, &table);
}

tn_status tn_tree_upgrade_old(tn_graph *graph, tn_node *node, const char *prefix)
{
    tn_tensor modes, values, base;
    char drop[256];
    forest f;
    TN_TRY(tn_table_find(node, "nodes_modes", &modes));
    TN_TRY(find_prefixed(node, "nodes", "_values", &values));
    TN_CHECK(modes.dtype == TN_DTYPE_STRING, TN_INVALID, "nodes_modes must be texts");
    int64_t count = tn_tensor_count(&modes);
    TN_CHECK(count < NODES_MAX && values.dtype && values.dtype != TN_DTYPE_STRING &&
                 tn_tensor_count(&values) == count,
             TN_INVALID, "nodes_values does not have an entry for each of %lld nodes",
             (long long)count);
    TN_TRY(read_forest(graph, node, modes.data, count, &f));
    TN_TRY(add_nodes(graph, node, &f, modes.data, &values));
    TN_TRY(add_roots(graph, node, &f));
    TN_TRY(add_votes(graph, node, &f, prefix));
    TN_TRY(find_prefixed(node, "base", "_values", &base));
    if (base.dtype) TN_TRY(tn_table_add(graph, node, TN_TREE_BASE, &base));
    snprintf(drop, sizeof drop, "%s_treeids|%s_nodeids|%s_ids|%s_weights|%s_weights_as_tensor",
             prefix, prefix, prefix, prefix, prefix);
    tn_table_drop(node, drop);
    tn_table_drop(
        node, "nodes_treeids|nodes_nodeids|nodes_featureids|nodes_truenodeids|nodes_falsenodeids|"
              "nodes_modes|"
              "nodes_missing_value_tracks_true|nodes_values|nodes_values_as_tensor|nodes_hitrates|"
              "nodes_hitrates_as_tensor|base_values|base_values_as_tensor");
    return NULL;
}
