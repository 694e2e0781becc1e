/* Tables that a node carries as attributes (vocabularies, trees, coefficients) become constant
 * inputs at import: parameters are plain structs of fixed size, constants are of any size, are
 * stored once in the engine file, and reach kernels as tensors. Operators that do so have an
 * upgrade for every opset and list the tables as inputs behind those that ONNX knows. */
#ifndef TN_OPS_TABLES_H
#define TN_OPS_TABLES_H

#include "ir/op.h"

#define TN_OPSET_EVERY INT32_MAX /* tn_upgrade.below: whatever the opset */

/* An attribute that is a list (of integers, floats, texts) or a tensor, as a tensor that borrows
 * its data: one axis for a list. dtype NONE if the node has none or it is empty. */
tn_status tn_table_find(const tn_node *node, const char *attr, tn_tensor *out) TN_MUST_USE;
/* The same as int64 and floats, or an error that names the attribute; NULL and 0 if absent. */
tn_status tn_table_ints(const tn_node *node, const char *attr, const int64_t **at,
                        int64_t *count) TN_MUST_USE;
/* A tensor that is in the graph's arena becomes input `index`. */
tn_status tn_table_add(tn_graph *graph, tn_node *node, int index,
                       const tn_tensor *table) TN_MUST_USE;
/* Both: an attribute becomes input `index` and goes; nothing happens without it. */
tn_status tn_table_move(tn_graph *graph, tn_node *node, const char *attr, int index) TN_MUST_USE;
/* Back again (tn_op.restore): input `index`, a constant, becomes the attribute whose name is given
 * for its type (NULL: none of that type is known); nothing happens without it. */
tn_status tn_table_restore(tn_node *node, int index, const char *ints, const char *floats,
                           const char *texts) TN_MUST_USE;
/* The same as an attribute that is a tensor, of any numbers or texts. */
tn_status tn_table_restore_tensor(tn_node *node, int index, const char *attr) TN_MUST_USE;
/* Attributes "a|b|c" go. */
void tn_table_drop(tn_node *node, const char *attrs);

#endif
